"""The commands that ask a running proxy, against the real one: what they show, what they change, and what they say when it fails."""

import contextlib
import json
import os
import pty
import re
import socket
import stat
import threading

import pytest

from admin_api import Api
from harness import Process, Proxy, configuration, free_port, run
from server import Server, answering
from messages import reply

TOKEN = "0123456789abcdef-operator"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}


class Admin:
    """A proxy with an admin API, and the commands that ask it."""

    def __init__(self, proxy, port, token=None):
        self.proxy, self.port = proxy, port
        self.place = f"127.0.0.1:{port}"
        self.api = Api(port, token)

    def __call__(self, *arguments, code=0, place=None):
        done = run(*map(str, arguments), "--admin", place or self.place, env=CLEAN)
        assert done.returncode == code, done
        return done.stderr if code else done.stdout

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))


@contextlib.contextmanager
def administered(*servers, admin=None, token=None, **overrides):
    port = free_port()
    config = configuration(*servers, admin={"bind": f"127.0.0.1:{port}", **(admin or {})}, **overrides)
    with Proxy(config) as proxy:
        yield Admin(proxy, port, token)


def secret(path, text=TOKEN):
    path.write_text(text + "\n")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return str(path)


COMMANDS = [["status"], ["reload"], ["events"], ["servers"], ["servers", "list"], ["servers", "add"], ["servers", "drain"],
            ["servers", "undrain"], ["servers", "remove"], ["servers", "weight"], ["servers", "force"], ["check"], ["backend"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command):
    done = run(*command, "--help")
    assert done.returncode == 0 and not done.stderr
    assert "xample" in done.stdout and f"\n  steelyard {' '.join(command)}" in done.stdout


def test_the_list_shows_servers_with_their_states():
    with Server() as server, administered(server) as admin:
        for _ in range(3):
            admin.proxy.get()
        lines = admin("servers", "list", "--pool", "app").splitlines()
        assert lines[0].split() == ["POOL", "ID", "STATE", "SINCE", "WEIGHT", "ACTIVE", "REQUESTS", "FAILED", "5XX", "LATENCY", "ORIGIN"]
        row = lines[1].split()
        assert row[:2] == ["app", server.address] and row[4:9] == ["1", "0", "3", "0", "0"] and row[10:] == ["config"]
        assert lines[-1] == "app: 1 of 1 up"


def test_what_is_not_up_comes_first_with_its_reason():
    with Server() as one, Server() as two, administered(one, two) as admin:
        admin("servers", "force", "app", two.address, "down")
        text = admin("servers", "list")
        lines = text.splitlines()
        assert lines[1].split()[1:4] == [two.address, "forced", "down"] and "operator" in lines[2]
        assert lines[3].split()[1] == one.address
        assert lines[-1] == f"app: 1 of 2 up; not up: {two.address} (forced down)"
        assert "forced down" in admin("status") and one.address not in admin("status")


def test_two_hundred_servers_fit_the_screen():
    names = [f"10.123.210.{n}:65001" for n in range(200)]
    with administered(*names) as admin:
        for name in names[7:9]:
            admin("servers", "drain", "app", name)
        text = admin("servers", "list")
        assert max(map(len, text.splitlines())) <= 120
        assert names[7] in text.splitlines()[1] and "drained" in text.splitlines()[1]
        assert "app: 198 of 200 up; not up: 10.123.210.7:65001 (drained), 10.123.210.8:65001 (drained)" in text


def test_colours_are_for_terminals_alone():
    with Server() as server, administered(server) as admin:
        assert "\x1b" not in admin("servers", "list")
        master, slave = pty.openpty()
        process = Process(["servers", "list", "--admin", admin.place], stdout=slave, environment={"TERM": "xterm", "NO_COLOR": ""})
        os.close(slave)
        text = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while part := os.read(master, 4096):
                text += part
        os.close(master)
        assert process.finish() == 0
        assert b"\x1b[32m" in text and b"app" in text


def test_a_server_is_added_changed_and_removed():
    with Server(answering(reply(200, body=b"one"))) as one, Server(answering(reply(200, body=b"two"))) as two, administered(one) as admin:
        added = admin("servers", "add", "app", two.address, "--id", "b", "--weight", 3, "--label", "zone=b", "--label", "x=y=z",
                      "--active-max", 7, "--backup")
        assert "app/b" in added and two.address in added
        server = admin.api.servers()["b"]
        assert (server["address"], server["weight"], server["labels"], server["active_max"], server["backup"], server["origin"]) == (
            two.address, 3, {"zone": "b", "x": "y=z"}, 7, True, "admin")
        assert "weight 5" in admin("servers", "weight", "app", "b", 5)
        assert admin.api.servers()["b"]["weight"] == 5
        assert "forced down" in admin("servers", "force", "app", one.address, "down")
        assert admin.proxy.get().body == b"two"
        admin("servers", "force", "app", one.address, "none")
        assert admin.api.servers()[one.address]["forced"] == "none"
        assert "removed" in admin("servers", "remove", "app", "b")
        assert list(admin.api.servers()) == [one.address]
        assert admin.proxy.get().body == b"one"


def test_a_drained_server_ends_what_is_under_way():
    async def slow(connection):
        await connection.head()
        await connection.server.hold.wait()
        await connection.send(reply(200, body=b"slow"))

    with Server() as other, Server(slow) as server, administered(server) as admin:
        server.hold = server.gate()
        with admin.proxy.client() as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            server.hold.wait_reached()
            text = admin("servers", "drain", "app", server.address, "--deadline", "20s")
            assert "1 exchange is under way there" in text and "20s" in text
            admin("servers", "add", "app", other.address)
            assert admin.proxy.get().status == 200
            assert "under way" in admin("servers", "remove", "app", server.address)
            server.hold.open()
            assert client.response().body == b"slow"


def test_draining_and_back():
    with Server() as server, administered(server) as admin:
        assert "nothing is under way" in admin("servers", "drain", "app", server.address)
        assert admin.proxy.get().status == 503
        assert admin.json("servers", "undrain", "app", server.address)["drained"] is False
        assert admin.proxy.get().status == 200


def test_every_command_speaks_json():
    with Server() as server, administered(server) as admin:
        assert admin.json("status")["status"] == "running"
        [listed] = admin.json("servers", "list")
        assert (listed["pool"], listed["id"]) == ("app", server.address) and listed["states"]
        assert admin.json("servers", "add", "app", "127.0.0.1:1", "--id", "b")["origin"] == "admin"
        assert admin.json("servers", "drain", "app", "b")["drained"] is True
        assert admin.json("servers", "undrain", "app", "b")["drained"] is False
        assert admin.json("servers", "weight", "app", "b", 9)["weight"] == 9
        assert admin.json("servers", "force", "app", "b", "up")["forced"] == "up"
        assert admin.json("servers", "remove", "app", "b") == {"pool": "app", "id": "b", "exchanges_active": 0}
        assert admin.json("reload")["changes"] is False
        assert admin.json("check", str(admin.proxy.config), "--against-running")["changes"] is False
        error = json.loads(admin("servers", "drain", "app", "nobody", "--json", code=1))["error"]
        assert error["code"] == "no_such_server" and "nobody" in error["message"]


def test_status_is_one_screen():
    with Server() as server, administered(server) as admin:
        text = admin("status")
        assert "running" in text and f"127.0.0.1:{admin.proxy.port}" in text and "app: 1 of 1 up" in text
        assert len(text.splitlines()) < 10


def plan_lines(text):
    return {line for line in text.splitlines() if line[:2] in ("+ ", "- ", "~ ")}


def test_a_file_is_compared_with_what_runs(tmp_path):
    with Server() as one, Server() as two, administered(one) as admin:
        config = json.loads(admin.proxy.config.read_text())
        config["pools"]["app"] = {"algorithm": "hash", "servers": [two.address]}
        config["pools"]["more"] = {"servers": ["127.0.0.1:1"]}
        config["routes"].insert(0, {"name": "fresh", "match": {"path": "/new"}, "pool": "more"})
        config["timeouts"]["idle"] = "7s"
        config["workers"] = 3
        path = tmp_path / "new.json"
        path.write_text(json.dumps(config))
        text = admin("check", path, "--against-running")
        lines = plan_lines(text)
        assert {"+ pool more", "+ route fresh", f"+ server app/{two.address}", f"- server app/{one.address}",
                "~ timeouts.idle"} <= lines, text
        assert any(line.startswith("~ pool app: algorithm") for line in lines)
        assert re.search(r"next start only: .*workers", text)
        assert list(admin.api.servers()) == [one.address]  # it only looked


def test_the_file_itself_says_where_the_proxy_is(tmp_path):
    with Server() as server, administered(server, admin={"token_file": secret(tmp_path / "t")}, token=TOKEN) as admin:
        done = run("check", str(admin.proxy.config), "--against-running", env=CLEAN)
        assert done.returncode == 0 and admin.place in done.stdout
        done = run("status", "--config", str(admin.proxy.config), env=CLEAN)
        assert done.returncode == 0 and "running" in done.stdout


def test_an_invalid_file_is_told_by_its_own_name(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("listeners: [{bind: 127.0.0.1:8080}]\npools:\n  app: {servrs: []}\n")
    with Server() as server, administered(server) as admin:
        text = admin("check", bad, "--against-running", code=2)
        assert f"{bad}:3:" in text and "servrs" in text and str(admin.proxy.config) not in text
        assert "absent" in admin("check", tmp_path / "absent.yaml", "--against-running", code=2)


def test_reload_shows_the_plan_and_applies_it():
    with Server(answering(reply(200, body=b"one"))) as one, Server(answering(reply(200, body=b"two"))) as two, administered(one) as admin:
        config = json.loads(admin.proxy.config.read_text())
        config["pools"]["app"]["servers"] = [{"address": two.address}]
        admin.proxy.config.write_text(json.dumps(config))
        text = admin("reload")
        assert {f"+ server app/{two.address}", f"- server app/{one.address}"} <= plan_lines(text)
        assert "reloaded" in text.splitlines()
        assert admin.proxy.get().body == b"two"
        admin.proxy.config.write_text("pools: 3")
        assert "pools" in admin("reload", code=2)
        assert admin.proxy.get().body == b"two"


def test_events_are_followed_and_resumed():
    with Server() as server, administered(server) as admin:
        before = admin.json("status")["events_last_id"]
        admin("servers", "drain", "app", server.address)
        process = Process(["events", "--admin", admin.place, "--after", str(before)])
        machine = Process(["events", "--admin", admin.place, "--after", str(before), "--json"])
        try:
            for follower in (process, machine):
                follower.wait_line("following")
            admin("servers", "undrain", "app", server.address)
            process.wait(lambda: sum("server_changed" in line for line in process.output) == 2, "two changes")
            assert re.match(rf"\d{{4}}-\d\d-\d\dT\S+Z server_changed app/{re.escape(server.address)} revision=\d+$", process.output[0])
            machine.wait(lambda: sum("server_changed" in line for line in machine.output) == 2, "two changes")
            first = json.loads(machine.output[0])
            assert (first["event"], first["event_id"]) == ("server_changed", before + 1)
            assert (first["data"]["pool"], first["data"]["id"]) == ("app", server.address)
        finally:
            process.kill()
            machine.kill()


def test_events_go_on_after_a_restart():
    with Server() as server:
        port = free_port()
        config = configuration(server, admin={"bind": f"127.0.0.1:{port}"})
        with Proxy(config):
            process = Process(["events", "--admin", f"127.0.0.1:{port}"])
            process.wait_line("following")
        try:
            process.wait_line("trying to resume")
            with Proxy(config) as proxy:
                process.wait(lambda: sum("following" in line for line in process.lines) == 2, "it did not come back")
                Admin(proxy, port)("servers", "drain", "app", server.address)
                process.wait(lambda: any("server_changed" in line for line in process.output), "no event of the new proxy")
        finally:
            process.kill()


def test_a_unix_socket(tmp_path):
    path = str(tmp_path / "admin.sock")
    with Server() as server, Proxy(configuration(server, admin={"bind": f"unix:{path}"})) as proxy:
        for arguments in (["--admin", f"unix:{path}"], ["--config", str(proxy.config)]):
            done = run("status", *arguments, env=CLEAN)
            assert done.returncode == 0 and "running" in done.stdout, done
        done = run("status", env={**CLEAN, "STEELYARD_ADMIN": f"unix:{path}"})
        assert done.returncode == 0
    done = run("status", "--admin", f"unix:{path}", env=CLEAN)
    assert done.returncode == 1 and f"unix:{path}" in done.stderr


def test_tokens(tmp_path):
    right, wrong = secret(tmp_path / "right"), secret(tmp_path / "wrong", "another-token-of-enough-length")
    with Server() as server, administered(server, admin={"token_file": right}, token=TOKEN) as admin:
        missing = admin("status", code=1)
        assert "--token-file" in missing and "STEELYARD_TOKEN_FILE" in missing
        assert "token" in admin("status", "--token-file", wrong, code=1)
        assert "running" in admin("status", "--token-file", right)
        assert run("status", "--admin", admin.place, env={**CLEAN, "STEELYARD_TOKEN_FILE": right}).returncode == 0
        assert "absent" in admin("status", "--token-file", str(tmp_path / "absent"), code=2)
        os.chmod(right, 0o644)
        done = run("status", "--admin", admin.place, "--token-file", right, env=CLEAN)
        assert done.returncode == 0 and "chmod 600" in done.stderr and TOKEN not in done.stdout + done.stderr


def test_a_token_does_not_leave_the_machine_in_silence(tmp_path):
    # An address of documentation (RFC 5737): whatever becomes of the connection, the warning comes before it.
    process = Process(["status", "--admin", "192.0.2.1:9900", "--token-file", secret(tmp_path / "t")])
    try:
        process.wait_line("unencrypted")
    finally:
        process.kill()


@pytest.mark.parametrize("arguments, code, said", [
    (["servers", "list", "--pool", "ap"], 1, ["no pool", "ap"]),
    (["servers", "drain", "app", "nobody"], 1, ["nobody"]),
    (["servers", "add", "app", "SERVER"], 1, ["already"]),
    (["servers", "add", "app", "SERVER", "--id", "other"], 1, ["already", "remove"]),
    (["servers", "add", "app", "nonsense"], 1, ["nonsense"]),
    (["servers", "add", "app", "127.0.0.1:1", "--label", "zone"], 2, ["--label", "NAME=VALUE"]),
    (["servers", "add", "app", "127.0.0.1:1", "--weight", "1001"], 2, ["--weight"]),
    (["servers", "drain", "app", "SERVER", "--deadline", "30"], 2, ["--deadline", "30"]),
    (["servers", "force", "app", "SERVER", "sideways"], 2, ["sideways"]),
    (["servers", "weight", "app", "SERVER"], 2, ["WEIGHT"]),
    (["servers"], 2, ["subcommand"]),
])
def test_what_is_refused_is_told_as_it_is(arguments, code, said):
    with Server() as server, administered(server) as admin:
        text = admin(*[server.address if argument == "SERVER" else argument for argument in arguments], code=code)
        for word in said:
            assert word in text


def test_nobody_listens():
    place = f"127.0.0.1:{free_port()}"
    done = run("status", "--admin", place, env=CLEAN)
    assert done.returncode == 1
    for hint in (place, "--admin", "admin: {}"):
        assert hint in done.stderr
    error = json.loads(run("status", "--admin", place, "--json", env=CLEAN).stderr)["error"]
    assert error["code"] == "cannot_connect"


@pytest.mark.parametrize("place", ["nonsense", "127.0.0.1", "unix:", "https://127.0.0.1:9900", "127.0.0.1:99999"])
def test_a_place_that_is_none(place):
    done = run("status", "--admin", place, env=CLEAN)
    assert done.returncode == 2 and done.stderr.startswith("steelyard: ") and len(done.stderr.splitlines()) == 1


def test_the_proxy_itself_is_not_the_admin_api():
    with Server() as server, administered(server) as admin:
        text = admin("status", code=1, place=f"127.0.0.1:{admin.proxy.port}")
        assert "not the admin API" in text and str(admin.proxy.port) in text


def answered(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("said", [b"220 mail.example ESMTP\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", answered(b"hello"),
                                  answered(b"[]"), answered(b'{"uptime_seconds": "long"}'), answered(b'{"pools": [3]}')])
def test_something_else_listens(said):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(said)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(4096)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        done = run("status", "--admin", place, env=CLEAN)
        thread.join()
    assert done.returncode == 1 and place in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_configuration_without_an_admin_api(tmp_path):
    with Server() as server:
        path = tmp_path / "c.json"
        path.write_text(json.dumps(configuration(server, listeners=[{"bind": "127.0.0.1:65000"}])))
        done = run("status", "--config", str(path), env=CLEAN)
    assert done.returncode == 2 and "admin: {}" in done.stderr


def test_options_of_the_api_are_for_the_comparison_alone(tmp_path):
    done = run("check", str(tmp_path / "c.yaml"), "--json")
    assert done.returncode == 2 and "--against-running" in done.stderr
