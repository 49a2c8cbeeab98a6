"""The access log: one valid line for each exchange whatever clients send, and requests that do not care how the log fares."""

import json
import os
import re
import signal
import threading

import pytest

from client import Ended, request_bytes
from harness import Proxy, configuration, proxied
from server import Server

HOSTILE = [
    ("/quote", "\"},{\"status\":500,\"x\":\""),
    ("/backslash", "\\\\\" \\u0000 \\n"),
    ("/tab", "a\tb"),
    ("/latin", "caf\xe9 \xff\xfe"),
    ("/utf8", "caf\xc3\xa9 \xe2\x80\xa8 \xe2\x80\xae"),
    ("/long", "x" * 8000),
    ("/markup", "<script>alert(1)</script>"),
]


def lines_of(path):
    text = path.read_bytes()
    assert text.endswith(b"\n") or not text
    return [json.loads(line) for line in text.decode("utf-8").splitlines()]


def to_file(server, path, **overrides):
    return configuration(server, log={"access": str(path), "format": "json"}, **overrides)


def test_every_exchange_is_one_line_of_json_whatever_it_holds(tmp_path):
    path = tmp_path / "access.log"
    with Server() as server, Proxy(to_file(server, path)) as proxy:
        for target, agent in HOSTILE:
            proxy.get(target, User_Agent=agent)
        with proxy.client() as client:
            client.send(b"GET /\"\\\x01 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().status == 400
        with proxy.client() as client:
            client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            client.rest()
        with proxy.client() as client:
            client.send(request_bytes("GET", "/%22%0a%1b[31m?q=\"'"))
            client.response()
    lines = lines_of(path)
    assert [line["target"] for line in lines[:len(HOSTILE)]] == [target for target, _ in HOSTILE]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", path.read_text())
    assert len(path.read_text().split("\n")) == len(lines) + 1


def test_a_line_says_who_asked_what_and_what_came_of_it(tmp_path):
    path = tmp_path / "access.log"
    with Server() as server, Proxy(to_file(server, path)) as proxy:
        with proxy.client() as client:
            client.request("POST", "/a?b=c", {"User-Agent": "tester/1"}, body=b"12345", host="shop.example")
        request_id = server.requests[0].value("x-request-id")
        address = server.address
    line = lines_of(path)[0]
    wanted = {"client": "127.0.0.1", "method": "POST", "host": "shop.example", "target": "/a?b=c", "protocol": "HTTP/1.1", "status": 200,
              "outcome": "complete", "request_bytes": 5, "response_bytes": 5, "tries": 1, "pool": "app", "server": address,
              "request_id": request_id, "user_agent": "tester/1"}
    assert {key: line.get(key) for key in wanted} == wanted
    assert line["duration_ms"] >= 0


def test_errors_are_logged_with_their_cause(tmp_path):
    async def script(connection):
        request = await connection.request()
        if request and request.target == "/cut":
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")

    path = tmp_path / "access.log"
    with Server(script) as server, Proxy(to_file(server, path)) as proxy:
        assert not proxy.get("/cut").complete
        with proxy.client() as client:
            refused = client.request("POST", "/dropped", body=b"x")
            assert refused.status == 502
    cut, dropped = lines_of(path)
    assert (cut["status"], cut["outcome"]) == (200, "truncated")
    assert (dropped["status"], dropped["request_id"]) == (502, refused.value("x-request-id")) and dropped["failure"]


def test_a_client_that_leaves_is_logged_as_such(tmp_path):
    async def script(connection):
        await connection.request()
        await connection.until_closed()

    path = tmp_path / "access.log"
    with Server(script) as server, Proxy(to_file(server, path)) as proxy:
        client = proxy.client()
        client.send(request_bytes())
        server.wait(lambda: server.complete, "the request")
        client.reset()
        server.wait(lambda: server.connections[0].ended, "the end")
    assert lines_of(path)[0]["outcome"] == "client_gone"


def requests_counted(proxy, threads=4, each=250):
    failures = []

    def one_client():
        with proxy.client() as client:
            for number in range(each):
                if client.get(f"/{number}").status != 200:
                    failures.append(number)
    running = [threading.Thread(target=one_client) for _ in range(threads)]
    for thread in running:
        thread.start()
    return running, failures


def test_rotation_loses_no_line(tmp_path):
    path = tmp_path / "access.log"
    with Server() as server, Proxy(to_file(server, path, workers=2)) as proxy:
        running, failures = requests_counted(proxy)
        for number in range(20):
            path.rename(tmp_path / f"access.log.{number}")
            seen = len(server.requests)
            proxy.send_signal(signal.SIGUSR1)
            proxy.get("/between")
            server.wait(lambda: len(server.requests) > seen, "traffic")
            while not path.exists():
                proxy.get("/until-it-is-there")
        for thread in running:
            thread.join()
        total = len(server.complete)
    found = sum(len(lines_of(file)) for file in tmp_path.iterdir())
    assert not failures and found == total


def test_a_full_disk_costs_no_request_and_is_counted():
    with Server() as server, Proxy(to_file(server, "/dev/full")) as proxy:
        running, failures = requests_counted(proxy)
        for thread in running:
            thread.join()
        assert not failures
        assert proxy.page("metrics")["log_lines_dropped"] > 0


def test_a_pipe_that_nobody_reads_costs_no_request(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with Server() as server, Proxy(to_file(server, path)) as proxy:
            running, failures = requests_counted(proxy, each=2000)
            for thread in running:
                thread.join()
            assert not failures
    finally:
        os.close(reader)


def test_a_pipe_whose_reader_goes_away_costs_no_request(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with Server() as server, Proxy(to_file(server, path)) as proxy:
        proxy.get()
        os.close(reader)
        running, failures = requests_counted(proxy, each=100)
        for thread in running:
            thread.join()
        assert not failures


def test_a_standard_output_that_is_closed_costs_no_request():
    with Server() as server:
        read_end, write_end = os.pipe()
        with Proxy(configuration(server, log={"access": "stdout"}), stdout=write_end) as proxy:
            os.close(write_end)
            os.close(read_end)
            for _ in range(100):
                assert proxy.get().status == 200


def test_a_log_that_cannot_be_opened_is_said_at_the_start(tmp_path):
    with Server() as server:
        with pytest.raises(AssertionError, match="access"):
            Proxy(to_file(server, tmp_path / "no such directory" / "access.log"))


def test_lines_for_people_hold_no_control_characters_either():
    with proxied(log={"access": "stdout", "format": "human"}) as (_, proxy):
        proxy.get("/quote", User_Agent="\"'")
        with proxy.client() as client:
            try:
                client.send(b"GET /\x1b[31mred HTTP/1.1\r\nHost: x\r\n\r\n")
                client.response()
            except Ended:
                pass
        proxy.wait(lambda: any("/quote" in line for line in proxy.output), "the line")
        assert not any("\x1b" in line for line in proxy.output)
