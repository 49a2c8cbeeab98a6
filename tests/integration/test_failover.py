"""Servers that die, hang, refuse, lie or come back: what that costs clients, what the pool learns, and what it does not do twice."""

import asyncio
import collections
import contextlib
import ctypes
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from client import Client, Ended, request_bytes
from harness import Process, Proxy, configuration
from messages import reply
from pool_server import until
from server import Server, answering, refused_address

DEADLINE_SECONDS = 30  # safety only: no test expects to reach it
AT_ONCE = {"slow_start": "off"}  # a server that is back has all of its share
STAYS_OUT = {"outliers": {"ejection": "5m"}}  # whoever is ejected is so until the test is over


# What the tests ask the proxy


def servers_of(proxy):
    """The servers of the only pool as the status page tells of them, by address."""
    [pool] = proxy.page("status")["pools"]
    return {server["address"]: server for server in pool["servers"]}


def queued(proxy):
    [pool] = proxy.page("status")["pools"]
    return pool["queued"]


def hits(proxy, limit):
    return proxy.page("metrics")["limits_hit"][limit]


def records(proxy, count):
    """The first lines of the access log on standard output, without the tests' own looks at the status pages."""
    def lines():
        return [record for line in proxy.output if (record := json.loads(line)).get("route") != "status page"]

    proxy.wait(lambda: len(lines()) >= count, f"fewer than {count} lines of the access log")
    return lines()[:count]


def get_all(proxy, count, target="/"):
    """So many requests on one connection; the answers."""
    with proxy.client() as client:
        return [client.get(target) for _ in range(count)]


def statuses(answers):
    return collections.Counter(answer.status for answer in answers)


def said(proxy, server, what):
    """Waits for a line about this server."""
    return proxy.wait_line(re.escape(server if isinstance(server, str) else server.address) + r"\b.*" + what)


# Servers


class Backend(Process):
    """A demo backend in a process of its own."""

    def __init__(self, name):
        super().__init__(["backend", "--port", "0", "--name", name])
        self.wait(self.ports, "it does not listen")
        self.name = name
        self.address = f"127.0.0.1:{self.ports()[0]}"


@contextlib.contextmanager
def backends(*names):
    processes = [Backend(name) for name in names]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()


def keep_journal(path, told):
    """A server for a process of its own; each target is written down before it is answered, so that its death loses none."""
    async def script(connection):
        while request := await connection.request():
            with open(path, "a", encoding="ascii") as journal:
                journal.write(f"{request.method} {request.target}\n")
            await connection.send(reply(body=request.target))

    server = Server(script)
    told.send(server.address)
    server.thread.join()


class Journaled:
    """Such a process: it can be killed, and what it was asked is known all the same."""

    def __init__(self, path):
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.path = path
        self.process = context.Process(target=keep_journal, args=(str(path), theirs), daemon=True)
        self.process.start()
        assert ours.poll(DEADLINE_SECONDS), "it does not listen"
        self.address = ours.recv()

    def kill(self):
        self.process.kill()
        self.process.join()

    def lines(self):
        return self.path.read_text("ascii").splitlines() if self.path.exists() else []


class Held(Server):
    """Holds every request until its gate is opened."""

    def __init__(self, name):
        self.name = name
        super().__init__(self.hold)
        self.hold_gate = self.gate()

    async def hold(self, connection):
        while await connection.request():
            await self.hold_gate.wait()
            await connection.send(reply(body=self.name))

    def wait_requests(self, count):
        self.wait(lambda: len(self.complete) >= count, f"{count} requests")


class Moody(Server):
    """Answers, or resets every request that comes while it is `down`; its health page goes by `health`."""

    def __init__(self, name, **options):
        self.name = name
        self.down = False
        self.health = 200
        self.asked = 0  # requests but those for its health
        super().__init__(self.serve_mood, **options)

    async def serve_mood(self, connection):
        while request := await connection.request():
            if request.target == "/health":
                await connection.send(reply(self.health, reason="x"))
                continue
            self.asked += 1
            if self.down:
                return connection.reset()
            await connection.send(reply(body=self.name))


# A server that dies (F01)


class Load:
    """Clients with keep-alive, each in a thread, until they are told to stop: a GET, a POST, a GET, …"""

    def __init__(self, proxy, clients):
        self.proxy = proxy
        self.outcomes = []  # (method, status or what ended the connection)
        self.changed = threading.Condition()
        self.stopping = False
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(clients)]

    def run(self, number):
        client = self.proxy.client()
        for turn in range(1_000_000):
            if self.stopping:
                break
            method = "POST" if turn % 2 else "GET"
            target = f"/{number}/{turn}"
            try:
                answer = client.request(method, target, body=b"x" * 100 if turn % 2 else None)
                outcome = answer.status if answer.status != 200 or answer.body.decode() == target else "another's answer"
            except (Ended, OSError) as problem:
                outcome = repr(problem)
                client.close()
                client = self.proxy.client()
            with self.changed:
                self.outcomes.append((method, outcome))
                self.changed.notify_all()
        client.close()

    def wait_more(self, count):
        with self.changed:
            goal = len(self.outcomes) + count
            assert self.changed.wait_for(lambda: len(self.outcomes) >= goal, DEADLINE_SECONDS), "the load stands still"

    def failed(self, method):
        return [outcome for asked, outcome in self.outcomes if asked == method and outcome != 200]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("killed", [1, 2])
def test_killed_servers_cost_no_get_and_double_no_post(tmp_path, killed):
    servers = [Journaled(tmp_path / f"journal-{n}") for n in range(3)]
    clients = 6
    try:
        with Proxy(configuration(*servers, workers=2)) as proxy:
            with Load(proxy, clients) as load:
                for server in servers[:killed]:
                    load.wait_more(100)
                    server.kill()
                load.wait_more(200)
            assert load.failed("GET") == []
            assert len(load.failed("POST")) <= clients * killed, "more than were under way failed"
            described = servers_of(proxy)
            assert {described[server.address]["health"] for server in servers[:killed]} <= {"unreachable", "ejected"}
    finally:
        for server in servers:
            server.kill()
    journals = [line for server in servers for line in server.lines()]
    posts = [line for line in journals if line.startswith("POST")]
    assert len(posts) == len(set(posts)) >= 100
    assert all(server.lines() for server in servers)


def test_a_killed_server_that_is_started_again_is_asked_again():
    with Moody("a") as first:
        second = Moody("b")
        with Proxy(configuration(first, second, pool=AT_ONCE)) as proxy:
            second.stop()
            assert {answer.body for answer in get_all(proxy, 10)} == {b"a"}
            said(proxy, second, "cannot be reached")
            with Moody("c", port=second.port) as third:
                until(lambda: proxy.get().body == b"c", "the server that is there again")
                said(proxy, third, "is back")
                until(lambda: proxy.page("status")["pools"][0]["servers_up"] == 2, "both take traffic")
                assert third.asked >= 1


# A server that hangs (F03)


def test_a_stopped_server_costs_three_requests_and_returns_when_it_goes_on():
    pool = {**AT_ONCE, "outliers": {"ejection": "500ms"}}
    with backends("one", "two", "three") as (hanging, *others):
        with Proxy(configuration(hanging, *others, pool=pool, timeouts={"first_byte": "1s"})) as proxy:
            hanging.send_signal(signal.SIGSTOP)
            with proxy.client() as client:
                answers = [client.get("/info") for _ in range(7)]  # in turns: the third at the first server is the last
                described = servers_of(proxy)
                hanging.send_signal(signal.SIGCONT)
                assert [answer.status for answer in answers] == [504, 200, 200, 504, 200, 200, 504]
                assert described[hanging.address]["health"] == "ejected"
                assert described[hanging.address]["reason"] == "3 broken tries in a row, last: no answer in time"
                assert [described[other.address]["health"] for other in others] == ["unknown", "unknown"]
                until(lambda: json.loads(client.get("/info").body)["name"] == "one", "the server that goes on")
            said(proxy, hanging, "is back")
            assert hits(proxy, "first_byte_timeout") >= 3


def test_with_a_try_timeout_a_stopped_server_costs_no_request():
    pool = {**STAYS_OUT, "retries": {"try_timeout": "1s"}}
    with backends("one", "two") as (hanging, other):
        with Proxy(configuration(hanging, other, pool=pool, log={"access": "stdout"})) as proxy:
            hanging.send_signal(signal.SIGSTOP)
            answers = get_all(proxy, 10, "/info")
            assert [json.loads(answer.body)["name"] for answer in answers] == ["two"] * 10
            assert servers_of(proxy)[hanging.address]["health"] == "ejected"
            assert servers_of(proxy)[hanging.address]["requests"] == 3
            failed = [record["failed_tries"] for record in records(proxy, 10) if "failed_tries" in record]
            assert failed == [[{"server": hanging.address, "failure": "no answer in time"}]] * 3


def test_checks_take_a_stopped_server_out_and_bring_it_back():
    pool = {**AT_ONCE, "health": {"interval": "50ms", "timeout": "500ms", "fall": 2}}
    with backends("one", "two") as (hanging, other):
        with Proxy(configuration(hanging, other, pool=pool)) as proxy:
            until(lambda: servers_of(proxy)[hanging.address]["health"] == "healthy", "a first check")
            hanging.send_signal(signal.SIGSTOP)
            until(lambda: servers_of(proxy)[hanging.address]["health"] == "unhealthy", "it is out")
            names = [json.loads(answer.body)["name"] for answer in get_all(proxy, 6, "/info")]
            assert names == ["two"] * 6
            hanging.send_signal(signal.SIGCONT)
            said(proxy, hanging, "is healthy again")
            until(lambda: servers_of(proxy)[hanging.address]["health"] == "healthy", "it is healthy")
            names = [json.loads(answer.body)["name"] for answer in get_all(proxy, 6, "/info")]
            assert collections.Counter(names) == {"one": 3, "two": 3}


# A server that swallows connections (F06)


@contextlib.contextmanager
def blackhole():
    """An address that neither accepts nor refuses: its queue is full, so that the kernel drops what comes."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_connection_that_is_not_accepted_costs_one_timeout_and_no_request():
    with blackhole() as nowhere, Server() as good:
        config = configuration(nowhere, good, timeouts={"connect": "400ms"}, log={"access": "stdout"})
        with Proxy(config) as proxy:
            with proxy.client() as client:
                assert client.request("POST", "/", body=b"x").status == 200
                [record] = records(proxy, 1)
                assert record["failed_tries"] == [{"server": nowhere, "failure": "no answer in time"}]
                assert record["tries"] == 2 and record["server"] == good.address
                assert servers_of(proxy)[nowhere]["health"] == "unreachable"
                assert hits(proxy, "connect_timeout") == 1
                # Asked once more when its time has come, and not by a request that may not be repeated.
                asked = [client.request("POST", "/", body=b"x").status for _ in range(20)]
                assert asked == [200] * 20
        assert len(good.complete) == 21


# A server that is slow (F07)


def test_the_queue_is_bounded_and_first_come_is_first_served():
    pool = {"concurrency": {"per_server_max": 1, "queue_max": 3, "queue_timeout": "30s"}}
    with Held("slow") as server, Proxy(configuration(server, pool=pool, log={"access": "stdout"})) as proxy:
        clients = []
        for place in range(4):
            clients.append(proxy.client())
            clients[-1].send(request_bytes(target=f"/{place}"))
            if place == 0:
                server.wait_requests(1)
            until(lambda goal=place: queued(proxy) == goal, "the next in the queue")
        refused = proxy.get("/refused")
        assert refused.status == 503 and refused.value("retry-after") == "1" and b"queue_max" in refused.body
        assert hits(proxy, "queue_max") == 1 and hits(proxy, "queue_timeout") == 0
        assert len(server.connections) == 1 and len(server.requests) == 1
        server.hold_gate.open()
        assert [client.response().body for client in clients] == [b"slow"] * 4
        assert [request.target for request in server.requests] == ["/0", "/1", "/2", "/3"]
        assert proxy.page("metrics")["queued"] == 3 and queued(proxy) == 0
        waited = {record["target"]: record.get("queue_ms", 0) > 0 for record in records(proxy, 5)}
        assert waited == {"/refused": False, "/0": False, "/1": True, "/2": True, "/3": True}
        for client in clients:
            client.close()


@pytest.mark.parametrize("limit", ["per_server_max", "total_max"])
def test_who_waits_too_long_for_a_place_is_told_so(limit):
    pool = {"concurrency": {limit: 1, "queue_timeout": "100ms"}}
    with Held("slow") as server, Proxy(configuration(server, pool=pool)) as proxy:
        with proxy.client() as first, proxy.client() as other, proxy.client() as another:
            first.send(request_bytes())
            server.wait_requests(1)
            for client in (other, another):
                client.send(request_bytes())
            for answer in (other.response(), another.response()):
                assert answer.status == 503 and answer.value("retry-after") == "1" and b"queue_timeout" in answer.body
            assert hits(proxy, "queue_timeout") == 2 and hits(proxy, "queue_max") == 0
            assert len(server.requests) == 1
            server.hold_gate.open()
            assert first.response().body == b"slow"
            assert other.get().body == b"slow"
    assert len(server.requests) == 2


def test_a_full_server_is_passed_over_and_a_full_pool_does_not_turn_to_its_backup():
    with Held("slow") as slow, Held("other") as other, Server() as backup:
        config = configuration(slow, other, backup, pool={"concurrency": {"per_server_max": 1, "queue_timeout": "50ms"}})
        config["pools"]["app"]["servers"][2]["backup"] = True
        with Proxy(config) as proxy, proxy.client() as first, proxy.client() as second:
            first.send(request_bytes())
            slow.wait_requests(1)
            second.send(request_bytes())
            other.wait_requests(1)
            assert proxy.get().status == 503
            assert not backup.requests
            other.hold_gate.open()
            assert second.response().body == b"other"
            assert {answer.body for answer in get_all(proxy, 5)} == {b"other"}
            slow.hold_gate.open()
            assert first.response().body == b"slow"
    assert len(slow.requests) == 1


# All servers down (F12)


def test_all_unhealthy_is_503_at_once_and_nobody_is_asked():
    with Moody("a") as first, Moody("b") as second:
        first.health = second.health = 500
        with Proxy(configuration(first, second, pool={"health": {"interval": "20ms"}})) as proxy:
            for server in (first, second):
                said(proxy, server, "is unhealthy")
            until(lambda: proxy.page("status")["pools"][0]["servers_up"] == 0, "both are out")
            answers = get_all(proxy, 20)
            assert statuses(answers) == {503: 20}
            assert all(answer.value("retry-after") == "1" for answer in answers)
            assert json.loads(proxy.get("/__health__").body)["status"] == "degraded"
            assert first.asked == second.asked == 0
            first.health = 200
            said(proxy, first, "is healthy again")
            until(lambda: proxy.get().body == b"a", "the server that is healthy again")


def test_try_all_tries_servers_that_fail_their_checks():
    with Moody("a") as first, Moody("b") as second:
        first.health = second.health = 500
        pool = {"health": {"interval": "20ms"}, "when_all_down": "try_all"}
        with Proxy(configuration(first, second, pool=pool, log={"access": "stdout"})) as proxy:
            until(lambda: proxy.page("status")["pools"][0]["servers_up"] == 0, "both are out")
            assert statuses(get_all(proxy, 20)) == {200: 20}
            assert first.asked == second.asked == 10
            assert {record["choice"] for record in records(proxy, 20)} == {"last_resort"}


def test_tries_at_servers_that_all_refuse_keep_to_the_budget_and_end_when_one_is_back():
    sockets, addresses = zip(*[refused_address() for _ in range(3)])
    with Proxy(configuration(*addresses)) as proxy:
        assert set(statuses(get_all(proxy, 100))) == {502}
        tries = sum(server["requests"] for server in servers_of(proxy).values())
        assert 110 <= tries <= 120  # a floor of 10, or a fifth of them
        assert proxy.page("metrics")["failovers"] == tries - 100
        assert hits(proxy, "retry_budget") > 0
        for sock in sockets:
            sock.close()
        with Server(port=int(addresses[1].rpartition(":")[2])):
            until(lambda: proxy.get().status == 200, "the server that is there")
            said(proxy, addresses[1], "is back")
            until(lambda: statuses(get_all(proxy, 20)) == {200: 20}, "it takes its turns again")


def test_servers_that_flap_together_see_no_storm_of_tries():
    with Moody("a") as first, Moody("b") as second, Moody("c") as third:
        servers = [first, second, third]
        pool = {**AT_ONCE, "keepalive": {"idle_connections_max": 0}, "outliers": {"ejection": "20ms", "ejection_max": "40ms"}}
        with Proxy(configuration(*servers, pool=pool)) as proxy, proxy.client() as client:
            seen = collections.Counter()
            for flap in range(10):
                for server in servers:
                    server.down = flap % 2 == 1
                for _ in range(30):
                    seen[flap % 2, client.get().status] += 1
                if flap % 2 == 0:
                    until(lambda: client.get().status == 200 and proxy.page("status")["pools"][0]["servers_up"] == 3, "all are back")
            requests = proxy.page("metrics")["total_requests"]
        assert seen[0, 200] == seen[1, 502] == 150
        assert requests < sum(server.asked for server in servers) <= 1.2 * requests + 10


# A server that talks nonsense (F13)

GARBAGE = {
    "no HTTP": b"garbage\r\n\r\n",
    "binary": bytes(range(256)) * 4,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a field without a name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
}
POISON = reply(body="another's answer")


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_costs_three_requests_and_then_its_server_is_out(garbage):
    with Server(answering(garbage + POISON)) as bad, Moody("a") as first, Moody("b") as second:
        with Proxy(configuration(bad, first, second, pool=STAYS_OUT)) as proxy:
            answers = get_all(proxy, 30)
            described = servers_of(proxy)[bad.address]
        assert statuses(answers) == {502: 3, 200: 27}
        assert {answer.body for answer in answers if answer.status == 200} == {b"a", b"b"}
        assert described["health"] == "ejected" and described["requests"] == described["failures"] == 3
        assert described["connections_opened"] == 3 and described["connections_reused"] == described["connections_idle"] == 0
        assert len(bad.connections) == 3 and first.asked + second.asked == 27


def test_garbage_now_and_then_spoils_those_requests_alone():
    async def script(connection):
        while request := await connection.request():
            if "bad" in request.target:
                await connection.send(GARBAGE["no HTTP"] + POISON)
                connection.spoiled = True
            else:
                assert not hasattr(connection, "spoiled"), "a spoiled connection was used again"
                await connection.send(reply(body=request.target))

    with Server(script) as server, Server(script) as other:
        with Proxy(configuration(server, other)) as proxy, proxy.client() as client:
            for number in range(120):
                target = f"/{number}/{'bad' if number % 5 == 4 else 'good'}"
                answer = client.get(target)
                assert (answer.status == 502) if "bad" in target else (answer.body.decode() == target), target
            assert {described["ejections"] for described in servers_of(proxy).values()} == {0}


# Checks (F14)


class Scripted(Server):
    """A server whose checks are answered one by one, each as the test says."""

    def __init__(self):
        super().__init__(self.serve_checks)
        self.verdicts = asyncio.Queue()
        self.asked = 0

    async def serve_checks(self, connection):
        while request := await connection.request():
            if request.target != "/health":
                await connection.send(reply())
                continue
            self.asked += 1
            self.notify()
            await connection.send(reply(await self.verdicts.get(), reason="x"))

    def answer(self, status):
        """Answers the check that waits, and returns when the next one has come: then the proxy has judged this one."""
        before = self.asked
        self.loop.call_soon_threadsafe(self.verdicts.put_nowait, status)
        self.wait(lambda: self.asked > before, "the next check")


def test_fall_and_rise_are_counted_to_the_very_check():
    pool = {"health": {"interval": "10ms", "timeout": "30s", "fall": 3, "rise": 2}}
    with Scripted() as server, Proxy(configuration(server, pool=pool)) as proxy:
        server.wait(lambda: server.asked == 1, "the first check")
        steps = [(500, "unknown"), (500, "unknown"), (200, "healthy"), (500, "healthy"), (500, "healthy"), (200, "healthy"),
                 (500, "healthy"), (500, "healthy"), (500, "unhealthy"), (500, "unhealthy"), (200, "unhealthy"), (500, "unhealthy"),
                 (200, "unhealthy"), (200, "healthy"), (500, "healthy")]
        for number, (status, expected) in enumerate(steps):
            server.answer(status)
            assert servers_of(proxy)[server.address]["health"] == expected, f"after check {number}"
            assert proxy.get().status == (503 if expected == "unhealthy" else 200)
        for _ in range(2):  # what still waits
            server.loop.call_soon_threadsafe(server.verdicts.put_nowait, 200)


def test_of_240_checked_servers_exactly_the_ill_ones_are_out():
    ill = set()
    asked = collections.Counter()

    async def script(connection):
        while request := await connection.request():
            host = request.value("host")
            if request.target == "/health":
                await connection.send(reply(500 if host in ill else 200, reason="x"))
                continue
            asked[host] += 1
            await connection.send(reply(body=host))

    with Server(script, host="0.0.0.0") as server:
        addresses = [f"127.0.1.{n}:{server.port}" for n in range(1, 241)]
        ill.update(addresses[::3])
        config = configuration(*addresses, pool={**AT_ONCE, "health": {"interval": "500ms", "timeout": "10s", "fall": 2, "rise": 2}})
        config["routes"][0]["host"] = "server"

        def wait_lines(text):
            proxy.wait(lambda: sum(text in line for line in proxy.lines) >= len(ill), f"not every server {text}")

        with Proxy(config) as proxy:
            wait_lines("is unhealthy")
            until(lambda: proxy.page("status")["pools"][0]["servers_up"] == 160, "160 are left")
            assert statuses(get_all(proxy, 160)) == {200: 160}
            assert asked == {address: 1 for address in addresses if address not in ill}
            gone = {address for address, described in servers_of(proxy).items() if described["health"] == "unhealthy"}
            assert gone == ill
            ill.clear()
            proxy.wait(lambda: sum("is healthy again" in line for line in proxy.lines) == 80, "not every server is back")
            until(lambda: proxy.page("status")["pools"][0]["servers_up"] == 240, "all are back")
            asked.clear()
            assert statuses(get_all(proxy, 240)) == {200: 240} and set(asked.values()) == {1} and len(asked) == 240


# Answers that speak against a server


def test_a_server_that_answers_500_is_ejected_after_five():
    with Moody("good") as good, Server(answering(reply(500, reason="x"))) as bad:
        with Proxy(configuration(good, bad, pool=STAYS_OUT)) as proxy:
            assert statuses(get_all(proxy, 40)) == {200: 35, 500: 5}
            described = servers_of(proxy)[bad.address]
    assert described["health"] == "ejected" and described["reason"] == "5 failures in a row, last: answered 500"
    assert good.asked == 35 and len(bad.requests) == 5


def test_one_request_finds_out_whether_an_ejection_is_over():
    with Moody("good") as good, Server(answering(reply(500, reason="x"))) as bad:
        pool = {**AT_ONCE, "outliers": {"ejection": "200ms"}}
        with Proxy(configuration(good, bad, pool=pool)) as proxy, proxy.client() as client:
            until(lambda: client.get() and len(bad.requests) >= 6, "the request that finds out")
            said(proxy, bad, "stays ejected")
            assert servers_of(proxy)[bad.address]["ejections"] >= 2
            bad.script = good.serve_mood
            client.close()
            bad.close_idle()
            until(lambda: proxy.page("status")["pools"][0]["servers_up"] == 2 or not proxy.get(), "it is back")
            said(proxy, bad, "is back")


def test_no_more_than_a_share_of_a_pool_is_ejected():
    servers = [Server(answering(reply(500, reason="x"))) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        with Proxy(configuration(*servers, pool=STAYS_OUT)) as proxy:
            assert statuses(get_all(proxy, 60)) == {500: 60}
            assert collections.Counter(described["health"] for described in servers_of(proxy).values()) == {"ejected": 2, "unknown": 2}


def test_the_503_of_one_server_is_seen_by_no_client():
    with Moody("good") as good, Server(answering(reply(503, body="busy", reason="x"))) as busy:
        with Proxy(configuration(busy, good, pool=STAYS_OUT, log={"access": "stdout"})) as proxy:
            assert {answer.body for answer in get_all(proxy, 40)} == {b"good"}
            assert servers_of(proxy)[busy.address]["health"] == "ejected"
            failed = [record["failed_tries"] for record in records(proxy, 40) if "failed_tries" in record]
            assert failed == [[{"server": busy.address, "failure": "answered 503"}]] * 5
    assert len(busy.requests) == 5 and good.asked == 40


@pytest.mark.parametrize("repeat", ["idempotent", "any"])
def test_the_503_of_one_server_is_the_answer_to_what_may_not_be_repeated(repeat):
    with Moody("good") as good, Server(answering(reply(503, body="busy", reason="x"))) as busy:
        config = configuration(busy, good, pool={"outliers": "off"})
        config["routes"][0]["repeat"] = repeat
        with Proxy(config) as proxy, proxy.client() as client:
            bodies = {client.request("POST", f"/{n}", body=b"x").body for n in range(4)}
    assert bodies == ({b"good"} if repeat == "any" else {b"busy", b"good"})
    assert good.asked == (4 if repeat == "any" else 2)
    assert len(busy.requests) >= 2


# The budget


def all_busy(count, requests, retries):
    """A pool whose servers all answer 503: the answers, how often the servers were asked, how often the budget was spent."""
    servers = [Server(answering(reply(503, body="busy", reason="x"))) for _ in range(count)]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        with Proxy(configuration(*servers, pool={"retries": retries})) as proxy:
            answers = get_all(proxy, requests)
            assert {answer.body for answer in answers} == {b"busy"}, "the servers' own answers are passed on"
            return answers, sum(len(server.requests) for server in servers), hits(proxy, "retry_budget")


def test_retries_at_servers_that_are_all_busy_keep_to_the_budget():
    answers, asked, spent = all_busy(3, 100, {})
    assert statuses(answers) == {503: 100}
    assert 110 <= asked <= 120 and spent > 0


@pytest.mark.parametrize("retries, extra", [
    ({"budget": "0%", "budget_floor": 3}, 3),
    ({"budget": "0%", "budget_floor": 0}, 0),
    ({"budget": "100%", "budget_floor": 1000}, 40),
    ({"budget": "100%", "budget_floor": 1000, "tries_max": 2}, 20),
    ({"budget": "100%", "budget_floor": 1000, "on_statuses": []}, 0),
])
def test_the_budget_and_the_tries_are_exact(retries, extra):
    _, asked, spent = all_busy(3, 20, retries)
    assert asked == 20 + extra
    assert (spent > 0) == (retries["budget"] == "0%")


# Hedging


def hedged(first, second, log="off"):
    """A pool whose second server gets nothing but hedges, because it is a backup."""
    config = configuration(first, second, pool={"hedging": {"after": "20ms"}}, log={"access": log})
    config["pools"]["app"]["servers"][1]["backup"] = True
    return config


def test_a_second_server_answers_where_the_first_hangs_but_not_a_post():
    with Held("first") as first, Moody("second") as second:
        with Proxy(hedged(first, second, "stdout")) as proxy, proxy.client() as posting:
            posting.send(request_bytes("POST", "/post", body=b"x"))
            first.wait_requests(1)
            # These are hedged after as long as the one that was there before them has waited, and longer.
            assert {answer.body for answer in get_all(proxy, 3, "/get")} == {b"second"}
            metrics = proxy.page("metrics")
            assert metrics["hedges"] == 3 and metrics["hedges_wasted"] == 0 and metrics["failovers"] == 0
            assert [request.method for request in second.requests] == ["GET"] * 3
            first.hold_gate.open()
            assert posting.response().body == b"first"
            told = records(proxy, 4)
            assert [record.get("choice") for record in told] == ["hedge"] * 3 + [None]
            assert [record["server"] for record in told] == [second.address] * 3 + [first.address]
            assert [record["tries"] for record in told] == [2, 2, 2, 1]


def test_a_hedge_that_comes_too_late_is_ended_and_counted():
    with Held("first") as first, Held("second") as second:
        with Proxy(hedged(first, second)) as proxy, proxy.client() as client:
            client.send(request_bytes())
            second.wait_requests(1)
            first.hold_gate.open()
            assert client.response().body == b"first"
            metrics = proxy.page("metrics")
            assert metrics["hedges"] == metrics["hedges_wasted"] == 1
            assert [described["active"] for described in servers_of(proxy).values()] == [0, 0]
            second.hold_gate.open()  # nobody reads it
            assert {client.get().status for _ in range(5)} == {200}


def test_hedges_keep_to_the_budget():
    with Held("first") as first, Moody("second") as second:
        config = hedged(first, second)
        config["pools"]["app"]["retries"] = {"budget": "0%", "budget_floor": 2}
        with Proxy(config) as proxy, proxy.client() as waiting:
            assert {answer.body for answer in get_all(proxy, 2)} == {b"second"}
            waiting.send(request_bytes())
            until(lambda: hits(proxy, "retry_budget") == 1, "the budget is spent")
            assert second.asked == 2
            first.hold_gate.open()
            assert waiting.response().body == b"first"


# What the access log tells


def test_the_log_tells_how_a_server_was_chosen_and_what_failed_before():
    sock, refused = refused_address()
    with sock, Moody("a") as first, Moody("b") as second:
        with Proxy(configuration(refused, first, second, log={"access": "stdout"})) as proxy, proxy.client() as client:
            assert client.get().status == 200
            first.down = second.down = True
            assert client.get().status == 502
            one, two = records(proxy, 2)
    assert one["failed_tries"] == [{"server": refused, "failure": "connection refused"}]
    assert one["server"] in (first.address, second.address)
    assert one["tries"] == 2 and one["algorithm"] == "round_robin" and "choice" not in one
    assert "queue_ms" not in one and "failure" not in one and one["outcome"] == "complete"
    assert two["status"] == 502 and two["outcome"] == "refused" and two["failure"]
    tried = [failed["server"] for failed in two["failed_tries"]] + [two["server"]]
    assert sorted(tried) == sorted([refused, first.address, second.address]), "each server once"
    assert {failed["failure"] for failed in two["failed_tries"]} <= {"connection reset", "connection refused"}


def test_the_log_names_probes_sessions_and_last_resorts():
    with Moody("a") as first, Moody("b") as second:
        pool = {**AT_ONCE, "outliers": {"ejection": "10ms", "breaks_in_row": 1}, "retries": {"tries_max": 1}, "sticky": {}}
        with Proxy(configuration(first, second, pool=pool, log={"access": "stdout"})) as proxy, proxy.client() as client:
            answer = client.get()
            cookie = answer.value("set-cookie").partition(";")[0]
            home, other = (first, second) if answer.body == b"a" else (second, first)
            assert client.get(Cookie=cookie).body == answer.body
            other.down = True
            assert client.get().status == 502
            said(proxy, other, "is ejected")
            other.down = False
            until(lambda: client.get().body != answer.body, "the ejection is over")
            told = records(proxy, 4)
            assert [record.get("choice") for record in told[:3]] == [None, "session", None]
            said(proxy, other, "is back")
            count = proxy.page("metrics")["total_requests"]
            last = records(proxy, count)[-1]
            assert last["choice"] == "probe" and last["server"] == other.address and home.asked >= 2


def test_a_try_that_found_every_other_server_full_has_not_failed():
    with Held("busy") as busy, Held("late") as late, Held("hanging") as hanging, Moody("good") as good:
        retries = {"try_timeout": "50ms"}
        config = configuration(busy, late, pool={"concurrency": {"per_server_max": 1}, "retries": retries}, log={"access": "stdout"})
        config["pools"]["clock"] = {"algorithm": "round_robin", "retries": retries, "servers": [hanging.address, good.address]}
        config["routes"].insert(0, {"match": {"path": "/clock"}, "pool": "clock"})
        with Proxy(config) as proxy, proxy.client() as posting, proxy.client() as waiting:
            posting.send(request_bytes("POST", "/post", body=b"x"))  # stays where it is
            busy.wait_requests(1)
            waiting.send(request_bytes(target="/late"))
            late.wait_requests(1)
            assert proxy.get("/clock").body == b"good"  # its try timeout began later, and has passed
            late.hold_gate.open()
            assert waiting.response().body == b"late"
            busy.hold_gate.open()
            assert posting.response().body == b"busy"
            told = {record["target"]: record for record in records(proxy, 3)}
    assert told["/clock"]["failed_tries"] == [{"server": hanging.address, "failure": "no answer in time"}]
    assert told["/late"]["tries"] == 1 and told["/late"]["server"] == late.address
    assert "failed_tries" not in told["/late"]


def test_a_retry_that_finds_no_room_is_not_charged():
    with Held("good") as good, Server(answering(reply(503, body="busy", reason="x"))) as busy:
        pool = {"outliers": "off", "concurrency": {"per_server_max": 1}, "retries": {"budget": "0%", "budget_floor": 2}}
        with Proxy(configuration(good, busy, pool=pool)) as proxy, proxy.client() as posting:
            posting.send(request_bytes("POST", "/post", body=b"x"))
            good.wait_requests(1)
            assert {answer.body for answer in get_all(proxy, 5)} == {b"busy"}
            good.hold_gate.open()
            assert posting.response().body == b"good"
            assert {answer.body for answer in get_all(proxy, 2)} == {b"good"}
            assert hits(proxy, "retry_budget") == 0


# No local ports left (F16)


def may_trace():
    return shutil.which("strace") and subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0


@pytest.mark.skipif(not may_trace(), reason="strace may not trace here")
def test_a_connection_that_fails_for_want_of_a_local_port_is_not_the_servers_fault():
    inject = "inject=connect:error=EADDRNOTAVAIL:when=1..3"
    wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=connect", "-e", inject]
    with Server() as server, Proxy(configuration(server), wrapper=wrapper) as proxy:
        assert [answer.status // 100 for answer in get_all(proxy, 3)] == [5] * 3
        assert servers_of(proxy)[server.address]["health"] == "unknown"
        assert statuses(get_all(proxy, 5)) == {200: 5}
        assert not any("cannot be reached" in line for line in proxy.lines)


CLONE_NEWNET = 0x40000000


def in_a_network_of_its_own(work, ports):
    """Runs it in a thread that has a network namespace to itself, with so many local ports; whatever it starts has it, too."""
    problems = []

    def run():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            problems.append(pytest.skip.Exception("no network namespaces here"))
            return
        try:
            setting = "/proc/sys/net/ipv4/ip_local_port_range"
            subprocess.run(["sh", "-ec", f"ip link set lo up; echo 40000 {40000 + ports - 1} > {setting}"], check=True)
            work()
        except BaseException as problem:  # belongs to the test's own thread
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]


@pytest.mark.parametrize("kept", [0, 16])
def test_local_ports_that_run_out_come_back_and_keeping_connections_needs_few(kept):
    def work():
        # Ports outside the range are for what listens.
        with Moody("a", port=50001) as server:
            config = configuration(server, pool={"keepalive": {"idle_connections_max": kept}})
            config["listeners"] = [{"bind": "127.0.0.1:0", "status_pages": True}]
            with Proxy(config) as proxy, proxy.client() as client:
                answers = [client.get() for _ in range(40)]
                if kept:
                    assert statuses(answers) == {200: 40} and len(server.connections) == 1
                    return
                assert statuses(answers)[200] >= 8 and set(statuses(answers)) == {200, 503}, statuses(answers)
                assert servers_of(proxy)[server.address]["health"] == "unknown"
                until(lambda: client.get().status == 200, "a port that is free again")

    in_a_network_of_its_own(work, 11)
