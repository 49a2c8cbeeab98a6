"""What a gateway carries to servers behind guards while something else goes on: keys, modes and guards change under load, a guard is
killed, clients wait or leave; and what must pass both of them unchanged."""

import contextlib
import signal

import pytest

from client import Client, request_bytes
from fleet import Fleet, follow, jwk, key_file, until
from harness import DEADLINE_SECONDS, Proxy, configuration, run
from messages import reply
from server import Server, answer_hello
from test_carried import NOTHING, SMALL, breaking_once, claims, guarded, unguarded
from test_guard import guarding, mint, with_token
from test_guard_faults import Crowd, denied

PREFLIGHT = {"Origin": "https://page.test", "Access-Control-Request-Method": "PUT"}


class CarriedCrowd(Crowd):
    """Clients that are carried whatever they ask; nobody of them is ever told to come back."""

    def ask(self, target):
        with Client(self.fleet.gateway_port) as client:
            answer = client.request("PUT", target, {}, b"x" * 300)
        return answer.status, answer.body


@contextlib.contextmanager
def behind_guards(directory, names, script=answer_hello, auto=NOTHING, **options):
    """A gateway that carries, and one application behind all of these guards."""
    with Server(script) as app:
        app.may_go = app.gate()
        fleet = Fleet(directory, {name: app.port for name in names}, redirect={"auto": dict(auto)}, **options)
        fleet.config["routes"][-1]["mode"] = "auto"
        with fleet:
            yield fleet, app


async def held(connection):
    while await connection.request():
        await connection.server.may_go.wait()
        await connection.send(reply(body=b"held"))


def state(fleet, name="a"):
    return fleet.api.servers()[name]["states"][0]


def carrying(fleet):
    return next(name for name in fleet.apps if state(fleet, name)["active"])


def ask(port, method, target, fields=(), body=None):
    with Client(port) as client:
        return client.request(method, target, fields, body)


# Changes under load


def test_keys_are_changed_under_load_and_nothing_that_is_carried_is_refused(tmp_path):
    with behind_guards(tmp_path, "ab") as (fleet, _), CarriedCrowd(fleet) as crowd:
        old = jwk()
        for name in "xy":
            new = jwk(name, name.encode() * 32)
            for keys in ([old, new], [new, old], [new]):
                key_file(tmp_path / "keys.json", *keys)
                for guard in fleet.guards.values():
                    guard.read_keys_again()
                fleet.gateway.reload(fleet.config)
                crowd.wait_served()
            old = new
        assert crowd.began_anew == 0 and denied(fleet) == 0


def test_a_route_that_carries_now_and_then_redirects_loses_nobody(tmp_path):
    with behind_guards(tmp_path, "ab") as (fleet, _), Crowd(fleet) as crowd:
        for mode, auto in (("redirect", SMALL), ("auto", NOTHING)) * 2:
            fleet.config["routes"][-1].update(mode=mode, redirect={**fleet.config["routes"][-1]["redirect"], "auto": auto})
            fleet.gateway.reload(fleet.config)
            crowd.wait_served()
        assert crowd.began_anew == 0 and denied(fleet) == 0


def test_guards_that_end_and_come_back_are_not_noticed(tmp_path):
    with behind_guards(tmp_path, "ab") as (fleet, _), CarriedCrowd(fleet) as crowd:
        for name in "ab":
            guard = fleet.guards.pop(name)
            guard.process.send_signal(signal.SIGTERM)
            assert guard.process.wait(DEADLINE_SECONDS) == 0
            crowd.wait_served()
            fleet.start_guard(name)
            fleet.wait_registered(name)
            crowd.wait_served()
        assert crowd.began_anew == 0 and denied(fleet) == 0


# One of them goes


def test_what_a_killed_guard_was_carrying_goes_to_another(tmp_path):
    async def stuck_at_first(connection):
        while await connection.request():
            if len(connection.server.requests) == 1:
                await connection.until_closed()
            else:
                await connection.send(reply(body=b"second"))

    with behind_guards(tmp_path, "ab", stuck_at_first) as (fleet, app), Client(fleet.gateway_port) as client:
        client.send(request_bytes(target="/x?y"))
        app.wait(lambda: app.requests, "it has arrived")
        fleet.guards.pop(carrying(fleet)).kill()
        assert client.response().body == b"second"
        assert [request.target for request in app.requests] == ["/x?y"] * 2
        assert denied(fleet) == 0


def test_a_guard_that_drains_ends_what_it_carries(tmp_path):
    with behind_guards(tmp_path, "a", held) as (fleet, app), Client(fleet.gateway_port) as client:
        client.send(request_bytes("PUT", "/x", {}, b"1"))
        app.wait(lambda: app.requests, "it has arrived")
        fleet.guards["a"].process.send_signal(signal.SIGTERM)
        fleet.guards["a"].wait_line("draining")
        app.may_go.open()
        assert client.response().body == b"held"
        assert fleet.guards["a"].process.wait(DEADLINE_SECONDS) == 0


def test_a_server_is_drained_only_when_what_is_carried_there_has_ended(tmp_path):
    with behind_guards(tmp_path, "ab", held) as (fleet, app), Client(fleet.gateway_port) as client:
        client.send(request_bytes("PUT", "/x", {}, b"1"))
        app.wait(lambda: app.requests, "it has arrived")
        name = carrying(fleet)
        assert fleet.api.ask("POST", f"/v1/pools/app/servers/{name}/drain", {})[0] == 202
        assert (state(fleet, name)["active"], state(fleet, name)["remote"]) == (1, 0)
        app.may_go.open()
        assert client.response().status == 200
        until(lambda: state(fleet, name)["active"] == 0, "nothing is under way there")


def test_who_waits_for_a_place_is_carried_or_sent_when_there_is_one(tmp_path):
    pool = {"concurrency": {"per_server_max": 1, "queue_timeout": "30s"}}
    with behind_guards(tmp_path, "a", held, SMALL, pool=pool) as (fleet, app), contextlib.ExitStack() as stack:
        first, leaves, waits, sent = (stack.enter_context(Client(fleet.gateway_port)) for _ in range(4))
        first.send(request_bytes("PUT", "/first", {}, b"x"))
        app.wait(lambda: app.requests, "it has arrived")
        for position, (client, method) in enumerate(((leaves, "PUT"), (waits, "PUT"), (sent, "GET")), 1):
            client.send(request_bytes(method, "/x"))
            until(lambda: fleet.api.get("/v1/pools/app")["queued"] == position, "they wait, in this order")
        leaves.reset()
        until(lambda: fleet.api.get("/v1/pools/app")["queued"] == 2, "one has left")
        app.may_go.open()
        assert [client.response().status for client in (first, waits, sent)] == [200, 200, 307]
        assert (state(fleet)["active"], state(fleet)["remote"]) == (1, 1), "only who was sent has not arrived"
        guard = fleet.guards["a"].page()["guard"]
        assert (guard["carried"], guard["denied"]) == (2, 0)


# What tokens say


def test_a_body_that_names_its_policy_is_sent_again_with_the_next_token(tmp_path):
    asked = []
    script = breaking_once(asked)
    body = b'{"tier": "gold", "pad": "' + b"y" * 30_000 + b'"}'
    with Server(script) as a, Server(script) as b:
        config = configuration(a, b, pool={"policy": {"label": "tier", "from": "json:tier"}})
        for described, name in zip(config["pools"]["app"]["servers"], "ab"):
            described.update(id=name, labels={"tier": "gold"})
        keys = key_file(tmp_path / "keys")
        config["routes"] = [{"pool": "app", "mode": "auto", "repeat": "any", "redirect": {"keys": keys, "auto": NOTHING}}]
        with Proxy(config) as gateway:
            assert ask(gateway.port, "POST", "/x", {}, body).status == 200
        assert {claims(request, "POST")["aud"] for request in asked} == {"a", "b"}
        assert [request.body == body for request in asked] == [True, True]


def test_nothing_that_is_signed_is_hedged(tmp_path):
    with Server(held) as a, Server(held) as b:
        config = configuration(a, b, pool={"hedging": {"after": "1ms"}})
        signed = {"pool": "app", "mode": "auto", "redirect": {"keys": key_file(tmp_path / "keys"), "auto": NOTHING}}
        config["routes"] = [{"match": {"path": "/plain"}, "pool": "app"}, signed]
        a.may_go, b.may_go = a.gate(), b.gate()
        with Proxy(config) as gateway, gateway.client() as first, gateway.client() as second:
            first.send(request_bytes(target="/x"))
            a.wait(lambda: a.requests, "it has arrived")
            second.send(request_bytes(target="/plain"))
            a.wait(lambda: len(a.requests) == 2, "who has waited less is hedged")
            a.may_go.open()
            b.may_go.open()
            assert [client.response().status for client in (first, second)] == [200, 200]
            assert [request.target for request in b.requests] == ["/plain"]


def test_a_guard_may_have_the_public_half_alone(tmp_path):
    private, public = str(tmp_path / "private.json"), str(tmp_path / "public.json")
    assert run("token", "keygen", "--algorithm", "EdDSA", "--out", private, "--public", public).returncode == 0
    with behind_guards(tmp_path, "a", auto=SMALL, keys=private, guard_keys=public) as (fleet, _):
        assert ask(fleet.gateway_port, "PUT", "/x", {}, b"x").status == 200
        assert follow(fleet.gateway_port, "/x")[0].status == 200


def test_several_gateways_with_keys_of_their_own_carry_to_one_guard(tmp_path):
    with behind_guards(tmp_path, "a") as (fleet, app):
        own = jwk("2", b"2" * 32)
        second = configuration(f"127.0.0.1:{fleet.ports['a']}")
        second["pools"]["app"]["servers"][0]["id"] = "a"
        second["routes"] = [{"pool": "app", "mode": "auto", "redirect": {"keys": key_file(tmp_path / "own.json", own), "auto": NOTHING}}]
        with Proxy(second) as gateway:
            assert gateway.get("/x").status == 403, "its key is not known yet"
            key_file(tmp_path / "keys.json", jwk(), own)
            fleet.guards["a"].read_keys_again()
            assert gateway.get("/x").status == ask(fleet.gateway_port, "GET", "/y").status == 200
        assert [request.target for request in app.requests] == ["/x", "/y"]


def test_a_gateway_before_a_gateway_has_its_token_replaced(tmp_path):
    with behind_guards(tmp_path, "a") as (fleet, app):
        front = configuration(f"127.0.0.1:{fleet.gateway_port}")
        front["routes"] = [{"pool": "app", "mode": "auto", "redirect": {"keys": key_file(tmp_path / "f.json", jwk("f")), "auto": NOTHING}}]
        with Proxy(front) as first:
            assert ask(first.port, "PUT", "/x?y", {"X-Request-Id": "mine"}, b"x").status == 200
        (request,) = app.requests
        assert (request.target, request.value("x-request-id")) == ("/x?y", "mine")


def test_carried_redirected_and_asked_before_are_counted_apart(tmp_path):
    with guarded(tmp_path) as (fleet, _):
        for number in range(3):
            assert ask(fleet.gateway_port, "PUT", f"/{number}", {}, b"x").status == 200
            assert follow(fleet.gateway_port, f"/{number}")[0].status == 200
        assert ask(fleet.gateway_port, "OPTIONS", "/x", PREFLIGHT).status == 200
        until(lambda: state(fleet)["remote"] == 0, "all have arrived")
        assert (state(fleet)["active"], state(fleet)["redirects"], state(fleet)["requests"]) == (0, 3, 4)
        assert fleet.guards["a"].page()["guard"] == {"admitted": 3, "carried": 4, "denied": 0, "absent": 0, "active": 0}


# What passes both unchanged


@pytest.mark.parametrize("target", ["//x", "/%2e/x", "/a/%2e%2e//b", "/%25%32%65", "/a;b/", "/x?&", "/x?&&a=?", "/x?=", "/x??",
                                    "/x?steelyard_toke%", "/x?a=steelyard_token=1", "/x?steelyard_tokens=1", "http://test.local?q"])
def test_targets_reach_the_application_as_without_a_guard(tmp_path, target):
    with behind_guards(tmp_path, "a") as (fleet, app), Server() as direct, Proxy(configuration(direct)) as plain:
        assert ask(fleet.gateway_port, "PUT", target, {}, b"x").status == ask(plain.port, "PUT", target, {}, b"x").status == 200
        assert [request.target for request in app.requests] == [request.target for request in direct.requests]


def test_cookies_in_several_lines_keep_their_lines(tmp_path):
    with guarded(tmp_path, auto=NOTHING, more=["--token-cookie"], token_in="cookie") as (fleet, app):
        for lines, left in ((["a=1", "b=2"], ["a=1", "b=2"]), (["steelyard_token=x", "b=2"], ["b=2"]), (["", "a=1"], ["a=1"]),
                            (["a=1;steelyard_token=x", "steelyard_token"], ["a=1"]), ([" ; ;a=1;;"], ["a=1"])):
            with Client(fleet.gateway_port) as client:
                client.send("GET /x HTTP/1.1\r\nHost: test.local\r\n" + "".join(f"Cookie: {line}\r\n" for line in lines) + "\r\n")
                assert client.response().status == 200, lines
            assert [value for name, value in app.requests[-1].fields if name.lower() == "cookie"] == left


def test_interim_answers_trailers_and_pipelines_pass(tmp_path):
    async def talks(connection):
        while request := await connection.head():
            if request.value("expect"):
                await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await connection.body(request)
            await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n")

    with behind_guards(tmp_path, "a", talks) as (fleet, app), Client(fleet.gateway_port) as client:
        client.send(request_bytes("PUT", "/x", {"Transfer-Encoding": "chunked", "Expect": "100-continue"}))
        app.wait(lambda: app.requests, "it has arrived before its body")
        client.send(b"3\r\nabc\r\n0\r\nX-Own: 1\r\n\r\n")
        answer = client.response("PUT")
        assert [each.status for each in answer.interim] == [100, 103]
        assert (answer.body, answer.trailers, app.requests[0].trailers) == (b"abc", [("X-End", "1")], [("X-Own", "1")])
        client.send(b"".join(request_bytes("PUT", f"/{number}", {}, b"x" * number) for number in range(3)))
        assert [client.response("PUT").status for _ in range(3)] == [200] * 3
        assert [request.target for request in app.requests] == ["/x", "/0", "/1", "/2"]
        with Client(fleet.gateway_port) as old:
            assert old.request("PUT", "/old", {}, b"x", version="HTTP/1.0").body == b"abc"
