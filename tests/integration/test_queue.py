"""Limits on what is under way at a server and in a pool, and the queue of requests that wait for a place."""

import json
import signal
import threading
from pathlib import Path

import pytest

from client import request_bytes
from harness import Proxy, configuration
from messages import reply
from pool_server import CHECKED, PoolServer, ask_until, bodies, described, each_of, pool_of, wait_active_in_all
from server import refused_address

PATIENT = {"queue_timeout": "1m"}  # so that nobody waits in vain


def limited(*servers, pool=None, more=None, **concurrency):
    return configuration(*servers, pool={"concurrency": {**PATIENT, **concurrency}, **(pool or {})}, **(more or {}))


def send(proxy, target="/", **fields):
    """A connection with a request under way."""
    client = proxy.client()
    client.send(request_bytes("GET", target, fields))
    return client


def finish(*clients):
    """Their answers' statuses, in that order."""
    statuses = []
    for client in clients:
        statuses.append(client.response().status)
        client.close()
    return statuses


def queued(proxy):
    return proxy.page("status")["pools"][0]["queued"]


def wait_queued(proxy, count):
    ask_until(lambda: queued(proxy) == count, f"{count} that wait")


def record_of(proxy, target):
    """The line of the access log for that request, once it is there."""
    def found():
        return [record for line in list(proxy.output) if (record := json.loads(line))["target"] == target]
    proxy.wait(found, f"the line of {target}")
    return found()[0]


LOGGED = {"log": {"access": "stdout", "format": "json"}}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("limits", "at_one", "together"), [
    ({"per_server_max": 2}, 2, 6),
    ({"total_max": 4}, 4, 4),
    ({"per_server_max": 2, "total_max": 5}, 2, 5),
])
@pytest.mark.parametrize("algorithm", ["round_robin", "adaptive"])
def test_limits_are_reached_and_never_exceeded_and_everybody_is_served(workers, limits, at_one, together, algorithm):
    total = 100
    with pool_of("a", "b", "c") as servers:
        for server in servers:
            server.hold()
        statuses = []

        def ask_all(proxy):
            statuses.extend(each_of(range(total), lambda _: proxy.get().status, threads=14))

        with Proxy({**limited(*servers, **limits, pool={"algorithm": algorithm}), "workers": workers}) as proxy:
            asking = threading.Thread(target=ask_all, args=(proxy,))
            asking.start()
            tally = servers[0].tally
            for given in range(total):
                servers[0].wait(lambda: tally.active >= min(together, total - given), f"as many as may be, after {given}")
                max(servers, key=lambda server: server.active).release()
                servers[0].wait(lambda: sum(server.given for server in servers) > given, "an answer")
            asking.join()
            assert statuses == [200] * total
            assert queued(proxy) == 0 and proxy.page("metrics")["queued"] > 0
        assert tally.most == together and max(server.active_most for server in servers) <= at_one


@pytest.mark.parametrize("workers", [1, 2])
def test_who_came_first_is_served_first(workers):
    with pool_of("a") as [server]:
        server.hold()
        with Proxy({**limited(server, per_server_max=1), "workers": workers}) as proxy:
            clients = [send(proxy, "/0")]
            server.wait_active(1)
            for number in range(1, 8):
                clients.append(send(proxy, f"/{number}"))
                wait_queued(proxy, number)
            for number in range(8):
                server.wait(lambda: len(server.complete) == number + 1, f"request {number}")
                server.release()
            assert finish(*clients) == [200] * 8
        assert [request.target for request in server.requests] == [f"/{number}" for number in range(8)]


def test_requests_that_wait_on_one_connection_are_answered_in_order():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy(limited(server, per_server_max=1)) as proxy, proxy.client() as client:
            first = send(proxy, "/1")
            server.wait_active(1)
            client.send(request_bytes("GET", "/2") + request_bytes("GET", "/3"))
            wait_queued(proxy, 1)
            server.let_go()
            assert [client.response().status for _ in range(2)] == [200, 200]
            assert finish(first) == [200]
        assert [request.target for request in server.requests] == ["/1", "/2", "/3"]


def test_a_newcomer_does_not_overtake_those_that_wait_when_a_place_becomes_free():
    """The proxy learns of the answer that frees the place and of the newcomer at the same moment."""
    with pool_of("a") as [server]:
        with Proxy(limited(server, per_server_max=1)) as proxy, proxy.client() as newcomer:
            assert newcomer.get("/before").status == 200
            server.hold()
            clients = [send(proxy, "/1")]
            server.wait_active(1)
            for number in (2, 3):
                clients.append(send(proxy, f"/{number}"))
                wait_queued(proxy, number - 1)
            proxy.send_signal(signal.SIGSTOP)
            ask_until(lambda: Path(f"/proc/{proxy.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "the pause")
            given = server.given
            server.release()
            server.wait(lambda: server.given > given, "the answer")
            server.settle()
            newcomer.send(request_bytes("GET", "/4"))
            proxy.send_signal(signal.SIGCONT)
            server.wait(lambda: len(server.complete) == 3, "the next request")
            server.let_go()
            assert finish(*clients, newcomer) == [200] * 4
        assert [request.target for request in server.requests] == ["/before", "/1", "/2", "/3", "/4"]


def test_what_the_queue_has_no_room_for_is_refused_while_the_others_wait():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy(limited(server, per_server_max=1, queue_max=2, more=LOGGED)) as proxy:
            first = send(proxy)
            server.wait_active(1)
            waiting = [send(proxy), send(proxy)]
            wait_queued(proxy, 2)
            refused = proxy.get("/refused")
            assert (refused.status, refused.value("retry-after")) == (503, "1") and b"queue_max" in refused.body
            metrics = proxy.page("metrics")
            assert (metrics["queued"], metrics["limits_hit"]["queue_max"], metrics["limits_hit"]["queue_timeout"]) == (2, 1, 0)
            server.let_go()
            assert finish(first, *waiting) == [200] * 3
            record = record_of(proxy, "/refused")
            assert record["pool"] == "app" and "queue_max" in record["failure"] and "server" not in record and record["tries"] == 0
        assert len(server.requests) == 3


def test_without_a_queue_nobody_waits():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy(limited(server, total_max=1, queue_max=0)) as proxy:
            first = send(proxy)
            server.wait_active(1)
            assert [proxy.get().status for _ in range(3)] == [503] * 3
            server.let_go()
            assert finish(first) == [200] and proxy.get().status == 200
            metrics = proxy.page("metrics")
            assert (metrics["queued"], metrics["limits_hit"]["queue_max"]) == (0, 3)


def test_who_waits_for_too_long_is_refused_and_takes_no_place():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy(limited(server, per_server_max=1, queue_timeout="50ms", more=LOGGED)) as proxy:
            first = send(proxy, "/first")
            server.wait_active(1)
            refused = proxy.get("/late")
            assert (refused.status, refused.value("retry-after")) == (503, "1") and b"queue_timeout" in refused.body
            metrics = proxy.page("metrics")
            assert (metrics["queued"], metrics["limits_hit"]["queue_max"], metrics["limits_hit"]["queue_timeout"]) == (1, 0, 1)
            assert queued(proxy) == 0
            server.let_go()
            assert finish(first) == [200] and proxy.get("/after").status == 200
            late = record_of(proxy, "/late")
            assert late["queue_ms"] > 0 and "queue_timeout" in late["failure"] and late["outcome"] == "refused"
        assert [request.target for request in server.requests] == ["/first", "/after"]


def test_the_record_says_how_long_a_request_waited():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy(limited(server, per_server_max=1, more=LOGGED)) as proxy:
            first = send(proxy, "/first")
            server.wait_active(1)
            second = send(proxy, "/second")
            wait_queued(proxy, 1)
            server.let_go()
            assert finish(first, second) == [200, 200]
            at_once, later = record_of(proxy, "/first"), record_of(proxy, "/second")
        assert "queue_ms" not in at_once and 0 < later["queue_ms"] <= later["duration_ms"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_that_goes_away_gives_up_its_place_in_the_queue(workers):
    with pool_of("a") as [server]:
        server.hold()
        with Proxy({**limited(server, per_server_max=1, queue_max=2), "workers": workers}) as proxy:
            first = send(proxy, "/first")
            server.wait_active(1)
            leaving = send(proxy, "/leaving")
            wait_queued(proxy, 1)
            second = send(proxy, "/second")
            wait_queued(proxy, 2)
            leaving.reset()
            wait_queued(proxy, 1)
            third = send(proxy, "/third")
            wait_queued(proxy, 2)
            server.let_go()
            assert finish(first, second, third) == [200] * 3
        assert [request.target for request in server.requests] == ["/first", "/second", "/third"]


def test_those_who_go_away_leave_nobody_behind():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy({**limited(server, per_server_max=1), "workers": 2}) as proxy:
            first = send(proxy)
            server.wait_active(1)
            clients = [send(proxy, f"/{number}") for number in range(30)]
            wait_queued(proxy, 30)
            server.let_go()
            for client in clients[::2]:
                client.reset()
            assert finish(first, *clients[1::2]) == [200] * 16
            wait_queued(proxy, 0)
            assert described(proxy, server)["active"] == 0 and proxy.get().status == 200
        assert server.active_most == 1


def test_those_who_wait_are_served_by_a_server_that_comes_back():
    with pool_of("a", "b") as (held, back):
        held.hold()
        pool = {"health": CHECKED, "slow_start": "off"}
        with Proxy({**limited(held, back, per_server_max=1, pool=pool), "workers": 2}) as proxy:
            back.turn(500)
            first = send(proxy)
            held.wait_active(1)
            clients = [send(proxy) for _ in range(6)]
            wait_queued(proxy, 6)
            back.turn(200)
            assert finish(*clients) == [200] * 6
            held.let_go()
            assert finish(first) == [200]
        assert (len(held.complete), len(back.complete)) == (1, 6)


def test_those_who_wait_are_told_when_the_last_server_fails():
    with pool_of("a") as [server]:
        server.hold()
        with Proxy(limited(server, per_server_max=1, pool={"health": CHECKED})) as proxy:
            first = send(proxy)
            server.wait_active(1)
            waiting = [send(proxy) for _ in range(3)]
            wait_queued(proxy, 3)
            server.turn(500)
            assert finish(*waiting) == [503] * 3
            server.let_go()
            assert finish(first) == [200]


def test_a_servers_own_limit_takes_the_place_of_the_pools():
    with pool_of("a", "b") as servers:
        for server in servers:
            server.hold()
        config = limited(*servers, per_server_max=1)
        config["pools"]["app"]["servers"][0]["active_max"] = 3
        with Proxy(config) as proxy:
            clients = [send(proxy) for _ in range(6)]
            wait_active_in_all(servers, 4)
            wait_queued(proxy, 2)
            assert [server.active for server in servers] == [3, 1]
            for server in servers:
                server.let_go()
            assert finish(*clients) == [200] * 6


def test_a_servers_own_limit_needs_none_of_the_pool():
    with pool_of("a", "b") as servers:
        for server in servers:
            server.hold()
        config = limited(*servers)
        config["pools"]["app"]["servers"][0]["active_max"] = 1
        with Proxy(config) as proxy:
            clients = [send(proxy) for _ in range(6)]
            wait_active_in_all(servers, 6)
            assert [server.active for server in servers] == [1, 5]
            for server in servers:
                server.let_go()
            assert finish(*clients) == [200] * 6


def test_a_session_whose_server_is_full_goes_to_another_one_this_once():
    sticky = {"sticky": {"cookie": "home", "secret": "0123456789abcdef"}}
    with pool_of("a", "b") as (full, other):
        with Proxy(limited(full, other, per_server_max=1, pool=sticky)) as proxy:
            def session_at_a():
                answer = proxy.get()
                return answer.body == b"a" and answer.value("set-cookie").split(";")[0]
            cookie = ask_until(session_at_a, "a session")
            full.hold()
            first = send(proxy, Cookie=cookie)
            full.wait_active(1)
            moved = proxy.get("/", Cookie=cookie)
            assert moved.body == b"b" and not moved.values("set-cookie")
            full.let_go()
            assert finish(first) == [200]
            assert bodies(proxy, 4, Cookie=cookie) == {"a": 4}
        assert other.active_most == 1


def test_a_session_waits_where_all_are_full_and_is_led_back_where_its_server_is_free_first():
    sticky = {"sticky": {"cookie": "home", "secret": "0123456789abcdef"}}
    with pool_of("a", "b") as servers:
        with Proxy(limited(*servers, per_server_max=1, pool=sticky)) as proxy:
            homes = {}
            ask_until(lambda: homes.update({(answer := proxy.get()).body: answer.value("set-cookie").split(";")[0]}) or len(homes) == 2,
                      "sessions at both")
            for server in servers:
                server.hold()
            first = [send(proxy, Cookie=cookie) for cookie in homes.values()]
            wait_active_in_all(servers, 2)
            waiting = send(proxy, Cookie=homes[b"a"])
            wait_queued(proxy, 1)
            servers[0].let_go()
            answer = waiting.response()
            assert (answer.status, answer.body, answer.values("set-cookie")) == (200, b"a", [])
            waiting.close()
            servers[1].let_go()
            assert finish(*first) == [200, 200]


def test_a_retry_does_not_wait_for_the_place_that_it_has_itself():
    sock, address = refused_address()
    with sock, pool_of("a") as [server], Proxy(limited(address, server, total_max=1, queue_timeout="50ms")) as proxy:
        assert bodies(proxy, 6) == {"a": 6}


class Breaking(PoolServer):
    """Breaks off instead of answering `/broken`."""

    async def serve(self, connection):
        while request := await connection.request():
            if request.target == "/broken":
                return connection.reset()
            await connection.send(reply(body=self.name))


def test_a_retry_that_waits_has_left_its_place_at_the_server_that_failed():
    with pool_of("held") as [held], Breaking("other") as other:
        held.hold()
        with Proxy(limited(held, other, per_server_max=1)) as proxy:
            first = send(proxy)
            held.wait_active(1)
            broken = send(proxy, "/broken")
            wait_queued(proxy, 1)
            ask_until(lambda: described(proxy, other)["active"] == 0, "the place that the failed try had")
            held.let_go()
            assert finish(first, broken) == [200, 200]
        assert [request.target for request in held.requests] == ["/", "/broken"]


def test_a_retry_that_waits_keeps_nobody_else_from_the_server_that_failed():
    with pool_of("held") as [held], Breaking("other") as other:
        held.hold()
        with Proxy(limited(held, other, per_server_max=1)) as proxy:
            first = send(proxy)
            held.wait_active(1)
            broken = send(proxy, "/broken")
            wait_queued(proxy, 1)
            with proxy.client(deadline=2) as client:
                assert client.get("/well").body == b"other"
            held.let_go()
            assert finish(first, broken) == [200, 200]


def test_those_who_wait_find_a_server_that_can_be_reached_again():
    with pool_of("a", "b") as (held, gone):
        held.hold()
        gone.leave()
        with Proxy(limited(held, gone, per_server_max=1)) as proxy:
            first = send(proxy)
            held.wait_active(1)
            waiting = proxy.client(deadline=2)
            waiting.send(request_bytes())
            wait_queued(proxy, 1)
            with PoolServer("b again", port=gone.port):
                assert waiting.response().body == b"b again"
                waiting.close()
            held.let_go()
            assert finish(first) == [200]
