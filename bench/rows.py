"""The rows of the benchmark: which contenders, set up how, under which load. In each round every contender has its turn at every
case, one directly after the other, so that whatever the machine does meanwhile happens to all of them; the order turns round
from one round to the next."""

import contextlib
import dataclasses
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import contenders as setups
import processes
import strace_summary

EVERYBODY = ("steelyard", "nginx", "haproxy", "relay")
PROXIES = ("steelyard", "nginx", "haproxy")
IDLE_CONNECTIONS = 9000
IDLE_BEFORE = 400  # together no more than haproxy takes
ROUTES = 10_000
SERVERS = 1000


@dataclasses.dataclass
class Sample:
    """What one contender did in one case of one round."""

    row: str
    case: str
    contender: str
    round: int
    values: dict


class Session:
    """One run: where the programs are, how long to measure, and all that was measured."""

    def __init__(self, programs: setups.Programs, families: list[str], directory: pathlib.Path, rounds: int, seconds: float):
        self.programs = programs
        self.families = families
        self.directory = directory
        self.rounds = rounds
        self.seconds = seconds
        self.samples: list[Sample] = []
        self.started = 0

    def start(self, name: str, cores: tuple[str, ...] = (processes.PROXY_CORE,), **setup) -> processes.Contender:
        """One process of the contender for each of the cores, or sets of cores, that are named."""
        ports, commands = [], []
        for allowed in cores:
            self.started += 1
            directory = self.directory / str(self.started)
            directory.mkdir()
            ports.append(processes.free_port())
            prepared = setups.Setup(port=ports[-1], variant=name.partition("/")[2], **setup)
            commands.append(["taskset", "-c", allowed, *setups.command(name, prepared, self.programs, directory)])
        contender = processes.start(name, commands, ports, directory / "output")
        try:
            processes.wait_until_it_accepts(contender)
        except processes.Failure:
            contender.stop()
            raise
        return contender

    @contextlib.contextmanager
    def running(self, names: tuple[str, ...], **setup) -> Iterator[list[processes.Contender]]:
        """The contenders of these names that are there to be started, until the end of the block. One that does not start is
        told about and left out."""
        started = []
        try:
            for name in names:
                if name.partition("/")[0] in self.families:
                    try:
                        started.append(self.start(name, **setup))
                    except processes.Failure as failure:
                        complain(failure)
            yield started
        finally:
            for contender in started:
                contender.stop()

    def record(self, row: str, case: str, contender: str, number: int, values: dict) -> None:
        self.samples.append(Sample(row, case, contender, number, values))
        figures = " ".join(f"{name} {value:.6g}" for name, value in values.items() if isinstance(value, (int, float)))
        print(f"  {row}, {case}, {contender}, round {number + 1}: {figures}", file=sys.stderr, flush=True)

    def measure(self, row: str, cases: list[tuple[str, list[processes.Contender], dict]]) -> None:
        """Rounds over cases over contenders; the last of a case are the options of the load generator."""
        for number in range(self.rounds):
            for case, started, options in cases:
                options = {"seconds": self.seconds, **options}
                for contender in started if number % 2 == 0 else reversed(started):
                    options["target"] = contender.ports
                    # A single connection leaves both sides waiting for each other: there is no busy to be had.
                    tries = 1 if options["connections"] == 1 else 3
                    try:
                        values = processes.run_busy_load(self.programs.load, contender, options, tries)
                    except processes.Failure as failure:
                        complain(failure)
                    else:
                        self.record(row, case, contender.name, number, values)


def complain(failure: processes.Failure) -> None:
    print(f"bench: {failure}", file=sys.stderr, flush=True)


def backend() -> tuple[int, tuple[str, ...]]:
    port = processes.free_port()
    return port, (f"127.0.0.1:{port}",)


def keepalive(session: Session) -> None:
    port, servers = backend()
    with session.running(EVERYBODY, servers=servers) as started:
        loads = [(str(count), started, {"connections": count, "backend": port}) for count in (1, 16, 64, 256, 1024)]
        session.measure("keepalive", loads)


def close(session: Session) -> None:
    port, servers = backend()
    with session.running(EVERYBODY, servers=servers) as started:
        load = {"connections": 64, "backend": port, "kind": "closed-by-proxy"}
        session.measure("close", [("64", started, load)])


def bodies(row: str, path: str, connections: int, variants: tuple[str, ...]) -> Callable[[Session], None]:
    def run(session: Session) -> None:
        port, servers = backend()
        with session.running(("steelyard", *variants), servers=servers) as started:
            session.measure(row, [(str(connections), started, {"connections": connections, "backend": port, "path": path})])

    return run


def idle(session: Session) -> None:
    """Memory does not come from time, so that one round says it all; each contender starts afresh for it."""
    for name in EVERYBODY:
        port, servers = backend()
        with session.running((name,), servers=servers) as started:
            for contender in started:
                try:
                    # Pools and caches fill first: they are not what one more connection costs.
                    warm = {"target": contender.ports, "backend": port, "connections": 16, "seconds": 0.5}
                    processes.run_load(session.programs.load, contender, [(processes.LOAD_CORE, warm)])
                    session.record("idle", str(IDLE_CONNECTIONS), contender.name, 0, idle_bytes(session, contender, port))
                except processes.Failure as failure:
                    complain(failure)


def idle_bytes(session: Session, contender: processes.Contender, port: int) -> dict:
    pids = contender.pids()
    options = {"target": contender.ports, "kind": "idle", "warm_up": 0, "seconds": 30}
    # What requests left behind on the heap is filled by the first connections, so that these are not counted.
    with held(session, {**options, "connections": IDLE_BEFORE, "backend": port}):
        before = processes.memory_bytes(pids)
        with held(session, {**options, "connections": IDLE_CONNECTIONS}) as result:
            after = processes.memory_bytes(pids)
    if result["parked"] != IDLE_CONNECTIONS:
        raise processes.Failure(f"{contender.name} kept {result['parked']} of {IDLE_CONNECTIONS} idle connections.")
    return {"bytes_per_connection": (after - before) / IDLE_CONNECTIONS, "errors": result["errors"]}


@contextlib.contextmanager
def held(session: Session, options: dict) -> Iterator[dict]:
    """The connections of a load that has its result, until the end of the block."""
    load = processes.Load(session.programs.load, options)
    try:
        load.wait_for_start()
        result = load.result()
        time.sleep(0.3)
        yield result
    finally:
        load.end()


def routes(session: Session) -> None:
    port, servers = backend()
    with session.running(PROXIES, servers=servers, routes=1) as few, session.running(PROXIES, servers=servers, routes=ROUTES) as many:
        load = {"connections": 64, "backend": port, "host": "h%d.test", "path": "/p%d/1k"}
        session.measure("routes", [("1", few, {**load, "variants": 1}), (str(ROUTES), many, {**load, "variants": ROUTES})])


def servers(session: Session) -> None:
    port = processes.free_port()
    addresses = tuple(f"127.0.{1 + i // 200}.{1 + i % 200}:{port}" for i in range(SERVERS))
    scan = {"algorithm": "least_connections"}
    with session.running(PROXIES, servers=addresses[:3], **scan) as few, session.running(PROXIES, servers=addresses, **scan) as many:
        load = {"connections": 64, "backend": port}
        session.measure("servers", [("3", few, load), (str(SERVERS), many, load)])


def workers(session: Session) -> None:
    """Two workers of one process against two processes of one worker each, on the same two cores and under the same two load
    generators, of which each core carries one. All that differs is what workers of one process share, so that this is the price of
    sharing; there are too few cores here to add others for the load."""
    ports = (processes.free_port(), processes.free_port())
    addresses = tuple(f"127.0.0.1:{port}" for port in ports)
    for name in PROXIES:
        with (
            session.running((name,), servers=addresses, workers=2, cores=("0,1",)) as one,
            session.running((name,), servers=addresses, cores=("0", "1")) as two,
        ):
            if one and two:
                workers_rounds(session, ports, {"one process": one[0], "two processes": two[0]})


def workers_rounds(session: Session, ports: tuple[int, int], cases: dict[str, processes.Contender]) -> None:
    for number in range(session.rounds):
        for case, contender in cases.items():
            load = {"target": contender.ports, "connections": 128, "delay": 0.2, "seconds": session.seconds}
            runs = [(core, {**load, "backend": port}) for core, port in zip("01", ports, strict=True)]
            try:
                values = processes.run_load(session.programs.load, contender, runs)
            except processes.Failure as failure:
                complain(failure)
            else:
                values["rate_per_core"] = values["rate"] / 2
                session.record("workers", case, contender.name, number, values)


def syscalls(session: Session) -> None:
    port, servers = backend()
    with session.running(EVERYBODY, servers=servers) as started:
        for contender in started:
            try:
                session.record("syscalls", "64", contender.name, 0, traced(session, contender, port))
            except processes.Failure as failure:
                complain(failure)


def traced(session: Session, contender: processes.Contender, port: int) -> dict:
    """Attaches before the first request and detaches before the last connection is closed: every request that the generator
    counts is traced, and 64 connections being accepted are lost among them."""
    summary = session.directory / "strace"
    attach = [word for pid in contender.pids() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-c", "-f", "-qq", "-o", str(summary), *attach], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        options = {"target": contender.ports, "backend": port, "connections": 64, "warm_up": 0, "seconds": 2}
        load = processes.Load(session.programs.load, options)
        load.wait_for_start()
        requests = load.result()["requests"]
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    load.end()
    calls = strace_summary.calls_by_name(summary.read_text())
    if not calls or requests == 0:
        raise processes.Failure(f"strace could not follow {contender.name}; it needs the right to trace.")
    return {
        "requests": requests,
        "calls_per_request": sum(calls.values()) / requests,
        "calls": strace_summary.most_frequent(calls, requests),
    }


def spin(session: Session) -> None:
    port, servers = backend()
    with session.running(("steelyard", "steelyard/spin", "nginx", "haproxy", "relay", "relay/spin"), servers=servers) as started:
        session.measure("spin", [("1", started, {"connections": 1, "backend": port, "busy_poll": True})])


ROWS: dict[str, Callable[[Session], None]] = {
    "keepalive": keepalive,
    "close": close,
    "64k": bodies("64k", "/64k", 32, ("nginx/64k", "nginx/16k", "haproxy", "haproxy/64k", "relay/copy 64k", "relay/copy 256k")),
    "1m": bodies("1m", "/1m", 8, ("nginx/64k", "nginx/256k", "haproxy/splice", "haproxy/256k", "relay/copy 256k", "relay/splice")),
    "idle": idle,
    "routes": routes,
    "servers": servers,
    "workers": workers,
    "syscalls": syscalls,
    "spin": spin,
}
