"""The command line: what is typed wrong is answered with place and cure, and the exit code is 0, 1 or 2."""

import json
import signal
import socket
import subprocess

import pytest

from harness import BINARY, Process, Proxy, configuration, free_port, run
from server import Server

COMMANDS = [["serve"], ["check"], ["config"], ["config", "expand"], ["config", "schema"], ["backend"], ["load"]]


def write(path, config):
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2))
    return str(path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command):
    done = run(*command, "--help")
    assert done.returncode == 0 and not done.stderr
    assert f"steelyard {' '.join(command)}" in done.stdout and "xample" in done.stdout


def test_the_help_of_all_names_every_command():
    done = run("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert command[0] in done.stdout


def test_the_version_is_one_line():
    done = run("--version")
    assert done.returncode == 0 and len(done.stdout.strip().splitlines()) == 1 and "0." in done.stdout


def test_no_command_is_a_usage_error():
    done = run()
    assert done.returncode == 2 and (done.stderr + done.stdout).strip()


def test_an_unknown_command_is_answered_with_the_nearest():
    done = run("serv")
    assert done.returncode == 2 and "serve" in done.stderr


@pytest.mark.parametrize("arguments", [["serve", "--confg", "x"], ["serve", "--config"], ["backend", "--port", "many"],
                                       ["backend", "--port", "70000"]])
def test_wrong_options_are_usage_errors(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and done.stderr.strip() and "Traceback" not in done.stderr


def runnable(server):
    return configuration(server, listeners=[{"bind": f"127.0.0.1:{free_port()}"}])


@pytest.mark.parametrize("name", ["steelyard.yaml", "steelyard.json", "config.json"])
def test_serve_without_a_file_takes_the_one_that_is_there(tmp_path, name):
    with Server() as server:
        write(tmp_path / name, runnable(server))
        process = Process(["serve"], directory=tmp_path)
        try:
            process.wait_line("ready")
            assert process.ports()
            assert process.stop() == 0
        finally:
            process.kill()


def test_serve_without_any_file_says_what_it_looked_for(tmp_path):
    done = run("serve", directory=tmp_path)
    assert done.returncode == 2
    for name in ("steelyard.yaml", "steelyard.json", "config.json"):
        assert name in done.stderr


def test_serve_with_a_file_that_is_not_there_names_it(tmp_path):
    done = run("serve", "--config", str(tmp_path / "absent.yaml"))
    assert done.returncode == 2 and "absent.yaml" in done.stderr


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with Server() as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--config", write(tmp_path / "c.json", configuration(server, listeners=[{"bind": f"127.0.0.1:{port}"}])))
    assert done.returncode == 1
    mistakes = [line for line in done.stderr.splitlines() if '"level":"info"' not in line]
    assert len(mistakes) == 1 and f"127.0.0.1:{port}" in mistakes[0]


@pytest.mark.parametrize("wrong, place, hints", [
    ("listeners:\n  - bind: 127.0.0.1:65001\npools:\n  app:\n    servrs: [127.0.0.1:1]\n", ":5:", ["servrs", "servers", "pools.app"]),
    ("listeners:\n  - bind: nonsense\npools: {app: {servers: [127.0.0.1:1]}}\n", ":2:", ["nonsense", "bind"]),
    ("listeners:\n  - bind: 127.0.0.1:65001\npools: {app: {servers: [127.0.0.1:1]}}\nroutes: [{pool: ap}]\n", ":4:", ["ap", "app"]),
    ("workers: many\nlisteners:\n  - bind: 127.0.0.1:65001\npools: {app: {servers: [127.0.0.1:1]}}\n", ":1:", ["workers", "many"]),
    ("listeners: {bind: x\npools: 1\n", ":2:", []),
    ("", "", ["listeners"]),
], ids=["misspelt key", "wrong value", "unknown pool", "wrong number", "broken syntax", "empty"])
@pytest.mark.parametrize("command", ["serve", "check"])
def test_an_invalid_configuration_is_answered_with_its_place(tmp_path, command, wrong, place, hints):
    path = write(tmp_path / "bad.yaml", wrong)
    done = run("serve", "--config", path) if command == "serve" else run("check", path)
    assert done.returncode == 2
    assert f"bad.yaml{place}" in done.stderr + done.stdout
    for hint in hints:
        assert hint in done.stderr + done.stdout


def test_all_mistakes_are_shown_at_once(tmp_path):
    done = run("check", write(tmp_path / "bad.yaml", "workers: x\nspin: y\nlisteners: []\npools: 3\n"))
    assert done.returncode == 2
    assert all(f"bad.yaml:{line}:" in done.stderr + done.stdout for line in (1, 2, 3, 4))


def test_a_valid_configuration_is_checked_in_silence_or_with_one_word(tmp_path):
    with Server() as server:
        done = run("check", write(tmp_path / "good.json", runnable(server)))
    assert done.returncode == 0 and len((done.stdout + done.stderr).strip().splitlines()) <= 1


def test_expand_shows_what_a_flat_file_means_and_that_runs(tmp_path):
    with Server() as server:
        flat = {"proxy_port": 65432, "proxy_host": "127.0.0.1", "backend_servers": [{"host": "127.0.0.1", "port": server.port}]}
        done = run("config", "expand", write(tmp_path / "config.json", flat))
        assert done.returncode == 0 and "127.0.0.1:65432" in done.stdout and server.address in done.stdout
        expanded = write(tmp_path / "expanded.yaml", done.stdout)
        assert run("check", expanded).returncode == 0
        assert run("config", "expand", expanded).stdout == done.stdout


def test_the_schema_is_json_and_knows_the_keys():
    done = run("config", "schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert {"listeners", "routes", "pools", "timeouts"} <= set(json.dumps(schema).replace('"', " ").split())


def test_verbose_tells_more(tmp_path):
    with Server() as server:
        with Proxy(configuration(server)) as quiet, Proxy(configuration(server), arguments=["--verbose"]) as chatty:
            quiet.get()
            chatty.get()
        assert len(chatty.lines) >= len(quiet.lines)


def test_a_help_text_into_a_closed_pipe_is_no_crash():
    with subprocess.Popen([BINARY, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(30) in (0, 1, -signal.SIGPIPE)


@pytest.mark.parametrize("command", [["token", "keygen"], ["config", "schema"], ["--help"]], ids=" ".join)
def test_a_command_that_cannot_write_does_not_end_with_0(command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, *command], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 1 and b"cannot be written" in done.stderr
