"""Start, drain and end: nothing under way is cut, nothing new is begun, and the exit code says how it went."""

import signal
import socket

import pytest

from client import Ended, request_bytes
from harness import Proxy, configuration, proxied
from messages import reply
from server import Server

PATIENT = {"timeouts": {"drain": "30s"}}


async def held(connection):
    while await connection.request():
        await connection.server.hold.wait()
        await connection.send(reply(body="in the end"))


def in_flight(server, proxy, count):
    clients = [proxy.client() for _ in range(count)]
    for client in clients:
        client.send(request_bytes())
    server.wait(lambda: len(server.complete) == count, "the requests under way")
    return clients


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_under_way_ends_well_and_then_the_process(number):
    with proxied(held, **PATIENT) as (server, proxy):
        server.hold = server.gate()
        clients = in_flight(server, proxy, 10)
        idle = proxy.client()
        assert idle.get("/__health__").status == 200
        proxy.send_signal(number)
        idle.expect_end()  # the sign that the drain has begun
        with pytest.raises(ConnectionRefusedError):
            proxy.client()
        server.hold.open()
        for client in clients:
            answer = client.response()
            assert answer.body == b"in the end" and "close" in answer.listed("connection")
            client.expect_end()
        assert proxy.finish() == 0


def test_a_body_under_way_ends_well():
    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await connection.server.hold.wait()
        await connection.send(b"6\r\nsecond\r\n0\r\n\r\n")

    with proxied(script, **PATIENT) as (server, proxy):
        server.hold = server.gate()
        with proxy.client() as client, proxy.client() as idle:
            assert idle.get("/__health__").status == 200
            client.send(request_bytes())
            while b"first" not in client.buffer.data:
                client.buffer.feed(client.recv())
            proxy.send_signal(signal.SIGTERM)
            idle.expect_end()
            server.hold.open()
            answer = client.response()
            assert answer.complete and answer.body == b"firstsecond"
            client.expect_end()
        assert proxy.finish() == 0


def test_an_upload_under_way_ends_well():
    with proxied(**PATIENT) as (server, proxy):
        with proxy.client() as client, proxy.client() as idle:
            assert idle.get("/__health__").status == 200
            client.send(request_bytes("POST", "/", {"Content-Length": 10}) + b"first")
            server.wait(lambda: server.requests, "the head")
            proxy.send_signal(signal.SIGTERM)
            idle.expect_end()
            client.send(b"later")
            assert client.response().body == b"hello"
        assert proxy.finish() == 0
        assert server.complete[0].body == b"firstlater"


def test_pipelined_requests_behind_the_one_under_way_are_answered_or_dropped_whole():
    with proxied(held, **PATIENT) as (server, proxy):
        server.hold = server.gate()
        with proxy.client() as client, proxy.client() as idle:
            assert idle.get("/__health__").status == 200
            client.send(request_bytes() + request_bytes("GET", "/second"))
            server.wait(lambda: server.complete, "the first")
            proxy.send_signal(signal.SIGTERM)
            idle.expect_end()
            server.hold.open()
            assert client.response().complete
            with pytest.raises(Ended):
                client.response()
        assert proxy.finish() == 0
        assert len(server.requests) == 1


def test_a_second_signal_ends_at_once():
    with proxied(held, **PATIENT) as (server, proxy):
        server.hold = server.gate()
        clients = in_flight(server, proxy, 3)
        with proxy.client() as idle:
            assert idle.get("/__health__").status == 200
            proxy.send_signal(signal.SIGTERM)
            idle.expect_end()
        proxy.send_signal(signal.SIGTERM)
        assert proxy.finish() in (0, 1)
        for client in clients:
            with pytest.raises(Ended):
                client.response()


def test_the_drain_has_an_end():
    with proxied(held, timeouts={"drain": "200ms"}) as (server, proxy):
        server.hold = server.gate()
        clients = in_flight(server, proxy, 3)
        proxy.send_signal(signal.SIGTERM)
        for client in clients:
            with pytest.raises(Ended):
                client.response()
        assert proxy.finish() in (0, 1)


def test_the_port_can_be_bound_again_at_once():
    with Server() as server:
        first = Proxy(configuration(server))
        port = first.port
        with first.client() as client:
            assert client.get().status == 200
            first.kill()
        config = configuration(server)
        config["listeners"][0]["bind"] = f"127.0.0.1:{port}"
        with Proxy(config) as second:
            assert second.port == port and second.get().status == 200


def test_several_listeners_and_workers_all_serve():
    with Server() as server:
        listeners = [{"bind": "127.0.0.1:0"}, {"bind": "127.0.0.2:0"}, {"bind": "[::1]:0", "status_pages": True}]
        with Proxy(configuration(server, listeners=listeners, workers=2)) as proxy:
            ports = proxy.ports()
            assert len(ports) == 3
            for address, port in zip(("127.0.0.1", "127.0.0.2", "::1"), ports):
                for _ in range(8):
                    with socket.create_connection((address, port)) as sock:
                        sock.sendall(request_bytes("GET", "/", {"Connection": "close"}))
                        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
            seen = {request.value("x-forwarded-for") for request in server.requests}
            assert {"::1", "127.0.0.1"} <= seen


def test_connections_are_shared_among_workers():
    with Server() as server:
        with Proxy(configuration(server, workers=2)) as proxy:
            clients = [proxy.client() for _ in range(64)]
            assert all(client.get().status == 200 for client in clients)
            assert len(server.connections) >= 2, "one worker did all"
            for client in clients:
                client.close()
