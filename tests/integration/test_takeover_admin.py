"""What operators and servers have changed at run time, and the API by which they did, over upgrades of the binary."""

import pytest

from admin import REGISTRAR, SERVERS, Admin, administered, killed, registering
from client import Ended
from dns_server import DnsServer
from harness import Proxy
from pool_server import bodies, pool_of, until
from server import Server
from test_takeover import PATIENT, ended_processes, try_to_upgrade, under_load

B = f"{SERVERS}/b"


def configured(*servers, **overrides):
    pool = {"servers": [{"id": server.name, "address": server.address} for server in servers], **overrides.pop("pool", {})}
    return administered(pool=pool, **overrides)


def is_refused(admin):
    try:
        admin.connect().close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


@pytest.mark.parametrize("saved", [False, True])
def test_what_was_changed_at_run_time_goes_on_saved_or_not(saved, tmp_path):
    state = {"admin": {"state_file": str(tmp_path / "state")}} if saved else {}
    with pool_of("a", "b", "c") as (first, second, third), Proxy(configured(first, second, **state)) as proxy:
        admin = Admin(proxy)
        admin.add("c", third.address, weight=3)
        assert admin.post(f"{B}/drain").status == 200
        before = {name: admin.server(name)["revision"] for name in "bc"}
        for _ in range(3):
            proxy.upgrade()
            assert bodies(proxy, 8) == {"a": 2, "c": 6}
            assert {name: admin.server(name)["revision"] for name in "bc"} == before
        assert admin.post(f"{B}/undrain").status == 200
        assert set(bodies(proxy, 10)) == {"a", "b", "c"}


def test_the_old_process_does_not_save_over_what_the_new_one_has_saved(tmp_path):
    config = {"admin": {"state_file": str(tmp_path / "state")}, "timeouts": {"drain": "1s"}}
    with pool_of("a", "b") as (first, second):
        with killed(configured(first, **config)) as proxy, proxy.client() as idle:
            assert idle.get().status == 200
            proxy.upgrade()
            Admin(proxy).add("b", second.address)
            proxy.wait(lambda: ended_processes(proxy) == 1, "the first has ended")
        with Proxy(configured(first, **config)) as proxy:
            assert set(Admin(proxy).servers()) == {"a", "b"}


def test_a_registered_server_keeps_its_lease_and_renews_it_with_the_new_process(tmp_path):
    with pool_of("a", "b") as (first, second):
        with Proxy(configured(first, pool=registering(tmp_path))) as proxy:
            registrar, admin = Admin(proxy, REGISTRAR), Admin(proxy)
            assert registrar.put(B, {"address": second.address, "lease": "30s"}).status == 201
            proxy.upgrade()
            assert set(bodies(proxy, 6)) == {"a", "b"}
            assert registrar.post(f"{B}/renew", {"load": 5}).json["lease"]["load"] == 5
            assert registrar.put(B, {"address": second.address, "lease": "100ms"}).status == 200
            until(lambda: set(admin.servers()) == {"a"}, "the new process ends leases")


def test_a_lease_runs_out_in_the_new_process_alone(tmp_path):
    with pool_of("a", "b") as (first, second):
        config = configured(first, pool=registering(tmp_path), timeouts={"drain": "4s"})
        with Proxy(config) as proxy, proxy.client() as idle:
            assert idle.get().status == 200  # for which the old one stays a while
            assert Admin(proxy, REGISTRAR).put(B, {"address": second.address, "lease": "100ms"}).status == 201
            proxy.upgrade()
            proxy.wait(lambda: ended_processes(proxy) == 1, "the first has ended")
            assert sum("server app/b is removed: its lease has run out" in text for text in proxy.lines) == 1


@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_the_api_stays_where_it_is_and_streams_end_and_go_on_elsewhere(where, tmp_path):
    options = {"bind": f"unix:{tmp_path / 'admin'}"} if where == "unix" else {}
    with pool_of("a", "b") as (first, second), Proxy(configured(first, admin=options)) as proxy:
        admin = Admin(proxy)
        with admin.events() as events:
            admin.add("b", second.address)
            _, last, _ = events.wait("server_added", id="b")
            proxy.upgrade()
            with pytest.raises(Ended):
                while True:
                    events.next()
        with admin.events() as events:
            assert admin.delete(B).status in (202, 204)
            assert events.wait("server_removed", id="b")[1] > last
        for _ in range(2):
            proxy.upgrade()
            assert admin.get("/v1/status").status == 200


def test_the_api_moves_comes_and_goes_with_the_configuration():
    with pool_of("a") as (server,):
        first, second = configured(server), configured(server)
        without = {key: value for key, value in first.items() if key != "admin"}
        with Proxy(first) as proxy:
            admin = Admin(proxy)
            proxy.upgrade(second)
            assert Admin(second["admin"]["bind"]).get("/v1/status").status == 200
            until(lambda: is_refused(admin), "the old socket is closed by both")
            proxy.upgrade(without)
            until(lambda: is_refused(Admin(second["admin"]["bind"])), "and the other one")
            proxy.upgrade(first)
            assert admin.get("/v1/status").status == 200


def test_an_upgrade_that_fails_leaves_the_api_as_it_is():
    with pool_of("a", "b") as (first, second), Proxy(configured(first)) as proxy:
        admin = Admin(proxy)
        with admin.events() as events:
            proxy.write("{}")
            try_to_upgrade(proxy)
            admin.add("b", second.address)
            assert events.wait("server_added", id="b")
        assert set(bodies(proxy, 6)) == {"a", "b"}


def test_changes_amid_upgrades_under_load_are_never_lost():
    with pool_of("a", "b") as (first, second), Proxy(configured(first, **PATIENT)) as proxy, under_load(proxy.port):
        admin = Admin(proxy)
        for turn in range(10):
            admin.add(f"b{turn}", f"127.0.0.{turn + 2}:9", weight=0)
            proxy.upgrade()
            assert set(admin.servers()) == {"a", *(f"b{each}" for each in range(turn + 1))}
        admin.add("b", second.address)
        # The load takes turns, too: which ones are left is chance.
        until(lambda: set(bodies(proxy, 6)) == {"a", "b"}, "both serve")


def test_a_server_that_was_added_by_name_is_there_at_once():
    with DnsServer() as dns, Server() as server:
        resolve = {"servers": [dns.address]}
        dns.set("web.test", "A", "127.0.0.1")
        config = administered(resolve=resolve, **PATIENT)
        del config["pools"]["app"]["servers"]
        with Proxy(config) as proxy:
            admin = Admin(proxy)
            admin.add("web", f"web.test:{server.port}")
            until(lambda: proxy.get().status == 200, "it is found")
            with under_load(proxy.port):
                for _ in range(3):
                    proxy.upgrade()
                    assert proxy.get().status == 200
