"""The load generator against backends and scripted servers: every request is counted once, and as what it was."""

import asyncio
import collections
import contextlib
import json
import os
import pty
import signal
import subprocess

import pytest

from harness import BINARY, Process, Proxy, configuration, run, sanitized
from messages import chunks, reply
from server import Server, answering, refused_address


def url(server, target="/"):
    return f"http://{server if isinstance(server, str) else server.address}{target}"


class Measured:
    """One run to its end, with its report."""

    def __init__(self, directory, server, *arguments, target="/", code=0):
        output = directory / "report.json"
        self.done = run("load", url(server, target), "--output", str(output), *map(str, arguments))
        assert self.done.returncode == code, self.done
        self.report = json.loads(output.read_text())

    def __getitem__(self, key):
        return self.report[key]

    @property
    def failures(self):
        return {kind: count for kind, count in self["failures"].items() if count}


@pytest.fixture
def measure(tmp_path):
    return lambda *arguments, **options: Measured(tmp_path, *arguments, **options)


def samples_of(path):
    """(due_us, latency_us, status, server, bytes) of each line."""
    rows = [line.split(" ") for line in path.read_text().splitlines()]
    assert all(len(row) == 5 for row in rows)
    return [(int(due), int(latency), int(status), server, int(size)) for due, latency, status, server, size in rows]


@contextlib.contextmanager
def backends(*names):
    processes = [Process(["backend", "--port", "0", "--name", name]) for name in names]
    try:
        for process in processes:
            process.wait(process.ports, "it does not listen")
        yield [f"127.0.0.1:{process.ports()[0]}" for process in processes]
        assert [process.stop() for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            process.kill()


# What is sent


def test_it_sends_as_many_as_it_is_told_and_reuses_its_connections(measure):
    with Server() as server:
        measured = measure(server, "-n", 103, "-c", 4)
    assert len(server.requests) == measured["total_requests"] == measured["successful_requests"] == 103
    assert len(server.connections) == measured["connections_opened"] == 4
    assert measured["status_codes"] == {"200": 103} and measured["total_errors"] == 0 and not measured.failures
    assert measured["body_bytes"] == 103 * len("hello")


def test_without_keep_alive_each_request_has_a_connection(measure):
    with Server() as server:
        measured = measure(server, "-n", 30, "-c", 3, "--no-keepalive")
    assert len(server.connections) == measured["connections_opened"] == measured["successful_requests"] == 30
    assert all(request.value("connection") == "close" for request in server.requests)


def test_threads_share_the_work(measure, tmp_path):
    samples = tmp_path / "samples"
    with Server() as server:
        measured = measure(server, "-n", 101, "-c", 5, "--threads", 3, "--samples", samples)
    assert len(server.requests) == measured["total_requests"] == 101
    assert len(server.connections) == 5
    dues = [sample[0] for sample in samples_of(samples)]
    assert len(dues) == 101 and dues == sorted(dues)
    assert os.listdir(tmp_path).count("samples.1") == 0


def test_the_request_is_what_the_command_line_says(measure, tmp_path):
    (tmp_path / "body").write_bytes(b"a\0b")
    with Server() as server:
        measure(server, "-n", 1, "--path", "/x?y=z", "--method", "PUT", "-H", "X-Mine: 1", "-H", "Host: other.test",
                "--body", f"@{tmp_path / 'body'}", target="/base")
        measure(server, "-n", 1, "--body", "text")
    first, second = server.requests
    assert (first.method, first.target, first.body) == ("PUT", "/base/x?y=z", b"a\0b")
    assert first.value("x-mine") == "1" and first.value("host") == "other.test"
    assert (second.method, second.target, second.body, second.value("host")) == ("POST", "/", b"text", server.address)


def test_a_name_is_resolved(measure):
    with Server() as server:
        measured = measure(f"localhost:{server.port}", "-n", 1)
    assert measured["successful_requests"] == 1 and server.requests[0].value("host") == f"localhost:{server.port}"


# What comes back


@pytest.mark.parametrize("answer, size, kept", [
    (reply(body=b"x" * 100_000), 100_000, True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"hello", b"x" * 50_000), 50_005, True),
    (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(body=b"hello"), 5, True),
    (reply(204), 0, True),
    (reply(304), 0, True),
    (reply(body=b"hello", fields={"Connection": "close"}), 5, False),
    (reply(body=b"hello", version="HTTP/1.0"), 5, False),
], ids=["long", "chunked", "interim", "204", "304", "close", "1.0"])
def test_every_kind_of_answer_is_read_to_its_end(measure, answer, size, kept):
    async def script(connection):
        while await connection.request():
            await connection.send(answer)
            if not kept:
                return
    with Server(script) as server:
        measured = measure(server, "-n", 6, "-c", 2)
    assert measured["successful_requests"] == 6 and measured["body_bytes"] == 6 * size
    assert len(server.connections) == (2 if kept else 6)


def test_a_body_may_end_with_the_connection(measure):
    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
    with Server(script) as server:
        measured = measure(server, "-n", 3, "-c", 1)
    assert measured["successful_requests"] == 3 and measured["body_bytes"] == 300_000


def test_answers_to_head_have_no_body(measure):
    with Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as server:
        measured = measure(server, "-n", 4, "-c", 1, "--method", "HEAD")
    assert measured["successful_requests"] == 4 and len(server.connections) == 1


@pytest.mark.parametrize("answer", [
    reply(body=b"hello") + b"x", reply(body=b"x" * 100_000) + b"x",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"hello") + b"x",
], ids=["short", "long", "chunked"])
def test_a_connection_that_says_more_than_it_was_asked_is_not_used_again(measure, answer):
    with Server(answering(answer)) as server:
        measured = measure(server, "-n", 4, "-c", 1)
    assert measured["successful_requests"] == 4 and len(server.connections) == 4


def test_a_large_body_is_sent_whole(measure, tmp_path):
    (tmp_path / "body").write_bytes(bytes(8_000_000))
    with Server() as server:
        measured = measure(server, "-n", 2, "-c", 1, "--body", f"@{tmp_path / 'body'}")
    assert [request.content.size for request in server.complete] == [8_000_000] * 2
    assert measured["successful_requests"] == 2 and len(server.connections) == 1


def test_an_answer_that_comes_before_the_upload_is_over_counts(measure, tmp_path):
    (tmp_path / "body").write_bytes(bytes(8_000_000))

    async def script(connection):
        await connection.head()
        await connection.send(reply(413, b"no", fields={"Connection": "close"}))
        await connection.until_closed()
    with Server(script) as server:
        measured = measure(server, "-n", 3, "-c", 1, "--body", f"@{tmp_path / 'body'}", code=1)
    assert measured["status_codes"] == {"413": 3} and not measured.failures


def test_a_server_that_closes_an_idle_connection_costs_nothing(measure, tmp_path):
    """The second request is due long after the connection has gone; it is sent on a new one."""
    (tmp_path / "list").write_text("0 /a\n300000 /b\n")

    async def script(connection):
        await connection.request()
        await connection.send(reply(body=b"hello"))
    with Server(script) as server:
        measured = measure(server, "--replay", tmp_path / "list")
    assert measured["successful_requests"] == 2 and not measured.failures and len(server.connections) == 2


# Errors by kind


async def reset_at_once(connection):
    await connection.request()
    connection.reset()


async def close_in_the_head(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-")


async def close_in_the_body(connection):
    await connection.request()
    await connection.send(reply(body=b"hello")[:-1])


async def never_answer(connection):
    await connection.until_closed()


async def answer_by_half(connection):
    await connection.request()
    await connection.send(reply(body=b"hello")[:-1])
    await connection.until_closed()


@pytest.mark.parametrize("script, kind", [
    (reset_at_once, "reset"), (close_in_the_head, "closed"), (close_in_the_body, "closed"), (never_answer, "timeout"),
    (answer_by_half, "timeout"), (answering(b"220 mail.test ESMTP\r\n"), "malformed"),
    (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), "malformed"),
], ids=["reset", "in the head", "in the body", "silent", "by half", "no HTTP", "ambiguous"])
def test_errors_are_counted_by_their_kind(measure, tmp_path, script, kind):
    samples = tmp_path / "samples"
    with Server(script) as server:
        measured = measure(server, "-n", 6, "-c", 2, "--timeout", "100ms", "--samples", samples, code=1)
    assert measured.failures == {kind: 6} and measured["status_codes"] == {}
    assert measured["total_requests"] == measured["total_errors"] == 6 and measured["error_rate"] == 100
    assert [(status, server) for _, _, status, server, _ in samples_of(samples)] == [(0, kind)] * 6
    assert "none of 6 requests succeeded" in measured.done.stderr


def test_nobody_there_ends_it_at_once_and_says_so(measure):
    sock, address = refused_address()
    with sock:
        measured = measure(address, "-n", 1000, "-c", 4, code=1)
        assert 0 < measured["total_requests"] < 1000 and measured.failures == {"refused": measured["total_requests"]}
        assert f"nobody listens on {address}" in measured.done.stderr


def test_errors_and_answers_of_all_kinds_add_up(measure, tmp_path):
    async def script(connection):
        while request := await connection.request():
            if request.target == "/reset":
                return connection.reset()
            if request.target == "/close":
                return None
            await connection.send(reply(int(request.target[1:])))
        return None
    targets = ["/200", "/503", "/reset", "/200", "/close", "/404", "/200"]
    (tmp_path / "list").write_text("".join(f"{1000 * n} {target}\n" for n, target in enumerate(targets)))
    with Server(script) as server:
        measured = measure(server, "--replay", tmp_path / "list", "-c", 1)
    assert measured["status_codes"] == {"200": 3, "404": 1, "503": 1}
    assert measured.failures == {"reset": 1, "closed": 1}
    assert (measured["total_requests"], measured["successful_requests"], measured["total_errors"]) == (7, 3, 4)


# When


def test_the_open_loop_sends_at_its_rate_for_its_time(measure, tmp_path):
    samples = tmp_path / "samples"
    with Server() as server:
        measured = measure(server, "--rate", 200, "--arrivals", "even", "--duration", "500ms", "--samples", samples)
    assert len(server.requests) == measured["total_requests"] == 100
    assert [sample[0] for sample in samples_of(samples)] == [5000 * n for n in range(100)]


def test_a_seed_repeats_the_times_of_a_poisson_process(measure, tmp_path):
    with Server() as server:
        dues = []
        for seed in (1, 1, 2):
            measure(server, "--rate", 1000, "-n", 100, "--seed", seed, "--samples", tmp_path / "samples")
            dues.append([sample[0] for sample in samples_of(tmp_path / "samples")])
    assert dues[0] == dues[1] != dues[2] and all(len(set(times)) > 90 for times in dues)


def test_the_rate_grows_during_the_ramp(measure, tmp_path):
    samples = tmp_path / "samples"
    with Server() as server:
        measure(server, "--rate", 200, "--arrivals", "even", "--ramp", "1s", "--duration", "1s", "--samples", samples)
    dues = [sample[0] for sample in samples_of(samples)]
    assert len(dues) == 100 and sum(due < 500_000 for due in dues) == 25


def test_there_are_only_the_first_connections_at_the_beginning_of_a_long_ramp(measure):
    with Server() as server:
        measured = measure(server, "-c", 4, "--ramp", "10m", "-n", 50)
    assert measured["connections_opened"] == len(server.connections) == 1


def test_connections_come_one_after_another_during_the_ramp_of_a_closed_loop(measure):
    with Server() as server:
        measured = measure(server, "-c", 4, "--ramp", "40ms", "--duration", "200ms")
    assert measured["connections_opened"] == 4
    first_of = [next(n for n, request in enumerate(server.requests) if request.connection == index) for index in range(4)]
    assert first_of == sorted(first_of)


def test_the_warm_up_is_sent_but_not_counted(measure, tmp_path):
    samples = tmp_path / "samples"
    with Server() as server:
        measured = measure(server, "--rate", 100, "--arrivals", "even", "--warmup", "500ms", "--duration", "500ms", "--samples", samples)
    assert len(server.requests) == 100 and measured["total_requests"] == 50
    assert [sample[0] for sample in samples_of(samples)] == [10_000 * n for n in range(50, 100)]


def test_a_closed_loop_counts_exactly_after_its_warm_up(measure):
    with Server() as server:
        measured = measure(server, "-n", 50, "-c", 2, "--warmup", "50ms")
    assert measured["total_requests"] == 50 < len(server.requests)


def test_a_replay_sends_each_line_when_it_is_due_and_samples_are_in_its_order(measure, tmp_path):
    lines = [(1500 * n, f"/bytes/{100 * n + 7}") for n in range(40)]
    lines += [(60_000, "/status/418"), (60_000, "/delay/20"), (61_000, "/bytes/1")]
    (tmp_path / "list").write_text("".join(f"{due} {target}\n" for due, target in lines))
    samples = tmp_path / "samples"
    with backends("blue") as (address,):
        measured = measure(address, "--replay", tmp_path / "list", "--samples", samples)
    rows = samples_of(samples)
    assert [row[0] for row in rows] == [due for due, _ in lines]
    assert [row[2] for row in rows] == [200] * 40 + [418, 200, 200]
    assert {row[3] for row in rows} == {"blue"}
    assert [row[4] for row in rows[:40]] == [100 * n + 7 for n in range(40)] and rows[42][4] == 1
    assert rows[41][1] >= 20_000
    assert measured["total_requests"] == 43 and measured["options"]["replay"]


def stall_after(count, seconds):
    """Answers at once, but for one stall, in which nobody gets an answer."""
    state = {"requests": 0, "over": None}

    async def script(connection):
        while await connection.request():
            state["requests"] += 1
            if state["requests"] == count:
                state["over"] = asyncio.Event()
                connection.loop.call_later(seconds, state["over"].set)
            if state["over"]:
                await state["over"].wait()
            await connection.send(reply())
    return script


@pytest.mark.parametrize("connections", [1, 500])
def test_a_stall_shows_in_every_request_that_was_due_meanwhile(measure, tmp_path, connections):
    """At 200 requests a second, 200 are due during a stall of one second. The first of them waits for the whole second and the last one
    not at all, evenly between, so that 200 (1 - x) wait for longer than x seconds, however few connections there are."""
    samples = tmp_path / "samples"
    with Server(stall_after(100, seconds=1)) as server:
        measured = measure(server, "--rate", 200, "--arrivals", "even", "--duration", "2500ms", "-c", connections, "--samples", samples)
    latencies = [latency / 1e6 for _, latency, _, _, _ in samples_of(samples)]
    assert len(latencies) == measured["successful_requests"] == 500
    for wait_s in (0.25, 0.5, 0.75):
        expected = 200 * (1 - wait_s)
        assert 0.8 * expected <= sum(latency >= wait_s for latency in latencies) <= 1.8 * expected, wait_s
    assert measured["response_times"]["p90"] >= 500
    assert (measured["queued_requests"] > 100) == (connections == 1)


def test_a_closed_loop_hides_the_stall_which_is_why_there_is_an_open_one(measure, tmp_path):
    samples = tmp_path / "samples"
    with Server(stall_after(100, seconds=1)) as server:
        measure(server, "-n", 500, "-c", 1, "--samples", samples)
    assert sum(latency >= 500_000 for _, latency, _, _, _ in samples_of(samples)) == 1


def test_what_waits_for_a_connection_too_long_is_given_up_unsent(measure, tmp_path):
    (tmp_path / "list").write_text("0 /a\n" * 5)
    samples = tmp_path / "samples"
    with Server(never_answer) as server:
        measured = measure(server, "--replay", tmp_path / "list", "-c", 1, "--timeout", "200ms", "--samples", samples, code=1)
    assert len(server.connections) == 1 and measured.failures == {"timeout": 5}
    assert all(200_000 <= latency for _, latency, _, _, _ in samples_of(samples))


# What is told


def test_samples_that_cannot_all_be_written_do_not_cost_the_report(measure):
    with Server() as server:
        measured = measure(server, "-n", 20, "--samples", "/dev/full", code=1)
    assert measured["successful_requests"] == 20 and "/dev/full" in measured.done.stderr


def test_the_share_of_each_server_behind_the_balancer_is_shown(measure):
    with backends("one", "two", "three") as addresses, Proxy(configuration(*addresses)) as proxy:
        measured = measure(f"127.0.0.1:{proxy.port}", "-n", 300, "-c", 1)
    assert {name: server["requests"] for name, server in measured["servers"].items()} == {"one": 100, "two": 100, "three": 100}
    for name in ("one", "two", "three"):
        assert any(line.split() == [name, "100", "33.33", "%"] for line in measured.done.stdout.splitlines()), measured.done.stdout


def test_another_field_may_name_the_server(measure, tmp_path):
    names = iter(["a b", "c", "a b"])

    async def script(connection):
        while await connection.request():
            await connection.send(reply(fields={"x-SERVED-by": next(names)}))
    with Server(script) as server:
        measured = measure(server, "-n", 3, "-c", 1, "--server-header", "X-Served-By", "--samples", tmp_path / "samples")
    assert {name: entry["requests"] for name, entry in measured["servers"].items()} == {"a b": 2, "c": 1}
    assert [sample[3] for sample in samples_of(tmp_path / "samples")] == ["a_b", "c", "a_b"]


def test_the_report_is_for_people_and_nothing_else_is_said_off_a_terminal(measure):
    with Server() as server:
        done = measure(server, "-n", 20, "-c", 2).done
    assert not done.stderr
    for text in ("GET http://", "closed loop, 2 connections", "succeeded", "100.00 %", "p99.9", "Histogram", "█"):
        assert text in done.stdout


def test_the_json_has_the_keys_that_programs_for_loadx_know(measure):
    with Server() as server:
        report = measure(server, "-n", 20, "-c", 2).report
    assert {"total_requests", "total_errors", "error_rate", "requests_per_second", "response_times", "status_codes"} <= set(report)
    times = report["response_times"]
    assert 0 < times["minimum"] <= times["p50"] <= times["p95"] <= times["p99.9"] <= times["maximum"]
    assert times["minimum"] <= times["average"] <= times["maximum"]
    assert sum(row["requests"] for row in report["histogram"]) == 20


def read_terminal(descriptor):
    shown = b""
    with contextlib.suppress(OSError):  # which is how the end of a terminal is told
        while data := os.read(descriptor, 1 << 16):
            shown += data
    os.close(descriptor)
    return shown.decode()


def test_on_a_terminal_one_line_shows_how_far_it_is():
    ours, theirs = pty.openpty()
    with Server() as server:
        with subprocess.Popen([BINARY, "load", url(server), "--duration", "700ms", "-c", "1"], stdout=subprocess.DEVNULL,
                              stderr=theirs) as process:
            os.close(theirs)
            shown = read_terminal(ours)
        assert process.returncode == 0
    assert "answers" in shown and shown.count("\r") >= 2 and "\n" not in shown


@pytest.mark.parametrize("arguments", [["-c", "2"], ["--rate", "100", "--samples", "samples"]], ids=["closed", "open"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_early_with_a_report(tmp_path, arguments, number):
    async def script(connection):  # the last requests are under way when it is told to end
        while await connection.request():
            if len(connection.server.requests) > 20:
                await connection.until_closed()
                return
            await connection.send(reply())
    with Server(script) as server:
        process = Process(["load", url(server), "--duration", "10m", "-o", "report.json", *arguments], directory=tmp_path)
        try:
            server.wait(lambda: len(server.requests) > 21, "twenty requests and two more")
            assert process.stop(number) == 0
        finally:
            process.kill()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ended_early"] and report["successful_requests"] == report["total_requests"] == 20 and report["abandoned_requests"] >= 2
    assert "ended early" in process.output[0]
    if "--samples" in arguments:
        assert len(samples_of(tmp_path / "samples")) == 20


@pytest.mark.parametrize("arguments, hint", [
    (["https://127.0.0.1/"], "https"), (["http://127.0.0.1:0/"], "65535"), (["http://127.0.0.1/", "--duration", "5"], "5s"),
    (["http://127.0.0.1/", "-n", "0"], "--requests"), (["http://127.0.0.1/", "-c", "none"], "--concurrency"),
    (["http://127.0.0.1/", "--arrivals", "even"], "--rate"), (["http://127.0.0.1/", "--rate", "0"], "--rate"),
    (["http://127.0.0.1/", "--replay", "absent"], "absent"), (["http://127.0.0.1/", "-H", "nonsense"], "Name: value"),
    (["http://127.0.0.1/", "--body", "@absent"], "absent"), (["http://127.0.0.1/", "--nonsense"], "nonsense"),
    (["http://127.0.0.1/", "-o", "nowhere/report.json"], "nowhere"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_is_typed_wrong_is_a_usage_error_that_says_what_to_do(tmp_path, arguments, hint):
    done = run("load", *arguments, directory=tmp_path)
    assert done.returncode == 2 and hint in done.stderr and not done.stdout


def test_a_mistake_in_a_replay_has_its_line(tmp_path):
    (tmp_path / "list").write_text("0 /a\n5 /b\n4 /c\n")
    done = run("load", "http://127.0.0.1:1/", "--replay", "list", directory=tmp_path)
    assert done.returncode == 2 and "list:3:" in done.stderr


def test_a_name_that_does_not_resolve_is_said():
    done = run("load", "http://does-not-exist.invalid/")
    assert done.returncode == 1 and "does-not-exist.invalid" in done.stderr


def peak_kib(*arguments):
    """The most memory that a run had."""
    with subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps what was freed")
def test_memory_does_not_grow_with_the_number_of_requests(tmp_path):
    """Their samples alone would be megabytes."""
    with backends("one") as (address,):
        few, many = (peak_kib("load", url(address), "-c", 8, "-n", count, "--samples", tmp_path / "samples") for count in (2000, 100_000))
    assert many - few < 1024, (few, many)
    assert len(samples_of(tmp_path / "samples")) == 100_000
