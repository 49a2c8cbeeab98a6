"""A new process of the binary takes the place of the running one: nobody is refused, nothing is lost or forgotten, and where the new one
does not come up, the old one goes on."""

import contextlib
import os
import re
import shutil
import signal
import socket
import threading

import pytest

from admin import Admin, administered
from client import Client, request_bytes
from harness import BINARY, Proxy, Successor, adopt_orphans, configuration, free_port, proxied, run
from messages import reply
from pool_server import PoolServer, ask_until, described, pool_of, until
from server import Server

PATIENT = {"timeouts": {"drain": "30s"}}
STARTING = r"upgrade: process (\d+) is starting"
GOES_ON = r"before it was ready: this one goes on as before"


class Load(threading.Thread):
    """A client that asks until it is told to stop, and counts what went wrong. It tries nothing again, and opens a new connection for
    each request, or where it was told that the one it has ends."""

    def __init__(self, port, fresh):
        super().__init__(daemon=True)
        self.port, self.fresh = port, fresh
        self.stopping, self.done, self.told_to_close, self.problems = False, 0, 0, []
        self.start()

    def run(self):
        while not self.stopping:
            try:
                with Client(self.port) as client:
                    while not self.stopping and self.ask(client) and not self.fresh:
                        pass
            except Exception as problem:
                self.problems.append(repr(problem))
                self.stopping = len(self.problems) > 20

    def ask(self, client):
        answer = client.get()
        if answer.status != 200 or not answer.complete:
            self.problems.append(answer)
        self.done += 1
        closes = "close" in answer.listed("connection")
        self.told_to_close += closes
        return not closes


@contextlib.contextmanager
def under_load(port):
    loads = [Load(port, fresh=number % 2 == 0) for number in range(6)]
    try:
        yield loads
    finally:
        for load in loads:
            load.stopping = True
        for load in loads:
            load.join(30)
    assert [load.problems for load in loads] == [[]] * len(loads)
    assert all(load.done for load in loads)


async def echo(connection):
    """Switches to a protocol that sends back what it gets."""
    if not await connection.request():
        return
    await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    while data := await connection.recv():
        await connection.send(data)


def tunnel(proxy):
    client = proxy.client()
    client.send(request_bytes(fields=(("Connection", "upgrade"), ("Upgrade", "echo"))))
    assert client.response().status == 101
    return client


def is_echoed(client, data=b"still there"):
    client.send(data)
    return client.exactly(len(data)) == data


@pytest.fixture
def binary(tmp_path):
    """A copy that a test may replace."""
    copy = tmp_path / "steelyard"
    shutil.copy(BINARY, copy)
    return copy


def replace(binary, text):
    fresh = binary.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.replace(binary)


def try_to_upgrade(proxy, wait=GOES_ON):
    """Has it try, and waits for what it says of that."""
    said = sum(bool(re.search(wait, text)) for text in proxy.lines)
    proxy.send_signal(signal.SIGUSR2)
    proxy.wait(lambda: sum(bool(re.search(wait, text)) for text in proxy.lines) > said, f"no line like {wait!r}")


def process_that_starts(proxy):
    return int([match for text in proxy.lines if (match := re.search(STARTING, text))][-1][1])


def ended_processes(proxy):
    return sum("the process before this one has ended" in text for text in proxy.lines)


# Nobody is refused, nothing is lost


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_and_no_count_is_lost_over_upgrades_under_load(workers):
    upgrades = 5
    with proxied(workers=workers, **PATIENT) as (server, proxy):
        with under_load(proxy.port) as loads:
            seen = {"total_requests": 0, "requests": 0, "accepted": 0}
            for _ in range(upgrades):
                before = sum(load.done for load in loads)
                proxy.upgrade()
                until(lambda: sum(load.done for load in loads) > before + 100, "the load goes on")
                metrics, there = proxy.page("metrics"), described(proxy, server)
                now = {"total_requests": metrics["total_requests"], "requests": there["requests"],
                       "accepted": metrics["client_connections"]["accepted"]}
                assert all(now[key] >= value for key, value in seen.items()), (seen, now)
                seen = now
        proxy.wait(lambda: ended_processes(proxy) == upgrades, "all but the last have ended")
        done = sum(load.done for load in loads)
        assert any(load.told_to_close for load in loads if not load.fresh)
        metrics, there = proxy.page("metrics"), described(proxy, server)
        assert metrics["total_requests"] == metrics["status_codes"]["200"] == there["requests"] == done
        assert metrics["total_errors"] == 0 and metrics["bytes"]["responses"] == done * len("hello")
        assert there["connections_opened"] == len(server.connections) and there["failures"] == 0


def test_who_asks_on_fresh_connections_sees_counters_that_never_step_back():
    with proxied(workers=2, **PATIENT) as (server, proxy):
        problems, stopping = [], threading.Event()

        def watch():
            last = (0, 0, 0.0)
            while not stopping.is_set():
                metrics = proxy.page("metrics")
                now = (metrics["total_requests"], described(proxy, server)["requests"], metrics["uptime_seconds"])
                if any(new < old for new, old in zip(now, last)):
                    problems.append((last, now))
                last = now

        watcher = threading.Thread(target=watch)
        watcher.start()
        with under_load(proxy.port):
            for _ in range(10):
                proxy.upgrade()
        stopping.set()
        watcher.join()
        assert problems == []


@pytest.mark.parametrize("numbers", [(1, 3, 1), (3, 2, 2)])
def test_the_number_of_workers_changes_under_load(numbers):
    with Server() as server:
        with Proxy(configuration(server, workers=numbers[0], **PATIENT)) as proxy, under_load(proxy.port):
            for number in numbers[1:]:
                proxy.upgrade(configuration(server, workers=number, **PATIENT))
                assert proxy.page("status")["workers"] == number
                for _ in range(20):
                    assert proxy.get().status == 200


def test_a_connection_that_waits_to_be_accepted_is_served():
    with proxied(workers=2, **PATIENT) as (_, proxy):
        for _ in range(5):
            clients = [proxy.client() for _ in range(40)]
            for client in clients:
                client.send(request_bytes())
            proxy.upgrade()
            for client in clients:
                assert client.response().status == 200
                client.close()


def test_an_idle_connection_may_send_one_more_request_and_is_told_to_end():
    with proxied(**PATIENT) as (_, proxy), proxy.client() as idle:
        assert idle.get().status == 200
        proxy.upgrade()
        answer = idle.get()
        assert answer.status == 200 and "close" in answer.listed("connection")
        idle.expect_end()
        with proxy.client() as client:
            assert "close" not in client.get().listed("connection"), "it is the new process that answers"


def test_an_idle_connection_that_sends_nothing_is_closed_in_order():
    with proxied(timeouts={"drain": "4s"}) as (_, proxy), proxy.client() as idle:
        assert idle.get().status == 200
        proxy.upgrade()
        idle.expect_end()
        assert not idle.was_reset
        proxy.wait_line("the process before this one has ended")
        assert not any("cutting them" in text for text in proxy.lines)


def test_what_is_under_way_ends_well_and_says_goodbye():
    with PoolServer("a") as server, Proxy(configuration(server, **PATIENT)) as proxy, proxy.client() as client:
        server.hold()
        client.send(request_bytes())
        server.wait_active(1)
        proxy.upgrade()
        server.let_go()
        answer = client.response()
        assert answer.body == b"a" and "close" in answer.listed("connection")
        client.expect_end()


def test_who_has_read_a_head_without_goodbye_may_send_one_more_request():
    async def script(connection):
        while await connection.request():
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            await connection.server.go_on.wait()
            await connection.send(b" half")

    with proxied(script, **PATIENT) as (server, proxy), proxy.client() as client:
        server.go_on = server.gate()
        client.send(request_bytes())
        while b"first" not in client.buffer.data:
            client.buffer.feed(client.recv())
        proxy.upgrade()
        server.go_on.open()
        answer = client.response()
        assert answer.complete and "close" not in answer.listed("connection")
        answer = client.get()
        assert answer.complete and "close" in answer.listed("connection")


def test_a_tunnel_lives_on_in_the_old_process_until_its_drain_ends():
    with proxied(echo, timeouts={"drain": "5s"}) as (_, proxy), tunnel(proxy) as client:
        first = proxy.pid
        proxy.upgrade()
        proxy.upgrade()
        assert is_echoed(client)
        with tunnel(proxy) as other:
            assert is_echoed(other)
        assert is_echoed(client) and os.path.exists(f"/proc/{first}")
        assert client.rest() == b""  # at the drain's end
        proxy.wait(lambda: ended_processes(proxy) == 2, "both have ended")


def test_the_old_process_s_pages_do_not_call_the_machine_back():
    """A load balancer before it may still ask on an old connection; the machine as such is well."""
    with proxied() as (_, proxy), proxy.client() as one, proxy.client() as two:
        assert one.get("/__health__").status == two.get("/__health__").status == 200
        assert proxy.get().status == 200
        proxy.upgrade()
        assert one.get("/__health__").status == 200
        assert b'"total_requests": 1,' in two.get("/__metrics__").body


# What is known


def test_what_checks_and_tries_have_found_stays_known():
    pool = {"health": {"path": "/health", "interval": "100ms", "rise": 1000}, "slow_start": "0s"}
    with pool_of("a", "b") as (first, second), Proxy(configuration(first, second, pool=pool)) as proxy:
        assert {proxy.get().body for _ in range(4)} == {b"a", b"b"}
        first.health = 500
        proxy.wait_line("is unhealthy")
        since = described(proxy, first)["since_unix_seconds"]
        latency = described(proxy, second)["latency_ms"]
        first.health = 200  # which does not count so soon
        proxy.upgrade()
        there = described(proxy, first)
        assert there["health"] == "unhealthy" and there["since_unix_seconds"] == since and "500" in there["reason"]
        assert {proxy.get().body for _ in range(4)} == {b"b"}
        assert described(proxy, second)["latency_ms"] == pytest.approx(latency, rel=0.9)


def test_an_ejected_server_stays_so_for_its_time():
    outliers = {"breaks_in_row": 1, "ejection": "1h", "ejection_max": "1h", "ejected_share_max": "50%"}
    pool = {"outliers": outliers, "retries": {"tries_max": 1}}

    async def broken(connection):
        if await connection.request():
            connection.reset()

    with Server(broken) as bad, Server() as good:
        with Proxy(configuration(bad, good, pool={**pool, "slow_start": "0s"})) as proxy:
            ask_until(lambda: proxy.get() and described(proxy, bad)["health"] == "ejected", "the ejection")
            before = described(proxy, bad)
            proxy.upgrade()
            assert {key: described(proxy, bad)[key] for key in ("health", "reason", "since_unix_seconds", "ejections", "failures")} == \
                {key: before[key] for key in ("health", "reason", "since_unix_seconds", "ejections", "failures")}
            assert {proxy.get().status for _ in range(6)} == {200}


def test_sessions_stay_where_they_are_though_no_secret_is_configured():
    with pool_of("a", "b", "c") as servers, Proxy(configuration(*servers, pool={"sticky": {}, "slow_start": "0s"})) as proxy:
        answer = proxy.get()
        cookie = answer.value("set-cookie").split(";")[0]
        proxy.upgrade()
        assert {proxy.get(Cookie=cookie).body for _ in range(6)} == {answer.body}


def test_reloads_and_the_time_since_the_first_start_go_on():
    with proxied() as (server, proxy):
        proxy.reload(configuration(server))
        before = proxy.page("metrics")
        proxy.upgrade()
        metrics = proxy.page("metrics")
        assert metrics["reloads"] == 1 and metrics["uptime_seconds"] >= before["uptime_seconds"]
        assert metrics["response_times"]["p50"] == before["response_times"]["p50"]
        proxy.reload(configuration(server))
        ask_until(lambda: proxy.page("metrics")["reloads"] == 2, "it is counted")


def test_listeners_come_and_go_with_the_configuration():
    with Server() as server:
        config = configuration(server)
        first, second = free_port(), free_port()
        with Proxy({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{first}"}]}) as proxy:
            assert Client(first).get().status == 200
            proxy.upgrade({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{second}"}]})
            assert proxy.get().status == Client(second).get().status == 200
            with pytest.raises(ConnectionRefusedError):
                Client(first)
            assert proxy.page("status")["listeners"] == [f"127.0.0.1:{proxy.port}", f"127.0.0.1:{second}"]


def test_listeners_on_port_0_keep_their_ports_each_its_own():
    with Server() as server:
        listeners = [{"bind": "127.0.0.1:11", "status_pages": True}, {"bind": "127.0.0.1:12"}, {"bind": "[::1]:13"}]
        binds = ["--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--bind", "[::1]:0"]
        with Proxy(configuration(server, listeners=listeners, workers=2), arguments=binds) as proxy:
            before = proxy.page("status")["listeners"]
            for _ in range(2):
                proxy.upgrade()
            assert proxy.page("status")["listeners"] == before
            assert Client(int(before[1].rpartition(":")[2])).get("/__status__").body == b"hello", "that one has no status pages"


def test_nothing_is_left_open_over_many_upgrades():
    with proxied(workers=2) as (_, proxy):
        proxy.upgrade()
        proxy.wait(lambda: ended_processes(proxy) == 1, "the first has ended")
        before = proxy.descriptors()
        for number in range(10):
            proxy.upgrade()
            proxy.wait(lambda: ended_processes(proxy) == number + 2, "the one before has ended")
        assert proxy.descriptors() == before


# A new process that does not come up


@pytest.mark.parametrize("text, wait", [
    ("#!/bin/sh\nexit 3\n", rf"process \d+ has ended with exit code 3 {GOES_ON}"),
    ("#!/bin/sh\nkill -9 $$\n", rf"process \d+ was killed by signal 9 .*{GOES_ON}"),
    ("#!/no/such/interpreter\n", r"no upgrade: cannot start .*steelyard: No such file"),
    ("not a program", r"no upgrade: cannot start|exit code 12[67]"),
])
def test_what_does_not_start_changes_nothing_and_may_be_tried_again(binary, text, wait):
    with Server() as server, Proxy(configuration(server, **PATIENT), binary=str(binary)) as proxy, under_load(proxy.port):
        replace(binary, text)
        for _ in range(3):
            try_to_upgrade(proxy, wait)
        replace(binary, "")
        shutil.copy(BINARY, binary.with_suffix(".good"))
        binary.with_suffix(".good").replace(binary)
        proxy.upgrade()
        assert proxy.get().status == 200


def test_a_binary_that_is_gone_changes_nothing(binary):
    with Server() as server, Proxy(configuration(server), binary=str(binary)) as proxy, proxy.client() as client:
        binary.unlink()
        try_to_upgrade(proxy, "no upgrade: cannot start .*No such file")
        assert "close" not in client.get().listed("connection")
        assert proxy.page("status")["status"] == "running"


def test_the_file_that_is_there_now_is_what_is_started(binary):
    with Server() as server, Proxy(configuration(server), binary=str(binary)) as proxy:
        replace(binary, f'#!/bin/sh\necho "a newer one" >&2\nexec {BINARY} "$@"\n')
        proxy.upgrade()
        proxy.wait_line("a newer one")
        assert proxy.get().status == 200
        proxy.upgrade()  # from where that binary is itself
        assert proxy.get().status == 200


def test_one_that_hangs_and_is_killed_changes_nothing_and_a_second_one_is_not_begun_meanwhile(binary):
    with Server() as server, Proxy(configuration(server, **PATIENT), binary=str(binary)) as proxy, under_load(proxy.port):
        replace(binary, "#!/bin/sh\nexec sleep 1000\n")
        try_to_upgrade(proxy, STARTING)
        try_to_upgrade(proxy, r"no upgrade: process \d+ is starting: one upgrade at a time")
        os.kill(process_that_starts(proxy), signal.SIGKILL)
        proxy.wait_line(rf"was killed by signal 9 .*{GOES_ON}")
        assert proxy.get().status == 200


def test_an_invalid_configuration_changes_nothing():
    with proxied() as (server, proxy), proxy.client() as client:
        proxy.write('{"poolz": {}}')
        try_to_upgrade(proxy)
        proxy.wait_line("has ended with exit code 2")
        assert "poolz" in "\n".join(proxy.lines)
        assert "close" not in client.get().listed("connection")
        proxy.upgrade(configuration(server))
        assert proxy.get().status == 200


def test_a_listener_that_cannot_be_bound_changes_nothing():
    with proxied() as (server, proxy), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = configuration(server)
        proxy.write({**config, "listeners": [*config["listeners"], {"bind": f"127.0.0.1:{taken.getsockname()[1]}"}]})
        try_to_upgrade(proxy)
        proxy.wait_line("another program already does")
        assert proxy.get().status == 200


def test_sigterm_ends_both_while_the_new_one_is_not_ready(binary):
    with Server() as server, Proxy(configuration(server), binary=str(binary)) as proxy:
        replace(binary, "#!/bin/sh\nexec sleep 1000\n")
        try_to_upgrade(proxy, STARTING)
        adopt_orphans()
        child = Successor(process_that_starts(proxy))
        assert proxy.stop() == 0
        assert child.wait() in (-signal.SIGKILL, 0)  # 0 where the old one has seen its end


def test_sigterm_makes_a_gentle_drain_an_ordinary_one():
    with proxied(**PATIENT) as (_, proxy), proxy.client() as idle:
        assert idle.get().status == 200
        first = proxy.pid
        proxy.upgrade()
        os.kill(first, signal.SIGTERM)
        idle.expect_end()
        proxy.wait_line("the process before this one has ended")
        assert proxy.get().status == 200


def test_the_new_process_goes_on_when_the_old_one_is_killed_in_its_drain():
    with proxied(echo, **PATIENT) as (server, proxy), tunnel(proxy) as client:
        first = proxy.process
        proxy.upgrade()
        first.kill()
        first.wait()
        first.returncode = 0  # it was we who killed it
        proxy.wait_line("the process before this one has ended")
        assert client.rest() == b""
        with tunnel(proxy) as other:
            assert is_echoed(other)


def test_one_that_has_handed_over_does_not_do_so_again():
    with proxied(echo, timeouts={"drain": "1s"}) as (_, proxy), tunnel(proxy) as client:
        first = proxy.pid
        proxy.upgrade()
        os.kill(first, signal.SIGUSR2)
        proxy.wait_line(r"no upgrade: process \d+ has taken over from this one already")
        os.kill(first, signal.SIGHUP)
        proxy.wait_line("not while another process takes over")
        assert client.rest() == b""


def test_the_command_waits_until_the_new_process_has_taken_over(binary):
    with Server() as server, Proxy(administered(server), binary=str(binary)) as proxy, under_load(proxy.port):
        said = []
        where = Admin(proxy).where
        first = proxy.pid
        proxy.upgrade(begin=lambda: said.append(run("upgrade", "--admin", where)))
        assert said[0].returncode == 0, said[0]
        assert re.fullmatch(rf"process {proxy.pid} has taken over from {first} and runs version \S+\n", said[0].stdout)
        assert Admin(proxy).shown("/v1/status")["pid"] == proxy.pid, "the API goes on in the new process"


def test_the_command_says_why_no_process_has_taken_over(binary):
    with Server() as server, Proxy(administered(server), binary=str(binary)) as proxy:
        admin = Admin(proxy)
        replace(binary, "#!/bin/sh\nexit 3\n")
        with admin.events() as events:
            failed = run("upgrade", "--admin", admin.where)
            events.wait("upgrade_failed")
        assert failed.returncode == 1 and "before it was ready" in failed.stderr and "goes on as before" in failed.stderr, failed
        assert admin.shown("/v1/status")["pid"] == proxy.pid and proxy.get().status == 200


def test_the_variable_of_a_takeover_without_one_is_refused():
    with Server() as server:
        with pytest.raises(AssertionError, match="cannot take over from the process that started this one: STEELYARD_TAKEOVER_FD"):
            Proxy(configuration(server), environment={"STEELYARD_TAKEOVER_FD": "77"})


def test_the_answers_of_the_old_process_are_whole():
    """Large bodies of slow clients, begun before and ended after."""
    body = b"x" * (4 << 20)

    async def script(connection):
        while await connection.request():
            await connection.send(reply(body=body))

    with proxied(script, **PATIENT) as (_, proxy):
        clients = [proxy.client() for _ in range(4)]
        for client in clients:
            client.send(request_bytes())
        for client in clients:
            client.buffer.feed(client.recv(1000))
        proxy.upgrade()
        for client in clients:
            assert client.response().body == body
            client.close()
