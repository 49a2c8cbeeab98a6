"""One turn of a contender: the simulated servers and the proxy are started afresh, the trace is replayed, all is stopped. Nothing that
was learned or broken in a turn is there in the next."""

import dataclasses
import json
import pathlib
import subprocess

import balance_contenders as setups
import processes
from arrivals import Answer, read_answers
from balance_scenarios import Scenario
from ideal_queue import Behaviour

DIRECT = "direct"  # no proxy: the load goes to the first server


@dataclasses.dataclass(frozen=True)
class Programs:
    """Where our own executables are."""

    steelyard: pathlib.Path
    load: pathlib.Path  # a steelyard whose `load` replays traces
    servers: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Turn:
    answers: list[Answer]
    late_us: float  # how late requests and answers left their processes, the p99.9 and the worse of both


class SimulatedServers:
    """The process of bench_servers, until the end of the block. They share one port and have an address each."""

    def __init__(self, program: pathlib.Path, behaviours: list[Behaviour], directory: pathlib.Path):
        port = processes.free_port()
        self.addresses = tuple(f"127.0.{1 + i // 200}.{1 + i % 200}:{port}" for i in range(len(behaviours)))
        scenario = directory / "servers"
        scenario.write_text("".join(f"{address} {like.words()}\n" for address, like in zip(self.addresses, behaviours, strict=True)))
        self.process = subprocess.Popen(
            ["taskset", "-c", processes.LOAD_CORE, str(program), str(scenario)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.favour(self.process.pid)

    def __enter__(self) -> "SimulatedServers":
        if self.process.stdout.readline() != "READY\n":
            self.process.communicate()
            raise processes.Failure("The simulated servers did not start.")
        return self

    def lateness(self) -> dict:
        """Ends them."""
        said, _ = self.process.communicate()
        return json.loads(said)

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def run(name: str, scenario: Scenario, trace: pathlib.Path, programs: Programs, directory: pathlib.Path) -> Turn:
    """The directory is the turn's own."""
    with SimulatedServers(programs.servers, scenario.servers, directory) as servers:
        if name == DIRECT:
            replay(programs.load, servers.addresses[0], scenario, trace, directory)
        else:
            proxy, address = start_proxy(name, scenario, servers.addresses, programs, directory)
            try:
                replay(programs.load, address, scenario, trace, directory)
            finally:
                proxy.stop()
        requests_late_ms = json.loads((directory / "report").read_text())["lateness"]["p99.9"]
        return Turn(read_answers(directory / "samples"), max(requests_late_ms * 1e3, servers.lateness()["late_p999_us"]))


def start_proxy(
    name: str, scenario: Scenario, servers: tuple[str, ...], programs: Programs, directory: pathlib.Path
) -> tuple[processes.Contender, str]:
    port = processes.free_port()
    setup = setups.Setup(name.partition("/")[2], port, servers, scenario.retries, scenario.workers)
    command = ["taskset", "-c", processes.PROXY_CORE, *setups.command(name, setup, programs.steelyard, directory)]
    proxy = processes.start(name, [command], [port], directory / "output")
    try:
        processes.wait_until_it_accepts(proxy)
    except processes.Failure:
        proxy.stop()
        raise
    return proxy, f"127.0.0.1:{port}"


def replay(program: pathlib.Path, address: str, scenario: Scenario, trace: pathlib.Path, directory: pathlib.Path) -> None:
    """Leaves the files `samples` and `report` in the directory."""
    report = directory / "report"
    # Enough that no request waits for a connection, though a balancer may let twice as many pile up as the slots serve.
    connections = 1000 + 2 * round(scenario.load * sum(server.slots for server in scenario.servers))
    files = ["--replay", trace, "--samples", directory / "samples", "-o", report]
    words = [*files, "--server-header", "X-Server", "-c", connections, f"http://{address}/"]
    process = subprocess.Popen(
        ["taskset", "-c", processes.LOAD_CORE, str(program), "load", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    processes.favour(process.pid)
    try:
        _, said = process.communicate(timeout=600)
    except BaseException:
        process.kill()
        process.wait()
        raise
    # Its exit code tells of failed requests, which are a result here.
    if not report.exists():
        raise processes.Failure(f"The load generator wrote no report: {said.strip() or 'it said nothing'}")
