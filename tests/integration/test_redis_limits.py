"""Limits that are counted in Redis, by the real proxy in a real Redis: exactly, however many proxies share it; and what becomes of
requests while it is away, wrong, full or hostile. None of them waits for it longer than was set, and it is found again by itself."""

import contextlib
import json
import re
import signal
import threading

import pytest

from admin import Admin, administered, refused_start
from client import request_bytes
from harness import Proxy, free_port, run
from limits import HOUR, fixed, hammer, limiting, rest_in, shown, statuses
from pool_server import until
from redis_server import ALLOWED, REFUSED, FakeRedis, Redis, RedisError, integers
from server import Server

PATIENT = {"timeout": "5s", "connect_timeout": "5s"}  # where it is about what is counted, and the machine may be slow


def storing(servers, redis, limits=None, store=None, **overrides):
    """Limits in a store "r". There is an unlimited route /free."""
    limits = {name: {"store": "r", **limit} for name, limit in (limits or {"a": fixed(3)}).items()}
    routes = [{"match": {"path": "/free"}, "pool": "app"}, {"match": {}, "pool": "app", "limits": list(limits)}]
    where = redis if isinstance(redis, str) else redis.url
    return limiting(servers, limits, stores={"r": {"url": where, **PATIENT, **(store or {})}}, **{"routes": routes, **overrides})


def the_store(proxy):
    return proxy.page("status")["stores"][0]


def connected(proxy, workers=1):
    until(lambda: the_store(proxy)["connects"] >= workers and the_store(proxy)["status"] == "answers", "connections to Redis")


@contextlib.contextmanager
def proxied(redis, limits=None, store=None, workers=1, wait=True, **overrides):
    with Server() as server, Proxy(storing([server], redis, limits, store, workers=workers, **overrides)) as proxy:
        proxy.server = server
        if wait:
            connected(proxy, workers)
        yield proxy


@pytest.fixture(scope="module")
def running():
    with Redis() as redis:
        yield redis


@pytest.fixture
def redis(running):
    """One that runs, empty."""
    running.ask("FLUSHALL")
    return running


@pytest.fixture
def own():
    """One that the test may break."""
    with Redis() as redis:
        yield redis


# What is counted


@pytest.mark.parametrize("rule", [fixed(5), {"kind": "sliding_window", "rate": "5/1h"}, {"kind": "token_bucket", "rate": "5/24h"},
                                  {"rate": "1/24h", "burst": 5}], ids=["fixed", "sliding", "bucket", "burst"])
@pytest.mark.parametrize("lease", [0, 3])
def test_every_kind_lets_pass_what_it_says_and_no_more(redis, rule, lease):
    with proxied(redis, {"a": {**rule, "lease": lease}}) as proxy:
        assert statuses(proxy, 8) == [200] * 5 + [429] * 3
        assert statuses(proxy, 1, source="127.0.0.2") == [200]
        found = shown(proxy, "a")
        assert (found["store"], found["passed"], found["refused"], found["unreachable"]) == ("r", 6, 3, 0)


def test_fields_are_those_of_a_limit_in_memory(redis):
    with proxied(redis, {"a": fixed(3, fields="always")}) as proxy, proxy.client() as client:
        answers = [client.get() for _ in range(4)]
        assert [answer.status for answer in answers] == [200] * 3 + [429]
        assert [rest_in(answer)["a"][0] for answer in answers] == [2, 1, 0, 0]
        assert all(HOUR - 60 <= rest_in(answer)["a"][1] <= HOUR for answer in answers)
        assert answers[-1].value("ratelimit-policy") == '"a";q=3;w=3600' and answers[-1].body == b"Rate limit exceeded"
        assert HOUR - 60 <= int(answers[-1].value("retry-after")) <= HOUR


RULES = {"fixed": fixed(200), "sliding": {"kind": "sliding_window", "rate": "200/24h"}, "bucket": {"rate": "200/24h"}}


@contextlib.contextmanager
def two_proxies(redis, limits):
    with proxied(redis, limits, workers=2) as first, proxied(redis, limits, workers=2) as second:
        yield [first, second]


@pytest.mark.parametrize("kind", RULES)
def test_two_proxies_of_two_workers_let_pass_exactly_what_is_allowed(redis, kind):
    with two_proxies(redis, {"a": RULES[kind]}) as proxies:
        assert hammer(proxies, connections=32, requests=15) == (200, 280)
        assert sum(len(proxy.server.requests) for proxy in proxies) == 200
        assert sum(shown(proxy, "a")["unreachable"] for proxy in proxies) == 0


@pytest.mark.parametrize("kind", RULES)
def test_with_leases_the_bound_is_kept(redis, kind):
    lease = 10
    with two_proxies(redis, {"a": {**RULES[kind], "lease": lease}}) as proxies:
        passed, _ = hammer(proxies, connections=32, requests=15)
        assert 200 - len(proxies) * lease <= passed <= 200
        asked = sum(the_store(proxy)["asked"] for proxy in proxies)
        assert asked < 480, "most requests ask nobody"


def test_a_refusal_leaves_what_was_leased(own):
    with proxied(own, {"a": fixed(20, lease=10)}) as proxy, contextlib.ExitStack() as stack:
        own.pause()
        clients = [stack.enter_context(proxy.client()) for _ in range(3)]
        for client in clients:
            client.send(request_bytes())
        until(lambda: the_store(proxy)["asked"] >= 1 and proxy.page("status")["exchanges_active"] == 4, "three at once")
        own.go_on()
        found = [client.response().status for client in clients] + statuses(proxy, 25)
        assert 20 - 10 <= found.count(200) <= 20, "one node keeps at most one lease to itself"


def test_ten_keys_are_counted_apart_and_exactly(redis):
    with two_proxies(redis, {"a": fixed(20, key="header:X-Key")}) as proxies:
        found = {}

        def ask(key):
            found[key] = [statuses(proxy, 15, X_Key=key).count(200) for proxy in proxies]
        threads = [threading.Thread(target=ask, args=(f"k{at}",)) for at in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {key: sum(each) for key, each in found.items()} == {f"k{at}": 20 for at in range(10)}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("order", [["narrow", "wide"], ["wide", "narrow"]], ids="-".join)
def test_what_one_limit_refuses_uses_up_nothing_of_another(redis, kind, order):
    wide = {**RULES[kind], "rate": RULES[kind]["rate"].replace("200", "5")}
    limits = {"narrow": fixed(2, key="path"), "wide": wide}
    with proxied(redis, {name: limits[name] for name in order}) as proxy, proxy.client() as client:
        assert [client.get("/a").status for _ in range(2)] == [200] * 2
        for _ in range(10):
            assert client.get("/a").status == 429
        assert [client.get(target).status for target in ("/b", "/b", "/c", "/c")] == [200, 200, 200, 429]


def test_a_limit_in_memory_that_refuses_takes_nothing_from_redis(redis):
    with Server() as server:
        limits = {"here": fixed(1, key="path"), "there": fixed(3, store="r")}
        with Proxy(limiting([server], limits, stores={"r": {"url": redis.url, **PATIENT}})) as proxy:
            connected(proxy)
            assert statuses(proxy, 10, target="/a") == [200] + [429] * 9
            assert [statuses(proxy, 1, target=f"/{at}")[0] for at in range(3)] == [200, 200, 429]


def test_a_limit_in_redis_that_refuses_takes_nothing_in_memory(redis):
    with Server() as server:
        limits = {"here": fixed(3), "there": fixed(1, key="path", store="r")}
        with Proxy(limiting([server], limits, stores={"r": {"url": redis.url, **PATIENT}})) as proxy:
            connected(proxy)
            assert statuses(proxy, 10, target="/a") == [200] + [429] * 9
            assert [statuses(proxy, 1, target=f"/{at}")[0] for at in range(3)] == [200, 200, 429]


def test_the_limits_of_a_listener_count_what_finds_no_route(redis):
    with proxied(redis, {"a": fixed(3)}, listener="a", routes=[{"match": {"path": "/a"}, "pool": "app"}]) as proxy:
        assert statuses(proxy, 2, target="/nowhere") + statuses(proxy, 2, target="/a") == [404, 404, 200, 429]
        assert shown(proxy, "a")["unreachable"] == 0


def test_a_dry_run_refuses_nothing(redis):
    with proxied(redis, {"a": fixed(2, dry_run=True)}) as proxy:
        assert statuses(proxy, 6) == [200] * 6
        found = shown(proxy, "a")
        assert (found["refused"], found["would_refuse"]) == (0, 4)


def test_who_is_refused_is_not_asked_about_each_time(redis):
    with proxied(redis, {"a": fixed(1)}) as proxy:
        assert statuses(proxy, 2) == [200, 429]
        before = the_store(proxy)["asked"]
        assert statuses(proxy, 200) == [429] * 200
        assert the_store(proxy)["asked"] - before < 100


# What is kept in Redis


HOSTILE = ["a b", "a  b", "'a'", '"a"', "a\\r\\nFLUSHALL\\r\\n", "{a}", "{a}b", "}{", "*", "a?", "[a]", "$5", "*3", "-ERR", "a:b",
           "a:", ":a", "%00",
           "\xc3\xa9", "\xe9", "\xff\xfe", "a\tb", "x" * 8000, "x" * 8000 + "y", "{" + "x" * 300, "#" + "0" * 64, "\xc3\xa9" * 200]


def test_hostile_values_in_fields_break_nothing_and_stay_distinct(redis):
    with proxied(redis, {"a": fixed(1, key="header:X-Key")}) as proxy:
        for value in HOSTILE:
            assert statuses(proxy, 2, X_Key=value) == [200, 429], value[:40]
        assert [statuses(proxy, 1, X_Key=value)[0] for value in HOSTILE] == [429] * len(HOSTILE)
        kept = redis.keys()
        names = [name for name in kept if not name.endswith(b":probe")]
        assert len(names) == len(HOSTILE), names
        assert all(name.startswith(b"steelyard:a") and len(name) < 300 and b"{" not in name for name in names), names
        found = the_store(proxy)
        assert (found["errors"], found["timeouts"], found["connects"], found["status"]) == (0, 0, 1, "answers")


SPELLED = {"cookie:id": [{"Cookie": f"id={value}"} for value in ("a b", "{a}", "'", "*", "\xc3\xa9", "\xff", "x" * 8000, "a:b", "a=b")],
           "query:key": [{"target": f"/?key={value}"} for value in ("a+b", "a%20%22", "'", "*", "%7b", "%c3%a9", "x" * 7000, "$1", "a:b",
                                                                    "a=b", "%0d%0aFLUSHALL")],
           "path": [{"target": f"/{value}"} for value in ("a%20b", "'", "*", "%0d%0aFLUSHALL%0d%0a", "%7ba%7d", "%c3%a9", "x" * 7000, "a:b",
                                                          "$1")]}


@pytest.mark.parametrize("key", SPELLED)
def test_hostile_cookies_queries_and_paths_break_nothing_and_stay_distinct(redis, key):
    with proxied(redis, {"a": fixed(1, key=key)}) as proxy:
        for request in SPELLED[key]:
            assert statuses(proxy, 2, **request) == [200, 429], request
        assert len([name for name in redis.keys() if b":a" in name]) == len(SPELLED[key])
        assert the_store(proxy)["errors"] == 0 and shown(proxy, "a")["unreachable"] == 0


@pytest.mark.parametrize("lease", [0, 5])
def test_every_key_expires_and_has_the_prefix(redis, lease):
    rules = [fixed(9), {"kind": "sliding_window", "rate": "9/1h"}, {"kind": "token_bucket", "rate": "9/1h"}, {"rate": "1/1h", "burst": 3},
             fixed(1, key="path")]
    limits = {f"l{at}": {**rule, "lease": lease} for at, rule in enumerate(rules)}
    with proxied(redis, limits, {"prefix": "shop/"}) as proxy:
        for target in ("/a", "/a", "/b", "/b", "/c", "/d", "/a"):
            statuses(proxy, 1, target=target)
        kept = redis.keys()
        assert len(kept) >= 5 + 3
        assert all(name.startswith(b"shop/") for name in kept), kept
        assert all(0 < lives <= 3 * HOUR * 1000 for name, lives in kept.items()), kept


def test_limits_and_prefixes_are_counted_apart(redis):
    with proxied(redis, {"a": fixed(1)}, {"prefix": "x:"}) as first, proxied(redis, {"a": fixed(1)}, {"prefix": "y:"}) as second, \
            proxied(redis, {"b": fixed(1)}, {"prefix": "x:"}) as third:
        assert [statuses(proxy, 2) for proxy in (first, second, third)] == [[200, 429]] * 3


def test_the_database_of_the_url_is_used(redis):
    with proxied(f"{redis.url}/3") as proxy:
        assert statuses(proxy, 4) == [200] * 3 + [429]
        assert redis.keys(database=3) and not redis.keys()


# While Redis is away

AWAY = {"local": [200, 200, 200, 429, 429, 429], "allow": [200] * 6, "refuse": [503] * 6}


def is_away(proxy):
    """Asks until all workers know; each asks by himself."""
    until(lambda: [statuses(proxy, 1, source="127.0.0.99"), the_store(proxy)["status"]][1] == "away", "that Redis is away")


def counts_again(proxy, redis):
    """Until decisions come from Redis again."""
    def decides():
        before = len([name for name in redis.keys() if b":a:" in name])
        statuses(proxy, 1, source=f"127.0.1.{before % 250 + 1}")
        return len([name for name in redis.keys() if b":a:" in name]) > before
    until(decides, "that Redis counts again")
    until(lambda: [statuses(proxy, 1, source="127.0.0.98"), the_store(proxy)["status"]][1] == "answers", "that all workers know")


def lines_like(proxy, pattern):
    return [text for text in proxy.lines if re.search(pattern, text)]


def told_once(proxy, pattern):
    proxy.wait_line(pattern)
    return len(lines_like(proxy, pattern)) == 1


@pytest.mark.parametrize("policy", AWAY)
def test_a_killed_redis_does_what_was_set_and_is_found_again(own, policy):
    with proxied(own, {"a": fixed(3)}, {"when_unreachable": policy}) as proxy:
        assert statuses(proxy, 1) == [200]
        own.kill()
        is_away(proxy)
        assert statuses(proxy, 6, source="127.0.0.2") == AWAY[policy]
        found = the_store(proxy)
        asked = found["asked"]
        statuses(proxy, 20, source="127.0.0.3")
        found = the_store(proxy)
        assert found["asked"] == asked, "who is known to be away is not asked"
        assert found["not_asked"] >= 20 and found["nodes_away"] == 1
        own.start()
        counts_again(proxy, own)
        assert statuses(proxy, 4, source="127.0.0.5") == [200] * 3 + [429]
        assert told_once(proxy, r'"warning".*redis 127\.0\.0\.1:\d+: .*it is not asked until it answers a probe')
        assert told_once(proxy, r"redis 127\.0\.0\.1:\d+: answers again")


def test_a_refusal_without_redis_says_so(own):
    with proxied(own, {"a": fixed(3)}, {"when_unreachable": "refuse"}) as proxy:
        own.kill()
        is_away(proxy)
        answer = proxy.get()
        assert answer.status == 503 and answer.value("retry-after") == "1"
        assert proxy.get("/free").status == 200
        before = len(proxy.server.requests)
        statuses(proxy, 5)
        proxy.server.settle()
        assert len(proxy.server.requests) == before


def test_a_dry_run_without_redis_refuses_nothing(own):
    with proxied(own, {"a": fixed(1, dry_run=True)}, {"when_unreachable": "refuse"}) as proxy:
        own.kill()
        until(lambda: [proxy.get(), the_store(proxy)["status"]][1] == "away", "that Redis is away")
        assert statuses(proxy, 5) == [200] * 5


@pytest.mark.parametrize("policy", AWAY)
def test_a_stopped_redis_holds_nobody_up(own, policy):
    with proxied(own, {"a": fixed(3)}, {"when_unreachable": policy, "timeout": "20ms", "connect_timeout": "100ms"}, workers=2) as proxy:
        own.pause()
        is_away(proxy)
        assert statuses(proxy, 6, source="127.0.0.2") == AWAY[policy]
        own.go_on()
        counts_again(proxy, own)


def test_requests_without_limits_do_not_wait_for_a_stopped_redis(own):
    with proxied(own) as proxy:
        own.pause()
        with proxy.client() as waiting:
            waiting.send(request_bytes())
            until(lambda: proxy.page("status")["exchanges_active"] >= 2, "the request that waits")
            assert statuses(proxy, 100, target="/free") == [200] * 100
            proxy.server.settle()
            assert all(request.target == "/free" for request in proxy.server.requests), "it waits yet"
            own.go_on()
            assert waiting.response().status == 200
        assert shown(proxy, "a")["unreachable"] == 0


def test_redis_may_be_away_when_the_proxy_starts():
    with Redis() as redis:
        redis.kill()
        with proxied(redis, wait=False) as proxy:
            assert statuses(proxy, 6) == AWAY["local"]
            until(lambda: the_store(proxy)["status"] == "away", "that Redis is away")
            redis.start()
            counts_again(proxy, redis)


def test_a_flushed_redis_begins_anew(redis):
    with proxied(redis, {"a": fixed(2)}) as proxy:
        assert statuses(proxy, 3) == [200, 200, 429]
        redis.ask("FLUSHALL")
        until(lambda: statuses(proxy, 1) == [200], "what was refused is known for a second at most")
        assert statuses(proxy, 2) == [200, 429]
        assert the_store(proxy)["errors"] == 0


def test_a_forgotten_script_is_sent_again_and_nobody_notices(redis):
    with proxied(redis, {"a": fixed(5)}) as proxy, proxy.client() as client:
        found = []
        for _ in range(7):
            redis.ask("SCRIPT", "FLUSH")
            found.append(client.get().status)
        assert found == [200] * 5 + [429] * 2
        assert shown(proxy, "a")["unreachable"] == 0 and the_store(proxy)["errors"] == 0
        assert the_store(proxy)["connects"] == 1


def test_a_full_redis_does_what_was_set_until_it_has_room(own):
    with proxied(own, {"a": fixed(3)}, {"when_unreachable": "allow"}) as proxy:
        own.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        own.ask("CONFIG", "SET", "maxmemory", "1")
        is_away(proxy)
        assert statuses(proxy, 6, source="127.0.0.2") == [200] * 6
        proxy.wait_line(r"OOM.*; give it more memory or a maxmemory-policy that evicts")
        own.ask("CONFIG", "SET", "maxmemory", "0")
        counts_again(proxy, own)


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_redis_that_has_become_a_replica_is_not_counted_in(own, stale):
    with proxied(own, {"a": fixed(3)}, {"when_unreachable": "allow"}) as proxy:
        own.set(replica_serve_stale_data=stale)
        own.ask("REPLICAOF", "127.0.0.1", free_port())
        is_away(proxy)
        assert statuses(proxy, 6, source="127.0.0.2") == [200] * 6
        proxy.wait_line("READONLY" if stale == "yes" else "MASTERDOWN")
        own.ask("REPLICAOF", "NO", "ONE")
        counts_again(proxy, own)


def test_a_redis_that_is_busy_is_left_alone(own):
    own.set(busy_reply_threshold=1)
    with proxied(own, {"a": fixed(3)}, {"when_unreachable": "allow", "timeout": "50ms"}) as proxy:
        def occupy():
            with contextlib.suppress(RedisError, EOFError, OSError):
                own.ask("EVAL", "while true do end", 0)
        thread = threading.Thread(target=occupy)
        thread.start()
        is_away(proxy)
        assert statuses(proxy, 6, source="127.0.0.2") == [200] * 6
        until(lambda: kills_script(own), "the end of the script")
        thread.join()
        counts_again(proxy, own)


def kills_script(redis):
    with contextlib.suppress(RedisError):
        return redis.ask("SCRIPT", "KILL") == b"OK"
    return False


# Passwords


def password_file(tmp_path, text):
    path = tmp_path / "password"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return str(path)


PASSWORD = "the-password-of-redis"


def test_a_password_is_read_from_its_file_and_shown_nowhere(tmp_path):
    with Redis(PASSWORD) as redis:
        with proxied(redis, None, {"password_file": password_file(tmp_path, PASSWORD)}, made=administered) as proxy:
            assert statuses(proxy, 4) == [200] * 3 + [429]
            admin = Admin(proxy)
            places = [json.dumps(admin.shown("/v1/limits")), json.dumps(proxy.page("status")),
                      run("config", "expand", str(proxy.config)).stdout,
                      run("limits", "--admin", admin.where).stdout, "\n".join(proxy.lines)]
            assert all(PASSWORD not in text for text in places)


@pytest.mark.parametrize("given, word", [("wrong", "WRONGPASS"), (None, "NOAUTH")])
def test_a_wrong_password_is_said_and_a_right_one_found_without_a_restart(tmp_path, given, word):
    with Redis(PASSWORD) as redis:
        store = {"password_file": password_file(tmp_path, given)} if given else {}
        with proxied(redis, None, store, wait=False) as proxy:
            assert statuses(proxy, 6) == AWAY["local"]
            until(lambda: the_store(proxy)["status"] == "away", "that nobody is let in")
            proxy.wait_line(rf"{word}.*; (check its username and password|set its password)")
            assert not lines_like(proxy, PASSWORD)
            redis.set(requirepass=given or "")
            counts_again(proxy, redis)


def test_a_new_password_in_the_file_is_read_by_a_reload(tmp_path):
    with Redis(PASSWORD) as redis:
        path = password_file(tmp_path, "wrong")
        with proxied(redis, None, {"password_file": path}, wait=False) as proxy:
            is_away(proxy)
            password_file(tmp_path, PASSWORD)
            proxy.reload(json.loads(proxy.config.read_text()))
            counts_again(proxy, redis)


def test_a_user_needs_no_more_rights_than_are_named(tmp_path):
    rights = "+eval +evalsha +script|load +select +time +get +set".split()
    with Redis() as redis:
        redis.ask("ACL", "SETUSER", "proxy", "on", ">" + PASSWORD, "~steelyard:*", *rights)
        url = redis.url.replace("//", "//proxy@") + "/1"
        with proxied(url, None, {"password_file": password_file(tmp_path, PASSWORD)}) as proxy:
            redis.ask("SCRIPT", "FLUSH")
            assert statuses(proxy, 4) == [200] * 3 + [429]
            assert the_store(proxy)["errors"] == 0
            redis.ask("ACL", "SETUSER", "proxy", "-evalsha", "-eval")
            is_away(proxy)
            proxy.wait_line("NOPERM")


@pytest.mark.parametrize("text", [None, ""], ids=["missing", "empty"])
def test_a_password_file_that_is_of_no_use_is_said_at_the_start(tmp_path, text):
    path = str(tmp_path / "missing") if text is None else password_file(tmp_path, text)
    said = refused_start(tmp_path, storing(["127.0.0.1:9"], "redis://127.0.0.1:1", None, {"password_file": path}))
    assert "the store r" in said and path in said


# A scripted Redis


@pytest.fixture
def fake():
    with FakeRedis() as fake:
        yield fake


def test_what_it_answers_decides(fake):
    with proxied(fake) as proxy:
        fake.answer = lambda words: REFUSED if words[3].endswith(b"127.0.0.2") else ALLOWED
        assert statuses(proxy, 5) == [200] * 5
        answer = proxy.client(source="127.0.0.2").get()
        assert (answer.status, answer.value("retry-after")) == (429, "60")


def test_answers_in_single_bytes_are_put_together(fake):
    with proxied(fake) as proxy:
        def one_by_one(words):
            for byte in ALLOWED[:-1]:
                fake.connections[-1].sendall(bytes([byte]))
            return ALLOWED[-1:]
        fake.answer = one_by_one
        assert statuses(proxy, 10) == [200] * 10
        assert the_store(proxy)["errors"] == 0 and shown(proxy, "a")["unreachable"] == 0


def test_late_answers_are_never_taken_for_those_of_others(fake):
    with proxied(fake, {"a": fixed(1000, key="header:X-Key")}, {"timeout": "50ms", "when_unreachable": "allow"}) as proxy:
        late = threading.Event()

        def answer(words):
            if words[3].endswith(b"slow"):
                late.wait(20)
            return REFUSED if words[3].endswith((b"no", b"slow")) else ALLOWED
        fake.answer = answer
        assert statuses(proxy, 1, X_Key="slow") == [200], "it passes, for Redis does not answer in time"
        with proxy.client() as first, proxy.client() as second:
            first.send(request_bytes(fields={"X-Key": "yes"}))
            second.send(request_bytes(fields={"X-Key": "no"}))
            late.set()
            assert first.response().status == 200
            assert second.response().status in (200, 429)
        until(lambda: statuses(proxy, 1, X_Key="no") == [429], "answers")
        for _ in range(20):
            assert (statuses(proxy, 1, X_Key="yes"), statuses(proxy, 1, X_Key="no")) == ([200], [429])
        assert the_store(proxy)["timeouts"] >= 1


def test_a_slow_redis_is_left_alone_and_taken_back(fake):
    with proxied(fake, {"a": fixed(3)}, {"timeout": "20ms", "when_unreachable": "refuse"}) as proxy:
        go_on = threading.Event()
        fake.answer = lambda words: (go_on.wait(20), ALLOWED)[1]
        is_away(proxy)
        assert statuses(proxy, 20) == [503] * 20
        fake.answer = lambda words: ALLOWED
        go_on.set()
        until(lambda: statuses(proxy, 1) == [200], "that it is taken back")
        assert told_once(proxy, "did not answer within 20 ms")


GARBAGE = {
    "endless-array": b"*1000000000\r\n", "endless-bulk": b"$536870913\r\n", "negative-bulk": b"$-5\r\n",
    "endless-line": b"+" + b"x" * 3_000_000, "deep": b"*1\r\n" * 100_000, "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "status": b"+OK\r\n",
    "nil": b"$-1\r\n",
    "too-few": integers(1, 2, 3), "texts": b"*7\r\n" + b"$1\r\n1\r\n" * 7, "negative": integers(1, -5, 0, 0, 0, 0, 1),
    "huge": integers(1, 1, 0, 0, 2**62, 2**62, 1), "overflow": b"*7\r\n" + b":99999999999999999999999\r\n" * 7, "twice": ALLOWED + ALLOWED,
    "push": b">2\r\n$4\r\npush\r\n:1\r\n", "nul": b"\0" * 5000, "closed": None, "error": b"-ERR something\r\n",
    "error-without-words": b"-\r\n", "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "moved": b"-MOVED 5 127.0.0.1:1\r\n", "noscript": b"-NOSCRIPT No matching script.\r\n", "partial": ALLOWED[:10], "nothing": b"",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_answered_by_what_was_set_and_forgotten(fake, kind):
    store = {"timeout": "30ms", "connect_timeout": "200ms", "when_unreachable": "local"}
    with proxied(fake, {"a": fixed(1_000_000)}, store) as proxy:
        rss_kib_before = proxy.rss_kib()
        fake.answer = lambda words: GARBAGE[kind]
        found = []
        until(lambda: [found.extend(statuses(proxy, 1)), the_store(proxy)["status"]][1] == "away", "that it is of no use")
        assert set(found) == {200} and statuses(proxy, 5) == [200] * 5
        assert shown(proxy, "a")["unreachable"] >= 5
        assert proxy.grown_kib(rss_kib_before) < 40 * 1024
        fake.answer = lambda words: ALLOWED
        before = len(fake.decisions)
        until(lambda: [statuses(proxy, 1), len(fake.decisions) > before][1], "that it is asked again")
        until(lambda: the_store(proxy)["status"] == "answers", "that it answers")


def test_answers_that_nobody_asked_for_end_the_connection(fake):
    with proxied(fake) as proxy:
        before = the_store(proxy)["connects"]
        fake.connections[-1].sendall(ALLOWED)
        until(lambda: the_store(proxy)["connects"] > before, "another connection")
        assert statuses(proxy, 3) == [200] * 3


# Reloads, and the end


def test_a_reload_with_another_url_counts_there(redis, own):
    with Server() as server, Proxy(storing([server], redis, {"a": fixed(2)}, workers=2)) as proxy:
        connected(proxy, 2)
        assert statuses(proxy, 3) == [200, 200, 429]
        proxy.reload(storing([server], own, {"a": fixed(2)}, workers=2))
        until(lambda: statuses(proxy, 1) == [200], "what was refused is known for a second at most")
        assert statuses(proxy, 2) == [200, 429]
        assert any(b":a:" in name for name in own.keys())
        until(lambda: redis.clients() == 0, "the end of the connections to the first")


def test_connections_that_redis_ends_are_made_anew(own):
    with proxied(own, {"a": fixed(40)}) as proxy:
        found = []
        for _ in range(20):
            own.ask("CLIENT", "KILL", "TYPE", "normal")
            found += statuses(proxy, 2)
        assert found == [200] * 40
        until(lambda: the_store(proxy)["connects"] > 2, "other connections")
        counts_again(proxy, own)


def test_a_reload_that_leaves_the_store_as_it_is_leaves_its_connections(redis):
    with Server() as server, Proxy(storing([server], redis, {"a": fixed(2)})) as proxy:
        connected(proxy)
        assert statuses(proxy, 1) == [200]
        proxy.reload(storing([server], redis, {"a": fixed(3), "b": fixed(1000)}))
        assert statuses(proxy, 3) == [200, 200, 429]
        assert the_store(proxy)["connects"] == 1 and redis.clients() == 1


def test_a_limit_moves_into_a_store_and_back_by_reloads(redis):
    with Server() as server, Proxy(limiting([server], {"a": fixed(2)})) as proxy:
        assert statuses(proxy, 3) == [200, 200, 429]
        proxy.reload(storing([server], redis, {"a": fixed(2)}))
        connected(proxy)
        assert statuses(proxy, 3) == [200, 200, 429]
        assert any(b":a:" in name for name in redis.keys())
        proxy.reload(limiting([server], {"a": fixed(2)}))
        assert proxy.page("status")["stores"] == []
        assert statuses(proxy, 1)[0] in (200, 429)
        until(lambda: redis.clients() == 0, "the end of its connections")


def test_reloads_amid_requests_lose_no_decision(redis, own):
    with Server() as server, Proxy(storing([server], redis, {"a": fixed(100_000)}, workers=2)) as proxy:
        connected(proxy, 2)
        ended = threading.Event()
        found = set()

        def ask():
            with proxy.client() as client:
                while not ended.is_set():
                    found.add(client.get().status)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for at in range(10):
            proxy.reload(storing([server], [own, redis][at % 2], {"a": fixed(100_000)}, workers=2))
        ended.set()
        for thread in threads:
            thread.join()
        assert found == {200}
        until(lambda: own.clients() == 0, "the end of connections to the Redis that is not in use")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_a_stopped_redis(own, number):
    with proxied(own, None, {"timeout": "10s"}, timeouts={"drain": "100ms"}, workers=2) as proxy:
        own.pause()
        with proxy.client() as waiting:
            waiting.send(request_bytes())
            until(lambda: proxy.page("status")["exchanges_active"] >= 2, "the request that waits")
            assert proxy.stop(number) == 0


def test_a_client_that_goes_away_meanwhile_leaves_all_in_order(own):
    with proxied(own, {"a": fixed(3)}, {"timeout": "500ms"}) as proxy:
        own.pause()
        clients = [proxy.client() for _ in range(10)]
        for client in clients:
            client.send(request_bytes())
        until(lambda: proxy.page("status")["exchanges_active"] >= 11, "requests that wait")
        for client in clients:
            client.reset()
        until(lambda: proxy.page("status")["exchanges_active"] == 1, "the end of those who went away")
        own.go_on()
        counts_again(proxy, own)
        assert statuses(proxy, 4, source="127.0.0.7") == [200] * 3 + [429]
        proxy.server.settle()


def test_the_admin_api_shows_the_store(own):
    with proxied(own, None, None, made=administered) as proxy:
        admin = Admin(proxy)
        statuses(proxy, 4)
        found = admin.shown("/v1/limits")["stores"][0]
        assert (found["name"], found["mode"], found["status"], found["asked"]) == ("r", "single", "answers", 4)
        assert found["round_trip_ms"]["maximum"] > 0
        assert re.search(r"store r: answers; asked 4 times, 0 timeouts, 0 errors", run("limits", "--admin", admin.where).stdout)
        own.kill()
        is_away(proxy)
        assert admin.shown("/v1/limits")["stores"][0]["status"] == "away"
        assert "store r: away" in run("limits", "--admin", admin.where).stdout
        own.start()
        until(lambda: admin.shown("/v1/limits")["stores"][0]["status"] == "answers", "its return")
