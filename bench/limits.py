#!/usr/bin/env python3
"""Measures limits on requests: what one adds to the CPU of each request, in memory and in Redis, beside nginx with limit_req and HAProxy
with a stick table. All requests pass: what is measured is the counting.

The proxy has core 0; clients, server and Redis core 1. No part of it may share the machine with anything else."""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import contenders
import machine
import processes

PROJECT = pathlib.Path(__file__).resolve().parent.parent
CONNECTIONS = 64
MANY = "1000000000"  # a second, so that nothing is refused
STORE = "stores: {redis: {url: 'redis://127.0.0.1:PORT', timeout: 50ms}}\n"
# What is added to Steelyard's file; each is compared with the one of its family that counts nothing.
LIMITS = {
    "steelyard": "",
    "steelyard/bucket": "limits: {a: {rate: 1000000/s, burst: 100000000}}\n",
    "steelyard/fixed": "limits: {a: {kind: fixed_window, rate: 1000000000/1s}}\n",
    "steelyard/sliding": "limits: {a: {kind: sliding_window, rate: 1000000/1s}}\n",
    "steelyard/lease": "limits: {a: {rate: 1000000/s, burst: 100000000, store: redis, lease: 1000}}\n" + STORE,
    "steelyard/redis": "limits: {a: {rate: 1000000/s, burst: 100000000, store: redis}}\n" + STORE,
}
NAMES = {
    "steelyard": "steelyard, no limit", "steelyard/bucket": "steelyard, token bucket in memory",
    "steelyard/fixed": "steelyard, fixed window in memory", "steelyard/sliding": "steelyard, sliding window in memory",
    "steelyard/lease": "steelyard, token bucket in Redis, lease 1000", "steelyard/redis": "steelyard, token bucket in Redis, each asked",
    "nginx": "nginx, no limit", "nginx/limit": "nginx, limit_req", "haproxy": "HAProxy, no limit", "haproxy/limit": "HAProxy, stick table",
}

INTRODUCTION = f"""# Benchmarks: limits on requests

Written by `./dev bench limits`. {CONNECTIONS} clients on one address ask a proxy with one worker again and again, and the limit lets all of
them pass: what it adds is what counting costs. Medians over the rounds, in which all take turns; what is added is the median of the
rounds' own differences. The proxy has one core; clients, server and Redis the other.
"""


def free_of(text: str, at: str, line: str) -> str:
    """The configuration with another line behind `at`, which it must have."""
    if at not in text:
        raise processes.Failure(f"the configuration has no {at!r}")
    return text.replace(at, at + line, 1)


def write(name: str, setup: contenders.Setup, programs: contenders.Programs, directory: pathlib.Path, redis_port: int) -> list[str]:
    directory.mkdir()
    command = contenders.command(name, setup, programs, directory)
    if name.startswith("steelyard"):
        file = directory / "steelyard.yaml"
        text = file.read_text()
        if LIMITS[name]:
            text = text.replace("{pool: be}", "{pool: be, limits: a}")
            text += LIMITS[name].replace("PORT", str(redis_port))
        file.write_text(text)
    elif name == "nginx/limit":
        file = directory / "nginx.conf"
        text = free_of(file.read_text(), "access_log off;", "\n  limit_req_zone $binary_remote_addr zone=z:10m rate=1000000r/s;")
        file.write_text(free_of(text, "reuseport backlog=16384;", " limit_req zone=z burst=100000 nodelay;"))
    elif name == "haproxy/limit":
        file = directory / "haproxy.cfg"
        lines = ("\n  stick-table type ip size 1m expire 10s store http_req_rate(1s)\n  http-request track-sc0 src"
                 f"\n  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {MANY} }}")
        file.write_text(free_of(file.read_text(), f"maxconn {contenders.HAPROXY_CONNECTIONS_MAX - 100}", lines))
    return command


def start_redis(directory: pathlib.Path) -> processes.Contender:
    port = processes.free_port()
    program = shutil.which("redis-server")
    if not program:
        raise processes.Failure("There is no redis-server: run ./dev setup test.")
    command = ["taskset", "-c", processes.LOAD_CORE, program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    redis = processes.start("redis", [command], [port], directory / "redis.out")
    processes.wait_until_it_accepts(redis)
    return redis


def measure(arguments: argparse.Namespace, programs: contenders.Programs, directory: pathlib.Path) -> dict[str, list[dict]]:
    running: list[processes.Contender] = []
    found: dict[str, list[dict]] = {name: [] for name in NAMES}
    try:
        redis = start_redis(directory)
        running.append(redis)
        backend_port = processes.free_port()
        for name in NAMES:
            port = processes.free_port()
            setup = contenders.Setup(port, (f"127.0.0.1:{backend_port}",))
            command = write(name, setup, programs, directory / name.replace("/", "-"), redis.ports[0])
            output = directory / f"{name.replace('/', '-')}.out"
            contender = processes.start(name, [["taskset", "-c", processes.PROXY_CORE, *command]], [port], output)
            running.append(contender)
            processes.wait_until_it_accepts(contender)
        proxies = running[1:]
        for number in range(arguments.rounds):
            # Nobody is always the one after the busiest.
            for proxy in proxies[number % len(proxies):] + proxies[:number % len(proxies)]:
                options = {"target": proxy.ports[0], "backend": backend_port, "connections": CONNECTIONS, "seconds": arguments.seconds}
                result = processes.run_busy_load(programs.load, proxy, options)
                if result["errors"]:
                    raise processes.Failure(f"{proxy.name}: {result['errors']} of {result['requests']} requests failed or were refused")
                found[proxy.name].append(result)
    finally:
        for contender in running:
            contender.stop()
    return found


def added(found: dict[str, list[dict]], name: str) -> float:
    """Of CPU for each request, as a share of what the same proxy takes without a limit."""
    without = found[name.partition("/")[0]]
    return statistics.median(each["cpu_us"] / plain["cpu_us"] - 1 for each, plain in zip(found[name], without))


def as_markdown(found: dict[str, list[dict]], facts: dict[str, str]) -> str:
    lines = [INTRODUCTION, "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), "",
             "| | requests a second | CPU of the proxy for each, µs | added | p50, µs | p99, µs |", "|---|---:|---:|---:|---:|---:|"]
    for name, words in NAMES.items():
        rate, cpu, p50, p99 = (statistics.median(each[key] for each in found[name]) for key in ("rate", "cpu_us", "p50_us", "p99_us"))
        share = f"{added(found, name):+.1%}" if "/" in name else ""
        lines.append(f"| {words} | {rate:,.0f} | {cpu:.2f} | {share} | {p50:,.0f} | {p99:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Limits on requests, measured.", epilog="Only ratios within one run mean anything.")
    parser.add_argument("--rounds", type=int, default=9, help="how often each contender has its turn (default 9)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one turn (default 1)")
    parser.add_argument("--output", type=pathlib.Path, help="Markdown file, e.g. docs/benchmarks-limits.md")
    parser.add_argument("--build", type=pathlib.Path, default=PROJECT / "build/release", help="build directory (default build/release)")
    arguments = parser.parse_args()
    programs = contenders.Programs(arguments.build / "steelyard", arguments.build / "bench_relay", arguments.build / "bench_load")
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as name:
        try:
            found = measure(arguments, programs, pathlib.Path(name))
        except (processes.Failure, subprocess.SubprocessError) as failure:
            print(f"bench: {failure}", file=sys.stderr)
            return 1
    for name, results in found.items():
        busy = statistics.median(each["busy"] for each in results)
        if busy < processes.BUSY_ENOUGH and name != "steelyard/redis":
            print(f"bench: {NAMES[name]}: the machine had other work (busy {busy:.0%}): these figures say little", file=sys.stderr)
    text = as_markdown(found, machine.facts(programs, arguments.rounds, arguments.seconds))
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
