"""System calls that fail: the proxy runs under strace, which makes some of them fail, and only the connections hit may suffer."""

import shutil
import subprocess

import pytest

from client import Client, Ended
from harness import Proxy, configuration, sanitized
from messages import reply
from server import Server


def may_trace():
    return shutil.which("strace") and subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0


pytestmark = pytest.mark.skipif(not may_trace(), reason="strace may not trace here")

# (system calls, error, every how many-th call of a thread fails, whether a client may see anything of it)
FAULTS = [
    ("recvfrom", "EINTR", 7, "nothing"),
    ("sendto", "EINTR", 7, "nothing"),
    ("recvfrom", "ECONNRESET", 11, "errors"),
    ("sendto", "ECONNRESET", 11, "errors"),
    ("sendto", "EPIPE", 11, "errors"),
    ("sendto", "ENOBUFS", 11, "errors"),
    ("recvfrom", "ENOMEM", 11, "errors"),
    ("sendto", "ENOMEM", 11, "errors"),
    ("connect", "ECONNREFUSED", 3, "errors"),
    ("connect", "ENETUNREACH", 3, "errors"),
    ("connect", "EADDRNOTAVAIL", 3, "errors"),
    ("connect", "EINTR", 3, "errors"),
    ("connect", "ENOMEM", 3, "errors"),
    ("socket", "EMFILE", 3, "errors"),
    ("socket", "ENOBUFS", 3, "errors"),
    ("accept4", "ECONNABORTED", 3, "nothing"),
    ("accept4", "EINTR", 3, "nothing"),
    ("accept4", "EMFILE", 3, "nothing"),
    ("accept4", "ENFILE", 3, "nothing"),
    ("accept4", "ENOBUFS", 3, "nothing"),
    ("accept4", "ENOMEM", 3, "nothing"),
    ("accept4", "EPROTO", 3, "nothing"),
    ("epoll_ctl", "ENOMEM", 5, "errors"),
    ("epoll_ctl", "ENOSPC", 5, "errors"),
    ("epoll_wait,epoll_pwait,epoll_pwait2", "EINTR", 5, "nothing"),
    ("setsockopt", "EINVAL", 3, "errors"),
    ("splice", "EINVAL", 3, "errors"),
    ("splice", "ENOMEM", 3, "errors"),
    ("splice", "EINTR", 3, "nothing"),
    ("pipe2", "EMFILE", 1, "nothing"),
    ("shutdown", "ENOTCONN", 2, "nothing"),
]
BODY = b"0123456789abcdef" * 40_000  # long enough for the kernel to move it


async def script(connection):
    while request := await connection.request():
        size = len(BODY) if request.target.startswith("/long") else 100
        fields = {"X-Target": request.target}
        if request.target.endswith("/close"):
            fields["Connection"] = "close"
        await connection.send(reply(body=BODY[:size], fields=fields))
        if request.target.endswith("/close"):
            return


def one_connection(port, number, requests):
    """What became of each request of one client: its status, or None where the connection ended."""
    found = []
    with Client(port) as client:
        for turn in range(requests):
            target = f"/{'long' if turn % 5 == 4 else 'short'}/{number}/{turn}{'/close' if turn % 3 == 2 else ''}"
            try:
                body = None if turn % 2 else b"posted"
                answer = client.request("GET" if turn % 2 else "POST", target, body=body)
            except (Ended, BrokenPipeError, ConnectionResetError):
                found.append(None)
                break
            if answer.status == 200 and answer.complete:
                assert answer.value("x-target") == target, "another's answer"
                assert answer.body == BODY[:len(answer.body)]
            found.append(answer.status if answer.complete else None)
            if not answer.complete or "close" in answer.listed("connection"):
                break
    return found


@pytest.mark.parametrize("calls, error, step, visible", FAULTS, ids=[f"{calls.split(',')[0]}-{error}" for calls, error, _, _ in FAULTS])
def test_failing_calls_hurt_only_their_connections(calls, error, step, visible):
    if calls == "pipe2" and sanitized():
        pytest.skip("the sanitizer itself needs pipes")
    # The first calls pass unharmed, because the start needs them.
    first = 1 if calls in ("accept4", "splice", "pipe2", "shutdown") else 4 if calls == "connect" else 20
    inject = f"inject={calls}:error={error}:when={first}+{step}"
    wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", inject]
    with Server(script) as server:
        with Proxy(configuration(server, timeouts={"idle": "5s", "body_idle": "2s", "first_byte": "2s"}), wrapper=wrapper) as proxy:
            outcomes = [status for number in range(12) for status in one_connection(proxy.port, number, 10)]
            allowed = {200} if visible == "nothing" else {200, 408, 502, 503, 504, None}
            assert set(outcomes) <= allowed, outcomes
            if visible == "errors":
                assert outcomes.count(200) >= len(outcomes) / 3, outcomes
            posts = [request.target for request in server.requests if request.method == "POST"]
            assert len(posts) == len(set(posts)), "a POST came twice"
