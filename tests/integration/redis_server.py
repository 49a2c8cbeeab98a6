"""Redis for tests: a real one, started on a free port in a directory of its own, which can be killed, stopped and started again; and a
scripted one, which answers what a test says, in whatever pieces, and keeps what it was asked."""

import os
import signal
import socket
import subprocess
import tempfile
import threading

from harness import free_port
from pool_server import until

DEADLINE_SECONDS = 20  # safety only: no test expects to reach it
REAL = "redis-server"


class RedisError(Exception):
    """It answered with an error; the text is what it said."""


class Replies:
    """Reads what Redis answers, and what it is asked, from a blocking socket."""

    def __init__(self, sock):
        self.stream = sock.makefile("rb")

    def line(self):
        text = self.stream.readline()
        if not text.endswith(b"\r\n"):
            raise EOFError
        return text[:1], text[1:-2]

    def next(self):
        kind, text = self.line()
        if kind == b"*":
            return [self.next() for _ in range(int(text))] if int(text) >= 0 else None
        if kind == b"$":
            return self.stream.read(int(text) + 2)[:-2] if int(text) >= 0 else None
        if kind == b"-":
            raise RedisError(text.decode())
        return int(text) if kind == b":" else text


def command_bytes(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Redis:
    """A redis-server that keeps nothing on disk. `options`: of its configuration, such as maxmemory=1 or requirepass="x"."""

    def __init__(self, password=None, **options):
        self.port = free_port()
        self.password = password
        self.options = {"requirepass": password} if password else {}
        self.options |= {name.replace("_", "-"): value for name, value in options.items()}
        self.directory = tempfile.TemporaryDirectory(prefix="redis-")
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        """Empty, on the same port."""
        base = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory.name, "save": "", "appendonly": "no", "daemonize": "no"}
        arguments = [text for name, value in {**base, **self.options}.items() for text in (f"--{name}", str(value))]
        self.process = subprocess.Popen([REAL, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.answers, "redis-server")

    def answers(self):
        assert self.process.poll() is None, "redis-server has ended"
        try:
            return self.ask("PING") == b"PONG"
        except (OSError, EOFError, RedisError):
            return False

    def ask(self, *words):
        """One command on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_SECONDS) as sock:
            replies = Replies(sock)
            if self.password:
                sock.sendall(command_bytes("AUTH", self.password))
                replies.next()
            sock.sendall(command_bytes(*words))
            return replies.next()

    def set(self, **options):
        """CONFIG SET; it has these from now on, also when it is started again."""
        for name, value in options.items():
            self.ask("CONFIG", "SET", name.replace("_", "-"), value)
            if name == "requirepass":
                self.password = value

    def keys(self, database=0):
        """All names that it has, with the milliseconds that each lives yet."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_SECONDS) as sock:
            replies = Replies(sock)
            asked = ([("AUTH", self.password)] if self.password else []) + [("SELECT", database), ("KEYS", "*")]
            sock.sendall(b"".join(command_bytes(*words) for words in asked))
            names = [replies.next() for _ in asked][-1]
            sock.sendall(b"".join(command_bytes("PTTL", name) for name in names))
            return {name: replies.next() for name in names}

    def clients(self):
        """How many connections others have."""
        return len([text for text in self.ask("CLIENT", "LIST").splitlines() if text]) - 1

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)

    def pause(self):
        """Stopped as by SIGSTOP: the system takes connections for it, and nothing is answered. Returns when that is so."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.go_on()
            self.kill()
        self.directory.cleanup()


def integers(*numbers):
    return b"*%d\r\n" % len(numbers) + b"".join(b":%d\r\n" % number for number in numbers)


ALLOWED = integers(1, 99, 0, 1_000_000, 0, 0, 1)        # what the script answers: allowed, room, retry, reset, granted, good for, mark
REFUSED = integers(0, 0, 60_000_000, 60_000_000, 0, 0, 1)  # times are microseconds


def is_decision(words):
    """Whether that is about a request, and no probe."""
    return words[0].upper() in (b"EVALSHA", b"EVAL") and not words[3].endswith(b":probe")


class FakeRedis:
    """Listens on a free port and answers each command with the bytes that `answer(words)` returns; None: it ends the connection instead.
    A test may replace `answer` at any time."""

    def __init__(self, answer=lambda words: ALLOWED):
        self.answer = answer
        self.commands = []
        self.connections = []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    @property
    def decisions(self):
        return [words for words in self.commands if is_decision(words)]

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        replies = Replies(sock)
        try:
            while True:
                words = replies.next()
                with self.changed:
                    self.commands.append(words)
                    self.changed.notify_all()
                data = self.answer(words)
                if data is None:
                    break
                sock.sendall(data)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            replies.stream.close()
            sock.close()

    def wait_decisions(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.decisions) >= count, DEADLINE_SECONDS), f"{count} decisions: {self.commands}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for sock in self.connections:
            sock.close()
