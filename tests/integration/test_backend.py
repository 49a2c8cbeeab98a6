"""The demo backend: the pages that the demo, the README and the benches rely on."""

import base64
import hashlib
import json
import os
import struct

import pytest

from client import Client, request_bytes
from harness import Process


@pytest.fixture(scope="module")
def backend():
    process = Process(["backend", "--port", "0", "--name", "blue"])
    process.wait(lambda: process.ports() or any("listening" in line for line in process.output), "it does not listen")
    yield process
    assert process.stop() == 0


@pytest.fixture
def client(backend):
    port = (backend.ports() or [int(line.rpartition(":")[2]) for line in backend.output if "listening on" in line])[0]
    with Client(port) as connected:
        yield connected


@pytest.mark.parametrize("path", ["/", "/info"])
def test_it_says_its_name(client, path):
    answer = client.get(path)
    assert answer.status == 200 and b"blue" in answer.body


def test_its_info_is_json(client):
    answer = client.get("/info")
    assert answer.value("content-type").startswith("application/json") and json.loads(answer.body)


def test_it_is_healthy(client):
    assert client.get("/health").status == 200


def test_it_tells_what_it_received(client):
    answer = client.request("POST", "/echo?a=b", {"X-Mine": "1"}, body=b"body of mine")
    assert answer.status == 200 and json.loads(answer.body)["body"] == "body of mine"


@pytest.mark.parametrize("size", [0, 1, 1000, 1_000_000])
def test_it_sends_as_many_bytes_as_asked_for(client, size):
    answer = client.get(f"/bytes/{size}")
    assert answer.complete and answer.content.size == size


@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_it_sends_the_range_that_is_asked_for(client, size):
    """As a player or a download that goes on asks for it."""
    whole = client.get(f"/bytes/{size}")
    assert whole.value("accept-ranges") == "bytes"
    middle = size // 2 + 7
    for asked, first, last in ((f"{middle}-{middle + 99}", middle, middle + 99), (f"{middle}-", middle, size - 1),
                               ("-5", size - 5, size - 1), (f"0-{size}", 0, size - 1)):
        part = client.get(f"/bytes/{size}", Range=f"bytes={asked}")
        assert (part.status, part.value("content-range")) == (206, f"bytes {first}-{last}/{size}")
        assert part.body == whole.body[first:last + 1]
    beyond = client.get(f"/bytes/{size}", Range=f"bytes={size}-")
    assert (beyond.status, beyond.value("content-range")) == (416, f"bytes */{size}")
    for fields in ({"Range": "bytes=0-1,4-5"}, {"Range": "bytes=0-1", "If-Range": '"x"'}):
        assert client.request("GET", f"/bytes/{size}", fields).status == 200
    assert client.request("HEAD", f"/bytes/{size}", {"Range": "bytes=0-1"}).status == 200


def test_it_answers_after_a_delay(client):
    assert client.get("/delay/1").status == 200


@pytest.mark.parametrize("number, divisors", [(1, 1), (12, 6), (97, 2), (720720, 240)])
def test_it_counts_divisors(client, number, divisors):
    answer = client.get(f"/cpu/{number}")
    assert answer.status == 200 and json.loads(answer.body)["divisors"] == divisors


def test_it_streams_in_chunks(client):
    answer = client.get("/stream/2")
    assert answer.complete and answer.framing == "chunked" and answer.body


@pytest.mark.parametrize("status", [200, 204, 304, 404, 418, 503])
def test_it_answers_with_any_status(client, status):
    assert client.get(f"/status/{status}").status == status
    assert client.get("/health").status == 200


def test_its_health_turns_over_on_demand(client):
    assert [client.get(path).status for path in ("/fail", "/health", "/fail", "/health")] == [503, 503, 200, 200]


@pytest.mark.parametrize("target", ["/nowhere", "/bytes/many", "/bytes/-1", "/status/42", "/cpu/0", "/delay/x"])
def test_what_makes_no_sense_is_refused(client, target):
    assert client.get(target).status in (400, 404)


def frame(opcode, payload):
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0x80 | 126, len(payload))
    return bytes([0x80 | opcode]) + size + mask + masked


def received(client):
    first, size = client.exactly(2)
    assert size < 128, "a server masks nothing"
    if size == 126:
        size = struct.unpack("!H", client.exactly(2))[0]
    return first & 0x0F, client.exactly(size)


def test_it_echoes_over_websocket(client):
    key = base64.b64encode(os.urandom(16)).decode()
    client.send(request_bytes("GET", "/ws", {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                                             "Sec-WebSocket-Key": key}))
    answer = client.response()
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    assert (answer.status, answer.value("sec-websocket-accept")) == (101, accept)
    for payload in (b"hello", b"", b"x" * 1000):
        client.send(frame(1, payload))
        assert received(client) == (1, payload)
    client.send(frame(9, b"are you there"))
    assert received(client) == (10, b"are you there")
    client.send(frame(8, struct.pack("!H", 1000)))
    assert received(client)[0] == 8
    client.expect_end()


def test_it_serves_one_connection_many_times(client):
    for _ in range(50):
        assert client.get("/").status == 200
