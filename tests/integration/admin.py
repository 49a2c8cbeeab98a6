"""The admin API as its callers see it: over TCP or a Unix socket, with or without a token, and its stream of events.

    with Proxy(administered(server)) as proxy:
        admin = Admin(proxy)
        admin.put("/v1/pools/app/servers/b", {"address": other.address})
        with admin.events() as events:
            admin.post("/v1/pools/app/servers/b/drain")
            events.wait("server_state", id="b", state="drained")
"""

import contextlib
import json
import re
import socket

from client import DEADLINE_SECONDS, Client, Ended, request_bytes
from harness import Proxy, configuration, free_port, run
from messages import Buffer, response_head

SERVERS = "/v1/pools/app/servers"
OPERATOR = "the-operator-s-token-0123456789"
REGISTRAR = "the-servers-own-token-0123456789"


def administered(*servers, admin=None, pool=None, **overrides):
    """A configuration with the API on a port of its own; servers take their whole share at once, so that turns can be counted."""
    return configuration(*servers, pool={"slow_start": "0s", **(pool or {})},
                         **{"admin": {"bind": f"127.0.0.1:{free_port()}", **(admin or {})}, **overrides})


def token_file(directory, name, token):
    path = directory / name
    path.write_text(token + "\n")
    path.chmod(0o600)
    return str(path)


def registering(directory, token=REGISTRAR, **options):
    """Options of a pool whose servers may register from this machine."""
    made = {"token_file": token_file(directory, "registrar", token), "networks": ["127.0.0.0/8"], "expired_share_max": "100%",
            "lease_min": "100ms"}
    return {"registration": {**made, **options}}


@contextlib.contextmanager
def killed(config):
    """A proxy that ends by SIGKILL, as in a loss of power."""
    proxy = Proxy(config)
    try:
        yield proxy
    finally:
        proxy.kill()
        proxy.directory.cleanup()


def refused_start(directory, config):
    """What is said of a configuration with which the proxy does not start."""
    path = directory / "refused.json"
    path.write_text(json.dumps(config).replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
    ended = run("serve", "--config", str(path))
    assert ended.returncode != 0, ended.stderr
    return ended.stderr


class Connection(Client):
    """A client of the API, where it is: host:port or unix:path."""

    def __init__(self, where):
        if where.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            target = where.removeprefix("unix:")
        else:
            host, _, port = where.rpartition(":")
            self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            target = (host.strip("[]"), int(port))
        self.sock.settimeout(DEADLINE_SECONDS)
        self.sock.connect(target)
        self.buffer = Buffer()
        self.was_reset = False


class Answered:
    """An answer with its body read as JSON, where it is that."""

    def __init__(self, answer):
        self.status = answer.status
        self.value = answer.value
        self.body = answer.body
        self.etag = answer.value("etag")
        self.json = json.loads(answer.body) if answer.body and answer.value("content-type") == "application/json" else None
        if answer.status >= 400:
            assert set(self.json) == {"error"} and self.json["error"]["message"], answer
        assert answer.value("cache-control") == "no-store" and answer.value("x-content-type-options") == "nosniff", answer

    @property
    def code(self):
        """The word for what went wrong."""
        return self.json["error"]["code"]

    @property
    def message(self):
        return self.json["error"]["message"]

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Admin:
    def __init__(self, proxy, token=None):
        """Where the proxy says that it is; `proxy` may also be that text."""
        self.where = proxy if isinstance(proxy, str) else proxy.wait_line(r"admin API on ([^\s\"]+)")[1]
        self.token = token

    def connect(self):
        return Connection(self.where)

    def fields(self, fields=()):
        return {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **dict(fields)}

    def request(self, method, path, body=None, host="localhost", **fields):
        """One request on a connection of its own; a body that is no text is sent as JSON. Fields: If_Match="…"."""
        made = self.fields((name.replace("_", "-"), value) for name, value in fields.items())
        if body is not None:
            made.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        with self.connect() as connection:
            return Answered(connection.request(method, path, made, body, host))

    def get(self, path, **fields):
        return self.request("GET", path, **fields)

    def put(self, path, body=None, **fields):
        return self.request("PUT", path, body, **fields)

    def patch(self, path, body=None, **fields):
        return self.request("PATCH", path, body, **fields)

    def post(self, path, body=None, **fields):
        return self.request("POST", path, body, **fields)

    def delete(self, path, body=None, **fields):
        return self.request("DELETE", path, body, **fields)

    def shown(self, path):
        """What a GET of it shows."""
        answer = self.get(path)
        assert answer.status == 200, answer
        return answer.json

    def servers(self, pool="app"):
        return {server["id"]: server for server in self.shown(f"/v1/pools/{pool}/servers")}

    def server(self, name, pool="app"):
        return self.shown(f"/v1/pools/{pool}/servers/{name}")

    def add(self, name, address, pool="app", **keys):
        answer = self.put(f"/v1/pools/{pool}/servers/{name}", {"address": address, **keys})
        assert answer.status == 201, answer
        return answer

    def events(self, **fields):
        return Events(self, **fields)


class Events:
    """A stream of events, as HTTP/1.0 has it: without chunks. Keeps what it has seen."""

    def __init__(self, admin, **fields):
        self.seen = []  # (type, id, data)
        self.connection = admin.connect()
        made = admin.fields((name.replace("_", "-"), value) for name, value in fields.items())
        self.connection.send(request_bytes("GET", "/v1/events", made, host="localhost", version="HTTP/1.0"))
        parser = response_head(self.connection.buffer)
        try:
            while True:
                next(parser)
                self.feed()
        except StopIteration as done:
            answer = done.value
        assert answer.status == 200 and answer.value("content-type") == "text/event-stream", answer

    def feed(self):
        data = self.connection.recv()
        if not data:
            raise Ended(f"the stream ended; seen: {self.seen}")
        self.connection.buffer.feed(data)

    def block(self):
        """The lines up to the next empty one."""
        data = self.connection.buffer
        while (end := data.data.find(b"\n\n")) < 0:
            self.feed()
        return data.take(end + 2).decode().splitlines()[:-1]

    def next(self):
        while True:
            lines = dict(re.fullmatch(r"(\w*): ?(.*)", text).groups() for text in self.block())
            if "event" in lines:
                event = (lines["event"], int(lines["id"]), json.loads(lines["data"]))
                self.seen.append(event)
                return event

    def wait(self, kind, **data):
        """The next event of that type whose data has these values."""
        while True:
            event = self.next()
            if event[0] == kind and all(event[2].get(key) == value for key, value in data.items()):
                return event

    def until_end(self):
        """All that comes until the stream ends in order."""
        with contextlib.suppress(Ended):
            while True:
                self.next()
        assert not self.connection.was_reset and not self.connection.buffer.data
        return self.seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
