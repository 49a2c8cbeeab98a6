"""What a service manager such as systemd gives and is told: sockets that it has opened, readiness, reloads, signs of life."""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from client import Client
from harness import DEADLINE_SECONDS, Proxy, configuration, free_port
from pool_server import pool_of
from server import Server


class Manager:
    """Hears what a process says on its NOTIFY_SOCKET, and who said it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(address)
        self.said, self.changed = [], threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                text, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            except OSError:
                return
            pid = int.from_bytes(control[0][2][:4], "little")
            with self.changed:
                self.said.append((pid, dict(line.split("=", 1) for line in text.decode().split("\n") if line)))
                self.changed.notify_all()

    def wait(self, key, value=None, count=1):
        """The first message with that key, or the last of so many, and who sent it."""
        def those():
            return [(pid, each) for pid, each in self.said if key in each and value in (None, each[key])]

        with self.changed:
            assert self.changed.wait_for(lambda: len(those()) >= count, DEADLINE_SECONDS), (key, value, self.said)
            return those()[count - 1]

    def keys(self):
        return {key for _, each in self.said for key in each}


@contextlib.contextmanager
def managed(address, *servers, environment=None, **options):
    manager = Manager(address.replace("@", "\0", 1))
    with Proxy(configuration(*servers), environment={"NOTIFY_SOCKET": address, **(environment or {})}, **options) as proxy:
        yield manager, proxy


@pytest.fixture(params=["a path", "an abstract name"])
def address(request, tmp_path):
    return str(tmp_path / "notify") if request.param == "a path" else f"@steelyard-test-{os.getpid()}"


def test_it_is_told_of_readiness_reloads_and_the_end(address):
    with Server() as server, managed(address, server) as (manager, proxy):
        pid, ready = manager.wait("READY")
        assert pid == proxy.pid and ready["READY"] == "1" and ready["STATUS"] == "ready"
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        proxy.reload(configuration(server))
        _, reloading = manager.wait("RELOADING")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.wait("READY", count=2)
        proxy.reload("{}", wait="the configuration is not reloaded")
        _, ready = manager.wait("READY", count=3)
        assert "not reloaded" in ready["STATUS"]
        assert "STOPPING" not in manager.keys() and "WATCHDOG" not in manager.keys()
        proxy.send_signal(signal.SIGTERM)
        assert manager.wait("STOPPING")[1]["STOPPING"] == "1"


def test_an_upgrade_names_the_new_main_process_itself_and_does_not_stop_the_service(tmp_path):
    with Server() as server, managed(str(tmp_path / "notify"), server) as (manager, proxy):
        first = proxy.pid
        proxy.upgrade()
        pid, ready = manager.wait("READY", count=2)
        assert pid == int(ready["MAINPID"]) == proxy.pid != first
        proxy.wait_line("the process before this one has ended")
        assert "STOPPING" not in manager.keys()
        proxy.reload(configuration(server))
        assert manager.wait("RELOADING")[0] == proxy.pid


def test_an_upgrade_that_fails_is_its_status(tmp_path):
    with Server() as server, managed(str(tmp_path / "notify"), server) as (manager, proxy):
        proxy.write("{}")
        proxy.send_signal(signal.SIGUSR2)
        pid, _ = manager.wait("STATUS", "ready; the last upgrade failed")
        assert pid == proxy.pid
        assert all(int(each["MAINPID"]) == proxy.pid for _, each in manager.said if "MAINPID" in each)


def test_signs_of_life_come_again_and_again_and_after_an_upgrade_from_the_new_process(tmp_path):
    environment = {"WATCHDOG_USEC": "40000"}
    with Server() as server, managed(str(tmp_path / "notify"), server, environment=environment) as (manager, proxy):
        manager.wait("WATCHDOG", "1", count=4)
        proxy.upgrade()
        manager.wait("READY", count=2)
        said = len(manager.said)
        with manager.changed:
            assert manager.changed.wait_for(lambda: len(manager.said) >= said + 4, DEADLINE_SECONDS)
        assert {pid for pid, each in manager.said[said:] if "WATCHDOG" in each} == {proxy.pid}


def test_signs_of_life_that_are_wanted_of_another_process_are_not_sent(tmp_path):
    environment = {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    with Server() as server, managed(str(tmp_path / "notify"), server, environment=environment) as (manager, proxy):
        proxy.reload(configuration(server))
        manager.wait("READY", count=2)
        assert "WATCHDOG" not in manager.keys()


def test_without_a_manager_it_says_nothing_and_works():
    for address in ("", "not an address", "vsock:2:1", "/" + "x" * 200, "/no/such/socket"):
        with Server() as server, Proxy(configuration(server), environment={"NOTIFY_SOCKET": address}) as proxy:
            assert proxy.get().status == 200


# Sockets that are there before


@contextlib.contextmanager
def activated(*servers, sockets, **overrides):
    """As systemd starts it: the sockets from descriptor 3 on, and the variables that say so with the process's own number."""
    offset = 700  # that they can be moved down without one in the way of another, and nothing else has
    for index, each in enumerate(sockets):
        os.dup2(each.fileno(), offset + index)
    moves = " ".join(f"{3 + index}<&{offset + index} {offset + index}<&-" for index in range(len(sockets)))
    script = f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES=web exec "$0" "$@"'
    wrapper = ["bash", "-c", script]
    try:
        proxy = Proxy(configuration(*servers, **overrides), wrapper=wrapper, descriptors=range(offset, offset + len(sockets)))
    finally:
        for index in range(len(sockets)):
            os.close(offset + index)
    with proxy:
        yield proxy


def listening(address="127.0.0.1"):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    sock.bind((address, free_port()))
    sock.listen()
    return sock


def listener_for(sock, **more):
    return {"bind": f"127.0.0.1:{sock.getsockname()[1]}", **more}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_socket_that_is_handed_in_serves_the_listener_of_its_address(workers):
    with Server() as server, listening() as sock:
        port = sock.getsockname()[1]
        early = Client(port)  # before the process is there
        early.send(b"GET / HTTP/1.1\r\nHost: test.local\r\n\r\n")
        with activated(server, sockets=[sock], listeners=[listener_for(sock, status_pages=True)], workers=workers) as proxy:
            assert early.response().status == 200
            early.close()
            for _ in range(20):
                assert Client(port).get().status == 200
            proxy.upgrade()
            assert Client(port).get().status == 200
            assert proxy.page("status")["listeners"] == [f"127.0.0.1:{port}"]
            assert proxy.stop() == 0
        Client(port).close()  # it is the manager's, and open as before


def test_several_sockets_find_their_listeners_and_others_are_bound():
    with pool_of("a") as (server,), listening() as first, listening() as second:
        port = free_port()
        listeners = [{"bind": f"127.0.0.1:{port}"}, listener_for(second), listener_for(first, status_pages=True)]
        with activated(server, sockets=[first, second], listeners=listeners):
            assert Client(port).get().body == b"a"
            assert Client(second.getsockname()[1]).get("/__status__").body == b"a"
            assert b'"version"' in Client(first.getsockname()[1]).get("/__status__").body


def test_a_socket_that_no_listener_wants_is_closed_and_said():
    with Server() as server:
        sock = listening()
        port = sock.getsockname()[1]
        with activated(server, sockets=[sock]) as proxy:
            sock.close()
            assert proxy.get().status == 200
            proxy.wait_line(f"no listener is configured for the inherited socket on 127.0.0.1:{port}")
            with pytest.raises(ConnectionRefusedError):
                Client(port)


def test_variables_for_another_process_and_descriptors_that_do_not_listen_are_left_alone():
    with Server() as server, Proxy(configuration(server), environment={"LISTEN_PID": "1", "LISTEN_FDS": "3"}) as proxy:
        assert proxy.get().status == 200
    with Server() as server, socket.socket() as sock:
        with activated(server, sockets=[sock]) as proxy:
            proxy.wait_line("descriptor 3 of LISTEN_FDS is no listening TCP socket")
            assert proxy.get().status == 200
