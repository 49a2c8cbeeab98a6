"""What a request costs in system calls: counted, not timed, because a count is the same on every machine."""

import shutil

import pytest

from harness import Proxy, configuration
from messages import reply
from server import Server, answering

CALLS_PER_REQUEST_MAX = 4.2
pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


def calls_of(requests, tmp_path, script, **fields):
    """All system calls of a run with so many requests on one connection, but for the waiting."""
    report = tmp_path / f"calls.{requests}"
    with Server(script) as server:
        with Proxy(configuration(server), wrapper=["strace", "-f", "-qq", "-c", "-o", str(report)]) as proxy:
            with proxy.client() as client:
                for _ in range(requests):
                    assert client.get("/", **fields).status == 200
    counts = {}
    for line in report.read_text().splitlines():
        columns = line.split()
        if len(columns) >= 5 and columns[3].isdigit() and columns[-1] != "total":
            counts[columns[-1]] = int(columns[3])
    return {name: count for name, count in counts.items() if not name.startswith("epoll_") or name == "epoll_ctl"}


def test_a_kept_alive_request_costs_four_system_calls(tmp_path):
    few, many, script = 200, 2200, answering(reply(body=b"x" * 1024))
    before, after = calls_of(few, tmp_path, script), calls_of(many, tmp_path, script)
    each = {name: (count - before.get(name, 0)) / (many - few) for name, count in after.items() if count > before.get(name, 0)}
    print(", ".join(f"{name} {count:.3f}" for name, count in sorted(each.items(), key=lambda entry: -entry[1])))
    assert sum(each.values()) <= CALLS_PER_REQUEST_MAX, each
    assert each.get("epoll_ctl", 0) == pytest.approx(0, abs=0.01)
