#!/usr/bin/env python3
"""Measures redirects: how many a core gives and what each costs, unsigned and signed, beside Steelyard carrying a small answer and nginx
with `return 307`; and what of a large download crosses the gateway either way.

The proxy has core 0, clients and servers core 1. No part of it may share the machine with anything else."""

import argparse
import dataclasses
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

import contenders
import machine
import processes

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent
CONNECTIONS = 64
SERVER = "a"
NAMES = {"carried": "steelyard carries an answer of 1 KiB", "carried-signed": "the same, signed with HS256 for the server's guard",
         "unsigned": "steelyard redirects, unsigned",
         "HS256": "steelyard redirects, signed with HS256", "EdDSA": "steelyard redirects, signed with EdDSA",
         "nginx": "nginx, `return 307`"}
DOWNLOADS = {"carried": "carried", "unsigned": "redirected to the server", "guarded": "redirected, signed, to a guard before the server"}

INTRODUCTION = f"""# Benchmarks: redirects

Written by `./dev bench redirects`. Each of {CONNECTIONS} clients asks for the same thing again as soon as it has its answer; one worker on
one core, clients and servers on the other. Medians over the rounds, in which all take turns. "A core" is what the CPU of the proxy for
each answer comes to: the clients' core may be busy before it. Where clients are redirected they do not follow, so that this is the
gateway's part alone; the 1 KiB that is carried comes from a server on the clients' core.
"""

DOWNLOAD_TEXT = """## A download of {size}

What passes between one client and the gateway, both ways, heads and all; what is carried passes between gateway and server once more. A
guard before the server carries the bytes itself, where the server is.
"""


@dataclasses.dataclass(frozen=True)
class Download:
    gateway_bytes: int
    gateway_cpu_ms: float
    guard_cpu_ms: float


def steelyard_file(port: int, server_port: int, mode: str, keys: pathlib.Path | None) -> dict:
    route = {"pool": "servers", "mode": mode}
    if keys:
        route["redirect"] = {"keys": str(keys), **({"auto": {"methods": [], "body_bytes_min": "never"}} if mode == "auto" else {})}
    return {
        "workers": 1, "log": {"access": "off"}, "connections": {"max": contenders.CONNECTIONS_MAX}, "timeouts": {"idle": "1h"},
        "listeners": [{"bind": f"127.0.0.1:{port}"}], "routes": [route],
        "pools": {"servers": {"algorithm": "round_robin", "servers": [{"id": SERVER, "address": f"127.0.0.1:{server_port}"}]}},
    }


def nginx_file(port: int, server_port: int, directory: pathlib.Path) -> str:
    temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (f"worker_processes 1; daemon off; pid {directory}/nginx.pid;\n"
            f"events {{ use epoll; worker_connections {contenders.CONNECTIONS_MAX}; multi_accept on; accept_mutex off; }}\n"
            f"error_log {directory}/nginx.log crit;\n"
            f"http {{ access_log off; server_tokens off; tcp_nodelay on; {temporary}\n"
            f"  keepalive_timeout 3600; keepalive_requests 1000000000; add_header Cache-Control no-store always;\n"
            f"  server {{ listen 127.0.0.1:{port} reuseport backlog=16384;\n"
            f"    location / {{ return 307 http://127.0.0.1:{server_port}$request_uri; }} }} }}\n")


def on_core(core: str, command: list) -> list[str]:
    return ["taskset", "-c", core, *map(str, command)]


class Bench:
    """What runs meanwhile, in a directory of its own."""

    def __init__(self, build: pathlib.Path, directory: pathlib.Path):
        self.build, self.directory = build, directory
        self.steelyard = build / "steelyard"
        self.running: list[processes.Contender] = []

    def start(self, name: str, core: str, command: list, port: int) -> processes.Contender:
        contender = processes.start(name, [on_core(core, command)], [port], self.directory / f"{name}.out")
        self.running.append(contender)
        processes.wait_until_it_accepts(contender)
        return contender

    def keys(self, algorithm: str) -> pathlib.Path:
        file = self.directory / f"keys-{algorithm}.json"
        if not file.exists():
            subprocess.run([self.steelyard, "token", "keygen", "--algorithm", algorithm, "--out", file], check=True, timeout=10,
                           capture_output=True)
        return file

    def gateway(self, name: str, server_port: int, mode: str, algorithm: str = "") -> processes.Contender:
        port = processes.free_port()
        file = self.directory / f"{name}.json"
        file.write_text(json.dumps(steelyard_file(port, server_port, mode, self.keys(algorithm) if algorithm else None)))
        return self.start(name, processes.PROXY_CORE, [self.steelyard, "serve", "--config", file], port)

    def nginx(self, server_port: int) -> processes.Contender:
        port = processes.free_port()
        file = self.directory / "nginx.conf"
        file.write_text(nginx_file(port, server_port, self.directory))
        command = [contenders.NGINX, "-p", self.directory, "-e", self.directory / "nginx.log", "-c", file]
        return self.start("nginx", processes.PROXY_CORE, command, port)

    def stop(self) -> None:
        for contender in self.running:
            contender.stop()


class Connection:
    """One request on a connection of its own, with every byte counted."""

    def __init__(self, port: int, target: str):
        request = f"GET {target} HTTP/1.1\r\nHost: h0.test\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.sendall(request)
        self.bytes = len(request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.receive(bytearray(65536))
        text = head.partition(b"\r\n\r\n")[0].decode("latin-1")
        self.status = int(text.split()[1])
        fields = dict(line.split(": ", 1) for line in text.split("\r\n")[1:])
        self.location = fields.get("Location")
        self.left = int(fields["Content-Length"]) - (len(head) - len(text) - 4)

    def receive(self, memory: bytearray) -> bytes:
        count = self.socket.recv_into(memory)
        if count == 0:
            raise processes.Failure("an answer has ended before its time")
        self.bytes += count
        return memory[:count]

    def discard(self) -> int:
        """All bytes that have passed."""
        memory = bytearray(1 << 20)
        while self.left > 0:
            self.left -= len(self.receive(memory))
        self.socket.close()
        return self.bytes


def expect_answer(contender: processes.Contender, status: int) -> None:
    connection = Connection(contender.ports[0], "/1k")
    connection.discard()
    if connection.status != status:
        raise processes.Failure(f"{contender.name} answers with {connection.status} and not with {status}")


def turn(load: pathlib.Path, contender: processes.Contender, backend_port: int, seconds: float) -> dict:
    options = {"target": contender.ports[0], "backend": backend_port, "connections": CONNECTIONS, "seconds": seconds}
    result = processes.run_busy_load(load, contender, options)
    # The load generator takes what is not 2xx for an error: either none is one, or all are.
    redirects = not contender.name.startswith("carried")
    if result["errors"] < result["requests"] if redirects else result["errors"]:
        raise processes.Failure(f"{contender.name}: {result['errors']} of {result['requests']} answers were not redirects" if redirects else
                                f"{contender.name}: {result['errors']} of {result['requests']} requests failed")
    return result


def measure(bench: Bench, rounds: int, seconds: float) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {name: [] for name in NAMES}
    backend_port = processes.free_port()
    gateways = [bench.gateway("carried", backend_port, "proxy"), bench.gateway("carried-signed", backend_port, "auto", "HS256"),
                bench.gateway("unsigned", backend_port, "redirect"),
                bench.gateway("HS256", backend_port, "redirect", "HS256"), bench.gateway("EdDSA", backend_port, "redirect", "EdDSA"),
                bench.nginx(backend_port)]
    for gateway in gateways[2:]:
        expect_answer(gateway, 307)
    for number in range(rounds):
        # Nobody is always the one after the busiest.
        for gateway in gateways[number % len(gateways):] + gateways[:number % len(gateways)]:
            found[gateway.name].append(turn(bench.build / "bench_load", gateway, backend_port, seconds))
    return found


def download(target: str, gateway: processes.Contender, guard: processes.Contender | None) -> Download:
    def spent() -> tuple[int, int]:
        return processes.cpu_ns(gateway.pids()), processes.cpu_ns(guard.pids()) if guard else 0

    before = spent()
    connection = Connection(gateway.ports[0], target)
    passed = connection.discard()
    if connection.location:
        where = urllib.parse.urlsplit(connection.location)
        connection = Connection(where.port, f"{where.path}?{where.query}" if where.query else where.path)
        connection.discard()
    if connection.status != 200:
        raise processes.Failure(f"{gateway.name}: the download was answered with {connection.status}")
    after = spent()
    return Download(passed, (after[0] - before[0]) / 1e6, (after[1] - before[1]) / 1e6)


def measure_downloads(bench: Bench, rounds: int, size: str) -> dict[str, list[Download]]:
    server_port, guard_port = processes.free_port(), processes.free_port()
    bench.start("server", processes.LOAD_CORE, [bench.steelyard, "backend", "--port", server_port, "--quiet"], server_port)
    guard = bench.start("guard", processes.PROXY_CORE, [
        bench.steelyard, "guard", "--listen", f"127.0.0.1:{guard_port}", "--app", f"127.0.0.1:{server_port}", "--id", SERVER, "--keys",
        bench.keys("HS256"), "--quiet"], guard_port)
    ways = {"carried": (bench.gateway("download-carried", server_port, "proxy"), None),
            "unsigned": (bench.gateway("download-unsigned", server_port, "redirect"), None),
            "guarded": (bench.gateway("download-guarded", guard_port, "redirect", "HS256"), guard)}
    found: dict[str, list[Download]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (gateway, before_server) in ways.items():
            found[way].append(download(f"/bytes/{size}", gateway, before_server))
    return found


def warn_of_other_work(found: dict[str, list[dict]]) -> None:
    """Where neither proxy nor clients had a whole core, somebody else had it."""
    for name, results in found.items():
        busy = statistics.median(each["busy"] for each in results)
        if busy < processes.BUSY_ENOUGH:
            print(f"bench: {NAMES[name]}: the machine had other work (busy {busy:.0%}): these figures say little", file=sys.stderr)


def as_markdown(found: dict[str, list[dict]], downloads: dict[str, list[Download]], size: str, facts: dict[str, str]) -> str:
    lines = [INTRODUCTION, "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), "",
             "| | answers a second | CPU of the proxy for each, µs | a core, a second | p50, µs | p99, µs |",
             "|---|---:|---:|---:|---:|---:|"]
    for contender, name in NAMES.items():
        rate, cpu, p50, p99 = (statistics.median(each[key] for each in found[contender])
                               for key in ("rate", "cpu_us", "p50_us", "p99_us"))
        lines.append(f"| {name} | {rate:,.0f} | {cpu:.2f} | {1e6 / cpu:,.0f} | {p50:,.0f} | {p99:,.0f} |")
    lines += ["", DOWNLOAD_TEXT.format(size=size), "| | bytes to and from the gateway | CPU of the gateway, ms | CPU of the guard, ms |",
              "|---|---:|---:|---:|"]
    for way, name in DOWNLOADS.items():
        middle = {field.name: statistics.median(getattr(each, field.name) for each in downloads[way])
                  for field in dataclasses.fields(Download)}
        guard = f"{middle['guard_cpu_ms']:.1f}" if way == "guarded" else ""
        lines.append(f"| {name} | {middle['gateway_bytes']:,.0f} | {middle['gateway_cpu_ms']:.1f} | {guard} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Redirects, measured.", epilog="Only ratios within one run mean anything.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each contender has its turn (default 7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one turn (default 1)")
    parser.add_argument("--download", default="1g", help="size of the download, such as 64m (default 1g)")
    parser.add_argument("--output", type=pathlib.Path, help="Markdown file, e.g. docs/benchmarks-redirects.md")
    parser.add_argument("--build", type=pathlib.Path, default=PROJECT / "build/release", help="build directory (default build/release)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as name:
        bench = Bench(arguments.build, pathlib.Path(name))
        try:
            found = measure(bench, arguments.rounds, arguments.seconds)
            downloads = measure_downloads(bench, arguments.rounds, arguments.download)
        except processes.Failure as failure:
            print(f"bench: {failure}", file=sys.stderr)
            return 1
        finally:
            bench.stop()
    warn_of_other_work(found)
    programs = contenders.Programs(arguments.build / "steelyard", arguments.build / "bench_relay", arguments.build / "bench_load")
    facts = machine.facts(programs, arguments.rounds, arguments.seconds)
    del facts["HAProxy"]
    size = arguments.download.lower().replace("g", " GiB").replace("m", " MiB").replace("k", " KiB")
    text = as_markdown(found, downloads, size, facts)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
