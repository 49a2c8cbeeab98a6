"""Edges of redirects, guards and limits: odd spellings of targets, cookies and reports, clients that break off, and what is known of used
tokens and counted requests over many upgrades and reloads while clients keep asking."""

import collections
import concurrent.futures
import contextlib
import json
import random
import signal
import threading
import time
from urllib.parse import urlsplit

import pytest

from admin_api import Api
from client import Client, request_bytes
from fleet import REGISTRAR, Fleet, Guard, key_file, until
from harness import Proxy, configuration, free_port
from limits import fixed, limiting, shown
from messages import reply
from server import Server
from test_guard import guarding, mint, with_token
from test_guard_faults import way


def guarded(app, keys, **more):
    """A configuration with a guard for server "a"."""
    return configuration(app, routes=[{"pool": "app", "guard": {"server": "a", "keys": keys}, **more}], workers=2)


def lenient(app, keys, skew):
    return configuration(app, routes=[{"pool": "app", "guard": {"server": "a", "keys": keys, "skew": skew}}])


def gateway_of(guard, route, **overrides):
    """A configuration of a gateway before that guard."""
    config = configuration(routes=[{"pool": "app", **route}], **overrides)
    config["pools"]["app"]["servers"] = [{"address": f"127.0.0.1:{guard.port}", "id": "a"}]
    return config


def ended_processes(proxy):
    return sum("the process before this one has ended" in text for text in proxy.lines)


# Over upgrades


def test_what_any_earlier_process_let_in_is_used_everywhere_soon(tmp_path):
    """Five processes in a row, each with a connection that is idle: what the old ones let in on it, the last one hears of."""
    gate = None

    async def script(connection):
        while request := await connection.request():
            if request.target.startswith("/held"):
                await gate.wait()
            await connection.send(reply())

    with Server(script) as app, contextlib.ExitStack() as stack:
        gate = app.gate()
        config = {**guarded(app, key_file(tmp_path / "keys.json")), "timeouts": {"drain": "30s"}}
        proxy = stack.enter_context(Proxy(config))
        idle, held = [], []
        for number in range(4):
            idle.append(stack.enter_context(proxy.client()))
            assert idle[-1].get(with_token("/first", mint("/first"))).status == 200
            held.append(stack.enter_context(proxy.client()))
            held[-1].send(request_bytes(target=with_token(f"/held{number}", mint(f"/held{number}"))))
            app.wait(lambda: sum(request.target.startswith("/held") for request in app.requests) == number + 1)
            proxy.upgrade()
        tokens = [mint("/last") for _ in idle]
        assert [client.get(with_token("/last", token)).status for client, token in zip(idle, tokens)] == [200] * 4
        until(lambda: proxy.page("metrics")["guard"]["admitted"] == 12, "all have told what they let in")
        assert {proxy.get(with_token("/last", token)).status for token in tokens} == {403}
        gate.open()
        assert {client.response().status for client in held} == {200}
        proxy.wait(lambda: ended_processes(proxy) == 4, "all but the last have ended")
        assert proxy.page("metrics")["guard"] == {"admitted": 12, "carried": 0, "denied": 4, "absent": 0, "active": 0}


@pytest.mark.parametrize("kind", ["fixed_window", "sliding_window", "token_bucket"])
def test_a_limit_is_kept_by_clients_that_keep_asking_over_upgrades(kind):
    allowed, clients, upgrades = 300, 4, 4
    with Server() as app, Proxy(limiting([app], {"a": {"kind": kind, "rate": f"{allowed}/1h"}}, workers=2)) as proxy:
        found, stopping = [], threading.Event()

        def ask():
            while not stopping.is_set():
                with proxy.client() as client:
                    found.append(client.get(Connection="close").status)
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            asking = [pool.submit(ask) for _ in range(clients)]
            for _ in range(upgrades):
                before = len(found)
                until(lambda: len(found) > before + 30, "they are answered")
                proxy.upgrade()
            until(lambda: found.count(429) > 20, "the limit is reached")
            stopping.set()
            for each in asking:
                each.result()
        proxy.wait(lambda: ended_processes(proxy) == upgrades, "all but the last have ended")
        assert set(found) == {200, 429}
        regained = 5 if kind == "token_bucket" else 0
        assert allowed <= found.count(200) <= allowed + regained + clients * upgrades, "only connections of old processes may count apart"
        limit = shown(proxy, "a")
        assert (limit["passed"], limit["refused"]) == (found.count(200), found.count(429))


def test_a_higher_limit_after_an_upgrade_counts_from_what_was_counted():
    with Server() as app, Proxy(limiting([app], {"a": fixed(20), "b": fixed(500, key="path")})) as proxy:
        def passed(count):
            with proxy.client() as client:
                return [client.get().status for _ in range(count)].count(200)
        assert passed(25) == 20
        proxy.upgrade(limiting([app], {"b": fixed(500, key="path"), "a": fixed(50)}))
        assert passed(40) == 30
        proxy.upgrade(limiting([app], {"a": fixed(50, key="method")}))
        assert passed(60) == 50, "by another key it begins anew"


def test_an_upgrade_without_its_keys_changes_nothing(tmp_path):
    keys = tmp_path / "keys.json"
    with Server() as app, Proxy(guarded(app, key_file(keys))) as proxy:
        keys.unlink()
        proxy.send_signal(signal.SIGUSR2)
        proxy.wait_line(r"cannot open the key file .*keys\.json")
        proxy.wait_line("before it was ready: this one goes on as before")
        assert proxy.get(with_token("/a", mint("/a"))).status == 200
        key_file(keys)
        proxy.upgrade()
        assert proxy.get(with_token("/a", mint("/a"))).status == 200


class Chance:
    """Configurations of one gateway and guard that have little in common but the port, in an order that is the same each time."""

    def __init__(self, app, keys):
        self.app, self.keys, self.port, self.random = app, keys, free_port(), random.Random(7)

    def config(self):
        choice = self.random.choice
        counted = [{"kind": "concurrent", "active_max": 100}, fixed(1_000_000), {"kind": "sliding_window", "rate": "100000/1h"}]
        limits = choice([{}, {"a": choice(counted)}, {"a": choice(counted), "b": {"kind": "bandwidth", "rate": "50MiB/1s"}}])
        named = {"limits": list(limits)} if limits else {}
        guard = {"server": "a", "keys": self.keys, "one_time": choice([True, False]), "gateway": "http://gateway.test"}
        route = {"pool": "app", "name": choice(["one", "other"]), "mode": choice(["proxy", "redirect", "auto"]), **named}
        if route["mode"] != "proxy" and choice([True, False]):
            route["redirect"] = {"keys": self.keys, "token_in": choice(["query", "cookie"]), "client": choice(["exact", "none", "/24"])}
        routes = [{"match": {"path": "/guarded/*"}, "pool": "app", "guard": guard, **named}, route]
        config = configuration(self.app, routes=routes, workers=2, **({"limits": limits} if limits else {}))
        return {**config, "listeners": [{"bind": f"127.0.0.1:{self.port}", "status_pages": True}]}


def test_reloads_and_upgrades_that_change_everything_are_not_noticed(tmp_path):
    found, stopping = collections.Counter(), threading.Event()

    def ask(port, seed):
        chance = random.Random(seed)
        while not stopping.is_set():
            with Client(port) as client:
                for _ in range(chance.choice([1, 1, 5, 20])):
                    kind = chance.choice(["get", "post", "admitted", "absent"])
                    target = {"admitted": with_token("/guarded/a", mint("/guarded/a")), "absent": "/guarded/a"}.get(kind, "/x")
                    body = b"x" * chance.choice([10, 30_000]) if kind == "post" else None
                    answer = client.request("POST" if kind == "post" else "GET", target, {}, body)
                    found[kind, answer.status] += 1
                    if stopping.is_set() or "close" in answer.listed("connection"):
                        break

    with Server() as app, concurrent.futures.ThreadPoolExecutor(4) as pool:
        chance = Chance(app, key_file(tmp_path / "keys.json"))
        with Proxy(chance.config()) as proxy:
            asking = [pool.submit(ask, chance.port, seed) for seed in range(4)]
            proxy.port = chance.port
            for number in range(60):
                before = found.total()
                until(lambda: found.total() > before + 10 or any(each.done() for each in asking), "they are answered")
                (proxy.upgrade if number % 10 == 9 else proxy.reload)(chance.config())
            stopping.set()
            for each in asking:
                each.result()
            proxy.wait(lambda: ended_processes(proxy) == 6, "all but the last have ended")
            assert {status for kind, status in found if kind in ("get", "post")} == {200, 307}
            assert {status for kind, status in found if kind == "admitted"} == {200}
            assert {status for kind, status in found if kind == "absent"} == {307}
            counts = proxy.page("metrics")["guard"]
            assert (counts["admitted"], counts["absent"]) == (found["admitted", 200], found["absent", 307])


# Spellings


@pytest.mark.parametrize("sent, bound", [
    ("http://test.local", "/"), ("http://test.local?x=1", "/?x=1"), ("http://test.local/a", "/a"), ("/?", "/?"), ("///", "///"),
    ("/a?&&steelyard_token=x&&", "/a?&&&"), ("/a?steelyard_token", "/a"), ("/a?steelyard_token=", "/a"),
    ("/a;steelyard_token=x", "/a;steelyard_token=x"), ("/a?b=c?steelyard_token=x", "/a?b=c?steelyard_token=x"),
    ("/a?b=%0d%0aX:y", "/a?b=%0d%0aX:y"), ("//other.test/a", "//other.test/a")])
def test_odd_targets_are_redirected_and_get_in(tmp_path, sent, bound):
    keys = key_file(tmp_path / "keys.json")
    with guarding(tmp_path, keys=keys) as (guard, app):
        with Proxy(gateway_of(guard, {"mode": "redirect", "redirect": {"keys": keys}})) as gateway:
            with gateway.client() as client:
                client.send(f"GET {sent} HTTP/1.1\r\nHost: test.local\r\n\r\n")
                answer = client.response()
            where, _, rest = answer.value("location").partition(f"http://127.0.0.1:{guard.port}")
            assert answer.status == 307 and where == "" and rest.rpartition("steelyard_token=")[0][:-1] == bound
            assert guard.get(rest).status == 200 and len(app.requests) == 1


@pytest.mark.parametrize("cookie, status, rest", [
    ('steelyard_token="TOKEN"', 200, None), ("a=b;;steelyard_token=TOKEN", 200, "a=b"), ("a=b;steelyard_token=TOKEN;c=d", 200, "a=b; c=d"),
    ("steelyard_token =TOKEN", 307, None), ("STEELYARD_TOKEN=TOKEN", 307, None), ("a=b,steelyard_token=TOKEN", 307, None),
    ("steelyard_token=", 403, None), ("steelyard_token; steelyard_token=TOKEN", 403, None), ("steelyard_token=OTHER", 307, None)])
def test_odd_cookies_are_read_in_one_way(tmp_path, cookie, status, rest):
    with guarding(tmp_path, "--token-cookie", "--gateway", "http://gateway.test") as (guard, app):
        text = cookie.replace("TOKEN", mint("/a")).replace("OTHER", mint("/a", aud="b"))
        assert guard.get("/a", fields={"Cookie": text}).status == status
        assert [request.value("cookie") for request in app.requests] == ([rest] if status == 200 else [])


@pytest.mark.parametrize("claims", [
    {"hop": 256}, {"hop": -1}, {"hop": True}, {"prx": False}, {"prx": 1}, {"prx": "true"}, {"net": ""}, {"net": "127.0.0.1/8"},
    {"net": "127.0.0.1/33"}, {"net": ["127.0.0.1/32"]}, {"aud": ["a"]}, {"exp": 2**63}, {"exp": 2**53}, {"exp": 2e9}, {"jti": "AAAA"},
    {"iat": "0"}, {"mth": "get"}, {"header": {"typ": "jwt"}}, {"header": {"kid": 1}}, {"header": {"alg": "hs256"}}],
                         ids=str)
def test_a_signed_claim_of_another_form_lets_nobody_in(tmp_path, claims):
    with guarding(tmp_path) as (guard, app):
        assert guard.get(with_token("/a", mint("/a", **claims))).status == 403
        assert app.requests == []


@pytest.mark.parametrize("client, status", [
    ("192.0.2.1", 403), ("::ffff:127.0.0.1", 204), ("[127.0.0.1]", 400), ("127.0.0.1, 192.0.2.1", 400), ("", 400), ("localhost", 400),
    ("127.0.0.1:80", 400), ("0177.0.0.1", 400)])
def test_a_question_names_its_client_in_one_way(tmp_path, client, status):
    with guarding(tmp_path) as (guard, _):
        fields = {"X-Original-URI": with_token("/a", mint("/a", net="127.0.0.1/32")), "X-Original-Method": "GET"}
        assert guard.get("/__verify__", fields={**fields, "X-Original-Client": client}).status == status


@pytest.mark.parametrize("path", ["/__verify__/", "/x/../__verify__", "/%5f_verify__", "//__verify__", "/__VERIFY__"])
def test_no_other_path_is_a_question(tmp_path, path):
    with guarding(tmp_path) as (guard, app):
        fields = {"X-Original-URI": with_token("/a", mint("/a")), "X-Original-Method": "GET"}
        assert guard.get(path, fields=fields).status == 403
        assert app.requests == []


@pytest.mark.parametrize("at_gateway", ["x_forwarded", "forwarded", "both", "off"])
@pytest.mark.parametrize("at_guard", ["x_forwarded", "forwarded", "both", "off"])
def test_no_client_says_itself_who_it_is_past_a_gateway_and_a_guard(tmp_path, at_gateway, at_guard):
    keys = key_file(tmp_path / "keys.json")
    lies = {"X-Forwarded-For": "203.0.113.6", "Forwarded": "for=203.0.113.6", "X-Real-IP": "203.0.113.6"}
    with Server() as app, Proxy({**guarded(app, keys), "forwarded": {"style": at_guard}}) as guard:
        config = gateway_of(guard, {"mode": "auto", "redirect": {"keys": keys}}, forwarded={"style": at_gateway})
        with Proxy(config) as gateway, gateway.client() as client:
            assert client.request("PUT", "/a", lies, b"x").status == 200
        assert "203.0.113.6" not in str(app.requests[0].fields)


def test_reports_that_cannot_be_are_refused_and_change_nothing(tmp_path):
    with Fleet(tmp_path, {}) as fleet:
        guard = Api(fleet.admin_port, REGISTRAR)
        server = {"address": f"127.0.0.1:{free_port()}", "lease": "30s", "load": 3, "arrived": 0, "run": "a"}
        assert guard.ask("PUT", "/v1/pools/app/servers/z", server)[0] == 201

        def active():
            return [state["active"] for state in fleet.api.servers()["z"]["states"]]
        until(lambda: active() == [3], "the gateway has heard of it")
        for changed in ({"load": 2**32}, {"load": -1}, {"load": 1.5}, {"load": "1"}, {"arrived": 2**64}, {"arrived": -1}, {"run": ""},
                        {"run": "x" * 100_000}, {"arrived": None}):
            report = {"load": 0, "arrived": 5, "run": "b", **changed}
            assert guard.ask("POST", "/v1/pools/app/servers/z/renew", report)[0] in (413, 422), changed
            assert active() == [3]
        for number in range(10):
            way(fleet, f"/{number}")
        for arrived in (100, 0, 2**53):  # more than were sent, fewer than before, very many
            assert guard.ask("POST", "/v1/pools/app/servers/z/renew", {"load": 0, "arrived": arrived, "run": "a"})[0] == 200
            assert active()[0] >= 0
        assert guard.ask("POST", "/v1/pools/app/servers/z/renew", {"load": 2, "arrived": 0, "run": "c"})[0] == 200
        assert active() == [2], "another run counts anew"


# Clients that break off


def test_clients_that_break_off_at_a_guard_leave_nothing(tmp_path):
    async def silent(connection):
        await connection.request()
        await connection.until_closed()

    with guarding(tmp_path, handler=silent) as (guard, _):
        assert guard.get("/__health__").status == 200
        before = guard.descriptors()
        clients = [guard.client() for _ in range(40)]
        for number, client in enumerate(clients):
            asked = request_bytes(target=with_token("/a", mint("/a")))
            client.send(asked if number % 4 else asked[:150])
            if number % 3 == 0:
                client.half_close()
        until(lambda: guard.page()["guard"]["active"] == 30, "they have arrived")
        for client in clients:
            client.reset()
        until(lambda: guard.page()["guard"]["active"] == 0, "they have gone")
        until(lambda: guard.descriptors() <= before + 1, "their connections are closed")


def test_the_place_of_whoever_is_redirected_sent_back_or_denied_is_free_again(tmp_path):
    guard = {"server": "a", "keys": key_file(tmp_path / "keys.json")}
    routes = [{"match": {"path": "/redirected/*"}, "pool": "app", "mode": "redirect", "redirect": {"keys": guard["keys"]}, "limits": "a"},
              {"match": {"path": "/back/*"}, "pool": "app", "guard": {**guard, "gateway": "http://gateway.test"}, "limits": "a"},
              {"pool": "app", "guard": guard, "limits": "a"}]
    limits = {"a": {"kind": "concurrent", "active_max": 1, "key": "host"}}
    with Server() as app, Proxy(limiting([app], limits, routes=routes)) as proxy, proxy.client() as client:
        for target, status in (("/redirected/a", 307), ("/redirected/a?steelyard_hops=x", 400), ("/redirected/a?steelyard_hops=17", 508),
                               ("/back/a", 307), ("/back/a?steelyard_hops=9", 508), ("/a", 403), ("/a?steelyard_token=x", 403),
                               ("/__verify__", 400), (with_token("/a", mint("/a")), 200)) * 2:
            expected = 403 if status == 200 and app.requests else status
            assert client.get(target).status == expected, target
        for target in ("/redirected/a", "/back/a", with_token("/a", mint("/a"))):
            with proxy.client() as other:
                other.send(request_bytes("POST", target, {"Content-Length": "100"}))
                other.reset()
        until(lambda: client.get("/redirected/a").status == 307, "the place is free")


def test_requests_behind_a_redirect_that_left_a_body_unread_reach_nobody(tmp_path):
    keys = key_file(tmp_path / "keys.json")
    with Server() as app, Proxy(configuration(app, routes=[{"match": {"path": "/carried"}, "pool": "app"},
                                                           {"pool": "app", "mode": "redirect", "redirect": {"keys": keys}}])) as proxy:
        behind = b"GET /carried HTTP/1.1\r\nHost: x\r\n\r\n"
        with proxy.client() as client:
            client.send(request_bytes("POST", "/a", {"Content-Length": str(len(behind) + 5)}) + behind)
            answer = client.response()
            assert answer.status == 307 and "close" in answer.listed("connection")
            client.expect_end()
        assert app.requests == []
        with proxy.client() as client:
            client.send(request_bytes("POST", "/a", body=b"whole") + behind)
            assert [client.response().status for _ in range(2)] == [307, 200], "a body that is there is no reason to end"


def test_the_longest_request_line_is_redirected_and_gets_past_the_guard(tmp_path):
    keys = key_file(tmp_path / "keys.json")
    with Server() as app:
        guard = Guard(app.port, keys)
        try:
            with Proxy(gateway_of(guard, {"mode": "redirect", "redirect": {"keys": keys}})) as gateway:
                longest = next(length for length in range(8192, 8100, -1) if gateway.get("/" + "x" * length).status == 307)
                where = urlsplit(gateway.get("/" + "x" * longest).value("location"))
                assert guard.get(f"{where.path}?{where.query}").status == 200 and longest > 8160
                assert gateway.get("/" + "x" * (longest + 1)).status == 414
        finally:
            guard.kill()


def test_a_refused_request_has_not_used_its_token(tmp_path):
    keys = key_file(tmp_path / "keys.json")
    tokens = [mint("/a", exp=int(time.time()) + 300) for _ in range(4)]
    with Server() as app, Proxy({**guarded(app, keys, limits="a"), "limits": {"a": fixed(2)}}) as proxy:
        assert [proxy.get(with_token("/a", token)).status for token in tokens] == [200, 200, 429, 429]
        proxy.reload({**guarded(app, keys, limits="a"), "limits": {"a": fixed(100)}})
        assert [proxy.get(with_token("/a", token)).status for token in tokens] == [403, 403, 200, 200]


# Where clocks may differ, and what others may read


@pytest.mark.parametrize("how", ["reload", "upgrade"])
def test_a_used_token_stays_used_where_clocks_may_differ_more_than_before(tmp_path, how):
    keys = key_file(tmp_path / "keys.json")
    with Server() as app, Proxy(lenient(app, keys, skew="0s")) as proxy:
        now = int(time.time())
        token = mint("/a", iat=now - 10, exp=now + 1)
        assert proxy.get(with_token("/a", token)).status == 200
        until(lambda: proxy.get(with_token("/a", mint("/a", iat=now - 10, exp=now + 1))).status == 403, "tokens of that time expire")
        getattr(proxy, how)(lenient(app, keys, skew="1m"))
        assert proxy.get(with_token("/a", token)).status == 403


def test_a_token_used_on_a_route_stays_used_on_another_one_with_more_skew(tmp_path):
    keys = key_file(tmp_path / "keys.json")
    strict, lax = ({"pool": "app", "guard": {"server": "a", "keys": keys, "skew": skew}} for skew in ("0s", "1m"))
    with Server() as app, Proxy(configuration(app, routes=[{"match": {"host": "strict.test"}, **strict}, lax])) as proxy:
        now = int(time.time())
        token = mint("/a", iat=now - 10, exp=now + 1)

        def ask(shown_token, host):
            with proxy.client() as client:
                return client.request("GET", with_token("/a", shown_token), host=host).status
        assert ask(token, "strict.test") == 200
        until(lambda: ask(mint("/a", iat=now - 10, exp=now + 1), "strict.test") == 403, "tokens of that time expire")
        assert ask(token, "lax.test") == 403


def test_a_question_that_names_two_clients_is_refused(tmp_path):
    with guarding(tmp_path) as (guard, _), guard.client() as client:
        asked = f"X-Original-URI: {with_token('/a', mint('/a', net='127.0.0.1/32'))}\r\nX-Original-Method: GET\r\n"
        clients = "X-Original-Client: 192.0.2.1\r\nX-Original-Client: 192.0.2.2\r\n"
        client.send(f"GET /__verify__ HTTP/1.1\r\nHost: x\r\n{asked}{clients}\r\n")
        assert client.response().status == 400


def test_a_gateway_s_log_does_not_show_a_token_that_is_still_good(tmp_path):
    log = tmp_path / "access.log"
    keys = key_file(tmp_path / "keys.json")
    with guarding(tmp_path, "--reusable", keys=keys) as (guard, app):
        pool = {"servers": [{"address": f"127.0.0.1:{guard.port}", "id": "a"}]}
        redirect = [{"pool": "app", "mode": "redirect", "redirect": {"keys": keys, "client": "none"}}]
        with Proxy(configuration(app, pool=pool, routes=redirect, log={"access": str(log)})) as gateway:
            location = gateway.get("/a").value("location")
            target = location[location.index("/a?"):]
            assert gateway.get(target).status == 307, "the client asks the gateway once more for what it was sent to"
        shown_targets = [json.loads(line)["target"] for line in log.read_text().splitlines()]
        assert len(shown_targets) == 2 and guard.get(shown_targets[1]).status != 200
