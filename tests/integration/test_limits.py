"""Everything that a network can grow has a limit: each is hit here, and what happens then is what the manual says."""

import contextlib
import json
import select
import socket

import pytest

from client import Client, Ended, request_bytes
from harness import Proxy, configuration, proxied, sanitized
from messages import reply
from server import Server, answer_hello

LIMITS = {"request_line_bytes_max": 512, "head_bytes_max": 2048, "field_count_max": 20, "body_bytes_max": 1000}


@pytest.fixture(scope="module")
def limited():
    with proxied(http=LIMITS, routes=[{"pool": "app"}, {"match": {"path": "/roomy"}, "pool": "app", "body_bytes_max": 5000}]) as pair:
        yield pair


def refused(answer, status):
    assert answer.status == status, answer
    assert answer.body and answer.value("x-request-id")


HEADS = [
    ("request_line_bytes", 414, lambda: request_bytes("GET", "/" + "a" * 600)),
    ("head_bytes", 431, lambda: request_bytes("GET", "/", {"X-Big": "b" * 3000})),
    ("head_bytes", 431, lambda: request_bytes("GET", "/", {f"X-{n}": "b" * 300 for n in range(10)})),
    ("field_count", 431, lambda: request_bytes("GET", "/", {f"X-{n}": "1" for n in range(30)})),
    ("body_bytes", 413, lambda: request_bytes("POST", "/", {"Content-Length": 1001})),
    ("body_bytes", 413, lambda: request_bytes("POST", "/", {"Content-Length": 10 ** 18})),
    ("body_bytes", 413, lambda: request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"),
    ("body_bytes", 413, lambda: request_bytes("POST", "/roomy", {"Content-Length": 5001})),
]


@pytest.mark.parametrize("limit, status, request_of", HEADS, ids=[f"{limit}-{n}" for n, (limit, _, _) in enumerate(HEADS)])
def test_a_message_over_a_limit_is_refused_and_counted(limited, limit, status, request_of):
    server, proxy = limited
    before = proxy.page("metrics")["limits_hit"][limit]
    with proxy.client() as client:
        client.send(request_of())
        answer = client.response()
        refused(answer, status)
        if "close" in answer.listed("connection"):
            client.expect_end()
        else:  # only where the rest of the message was read
            assert status == 413 and client.get("/").status == 200
    server.settle()
    assert not [request for request in server.complete if request.target != "/"]
    assert proxy.page("metrics")["limits_hit"][limit] == before + 1


def test_a_refusal_is_json_for_those_who_ask_for_json(limited):
    _, proxy = limited
    with proxy.client() as client:
        client.send(request_bytes("POST", "/", {"Content-Length": 1001, "Accept": "application/json"}))
        answer = client.response()
        assert answer.value("content-type").startswith("application/json")
        assert answer.value("x-request-id") in json.dumps(json.loads(answer.body))


def test_a_head_without_end_is_refused_before_it_is_all_kept(limited):
    _, proxy = limited
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test.local\r\nX-Endless: ")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(64):
                client.send(b"x" * 1024)
        assert client.response().status == 431


def test_a_message_at_its_limits_is_served(limited):
    server, proxy = limited
    with proxy.client() as client:
        assert client.request("POST", "/", body=b"x" * 1000).status == 200
        assert client.request("POST", "/roomy", body=b"x" * 5000).status == 200
        assert client.get("/" + "a" * (512 - len("GET  HTTP/1.1\r\n") - 1)).status == 200
        assert client.request("GET", "/", {f"X-{n}": "1" for n in range(19)}).status == 200


def test_requests_of_one_connection_end_with_the_last_one_allowed():
    with proxied(http={"requests_per_connection_max": 3}) as (_, proxy):
        with proxy.client() as client:
            closes = ["close" in client.get().listed("connection") for _ in range(3)]
            assert closes == [False, False, True]
            client.expect_end()
        assert proxy.page("metrics")["limits_hit"]["requests_per_connection"] == 1


def test_pipelined_requests_beyond_the_last_one_allowed_reach_nobody():
    with proxied(http={"requests_per_connection_max": 2}) as (server, proxy):
        with proxy.client() as client:
            client.send(b"".join(request_bytes("GET", f"/{n}") for n in range(5)))
            assert [client.response().status for _ in range(2)] == [200, 200]
            client.expect_end()
        server.settle()
        assert len(server.requests) == 2


TIMEOUTS = {"header_read": "200ms", "body_idle": "200ms", "idle": "200ms", "connect": "200ms", "first_byte": "200ms", "drain": "1s"}


@pytest.fixture(scope="module")
def impatient():
    async def script(connection):
        while request := await connection.request():
            if request.target == "/silent":
                await connection.until_closed()
            elif request.target == "/stalls":
                await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                await connection.until_closed()
            else:
                await connection.send(reply(body=b"hello"))

    with proxied(script, timeouts=TIMEOUTS) as pair:
        yield pair


def hits(proxy, limit):
    return proxy.page("metrics")["limits_hit"][limit]


@pytest.mark.parametrize("part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: test.local\r\nX-Never: ends"])
def test_a_head_that_does_not_end_is_408(impatient, part):
    server, proxy = impatient
    before = hits(proxy, "header_read_timeout")
    with proxy.client() as client:
        client.send(part)
        assert client.response().status == 408
        client.expect_end()
    assert hits(proxy, "header_read_timeout") == before + 1


def test_a_head_in_drips_is_408_although_every_byte_comes_in_time(impatient):
    _, proxy = impatient
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test.local\r\nX-Slow: ")
        while not select.select([client.sock], [], [], 0.02)[0]:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(b"x")
        assert client.response().status == 408


def test_a_body_that_stalls_is_408_and_aborted_at_the_server(impatient):
    server, proxy = impatient
    before = hits(proxy, "body_idle_timeout")
    with proxy.client() as client:
        client.send(request_bytes("POST", "/half", {"Content-Length": 10}) + b"hello")
        answer = client.response()
        assert answer.status == 408 and "close" in answer.listed("connection")
        client.expect_end()
    server.wait(lambda: any(request.target == "/half" and request.aborted for request in server.requests), "the abort")
    assert hits(proxy, "body_idle_timeout") == before + 1


def test_an_answer_that_stalls_is_cut_off(impatient):
    _, proxy = impatient
    before = hits(proxy, "body_idle_timeout")
    with proxy.client() as client:
        client.send(request_bytes("GET", "/stalls"))
        answer = client.response()
        assert answer.status == 200 and not answer.complete
    assert hits(proxy, "body_idle_timeout") == before + 1


def test_an_idle_connection_ends_without_a_word(impatient):
    _, proxy = impatient
    before = hits(proxy, "idle_timeout")
    with proxy.client() as client:
        assert client.get().status == 200
        client.expect_end()
    with proxy.client() as client:
        client.expect_end()
    assert hits(proxy, "idle_timeout") >= before + 1


def test_a_server_that_does_not_answer_is_504_and_its_connection_ends(impatient):
    server, proxy = impatient
    before = hits(proxy, "first_byte_timeout")
    with proxy.client() as client:
        answer = client.get("/silent")
        assert answer.status == 504 and answer.body and answer.value("x-request-id")
    silent = next(request for request in server.requests if request.target == "/silent")
    server.wait(lambda: server.connections[silent.connection].ended, "the end of the server's connection")
    assert hits(proxy, "first_byte_timeout") == before + 1
    assert [request.target for request in server.requests].count("/silent") == 1


def test_no_timeout_is_much_later_than_others():
    """Told by order alone: what has a tenth of a second is answered before what has twenty times that and began later."""
    async def silent(connection):
        await connection.request()
        await connection.until_closed()

    routes = [{"pool": "app"}, {"match": {"path": "/later"}, "pool": "app", "timeouts": {"first_byte": "2s"}}]
    with proxied(silent, timeouts={"first_byte": "100ms"}, routes=routes) as (_, proxy):
        clients = []
        for _ in range(200):
            clients.append(proxy.client())
            clients[-1].send(request_bytes())
            select.select([clients[-1].sock], [], [], 0.001)
        assert proxy.get("/later").status == 504
        answered = select.select([client.sock for client in clients], [], [], 0)[0]
        assert len(answered) == len(clients), f"{len(clients) - len(answered)} of {len(clients)} still wait"
        assert statuses(clients) == [504] * len(clients)
        for client in clients:
            client.close()


@pytest.mark.parametrize("limit", [70_000, 100_000, 200_000])
def test_a_chunked_body_that_turns_out_too_large_late_is_413(limit):
    with proxied(http={"body_bytes_max": limit}) as (server, proxy):
        for number in range(10):
            with proxy.client() as client:
                body = b"%x\r\n" % 400_000 + bytes(400_000) + b"\r\n0\r\n\r\n"
                client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + body)
                assert client.response().status == 413
            server.wait(lambda: sum(request.aborted for request in server.requests) > number, "the abort")
        assert hits(proxy, "body_bytes") == 10


def test_a_route_may_have_more_patience():
    async def script(connection):
        while request := await connection.request():
            if request.target == "/slow":
                await connection.server.hold.wait()
            else:
                await connection.until_closed()
            await connection.send(reply(body="at last"))

    routes = [{"pool": "app"}, {"match": {"path": "/slow"}, "pool": "app", "timeouts": {"first_byte": "30s"}}]
    with proxied(script, timeouts={"first_byte": "100ms"}, routes=routes) as (server, proxy):
        server.hold = server.gate()
        with proxy.client() as patient:
            patient.send(request_bytes("GET", "/slow"))
            server.hold.wait_reached()
            assert proxy.get("/other").status == 504
            server.hold.open()
            assert patient.response().body == b"at last"


def test_an_exchange_has_a_total_time():
    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while connection.ended is None:
            await connection.send(b"1\r\nx\r\n")
            await connection.pause(10)

    with proxied(script, timeouts={"total": "300ms"}) as (_, proxy):
        with proxy.client() as client:
            client.send(request_bytes())
            answer = client.response()
            assert answer.status == 200 and not answer.complete and answer.content.size > 0
        assert hits(proxy, "total_timeout") == 1


@contextlib.contextmanager
def blackhole():
    """An address that neither accepts nor refuses: its queue is full, so that the kernel drops what comes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for filler in fillers:
            filler.close()


def test_a_server_that_cannot_be_reached_in_time_is_504():
    with blackhole() as nowhere, Proxy(configuration(nowhere, timeouts={"connect": "100ms"})) as proxy:
        answer = proxy.get()
        assert answer.status in (502, 504) and answer.body
        assert hits(proxy, "connect_timeout") >= 1


def test_another_server_is_tried_when_one_cannot_be_reached_in_time():
    with Server() as good, blackhole() as nowhere:
        with Proxy(configuration(nowhere, good, timeouts={"connect": "100ms"})) as proxy:
            with proxy.client() as client:
                assert [client.get().status for _ in range(4)] == [200] * 4
                assert client.request("POST", "/", body=b"x" * 100).status == 200


def open_all(proxy, count, **options):
    clients = [proxy.client(**options) for _ in range(count)]
    for client in clients:
        client.send(request_bytes())
    return clients


def statuses(clients):
    found = []
    for client in clients:
        try:
            found.append(client.response().status)
        except Ended:
            found.append(None)
    return found


@pytest.mark.parametrize("key, limit", [("max", "connections"), ("per_client_max", "connections_per_client")])
def test_connections_beyond_the_limit_are_told_so(key, limit):
    with proxied(connections={key: 5}) as (_, proxy):
        clients = [proxy.client() for _ in range(5)]
        assert [client.get().status for client in clients] == [200] * 5
        with proxy.client() as sixth:
            try:
                sixth.send(request_bytes())
                answer = sixth.response()
                assert answer.status in (429, 503) and "close" in answer.listed("connection")
                sixth.expect_end()
            except (BrokenPipeError, ConnectionResetError):
                pytest.fail("closed without a word")
        if key == "per_client_max":
            with proxy.client(source="127.0.0.2") as other:
                assert other.get().status == 200
        assert [client.get().status for client in clients] == [200] * 5
        metrics = json.loads(clients[0].get("/__metrics__").body)
        assert metrics["limits_hit"][limit] == 1
        for client in clients:
            client.close()


def test_a_connection_that_ends_makes_room_for_another():
    with proxied(connections={"max": 2}) as (_, proxy):
        for _ in range(50):
            with proxy.client() as first, proxy.client() as second:
                assert (first.get("/", Connection="close").status, second.get("/", Connection="close").status) == (200, 200)
                first.expect_end()
                second.expect_end()


@pytest.mark.skipif(sanitized(), reason="the sanitizer itself needs descriptors")
def test_running_out_of_descriptors_hurts_nobody_who_is_connected_and_passes():
    with Server() as server:
        with Proxy(configuration(server), wrapper=["prlimit", "--nofile=64:64"]) as proxy:
            with proxy.client() as old:
                assert old.get().status == 200
                crowd = []
                for _ in range(150):
                    crowd.append(Client(proxy.port))
                assert old.get().status == 200, "one that was connected before is served"
                before = proxy.cpu_ticks()
                assert not select.select([old.sock], [], [], 1.0)[0]
                assert proxy.cpu_ticks() - before < 20, "it spins"
                for client in crowd:
                    client.close()
                assert old.get().status == 200
                for _ in range(20):
                    assert proxy.get().status == 200
                assert proxy.page("metrics")["limits_hit"]["file_descriptors"] >= 1


@pytest.mark.parametrize("part", [b"GET / HTTP/1.1\r\nHost: t\r\nX: ", b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n"],
                         ids=["slow heads", "slow bodies"])
def test_a_crowd_of_slow_clients_does_not_keep_others_out_and_is_sent_away(part):
    with proxied(answer_hello, timeouts={"header_read": "500ms", "body_idle": "500ms", "total": "1s"}) as (_, proxy):
        crowd = [proxy.client() for _ in range(400)]
        waiting = {client.sock.fileno(): client for client in crowd}
        for client in crowd:
            client.send(part)
        ended = 0
        while waiting:
            readable = select.select(list(waiting), [], [], 0.1)[0]
            for number in readable:
                client = waiting.pop(number)
                client.rest()
                ended += 1
            for client in waiting.values():
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.send(b"x")
            assert proxy.get().status == 200
        assert ended == 400
        for client in crowd:
            client.close()
