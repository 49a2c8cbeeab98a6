"""Servers that announce themselves: they come, stay under their lease, leave without a failed request, and are gone when they die."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import threading
import time

import pytest
import yaml

from admin_api import Api
from client import Client
from harness import DEADLINE_SECONDS, REPOSITORY, Process, Proxy, configuration, free_port, run
from server import Server

OPERATOR = "0123456789abcdef-operator"
REGISTRAR = "0123456789abcdef-registrar"


def secret(path, text):
    path.write_text(text + "\n")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return str(path)


class World:
    """A pool that servers register in: its configuration, and the proxies and backends that a test starts.

    A machine with too much to do stops a process for up to a second: leases that are to be kept are longer than that."""

    def __init__(self, directory, stack, **admin):
        self.directory, self.stack = directory, stack
        self.admin_port = free_port()
        self.token_file = secret(directory / "registrar", REGISTRAR)
        self.operator_file = secret(directory / "operator", OPERATOR)
        registration = {"token_file": self.token_file, "networks": ["127.0.0.0/8"], "lease_min": "200ms"}
        self.config = configuration(
            workers=2, admin={"bind": f"127.0.0.1:{self.admin_port}", "token_file": self.operator_file, **admin},
            pool={"registration": registration})
        del self.config["pools"]["app"]["servers"]
        self.api = Api(self.admin_port, OPERATOR)
        self.registrar = Api(self.admin_port, REGISTRAR)

    def proxy(self):
        return self.stack.enter_context(Proxy(self.config))

    def backend(self, name, *arguments, lease="3s", place=None, wait=True, **options):
        process = Process(["backend", "--port", "0", "--name", name, "--register", place or f"http://127.0.0.1:{self.admin_port}",
                           "--pool", "app", "--id", name, "--lease", lease, "--token-file", self.token_file, *arguments], **options)
        self.stack.callback(process.kill)
        if wait:
            process.wait_line(f"registered as {name} in the pool app")
            self.wait_for(lambda: self.api.servers()[name]["states"], "it is not in its pool")
        return process

    @staticmethod
    def wait_for(condition, what):
        """For what no event tells of: asks again and again."""
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < end, what

    def outlast(self, events, lease="7s"):
        """Waits until a lease that nobody renews has run out, by which time shorter ones have been renewed several times."""
        status, body = self.registrar.ask("PUT", "/v1/pools/app/servers/witness", {"address": "127.0.0.1:65000", "lease": lease})
        assert status == 201, body
        events.wait("lease_expired", id="witness")


@pytest.fixture
def world(tmp_path):
    with contextlib.ExitStack() as stack:
        yield World(tmp_path, stack, state_file=str(tmp_path / "state.json"))


def names_of(answer):
    return json.loads(answer.body)["name"]


def test_a_backend_registers_and_serves(world):
    proxy = world.proxy()
    assert proxy.get().status == 503
    backend = world.backend("one", "--weight", "7")
    server = world.api.servers()["one"]
    assert (server["origin"], server["address"], server["weight"]) == ("registration", f"127.0.0.1:{backend.ports()[0]}", 7)
    assert server["lease"]["length"] == "3s" and server["lease"]["load"] == 0
    assert names_of(proxy.get("/info")) == "one"


def test_a_lease_is_kept_over_several_leases(world):
    proxy = world.proxy()
    with world.api.events() as events:
        backend = world.backend("one")
        world.outlast(events)
        assert [data["id"] for kind, data in events.seen if kind in ("lease_expired", "server_removed")] == ["witness"]
    assert world.api.servers()["one"]["lease"]["overdue"] is False
    assert names_of(proxy.get("/info")) == "one"
    assert not any("again" in line for line in backend.lines)


def test_it_tells_how_busy_it_is(world):
    proxy = world.proxy()
    world.backend("one")
    with proxy.client() as client:
        client.send("GET /delay/20000 HTTP/1.1\r\nHost: x\r\n\r\n")
        world.wait_for(lambda: world.api.servers()["one"]["lease"]["load"] == 1, "the load stayed 0")


class Load:
    """Clients that ask without pause; the test ends when an answer is not 200."""

    def __init__(self, port, count):
        self.port, self.stopped = port, False
        self.answers = {}
        self.failures = []
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(count)]

    def ask(self):
        try:
            with Client(self.port) as client:
                while not self.stopped:
                    answer = client.request("POST", "/delay/2", body=b"")  # which is not sent twice
                    with self.changed:
                        if answer.status != 200:
                            self.failures.append(answer)
                        name = answer.value("x-backend")
                        self.answers[name] = self.answers.get(name, 0) + 1
                        self.changed.notify_all()
        except Exception as error:
            with self.changed:
                self.failures.append(error)
                self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition() or self.failures, 30)
            assert not self.failures, self.failures[:3]

    def more(self, count):
        goal = sum(self.answers.values()) + count
        self.wait(lambda: sum(self.answers.values()) >= goal)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        for thread in self.threads:
            thread.join(30)


def test_it_leaves_under_load_without_a_failed_request(world):
    world.config["pools"]["app"]["retries"] = {"tries_max": 1}  # nothing covers up for it
    proxy = world.proxy()
    staying, leaving = world.backend("staying"), world.backend("leaving")
    with Load(proxy.port, 16) as load:
        load.wait(lambda: load.answers.get("leaving", 0) > 100 and load.answers.get("staying", 0) > 100)
        assert leaving.stop(signal.SIGTERM) == 0
        assert list(world.api.servers()) == ["staying"]
        load.more(500)
    assert not load.failures, load.failures[:3]
    assert staying.stop() == 0
    assert any("left the pool app" in line for line in leaving.lines)


def test_what_is_under_way_ends_before_it_does(world):
    proxy = world.proxy()
    backend = world.backend("one")
    with proxy.client() as client, world.api.events() as events:
        client.send("GET /delay/1500 HTTP/1.1\r\nHost: x\r\n\r\n")
        world.wait_for(lambda: any(state["active"] for state in world.api.servers()["one"]["states"]), "nothing is under way")
        backend.send_signal(signal.SIGTERM)
        events.wait("server_removed", id="one")
        assert backend.process.poll() is None
        assert client.response().status == 200
    assert backend.finish() == 0


def test_a_second_signal_does_not_wait(world):
    proxy = world.proxy()
    backend = world.backend("one")
    with proxy.client() as client, world.api.events() as events:
        client.send("POST /delay/600000 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        world.wait_for(lambda: any(state["active"] for state in world.api.servers()["one"]["states"]), "nothing is under way")
        backend.send_signal(signal.SIGTERM)
        events.wait("server_removed", id="one")
        assert backend.stop(signal.SIGTERM) == 0
        assert client.response().status == 502


def test_one_that_dies_is_removed_when_its_lease_runs_out(world):
    proxy = world.proxy()
    with world.api.events() as events:
        backend = world.backend("one", lease="1s", wait=False)
        events.wait("server_added", id="one")
        backend.kill()
        events.wait("lease_expired", id="one")
    assert world.api.servers() == {}
    assert proxy.get().status == 503


def test_a_restarted_proxy_with_a_state_file_still_has_it(world):
    first = world.proxy()
    backend = world.backend("one")
    before = world.api.servers()["one"]
    assert first.stop() == 0
    second = world.proxy()
    after = world.api.servers()["one"]
    assert (after["origin"], after["address"]) == ("registration", before["address"])
    assert names_of(second.get("/info")) == "one"
    with world.api.events() as events:
        world.outlast(events)
    assert "one" in world.api.servers()
    assert not any("does not know" in line for line in backend.lines)


def test_a_restarted_proxy_without_one_is_told_again(tmp_path):
    with contextlib.ExitStack() as stack:
        world = World(tmp_path, stack)
        first = world.proxy()
        backend = world.backend("one")
        assert first.stop() == 0
        second = world.proxy()
        backend.wait(lambda: sum("registered as one" in line for line in backend.lines) == 2, "it did not register again")
        world.wait_for(lambda: world.api.servers()["one"]["states"], "it is not in its pool")
        assert names_of(second.get("/info")) == "one"


def test_it_waits_for_a_proxy_that_comes_later(world):
    backend = world.backend("one", wait=False)
    backend.wait_line(r"not registered .*refused")
    proxy = world.proxy()
    backend.wait_line("registered as one")
    world.wait_for(lambda: world.api.servers()["one"]["states"], "it is not in its pool")
    assert names_of(proxy.get("/info")) == "one"


def test_a_server_that_is_put_out_comes_back_by_itself_but_a_drained_one_stays_drained(world):
    world.proxy()
    backend = world.backend("one")
    with world.api.events() as events:
        world.api.ask("DELETE", "/v1/pools/app/servers/one")
        events.wait("server_added", id="one")
        world.api.ask("POST", "/v1/pools/app/servers/one/drain")
        world.outlast(events, lease="5s")
    assert world.api.servers()["one"]["drained"] is True
    assert any("does not know one any more" in line for line in backend.lines)


def test_the_wrong_token_is_told_once_and_tried_again(world, tmp_path):
    proxy = world.proxy()
    wrong = secret(tmp_path / "wrong", "a-token-that-nobody-knows")
    backend = Process(
        ["backend", "--port", "0", "--register", f"http://127.0.0.1:{world.admin_port}", "--pool", "app", "--token-file", wrong])
    try:
        backend.wait_line("not registered .*token")
        proxy.wait(lambda: sum("was refused" in line for line in proxy.lines) >= 2, "it did not try again")
        assert sum("not registered" in line for line in backend.lines) == 1
        assert backend.stop() == 0
    finally:
        backend.kill()


def test_over_a_unix_socket(tmp_path):
    with contextlib.ExitStack() as stack:
        world = World(tmp_path, stack)
        path = str(tmp_path / "admin.sock")
        world.config["admin"]["bind"] = f"unix:{path}"
        proxy = world.proxy()
        backend = world.backend("one", place=f"unix:{path}", wait=False)
        backend.wait_line("registered as one")
        world.wait_for(lambda: proxy.get("/info").status == 200, "it is not in its pool")
        assert names_of(proxy.get("/info")) == "one"
        assert backend.stop() == 0
        assert any("left the pool" in line for line in backend.lines)
        assert proxy.get("/info").status == 503


@pytest.mark.parametrize("arguments, said", [
    (["--register", "http://127.0.0.1:9900"], "--pool"),
    (["--pool", "app"], "--register"),
    (["--register", "nonsense", "--pool", "app"], "nonsense"),
    (["--register", "http://127.0.0.1:9900", "--pool", "app", "--lease", "30"], "--lease"),
    (["--register", "http://127.0.0.1:9900", "--pool", "app", "--advertise", "here"], "--advertise"),
    (["--register", "http://127.0.0.1:9900", "--pool", "app", "--token-file", "absent"], "absent"),
    (["--register", "http://127.0.0.1:9900", "--pool", "app", "--host", "0.0.0.0"], "--advertise"),
])
def test_what_cannot_be_announced_is_one_sentence(arguments, said):
    done = run("backend", "--port", "0", *arguments)
    assert done.returncode in (1, 2) and said in done.stderr


def test_the_example_runs(tmp_path):
    """With its files and ports moved to where a test may have them."""
    example = yaml.safe_load((REPOSITORY / "examples/registration.yaml").read_text())
    admin_port, port = free_port(), free_port()
    token_file = secret(tmp_path / "app.token", REGISTRAR)
    example["listeners"][0]["bind"] = f"127.0.0.1:{port}"
    example["admin"] = {"bind": f"127.0.0.1:{admin_port}", "token_file": secret(tmp_path / "admin.token", OPERATOR),
                        "state_file": str(tmp_path / "state.json")}
    for pool in example["pools"].values():
        if "registration" in pool:
            pool["registration"]["token_file"] = token_file
    with Proxy(example) as proxy:
        backend = Process(["backend", "--port", "0", "--name", "one", "--register", f"http://127.0.0.1:{admin_port}", "--pool", "app",
                           "--token-file", token_file])
        try:
            backend.wait_line("registered as")
            World.wait_for(lambda: proxy.get("/info").status == 200, "it takes no traffic")
            assert backend.stop() == 0
        finally:
            backend.kill()


def test_the_loop_of_the_page_registers(world, tmp_path):
    """docs/admin.md has a shell script that keeps a server registered; it is run as it stands there."""
    page = (REPOSITORY / "docs/admin.md").read_text()
    [script] = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", page, re.S)
    script = script.replace("127.0.0.1:9900", f"127.0.0.1:{world.admin_port}").replace("/etc/steelyard/app.token", world.token_file)
    path = tmp_path / "register.sh"
    path.write_text(script)
    path.chmod(0o755)
    with Server() as server:
        world.config["pools"]["app"]["registration"]["lease_min"] = "1s"
        proxy = world.proxy()
        with world.api.events() as events:
            process = subprocess.Popen(["/bin/sh", str(path), server.address], start_new_session=True)
            try:
                events.wait("server_added", id=server.address)
                world.wait_for(lambda: proxy.get().status == 200, "it is not in its pool")
                process.send_signal(signal.SIGTERM)
                events.wait("server_removed", id=server.address)
                assert process.wait(30) == 0
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # with its sleep
                process.wait(30)
        assert world.api.servers() == {}
