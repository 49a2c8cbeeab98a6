"""What was changed at run time and outlives the process: ends of every kind, a configuration that has changed meanwhile, and a state
file or a disk that is not as it was left."""

import contextlib
import json
import os
import re
import subprocess

import pytest

from admin import REGISTRAR, SERVERS, Admin, administered, killed, registering
from harness import Proxy
from pool_server import bodies, pool_of, until


@pytest.fixture
def three():
    with pool_of("a", "b", "c") as servers:
        yield servers


def stateful(state, *servers, pool=None, **overrides):
    """Servers with their names as ids, or as they are given."""
    options = [each if isinstance(each, dict) else {"id": each.name, "address": each.address} for each in servers]
    return administered(pool={"servers": options, **(pool or {})}, admin={"state_file": str(state)}, **overrides)


def wanted(admin, pool="app"):
    """What is wanted of each server, without how it stands."""
    servers = admin.servers(pool)
    for server in servers.values():
        del server["states"], server["revision"]
        if server["lease"]:
            del server["lease"]["expires_in"]
    return servers


def change_everything(admin, added):
    admin.add("x", added.address, weight=3, labels={"zone": "\"x\" {y}"}, active_max=7, backup=True)
    admin.patch(f"{SERVERS}/a", {"weight": 2, "labels": {"k": "v"}})
    admin.delete(f"{SERVERS}/b")
    admin.put(f"{SERVERS}/y", {"address": "127.0.0.1:9"})
    admin.post(f"{SERVERS}/y/drain")
    admin.patch(f"{SERVERS}/y", {"forced": "down"})
    admin.add("z", "127.0.0.1:10")
    admin.delete(f"{SERVERS}/z")


# Ends


@pytest.mark.parametrize("start", [Proxy, killed], ids=["told to end", "killed"])
def test_changes_outlive_the_process(three, tmp_path, start):
    config = stateful(tmp_path / "state", *three[:2])
    with start(config) as proxy:
        admin = Admin(proxy)
        change_everything(admin, three[2])
        before = wanted(admin)
    assert set(before) == {"a", "x", "y"}
    for again in (start, killed):
        with again(config) as proxy:
            assert wanted(Admin(proxy)) == before
            assert bodies(proxy, 4) == {"a": 4}, "x is the backup and y is drained"
            Admin(proxy).patch(f"{SERVERS}/a", {"drained": True})
            assert bodies(proxy, 2) == {"c": 2}, "x is a backup"
            Admin(proxy).patch(f"{SERVERS}/a", {"drained": False})


def test_the_last_change_before_a_kill_counts(three, tmp_path):
    config = stateful(tmp_path / "state", three[0])
    for weight in range(2, 12):
        with killed(config) as proxy:
            answer = Admin(proxy).patch(f"{SERVERS}/a", {"weight": weight})
            assert answer.status == 200
        with killed(config) as proxy:
            assert Admin(proxy).server("a")["weight"] == weight


def test_an_old_revision_does_not_fit_after_a_restart(three, tmp_path):
    config = stateful(tmp_path / "state", *three)
    with Proxy(config) as proxy:
        admin = Admin(proxy)
        admin.patch(f"{SERVERS}/a", {"weight": 2})
        tags = {name: admin.get(f"{SERVERS}/{name}").etag for name in "abc"}
    with Proxy(config) as proxy:
        admin = Admin(proxy)
        assert admin.patch(f"{SERVERS}/a", {"weight": 5}, If_Match=tags["a"]).status == 200, "its change is as it was"
        assert admin.patch(f"{SERVERS}/b", {"weight": 5}, If_Match=tags["b"]).status == 412


def test_without_a_state_file_changes_last_as_long_as_the_process(three):
    config = administered(pool={"servers": [{"id": "a", "address": three[0].address}]})
    with Proxy(config) as proxy:
        Admin(proxy).add("x", three[1].address)
    with Proxy(config) as proxy:
        assert set(Admin(proxy).servers()) == {"a"}


def test_the_state_file_is_the_owner_s_and_nothing_lies_beside_it(three, tmp_path):
    with Proxy(stateful(tmp_path / "state", *three)) as proxy:
        assert not (tmp_path / "state").exists(), "nothing was changed"
        for weight in range(2, 30):
            Admin(proxy).patch(f"{SERVERS}/a", {"weight": weight})
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state"]


def test_what_a_killed_process_left_behind_is_tidied_up(three, tmp_path):
    (tmp_path / "state.tmp-AbCdEf").write_text("half")
    (tmp_path / "state.tmp-other-file").write_text("not ours")
    with Proxy(stateful(tmp_path / "state", *three)):
        assert os.listdir(tmp_path) == ["state.tmp-other-file"]


def test_a_change_that_is_taken_back_leaves_no_trace(three, tmp_path):
    with Proxy(stateful(tmp_path / "state", *three)) as proxy:
        admin = Admin(proxy)
        admin.patch(f"{SERVERS}/a", {"weight": 5, "drained": True})
        admin.patch(f"{SERVERS}/a", {"weight": 1, "drained": False})
        admin.add("x", "127.0.0.1:9")
        admin.delete(f"{SERVERS}/x")
        admin.delete(f"{SERVERS}/b")
        admin.put(f"{SERVERS}/b", {"address": three[1].address})
    assert json.loads((tmp_path / "state").read_text())["state"]["pools"] == []


# The configuration has changed meanwhile


@pytest.fixture(params=["restart", "reload"])
def then(request):
    """Has `change` done under one configuration and gives the proxy under the next."""
    @contextlib.contextmanager
    def run(first, change, second):
        second["admin"] = first["admin"]
        if request.param == "reload":
            with Proxy(first) as proxy:
                change(Admin(proxy))
                proxy.reload(second)
                yield proxy
            return
        with killed(first) as proxy:
            change(Admin(proxy))
        with Proxy(second) as proxy:
            yield proxy
    return run


def test_a_change_stays_while_the_configuration_says_the_same(three, tmp_path, then):
    state = tmp_path / "state"
    with then(stateful(state, *three[:2]), lambda admin: change_everything(admin, three[2]),
              stateful(state, *three[:2], timeouts={"idle": "77s"})) as proxy:
        assert set(Admin(proxy).servers()) == {"a", "x", "y"} and Admin(proxy).server("a")["weight"] == 2
        assert not any("is dropped" in text for text in proxy.lines)


def test_a_younger_configuration_counts_more_than_the_change(three, tmp_path, then):
    state = tmp_path / "state"
    changed = {"id": "a", "address": three[0].address, "weight": 9}
    with then(stateful(state, *three), lambda admin: admin.patch(f"{SERVERS}/a", {"weight": 2, "drained": True}),
              stateful(state, changed, *three[1:])) as proxy:
        server = Admin(proxy).server("a")
        assert (server["weight"], server["drained"]) == (9, False)
        proxy.wait_line(r"server a: the change made at run time \(weight 2, drained\) is dropped, because the configuration has changed")


def test_a_removed_server_comes_back_with_a_younger_configuration(three, tmp_path, then):
    state = tmp_path / "state"
    with then(stateful(state, *three), lambda admin: admin.delete(f"{SERVERS}/a"),
              stateful(state, {"id": "a", "address": three[0].address, "weight": 4}, *three[1:])) as proxy:
        assert Admin(proxy).server("a")["weight"] == 4
        proxy.wait_line("server a: the removal at run time is dropped")


def test_a_change_of_a_server_that_is_configured_no_more_is_dropped(three, tmp_path, then):
    state = tmp_path / "state"
    with then(stateful(state, *three), lambda admin: admin.patch(f"{SERVERS}/c", {"weight": 2}), stateful(state, *three[:2])) as proxy:
        assert set(Admin(proxy).servers()) == {"a", "b"}
        proxy.wait_line("the configuration does not have this server any more")


@pytest.mark.parametrize("name", ["x", "other"])
def test_an_added_server_that_is_configured_later_is_a_configured_one(three, tmp_path, then, name):
    state = tmp_path / "state"
    with then(stateful(state, *three[:2]), lambda admin: admin.add("x", three[2].address, weight=8),
              stateful(state, *three[:2], {"id": name, "address": three[2].address})) as proxy:
        servers = Admin(proxy).servers()
        assert set(servers) == {"a", "b", name}
        assert (servers[name]["origin"], servers[name]["weight"]) == ("configuration", 1)
        proxy.wait_line("server x: what was added at run time is dropped")
        assert bodies(proxy, 6) == {"a": 2, "b": 2, "c": 2}


def test_changes_wait_for_a_pool_that_is_gone_for_a_while(three, tmp_path):
    full = stateful(tmp_path / "state", three[0])
    full["pools"]["more"] = {"servers": [{"id": "b", "address": three[1].address}]}
    full["routes"] = [{"match": {}, "pool": "app"}]
    less = {**full, "pools": {"app": full["pools"]["app"]}}
    with Proxy(full) as proxy:
        Admin(proxy).add("x", three[2].address, "more")
        proxy.reload(less)
        assert Admin(proxy).get("/v1/pools/more").code == "no_such_pool"
        proxy.wait_line("pools.more: what was changed at run time .* is kept")
        proxy.reload(full)
        assert set(Admin(proxy).servers("more")) == {"b", "x"}
    with Proxy(less) as proxy:
        proxy.wait_line("pools.more: what was changed at run time .* is kept")
    with Proxy(full) as proxy:
        assert set(Admin(proxy).servers("more")) == {"b", "x"}


def test_another_state_file_is_not_taken_up_without_a_word(three, tmp_path):
    config = stateful(tmp_path / "state", *three)
    with Proxy(config) as proxy:
        admin = Admin(proxy)
        moved = {**config, "admin": {**config["admin"], "state_file": str(tmp_path / "other")}}
        checked = json.loads(json.dumps(moved).replace("127.0.0.1:0", "127.0.0.1:1"))
        assert admin.post("/v1/check", checked).json["at_restart"] == ["admin.state_file"]
        proxy.reload(moved)
        assert any("state_file" in text and "next start" in text for text in proxy.lines)


# Leases


def test_leases_survive(three, tmp_path):
    (tmp_path / "tokens").mkdir()
    config = stateful(tmp_path / "state", three[0], pool=registering(tmp_path / "tokens"))
    for start in (killed, Proxy):
        with start(config) as proxy:
            registrar = Admin(proxy, REGISTRAR)
            assert registrar.put(f"{SERVERS}/b", {"address": three[1].address, "lease": "20m"}).status in (200, 201)
            until(lambda: (tmp_path / "state").exists() and '"b"' in (tmp_path / "state").read_text(), "it is saved")
        with start(config) as proxy:
            lease = Admin(proxy).server("b")["lease"]
            assert lease["length"] == "20m" and lease["owner"] == "registration"
            assert milliseconds(lease["expires_in"]) >= 600_000 - 1000
            assert bodies(proxy, 4) == {"a": 2, "b": 2}
            assert Admin(proxy, REGISTRAR).post(f"{SERVERS}/b/renew").status == 200


def milliseconds(text):
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * units[unit]


def test_a_lease_that_nobody_renews_after_a_restart_runs_out(three, tmp_path):
    (tmp_path / "tokens").mkdir()
    state = tmp_path / "state"
    with killed(stateful(state, three[0], pool=registering(tmp_path / "tokens"))) as proxy:
        assert Admin(proxy, REGISTRAR).put(f"{SERVERS}/b", {"address": three[1].address, "lease": "20m"}).status == 201
        until(lambda: state.exists() and '"b"' in state.read_text(), "it is saved")
    shorter = registering(tmp_path / "tokens", lease="200ms", lease_max="200ms")
    with Proxy(stateful(state, three[0], pool=shorter)) as proxy:
        proxy.wait_line("server app/b is removed: its lease has run out")
        assert bodies(proxy, 4) == {"a": 4}


def test_what_may_not_register_any_more_is_dropped(three, tmp_path, then):
    (tmp_path / "tokens").mkdir()
    state = tmp_path / "state"
    first = stateful(state, three[0], pool=registering(tmp_path / "tokens"))
    second = stateful(state, three[0], pool=registering(tmp_path / "tokens", networks=["10.0.0.0/8"]))

    def change(admin):
        assert Admin(admin.where, REGISTRAR).put(f"{SERVERS}/b", {"address": three[1].address}).status == 201
        until(lambda: state.exists(), "it is saved")

    with then(first, change, second) as proxy:
        proxy.wait_line("1 registered servers are dropped, because the configuration does not allow them")
        assert set(Admin(proxy).servers()) == {"a"} and bodies(proxy, 3) == {"a": 3}


# A state file that is not as it was left


def state_of(directory, three):
    """What is in a good one."""
    path = directory / "good"
    with Proxy(stateful(path, *three[:2])) as proxy:
        change_everything(Admin(proxy), three[2])
    return path.read_bytes()


DAMAGED = {
    "empty": lambda good: b"",
    "blank": lambda good: b"\n",
    "truncated": lambda good: good[:len(good) // 2],
    "without its last byte": lambda good: good[:-2],
    "another byte": lambda good: good.replace(b'"weight":3', b'"weight":4'),
    "more": lambda good: good + good,
    "zeros": lambda good: bytes(len(good)),
    "noise": lambda good: bytes(range(256)) * 16,
    "other JSON": lambda good: b'{"servers": []}\n',
    "a newer version": lambda good: good.replace(b'"version":1', b'"version":2'),
    "deep": lambda good: b"[" * 1_000_000,
    "large": lambda good: b" " * (65 * 1024 * 1024),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_state_is_set_aside_and_told_of(three, tmp_path, damage):
    text = damage(state_of(tmp_path, three))
    (tmp_path / "good").unlink()
    state = tmp_path / "state"
    state.write_bytes(text)
    with Proxy(stateful(state, *three[:2])) as proxy:
        aside = proxy.wait_line(r'"level":"error".*the state file .*it is now (\S+?),')[1]
        assert bodies(proxy, 4) == {"a": 2, "b": 2}
        with open(aside, "rb") as file:
            assert file.read() == text, "what is set aside is what was there"
        Admin(proxy).patch(f"{SERVERS}/a", {"weight": 3})
    with Proxy(stateful(state, *three[:2])) as proxy:
        assert Admin(proxy).server("a")["weight"] == 3
        assert not any('"level":"error"' in text for text in proxy.lines)


def test_damaged_states_do_not_replace_each_other(three, tmp_path):
    state = tmp_path / "state"
    for number in range(3):
        state.write_text(f"damaged {number}")
        with Proxy(stateful(state, *three)) as proxy:
            proxy.wait_line("it is now")
    kept = [path.read_text() for path in tmp_path.iterdir() if "corrupt" in path.name]
    assert sorted(kept) == [f"damaged {number}" for number in range(3)]


def make_circle(path):
    path.symlink_to(path)


UNREADABLE = {"a directory": lambda path: path.mkdir(), "a full directory": lambda path: (path / "x").mkdir(parents=True),
              "a pipe": os.mkfifo, "a circle of links": make_circle, "in no directory": lambda path: path.parent.rmdir()}


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_state_file_stops_nothing_and_stays(three, tmp_path, make):
    folder = tmp_path / "folder"
    folder.mkdir()
    state = folder / "state"
    make(state)
    before = folder.exists() and os.lstat(state).st_ino
    with Proxy(stateful(state, *three)) as proxy:
        if folder.exists():
            proxy.wait_line(r'"level":"error".*the state file \S+ cannot be read')
        assert Admin(proxy).patch(f"{SERVERS}/a", {"weight": 2}).status == 200
        assert bodies(proxy, 4) == {"a": 2, "b": 1, "c": 1}
    assert (folder.exists() and os.lstat(state).st_ino) == before, "what could not be read was replaced"


def test_a_link_to_the_state_file_is_followed(three, tmp_path):
    (tmp_path / "real").mkdir()
    with Proxy(stateful(tmp_path / "real/state", *three)) as proxy:
        Admin(proxy).patch(f"{SERVERS}/a", {"weight": 6})
    (tmp_path / "state").symlink_to(tmp_path / "real/state")
    with Proxy(stateful(tmp_path / "state", *three)) as proxy:
        assert Admin(proxy).server("a")["weight"] == 6


# Disks


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def errors(proxy):
    return [text for text in proxy.lines if '"level":"error"' in text]


def test_a_full_disk_stops_no_change_and_no_request(three, small_disk):
    config = stateful(small_disk / "state", *three)
    with Proxy(config) as proxy:
        admin = Admin(proxy)
        admin.patch(f"{SERVERS}/a", {"weight": 2})
        good = (small_disk / "state").read_bytes()
        fill(small_disk)
        for weight in range(3, 20):
            assert admin.patch(f"{SERVERS}/a", {"weight": weight}).json["weight"] == weight
        assert bodies(proxy, 21) == {"a": 19, "b": 1, "c": 1}
        proxy.wait_line("the state file .* was not written, because .*No space left on device")
        assert (small_disk / "state").read_bytes() == good, "the last good state is there"
        assert sorted(path.name for path in small_disk.iterdir()) == ["filler", "state"]
        assert len(errors(proxy)) == 1, errors(proxy)
        (small_disk / "filler").unlink()
        proxy.wait_line("changes made at run time are saved again")
        assert '"weight":19' in (small_disk / "state").read_text()
        fill(small_disk)
        admin.patch(f"{SERVERS}/a", {"weight": 30})
        proxy.wait(lambda: len(errors(proxy)) == 2, "the next failure is told, too")
        (small_disk / "filler").unlink()
    with Proxy(config) as proxy:
        assert Admin(proxy).server("a")["weight"] == 30


def test_a_directory_that_vanishes_for_a_while(three, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    config = stateful(folder / "state", *three)
    with Proxy(config) as proxy:
        folder.rmdir()
        for weight in range(2, 9):
            assert Admin(proxy).patch(f"{SERVERS}/a", {"weight": weight}).status == 200
        proxy.wait_line("its directory cannot be opened")
        assert len(errors(proxy)) == 1
        folder.mkdir()
        proxy.wait_line("changes made at run time are saved again")
    with Proxy(config) as proxy:
        assert Admin(proxy).server("a")["weight"] == 8


def test_many_servers_are_kept(three, tmp_path):
    count = 300
    config = stateful(tmp_path / "state", three[0])
    with killed(config) as proxy:
        admin = Admin(proxy)
        with admin.connect() as connection:
            for number in range(count):
                body = json.dumps({"address": f"127.9.{number // 250}.{number % 250}:9", "weight": 0})
                answer = connection.request("PUT", f"{SERVERS}/s{number}", {"Content-Type": "application/json"}, body, "localhost")
                assert answer.status == 201
    with Proxy(config) as proxy:
        assert len(Admin(proxy).servers()) == count + 1
        assert bodies(proxy, 4) == {"a": 4}
