"""What is easily got wrong with redirects, with requests that are carried to guards, and with what people type."""

import re

import pytest

from client import Client, Ended, request_bytes
from dns_server import DnsServer
from fleet import Guard, follow, jwk, key_file, until
from harness import Proxy, configuration, run
from server import Server, answer_hello, refused_address
from test_carried import NOTHING, SMALL, claims, guarded
from test_carried_faults import PREFLIGHT, ask, behind_guards, held, state
from test_names import named


@pytest.mark.parametrize("method", ["\xe9", "PUT\xe2\x82", "A" * 3000, ""],
                         ids=["no UTF-8", "no whole UTF-8", "too long", "empty"])
def test_a_preflight_that_asks_about_nonsense_harms_nobody(tmp_path, method):
    with guarded(tmp_path) as (fleet, _):
        try:
            status = ask(fleet.gateway_port, "OPTIONS", "/a", {**PREFLIGHT, "Access-Control-Request-Method": method}).status
        except Ended:
            status = "no answer"
        assert status in (200, 400) and fleet.gateway.process.poll() is None
        assert ask(fleet.gateway_port, "OPTIONS", "/a", PREFLIGHT).status == 200


def test_a_server_by_name_may_have_a_guard(tmp_path):
    with DnsServer() as dns, Server(answer_hello) as app:
        dns.set("app.test", "A", "127.0.0.1")
        config = named(dns, {"address": f"app.test:{app.port}", "id": "app"})
        keys = key_file(tmp_path / "keys")
        config["routes"] = [{"pool": "app", "mode": "auto", "redirect": {"keys": keys, "auto": NOTHING}}]
        with Proxy(config) as gateway:
            assert gateway.get("/a").status == 200
        name = claims(app.requests[0])["aud"]
        assert name == "app@127.0.0.1"
        guard = Guard(app.port, keys, name=name)
        guard.kill()


def test_a_guard_is_registered_only_where_the_admin_api_says_so(tmp_path):
    with behind_guards(tmp_path, "a") as (fleet, app):
        guard = Guard(app.port, fleet.keys, "--register", fleet.url(), "--pool", "app", "--token-file", fleet.registrar, name="new")
        try:
            assert guard.wait_line("(not )?registered")[1], "the gateway itself is not its admin API"
        finally:
            guard.kill()


def test_the_application_sees_whom_the_gateway_carries(tmp_path):
    with guarded(tmp_path) as (fleet, app), Client(fleet.gateway_port, source="127.0.0.9") as client:
        assert client.request("PUT", "/x", {}, b"x").status == 200
        assert "127.0.0.9" in app.requests[0].value("x-forwarded-for")


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_who_waits_while_keys_are_changed_has_a_token_of_the_new_one(tmp_path, method):
    pool = {"concurrency": {"per_server_max": 1, "queue_timeout": "30s"}}
    with behind_guards(tmp_path, "a", held, SMALL, pool=pool) as (fleet, app):
        with Client(fleet.gateway_port) as first, Client(fleet.gateway_port) as waits:
            first.send(request_bytes("PUT", "/first", {}, b"x"))
            app.wait(lambda: app.requests, "it has arrived")
            waits.send(request_bytes(method, "/x"))
            until(lambda: fleet.api.get("/v1/pools/app")["queued"] == 1, "it waits")
            for keys in ([jwk(), jwk("2", b"2" * 32)], [jwk("2", b"2" * 32), jwk()], [jwk("2", b"2" * 32)]):
                key_file(tmp_path / "keys.json", *keys)
                fleet.guards["a"].read_keys_again()
                fleet.gateway.reload(fleet.config)
            app.may_go.open()
            assert first.response().status == 200
            answer = waits.response()
            if method == "GET":
                answer = fleet.guards["a"].get(answer.value("location").split(f":{fleet.ports['a']}", 1)[1])
            assert answer.status == 200, answer.body


def test_what_is_carried_ends_at_the_application_when_its_client_has_gone(tmp_path):
    async def waits(connection):
        await connection.request()
        await connection.until_closed()

    with behind_guards(tmp_path, "a", waits) as (fleet, app):
        with Client(fleet.gateway_port) as client:
            client.send(request_bytes("PUT", "/x", {}, b"x"))
            app.wait(lambda: app.requests, "it has arrived")
            client.reset()
        until(lambda: state(fleet)["active"] == 0, "the gateway has given it up")
        app.wait(lambda: app.connections[0].ended, "and so has the guard")


@pytest.mark.parametrize("edits", [{"remove": ["Origin"]}, {"remove": ["Access-Control-Request-Method"]},
                                   {"add": {"Origin": "https://b.test"}}], ids=str)
def test_a_preflight_is_signed_as_it_goes_out(tmp_path, edits):
    with guarded(tmp_path) as (fleet, _):
        fleet.config["routes"][-1]["request_headers"] = edits
        fleet.gateway.reload(fleet.config)
        assert ask(fleet.gateway_port, "OPTIONS", "/a", PREFLIGHT).status == 200


def test_a_preflight_that_is_redirected_is_let_through(tmp_path):
    with guarded(tmp_path, auto={"methods": ["OPTIONS"], "body_bytes_min": "never"}) as (fleet, _):
        where = ask(fleet.gateway_port, "OPTIONS", "/a", PREFLIGHT).value("location")
        assert fleet.guards["a"].get(where[where.index("/a?"):], "OPTIONS", PREFLIGHT).status == 200


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_target_that_the_gateway_takes_reaches_the_application(tmp_path, method):
    with guarded(tmp_path) as (fleet, _):
        assert follow(fleet.gateway_port, "/" + "x" * 8000, method)[0].status == 200


def test_a_page_may_refer_to_others_after_a_token_in_a_cookie(tmp_path):
    with guarded(tmp_path, more=["--token-cookie"], token_in="cookie") as (fleet, _):
        cookie = ask(fleet.gateway_port, "GET", "/page").value("set-cookie").partition(";")[0]
        assert fleet.guards["a"].get("/page", fields={"Cookie": cookie}).status == 200
        assert fleet.guards["a"].get("/style.css", fields={"Cookie": cookie}).status == 307, "the browser still has the cookie"


def test_access_logs_do_not_show_tokens_that_are_good(tmp_path):
    with guarded(tmp_path, more=["--reusable"], auto=NOTHING) as (fleet, _):
        assert ask(fleet.gateway_port, "GET", "/x").status == 200
        guard = fleet.guards["a"]
        guard.wait(lambda: guard.output, "it has logged it")
        found = re.search(r'"target":"([^"]*)"', guard.output[0])[1]
        with Client(guard.port, source="127.0.0.77") as thief:
            assert thief.get(found).status != 200


def test_hops_in_another_spelling_are_refused_by_the_gateway(tmp_path):
    with guarded(tmp_path) as (fleet, _):
        assert ask(fleet.gateway_port, "PUT", "/x?steelyard%5fhops=1", {}, b"x").status == 400
        assert ask(fleet.gateway_port, "GET", "/x?steelyard%5fhops=1").status == 400


def test_who_does_not_want_a_redirect_says_so_through_another_proxy(tmp_path):
    with guarded(tmp_path) as (fleet, _), Proxy(configuration(f"127.0.0.1:{fleet.gateway_port}")) as front:
        assert ask(front.port, "GET", "/x", {"X-Steelyard-No-Redirect": "1"}).status == 200


@pytest.mark.parametrize("wrong", [["--token-name", ""], ["--token-name", "a b&c"], ["--token-name", "steelyard_hops"], ["--skew", "720h"],
                                   ["--pool", "app"], ["--token-file", "none"], ["--public-url", "https://a.test"],
                                   ["--advertise", "127.0.0.1:1"], ["--gateway", "http://LISTEN"],
                                   ["--register", "http://127.0.0.1:1", "--pool", "app", "--lease", "20ms"]],
                         ids=" ".join)
def test_more_wrong_arguments_of_the_guard_are_told(tmp_path, wrong):
    # Its port is taken, so that it ends where it has nothing to say of its arguments, too.
    taken, listen = refused_address()
    with taken:
        wrong = [text.replace("LISTEN", listen) for text in wrong]
        done = run("guard", "--listen", listen, "--app", "127.0.0.1:2", "--id", "a", "--keys", key_file(tmp_path / "keys.json"), *wrong)
    assert done.returncode == 2 and wrong[-2] in done.stderr, done
