"""The guard beside an application: what it lets through, what it refuses, whom it sends back, and what it tells the gateway. Tokens are
minted by the tests, so that no code of ours says that they are right."""

import concurrent.futures
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from admin_api import Api
from client import Client, request_bytes
from fleet import OPERATOR, REGISTRAR, SECRET, Guard, encoded, follow, jwk, key_file, private, until
from harness import DEADLINE_SECONDS, Process, Proxy, REPOSITORY, configuration, free_port, run
from server import Server, answer_hello

OTHER = b"o" * 32


def mint(target="/a?b=c", secret=SECRET, header=(), **claims):
    """A token for one request to server "a"; a claim of None is left out."""
    now = int(time.time())
    says = {"aud": "a", "mth": "GET", "cdniuc": "hash:" + encoded(hashlib.sha256(target.encode("latin-1")).digest()), "iat": now,
            "exp": now + 30, "jti": encoded(secrets.token_bytes(16)), **claims}
    parts = [{"alg": "HS256", "kid": "1", "typ": "JWT", **dict(header)}, {name: value for name, value in says.items() if value is not None}]
    signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def with_token(target, token, name="steelyard_token"):
    return f"{target}{'&' if '?' in target else '?'}{name}={token}"


@contextlib.contextmanager
def guarding(tmp_path, *more, keys=None, handler=answer_hello):
    with Server(handler) as app:
        guard = Guard(app.port, keys or key_file(tmp_path / "keys.json"), *more)
        try:
            yield guard, app
        finally:
            guard.kill()


def targets(app):
    return [request.target for request in app.requests]


# What goes on


def test_a_request_with_its_token_goes_on_without_it(tmp_path):
    with guarding(tmp_path) as (guard, app):
        for target in ("/a?b=c", "/a", "/", "/a%20b/%C3%A9?x=%2F&y", "/a//b;c", "/a?"):
            assert guard.get(with_token(target, mint(target))).status == 200, target
        assert targets(app) == ["/a?b=c", "/a", "/", "/a%20b/%C3%A9?x=%2F&y", "/a/b;c", "/a?"]
        assert guard.page()["guard"] == {"admitted": 6, "carried": 0, "denied": 0, "absent": 0, "active": 0}


def test_bodies_go_on_as_they_are(tmp_path):
    with guarding(tmp_path) as (guard, app):
        assert guard.get(with_token("/up", mint("/up", mth="POST")), "POST", body=b"x" * 100_000).status == 200
        assert app.requests[0].body == b"x" * 100_000


def test_a_token_in_a_cookie_leaves_the_others(tmp_path):
    with guarding(tmp_path, "--token-cookie") as (guard, app):
        fields = {"Cookie": f"x=1; steelyard_token={mint('/a')}; y=2"}
        assert guard.get("/a", fields=fields).status == 200
        assert app.requests[0].value("cookie") == "x=1; y=2"
        assert guard.get("/a", fields={"Cookie": f"steelyard_token={mint('/a')}"}).status == 200
        assert app.requests[1].value("cookie") is None
        assert guard.get(with_token("/a", mint("/a"))).status == 403, "a parameter is no cookie"
        assert guard.get("/a", fields={"Cookie": f"steelyard_token={mint('/a')}; steelyard_token=x"}).status == 403
        assert len(app.requests) == 2


def test_a_path_alone_may_be_bound(tmp_path):
    with guarding(tmp_path, "--path-only") as (guard, app):
        assert guard.get(with_token("/a?anything", mint("/a"))).status == 200
        assert targets(app) == ["/a?anything"]


# What does not


TAMPERED = {
    "another server": {"aud": "b"},
    "another method": {"mth": "POST"},
    "another path": {"target": "/b?b=c"},
    "another query": {"target": "/a?b=d"},
    "no query": {"target": "/a"},
    "expired": {"exp": int(time.time()) - 3600, "iat": int(time.time()) - 3630},
    "not yet valid": {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3630},
    "another client": {"net": "192.0.2.7/32"},
    "another key": {"secret": OTHER},
    "no algorithm": {"header": {"alg": "none"}},
    "another algorithm": {"header": {"alg": "EdDSA"}},
    "an unknown key": {"header": {"kid": "2"}},
    "unknown demands": {"header": {"crit": ["x"], "x": 1}},
    "no expiry": {"exp": None},
    "no target": {"cdniuc": None},
    "unknown claims": {"scope": "x"},
}


@pytest.mark.parametrize("case", TAMPERED)
def test_what_the_token_does_not_allow_never_reaches_the_application(tmp_path, case):
    with guarding(tmp_path) as (guard, app):
        answer = guard.get(with_token("/a?b=c", mint(**TAMPERED[case])))
        assert answer.status == 403 and b"token" in answer.body, answer
        assert app.requests == [] and guard.page()["guard"]["denied"] == 1


def test_what_is_no_token_never_reaches_the_application(tmp_path):
    token = mint()
    header, claims, mac = token.split(".")
    alike = [token[:-1], token + "A", token + "=", f"{header}.{claims}.", f"{header}..{mac}", "", ".", "..", f"{header}.{claims}",
             f"{token}.{mac}", token.replace(".", "%2E"), "A" * 4096, f"{header}.{claims}.{mac[:-1]}{'A' if mac[-1] != 'A' else 'B'}"]
    with guarding(tmp_path) as (guard, app):
        for text in alike:
            assert guard.get(with_token("/a?b=c", text)).status == 403, text
        for target in (with_token(with_token("/a?b=c", token), token), with_token("/a?b=c", token, "steelyard%5Ftoken"),
                       with_token(with_token("/a?b=c", mint()), token, "steelyard_toke%6E"), with_token("/%61?b=c", token),
                       with_token("//a?b=c", token), with_token("/x/../a?b=c", token), with_token("/a;x?b=c", token),
                       with_token("/a/?b=c", token), with_token("/a%2e?b=c", token)):
            assert guard.get(target).status == 403, target
        assert app.requests == []
        assert guard.get(with_token("/a?b=c", token)).status == 200, "none of that has used the token up"


@pytest.mark.parametrize("line, fields", [
    ("http://other.test/b?b=c", "Host: other.test"), ("http://guard.test/a?b=d", "Host: other.test"), ("/b?b=c", "Host: a?b=c"),
    ("/b?b=c", "Host: x\r\nX-Original-URI: /a?b=c"), ("/b?b=c", "Host: x\r\nHost: y"), ("/b?b=c", "Host: x\r\nX-Rewrite-URL: /a?b=c")])
def test_no_host_or_form_of_the_target_lets_a_token_in_elsewhere(tmp_path, line, fields):
    with guarding(tmp_path) as (guard, app):
        with guard.client() as client:
            client.send(f"GET {with_token(line, mint())} HTTP/1.1\r\n{fields}\r\n\r\n")
            assert client.response().status in (400, 403)
        assert app.requests == []
        assert guard.get(with_token("/a?b=c", mint())).status == 200


def test_a_preflight_goes_on_by_the_token_of_its_request_and_leaves_it_good(tmp_path):
    asks = {"Origin": "https://page.test", "Access-Control-Request-Method": "POST"}
    target = with_token("/a", mint("/a", mth="POST"))
    with guarding(tmp_path) as (guard, app):
        for fields in ({}, {"Origin": "https://page.test"}, {"Access-Control-Request-Method": "POST"},
                       {**asks, "Access-Control-Request-Method": "GET"}):
            assert guard.get(target, "OPTIONS", fields).status == 403, fields
        assert guard.get(target, "GET", asks).status == 403, "it is no preflight"
        assert app.requests == []
        assert [guard.get(target, "OPTIONS", asks).status for _ in range(2)] == [200, 200]
        assert guard.get(target, "POST", body=b"x").status == 200
        assert guard.get(target, "POST", body=b"x").status == 403
        assert [request.method for request in app.requests] == ["OPTIONS", "OPTIONS", "POST"]
        assert guard.page()["guard"]["admitted"] == 1, "one client has arrived"


def test_a_huge_token_is_refused(tmp_path):
    with guarding(tmp_path) as (guard, app):
        assert guard.get(with_token("/a", "A" * 65536)).status in (403, 414, 431)
        assert app.requests == []


def test_hops_in_another_spelling_are_not_called_a_token(tmp_path):
    with guarding(tmp_path, "--gateway", "http://gateway.test") as (guard, _):
        answer = guard.get("/a?steelyard_hop%73=1")
        assert answer.status == 403 and b"percent-encodes the name of a parameter" in answer.body


def test_a_token_is_good_once(tmp_path):
    token = mint("/a")
    with guarding(tmp_path) as (guard, app):
        assert guard.get(with_token("/a", token)).status == 200
        again = guard.get(with_token("/a", token))
        assert again.status == 403 and b"before" in again.body
        assert len(app.requests) == 1


def test_of_many_who_show_one_token_at_once_one_is_let_in(tmp_path):
    token = mint("/a")
    statuses = []
    with guarding(tmp_path) as (guard, app):
        def show():
            statuses.append(guard.get(with_token("/a", token)).status)
        threads = [threading.Thread(target=show) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        assert sorted(statuses) == [200] + [403] * 29 and len(app.requests) == 1


def test_a_reusable_token_is_good_until_it_expires(tmp_path):
    token = mint("/a")
    with guarding(tmp_path, "--reusable") as (guard, _):
        assert [guard.get(with_token("/a", token)).status for _ in range(3)] == [200] * 3


def test_clocks_may_differ_by_the_skew(tmp_path):
    now = int(time.time())
    with guarding(tmp_path, "--skew", "1m") as (guard, _):
        assert guard.get(with_token("/a", mint("/a", iat=now - 70, exp=now - 40))).status == 200
        assert guard.get(with_token("/a", mint("/a", iat=now + 40, exp=now + 70))).status == 200
        assert guard.get(with_token("/a", mint("/a", iat=now - 130, exp=now - 100))).status == 403


def test_a_network_may_be_bound(tmp_path):
    with guarding(tmp_path) as (guard, _):
        assert guard.get(with_token("/a", mint("/a", net="127.0.0.0/8"))).status == 200
        assert guard.get(with_token("/a", mint("/a", net="127.0.0.1/32"))).status == 200
        assert guard.get(with_token("/a", mint("/a", net="127.0.0.2/32"))).status == 403


# Who has no token


def test_a_used_token_stays_used_when_another_process_takes_over(tmp_path):
    guard = {"server": "a", "keys": key_file(tmp_path / "keys.json")}
    with Server() as app, Proxy(configuration(app, routes=[{"pool": "app", "guard": guard}])) as proxy:
        with proxy.client() as client:
            tokens = [mint("/a") for _ in range(50)]
            assert {client.get(with_token("/a", token)).status for token in tokens} == {200}
        proxy.upgrade()
        with proxy.client() as client:
            assert {client.get(with_token("/a", token)).status for token in tokens} == {403}
            assert client.get(with_token("/a", mint("/a"))).status == 200


def test_who_has_no_token_is_refused_where_there_is_no_gateway(tmp_path):
    with guarding(tmp_path) as (guard, app):
        answer = guard.get("/a")
        assert answer.status == 403 and b"gateway" in answer.body
        assert app.requests == [] and guard.page()["guard"]["absent"] == 1


def test_who_has_no_token_is_sent_back_with_path_and_query_kept(tmp_path):
    with guarding(tmp_path, "--gateway", "http://gateway.test:8000") as (guard, app):
        for target, joined in (("/a?b=c%20", "&"), ("/a", "?"), ("/a//b;c?x&&y=", "&")):
            answer = guard.get(target)
            assert (answer.status, answer.value("location")) == (307, f"http://gateway.test:8000{target}{joined}steelyard_hops=1")
            assert answer.value("cache-control") == "no-store"
        answer = guard.get("/a?steelyard_hops=3&b=c", "POST", body=b"x")
        assert (answer.status, answer.value("location")) == (307, "http://gateway.test:8000/a?b=c&steelyard_hops=4")
        for hops in ("5", "99999999999999999999", "x", ""):
            assert guard.get(f"/a?steelyard_hops={hops}").status == 508, hops
        assert guard.get("/a?steelyard_hops=1&steelyard_hops=1").status == 403
        assert app.requests == []


def test_an_upgrade_without_a_token_is_refused_and_with_one_carried(tmp_path):
    async def switch(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := await connection.recv():
            await connection.send(data)

    fields = {"Connection": "Upgrade", "Upgrade": "echo"}
    with guarding(tmp_path, "--gateway", "http://gateway.test", handler=switch) as (guard, app):
        assert guard.get("/ws", fields=fields).status == 403
        with guard.client() as client:
            client.send(request_bytes(target=with_token("/ws", mint("/ws")), fields=fields))
            assert client.response().status == 101
            client.send(b"hello")
            assert client.exactly(5) == b"hello"
        assert targets(app) == ["/ws"]


# The gateway and the guard together


@contextlib.contextmanager
def together(tmp_path, lease="10s", handler=answer_hello):
    admin_port = free_port()
    config = configuration(workers=2, admin={"bind": f"127.0.0.1:{admin_port}", "token_file": private(tmp_path / "operator", OPERATOR)})
    config["routes"] = [{"pool": "app", "mode": "redirect", "redirect": {"keys": key_file(tmp_path / "keys.json")}}]
    del config["pools"]["app"]["servers"]
    config["pools"]["app"]["registration"] = {"token_file": private(tmp_path / "registrar", REGISTRAR), "networks": ["127.0.0.0/8"]}
    with Proxy(config) as gateway, Server(handler) as app:
        gateway.told = config
        more = ["--gateway", f"http://127.0.0.1:{gateway.port}", "--register", f"http://127.0.0.1:{admin_port}", "--pool", "app",
                "--token-file", str(tmp_path / "registrar"), "--lease", lease]
        guard = Guard(app.port, str(tmp_path / "keys.json"), *more)
        try:
            guard.wait_line("registered as a")
            yield gateway, guard, app, Api(admin_port, OPERATOR)
        finally:
            guard.kill()


@pytest.mark.parametrize("begins_at", ["gateway", "guard"])
def test_a_client_that_follows_reaches_the_application(tmp_path, begins_at):
    with together(tmp_path) as (gateway, guard, app, _):
        first = {"gateway": gateway.port, "guard": guard.port}[begins_at]
        answer, ports = follow(first, "/a%20b?c=%2F", "POST", b"body")
        assert answer.status == 200
        assert ports == [gateway.port, guard.port] if begins_at == "gateway" else [guard.port, gateway.port, guard.port]
        assert (targets(app), app.requests[0].body) == (["/a%20b?c=%2F"], b"body")


def listens(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_the_gateway_knows_what_is_under_way_at_the_guard(tmp_path):
    may_go = None

    async def slow(connection):
        while await connection.request():
            await may_go.wait()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with together(tmp_path, handler=slow) as (gateway, guard, app, api):
        may_go = app.gate()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(guard.client()) for _ in range(5)]
            for client in clients:
                target = gateway.get("/x").value("location").split(f":{guard.port}", 1)[1]
                client.send(request_bytes(target=target))
            until(lambda: (api.servers()["a"]["lease"] or {}).get("load") == 5, "the gateway hears of five")
            (state,) = api.servers()["a"]["states"]
            assert state["active"] == 5
            may_go.open()
            for client in clients:
                assert client.response().status == 200
            until(lambda: api.servers()["a"]["states"][0]["active"] == 0, "the gateway hears that they are done")


def test_a_guard_that_ends_takes_leave_first(tmp_path):
    with together(tmp_path) as (gateway, guard, _, api):
        guard.process.send_signal(signal.SIGTERM)
        assert guard.process.wait(DEADLINE_SECONDS) == 0
        assert "a" not in api.servers()
        assert gateway.get("/x").status == 503


def test_a_guard_that_dies_is_avoided_when_its_lease_has_run_out(tmp_path):
    with together(tmp_path, lease="1s") as (gateway, guard, _, api):
        guard.process.kill()
        until(lambda: "a" not in api.servers(), "its lease runs out")
        assert gateway.get("/x").status == 503


def test_keys_are_changed_one_after_the_other(tmp_path):
    file = tmp_path / "keys.json"
    with together(tmp_path) as (gateway, guard, app, _):
        for keys in ([jwk(), jwk("2", OTHER)], [jwk("2", OTHER), jwk()], [jwk("2", OTHER)]):
            key_file(file, *keys)
            guard.read_keys_again()
            gateway.reload(gateway.told)
            assert follow(gateway.port, "/x")[0].status == 200, keys
        assert guard.get(with_token("/a", mint("/a"))).status == 403, "the first key is not known any more"


# For others that have the application


def test_another_server_may_ask_whether_a_request_may_go_on(tmp_path):
    with guarding(tmp_path) as (guard, app):
        def ask(target, method="GET", **more):
            return guard.get("/__verify__", fields={"X-Original-URI": target, "X-Original-Method": method, **more})
        token = mint("/a", net="192.0.2.1/32")
        assert ask(with_token("/a", token)).status == 403, "another client"
        assert ask(with_token("/a", token), **{"X-Original-Client": "192.0.2.1"}).status == 204
        assert ask(with_token("/a", token), **{"X-Original-Client": "192.0.2.1"}).status == 403, "used before"
        assert ask("/a").status == 401
        assert guard.get("/__verify__").status == 400
        assert ask(with_token("/a", mint("/a")), "POST").status == 403
        assert app.requests == []


# What people get wrong


@pytest.mark.parametrize("changed, told", [
    ({"--listen": "x"}, "--listen x: write an IP address and port"), ({"--app": "localhost"}, "--app localhost"),
    ({"--keys": "nothing.json"}, "nothing.json"), ({"--gateway": "gateway:8000"}, "--gateway"), ({"--id": "a b"}, "--id"),
    ({"--skew": "x"}, "--skew x"), ({"--skew": "900ms"}, "--skew 900ms: write whole seconds"),
    ({"--health": "health"}, "--health health: write a path"),
    ({"--health": "/", "--health-interval": "1ms"}, "--health-interval 1ms: write a duration"),
    ({"--register": "http://127.0.0.1:1"}, "--register needs --pool"),
    ({"--app": "127.0.0.1:1", "--listen": "127.0.0.1:1"}, "the same"),
    ({"--register": "http://127.0.0.1:1", "--pool": "p", "--listen": "0.0.0.0:1"}, "--advertise is missing"),
])
def test_wrong_arguments_are_told(tmp_path, changed, told):
    arguments = {"--listen": "127.0.0.1:1", "--app": "127.0.0.1:2", "--id": "a", "--keys": key_file(tmp_path / "keys.json"), **changed}
    done = run("guard", *(text for pair in arguments.items() for text in pair))
    assert done.returncode in (1, 2) and told in done.stderr, done
    assert re.search(r"steelyard guard: ", done.stderr), done


def test_help_has_an_example():
    done = run("guard", "--help")
    assert done.returncode == 0 and "steelyard guard --listen" in done.stdout


def test_the_example_in_python_asks_the_guard(tmp_path):
    port = free_port()
    with guarding(tmp_path) as (guard, app):
        example = subprocess.Popen([sys.executable, "-B", REPOSITORY / "examples/guard/application.py", str(port),
                                    f"http://127.0.0.1:{guard.port}"], stderr=subprocess.DEVNULL)
        try:
            until(lambda: listens(port), "it listens")
            with Client(port) as client:
                assert client.get("/a").status == 401
            for expected in (200, 403):
                token = mint("/a") if expected == 200 else token
                with Client(port) as client:
                    assert client.get(with_token("/a", token)).status == expected
        finally:
            example.kill()
            example.wait()


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_the_example_for_nginx_asks_the_guard(tmp_path):
    port = free_port()
    with guarding(tmp_path) as (guard, app):
        text = (REPOSITORY / "examples/guard/nginx.conf").read_text()
        for before, after in (("127.0.0.1:8001", f"127.0.0.1:{port}"), ("127.0.0.1:8101", f"127.0.0.1:{guard.port}"),
                              ("127.0.0.1:3001", app.address)):
            assert text.count(before) in (1, 2), before
            text = text.replace(before, after)
        (tmp_path / "nginx.conf").write_text(text)
        example = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            until(lambda: listens(port), "it listens")
            with Client(port) as client:
                assert client.get("/a").status == 401 and app.requests == []
                token = mint("/a")
                assert client.get(with_token("/a", token)).status == 200
                assert client.get(with_token("/a", token)).status == 403
                assert client.get(with_token("/b", mint("/a"))).status == 403
            assert len(app.requests) == 1
        finally:
            example.terminate()
            example.wait()


def asked_once(port):
    with Client(port) as client:
        return client.request(target="/info", version="HTTP/1.0").status


def test_the_demo_sends_clients_to_applications_and_guards_them():
    gateway, admin, guards, apps = (free_port() for _ in range(4))
    demo = Process(["demo", "redirect", "--port", str(gateway), "--admin-port", str(admin), "--guard-port", str(guards),
                    "--app-port", str(apps)])
    try:
        demo.wait(lambda: sum("registered as" in text for text in demo.lines) == 3, "the guards register")
        names = set()
        for _ in range(6):
            answer, _ = follow(gateway, "/info")
            assert answer.status == 200
            names.add(json.loads(answer.body)["name"])
        assert names == {"a", "b", "c"}
        assert follow(guards, "/info")[0].status == 200
        # As ab asks, which does not follow: HTTP/1.0, a new connection each time, ten at once.
        with concurrent.futures.ThreadPoolExecutor(10) as clients:
            assert set(clients.map(lambda _: asked_once(gateway), range(1000))) == {307}
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(DEADLINE_SECONDS) == 0
    finally:
        demo.kill()
