"""Large bodies and slow peers: bodies stream byte-exact, memory stays flat, and whoever does not read is not read for."""

import hashlib
import os
import random
import select
import threading

import pytest

from client import request_bytes
from harness import proxied
from messages import reply

MIB = 1024 * 1024
BLOCK = random.Random(4711).randbytes(MIB)
STILL_SECONDS = 0.5  # a socket that takes no byte for so long is taken as blocked
MEMORY_GROWTH_KIB_MAX = 4096


def blocks(count):
    """`count` MiB that differ in every block, so that a lost or doubled one shows."""
    return (number.to_bytes(8, "big") + BLOCK[8:] for number in range(count))


def digest(count):
    total = hashlib.sha256()
    for block in blocks(count):
        total.update(block)
    return total.hexdigest()


def as_chunk(block):
    return b"%x\r\n%s\r\n" % (len(block), block)


def download(size, head):
    async def script(connection):
        while await connection.request():
            await connection.send(head)
            for block in blocks(size):
                await connection.send(as_chunk(block) if b"chunked" in head else block)
            if b"chunked" in head:
                await connection.send(b"0\r\n\r\n")
            elif b"Length" not in head:
                return
    return script


def send_blocked(sock, data):
    """Sends from `data`, an endless iterator, until the socket takes nothing more; returns how much it took."""
    sock.setblocking(False)
    sent = 0
    pending = b""
    while select.select([], [sock], [], STILL_SECONDS)[1]:
        pending = pending or next(data, b"")
        if not pending:
            break
        try:
            count = sock.send(pending)
        except BlockingIOError:
            continue
        sent += count
        pending = pending[count:]
    sock.settimeout(30)
    return sent, pending


SIZES = [pytest.param(64, id="64MiB"), pytest.param(10 * 1024, id="10GiB", marks=pytest.mark.big)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked", "until-close"])
def test_a_large_answer_arrives_byte_exact_in_flat_memory(size, framing):
    head = {"length": f"HTTP/1.1 200 OK\r\nContent-Length: {size * MIB}\r\n\r\n".encode(),
            "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "until-close": b"HTTP/1.1 200 OK\r\n\r\n"}[framing]
    with proxied(download(size, head)) as (_, proxy):
        proxy.get("/__health__")
        before = proxy.rss_kib()
        answer = proxy.get()
        assert answer.complete and (answer.content.size, answer.content.sha256) == (size * MIB, digest(size))
        assert proxy.grown_kib(before) < MEMORY_GROWTH_KIB_MAX


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_request_arrives_byte_exact_in_flat_memory(size, framing):
    fields = {"Content-Length": size * MIB} if framing == "length" else {"Transfer-Encoding": "chunked"}
    with proxied() as (server, proxy):
        proxy.get()
        before = proxy.rss_kib()
        with proxy.client() as client:
            client.send(request_bytes("POST", "/upload", fields))
            for block in blocks(size):
                client.send(block if framing == "length" else as_chunk(block))
            if framing == "chunked":
                client.send(b"0\r\n\r\n")
            assert client.response().status == 200
        seen = server.requests[-1]
        assert (seen.content.size, seen.content.sha256) == (size * MIB, digest(size))
        assert proxy.grown_kib(before) < MEMORY_GROWTH_KIB_MAX


def test_both_bodies_stream_at_once():
    async def echo(connection):
        request = await connection.head()
        await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {request.length}\r\n\r\n".encode())
        left = request.length
        early = bytes(connection.buffer.take(len(connection.buffer.data)))
        while left:
            data = early or await connection.recv()
            early = b""
            await connection.send(data)
            left -= len(data)
        request.complete = True

    size = 32
    with proxied(echo) as (_, proxy):
        with proxy.client() as client:
            def upload():
                client.send(request_bytes("POST", "/echo", {"Content-Length": size * MIB}))
                for block in blocks(size):
                    client.send(block)
            sender = threading.Thread(target=upload)
            sender.start()
            answer = client.response()
            sender.join()
        assert answer.complete and answer.content.sha256 == digest(size)


def test_a_client_that_does_not_read_stops_the_server_from_being_read():
    size = 256
    sent = []

    async def script(connection):
        await connection.request()
        await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size * MIB}\r\n\r\n".encode())
        source = blocks(size)
        count, rest = await connection.loop.run_in_executor(None, send_blocked, connection.sock, source)
        sent.append(count)
        connection.sock.setblocking(False)
        connection.server.notify()
        await connection.send(rest)
        for block in source:
            await connection.send(block)

    with proxied(script) as (server, proxy):
        proxy.get("/__health__")
        before = proxy.rss_kib()
        with proxy.client(receive_buffer=16 * 1024) as client:
            client.send(request_bytes())
            server.wait(lambda: sent, "the server's sends to block")
            assert sent[0] < 32 * MIB, "more than the sockets' own buffers was taken"
            assert proxy.grown_kib(before) < 1024
            answer = client.response()
        assert answer.complete and answer.content.sha256 == digest(size)


def test_a_server_that_does_not_read_stops_the_client_from_being_read():
    size = 256

    async def script(connection):
        request = await connection.head()
        await connection.server.hold.wait()
        await connection.body(request)
        await connection.send(reply(body=request.content.sha256))

    with proxied(script) as (server, proxy):
        server.hold = server.gate()
        proxy.get("/__health__")
        before = proxy.rss_kib()
        with proxy.client() as client:
            client.send(request_bytes("POST", "/", {"Content-Length": size * MIB}))
            source = blocks(size)
            sent, rest = send_blocked(client.sock, source)
            assert sent < 32 * MIB, "more than the sockets' own buffers was taken"
            assert proxy.grown_kib(before) < 1024
            server.hold.open()
            client.send(rest)
            for block in source:
                client.send(block)
            assert client.response().body.decode() == digest(size)


def test_pipelined_requests_of_a_client_that_does_not_read_are_not_taken_without_end():
    async def script(connection):
        while request := await connection.request():
            await connection.send(reply(body=request.target.ljust(16 * 1024)))

    def requests(marks):
        number = 0
        while True:
            marks.append(number)
            yield request_bytes("GET", f"/{number}")
            number += 1

    with proxied(script) as (_, proxy):
        proxy.get()
        before = proxy.rss_kib()
        with proxy.client(receive_buffer=16 * 1024) as client:
            marks = []
            sent, _ = send_blocked(client.sock, requests(marks))
            assert proxy.grown_kib(before) < 1024, f"after {sent} bytes of requests"
            for number in marks[:200]:
                assert client.response().body.strip() == f"/{number}".encode()


@pytest.mark.parametrize("count", [200])
def test_many_clients_that_do_not_read_cost_little_each(count):
    async def script(connection):
        while await connection.request():
            await connection.send(reply(body=BLOCK))

    with proxied(script) as (server, proxy):
        proxy.get("/__health__")
        before = proxy.rss_kib()
        clients = [proxy.client(receive_buffer=4096) for _ in range(count)]
        try:
            for client in clients:
                client.send(request_bytes())
            server.wait(lambda: len(server.complete) == count, "all requests")
            assert proxy.get("/__health__").status == 200
            assert proxy.grown_kib(before) / count < 64 + 16
            for client in clients[:20]:
                assert client.response().body == BLOCK
        finally:
            for client in clients:
                client.close()


@pytest.mark.parametrize("size", [0, 1, 2 ** 7, *(2 ** k + d for k in (8, 12, 14, 15, 16, 17, 18) for d in (-1, 0, 1))])
def test_no_size_near_a_power_of_two_is_special(size, both_ways):
    server, proxy = both_ways
    body = os.urandom(size)
    with proxy.client() as client:
        assert client.request("POST", "/", body=body).body == body
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + (as_chunk(body) if size else b"") + b"0\r\n\r\n")
        assert client.response().body == body
        filler = "x" * min(size, 4096)
        assert client.get("/" + filler[1:], X_Filler=filler).body == b""


@pytest.fixture(scope="module")
def both_ways():
    async def echo(connection):
        while request := await connection.request():
            await connection.send(reply(body=request.body))

    with proxied(echo) as pair:
        yield pair
