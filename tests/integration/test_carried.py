"""What a gateway carries in `mode: auto` to servers behind guards: each try has a token of its own, and the gateway counts it."""

import contextlib
import itertools
import json

import pytest

from client import Client, request_bytes
from fleet import App, Fleet, follow, key_file, until
from harness import Proxy, configuration
from messages import reply
from server import Server, answer_hello
from test_redirect import verified

SMALL = {"methods": ["GET"], "body_bytes_min": "1KiB"}
NOTHING = {"methods": [], "body_bytes_min": "never"}


@contextlib.contextmanager
def guarded(tmp_path, handler=answer_hello, auto=SMALL, more=(), **redirect):
    """A gateway, a guard, and a server that records what gets past it."""
    with Server(handler) as app:
        fleet = Fleet(tmp_path, {"a": app.port}, *more, redirect={"auto": dict(auto), **redirect})
        fleet.config["routes"][-1]["mode"] = "auto"
        with fleet:
            yield fleet, app


@contextlib.contextmanager
def unguarded(tmp_path, *scripts, pool=(), **route):
    """A gateway that signs for servers which show what they were sent: a, b and so on."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(script)) for script in scripts]
        config = configuration(*servers, pool=dict(pool))
        for described, name in zip(config["pools"]["app"]["servers"], "abc"):
            described["id"] = name
        config["routes"] = [{"pool": "app", "mode": "auto", **route,
                             "redirect": {"keys": key_file(tmp_path / "keys"), "auto": NOTHING, **route.get("redirect", {})}}]
        yield stack.enter_context(Proxy(config)), *servers


def breaking_once(asked):
    """A script for several servers: the first request that any of them gets breaks its connection. All requests are kept in `asked`."""
    async def script(connection):
        while request := await connection.request():
            asked.append(request)
            if len(asked) == 1:
                return connection.reset()
            await connection.send(reply())
    return script


def claims(request, method="GET"):
    return verified(f"http://server{request.target}", method=method)


@pytest.mark.parametrize("begins_at", ["gateway", "guard"])
@pytest.mark.parametrize("target", ["/a", "/a?b=c%2F&&d", "/%7Ea//b;c?", "/?x"])
def test_what_is_carried_gets_past_the_guard(tmp_path, begins_at, target):
    with guarded(tmp_path) as (fleet, app):
        first = {"gateway": fleet.gateway_port, "guard": fleet.ports["a"]}[begins_at]
        answer, ports = follow(first, target, "POST", b"body")
        assert (answer.status, answer.body) == (200, b"hello")
        assert ports == [first] if begins_at == "gateway" else [first, fleet.gateway_port]
        direct = Server()
        with direct, Proxy(configuration(direct)) as plain, plain.client() as client:
            client.request("POST", target, body=b"body")
        assert [request.target for request in app.requests] == [request.target for request in direct.requests]
        assert app.requests[0].body == b"body"
        guard = fleet.guards["a"].page()["guard"]
        assert (guard["carried"], guard["admitted"], guard["denied"]) == (1, 0, 0)


def test_a_path_that_is_not_normal_is_signed_as_it_goes_out(tmp_path):
    with guarded(tmp_path) as (fleet, app), Client(fleet.gateway_port) as client:
        assert client.request("POST", "/x/../a/./%62?c", body=b"x").status == 200
        assert [request.target for request in app.requests] == ["/a/b?c"]


def test_a_token_that_the_client_sends_along_is_replaced(tmp_path):
    with guarded(tmp_path) as (fleet, app), Client(fleet.gateway_port) as client:
        old = client.get("/a?b=c").value("location").partition("/a?")[2]
        assert client.request("POST", f"/a?{old}", body=b"x").status == 200
        assert client.request("POST", "/a?steelyard_token=x&b=c", body=b"x").status == 200
        assert client.request("POST", "/a?b=c&steelyard_hops=1", body=b"x").status == 200
        assert [request.target for request in app.requests] == ["/a?b=c"] * 3
        twice = client.request("POST", "/a?steelyard_token=x&steelyard_token=y", body=b"x")
        assert twice.status == 400 and len(app.requests) == 3
        assert client.request("POST", "/a?steelyard_hops=99", body=b"x").status == 508


def test_a_websocket_is_carried_past_the_guard(tmp_path):
    async def switch(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := await connection.recv():
            await connection.send(data)

    with guarded(tmp_path, switch) as (fleet, app), Client(fleet.gateway_port) as client:
        client.send(request_bytes(target="/ws", fields={"Connection": "Upgrade", "Upgrade": "echo"}))
        assert client.response().status == 101
        client.send(b"hello")
        assert client.exactly(5) == b"hello"
        assert [request.target for request in app.requests] == ["/ws"]


def test_a_preflight_is_carried_past_the_guard_and_so_is_its_request(tmp_path):
    asks = {"Origin": "https://page.test", "Access-Control-Request-Method": "PUT"}
    with guarded(tmp_path) as (fleet, app), Client(fleet.gateway_port) as client:
        assert client.request("OPTIONS", "/a", asks).status == 200
        assert client.request("PUT", "/a", {"Origin": "https://page.test"}, b"x").status == 200
        assert client.request("OPTIONS", "/a").status == 200, "without an origin it is a request like others"
        assert [request.method for request in app.requests] == ["OPTIONS", "PUT", "OPTIONS"]


def test_a_request_about_the_server_as_a_whole_cannot_be_signed(tmp_path):
    with guarded(tmp_path) as (fleet, app), Client(fleet.gateway_port) as client:
        refused = client.request("OPTIONS", "*")
        assert refused.status == 400 and b"no path" in refused.body
        assert app.requests == []


def test_a_token_in_a_cookie_is_beside_the_clients_own(tmp_path):
    with guarded(tmp_path, more=["--token-cookie"], token_in="cookie") as (fleet, app), Client(fleet.gateway_port) as client:
        for cookie in (None, "x=1; y=2", "steelyard_token=old; x=1", "steelyard_token=old"):
            assert client.request("POST", "/a?b", {"Cookie": cookie} if cookie else {}, b"x").status == 200, cookie
        assert [request.value("cookie") for request in app.requests] == [None, "x=1; y=2", "x=1", None]
        assert [request.target for request in app.requests] == ["/a?b"] * 4


def test_a_path_alone_may_be_bound(tmp_path):
    with guarded(tmp_path, more=["--path-only"], bind_query=False) as (fleet, app), Client(fleet.gateway_port) as client:
        assert client.request("POST", "/a?b=c", body=b"x").status == 200
        assert [request.target for request in app.requests] == ["/a?b=c"]


def test_a_route_may_carry_everything(tmp_path):
    with guarded(tmp_path, auto=NOTHING) as (fleet, app), Client(fleet.gateway_port) as client:
        assert client.get("/a").status == 200
        assert client.request("POST", "/a", body=b"x" * 100_000).status == 200
        assert [request.target for request in app.requests] == ["/a", "/a"]


def test_the_token_is_for_the_gateway_that_carries(tmp_path):
    with unguarded(tmp_path, answer_hello) as (gateway, server):
        with Client(gateway.port, source="127.0.0.9") as client:
            assert client.get("/a?b").status == 200
        says = claims(server.requests[0])
        assert (says["aud"], says["prx"]) == ("a", True)
        assert "net" not in says, "whom the guard sees is the gateway"


def test_each_try_has_a_token_of_its_own(tmp_path):
    """Whoever is asked first refuses, so another one is asked, for whom the first one's token would be none."""
    asked = []

    async def busy_at_first(connection):
        while request := await connection.request():
            asked.append(request)
            await connection.send(reply(503 if len(asked) < 3 else 200))

    with unguarded(tmp_path, *[busy_at_first] * 3, pool={"retries": {"on_statuses": [503]}}) as (gateway, *servers):
        with gateway.client() as client:
            assert client.get("/x?y").status == 200
        says = {name: claims(server.requests[0]) for name, server in zip("abc", servers)}
        assert {name: each["aud"] for name, each in says.items()} == {"a": "a", "b": "b", "c": "c"}
        assert len({each["jti"] for each in says.values()}) == 3


def test_a_try_on_a_fresh_connection_has_a_new_token(tmp_path):
    """The first may have been used up by a server that said nothing."""
    async def leaves_after_one(connection):
        await connection.request()
        await connection.send(reply(body=b"hello"))
        await connection.request()
        connection.reset()

    with unguarded(tmp_path, leaves_after_one) as (gateway, server):
        with gateway.client() as client:
            assert [client.get("/x").status for _ in range(2)] == [200, 200]
        ids = [claims(request)["jti"] for request in server.requests]
        assert len(ids) == 3 and len(set(ids)) == 3


def test_a_body_is_sent_again_with_the_next_token(tmp_path):
    with unguarded(tmp_path, *[breaking_once([])] * 2, repeat="any") as (gateway, a, b):
        with gateway.client() as client:
            assert client.request("POST", "/x", body=b"body").status == 200
        assert [claims(server.requests[0], "POST")["aud"] for server in (a, b)] == ["a", "b"]
        assert (a.requests[0].body, b.requests[0].body) == (b"body", b"body")


def test_what_is_carried_counts_once(tmp_path):
    """The gateway knows by itself what it carries; the guard tells of those only that were sent there."""
    may_go = None

    async def slow(connection):
        while await connection.request():
            await may_go.wait()
            await connection.send(reply())

    with guarded(tmp_path, slow) as (fleet, app):
        may_go = app.gate()
        with contextlib.ExitStack() as stack:
            carried = [stack.enter_context(Client(fleet.gateway_port)) for _ in range(3)]
            for client in carried:
                client.send(request_bytes("POST", "/carried", {"Content-Length": "0"}))
            sent = [stack.enter_context(Client(fleet.ports["a"])) for _ in range(2)]
            with Client(fleet.gateway_port) as asks:
                for client in sent:
                    where = asks.get("/sent").value("location")
                    client.send(request_bytes(target=where[where.index("/sent"):]))
            until(lambda: len(app.requests) == 5, "all have arrived")
            until(lambda: (fleet.api.servers()["a"]["lease"] or {}).get("load") == 2, "the gateway hears of the two that it has sent there")
            guard = fleet.guards["a"].page()["guard"]
            assert (guard["carried"], guard["admitted"], guard["active"]) == (3, 2, 2)
            (state,) = fleet.api.servers()["a"]["states"]
            assert (state["active"], state["remote"]) == (5, 2)
            may_go.open()
            for client in itertools.chain(carried, sent):
                assert client.response().status == 200
            until(lambda: fleet.api.servers()["a"]["states"][0]["active"] == 0, "nothing is under way")
            assert fleet.guards["a"].page()["guard"]["active"] == 0


def test_the_application_behind_a_guard_serves_both_ways(tmp_path):
    apps = {name: App(name) for name in "abc"}
    try:
        fleet = Fleet(tmp_path, {name: app.port for name, app in apps.items()}, redirect={"auto": SMALL})
        fleet.config["routes"][-1]["mode"] = "auto"
        with fleet:
            names = set()
            for _ in range(6):
                for method, body in (("GET", None), ("POST", b"small"), ("POST", b"x" * 5000)):
                    answer, ports = follow(fleet.gateway_port, "/info" if method == "GET" else "/upload", method, body)
                    assert answer.status == 200 and len(ports) == (1 if body == b"small" else 2)
                    if method == "GET":
                        names.add(json.loads(answer.body)["name"])
            assert names == {"a", "b", "c"}
    finally:
        for app in apps.values():
            app.kill()
