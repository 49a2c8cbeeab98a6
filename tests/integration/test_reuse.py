"""Connections to servers are used again where that is safe, and a stale one costs no client anything."""

import threading

from client import request_bytes
from harness import proxied
from messages import reply
from server import answer_hello


def test_a_thousand_requests_share_one_connection_to_the_server():
    with proxied() as (server, proxy):
        with proxy.client() as client:
            for number in range(1000):
                assert client.get(f"/{number}").body == b"hello"
        assert len(server.connections) == 1 and len(server.complete) == 1000


def test_clients_one_after_the_other_share_a_connection_to_the_server():
    with proxied() as (server, proxy):
        for _ in range(20):
            assert proxy.get().body == b"hello"
        assert len(server.connections) == 1


def test_a_clients_close_is_not_the_servers():
    with proxied() as (server, proxy):
        for _ in range(5):
            with proxy.client() as client:
                assert "close" in client.get("/", Connection="close").listed("connection")
                client.expect_end()
        assert len(server.connections) == 1
        assert not any("close" in request.listed("connection") for request in server.requests)


def test_a_servers_close_is_not_the_clients():
    async def script(connection):
        await connection.request()
        await connection.send(reply(body="x", fields={"Connection": "close"}))
        await connection.until_closed()

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            for _ in range(5):
                answer = client.get()
                assert answer.body == b"x" and "close" not in answer.listed("connection")
        assert len(server.connections) == 5


def test_concurrent_requests_do_not_share_a_connection():
    async def script(connection):
        while await connection.request():
            await connection.server.hold.wait()
            await connection.send(reply(body="x"))

    with proxied(script) as (server, proxy):
        server.hold = server.gate()
        clients = [proxy.client() for _ in range(10)]
        for client in clients:
            client.send(request_bytes())
        server.wait(lambda: len(server.complete) == 10, "ten requests at once")
        server.hold.open()
        assert [client.response().body for client in clients] == [b"x"] * 10
        assert len(server.connections) == 10
        assert clients[0].get().body == b"x"
        assert len(server.connections) == 10
        for client in clients:
            client.close()


def test_no_more_than_the_configured_connections_are_kept_idle():
    async def script(connection):
        while await connection.request():
            await connection.server.hold.wait()
            await connection.send(reply(body="x"))

    with proxied(script, pool={"keepalive": {"idle_connections_max": 3}}) as (server, proxy):
        server.hold = server.gate()
        clients = [proxy.client() for _ in range(10)]
        for client in clients:
            client.send(request_bytes())
        server.wait(lambda: len(server.complete) == 10, "ten requests at once")
        server.hold.open()
        for client in clients:
            client.response()
            client.close()
        server.wait(lambda: sum(bool(connection.ended) for connection in server.connections) == 7, "seven to be closed")


def test_an_idle_connection_to_a_server_ends_after_its_time():
    with proxied(pool={"keepalive": {"idle_timeout": "100ms"}}) as (server, proxy):
        assert proxy.get().body == b"hello"
        server.wait(lambda: server.connections[0].ended == "fin", "the proxy to close its idle connection")
        assert proxy.get().body == b"hello"


def test_a_get_on_a_connection_that_the_server_just_closed_is_asked_again():
    async def script(connection):
        request = await connection.request()
        while request:
            await connection.send(reply(body=request.target))
            request = await connection.request()
            if request and connection.requests % 2 == 0:
                connection.reset() if connection.index % 2 else connection.close()
                return

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            for number in range(200):
                assert client.get(f"/{number}").body == f"/{number}".encode()
        assert len(server.connections) > 50, "the connections never went stale, so nothing was shown"


def test_a_post_on_a_connection_that_the_server_just_closed_is_never_doubled():
    async def script(connection):
        while await connection.request():
            if connection.requests == 2:
                return
            await connection.send(reply(body="done"))

    with proxied(script) as (server, proxy):
        statuses = []
        for number in range(100):
            with proxy.client() as client:
                statuses.append(client.request("POST", f"/{number}", body=b"pay 1").status)
        targets = [request.target for request in server.requests]
        assert len(targets) == len(set(targets)) == 100, "a POST came twice or never"
        assert set(statuses) == {200, 502}


def test_a_connection_closed_while_idle_fails_no_request_of_any_method():
    with proxied() as (server, proxy):
        with proxy.client() as client:
            for number in range(50):
                server.close_idle()
                server.wait(lambda: not [c for c in server.connections if c.ended is None], "the connection to be gone")
                assert client.get(f"/get/{number}").status == 200
                server.close_idle()
                server.wait(lambda: not [c for c in server.connections if c.ended is None], "the connection to be gone")
                assert client.request("POST", f"/post/{number}", body=b"x").status in (200, 502)
        targets = [request.target for request in server.requests if request.method == "POST"]
        assert len(targets) == len(set(targets))


def test_two_workers_serve_many_clients_over_few_connections():
    with proxied(answer_hello, workers=2) as (server, proxy):
        def one_client():
            with proxy.client() as client:
                for _ in range(50):
                    assert client.get().body == b"hello"
        threads = [threading.Thread(target=one_client) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.complete) == 800
        assert len(server.connections) <= 32


def test_a_request_is_not_stopped_by_a_server_that_stops_listening_but_keeps_its_connection():
    with proxied() as (server, proxy):
        with proxy.client() as client:
            assert client.get().status == 200
            server.stop_listening()
            assert client.get().status == 200


def test_a_servers_goodbye_on_a_kept_connection_is_no_answer_to_the_next_get():
    goodbye = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def script(connection):
        if await connection.request():
            await connection.send(reply(body="hello"))
        # What a server says that had given the connection up before the next request came.
        if await connection.request():
            await connection.send(goodbye)

    with proxied(script) as (server, proxy):
        assert proxy.get("/first").body == b"hello"
        assert proxy.get("/again").body == b"hello"
        assert len(server.connections) == 2
        assert proxy.page("metrics")["retries"] == 1
        with proxy.client() as client:  # a POST may have been acted on: its answer stands
            assert client.request("POST", "/once", body=b"x").status == 408
        assert len([request for request in server.complete if request.target == "/once"]) == 1
