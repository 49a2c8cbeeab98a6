"""A new configuration in the same process: what it changes, what goes on as if nothing had happened, and what is refused as a whole."""

import contextlib
import json
import os
import random
import signal
import socket
import threading

import pytest

from client import Client, request_bytes
from harness import Proxy, free_port
from harness import configuration as plain_configuration
from messages import reply
from pool_server import PoolServer, until
from server import Server

REFUSED = r"the configuration is not reloaded"


def configuration(*servers, pool=None, **overrides):
    """New servers take their whole share at once, so that turns can be counted."""
    return plain_configuration(*servers, pool={"slow_start": "0s", **(pool or {})}, **overrides)


class Named(Server):
    """Answers every request with its name."""

    def __init__(self, name):
        async def script(connection):
            while await connection.request():
                await connection.send(reply(body=name.encode()))

        super().__init__(script)


class Echo(Server):
    """Switches every connection to a protocol that sends back what it gets."""

    def __init__(self):
        async def script(connection):
            if not await connection.request():
                return
            await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            while data := await connection.recv():
                await connection.send(data)

        super().__init__(script)


def servers_of(proxy, pool="app"):
    return {server["id"]: server for each in proxy.page("status")["pools"] if each["name"] == pool for server in each["servers"]}


def tunnel(proxy):
    client = proxy.client()
    client.send(request_bytes(fields=(("Connection", "upgrade"), ("Upgrade", "echo"))))
    assert client.response().status == 101
    return client


def is_echoed(client, data=b"still there"):
    client.send(data)
    return client.exactly(len(data)) == data


# What a reload changes


def test_new_servers_get_traffic_and_removed_ones_get_none():
    with Named("a") as first, Named("b") as second, Named("c") as third:
        with Proxy(configuration(first, second)) as proxy, proxy.client() as client:
            assert {client.get().body for _ in range(6)} == {b"a", b"b"}
            proxy.reload(configuration(second, third))
            assert {client.get().body for _ in range(6)} == {b"b", b"c"}
            assert set(servers_of(proxy)) == {second.address, third.address}


def test_routes_and_pools_come_and_go():
    with Named("a") as first, Named("b") as second:
        config = configuration(first)
        with Proxy(config) as proxy, proxy.client() as client:
            more = {
                **config, "routes": [{"match": {"path": "/b/*"}, "pool": "more"}, {"match": {"path": "/a"}, "pool": "app"}],
                "pools": {**config["pools"], "more": {"servers": [{"address": second.address}]}},
            }
            proxy.reload(more)
            assert client.get("/b/x").body == b"b"
            assert client.get("/a").body == b"a"
            assert client.get("/elsewhere").status == 404
            proxy.reload(config)
            assert client.get("/b/x").body == b"a"
            assert [pool["name"] for pool in proxy.page("status")["pools"]] == ["app"]


def test_weights_change():
    with Named("a") as first, Named("b") as second:
        with Proxy(configuration(first, second)) as proxy, proxy.client() as client:
            config = configuration(pool={"servers": [{"address": first.address, "weight": 3}, {"address": second.address}]})
            proxy.reload(config)
            bodies = [client.get().body for _ in range(40)]
            assert bodies.count(b"a") == 30
            config["pools"]["app"]["servers"][0]["weight"] = 0
            proxy.reload(config)
            assert {client.get().body for _ in range(10)} == {b"b"}


def test_the_algorithm_changes():
    with Named("a") as first, Named("b") as second:
        with Proxy(configuration(first, second)) as proxy, proxy.client() as client:
            assert {client.get().body for _ in range(4)} == {b"a", b"b"}
            proxy.reload(configuration(first, second, pool={"algorithm": "ip_hash"}))
            assert len({client.get().body for _ in range(10)}) == 1
            assert proxy.page("status")["pools"][0]["algorithm"] == "ip_hash"


def test_limits_on_heads_change_also_for_connections_that_there_are():
    with Named("a") as server:
        with Proxy(configuration(server)) as proxy, proxy.client() as client:
            assert client.get("/" + "x" * 2000).status == 200
            proxy.reload(configuration(server, http={"request_line_bytes_max": 1024}))
            assert client.get("/" + "x" * 2000).status == 414


def test_a_lower_limit_does_not_touch_the_request_under_way():
    with PoolServer("a") as server:
        with Proxy(configuration(server)) as proxy, proxy.client() as client:
            server.hold()
            client.send(request_bytes(target="/" + "x" * 2000))
            server.wait(lambda: server.active == 1, "the request is there")
            proxy.reload(configuration(server, http={"request_line_bytes_max": 1024}))
            server.release()
            assert client.response().status == 200


def test_listeners_come_and_go():
    with Named("a") as server:
        config = configuration(server)
        port = free_port()
        with Proxy(config) as proxy, proxy.client() as stays:
            assert stays.get().status == 200
            proxy.reload({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{port}"}]})
            with Client(port) as leaves:
                assert leaves.get().body == b"a"
                assert leaves.get("/__status__").body == b"a", "that listener has no status pages"
                proxy.reload({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{port}", "status_pages": True}]})
                with Client(port) as sees:
                    assert json.loads(sees.get("/__status__").body)["listeners"] == [f"127.0.0.1:{proxy.port}", f"127.0.0.1:{port}"]
                proxy.reload(config)
                leaves.expect_end()
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                pass
            assert stays.get().status == 200


def test_a_removed_listener_finishes_what_is_under_way():
    with PoolServer("a") as server:
        config = configuration(server)
        port = free_port()
        with Proxy({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{port}"}]}) as proxy, Client(port) as client:
            server.hold()
            client.send(request_bytes())
            server.wait(lambda: server.active == 1, "the request is there")
            proxy.reload(config)
            server.release()
            answer = client.response()
            assert answer.status == 200 and answer.value("connection") == "close"
            client.expect_end()


def test_a_listener_moves_from_all_addresses_to_one():
    with Named("a") as server:
        config = configuration(server)
        port = free_port()
        with Proxy({**config, "listeners": [*config["listeners"], {"bind": f"0.0.0.0:{port}"}]}) as proxy:
            proxy.reload({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{port}"}]})
            with Client(port) as client:
                assert client.get().body == b"a"


def test_health_checks_begin_change_and_end():
    with PoolServer("a") as first, PoolServer("b") as second:
        checked = {"health": {"path": "/health", "interval": "20ms"}}
        with Proxy(configuration(first, second)) as proxy, proxy.client() as client:
            first.health = 500
            proxy.reload(configuration(first, second, pool=checked))
            proxy.wait_line(f"server app/{first.address} is unhealthy")
            assert {client.get().body for _ in range(4)} == {b"b"}
            first.health = 204
            proxy.reload(configuration(first, second, pool={"health": {**checked["health"], "expect": 204}}))
            proxy.wait_line(f"server app/{first.address} is healthy again")
            proxy.wait_line(f"server app/{second.address} is unhealthy")
            proxy.reload(configuration(first, second))
            assert {client.get().body for _ in range(8)} == {b"a", b"b"}


# What goes on as if nothing had happened


def test_keep_alive_connections_stay_open_and_counters_go_on():
    with Named("a") as first, Named("b") as second:
        with Proxy(configuration(first)) as proxy, contextlib.ExitStack() as stack:
            clients = [stack.enter_context(proxy.client()) for _ in range(20)]
            requests = 0
            for turn in range(10):
                for client in clients:
                    assert client.get().status == 200
                    requests += 1
                metrics = proxy.page("metrics")
                assert metrics["total_requests"] == requests and metrics["reloads"] == turn
                proxy.reload(configuration(*((first, second) if turn % 2 == 0 else (first,))))
            assert all(client.get().status == 200 for client in clients)


def test_a_server_that_stays_keeps_its_connections_and_its_figures():
    with Named("a") as first, Named("b") as second:
        with Proxy(configuration(first)) as proxy, proxy.client() as client:
            for _ in range(5):
                client.get()
            proxy.reload(configuration(first, second, pool={"retries": {"tries_max": 2}}))
            described = servers_of(proxy)[first.address]
            assert described["requests"] == 5 and described["connections_opened"] == 1
            for _ in range(4):
                client.get()
            described = servers_of(proxy)[first.address]
            assert described["requests"] == 7 and described["connections_opened"] == 1


def test_what_checks_have_found_stays_known():
    with PoolServer("a") as first, PoolServer("b") as second:
        pool = {"health": {"path": "/health", "interval": "20ms"}}
        with Proxy(configuration(first, pool=pool)) as proxy:
            first.health = 500
            proxy.wait_line("is unhealthy")
            since = servers_of(proxy)[first.address]["since_unix_seconds"]
            proxy.reload(configuration(first, second, pool=pool))
            described = servers_of(proxy)[first.address]
            assert described["health"] == "unhealthy" and described["since_unix_seconds"] == since
            assert {proxy.get().body for _ in range(4)} == {b"b"}


def test_sticky_sessions_survive():
    with Named("a") as first, Named("b") as second, Named("c") as third:
        pool = {"sticky": {}}
        with Proxy(configuration(first, second, pool=pool)) as proxy:
            answer = proxy.get()
            cookie = answer.value("set-cookie").split(";")[0]
            proxy.reload(configuration(third, second, first, pool=pool))
            assert {proxy.get(Cookie=cookie).body for _ in range(6)} == {answer.body}


def test_tunnels_outlive_reloads_even_without_their_route_pool_and_server():
    with Echo() as echo, Named("a") as server:
        with Proxy(configuration(echo)) as proxy, tunnel(proxy) as client:
            assert is_echoed(client)
            other = configuration()
            other["pools"] = {"other": {"servers": [{"address": server.address}]}}
            other["routes"] = [{"match": {}, "pool": "other"}]
            for _ in range(3):
                proxy.reload(other)
                assert is_echoed(client)
                assert proxy.get().body == b"a"


def test_a_request_under_way_is_answered_by_its_server_though_that_is_removed():
    with PoolServer("a") as first, Named("b") as second:
        with Proxy(configuration(first)) as proxy, proxy.client() as client:
            first.hold()
            client.send(request_bytes())
            first.wait(lambda: first.active == 1, "the request is there")
            proxy.reload(configuration(second))
            leaving = servers_of(proxy)[first.address]
            assert leaving["active"] == 1 and leaving["health"] == "drained" and leaving["reason"] == "it has been removed"
            first.release()
            assert client.response().body == b"a"
            assert client.get().body == b"b"
            assert set(servers_of(proxy)) == {second.address}


def test_requests_that_wait_for_a_place_get_one_at_a_new_server():
    with PoolServer("a") as first, Named("b") as second:
        pool = {"concurrency": {"per_server_max": 1, "queue_timeout": "30s"}}
        with Proxy(configuration(first, pool=pool)) as proxy, proxy.client() as one, proxy.client() as two:
            first.hold()
            one.send(request_bytes())
            first.wait(lambda: first.active == 1, "the request is there")
            two.send(request_bytes())
            until(lambda: proxy.page("status")["pools"][0]["queued"] == 1, "the second waits")
            proxy.reload(configuration(first, second, pool=pool))
            assert two.response().body == b"b"
            first.release()
            assert one.response().body == b"a"


def test_a_server_that_comes_back_while_it_leaves_is_the_same_one():
    with PoolServer("a") as first, Named("b") as second:
        with Proxy(configuration(first)) as proxy, proxy.client() as client:
            first.hold()
            client.send(request_bytes())
            first.wait(lambda: first.active == 1, "the request is there")
            proxy.reload(configuration(second))
            proxy.reload(configuration(first, second))
            assert servers_of(proxy)[first.address]["active"] == 1
            first.let_go()
            assert client.response().body == b"a"
            assert {client.get().body for _ in range(8)} == {b"a", b"b"}


def test_the_connections_kept_to_a_removed_server_are_closed():
    with Named("a") as first, Named("b") as second:
        with Proxy(configuration(first)) as proxy:
            assert proxy.get().body == b"a"
            proxy.reload(configuration(second))
            first.wait(lambda: first.connections[0].ended, "its kept connection is closed")


def test_what_is_under_way_at_a_removed_server_is_cut_at_the_deadline():
    with PoolServer("a") as first, Named("b") as second:
        with Proxy(configuration(first, log={"access": "stdout"}, pool={"retries": {"tries_max": 1}})) as proxy, proxy.client() as client:
            first.hold()
            client.send(request_bytes())
            first.wait(lambda: first.active == 1, "the request is there")
            proxy.reload(configuration(second, log={"access": "stdout"}, pool={"drain": "50ms", "retries": {"tries_max": 1}}))
            assert client.response().status == 502
            proxy.wait_line(f"server {first.address}: 1 exchanges are still under way at the deadline: cutting them")
            proxy.wait(lambda: proxy.output, "the access log")
            assert json.loads(proxy.output[0])["failure"].startswith("cut: the server was to go")


def test_a_request_that_may_be_repeated_goes_elsewhere_at_the_deadline():
    with PoolServer("a") as first, Named("b") as second:
        with Proxy(configuration(first)) as proxy, proxy.client() as client:
            first.hold()
            client.send(request_bytes())
            first.wait(lambda: first.active == 1, "the request is there")
            proxy.reload(configuration(second, pool={"drain": "50ms"}))
            assert client.response().body == b"b"


# What is refused


GOOD_BUT = {
    "nothing": "",
    "half of it": '{"listeners": [{"bind": "127.0.0.1:1"}], "pools": {"app": {"serv',
    "a NUL": b'{"pools": {}}\0',
    "an unknown key": '{"poolz": {}}',
    "not a map": "[1, 2, 3]",
    "too large": b"#" * (9 << 20),
    "an anchor that holds itself": "pools: &a {app: *a}",
}


@pytest.mark.parametrize("what", GOOD_BUT)
def test_an_invalid_configuration_changes_nothing_and_says_why(what):
    with Named("a") as server:
        with Proxy(configuration(server)) as proxy, proxy.client() as client:
            assert client.get().status == 200
            proxy.reload(GOOD_BUT[what], wait=REFUSED)
            assert client.get().body == b"a"
            metrics = proxy.page("metrics")
            assert metrics["reloads"] == 0 and metrics["reloads_refused"] == 1
            assert "config.json" in "\n".join(proxy.lines)


def test_a_listener_that_cannot_be_bound_refuses_all_of_the_configuration():
    with Named("a") as first, Named("b") as second, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = configuration(first)
        port = free_port()
        with Proxy(config) as proxy, proxy.client() as client:
            more = [{"bind": f"127.0.0.1:{port}"}, {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}]
            proxy.reload({**configuration(second), "listeners": [*config["listeners"], *more]}, wait=REFUSED)
            assert client.get().body == b"a"
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                pass
            assert "another program already does" in "\n".join(proxy.lines)


def test_an_unreadable_file_changes_nothing():
    with Named("a") as server:
        with Proxy(configuration(server)) as proxy:
            proxy.config.unlink()
            proxy.send_signal(signal.SIGHUP)
            proxy.wait_line(REFUSED)
            os.symlink(proxy.config, proxy.config)  # one that leads to itself
            proxy.send_signal(signal.SIGHUP)
            proxy.wait(lambda: sum(REFUSED in text for text in proxy.lines) == 2, "both are refused")
            assert proxy.get().body == b"a"


def test_what_needs_a_restart_is_said():
    with Named("a") as server:
        with Proxy(configuration(server)) as proxy:
            proxy.reload(configuration(server, workers=2, log={"access": "stdout"}))
            for key in ("workers", "log.access"):
                proxy.wait_line(f"{key} has changed, which takes effect with the next start only")


# Under load


class Load(threading.Thread):
    """A client that asks over one connection until it is told to stop, and counts what went wrong."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopping, self.done, self.problems = port, False, 0, []
        self.start()

    def run(self):
        with Client(self.port) as client:
            try:
                while not self.stopping:
                    answer = client.get()
                    if answer.status != 200:
                        self.problems.append(answer)
                    self.done += 1
            except Exception as problem:  # a closed connection is one, too
                self.problems.append(problem)


@pytest.mark.parametrize("workers", [1, 2])
def test_reloads_under_load_lose_no_request_and_close_no_connection(workers):
    chance = random.Random(workers)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Named(str(i))) for i in range(6)]
        echo = stack.enter_context(Echo())

        def drawn():
            config = configuration(*chance.sample(servers, chance.randint(1, 6)), workers=workers,
                                   pool={"algorithm": chance.choice(["round_robin", "adaptive", "least_connections", "hash", "ip_hash"])})
            config["pools"]["echo"] = {"servers": [{"address": echo.address}]}
            config["routes"].insert(0, {"match": {"headers": {"Upgrade": "echo"}}, "pool": "echo"})
            for extra in range(chance.randint(0, 3)):
                config["pools"][f"extra{extra}"] = {"servers": [{"address": chance.choice(servers).address}]}
                config["routes"].insert(1, {"match": {"path": f"/{extra}/*"}, "pool": f"extra{extra}"})
            return config

        proxy = stack.enter_context(Proxy(drawn()))
        loads = [Load(proxy.port) for _ in range(8)]
        tunnels = [stack.enter_context(tunnel(proxy)) for _ in range(5)]
        seen = {}
        for _ in range(60):
            proxy.reload(drawn())
            metrics = {key: value for key, value in proxy.page("metrics").items() if key.startswith("total") or key == "reloads"}
            assert all(metrics[key] >= value for key, value in seen.items()), "counters never step back"
            seen = metrics
        for load in loads:
            load.stopping = True
        for load in loads:
            load.join(30)
        assert all(is_echoed(each) for each in tunnels)
        assert [load.problems for load in loads] == [[]] * 8
        assert all(load.done > 0 for load in loads)


def test_memory_does_not_grow_with_reloads():
    with Named("a") as first, Named("b") as second:
        def config(turn):
            made = configuration(first, *([second] if turn % 2 else []))
            for i in range(10):
                made["pools"][f"p{i}"] = {"servers": [{"address": f"127.0.0.1:{10 + (turn if i == turn % 10 else 0)}"}]}
                made["routes"].insert(0, {"match": {"path": f"/{i}"}, "pool": f"p{i}"})
            return made

        with Proxy(config(0)) as proxy, proxy.client() as client:
            for turn in range(100):
                proxy.reload(config(turn))
                assert client.get("/x").status == 200
            before, descriptors = proxy.rss_kib(), proxy.descriptors()
            for turn in range(200):
                proxy.reload(config(turn))
                assert client.get("/x").status == 200
            assert proxy.grown_kib(before) < 1024
            assert proxy.descriptors() == descriptors
