"""The real binary, started and stopped by tests.

A `Proxy` is one `steelyard serve` with a configuration of its own in a directory of its own; it is ready when its standard
error says so, and every wait here is for an event, with a deadline as a safety only. `STEELYARD` names another binary.
"""

import contextlib
import ctypes
import functools
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from client import Client
from server import Server, answer_hello

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("STEELYARD", str(REPOSITORY / "build/release/steelyard"))
DEADLINE_SECONDS = 30  # safety only: no test expects to reach it


def configuration(*servers, pool=None, **overrides):
    """One listener, one route, one pool of these servers (`Server`s or addresses), and what a test sets besides."""
    addresses = [server if isinstance(server, str) else server.address for server in servers]
    made = {
        "workers": 1,
        "log": {"access": "off"},
        "listeners": [{"bind": "127.0.0.1:0", "status_pages": True}],
        "routes": [{"match": {}, "pool": "app"}],
        "pools": {"app": {"algorithm": "round_robin", "servers": [{"address": address} for address in addresses], **(pool or {})}},
    }
    timeouts = {"drain": "2s", **overrides.pop("timeouts", {})}
    return {**made, "timeouts": timeouts, **overrides}


def free_port():
    """A port that nobody listens on, below the range from which connections take theirs: nobody gets it by chance meanwhile."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind(("", port))
            return port


@functools.cache
def sanitized():
    """Whether the binary was built with a sanitizer that keeps memory of its own."""
    if not os.access(BINARY, os.R_OK):
        return False
    program = Path(BINARY).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def adopt_orphans():
    """From now on the child of a child that has ended is this process's own, so that its exit code can be seen."""
    PR_SET_CHILD_SUBREAPER = 36
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


class Successor:
    """A process that has taken over from another one by an upgrade, known by a descriptor, which nobody else's process can get."""

    def __init__(self, pid):
        self.pid, self.descriptor = pid, os.pidfd_open(pid)

    def send_signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def wait(self):
        """Its exit code; 0 where it was not ours to ask, because the one before it had not ended."""
        assert select.select([self.descriptor], [], [], DEADLINE_SECONDS)[0], f"process {self.pid} has not ended"
        os.close(self.descriptor)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:
            return 0


class Process:
    """A command of the binary that runs until it is told to end; collects what it writes."""

    def __init__(self, arguments, wrapper=(), directory=None, stdout=subprocess.PIPE, environment=None, binary=BINARY,
                 descriptors=()):
        self.lines = []  # of standard error
        self.output = []  # lines of standard output
        self.ended = False
        self.changed = threading.Condition()
        self.successors = []  # of the first process, by upgrades
        self.wrapped = bool(wrapper)
        if wrapper:  # the leak sanitizer cannot work beside another tracer
            environment = {"ASAN_OPTIONS": "detect_leaks=0", **(environment or {})}
        self.process = subprocess.Popen([*wrapper, binary, *arguments], cwd=directory, stdin=subprocess.DEVNULL, stdout=stdout,
                                        stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}, pass_fds=descriptors)
        self.readers = [threading.Thread(target=self.collect, args=(self.process.stderr, self.lines), daemon=True)]
        if stdout == subprocess.PIPE:
            self.readers.append(threading.Thread(target=self.collect, args=(self.process.stdout, self.output), daemon=True))
        for reader in self.readers:
            reader.start()

    def collect(self, stream, lines):
        for text in stream:
            with self.changed:
                lines.append(text.decode("utf-8", "backslashreplace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            if lines is self.lines:
                self.ended = True
            self.changed.notify_all()

    def wait(self, condition, what):
        """Waits until the condition holds; it is asked again at every line that the process writes."""
        with self.changed:
            self.changed.wait_for(lambda: condition() or self.ended, DEADLINE_SECONDS)
            assert condition(), f"{what}; it wrote:\n" + "\n".join([*self.lines[-30:], *self.output[-5:]])

    def wait_line(self, pattern):
        """The first line of standard error that matches."""
        self.wait(lambda: any(re.search(pattern, text) for text in self.lines), f"no line like {pattern!r}")
        return next(match for text in self.lines if (match := re.search(pattern, text)))

    def ports(self):
        return [int(match[1]) for text in self.lines if (match := re.search(r"listening on \S*:(\d+)", text))]

    @property
    def pid(self):
        """The process that serves: the last one after upgrades; the binary's own, also where a wrapper such as strace started it."""
        if self.successors:
            return self.successors[-1].pid
        if not self.wrapped:
            return self.process.pid
        binary = os.path.realpath(BINARY)
        candidates, pending = [self.process.pid], [self.process.pid]
        while pending:
            children = Path(f"/proc/{(parent := pending.pop())}/task/{parent}/children").read_text().split()
            candidates += map(int, children)
            pending += map(int, children)
        for pid in candidates:
            if os.path.realpath(f"/proc/{pid}/exe") == binary:
                return pid
        raise AssertionError("the binary does not run")

    def send_signal(self, number):
        os.kill(self.pid, number)

    def finish(self):
        """Waits for the end of all of them and returns the first exit code that is not 0."""
        codes = [self.process.wait(DEADLINE_SECONDS)]
        while self.successors:
            codes.append(self.successors.pop(0).wait())
        for reader in self.readers:
            reader.join(DEADLINE_SECONDS)
        self.process.stderr.close()
        if self.process.stdout:
            self.process.stdout.close()
        return next((code for code in codes if code != 0), 0)

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns the exit code."""
        if self.successors:
            self.successors[-1].send_signal(number)
        elif self.process.poll() is None:
            self.send_signal(number)
        return self.finish()

    def kill(self):
        for successor in self.successors:
            successor.send_signal(signal.SIGKILL)
        if self.successors:
            self.process.kill()
            self.finish()
        elif self.process.poll() is None:
            try:
                self.send_signal(signal.SIGKILL)
            except (AssertionError, OSError):
                self.process.kill()
            self.finish()

    def rss_kib(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def grown_kib(self, rss_kib_before):
        """How much memory it took since; nothing under a sanitizer, which keeps what was freed."""
        return 0 if sanitized() else self.rss_kib() - rss_kib_before

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_ticks(self):
        """User and system time so far, in clock ticks."""
        values = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(values[11]) + int(values[12])


def without_port_0(config):
    """Files may not name port 0; "a free port" is said on the command line."""
    listeners = [{**listener, "bind": listener["bind"].replace(":0", ":1")} for listener in config.get("listeners", [])]
    return {**config, "listeners": listeners} if listeners else config


class Proxy(Process):
    def __init__(self, config, arguments=(), **options):
        self.directory = tempfile.TemporaryDirectory(prefix="steelyard-")
        self.config = Path(self.directory.name) / "config.json"
        self.config.write_text(json.dumps(without_port_0(config), indent=1))
        binds = [text for listener in config.get("listeners", []) for text in ("--bind", listener["bind"]) if ":0" in listener["bind"]]
        super().__init__(["serve", "--config", str(self.config), *binds, *arguments], directory=self.directory.name, **options)
        try:
            self.wait_line(r"\bready\b")
        except BaseException:
            self.kill()
            raise
        self.port = self.ports()[0] if self.ports() else None

    def write(self, config):
        """This configuration, or this text, is in its file from now on."""
        text = config if isinstance(config, (str, bytes)) else json.dumps(without_port_0(config), indent=1)
        fresh = self.path("config.json.new")
        fresh.write_bytes(text if isinstance(text, bytes) else text.encode())
        fresh.replace(self.config)

    def reload(self, config, wait=r"the new configuration is in use"):
        """Has it read this configuration instead, or this text, and waits until it says what has come of it."""
        said = sum(bool(re.search(wait, text)) for text in self.lines)
        self.write(config)
        self.send_signal(signal.SIGHUP)
        self.wait(lambda: sum(bool(re.search(wait, text)) for text in self.lines) > said, f"no answer to SIGHUP like {wait!r}")

    def upgrade(self, config=None, begin=None):
        """Has a new process take over, with this configuration if any, and follows that one from now on. `begin`: instead of the signal."""
        adopt_orphans()
        if config is not None:
            self.write(config)
        pattern = r"upgrade: process (\d+) has taken over"
        known = sum(bool(re.search(pattern, text)) for text in self.lines)
        begin() if begin else self.send_signal(signal.SIGUSR2)
        self.wait(lambda: sum(bool(re.search(pattern, text)) for text in self.lines) > known, "no process has taken over")
        self.successors.append(Successor(int([match for text in self.lines if (match := re.search(pattern, text))][-1][1])))

    def path(self, name):
        return Path(self.directory.name) / name

    def client(self, **options):
        return Client(self.port, **options)

    def get(self, target="/", **fields):
        """One request on a connection of its own."""
        with self.client() as client:
            return client.get(target, **fields)

    def page(self, name):
        """One of the status pages, parsed."""
        answer = self.get(f"/__{name}__")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def check(self):
        """What must hold of every run: it ends with 0 when told to, and no sanitizer had a word to say."""
        code = self.stop()
        text = "\n".join(self.lines)
        assert code == 0, f"exit code {code}:\n{text[-4000:]}"
        assert "Sanitizer" not in text and "runtime error" not in text, text[-8000:]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.check()
        finally:
            self.kill()
            self.directory.cleanup()


@contextlib.contextmanager
def proxied(script=answer_hello, **overrides):
    """One server with that script and a proxy before it; both are checked at the end."""
    with Server(script) as server:
        with Proxy(configuration(server, **overrides)) as proxy:
            yield server, proxy


def run(*arguments, directory=None, wrapper=(), **options):
    """One command of the binary to its end."""
    return subprocess.run([*wrapper, BINARY, *arguments], cwd=directory, capture_output=True, text=True, timeout=DEADLINE_SECONDS,
                          stdin=subprocess.DEVNULL, check=False, **options)
