"""Upgrades: a tunnel after a 101 that was asked for, byte-exact both ways, and never anything else."""

import os
import struct
import threading

import pytest

from client import request_bytes
from harness import proxied
from messages import reply

WEBSOCKET = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
ASK = request_bytes("GET", "/ws", WEBSOCKET)
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


async def echo(connection):
    """Switches where asked, then echoes until the client's side ends, then ends its own."""
    while request := await connection.request():
        if "upgrade" not in request.listed("connection"):
            await connection.send(reply(body="plain"))
            continue
        await connection.send(SWITCH)
        if connection.buffer.data:
            await connection.send(connection.buffer.take(len(connection.buffer.data)))
        while data := await connection.recv():
            await connection.send(data)
        return


@pytest.fixture(scope="module")
def tunnelled():
    with proxied(echo) as pair:
        yield pair


def opened(proxy):
    client = proxy.client()
    client.send(ASK)
    answer = client.response()
    assert answer.status == 101 and answer.listed("upgrade") == ["websocket"] and "upgrade" in answer.listed("connection")
    return client


def test_the_handshake_reaches_the_server_and_comes_back(tunnelled):
    server, proxy = tunnelled
    with opened(proxy) as client:
        seen = server.requests[-1]
        assert seen.listed("upgrade") == ["websocket"] and "upgrade" in seen.listed("connection")
        assert seen.value("sec-websocket-key") == WEBSOCKET["Sec-WebSocket-Key"]
        client.send(b"ping")
        assert client.exactly(4) == b"ping"


def test_the_tunnel_is_byte_exact_both_ways_at_once(tunnelled):
    _, proxy = tunnelled
    sent = os.urandom(8 * 1024 * 1024)
    with opened(proxy) as client:
        sender = threading.Thread(target=client.send, args=(sent,))
        sender.start()
        assert client.exactly(len(sent)) == sent
        sender.join()


def test_single_bytes_pass_at_once(tunnelled):
    _, proxy = tunnelled
    with opened(proxy) as client:
        for byte in range(256):
            client.send(bytes([byte]))
            assert client.exactly(1) == bytes([byte])


def test_frames_of_any_size_pass(tunnelled):
    _, proxy = tunnelled
    with opened(proxy) as client:
        for size in (0, 1, 125, 126, 65535, 65536, 16 * 1024 * 1024):
            frame = b"\x82\xff" + struct.pack("!Q", size) + b"\0\0\0\0" + bytes(size)
            sender = threading.Thread(target=client.send, args=(frame,))
            sender.start()
            assert client.exactly(len(frame)) == frame
            sender.join()


def test_a_client_that_half_closes_still_gets_the_rest(tunnelled):
    _, proxy = tunnelled
    with opened(proxy) as client:
        client.send(b"last words")
        client.half_close()
        assert client.exactly(10) == b"last words"
        client.expect_end()


def test_a_server_that_half_closes_still_gets_the_rest():
    async def script(connection):
        await connection.request()
        await connection.send(SWITCH + b"bye")
        connection.half_close()
        await connection.until_closed()

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            client.send(ASK)
            assert client.response().status == 101
            assert client.exactly(3) == b"bye"
            client.expect_end()
            client.send(b"but I have more to say")
            client.half_close()
            server.wait(lambda: server.connections[0].ended, "the end of the client's side")
            assert bytes(server.connections[0].raw).endswith(b"but I have more to say")


def test_bytes_sent_with_the_101_belong_to_the_tunnel():
    async def script(connection):
        await connection.request()
        await connection.send(SWITCH + b"EARLY")
        await connection.until_closed()

    with proxied(script) as (_, proxy):
        with opened(proxy) as client:
            assert client.exactly(5) == b"EARLY"


def test_bytes_sent_before_the_101_belong_to_the_tunnel(tunnelled):
    _, proxy = tunnelled
    with proxy.client() as client:
        client.send(ASK + b"too early but legal")
        if client.response().status == 101:
            assert client.exactly(19) == b"too early but legal"


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_when_one_side_dies_the_other_learns_it(side, how):
    async def script(connection):
        await connection.request()
        await connection.send(SWITCH)
        if side == "server":
            await connection.recv()
            connection.reset() if how == "reset" else connection.close()
        else:
            await connection.until_closed()

    with proxied(script) as (server, proxy):
        with opened(proxy) as client:
            if side == "server":
                client.send(b"go")
                assert client.rest() == b""
            else:
                client.reset() if how == "reset" else client.close()
                server.wait(lambda: server.connections[0].ended, "the server to learn it")


def test_a_tunnel_without_traffic_ends_after_its_time():
    with proxied(echo, timeouts={"tunnel_idle": "200ms", "idle": "50ms"}) as (_, proxy):
        with opened(proxy) as client:
            client.send(b"x")
            assert client.exactly(1) == b"x"
            assert client.rest() == b""
        assert proxy.page("metrics")["limits_hit"]["tunnel_idle_timeout"] == 1


def test_a_plain_answer_to_an_upgrade_is_a_plain_answer():
    async def script(connection):
        while await connection.request():
            await connection.send(reply(body="no"))

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            client.send(ASK + request_bytes("GET", "/second"))
            assert [client.response().status for _ in range(2)] == [200, 200]
        assert [request.target for request in server.requests] == ["/ws", "/second"]


def test_after_a_plain_answer_the_next_bytes_are_parsed():
    async def script(connection):
        while await connection.request():
            await connection.send(reply(body="no"))

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            client.send(ASK + b"GET /bad HTTP/1.1\r\nHost : x\r\n\r\n")
            assert [client.response().status for _ in range(2)] == [200, 400]
            client.expect_end()
        assert len(server.requests) == 1


@pytest.mark.parametrize("ask, switch", [
    (request_bytes("GET", "/"), SWITCH),
    (ASK, SWITCH.replace(b"Upgrade: websocket", b"Upgrade: something-else")),
    (ASK, SWITCH.replace(b"Upgrade: websocket\r\n", b"")),
    (request_bytes("GET", "/", {"Upgrade": "websocket"}), SWITCH),
], ids=["not asked for", "another protocol", "no protocol", "upgrade not nominated"])
def test_a_switch_that_nobody_asked_for_is_a_bad_gateway(ask, switch):
    async def script(connection):
        await connection.request()
        await connection.send(switch)
        await connection.until_closed()

    with proxied(script) as (_, proxy):
        with proxy.client() as client:
            client.send(ask)
            assert client.response().status == 502
        assert proxy.page("metrics")["tunnels"] == 0


@pytest.mark.parametrize("fields", [
    {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"},
    {"Upgrade": "websocket, h2c", "Connection": "Upgrade"},
    {"Upgrade": "H2C", "Connection": "upgrade"},
], ids=["alone", "beside another", "upper case"])
def test_h2c_is_never_offered_to_a_server(fields, tunnelled):
    server, proxy = tunnelled
    with proxy.client() as client:
        client.send(request_bytes("GET", "/h2c", fields))
        assert client.response().status in (101, 200, 400, 501)
    server.settle()
    for request in server.requests:
        assert "h2c" not in request.listed("upgrade") and not request.values("http2-settings")


def test_connect_opens_no_tunnel(tunnelled):
    server, proxy = tunnelled
    before = len(server.requests)
    with proxy.client() as client:
        client.send("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n")
        assert client.response().status in (400, 405, 501)
    assert len(server.requests) == before


def test_many_tunnels_live_beside_requests(tunnelled):
    _, proxy = tunnelled
    tunnels = [opened(proxy) for _ in range(100)]
    for number, client in enumerate(tunnels):
        client.send(b"%4d" % number)
    assert proxy.get().body == b"plain"
    for number, client in enumerate(tunnels):
        assert client.exactly(4) == b"%4d" % number
        client.close()
    assert proxy.page("metrics")["tunnels"] >= 100
