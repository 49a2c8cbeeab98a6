"""Which server of a pool a request goes to, and what a failing one costs the clients: nothing that can be avoided."""

import collections
import threading

import pytest

from client import request_bytes
from harness import Proxy, configuration
from messages import reply
from server import Server, answering, refused_address


def named(count):
    return [Server(answering(reply(body=f"server {n}"))) for n in range(count)]


def stop(servers):
    for server in servers:
        server.stop()
        server.check()


@pytest.fixture
def three():
    servers = named(3)
    yield servers
    stop(servers)


def counts(servers):
    return [len(server.complete) for server in servers]


def test_round_robin_alternates_strictly_on_one_connection(three):
    with Proxy(configuration(*three)) as proxy:
        with proxy.client() as client:
            bodies = [client.get().body for _ in range(30)]
    assert bodies == [b"server 0", b"server 1", b"server 2"] * 10 or collections.Counter(bodies).most_common()[0][1] == 10
    assert all(bodies[n] == bodies[n + 3] for n in range(27)), "not in turn"
    assert counts(three) == [10, 10, 10]


def test_round_robin_is_exact_with_two_workers_and_many_connections(three):
    with Proxy(configuration(*three, workers=2)) as proxy:
        def one_client():
            with proxy.client() as client:
                for _ in range(15):
                    assert client.get().status == 200
        threads = [threading.Thread(target=one_client) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts(three) == [100, 100, 100]


def test_weights_are_kept_exactly(three):
    config = configuration(*three)
    for server, weight in zip(config["pools"]["app"]["servers"], (5, 2, 1)):
        server["weight"] = weight
    with Proxy(config) as proxy:
        with proxy.client() as client:
            bodies = [client.get().body for _ in range(80)]
    assert counts(three) == [50, 20, 10]
    assert bodies[:8] == bodies[8:16] and bodies[0:3] != [bodies[0]] * 3, "the heavy one is not asked in bursts"


def test_least_connections_avoids_the_busy_server():
    async def hold(connection):
        while await connection.request():
            await connection.server.hold.wait()
            await connection.send(reply(body="held"))

    with Server(hold) as slow, Server(answering(reply(body="quick"))) as quick:
        slow.hold = slow.gate()
        with Proxy(configuration(slow, quick, pool={"algorithm": "least_connections"})) as proxy:
            with proxy.client() as waiting:
                waiting.send(request_bytes())  # ties are broken in turn, and the first turn is the first server's
                slow.wait(lambda: slow.complete, "a request at the slow server")
                for _ in range(20):
                    assert proxy.get().body == b"quick"
                assert len(slow.complete) == 1
                slow.hold.open()
                assert waiting.response().body == b"held"


def test_ip_hash_keeps_a_client_at_its_server_and_spreads_clients(three):
    with Proxy(configuration(*three, pool={"algorithm": "ip_hash"})) as proxy:
        homes = {}
        for last in range(1, 40):
            bodies = set()
            for _ in range(3):
                with proxy.client(source=f"127.0.1.{last}") as client:
                    bodies.add(client.get().body)
            assert len(bodies) == 1, "a client was sent to several servers"
            homes[last] = bodies.pop()
    assert len(set(homes.values())) == 3


def test_a_server_that_refuses_costs_no_request(three):
    keep, address = refused_address()
    with keep, Proxy(configuration(three[0], address, three[1])) as proxy:
        with proxy.client() as client:
            assert [client.get().status for _ in range(60)] == [200] * 60
            assert [client.request("POST", "/", body=b"x" * 5000).status for _ in range(30)] == [200] * 30
        assert proxy.page("metrics")["failovers"] >= 1
    assert sum(counts(three)) == 90


def test_a_server_that_stops_listening_costs_no_request(three):
    with Proxy(configuration(*three)) as proxy:
        with proxy.client() as client:
            for number in range(90):
                if number == 30:
                    three[1].stop_listening()
                    three[1].close_idle()
                assert client.get().status == 200


def test_all_servers_refusing_is_an_error_with_a_sentence():
    first, one = refused_address()
    second, two = refused_address()
    with first, second, Proxy(configuration(one, two)) as proxy:
        with proxy.client() as client:
            for _ in range(3):
                answer = client.get()
                assert answer.status in (502, 503) and answer.body and answer.value("x-request-id")
            assert client.get("/__health__").status in (200, 503)


def test_no_more_servers_are_tried_than_configured():
    closed = [refused_address() for _ in range(4)]
    with Server() as good, Proxy(configuration(*[address for _, address in closed], good, pool={"retries": {"tries_max": 2}})) as proxy:
        statuses = [proxy.get().status for _ in range(10)]
    assert 502 in statuses or 503 in statuses
    for sock, _ in closed:
        sock.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("when", ["on accept", "after the request"])
def test_a_server_that_breaks_off_before_it_answers_costs_no_get_and_doubles_no_post(three, how, when):
    async def script(connection):
        if when == "after the request":
            await connection.request()
        connection.reset() if how == "reset" else connection.close()

    with Server(script) as bad, Proxy(configuration(three[0], bad, three[1])) as proxy:
        with proxy.client() as client:
            gets = [client.get(f"/get/{n}").status for n in range(30)]
            posts = [client.request("POST", f"/post/{n}", body=b"x").status for n in range(30)]
        assert set(gets) <= {200, 502}
        assert set(posts) <= {200, 502}
        targets = [request.target for server in (three[0], bad, three[1]) for request in server.requests if request.method == "POST"]
        assert len(targets) == len(set(targets)), "a POST reached two servers"
        bad.faults.clear()


def test_a_get_that_no_server_answered_is_tried_elsewhere(three):
    async def script(connection):
        await connection.request()
        connection.reset()

    with Server(script) as bad, Proxy(configuration(three[0], bad)) as proxy:
        with proxy.client() as client:
            assert [client.get().status for _ in range(20)] == [200] * 20


def test_a_garbage_server_spoils_only_its_own_requests(three):
    with Server(answering(b"garbage\r\n\r\n")) as bad, Proxy(configuration(three[0], bad, three[1], pool={"outliers": "off"})) as proxy:
        with proxy.client() as client:
            statuses = [client.get().status for _ in range(30)]
    assert collections.Counter(statuses) == {200: 20, 502: 10}
