"""Policies over HTTP: a request goes only to a server that promises what it demands, whatever happens to the others. Nearly every test
ends with the audit of its access log."""

import contextlib
import json
import subprocess
import threading

import pytest

from admin import Admin, administered
from client import Ended, request_bytes
from harness import BINARY, Proxy, configuration, run
from messages import chunks
from pool_server import CHECKED, PoolServer, addresses, ask_until, each_of, pool_of
from server import Server, refused_address

HEADER = {"label": "privacy", "from": "header:X-Privacy-Policy"}
JSON = {"label": "privacy", "from": "json:privacyPolicy"}
AT_ONCE = {"slow_start": "0s"}


def guarded(promises, policy=HEADER, pool=None, **overrides):
    """A pool with that policy. `promises`: of each server or address what it promises; a server is called by its name, or "x", "y"…"""
    config = configuration(*promises, pool={**AT_ONCE, "policy": policy, **(pool or {})}, **overrides)
    for described, (server, promise), spare in zip(config["pools"]["app"]["servers"], promises.items(), "xyz123456"):
        described["id"] = server.name if isinstance(server, PoolServer) else spare
        described["labels"] = {"privacy": promise}
    return config


def audit(log, *arguments):
    found = run("audit", "--json", *arguments, str(log))
    return found.returncode, json.loads(found.stdout)


@contextlib.contextmanager
def audited(config, tmp_path, allowed_without=()):
    """A proxy whose log shows at its end that every exchange went where it might go."""
    log = tmp_path / "access.log"
    with Proxy({**config, "log": {"access": str(log), "format": "json"}}) as proxy:
        proxy.log = log
        yield proxy
    code, findings = audit(log, *allowed_without)
    assert (code, findings["violations"], findings["unreadable"]) == (0, 0, 0), findings


def records(proxy):
    """What the log holds of exchanges with the pool so far."""
    return [record for text in proxy.log.read_text().splitlines() if (record := json.loads(text)).get("pool")]


def demanding(value):
    return {"X-Privacy-Policy": value}


def ask(proxy, value, count=1, target="/", method="GET", **fields):
    """The bodies of the answers to so many requests that demand it; statuses of those that are refused."""
    with proxy.client() as client:
        answers = [client.request(method, target, {**demanding(value), **fields}) for _ in range(count)]
    return {answer.body.decode() if answer.status == 200 else answer.status for answer in answers}


@pytest.fixture
def two():
    with pool_of("a", "b") as servers:
        yield servers


@pytest.fixture
def three():
    with pool_of("a", "b", "c") as servers:
        yield servers


# Where a request says what it demands

SOURCES = {
    "header:X-Privacy-Policy": lambda value: {"fields": {"x-privacy-policy": f" {value} "}},
    "cookie:policy": lambda value: {"fields": {"Cookie": f"a=1; policy={value}; b=2"}},
    "query:policy": lambda value: {"target": f"/?a=1&%70olicy={value}&b=%zz"},
    "segment:2": lambda value: {"target": f"/v1/./x/../{value}/orders?policy=none"},
    "host": lambda value: {"host": f"{value}.Example.:8080"},
    "json:policy": lambda value: {"method": "POST", "body": json.dumps({"data": {"policy": "none"}, "policy": value})},
}
ABSENT = {"segment:2": {"target": "/v1"}, "json:policy": {"method": "POST", "body": "{}"}}


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "host"])
def test_each_source_leads_to_the_server_that_promises_its_value(two, tmp_path, source):
    a, b = two
    config = guarded({a: "111", b: "222,333"}, {"label": "privacy", "from": source})
    with audited(config, tmp_path) as proxy, proxy.client() as client:
        for value, name in [("111", b"a"), ("222", b"b"), ("333", b"b"), ("111", b"a")] * 2:
            answer = client.request(**SOURCES[source](value))
            assert (answer.status, answer.body) == (200, name)
        assert client.request(**SOURCES[source]("444")).status == 421
        answer = client.request(**ABSENT.get(source, {}))
        assert answer.status == 421 and b"does not name the policy" in answer.body
        assert proxy.page("metrics")["policy_refusals"] == {"absent": 1, "ambiguous": 0, "unmet": 1}
    told = records(proxy)
    assert [record.get("policy") for record in told[:2]] == [
        {"label": "privacy", "demanded": "111", "met_by": "111"}, {"label": "privacy", "demanded": "222", "met_by": "222"}]
    assert [record["policy"] for record in told[-2:]] == [{"label": "privacy", "demanded": "444"}, {"label": "privacy"}]
    assert not any("server" in record for record in told[-2:])


def test_the_host_is_a_source_without_its_port_in_lower_case(two, tmp_path):
    a, b = two
    with audited(guarded({a: "one.example", b: "two.example"}, {"label": "privacy", "from": "host"}), tmp_path) as proxy:
        with proxy.client() as client:
            for host, name in [("one", b"a"), ("TWO", b"b")] * 3:
                assert client.request(**SOURCES["host"](host)).body == name
            assert client.request(host="example").status == 421


AMBIGUOUS = {
    "two fields": ("header:X-P", "GET / HTTP/1.1\r\nHost: x\r\nX-P: 111\r\nx-p: 222\r\n\r\n"),
    "an empty field": ("header:X-P", "GET / HTTP/1.1\r\nHost: x\r\nX-P:\r\n\r\n"),
    "a field with an underscore": ("header:X-P", "GET / HTTP/1.1\r\nHost: x\r\nX_P: 222\r\n\r\n"),
    "two cookies": ("cookie:p", "GET / HTTP/1.1\r\nHost: x\r\nCookie: p=111\r\nCookie: p=222\r\n\r\n"),
    "two parameters": ("query:p", "GET /?p=111&%70=222 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a broken escape": ("query:p", "GET /?p=11%1 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a semicolon": ("query:p", "GET /?a=1;p=222 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two members": ("json:p", request_bytes("POST", body='{"p":"111","p":"222"}').decode()),
    "a body that is no JSON": ("json:p", request_bytes("POST", body="p=111").decode()),
    "a member that is a list": ("json:p", request_bytes("POST", body='{"p":["111"]}').decode()),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused_although_there_is_a_default(two, tmp_path, case):
    source, request = AMBIGUOUS[case]
    config = guarded({two[0]: "111", two[1]: "222"}, {"label": "privacy", "from": source, "value_if_absent": "111"})
    with audited(config, tmp_path) as proxy:
        with proxy.client() as client:
            client.send(request)
            answer = client.response()
            assert answer.status == 400 and b"polic" in answer.body
        assert proxy.page("metrics")["policy_refusals"] == {"absent": 0, "ambiguous": 1, "unmet": 0}
    assert two[0].requests == two[1].requests == []


@pytest.mark.parametrize("source", ["header:X-Privacy-Policy", "cookie:policy", "query:policy", "segment:2", "json:policy"])
def test_what_says_nothing_demands_the_default(two, tmp_path, source):
    config = guarded({two[0]: "111", two[1]: "222"}, {"label": "privacy", "from": source, "value_if_absent": "222"})
    with audited(config, tmp_path) as proxy, proxy.client() as client:
        assert [client.request(**ABSENT.get(source, {})).body for _ in range(3)] == [b"b"] * 3
        assert client.get().body == b"b", "no body at all"
    assert {record["policy"]["demanded"] for record in records(proxy)} == {"222"}


@pytest.mark.parametrize("status", [421, 503])
def test_what_nobody_promises_is_refused_as_configured(two, tmp_path, status):
    config = guarded({two[0]: "111", two[1]: "222"}, {**HEADER, "unmet_status": status})
    with audited(config, tmp_path) as proxy, proxy.client() as client:
        for value in ("11", "1111", "111,222", "111 222", "x" * 5000):
            answer = client.request(fields=demanding(value))
            assert answer.status == status and b"no server of the pool promises" in answer.body
            assert answer.values("retry-after") == (["1"] if status == 503 else [])
    assert two[0].requests == two[1].requests == []


def test_a_pool_without_a_policy_asks_nobody(two):
    with Proxy(configuration(*two)) as proxy:
        assert ask(proxy, "999", 4) == {"a", "b"}


# Nobody else takes a request, whatever happens


def test_policies_take_strict_turns_among_their_own(three, tmp_path):
    a, b, c = three
    with audited(guarded({a: "111", b: "222", c: "222"}), tmp_path) as proxy, proxy.client() as client:
        got = [client.request(fields=demanding(value)).body for value in ("222", "111", "222", "222", "111", "222")]
    assert got in ([b"b", b"a", b"c", b"b", b"a", b"c"], [b"c", b"a", b"b", b"c", b"a", b"b"])


ALGORITHMS = ["adaptive", "round_robin", "least_connections", "ip_hash", "hash", "random", "fastest"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_keeps_to_the_policy(three, tmp_path, algorithm):
    a, b, c = three
    config = guarded({a: "111", b: "222", c: "222"}, pool={"algorithm": algorithm}, workers=2)
    with audited(config, tmp_path) as proxy:
        def one(address):
            with proxy.client(source=address) as client:
                return client.request(fields=demanding("111")).body, client.request(fields=demanding("222")).body
        got = each_of(addresses(30), one)
    assert {first for first, _ in got} == {b"a"}
    assert {second for _, second in got} == {b"b", b"c"}


def test_a_retry_goes_to_nobody_else(two, tmp_path):
    sock, refused = refused_address()
    with sock, audited(guarded({refused: "222", two[0]: "111", two[1]: "333"}), tmp_path) as proxy:
        assert ask(proxy, "222", 5) <= {502, 503}
        assert ask(proxy, "111", 2) == {"a"}
    assert len(two[0].requests) == 2 and two[1].requests == []


def test_a_retry_finds_the_one_that_promises_the_same(two, tmp_path):
    sock, refused = refused_address()
    with sock, audited(guarded({refused: "222", two[0]: "111", two[1]: "222"}), tmp_path) as proxy:
        assert ask(proxy, "222", 6) == {"b"}
    assert two[0].requests == []


def test_a_server_that_broke_is_in_the_record_with_what_it_promised(two, tmp_path):
    async def breaks(connection):
        await connection.request()
        connection.reset()

    with Server(breaks) as breaking, audited(guarded({breaking: "222,111", two[0]: "111", two[1]: "222"}), tmp_path) as proxy:
        assert ask(proxy, "222", 4) == {"b"}
    also = [record["policy"]["also"] for record in records(proxy) if "also" in record["policy"]]
    assert also and all(met == [{"server": "x", "met_by": "222"}] for met in also)
    assert two[0].requests == []


def test_a_backup_of_another_policy_is_no_backup(two, tmp_path):
    sock, refused = refused_address()
    config = guarded({refused: "222", two[0]: "111", two[1]: "222"})
    config["pools"]["app"]["servers"][1]["backup"] = True
    config["pools"]["app"]["servers"][2]["backup"] = True
    with sock, audited(config, tmp_path) as proxy:
        assert ask(proxy, "222", 4) == {"b"}
        two[1].leave()
        assert ask(proxy, "222", 4) <= {502, 503}
        assert ask(proxy, "111", 2) == {"a"}, "nobody else promises that"
    assert len(two[0].requests) == 2


def test_a_session_ends_where_another_policy_begins(two, tmp_path):
    config = guarded({two[0]: "111", two[1]: "222"}, pool={"sticky": {"cookie": "home", "secret": "0123456789abcdef"}})
    with audited(config, tmp_path) as proxy, proxy.client() as client:
        first = client.request(fields=demanding("111"))
        cookie = first.value("set-cookie").split(";")[0]
        assert first.body == b"a"
        for _ in range(4):
            assert client.request(fields={**demanding("222"), "Cookie": cookie}).body == b"b"
            assert client.request(fields={**demanding("111"), "Cookie": cookie}).body == b"a"


@pytest.mark.parametrize("when_all_down", ["refuse", "try_all"])
def test_when_all_of_a_policy_are_down_nobody_else_is_tried(two, tmp_path, when_all_down):
    a, b = two
    with audited(guarded({a: "111", b: "222"}, pool={"health": CHECKED, "when_all_down": when_all_down}), tmp_path) as proxy:
        b.turn(500)
        assert ask(proxy, "222", 4) == ({503} if when_all_down == "refuse" else {"b"})
        a.turn(500)
        assert ask(proxy, "222", 4) == ({503} if when_all_down == "refuse" else {"b"})
        a.turn(200)
        b.turn(200)
        assert ask(proxy, "111", 4) == {"a"} and ask(proxy, "222", 4) == {"b"}


def test_a_probe_does_not_bring_a_request_to_another_policy(two, tmp_path):
    """A server whose pause is over is tried with the next request: with one that demands what it promises."""
    a, b = two
    pool = {"outliers": {"failures_in_row": 1, "ejection": "10ms", "ejected_share_max": "100%"}, "retries": {"tries_max": 1}}
    with audited(guarded({a: "111", b: "222"}, pool=pool), tmp_path) as proxy:
        b.status = 500
        assert ask(proxy, "222") == {500}
        b.status = 200
        before = len(b.requests)
        assert ask(proxy, "111", 30) == {"a"}
        assert len(b.requests) == before
        assert ask_until(lambda: ask(proxy, "222") == {"b"}, "it is back")


def test_a_hedge_goes_to_nobody_else_and_is_in_the_record(three, tmp_path):
    a, b, c = three
    b.hold()
    config = guarded({b: "222", a: "111", c: "222"}, pool={"hedging": {"after": "20ms"}, "algorithm": "round_robin"})
    config["pools"]["app"]["servers"][1]["backup"] = config["pools"]["app"]["servers"][2]["backup"] = True
    with audited(config, tmp_path) as proxy:
        assert ask(proxy, "222", 3) == {"c"}
        c.hold()
        with proxy.client() as client:
            client.send(request_bytes(fields=demanding("222")))
            c.wait_active(1)
            b.let_go()
            assert client.response().body == b"b"
        c.let_go()
    assert a.requests == []
    also = [record["policy"]["also"] for record in records(proxy)]
    assert also == [[{"server": "b", "met_by": "222"}]] * 3 + [[{"server": "c", "met_by": "222"}]]


def test_who_waits_for_a_place_waits_for_one_of_its_policy(two, tmp_path):
    a, b = two
    config = guarded({a: "111", b: "222"}, pool={"concurrency": {"per_server_max": 1, "queue_timeout": "20s"}})
    b.hold()
    with audited(config, tmp_path) as proxy, proxy.client() as first, proxy.client() as second:
        first.send(request_bytes(fields=demanding("222")))
        b.wait_active(1)
        second.send(request_bytes(fields=demanding("222")))
        ask_until(lambda: proxy.page("status")["pools"][0]["queued"] == 1, "the second one waits")
        assert ask(proxy, "111", 3) == {"a"}, "a place at another server is nothing to it, and it is in nobody's way"
        b.let_go()
        assert first.response().body == second.response().body == b"b"
    assert len(a.requests) == 3


# What changes while it runs


def test_a_reload_that_swaps_promises_under_load(two, tmp_path):
    a, b = two
    promises = [{a: "111", b: "222"}, {a: "222", b: "111"}]
    end = threading.Event()
    answers = []

    def load(value):
        with proxy.client() as client:
            while not end.is_set():
                answer = client.request("POST" if value == "222" else "GET", fields=demanding(value))
                answers.append((answer.status, answer.body))

    with audited(guarded(promises[0], workers=2), tmp_path) as proxy:
        threads = [threading.Thread(target=load, args=(value,)) for value in ("111", "222", "111", "222")]
        for thread in threads:
            thread.start()
        for round_number in range(1, 21):
            config = {**guarded(promises[round_number % 2], workers=2), "log": {"access": str(proxy.log), "format": "json"}}
            proxy.reload(config)
            expected = {server.name: promise for server, promise in promises[round_number % 2].items()}
            for name, promise in expected.items():
                assert ask(proxy, promise, 3) == {name}, "what is asked for after a reload goes by it"
        end.set()
        for thread in threads:
            thread.join()
        status = proxy.page("status")["pools"][0]["servers"]
        assert sum(server["requests"] for server in status) >= len(answers), "counters go on"
    assert {status for status, _ in answers} == {200}, "nobody was refused"
    assert len(answers) > 100


def test_a_reload_that_adds_changes_and_removes_a_policy(two, tmp_path):
    a, b = two
    plain = configuration(a, b, pool=AT_ONCE)
    by_query = {"label": "privacy", "from": "query:policy"}
    with Proxy(plain) as proxy:
        assert ask(proxy, "222", 4) == {"a", "b"}
        proxy.reload(guarded({a: "111", b: "222"}))
        assert ask(proxy, "222", 4) == {"b"} and proxy.get().status == 421
        proxy.reload(guarded({a: "111", b: "222"}, by_query))
        assert ask(proxy, "222", 2, target="/?policy=111") == {"a"}
        assert ask(proxy, "222", 2) == {421}
        proxy.reload(plain)
        assert ask(proxy, "222", 4) == {"a", "b"}


def test_who_waits_while_the_label_changes_goes_by_the_new_one(two):
    a, b = two
    limits = {"concurrency": {"total_max": 1, "queue_timeout": "20s"}}
    by_tier = guarded({a: "111", b: "222"}, {"label": "tier", "from": "query:tier"}, pool=limits)
    for described in by_tier["pools"]["app"]["servers"]:
        described["labels"]["tier"] = described["labels"]["privacy"]
    a.hold()
    with Proxy(guarded({a: "111", b: "222"}, pool=limits)) as proxy, proxy.client() as first, proxy.client() as second:
        first.send(request_bytes(fields=demanding("111")))
        a.wait_active(1)
        second.send(request_bytes(target="/?tier=222", fields=demanding("111")))
        ask_until(lambda: proxy.page("status")["pools"][0]["queued"] == 1, "the second one waits")
        proxy.reload(by_tier)
        a.let_go()
        assert first.response().body == b"a"
        assert second.response().body == b"b"
    assert len(a.requests) == 1


def test_the_admin_api_changes_promises(two, tmp_path):
    a, b = two
    config = administered(a, b, pool={**AT_ONCE, "policy": HEADER})
    for described, promise, name in zip(config["pools"]["app"]["servers"], ("111", "222"), "ab"):
        described.update(id=name, labels={"privacy": promise})
    with audited(config, tmp_path) as proxy:
        admin = Admin(proxy)
        assert ask(proxy, "111", 3) == {"a"} and ask(proxy, "222", 3) == {"b"}
        for promised in ("222", ["333", "222"]):
            answer = admin.patch("/v1/pools/app/servers/a", {"labels": {"privacy": promised}})
            assert answer.status == 200, answer
            assert ask(proxy, "111", 3) == {421} and ask(proxy, "222", 4) == {"a", "b"}
        assert admin.server("a")["labels"] == {"privacy": "333,222"}
        assert ask(proxy, "333", 3) == {"a"}
        assert admin.patch("/v1/pools/app/servers/a", {"labels": {}}).status == 200
        assert ask(proxy, "333", 3) == {421} and ask(proxy, "222", 4) == {"b"}


def test_the_status_shows_which_policy_nobody_keeps(two):
    a, b = two
    a.leave()
    with Proxy(guarded({a: "111", b: "111,222"})) as proxy:
        ask(proxy, "111", count=4)
        policy = proxy.page("status")["pools"][0]["policy"]
        assert policy == {"label": "privacy", "broken_promises": 0,
                          "values": {"111": {"servers": 2, "servers_up": 1}, "222": {"servers": 1, "servers_up": 1}}}


def test_counters_of_refusals_outlive_an_upgrade(two):
    with Proxy(guarded({two[0]: "111", two[1]: "222"})) as proxy:
        assert proxy.get().status == 421
        assert ask(proxy, "999") == {421}
        proxy.upgrade()
        assert ask(proxy, "999") == {421}
        assert proxy.page("metrics")["policy_refusals"] == {"absent": 1, "ambiguous": 0, "unmet": 2}


# Bodies


BODY = json.dumps({"privacyPolicy": "222", "data": "x" * 3000}).encode()


def post(length=len(BODY), **fields):
    made = {"Content-Length": str(length), **{name.replace("_", "-"): value for name, value in fields.items()}}
    return request_bytes("POST", "/orders", made)


def test_a_body_that_comes_in_pieces_is_read_whole_and_goes_on_as_it_was(two, tmp_path):
    with audited(guarded({two[0]: "111", two[1]: "222"}, JSON), tmp_path) as proxy, proxy.client() as client:
        for cut in (1, 2, 30, 1500, len(BODY) - 1):
            client.send(post())
            client.send(BODY[:cut])
            proxy.page("health")  # it has had its turn with the first piece
            client.send(BODY[cut:])
            assert client.response().body == b"b"
        client.send(post() + BODY + post() + BODY[:100])
        client.send(BODY[100:] + post() + BODY)
        assert [client.response().body for _ in range(3)] == [b"b"] * 3
    assert [request.body for request in two[1].requests] == [BODY] * 8
    assert {request.framing for request in two[1].requests} == {"length"} and two[0].requests == []


def test_a_chunked_body_stays_chunked_with_its_trailers(two, tmp_path):
    parts = [BODY[:10], BODY[10:11], BODY[11:]]
    with audited(guarded({two[0]: "111", two[1]: "222"}, JSON), tmp_path) as proxy, proxy.client() as client:
        whole = chunks(*parts, trailers="X-Sum: 1\r\n")
        for cut in (0, 3, 40, len(whole)):
            client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "X-Sum"}))
            client.send(whole[:cut])
            proxy.page("health")
            client.send(whole[cut:])
            assert client.response().body == b"b"
    assert [request.body for request in two[1].requests] == [BODY] * 4
    assert all(request.framing == "chunked" for request in two[1].requests)


def test_a_large_chunked_body_is_sent_on_whole(two, tmp_path):
    body = json.dumps({"data": "x" * 900_000, "privacyPolicy": "222"}).encode()
    config = guarded({two[0]: "111", two[1]: "222"}, {**JSON, "body_bytes_max": "1MiB"})
    with audited(config, tmp_path) as proxy, proxy.client() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunks(body[:400_000], body[400_000:]))
        assert client.response().body == b"b"
        assert client.request("PUT", body=body).body == b"b"
    assert [request.body for request in two[1].requests] == [body, body]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_beyond_its_bound_is_refused(two, framing):
    config = guarded({two[0]: "111", two[1]: "222"}, {**JSON, "body_bytes_max": 1000, "value_if_absent": "111"})
    with Proxy(config) as proxy:
        for size, status in ((1000, 200), (1001, 413), (5000, 413)):
            body = b'{"privacyPolicy":"222"}'.ljust(size)
            with proxy.client() as client:
                if framing == "length":
                    client.send(post(size) + body)
                else:
                    client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunks(body[:500], body[500:]))
                answer = client.response()
                assert answer.status == status
                assert status == 200 or b"policy.body_bytes_max" in answer.body
        assert proxy.page("metrics")["limits_hit"]["body_bytes"] == 2
    assert two[0].requests == [] and len(two[1].requests) == 1


def test_a_client_that_waits_for_a_word_is_asked_for_its_body_once(two, tmp_path):
    with audited(guarded({two[0]: "111", two[1]: "222"}, {**JSON, "body_bytes_max": 4000}), tmp_path) as proxy, proxy.client() as client:
        for _ in range(2):
            client.send(post(Expect="100-continue"))
            assert client.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert len(two[1].requests) < 2
            client.send(BODY)
            answer = client.response()
            assert answer.body == b"b" and answer.interim == []
        client.send(post(5000, Expect="100-continue"))
        answer = client.response()
        assert answer.status == 413 and answer.interim == [], "what is too large is not asked for"
    assert [request.body for request in two[1].requests] == [BODY] * 2
    assert all(request.value("expect") is None for request in two[1].requests)


def test_a_whole_body_is_sent_again_where_its_server_broke(tmp_path):
    async def breaks(connection):
        await connection.request()
        connection.reset()

    with Server(breaks) as breaking, PoolServer("b") as b, audited(guarded({breaking: "222", b: "222"}, JSON), tmp_path) as proxy:
        with proxy.client() as client:
            for _ in range(4):
                client.send(request_bytes("PUT", "/", {"Content-Length": str(len(BODY))}) + BODY[:7])
                proxy.page("health")
                client.send(BODY[7:])
                assert client.response().body == b"b"
    assert breaking.requests and {request.body for request in b.requests} == {BODY} and len(b.requests) == 4


def test_a_client_that_stalls_or_goes_away_inside_its_body_costs_no_server(two):
    config = guarded({two[0]: "111", two[1]: "222"}, JSON, timeouts={"body_idle": "200ms"})
    with Proxy(config) as proxy:
        with proxy.client() as client:
            client.send(post() + BODY[:100])
            answer = client.response()
            assert answer.status == 408
        with proxy.client() as client:
            client.send(post() + BODY[:100])
            client.half_close()
            assert client.response().status == 400
        with proxy.client() as client:
            client.send(post() + BODY[:100])
            client.reset()
        ask_until(lambda: proxy.page("metrics")["active_exchanges"] <= 1, "it is gone")
        with proxy.client() as client, contextlib.suppress(Ended):
            client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"zz\r\n")
            assert client.response().status == 400
    assert two[0].requests == two[1].requests == []


# The audit


def test_the_audit_finds_what_was_forged(two, tmp_path):
    with audited(guarded({two[0]: "111", two[1]: "222"}), tmp_path) as proxy:
        for _ in range(5):
            assert ask(proxy, "111") == {"a"} and ask(proxy, "222") == {"b"}
        assert ask(proxy, "999") == {421}
    lines = proxy.log.read_text().splitlines()
    code, findings = audit(proxy.log, "--policy-required", "app")
    assert code == 0 and findings["served"] == findings["with_policy"] == 10 and findings["exchanges"] == 11

    def doctored(change, at=3):
        record = json.loads(lines[at])
        change(record)
        forged = tmp_path / "forged.log"
        forged.write_text("\n".join([*lines[:at], json.dumps(record), *lines[at + 1:]]) + "\n")
        return audit(forged)

    for change in (lambda record: record["policy"].update(met_by="111"), lambda record: record["policy"].update(demanded="111"),
                   lambda record: record["policy"].pop("met_by"), lambda record: record.pop("policy")):
        code, findings = doctored(change)
        assert code == 1 and findings["violations"] == 1
        assert [(found["line"], found["pool"], found["server"]) for found in findings["first_violations"]] == [(4, "app", "b")]


def test_the_audit_says_what_it_could_not_read(tmp_path):
    log = tmp_path / "access.log"
    log.write_text('{"status":200}\nnot a record\n{"status":2')
    code, findings = audit(log)
    assert code == 2 and findings["unreadable"] == 2
    assert [found["line"] for found in findings["first_unreadable"]] == [2, 3]
    assert audit(tmp_path / "absent.log")[0] == 2
    assert run("audit").returncode == 2
    told = run("audit", str(log))
    assert told.returncode == 2 and f"{log}:2: cannot be read as a record" in told.stdout
    assert told.stdout.splitlines()[-1].endswith("0 violations, 2 lines that cannot be read")


def test_the_audit_reads_standard_input_and_several_files(tmp_path):
    good, bad = tmp_path / "good.log", tmp_path / "bad.log"
    good.write_text('{"status":200,"pool":"app","server":"a","policy":{"label":"p","demanded":"1","met_by":"1"}}\n')
    bad.write_text('{"status":200,"pool":"app","server":"b"}\n')
    told = run("audit", str(bad))
    assert told.returncode == 0, "alone it does not show that the pool has a policy"
    assert run("audit", "--policy-required", "app", str(bad)).returncode == 1
    told = run("audit", str(bad), str(good))
    assert told.returncode == 1 and told.stdout.startswith(f'{bad}:1: pool "app", server "b"')
    with good.open() as stdin:
        told = subprocess.run([BINARY, "audit", "-", str(bad)], stdin=stdin, capture_output=True, text=True, timeout=30, check=False)
    assert told.returncode == 1
    assert "steelyard audit access.log" in run("audit", "--help").stdout
