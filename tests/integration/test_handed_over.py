"""What a process hands over to the one that takes its place, beside connections: what is under way at servers, what they were sent, and
what limits have counted."""

import contextlib

from admin_api import Api
from client import Client, request_bytes
from fleet import OPERATOR, Fleet, private, until
from harness import Proxy, configuration, free_port
from limits import fixed, limited, limiting, statuses
from messages import reply
from server import Server
from test_guard_faults import way


def test_what_a_large_table_has_counted_goes_on_over_an_upgrade():
    with limited({"a": fixed(30, keys_max=10_000_000)}) as (_, proxy):
        assert statuses(proxy, 30) == [200] * 30
        proxy.upgrade()
        assert statuses(proxy, 1) == [429] or any('"warning"' in text for text in proxy.lines), "it is forgotten, and nothing says so"


def test_a_drained_server_is_not_taken_for_empty_after_an_upgrade_of_its_gateway(tmp_path):
    gate = None

    async def slow(connection):
        while await connection.request():
            await gate.wait()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Server(slow) as app, Fleet(tmp_path, {"a": app.port}, lease="30s") as fleet, contextlib.ExitStack() as stack:
        gate = app.gate()

        def active():
            return fleet.api.servers()["a"]["states"][0]["active"]
        for number in range(5):
            port, target = way(fleet, f"/{number}")
            client = stack.enter_context(Client(port))
            client.send(request_bytes(target=target))
        until(lambda: (fleet.api.servers()["a"]["lease"] or {}).get("load") == 5, "the gateway hears of five")
        assert fleet.api.ask("POST", "/v1/pools/app/servers/a/drain", {})[0] == 202
        assert active() == 5
        fleet.gateway.upgrade()
        until(lambda: fleet.api.ask("GET", "/v1/status")[0] == 200, "the API is there")
        found = active()
        gate.open()
        assert found == 5


def test_a_server_that_the_process_before_still_asks_is_not_taken_for_drained(tmp_path):
    gate = None

    async def slow(connection):
        while await connection.request():
            await gate.wait()
            await connection.send(reply())

    port = free_port()
    admin = {"bind": f"127.0.0.1:{port}", "token_file": private(tmp_path / "operator", OPERATOR)}
    with Server(slow) as app, Proxy(configuration(app, admin=admin, timeouts={"drain": "20s"})) as proxy, proxy.client() as client:
        gate = app.gate()
        client.send(request_bytes())
        app.wait(lambda: app.requests)
        proxy.upgrade()
        api = Api(port, OPERATOR)
        until(lambda: api.ask("GET", "/v1/status")[0] == 200, "the API is there")
        status, server = api.ask("POST", f"/v1/pools/app/servers/{app.address}/drain", {})
        gate.open()
        assert client.response().status == 200
        assert status == 202, server


def test_redirects_of_a_server_are_counted_on_over_an_upgrade():
    with Server() as app, Proxy(configuration(app, routes=[{"pool": "app", "mode": "redirect"}])) as proxy:
        for _ in range(5):
            assert proxy.get().status == 307

        def counted():
            return [server["redirects"] for pool in proxy.page("status")["pools"] for server in pool["servers"]]
        assert counted() == [5]
        proxy.upgrade()
        assert proxy.page("metrics")["redirects"] == 5
        assert counted() == [5]


def test_keys_that_gave_way_are_counted_on_over_an_upgrade(tmp_path):
    port = free_port()
    admin = {"bind": f"127.0.0.1:{port}", "token_file": private(tmp_path / "operator", OPERATOR)}
    limits = {"a": fixed(1, key="path", keys_max=1000)}
    with Server() as app, Proxy(limiting([app], limits, admin=admin)) as proxy, proxy.client() as client:
        for number in range(3000):
            client.get(f"/{number}")
        assert client.get("/2999").status == 429
        api = Api(port, OPERATOR)
        before = api.get("/v1/limits")["limits"][0]
        assert before["keys_evicted"] > 0
        proxy.upgrade()
        until(lambda: api.ask("GET", "/v1/status")[0] == 200, "the API is there")
        after = api.get("/v1/limits")["limits"][0]
        assert (after["refused"], after["keys_evicted"]) == (before["refused"], before["keys_evicted"])
