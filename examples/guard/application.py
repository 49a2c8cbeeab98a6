"""A Python application that only answers requests which a gateway has signed: it asks a guard about each.

    steelyard guard --listen 127.0.0.1:8101 --app 127.0.0.1:1 --id a --keys keys.json
    python3 application.py 8001 http://127.0.0.1:8101
"""

import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def verdict(guard, method, target, client):
    """204: it may go on. 401: it has no token. 403: its token does not allow it."""
    asked = {"X-Original-Method": method, "X-Original-URI": target, "X-Original-Client": client}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{guard}/__verify__", headers=asked), timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


class Application(BaseHTTPRequestHandler):
    def do_GET(self):
        status, reason = verdict(sys.argv[2], self.command, self.path, self.client_address[0])
        body = b"hello\n" if status == 204 else reason.encode()
        self.send_response(200 if status == 204 else status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Application).serve_forever()
