"""A gateway that redirects, and guards with applications behind them: real processes on ports that stay theirs when one of them is
started again. Keys are made here, so that no code of ours says that they are right."""

import base64
import json
import signal
import stat
import time
from urllib.parse import urlsplit

from admin_api import Api
from client import Client
from harness import DEADLINE_SECONDS, Process, Proxy, configuration, free_port

SECRET = b"k" * 32
OPERATOR = "0123456789abcdef-operator"
REGISTRAR = "0123456789abcdef-registrar"


def until(condition, what):
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, what


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private(path, text):
    path.write_text(text)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return str(path)


def jwk(kid="1", secret=SECRET):
    return {"kty": "oct", "kid": kid, "alg": "HS256", "k": encoded(secret)}


def key_file(path, *keys):
    return private(path, json.dumps({"keys": list(keys) or [jwk()]}))


class Guard(Process):
    def __init__(self, app_port, keys, *more, name="a", port=None):
        self.port = port or free_port()
        super().__init__(["guard", "--listen", f"127.0.0.1:{self.port}", "--app", f"127.0.0.1:{app_port}", "--id", name, "--keys", keys,
                          "--status-pages", *more])
        self.wait_line("ready: ")

    def client(self):
        return Client(self.port)

    def get(self, target, method="GET", fields=(), body=None):
        with self.client() as client:
            return client.request(method, target, dict(fields), body)

    def page(self, name="metrics"):
        return json.loads(self.get(f"/__{name}__").body)

    def read_keys_again(self):
        lines = len(self.lines)
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: any("in use" in text for text in self.lines[lines:]), "the guard has read its keys again")


class Fleet:
    """`apps`: the port of the application behind each guard, by the guard's id. `more`: further arguments of the guards."""

    def __init__(self, directory, apps, *more, keys=None, guard_keys=None, redirect=(), pool=(), routes=None, lease="10s", **overrides):
        self.directory, self.apps, self.lease, self.more = directory, apps, lease, more
        self.keys = keys or key_file(directory / "keys.json")
        self.guard_keys = guard_keys or self.keys
        self.admin_port, self.gateway_port = free_port(), free_port()
        self.ports = {name: free_port() for name in apps}
        self.registrar = private(directory / "registrar", REGISTRAR)
        self.api = Api(self.admin_port, OPERATOR)
        self.config = configuration(
            listeners=[{"bind": f"127.0.0.1:{self.gateway_port}", "status_pages": True}], workers=2,
            admin={"bind": f"127.0.0.1:{self.admin_port}", "token_file": private(directory / "operator", OPERATOR)},
            pool={"algorithm": "least_connections", "slow_start": "0s",
                  "registration": {"token_file": self.registrar, "networks": ["127.0.0.0/8"]}, **dict(pool)}, **overrides)
        del self.config["pools"]["app"]["servers"]
        self.config["routes"] = [*(routes or []), {"pool": "app", "mode": "redirect", "redirect": {"keys": self.keys, **dict(redirect)}}]
        self.gateway, self.guards = None, {}

    def start_gateway(self):
        self.gateway = Proxy(self.config)

    def start_guard(self, name):
        self.guards[name] = Guard(
            self.apps[name], self.guard_keys, "--gateway", self.url(), "--register", f"http://127.0.0.1:{self.admin_port}",
            "--pool", "app", "--token-file", self.registrar, "--lease", self.lease, *self.more, name=name, port=self.ports[name])

    def wait_registered(self, *names):
        """Until the gateway sends clients to all of these, or to all that there are."""
        def known():
            servers = self.api.servers()
            return all(name in servers and servers[name]["states"] for name in names or self.apps)
        until(known, "the guards are not in the gateway's pool")

    def kill_gateway(self):
        self.gateway.kill()
        self.gateway.directory.cleanup()

    def url(self, target="", guard=None):
        return f"http://127.0.0.1:{self.ports[guard] if guard else self.gateway_port}{target}"

    def __enter__(self):
        try:
            self.start_gateway()
            for name in self.apps:
                self.start_guard(name)
            self.wait_registered()
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        for guard in self.guards.values():
            guard.kill()
        if self.gateway:
            self.kill_gateway()

    def __exit__(self, *_):
        self.close()


class App(Process):
    """`steelyard backend`: an application with routes for work, sessions and media."""

    def __init__(self, name):
        self.port = free_port()
        super().__init__(["backend", "--port", str(self.port), "--name", name])
        self.wait_line(rf"127\.0\.0\.1:{self.port}")


def follow(port, target, method="GET", body=None, most=8):
    """The last answer, as clients get it that follow redirects, and on which ports they were."""
    ports = []
    for _ in range(most):
        ports.append(port)
        with Client(port) as client:
            answer = client.request(method, target, {}, body)
        if answer.status not in (307, 308):
            break
        where = urlsplit(answer.value("location"))
        port, target = where.port, answer.value("location").split(where.netloc, 1)[1]
    return answer, ports
