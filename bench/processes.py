"""Processes: starting and stopping contenders, what they cost (CPU, memory) read from /proc, and one run of the load generator.
Everything that is started here is stopped here, by its own process id."""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import subprocess
import time

PROXY_CORE = "0"
LOAD_CORE = "1"
BUSY_ENOUGH = 0.88


class Failure(Exception):
    """One sentence for whoever runs the benchmark."""


def favour(pid: int | str) -> None:
    """Asks the scheduler to prefer the session of this process. Sessions share the CPU before niceness counts, so that other
    work on the machine would otherwise take its part however nice it is. Needs privileges; without them nothing changes."""
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{pid}/autogroup").write_text("-20")


def free_port() -> int:
    """A port that nobody listens on, below the range from which connections take theirs."""
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                candidate.bind(("", port))
                return port
    raise Failure("No free port found between 10000 and 32000.")


def descendants(root: int) -> list[int]:
    """The process and all that came of it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                parent = int(stat[stat.rindex(")") + 2 :].split()[1])
                children.setdefault(parent, []).append(int(entry))
    family = [root]
    for pid in family:
        family += children.get(pid, [])
    return family


def cpu_ns(pids: list[int]) -> int:
    """Nanoseconds on a CPU, of all threads."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total


def memory_bytes(pids: list[int]) -> int:
    """Proportional set size: shared pages count once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found.group(1)) * 1024 if found else 0
    return total


@dataclasses.dataclass
class Contender:
    name: str
    ports: list[int]
    process: subprocess.Popen
    output: pathlib.Path

    def pids(self) -> list[int]:
        return descendants(self.process.pid)

    def stop(self) -> None:
        # The parent first: a master whose worker is killed before it would start another.
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def start(name: str, commands: list[list[str]], ports: list[int], output: pathlib.Path) -> Contender:
    """Several commands share one session, and with it one share of the CPU, as the threads of one process would."""
    if len(commands) > 1:
        command = ["sh", "-c", " & ".join(shlex.join(each) for each in commands) + " & wait"]
    else:
        command = commands[0]
    with output.open("w") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True)
    favour(process.pid)
    return Contender(name, ports, process, output)


def wait_until_it_accepts(contender: Contender, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    waiting = list(contender.ports)
    while time.monotonic() < deadline:
        if contender.process.poll() is not None:
            last = contender.output.read_text().strip().splitlines()[-1:]
            raise Failure(f"{contender.name} ended at its start: {''.join(last) or 'it said nothing'}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", waiting[-1]), timeout=1):
            waiting.pop()
        if not waiting:
            return
        time.sleep(0.02)
    raise Failure(f"{contender.name} does not accept connections on its port.")


class Load:
    """One run of the load generator. Between start and result the machine should have nothing else to do."""

    def __init__(self, program: pathlib.Path, options: dict, core: str = LOAD_CORE):
        words = []
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            for each in value if isinstance(value, list) else [value]:
                words += [flag] if each is True else [flag, str(each)]
        self.process = subprocess.Popen(
            ["taskset", "-c", core, str(program), "--hold", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        favour(self.process.pid)
        self.words = words

    def wait_for_start(self) -> None:
        if self.process.stdout.readline() != "START\n":
            self.end()
            raise Failure(f"The load generator did not start with {' '.join(self.words)}.")

    def result(self) -> dict:
        """Its figures; afterwards it keeps all connections as they are until end()."""
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise Failure(f"The load generator ended early with {' '.join(self.words)}.")
        return json.loads(line)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def run_load(program: pathlib.Path, contender: Contender, runs: list[tuple[str, dict]]) -> dict:
    """Runs generators (core, options) at once against a contender and adds up their figures and what it cost the contender."""
    pids = contender.pids()
    loads = [Load(program, options, core) for core, options in runs]
    for load in loads:
        load.wait_for_start()
    before_ns, since = cpu_ns(pids), time.monotonic()
    results = [load.result() for load in loads]
    spent_ns, elapsed_s = cpu_ns(pids) - before_ns, time.monotonic() - since
    for load in loads:
        load.end()
    requests = sum(result["requests"] for result in results)
    if requests == 0:
        raise Failure(f"{contender.name} answered nothing.")
    return {
        "requests": requests,
        "rate": sum(result["rate"] for result in results),
        "errors": sum(result["errors"] for result in results),
        "p50_us": max(result["p50_us"] for result in results),
        "p99_us": max(result["p99_us"] for result in results),
        "cpu_us": spent_ns / 1e3 / requests,
        "proxy_busy": spent_ns / 1e9 / elapsed_s,
        "load_busy": max(result["cpu"] for result in results),
    }


def run_busy_load(program: pathlib.Path, contender: Contender, options: dict, tries: int = 3) -> dict:
    """One load on its core. When neither it nor the proxy was busy, something else had the machine: such a try is repeated, and
    the busiest counts."""
    best: dict = {}
    for attempt in range(tries):
        if attempt > 0:
            time.sleep(0.3)
        result = run_load(program, contender, [(LOAD_CORE, options)])
        result["busy"] = max(result["proxy_busy"], result["load_busy"])
        if result["busy"] > best.get("busy", -1):
            best = result
        if result["busy"] >= BUSY_ENOUGH:
            break
    return best
