"""The raw client: bytes on a blocking socket, and a reader that accepts only strict responses."""

import socket
import struct

from messages import Buffer, Truncated, response

DEADLINE_SECONDS = 10  # safety only: no test expects to reach it


class Ended(Exception):
    """The proxy ended the connection where a response was due."""


class Client:
    def __init__(self, port, source="127.0.0.1", receive_buffer=None, deadline=DEADLINE_SECONDS):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source != "127.0.0.1":
            self.sock.bind((source, 0))
        self.sock.connect(("127.0.0.1", port))
        self.buffer = Buffer()
        self.was_reset = False

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def recv(self, count=256 * 1024):
        try:
            return self.sock.recv(count)
        except ConnectionResetError:
            self.was_reset = True
            return b""

    def response(self, method="GET"):
        """The next final response. Raises Ended where the connection ended before its head did."""
        parser = response(self.buffer, method)
        try:
            while True:
                next(parser)
                self.buffer.feed(self.recv())
        except StopIteration as done:
            answer = done.value
        except Truncated:
            raise Ended(f"ended after {bytes(self.buffer.data[:200])!r}, reset: {self.was_reset}") from None
        if answer.framing == "until-close" and self.was_reset:
            answer.complete = False
        return answer

    def request(self, method="GET", target="/", fields=(), body=None, host="test.local", version="HTTP/1.1"):
        """Sends one request and reads its response."""
        self.send(request_bytes(method, target, fields, body, host, version))
        return self.response(method)

    def get(self, target="/", **fields):
        return self.request("GET", target, {name.replace("_", "-"): value for name, value in fields.items()})

    def rest(self):
        """Everything until the proxy ends the connection."""
        while data := self.recv():
            self.buffer.feed(data)
        return bytes(self.buffer.data)

    def expect_end(self):
        """Nothing more comes, and the connection ends."""
        rest = self.rest()
        assert rest == b"", f"bytes after the last response: {rest[:300]!r}"

    def exactly(self, count):
        """The next bytes, outside HTTP."""
        while len(self.buffer.data) < count:
            data = self.recv()
            assert data, f"ended after {len(self.buffer.data)} of {count} bytes"
            self.buffer.feed(data)
        return self.buffer.take(count)

    def is_open(self):
        """Whether the proxy still takes requests on this connection; asks it with one."""
        try:
            return self.get("/still-open").status > 0
        except (Ended, BrokenPipeError, ConnectionError):
            return False

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def request_bytes(method="GET", target="/", fields=(), body=None, host="test.local", version="HTTP/1.1"):
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in dict(fields).items()]
    if body is not None:
        body = body.encode() if isinstance(body, str) else body
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")
