"""How a pool's server is chosen: algorithms, weights, backups, hashes, slow start, draining, and what the log and the pages say."""

import json
import threading

import pytest

from client import request_bytes
from harness import Proxy, configuration
from pool_server import CHECKED, PoolServer, addresses, ask_until, bodies, body_for, described, each_of, pool_of, wait_active_in_all

MEASURING = ["adaptive", "fastest"]  # a busy machine makes one of equal servers look slow to these
HASHES = ["ip_hash", "hash"]
NOT_MEASURING = ["round_robin", "least_connections", "random", *HASHES]
ALGORITHMS = [*MEASURING, *NOT_MEASURING]


@pytest.fixture
def three():
    with pool_of("a", "b", "c") as servers:
        yield servers


def counts(servers):
    return [len(server.complete) for server in servers]


def with_servers(config, *changes):
    """Each server's entry with what is said of it besides."""
    for server, change in zip(config["pools"]["app"]["servers"], changes):
        server.update(change)
    return config


def open_held(proxy, count, **fields):
    """So many connections, each with one request under way."""
    clients = [proxy.client() for _ in range(count)]
    for client in clients:
        client.send(request_bytes("GET", "/", fields))
    return clients


def finish(clients):
    for client in clients:
        assert client.response().status == 200
        client.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_serves_and_spreads_over_equal_servers(three, algorithm, workers):
    with Proxy(configuration(*three, workers=workers, pool={"algorithm": algorithm})) as proxy:
        each_of(addresses(150), lambda address: body_for(proxy, address))
        assert proxy.page("status")["pools"][0]["algorithm"] == algorithm
    assert sum(counts(three)) == 150 and min(counts(three)) >= (1 if algorithm in MEASURING else 15), counts(three)


@pytest.mark.parametrize("algorithm", NOT_MEASURING)
def test_weights_are_met(three, algorithm):
    config = with_servers(configuration(*three, pool={"algorithm": algorithm}), {"weight": 5}, {"weight": 2}, {"weight": 1})
    with Proxy(config) as proxy:
        each_of(addresses(320), lambda address: body_for(proxy, address), threads=1)
    if algorithm == "round_robin":
        assert counts(three) == [200, 80, 40]
    heavy, middle, light = counts(three)
    assert 140 <= heavy <= 260 and 40 <= middle <= 130 and 12 <= light <= 80, counts(three)


@pytest.mark.parametrize("algorithm", ["least_connections", "random", *MEASURING])
def test_weights_are_met_by_what_is_under_way(three, algorithm):
    for server in three:
        server.hold()
    config = with_servers(configuration(*three, pool={"algorithm": algorithm}), {"weight": 5}, {"weight": 2}, {"weight": 1})
    with Proxy(config) as proxy:
        clients = open_held(proxy, 40)
        wait_active_in_all(three, 40)
        heavy, middle, light = (server.active for server in three)
        assert 19 <= heavy <= 31 and 5 <= middle <= 15 and 1 <= light <= 9, counts(three)
        for server in three:
            server.let_go()
        finish(clients)


def test_round_robin_meets_weights_exactly_over_two_workers(three):
    config = with_servers(configuration(*three, workers=2), {"weight": 5}, {"weight": 2}, {"weight": 1})
    with Proxy(config) as proxy:
        each_of(range(20), lambda _: bodies(proxy, 8))
    assert counts(three) == [100, 40, 20]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_weight_0_takes_nothing_new(three, algorithm):
    with Proxy(with_servers(configuration(*three, pool={"algorithm": algorithm}), {"weight": 0})) as proxy:
        each_of(addresses(40), lambda address: body_for(proxy, address))
    assert counts(three)[0] == 0 and sum(counts(three)) == 40


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_backup_serves_only_while_every_primary_fails_its_checks(three, algorithm):
    first, second, _ = three
    pool = {"algorithm": algorithm, "health": CHECKED, "slow_start": "off"}
    with Proxy(with_servers(configuration(*three, pool=pool), {}, {}, {"backup": True})) as proxy:
        def spread():
            return set(each_of(addresses(20), lambda address: body_for(proxy, address)))
        first.wait_checks()
        assert "c" not in spread()
        first.turn(500)
        assert spread() == {"b"}
        second.turn(500)
        assert spread() == {"c"}
        first.turn(200)
        assert spread() == {"a"}


def test_a_backup_serves_while_the_primaries_are_gone_and_no_request_is_lost():
    with pool_of("a", "b", "backup") as (first, second, backup):
        config = with_servers(configuration(first, second, backup), {}, {}, {"backup": True})
        with Proxy(config) as proxy:
            assert bodies(proxy) == {"a": 5, "b": 5}
            first.leave()
            assert bodies(proxy) == {"b": 10}
            second.leave()
            assert bodies(proxy) == {"backup": 10}
            with PoolServer("a again", port=first.port):
                ask_until(lambda: bodies(proxy) == {"a again": 10}, "the primary that is back")


def test_primaries_that_are_full_do_not_turn_to_the_backup():
    with pool_of("a", "backup") as (first, backup):
        config = with_servers(configuration(first, backup, pool={"concurrency": {"per_server_max": 1, "queue_timeout": "1m"}}),
                              {}, {"backup": True})
        first.hold()
        with Proxy(config) as proxy:
            clients = open_held(proxy, 2)
            first.wait_active(1)
            ask_until(lambda: proxy.page("status")["pools"][0]["queued"] == 1, "one that waits")
            first.release(2)
            finish(clients)
        assert counts([first, backup]) == [2, 0]


KEYS = {
    "header X-Tenant": lambda key: {"fields": {"x-tenant": key}},
    "cookie tenant": lambda key: {"fields": {"Cookie": f"other=1; tenant={key}"}},
    "query tenant": lambda key: {"target": f"/?other=1&tenant={key}"},
    "path": lambda key: {"target": f"/tenants/{key}?{key}"},
}


def homes_by_key(proxy, how, keys=60):
    """To which server each key leads, each on a connection of its own, so that all workers are asked."""
    def home(key):
        with proxy.client() as client:
            return client.request(**how(f"key{key}")).body.decode()
    return each_of(range(keys), home)


def homes_by_address(proxy, keys=60):
    return each_of(addresses(keys), lambda address: body_for(proxy, address))


def hashed_by_address(algorithm):
    return {"algorithm": algorithm, **({"hash_load_max": "unlimited"} if algorithm == "hash" else {})}


@pytest.mark.parametrize("hash_key", KEYS)
def test_a_key_leads_to_the_same_server_over_workers_and_restarts_and_keys_spread(three, hash_key):
    pool = {"algorithm": "hash", "hash_key": hash_key, "hash_load_max": "unlimited"}
    with Proxy(configuration(*three, pool=pool)) as proxy:
        homes = homes_by_key(proxy, KEYS[hash_key])
        assert homes_by_key(proxy, KEYS[hash_key]) == homes
    with Proxy(configuration(*reversed(three), pool=pool, workers=2)) as proxy:
        assert homes_by_key(proxy, KEYS[hash_key]) == homes
        assert homes_by_key(proxy, KEYS[hash_key]) == homes
    assert all(homes.count(name) >= 4 for name in "abc"), homes


@pytest.mark.parametrize("algorithm", HASHES)
def test_an_address_leads_to_the_same_server_over_workers_and_restarts_and_addresses_spread(three, algorithm):
    pool = hashed_by_address(algorithm)
    with Proxy(configuration(*three, pool=pool)) as proxy:
        homes = homes_by_address(proxy)
    with Proxy(configuration(*three, pool=pool, workers=2)) as proxy:
        assert homes_by_address(proxy) == homes_by_address(proxy) == homes
    assert all(homes.count(name) >= 4 for name in "abc"), homes


def test_a_request_without_the_key_goes_by_its_address(three):
    pool = {"algorithm": "hash", "hash_key": "header X-Tenant", "hash_load_max": "unlimited"}
    with Proxy(configuration(*three, pool=pool)) as proxy:
        homes = homes_by_address(proxy)
        assert len(set(homes)) == 3
        assert homes_by_address(proxy) == homes
        assert len({body_for(proxy, address, x_tenant="one") for address in addresses(20)}) == 1


@pytest.mark.parametrize("algorithm", HASHES)
def test_keys_of_a_server_that_is_away_move_and_come_back_and_the_others_stay(three, algorithm):
    pool = {**hashed_by_address(algorithm), "health": CHECKED, "slow_start": "off"}
    with Proxy(configuration(*three, pool=pool)) as proxy:
        three[0].wait_checks()
        before = homes_by_address(proxy)
        three[0].turn(500)
        meanwhile = homes_by_address(proxy)
        assert "a" not in meanwhile
        moved = [old for old, new in zip(before, meanwhile) if old != new]
        assert len(moved) - before.count("a") <= 6 and {new for old, new in zip(before, meanwhile) if old == "a"} == {"b", "c"}
        three[0].turn(200)
        assert homes_by_address(proxy) == before


def test_a_hot_key_does_not_crush_one_server(three):
    for server in three:
        server.hold()
    with Proxy(configuration(*three, pool={"algorithm": "hash", "hash_key": "path"})) as proxy:
        clients = open_held(proxy, 12)
        wait_active_in_all(three, 12)
        assert max(server.active for server in three) == 5, counts(three)
        for server in three:
            server.let_go()
        finish(clients)


def test_a_hot_key_stays_where_the_bound_is_off(three):
    for server in three:
        server.hold()
    with Proxy(configuration(*three, pool={"algorithm": "hash", "hash_key": "path", "hash_load_max": "unlimited"})) as proxy:
        clients = open_held(proxy, 12)
        wait_active_in_all(three, 12)
        assert sorted(server.active for server in three) == [0, 0, 12]
        for server in three:
            server.let_go()
        finish(clients)


def test_adaptive_spares_a_server_that_is_much_slower():
    """The slow one answers once the others have given 60 answers more, or where half of the clients wait for it."""
    with pool_of("fast 1", "fast 2", "fast 3", "slow") as servers:
        slow = servers[3]
        done = threading.Event()

        def answered():
            return sum(len(server.complete) for server in servers[:3])

        def answer_slowly():
            while not done.is_set():
                slow.wait(lambda: slow.active or done.is_set(), "a request")
                begun = answered()
                slow.wait(lambda: answered() >= begun + 60 or slow.active >= 4 or done.is_set(), "answers of the others")
                given = slow.given
                slow.release()
                slow.wait(lambda: slow.given > given or done.is_set(), "the answer")

        slow.hold()
        with Proxy(configuration(*servers, pool={"algorithm": "adaptive"})) as proxy:
            answering = threading.Thread(target=answer_slowly)
            answering.start()
            try:
                total = sum(each_of(range(8), lambda _: sum(bodies(proxy, 150).values()), threads=8))
            finally:
                done.set()
                slow.notify()
                answering.join()
        assert total == 1200 and 0 < len(slow.complete) < 120, counts(servers)


def test_adaptive_is_not_drawn_to_a_server_that_fails_fast(three):
    three[0].status = 500
    with Proxy(configuration(*three, pool={"algorithm": "adaptive", "outliers": "off"})) as proxy:
        each_of(range(4), lambda _: bodies(proxy, 100))
    assert 0 < counts(three)[0] < 60 and sum(counts(three)) == 400, counts(three)


def one_comes_back(algorithm, window="1h"):
    """The window is so long that the share stays at the floor."""
    return {"algorithm": algorithm, "health": CHECKED, "slow_start": {"window": window, "floor": "10%"}}


def come_back(proxy, server):
    server.turn(500)
    assert described(proxy, server)["health"] == "unhealthy"
    server.turn(200)
    assert described(proxy, server)["health"] == "warming"


@pytest.mark.parametrize("algorithm", NOT_MEASURING)
def test_a_server_that_comes_back_begins_with_a_tenth_of_its_share(algorithm):
    with pool_of("a", "b") as (back, other), Proxy(configuration(back, other, pool=one_comes_back(algorithm))) as proxy:
        come_back(proxy, back)
        each_of(addresses(400), lambda address: body_for(proxy, address), threads=1)
        assert 3 <= len(back.complete) <= 70 and sum(counts([back, other])) == 400, counts([back, other])


@pytest.mark.parametrize("algorithm", ["least_connections", "random", *MEASURING])
def test_a_server_that_comes_back_has_little_under_way(algorithm):
    with pool_of("a", "b") as (back, other), Proxy(configuration(back, other, pool=one_comes_back(algorithm))) as proxy:
        come_back(proxy, back)
        back.hold()
        other.hold()
        clients = open_held(proxy, 200)
        wait_active_in_all([back, other], 200)
        assert 1 <= back.active <= 50, counts([back, other])
        back.let_go()
        other.let_go()
        finish(clients)


def test_after_the_window_a_server_has_its_share_again():
    with pool_of("a", "b") as (back, other):
        with Proxy(configuration(back, other, pool=one_comes_back("round_robin", window="1s"))) as proxy:
            back.turn(500)
            back.turn(200)
            ask_until(lambda: bodies(proxy) and described(proxy, back)["health"] == "healthy", "the end of the window")
            assert bodies(proxy, 40) == {"a": 20, "b": 20}


def test_a_server_that_is_alone_has_everything_at_once():
    with pool_of("a", "b") as (back, other):
        with Proxy(configuration(back, other, pool={"health": CHECKED, "slow_start": {"window": "1h", "floor": "1%"}})) as proxy:
            other.turn(500)
            back.turn(500)
            back.turn(200)
            assert described(proxy, back)["health"] == "healthy"
            assert bodies(proxy, 50) == {"a": 50}


def records(proxy, count):
    """The access log on standard output, once so many lines are there."""
    proxy.wait(lambda: len(proxy.output) >= count, f"{count} lines")
    return [json.loads(line) for line in proxy.output]


def test_a_record_says_which_server_by_what_and_why(three):
    a, b, c = three
    log = {"access": "stdout", "format": "json"}
    pool = {"algorithm": "least_connections", "sticky": {"cookie": "home", "secret": "0123456789abcdef"}, "health": CHECKED}
    with Proxy(with_servers(configuration(a, b, c, pool=pool, log=log), {"id": "alpha"})) as proxy:
        with proxy.client() as client:
            first = client.get()
            cookie = first.value("set-cookie").split(";")[0]
            client.get("/", Cookie=cookie)
        by_algorithm, by_session = records(proxy, 2)
    names = {"a": "alpha", "b": b.address, "c": c.address}
    for record in (by_algorithm, by_session):
        assert (record["pool"], record["algorithm"], record["server"]) == ("app", "least_connections", names[first.body.decode()])
    assert "choice" not in by_algorithm and by_session["choice"] == "session"


def test_a_record_tells_of_a_failed_try_and_of_the_request_that_asks_a_server_again():
    with pool_of("a", "b") as (gone, well):
        log = {"access": "stdout", "format": "json"}
        with Proxy(configuration(gone, well, log=log)) as proxy:
            gone.leave()
            assert bodies(proxy, 2) == {"b": 2}
            [failed] = [record for record in records(proxy, 2) if "failed_tries" in record]
            assert failed["server"] == well.address
            assert failed["failed_tries"] == [{"server": gone.address, "failure": "connection refused"}]
            with PoolServer("a again", port=gone.port):
                ask_until(lambda: "a again" in bodies(proxy, 1), "the server that is back")
                proxy.wait(lambda: any('"choice":"probe"' in line for line in proxy.output), "the probe")
        probe = next(record for line in proxy.output if (record := json.loads(line)).get("choice") == "probe")
        assert probe["server"] == gone.address


def test_the_last_server_is_still_tried_though_it_cannot_be_reached():
    log = {"access": "stdout", "format": "json"}
    with pool_of("a") as [gone], Proxy(configuration(gone, log=log)) as proxy:
        gone.leave()
        assert bodies(proxy, 2) == {502: 2}
        assert records(proxy, 2)[1]["choice"] in ("last_resort", "probe")
        with PoolServer("a again", port=gone.port):
            assert bodies(proxy, 1) == {"a again": 1}


def test_the_status_page_shows_each_servers_state(three):
    failing, ejected, well = three
    pool = {"health": CHECKED, "slow_start": "off", "outliers": {"failures_in_row": 2, "ejection": "1h", "ejection_max": "1h"}}
    with Proxy(configuration(*three, pool=pool)) as proxy:
        failing.turn(500)
        ejected.status = 500
        assert bodies(proxy, 20) == {500: 2, "c": 18}
        well.hold()
        clients = open_held(proxy, 3)
        well.wait_active(3)
        first, second, third = (described(proxy, server) for server in three)
        well.let_go()
        finish(clients)
    assert (first["health"], second["health"], third["health"]) == ("unhealthy", "ejected", "healthy")
    assert "500" in first["reason"] and "2" in second["reason"] and third["reason"]
    assert all(each["since_unix_seconds"] > 1_500_000_000 for each in (first, second, third))
    assert [each["ejections"] for each in (first, second, third)] == [0, 1, 0]
    assert [each["active"] for each in (first, second, third)] == [0, 0, 3]
    assert third["latency_ms"] > 0 and first["latency_ms"] == 0 and second["error_statuses"] == 2


def test_a_server_that_cannot_be_reached_is_shown_as_such():
    with pool_of("a", "b") as (gone, well), Proxy(configuration(gone, well)) as proxy:
        gone.leave()
        bodies(proxy, 2)
        shown = described(proxy, gone)
        assert shown["health"] == "unreachable" and "refused" in shown["reason"] and shown["failures"] >= 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_server_that_asks_for_no_new_traffic_gets_none_until_it_takes_it_again(three, algorithm):
    first = three[0]
    with Proxy(configuration(*three, pool={"algorithm": algorithm, "health": CHECKED, "slow_start": "off"})) as proxy:
        first.turn(410)
        shown = described(proxy, first)
        assert shown["health"] == "draining" and "410" in shown["reason"]
        assert "a" not in each_of(addresses(40), lambda address: body_for(proxy, address))
        first.turn(200)
        assert described(proxy, first)["health"] == "healthy"
        assert "a" in each_of(addresses(40), lambda address: body_for(proxy, address))


def test_a_backup_serves_while_every_primary_asks_for_no_new_traffic_and_then_the_primary_warms_up():
    with pool_of("a", "b", "backup") as (first, second, backup):
        config = with_servers(configuration(first, second, backup, pool={"health": CHECKED}), {}, {}, {"backup": True})
        with Proxy(config) as proxy:
            first.turn(410)
            second.turn(410)
            assert bodies(proxy) == {"backup": 10}
            first.turn(200)
            assert "backup" not in bodies(proxy) and described(proxy, first)["health"] == "warming"


def test_the_keys_of_a_server_that_comes_back_return_one_after_the_other_and_stay():
    with pool_of("a", "b") as servers:
        pool = {**hashed_by_address("hash"), "health": CHECKED, "slow_start": {"window": "1h", "floor": "40%"}}
        with Proxy(configuration(*servers, pool=pool)) as proxy:
            servers[0].wait_checks()
            before = homes_by_address(proxy, 100)
            servers[0].turn(500)
            servers[0].turn(200)
            after = homes_by_address(proxy, 100)
            assert homes_by_address(proxy, 100) == after
        back = {key for key, home in enumerate(after) if home == "a"}
        assert back < {key for key, home in enumerate(before) if home == "a"} and len(back) >= 5
