#!/usr/bin/env python3
"""Measures the packet listener: packets a second and CPU for each, with connections to servers made anew for each packet and with kept
ones, beside HAProxy passing bytes through without looking at them, and no proxy at all.

The proxy has core 0, clients and servers core 1. No part of it may share the machine with anything else."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import types

import contenders
import machine
import processes

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent
CONNECTIONS = (64, 1024, 5000)
NAMES = {"direct": "no proxy", "fresh": "steelyard, a connection for each packet", "kept": "steelyard, kept connections",
         "haproxy": "HAProxy, TCP, passes bytes through"}


INTRODUCTION = """# Benchmarks: packets

Written by `./dev bench packets`. Each client sends a packet of 67 bytes, waits for its ack of 118 bytes, and sends the next; one worker
on one core, clients and servers on the other. Medians over the rounds. HAProxy opens one connection to the server for each client and
moves bytes; it reads no packet, so it cannot choose by policy: it is there as a measure of what moving costs.
"""


def steelyard_file(port: int, server_port: int, connections: str) -> dict:
    return {
        "workers": 1, "log": {"access": "off"}, "connections": {"max": 20000},
        "listeners": [{"bind": f"127.0.0.1:{port}", "protocol": "packet", "pool": "packets", "server_connections": connections}],
        "pools": {"packets": {"policy": {"label": "privacy"}, "keepalive": {"idle_connections_max": 20000},
                              "servers": [{"address": f"127.0.0.1:{server_port}", "labels": {"privacy": "111"}}]}},
    }


def haproxy_file(port: int, server_port: int) -> str:
    return (f"global\n  maxconn 8000\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n"
            f"  timeout server 60s\nlisten packets\n  bind 127.0.0.1:{port} backlog 16384\n  server one 127.0.0.1:{server_port}\n")


def on_core(core: str, command: list) -> list[str]:
    return ["taskset", "-c", core, *map(str, command)]


def begin(name: str, build: pathlib.Path, server_port: int, directory: pathlib.Path) -> processes.Contender:
    port = processes.free_port()
    if name == "haproxy":
        file = directory / "haproxy.cfg"
        file.write_text(haproxy_file(port, server_port))
        command = [contenders.HAPROXY, "-db", "-f", file]
    else:
        file = directory / f"{name}.json"
        file.write_text(json.dumps(steelyard_file(port, server_port, name)))
        command = [build / "steelyard", "serve", "--config", file]
    contender = processes.start(name, [on_core(processes.PROXY_CORE, command)], [port], directory / f"{name}.out")
    processes.wait_until_it_accepts(contender)
    return contender


def turn(load: pathlib.Path, port: int, connections: int, seconds: float, proxy: processes.Contender | None) -> dict:
    before = processes.cpu_ns(proxy.pids()) if proxy else 0
    command = on_core(processes.LOAD_CORE, [load, "load", "--port", port, "--connections", connections, "--seconds", seconds])
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + seconds, check=False)
    if done.returncode != 0:
        raise processes.Failure(f"the clients ended: {done.stderr.strip()}")
    figures = json.loads(done.stdout)
    if figures["errors"] or not figures["packets"]:
        raise processes.Failure(f"{proxy.name if proxy else 'direct'}: {figures['errors']} of {figures['packets']} packets failed")
    spent = processes.cpu_ns(proxy.pids()) - before if proxy else 0
    return {**figures, "cpu_us": spent / 1000 / figures["packets"]}


def measure(build: pathlib.Path, rounds: int, seconds: float) -> dict[tuple[str, int], list[dict]]:
    found: dict[tuple[str, int], list[dict]] = {}
    load = build / "bench_packets"
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as name:
        directory = pathlib.Path(name)
        server_port = processes.free_port()
        command = on_core(processes.LOAD_CORE, [load, "serve", "--port", server_port])
        servers = processes.start("servers", [command], [server_port], directory / "servers.out")
        running = [servers]
        try:
            processes.wait_until_it_accepts(servers)
            proxies: dict[str, processes.Contender | None] = {"direct": None}
            for contender in ("fresh", "kept", "haproxy"):
                proxies[contender] = begin(contender, build, server_port, directory)
                running.append(proxies[contender])
            for _ in range(rounds):
                for connections in CONNECTIONS:
                    for contender, proxy in proxies.items():
                        port = proxy.ports[0] if proxy else server_port
                        found.setdefault((contender, connections), []).append(turn(load, port, connections, seconds, proxy))
        finally:
            for contender in running:
                contender.stop()
    return found


def as_markdown(found: dict[tuple[str, int], list[dict]], facts: dict[str, str]) -> str:
    lines = [INTRODUCTION, "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), "",
             "| clients | | packets a second | CPU of the proxy for each, µs | p50, µs | p99, µs |", "|---:|---|---:|---:|---:|---:|"]
    for connections in CONNECTIONS:
        for contender, name in NAMES.items():
            middle = types.SimpleNamespace(**{key: statistics.median(each[key] for each in found[contender, connections])
                                              for key in ("per_second", "cpu_us", "p50_us", "p99_us")})
            cpu = f"{middle.cpu_us:.1f}" if contender != "direct" else ""
            lines.append(f"| {connections} | {name} | {middle.per_second:,.0f} | {cpu} | {middle.p50_us:,.0f} | {middle.p99_us:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="The packet listener, measured.", epilog="Only ratios within one run mean anything.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender has its turn (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one turn (default 1)")
    parser.add_argument("--output", type=pathlib.Path, help="Markdown file, e.g. docs/benchmarks-packets.md")
    parser.add_argument("--build", type=pathlib.Path, default=PROJECT / "build/release", help="build directory (default build/release)")
    arguments = parser.parse_args()
    try:
        found = measure(arguments.build, arguments.rounds, arguments.seconds)
    except processes.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    programs = contenders.Programs(arguments.build / "steelyard", arguments.build / "bench_relay", arguments.build / "bench_load")
    facts = machine.facts(programs, arguments.rounds, arguments.seconds)
    del facts["nginx"]
    text = as_markdown(found, facts)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
