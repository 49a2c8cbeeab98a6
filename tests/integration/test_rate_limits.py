"""Limits on requests that are counted in memory, through the real proxy: what each kind lets pass, whom it counts, what who is refused
reads, and what stays of it over reloads. Periods are so long that none ends while a test runs, unless that is what it is about."""

import contextlib
import threading

import pytest

from admin import Admin, administered
from client import request_bytes
from harness import Proxy, configuration
from limits import HOUR, fixed, hammer, limited, limiting, rest_in, shown, statuses, without_fields
from messages import reply
from pool_server import PoolServer, until
from server import Server, answering, refused_address

# Five requests a minute


def test_exactly_five_of_six_requests_in_a_minute_pass():
    with limited({"per-client": {"kind": "fixed_window", "rate": "5/1m"}}) as (server, proxy):
        assert statuses(proxy, 5) == [200] * 5
        answer = proxy.get()
        assert (answer.status, answer.body, answer.reason) == (429, b"Rate limit exceeded", "Too Many Requests")
        wait = int(answer.value("retry-after"))
        assert 1 <= wait <= 60
        assert answer.value("ratelimit-policy") == '"per-client";q=5;w=60'
        assert answer.value("ratelimit") == f'"per-client";r=0;t={wait}'
        assert answer.value("content-type").startswith("text/plain") and answer.value("date") and answer.value("x-request-id")
        assert statuses(proxy, 3) == [429] * 3
        server.settle()
        assert len(server.requests) == 5, "what is refused never comes to a server"
        assert statuses(proxy, 1, source="127.0.0.2") == [200]


def test_requests_are_refused_before_a_server_is_looked_for():
    closed, address = refused_address()
    with closed, Proxy(limiting([address], {"per-client": fixed(5)})) as proxy:
        assert statuses(proxy, 6) == [502] * 5 + [429]
        assert proxy.page("status")["pools"][0]["servers"][0]["requests"] <= 5


@pytest.mark.parametrize("rule", [fixed(7), {"kind": "sliding_window", "rate": "7/1h"}, {"kind": "token_bucket", "rate": "7/1h"},
                                  {"rate": "1/10m", "burst": 7}], ids=["fixed", "sliding", "bucket", "burst"])
def test_every_kind_lets_pass_what_it_says_and_no_more(rule):
    with limited({"a": rule}) as (server, proxy):
        with proxy.client() as client:
            answers = [client.get() for _ in range(10)]
        assert [answer.status for answer in answers] == [200] * 7 + [429] * 3
        longest = HOUR * 7 // 6 if rule.get("kind") == "sliding_window" else HOUR  # its slices end a sixth later
        assert all(1 <= int(answer.value("retry-after")) <= longest for answer in answers[7:])
        server.settle()
        assert len(server.requests) == 7


@pytest.mark.parametrize("rule", [{"kind": "fixed_window", "rate": "2/150ms"}, {"kind": "sliding_window", "rate": "2/150ms"},
                                  {"kind": "token_bucket", "rate": "2/150ms", "burst": 1}], ids=["fixed", "sliding", "bucket"])
def test_who_was_refused_comes_in_later(rule):
    with limited({"a": rule}) as (_, proxy), proxy.client() as client:
        for _ in range(3):
            until(lambda: client.get().status == 429, "a refusal")
            until(lambda: client.get().status == 200, "room again")


def test_a_bucket_gives_back_at_its_rate_and_says_when():
    with limited({"a": {"rate": "60/1h", "burst": 2}}) as (_, proxy), proxy.client() as client:
        assert [client.get().status for _ in range(2)] == [200] * 2
        answer = client.get()
        assert answer.status == 429 and 50 <= int(answer.value("retry-after")) <= 60, answer
        assert answer.value("ratelimit-policy") == '"a";q=60;w=3600'
        left, reset = rest_in(answer)["a"]
        assert left == 0 and 110 <= reset <= 120


# Whom a request is counted by

SAME = "the same"
OTHER = "another"
BY_KEY = [
    ("client_ip", {"target": "/a"}, {"target": "/b", "method": "POST", "host": "x", "X_Forwarded_For": "9.9.9.9"}, SAME),
    ("client_ip", {}, {"source": "127.0.0.2"}, OTHER),
    ("path", {"target": "/a"}, {"target": "/b"}, OTHER),
    ("path", {"target": "/a"}, {"target": "/a?b"}, SAME),
    ("path", {"target": "/a"}, {"target": "/a", "source": "127.0.0.2"}, SAME),
    ("path", {"target": "/a/b"}, {"target": "/x/../a/./%62"}, SAME),
    ("method", {}, {"method": "PUT"}, OTHER),
    ("method", {}, {"target": "/b"}, SAME),
    ("host", {"host": "a.example"}, {"host": "b.example"}, OTHER),
    ("host", {"host": "a.example"}, {"host": "A.Example"}, SAME),
    ("host", {"host": "a.example"}, {"host": "a.example."}, SAME),
    ("host", {"host": "a.example"}, {"host": "a.example:80"}, SAME),
    ("header:X-Key", {"x_key": "a"}, {"x_key": "b"}, OTHER),
    ("header:X-Key", {"x_key": "a"}, {"X_KEY": " a ", "source": "127.0.0.2"}, SAME),
    ("header:X-Key", {"x_key": "a"}, {"x_key": "A"}, OTHER),
    ("cookie:id", {"Cookie": "id=a"}, {"Cookie": "x=1; id=b"}, OTHER),
    ("cookie:id", {"Cookie": "id=a"}, {"Cookie": "x=1;id=a; y=2"}, SAME),
    ("cookie:id", {"Cookie": "id=a"}, {"Cookie": "xid=b; id=a"}, SAME),
    ("query:key", {"target": "/?key=a"}, {"target": "/?key=b"}, OTHER),
    ("query:key", {"target": "/?key=a"}, {"target": "/x?y=1&key=a"}, SAME),
    ("query:key", {"target": "/?key=a"}, {"target": "/?key=%61"}, SAME),
    ("query:key", {"target": "/?key=a"}, {"target": "/?k%65y=a"}, SAME),
    (["client_ip", "path"], {"target": "/a"}, {"target": "/b"}, OTHER),
    (["client_ip", "path"], {"target": "/a"}, {"target": "/a", "source": "127.0.0.2"}, OTHER),
    (["client_ip", "path"], {"target": "/a"}, {"target": "/a", "method": "POST"}, SAME),
    (["header:A", "header:B"], {"a": "x y", "b": "z"}, {"a": "x", "b": "y z"}, OTHER),
    (["header:A", "header:B"], {"a": "x", "b": ""}, {"a": "", "b": "x"}, OTHER),
    (["header:A", "path"], {"a": "", "target": "/a"}, {"a": "/a", "target": "/"}, OTHER),
    ("header:X-Key", {"x_key": "a" * 2000 + "b"}, {"x_key": "a" * 2000 + "c"}, OTHER),
    ("header:X-Key", {"x_key": "a" * 2000}, {"x_key": "a" * 2000}, SAME),
]


@pytest.fixture(scope="module")
def keyed():
    """One proxy with a route, and on it a limit of one request, for each line of the table; a request says by X-Line which it is for."""
    limits = {f"l{at}": fixed(1, key=key) for at, (key, *_) in enumerate(BY_KEY)}
    routes = [{"match": {"headers": {"X-Line": str(at)}}, "pool": "app", "limits": f"l{at}"} for at in range(len(BY_KEY))]
    with Server() as server, Proxy(limiting([server], limits, routes=routes)) as proxy:
        yield proxy


@pytest.mark.parametrize("at", range(len(BY_KEY)), ids=[f"{key}-{other}-{what}"[:90] for key, _, other, what in BY_KEY])
def test_requests_are_counted_by_what_the_key_names(keyed, at):
    _, first, second, what = BY_KEY[at]
    line = {"X_Line": str(at)}
    assert statuses(keyed, 2, **first, **line) == [200, 429]
    assert statuses(keyed, 1, **second, **line) == [200 if what is OTHER else 429]


def test_addresses_that_are_alike_in_the_prefix_are_one_client():
    with limited({"a": fixed(2, ipv4_prefix=24)}) as (_, proxy):
        assert statuses(proxy, 1, source="127.0.0.2") == [200]
        assert statuses(proxy, 1, source="127.0.0.3") == [200]
        assert statuses(proxy, 1, source="127.0.0.4") == [429]
        assert statuses(proxy, 1, source="127.0.1.4") == [200]


TRUSTING = {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]}
A_CLIENT = "203.0.113.7"
FORWARDED_FOR = [
    (A_CLIENT, A_CLIENT),
    (f"{A_CLIENT}:4711", A_CLIENT),
    (f"6.6.6.6, {A_CLIENT}", A_CLIENT),
    (f"6.6.6.6,7.7.7.7 , {A_CLIENT}", A_CLIENT),
    (f"{A_CLIENT}, 10.1.2.3", A_CLIENT),
    (f"6.6.6.6, {A_CLIENT}, 10.1.2.3, 127.0.0.9", A_CLIENT),
    (f"garbage, {A_CLIENT}", A_CLIENT),
    (f"10.9.9.9, {A_CLIENT}", A_CLIENT),
    (f", {A_CLIENT}", A_CLIENT),
    (f"::ffff:{A_CLIENT}", A_CLIENT),
    (f"{A_CLIENT}, garbage", "127.0.0.1"),
    ("unknown", "127.0.0.1"),
    ("", "127.0.0.1"),
    ("10.1.2.3", "10.1.2.3"),
    ("2001:db8::1", "2001:db8::/64"),
    ("[2001:db8::2]:80", "2001:db8::/64"),
    ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
]


def test_behind_trusted_proxies_the_last_address_that_is_not_theirs_counts():
    with limited({"a": fixed(2)}, forwarded=TRUSTING, made=administered) as (_, proxy):
        for value, _ in FORWARDED_FOR:
            statuses(proxy, 3, X_Forwarded_For=value)
        found = {top["key"] for top in Admin(proxy).shown("/v1/limits")["limits"][0]["most_refused"]}
        assert found == {client for _, client in FORWARDED_FOR}


@pytest.fixture(scope="module")
def forwarded():
    """As `keyed`, behind proxies that are trusted."""
    limits = {f"l{at}": fixed(1) for at in range(len(FORWARDED_FOR))}
    routes = [{"match": {"headers": {"X-Line": str(at)}}, "pool": "app", "limits": f"l{at}"} for at in range(len(FORWARDED_FOR))]
    with Server() as server, Proxy(limiting([server], limits, routes=routes, forwarded=TRUSTING)) as proxy:
        yield proxy


@pytest.mark.parametrize("at", range(len(FORWARDED_FOR)), ids=[value or "empty" for value, _ in FORWARDED_FOR])
def test_an_address_behind_proxies_shares_one_count_with_others_of_its_client(forwarded, at):
    value, client = FORWARDED_FOR[at]
    plain = {} if client == "127.0.0.1" else {"X_Forwarded_For": client.replace("::/64", "::77")}
    assert statuses(forwarded, 1, X_Forwarded_For=value, X_Line=str(at)) == [200]
    assert statuses(forwarded, 1, X_Line=str(at), **plain) == [429], f"{value!r} is {client}"


def test_several_fields_of_forwarded_addresses_are_one_list():
    with limited({"a": fixed(1)}, forwarded=TRUSTING) as (_, proxy):
        assert statuses(proxy, 1, X_Forwarded_For=A_CLIENT) == [200]
        with proxy.client() as client:
            client.send(f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: {A_CLIENT}\r\n"
                        "X-Forwarded-For: 10.0.0.1\r\n\r\n")
            assert client.response().status == 429


def test_nobody_who_is_not_trusted_chooses_his_address():
    with limited({"a": fixed(1)}, forwarded={"trusted_proxies": ["10.0.0.0/8"]}) as (_, proxy):
        fields = [{}, {"X_Forwarded_For": "1.2.3.4"}, {"Forwarded": "for=1.2.3.4"}, {"X_Real_IP": "1.2.3.4"},
                  {"X_Forwarded_For": "10.0.0.1"}]
        assert [statuses(proxy, 1, **which)[0] for which in fields] == [200] + [429] * 4


ABSENT = [("header:X-Key", [{"X_Key": "127.0.0.1"}, {"X_Key": "\\x1e127.0.0.1"}, {"X_Key": "%1e127.0.0.1"}]),
          ("cookie:id", [{"Cookie": "id=127.0.0.1"}, {"Cookie": "id=%1e127.0.0.1"}]),
          ("query:key", [{"target": "/?key=127.0.0.1"}, {"target": "/?key=%1e127.0.0.1"}])]


@pytest.mark.parametrize("key, imitations", ABSENT, ids=[key for key, _ in ABSENT])
def test_without_the_value_the_client_counts_and_nobody_can_count_for_it(key, imitations):
    with limited({"a": fixed(1, key=key)}) as (_, proxy):
        for imitation in imitations:
            assert statuses(proxy, 2, source="127.0.0.9", **imitation) == [200, 429]
        assert statuses(proxy, 2) == [200, 429], "a value took what belongs to a client"
        assert statuses(proxy, 2, source="127.0.0.3") == [200, 429]


@pytest.mark.parametrize("byte", [0x1e, 0x1f, 0x00, 0x7f])
def test_control_characters_never_come_into_a_key(byte):
    with limited({"a": fixed(1, key=["header:X-Key", "path"])}) as (server, proxy):
        with proxy.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Key: %c127.0.0.1\r\n\r\n" % byte)
            assert client.response().status == 400
        assert statuses(proxy, 2) == [200, 429]


POLICY = {"label": "privacy", "from": "query:p"}


def test_a_policy_is_counted_whoever_demands_it_and_however_it_is_written():
    with Server() as server:
        config = limiting([server], {"a": fixed(1, key="policy")})
        config["pools"]["app"]["policy"] = POLICY
        config["pools"]["app"]["servers"][0]["labels"] = {"privacy": "x,y"}
        with Proxy(config) as proxy:
            assert statuses(proxy, 1, target="/?p=x") == [200]
            assert statuses(proxy, 1, target="/?p=%78", source="127.0.0.2") == [429]
            assert statuses(proxy, 1, target="/?p=y") == [200]
            assert statuses(proxy, 2, target="/?p=%1e127.0.0.3") in ([421, 429], [400, 429])
            assert statuses(proxy, 2, source="127.0.0.3") == [421, 429], "a policy took what belongs to a client"


# Several limits at once


def other_kinds(count):
    return {"fixed": fixed(count), "sliding": {"kind": "sliding_window", "rate": f"{count}/1h"},
            "bucket": {"kind": "token_bucket", "rate": f"{count}/1h"}}


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
@pytest.mark.parametrize("order", [["narrow", "wide"], ["wide", "narrow"]], ids="-".join)
def test_what_one_limit_refuses_uses_up_nothing_of_another(kind, order):
    limits = {"narrow": fixed(2, key="path"), "wide": other_kinds(5)[kind]}
    with limited({name: limits[name] for name in order}) as (server, proxy):
        assert statuses(proxy, 10, target="/a") == [200] * 2 + [429] * 8
        assert statuses(proxy, 2, target="/b") + statuses(proxy, 2, target="/c") == [200, 200, 200, 429]
        server.settle()
        assert len(server.requests) == 5
        assert shown(proxy, "wide")["passed"] == 5 and shown(proxy, "narrow")["refused"] == 8


def test_what_another_limit_refuses_is_not_under_way():
    limits = {"at-once": {"kind": "concurrent", "active_max": 1}, "a": fixed(1)}
    with limited(limits) as (_, proxy):
        assert statuses(proxy, 5) == [200] + [429] * 4
        answer = proxy.get()
        assert rest_in(answer)["a"][0] == 0 and rest_in(answer).get("at-once", (1, 0))[0] == 1, answer


def test_limits_of_listener_route_and_pool_all_count():
    limits = {"of-listener": fixed(4), "of-route": fixed(3, key="path"), "of-pool": fixed(2, key=["path", "method"])}
    routes = [{"match": {}, "pool": "app", "limits": "of-route"}]
    with limited(limits, listener="of-listener", pool=["of-pool"], routes=routes) as (_, proxy):
        assert statuses(proxy, 3, target="/a") == [200, 200, 429]
        assert statuses(proxy, 2, target="/a", method="POST") == [200, 429]
        assert statuses(proxy, 2, target="/b") == [200, 429]
        refused = {name: shown(proxy, name)["refused"] for name in limits}
        assert refused == {"of-listener": 1, "of-route": 1, "of-pool": 1}


def test_a_limit_that_is_named_twice_counts_once():
    routes = [{"match": {}, "pool": "app", "limits": "a"}]
    with limited({"a": fixed(4)}, listener=["a"], pool=["a"], routes=routes) as (_, proxy):
        assert statuses(proxy, 5) == [200] * 4 + [429]


def test_two_routes_with_one_limit_share_its_counts():
    routes = [{"match": {"path": "/a/*"}, "pool": "app", "limits": "a"}, {"match": {}, "pool": "app", "limits": "a"}]
    with limited({"a": fixed(3)}, routes=routes) as (_, proxy):
        assert statuses(proxy, 2, target="/a/x") + statuses(proxy, 2, target="/b") == [200, 200, 200, 429]


def test_routes_without_limits_are_never_refused():
    routes = [{"match": {"path": "/a/*"}, "pool": "app", "limits": "a"}, {"match": {}, "pool": "app"}]
    with limited({"a": fixed(1)}, routes=routes) as (_, proxy):
        assert statuses(proxy, 2, target="/a") == [200, 429]
        assert statuses(proxy, 20, target="/b") == [200] * 20


def test_the_limits_of_a_listener_count_what_finds_no_route():
    routes = [{"match": {"path": "/a/*"}, "pool": "app"}]
    with limited({"a": fixed(3)}, listener="a", routes=routes) as (_, proxy):
        assert statuses(proxy, 2, target="/nowhere") == [404, 404]
        assert statuses(proxy, 2, target="/a") == [200, 429]
        assert statuses(proxy, 1, target="/nowhere") == [429]
        assert proxy.get("/__status__").status == 200, "status pages are not counted"


# Who is not counted, and what is only tried out


def test_exempt_networks_are_not_counted():
    with limited({"a": fixed(1, exempt=["127.0.0.2", "203.0.113.0/24"])}, forwarded={"trusted_proxies": ["127.0.0.1"]}) as (_, proxy):
        assert statuses(proxy, 5, source="127.0.0.2") == [200] * 5
        assert statuses(proxy, 5, X_Forwarded_For=A_CLIENT) == [200] * 5
        assert statuses(proxy, 2, source="127.0.0.3", X_Forwarded_For=A_CLIENT) == [200, 429], "he says that himself"
        found = shown(proxy, "a")
        assert (found["exempt"], found["passed"], found["refused"]) == (10, 1, 1)


def test_who_is_exempt_reads_nothing_about_that_limit():
    limits = {"a": fixed(5, exempt=["127.0.0.1"], fields="always"), "b": fixed(9, fields="always")}
    with limited(limits) as (_, proxy):
        answer = proxy.get()
        assert answer.value("ratelimit-policy") == '"b";q=9;w=3600' and rest_in(answer) == {"b": (8, HOUR)}


@pytest.mark.parametrize("rule", [fixed(2), {"rate": "2/1h"}, {"kind": "sliding_window", "rate": "2/1h"}],
                         ids=["fixed", "bucket", "sliding"])
def test_a_dry_run_counts_and_refuses_nothing(rule):
    with limited({"a": {**rule, "dry_run": True, "fields": "always"}}) as (server, proxy), proxy.client() as client:
        answers = [client.get() for _ in range(6)]
        assert all(answer.status == 200 and without_fields(answer) for answer in answers)
        found = shown(proxy, "a")
        assert (found["dry_run"], found["refused"], found["would_refuse"]) == (True, 0, 4)
        assert found["passed"] in (2, 6)


def test_a_dry_run_beside_a_limit_takes_no_part():
    with limited({"dry": fixed(1, dry_run=True), "a": fixed(3, fields="always")}) as (_, proxy), proxy.client() as client:
        answers = [client.get() for _ in range(4)]
        assert [answer.status for answer in answers] == [200] * 3 + [429]
        assert all("dry" not in answer.value("ratelimit-policy") for answer in answers)


# What who is refused reads


def test_fields_on_every_answer_count_down():
    with limited({"a": fixed(3, fields="always")}) as (_, proxy), proxy.client() as client:
        answers = [client.get() for _ in range(4)]
        assert [rest_in(answer)["a"][0] for answer in answers] == [2, 1, 0, 0]
        assert all(HOUR - 60 <= rest_in(answer)["a"][1] <= HOUR for answer in answers)
        assert {answer.value("ratelimit-policy") for answer in answers} == {'"a";q=3;w=3600'}
        assert [answer.value("retry-after") is None for answer in answers] == [True, True, True, False]
        assert client.request("HEAD").status == 429


@pytest.mark.parametrize("fields, on_refusal", [("refused", True), ("off", False), (None, True)])
def test_fields_on_refusals_only_or_never(fields, on_refusal):
    with limited({"a": fixed(1, **({"fields": fields} if fields else {}))}) as (_, proxy), proxy.client() as client:
        first, second = client.get(), client.get()
        assert (first.status, second.status) == (200, 429)
        assert without_fields(first)
        assert without_fields(second) is not on_refusal
        assert second.value("retry-after"), "that is no matter of `fields`"


def test_fields_are_on_the_proxy_s_own_answers_too():
    closed, address = refused_address()
    routes = [{"match": {"path": "/app"}, "pool": "app"}]
    with closed, Proxy(limiting([address], {"a": fixed(9, fields="always")}, listener="a", routes=routes)) as proxy:
        answers = [proxy.get("/nowhere"), proxy.get("/app")]
        assert [answer.status for answer in answers] == [404, 502]
        assert [answer.value("ratelimit-policy") for answer in answers] == ['"a";q=9;w=3600'] * 2
        assert [rest_in(answer)["a"][0] for answer in answers] == [8, 7]


def test_fields_of_several_limits_are_one_list():
    limits = {"a": fixed(3, fields="always"), "b": {"rate": "100/1m", "burst": 7, "fields": "always"}, "quiet": fixed(9),
              "c": {"kind": "concurrent", "active_max": 4, "fields": "always"}}
    with limited(limits) as (_, proxy):
        answer = proxy.get()
        assert answer.value("ratelimit-policy") == '"a";q=3;w=3600, "b";q=100;w=60, "c";q=4;qu="concurrent-requests"'
        assert rest_in(answer) == {"a": (2, HOUR), "b": (6, 1), "c": (3, 0)}


def test_a_refusal_says_of_the_others_what_is_left_of_them():
    limits = {"wide": fixed(5, fields="always"), "narrow": fixed(1, fields="always")}
    with limited(limits) as (_, proxy), proxy.client() as client:
        assert rest_in(client.get())["wide"][0] == 4
        answer = client.get()
        assert answer.status == 429 and rest_in(answer)["narrow"][0] == 0
        assert rest_in(answer).get("wide", (4, 0))[0] == 4, "the refused request uses up nothing of it"


BODIES = [('{"error":"slow down"}', "application/json"), ("[1]", "application/json"), ("Not so fast, \xfc", "text/plain"), ("", None)]


@pytest.mark.parametrize("body, kind", BODIES, ids=["object", "array", "text", "empty"])
def test_the_body_is_the_one_that_was_set(body, kind):
    with limited({"a": fixed(1, body=body)}) as (_, proxy), proxy.client() as client:
        client.get()
        answer = client.get()
        assert (answer.status, answer.body.decode()) == (429, body)
        assert answer.value("content-length") == str(len(body.encode()))
        assert answer.value("content-type") is None if kind is None else answer.value("content-type").startswith(kind)


def test_head_is_refused_without_a_body():
    with limited({"a": fixed(1)}) as (_, proxy), proxy.client() as client:
        assert [client.request("HEAD").status for _ in range(3)] == [200, 429, 429]
        answer = client.request("HEAD")
        assert answer.value("content-length") == str(len("Rate limit exceeded"))
        assert client.get().body == b"Rate limit exceeded"


def test_the_connection_goes_on_after_a_refusal():
    with limited({"a": fixed(1, key="path")}) as (server, proxy), proxy.client() as client:
        assert [client.get(target).status for target in ("/a", "/a", "/b", "/a", "/c")] == [200, 429, 200, 429, 200]
        client.send(request_bytes(target="/d") + request_bytes(target="/d") + request_bytes(target="/e"))
        assert [client.response().status for _ in range(3)] == [200, 429, 200]


def test_a_body_that_has_not_arrived_is_not_waited_for():
    with limited({"a": fixed(1)}) as (server, proxy):
        proxy.get()
        for more in ("", "Expect: 100-continue\r\n"):
            with proxy.client() as client:
                client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{more}Content-Length: 100000\r\n\r\nbegin")
                answer = client.response()
                assert (answer.status, answer.interim, answer.listed("connection")) == (429, [], ["close"])
                client.rest()
        server.settle()
        assert len(server.requests) == 1


def test_the_body_of_a_refused_request_is_never_taken_for_a_request():
    hidden = request_bytes(target="/hidden", host="x")
    with limited({"a": fixed(1, key="path")}) as (server, proxy):
        proxy.get("/a")
        for head in (f"Content-Length: {len(hidden)}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
            body = hidden if "Length" in head else b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
            with proxy.client() as client:
                client.send(f"POST /a HTTP/1.1\r\nHost: x\r\n{head}".encode() + body)
                answer = client.response("POST")
                assert answer.status == 429
                if answer.listed("connection") != ["close"]:
                    assert client.get("/after" + str(len(body))).status == 200
        server.settle()
        assert all(request.target != "/hidden" for request in server.requests)


def test_a_client_of_http_1_0_is_refused_too():
    with limited({"a": fixed(1)}) as (_, proxy):
        proxy.get()
        with proxy.client() as client:
            answer = client.request(version="HTTP/1.0")
            assert answer.status == 429 and answer.body == b"Rate limit exceeded"
            client.expect_end()


# At once

AT_ONCE = {"at-once": {"kind": "concurrent", "active_max": 2}}


@contextlib.contextmanager
def held(proxy, server, count):
    """Clients whose requests a PoolServer holds, in this order."""
    with contextlib.ExitStack() as stack:
        before = server.active
        clients = [stack.enter_context(proxy.client()) for _ in range(count)]
        for position, client in enumerate(clients, 1):
            client.send(request_bytes(target="/held"))
            server.wait_active(before + position)
        yield clients


@contextlib.contextmanager
def holding(limits=None, **overrides):
    with PoolServer("a") as server, Proxy(limiting([server], limits or AT_ONCE, **overrides)) as proxy:
        server.hold()
        try:
            yield server, proxy
        finally:
            server.let_go()


def test_only_so_many_are_under_way_at_once():
    with holding() as (server, proxy), held(proxy, server, 2) as (first, second):
        answer = proxy.get()
        assert (answer.status, answer.value("retry-after")) == (429, "1")
        assert answer.value("ratelimit-policy") == '"at-once";q=2;qu="concurrent-requests"'
        assert answer.value("ratelimit") == '"at-once";r=0;t=0'
        server.release()
        assert first.response().status == 200
        server.holding = False
        until(lambda: proxy.get().status == 200, "the place of what has ended")
        server.release()
        assert second.response().status == 200


async def in_pieces(connection):
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await connection.send(b"0\r\n\r\n")


async def much(connection):
    await connection.request()
    await connection.send(reply(200, b"x" * 600_000))


@pytest.mark.parametrize("script", [None, in_pieces, much], ids=["whole", "in pieces", "much"])
def test_one_after_the_other_is_never_too_many(script):
    with limited({"a": {"kind": "concurrent", "active_max": 1}}, script, workers=2) as (_, proxy):
        assert statuses(proxy, 100) == [200] * 100
        assert [proxy.get().status for _ in range(300)] == [200] * 300, "the place is free before the answer is complete"


@pytest.mark.parametrize("route, status", [({"match": {"path": "/other"}, "pool": "app"}, 404),
                                           ({"match": {}, "pool": "app", "mode": "redirect"}, 307)], ids=["refused", "redirected"])
def test_one_after_the_other_is_never_too_many_where_no_server_answers(route, status):
    limits = {"a": {"kind": "concurrent", "active_max": 1}}
    with limited(limits, listener=["a"], routes=[route], workers=2) as (_, proxy):
        assert [proxy.get().status for _ in range(300)] == [status] * 300


def test_the_place_of_a_client_that_goes_away_is_free_again():
    with holding() as (server, proxy):
        with held(proxy, server, 2) as (first, second):
            assert proxy.get().status == 429
            first.reset()
            second.close()
            server.let_go()
            until(lambda: proxy.get().status == 200, "a place")
        until(lambda: proxy.page("status")["exchanges_active"] == 1, "the end of what was broken off")
        server.hold()
        with held(proxy, server, 2):
            assert proxy.get().status == 429, "each of them was given back once"


def test_the_place_is_free_again_where_a_server_fails():
    async def fail(connection):
        await connection.request()
        connection.reset()

    with limited(AT_ONCE, fail, pool=None) as (_, proxy):
        assert set(statuses(proxy, 30)) == {502}
        assert shown(proxy, "at-once")["refused"] == 0


def test_the_place_is_free_again_where_an_answer_breaks_off():
    async def half(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        connection.reset()

    with limited({"a": {"kind": "concurrent", "active_max": 1}}, half) as (_, proxy):
        for _ in range(20):
            def broken_off():
                answer = proxy.get()
                return answer.status == 200 and not answer.complete
            until(broken_off, "a place")


def test_what_is_under_way_counts_over_a_reload():
    with holding() as (server, proxy), held(proxy, server, 2) as clients:
        config = limiting([server], {"at-once": {"kind": "concurrent", "active_max": 2}}, workers=1, timeouts={"drain": "3s"})
        proxy.reload(config)
        assert proxy.get().status == 429
        proxy.reload(limiting([server], {"at-once": {"kind": "concurrent", "active_max": 3}}))
        with held(proxy, server, 1):
            assert proxy.get().status == 429
            proxy.reload(limiting([server], {"other": fixed(1000)}))
            proxy.reload(limiting([server], AT_ONCE))
            server.let_go()
            assert [client.response().status for client in clients] == [200, 200]
        until(lambda: proxy.page("status")["exchanges_active"] == 1, "the end of what was under way")
        server.hold()
        with held(proxy, server, 2):
            assert proxy.get().status == 429, "what ended was not given back to a limit that had not counted it"


def test_a_tunnel_counts_until_it_ends():
    async def tunnel(connection):
        while request := await connection.head():
            if request.value("upgrade"):
                await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
                await connection.until_closed()
                return
            await connection.send(reply(body=b"hello"))

    with limited({"a": {"kind": "concurrent", "active_max": 1}}, tunnel) as (_, proxy):
        with proxy.client() as client:
            assert client.request(fields={"Upgrade": "echo", "Connection": "upgrade"}).status == 101
            assert statuses(proxy, 3) == [429] * 3
        until(lambda: proxy.get().status == 200, "the tunnel's place")


# Bytes a second

LARGE = bytes(range(256)) * 16384  # 4 MiB


ANSWERS = {"/large": LARGE, "/medium": b"m" * 4096}


def answering_large():
    async def script(connection):
        while request := await connection.request():
            await connection.send(reply(body=ANSWERS.get(request.target, b"small")))
    return script


def paced(rate, **more):
    return {"limits": {"slow": {"kind": "bandwidth", "rate": rate, **more}}, "script": answering_large(),
            "routes": [{"match": {"path": "/large"}, "pool": "app", "limits": "slow"}, {"match": {}, "pool": "app"}]}


def test_a_body_that_is_slowed_down_comes_whole():
    with limited(**paced("64MiB/1s", burst="64KiB")) as (_, proxy), proxy.client() as client:
        answer = client.get("/large")
        assert answer.complete and answer.body == LARGE
        assert shown(proxy, "slow")["waited_seconds"] > 0
        assert shown(proxy, "slow")["refused"] == 0


def test_what_is_over_the_rate_has_not_come_when_others_are_answered():
    with limited(**paced("64KiB/1h")) as (_, proxy), proxy.client(receive_buffer=1 << 20) as client:
        client.send(request_bytes(target="/large"))
        assert client.exactly(32 * 1024)
        until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
        assert statuses(proxy, 50) == [200] * 50, "others on the same worker go on"
        assert 32 * 1024 + arrived(client) < 1024 * 1024


def arrived(client):
    """How many bytes have come until now."""
    client.sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while data := client.sock.recv(1 << 20):
            client.buffer.feed(data)
    return len(client.buffer.data)


def test_many_small_answers_are_slowed_down_as_one_large_one_is():
    limits = {"slow": {"kind": "bandwidth", "rate": "64KiB/1h"}}
    with limited(limits, answering_large()) as (_, proxy), proxy.client(receive_buffer=1 << 20) as client:
        client.send(request_bytes(target="/medium") * 200)
        until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
        assert arrived(client) < 100 * 4096


def test_what_one_answer_took_slows_down_the_next():
    with limited(**paced("64KiB/1h")) as (_, proxy), proxy.client() as first, proxy.client(receive_buffer=1 << 20) as second:
        first.send(request_bytes(target="/large"))
        until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
        waited = shown(proxy, "slow")["waited_seconds"]
        second.send(request_bytes(target="/large"))
        until(lambda: shown(proxy, "slow")["waited_seconds"] > waited, "another wait")
        assert arrived(second) < 1024 * 1024


def test_a_tunnel_is_slowed_down_too():
    async def tunnel(connection):
        await connection.head()
        await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n" + LARGE)
        await connection.until_closed()

    with limited({"slow": {"kind": "bandwidth", "rate": "64KiB/1h"}}, tunnel) as (_, proxy), proxy.client(receive_buffer=1 << 20) as client:
        assert client.request(fields={"Upgrade": "echo", "Connection": "upgrade"}).status == 101
        until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
        assert arrived(client) < 1024 * 1024


def test_a_slow_body_comes_whole_although_its_limit_goes():
    with limited(**paced("8MiB/1s", burst="64KiB")) as (server, proxy), proxy.client() as client:
        client.send(request_bytes(target="/large"))
        until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
        proxy.reload(limiting([server], {"other": fixed(1000)}))
        answer = client.response()
        assert answer.complete and answer.body == LARGE


def test_a_client_that_goes_away_while_it_is_slowed_down_leaves_nothing():
    with limited(**paced("64KiB/1h")) as (_, proxy):
        with proxy.client() as client:
            client.send(request_bytes(target="/large"))
            until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
            client.reset()
        until(lambda: proxy.page("status")["exchanges_active"] == 1, "the end of an exchange whose client is gone")


def test_the_end_of_the_process_does_not_wait_for_a_slow_body():
    with limited(**paced("64KiB/1h"), timeouts={"drain": "100ms"}) as (_, proxy), proxy.client() as client:
        client.send(request_bytes(target="/large"))
        until(lambda: shown(proxy, "slow")["waited_seconds"] > 0, "a wait")
        proxy.check()


# Exactly, however many come at once

HAMMERING = {"fixed": fixed(300), "sliding": {"kind": "sliding_window", "rate": "300/24h"}, "bucket": {"rate": "300/24h"}}


@pytest.mark.parametrize("kind", HAMMERING)
def test_many_connections_over_two_workers_get_exactly_what_is_allowed(kind):
    with limited({"a": HAMMERING[kind]}, workers=2) as (server, proxy):
        assert hammer([proxy]) == (300, 660)
        server.settle()
        assert len(server.requests) == 300
        found = shown(proxy, "a")
        assert (found["passed"], found["refused"]) == (300, 660)


def test_never_more_at_once_than_allowed_over_two_workers():
    limits = {"at-once": {"kind": "concurrent", "active_max": 5}}
    with PoolServer("a") as server, Proxy(limiting([server], limits, workers=2)) as proxy:
        passed, refused = hammer([proxy])
        assert server.active_most <= 5 and passed == len(server.requests) and passed + refused == 960
        server.hold()
        with held(proxy, server, 5):
            assert proxy.get().status == 429, "none of all these was given back twice"
            server.let_go()


# What stays over a reload


@pytest.mark.parametrize("how", ["reload", "upgrade"])
def test_who_waits_as_told_is_served_after_a_limit_was_raised(how):
    with limited({"a": {"rate": "10/1h"}}) as (server, proxy):
        assert statuses(proxy, 11) == [200] * 10 + [429]
        getattr(proxy, how)(limiting([server], {"a": {"rate": "10/1s"}}))
        until(lambda: proxy.get().status == 200, "what the other rate has left is forgiven")


def test_who_was_slow_is_not_slow_after_a_bandwidth_was_raised():
    rule = {"kind": "bandwidth", "rate": "1KiB/1s", "burst": "1KiB"}
    with limited({"a": rule}, answering(reply(body=b"x" * 200_000))) as (server, proxy):
        with proxy.client() as client:
            client.send(request_bytes())
            client.exactly(8_000)
        proxy.reload(limiting([server], {"a": {"kind": "bandwidth", "rate": "100MiB/1s", "burst": "100MiB"}}))
        assert proxy.get().complete


def test_a_reload_keeps_what_was_counted():
    with limited({"a": fixed(5)}) as (server, proxy):
        assert statuses(proxy, 3) == [200] * 3
        proxy.reload(limiting([server], {"a": fixed(5)}, timeouts={"idle": "9s"}))
        assert statuses(proxy, 3) == [200, 200, 429]
        proxy.reload(limiting([server], {"b": fixed(2, key="path"), "a": fixed(5)}))
        assert statuses(proxy, 2) == [429] * 2
        found = shown(proxy, "a")
        assert (found["passed"], found["refused"]) == (5, 3)


def test_a_new_rate_counts_from_what_was_counted():
    with limited({"a": fixed(5)}) as (server, proxy):
        assert statuses(proxy, 6) == [200] * 5 + [429]
        proxy.reload(limiting([server], {"a": fixed(8)}))
        assert statuses(proxy, 4) == [200] * 3 + [429]
        proxy.reload(limiting([server], {"a": fixed(3)}))
        assert statuses(proxy, 2) == [429] * 2


def test_limits_come_and_go_with_reloads():
    with limited({"a": fixed(1)}) as (server, proxy):
        assert statuses(proxy, 2) == [200, 429]
        proxy.reload(configuration(server, listeners=[{"bind": "127.0.0.1:0", "status_pages": True}]))
        assert statuses(proxy, 10) == [200] * 10
        assert proxy.page("status")["limits"] == []
        proxy.reload(limiting([server], {"new": fixed(2)}))
        assert statuses(proxy, 3) == [200, 200, 429]


@pytest.mark.parametrize("changed", [fixed(2, key="path"), {"rate": "2/1h"}, fixed(2, ipv4_prefix=24)], ids=["key", "kind", "prefix"])
def test_what_means_something_else_begins_anew(changed):
    with limited({"a": fixed(2)}) as (server, proxy):
        assert statuses(proxy, 3) == [200, 200, 429]
        proxy.reload(limiting([server], {"a": changed}))
        assert statuses(proxy, 3) == [200, 200, 429]


def test_a_refused_reload_changes_nothing():
    with limited({"a": fixed(2)}) as (server, proxy):
        assert statuses(proxy, 1) == [200]
        proxy.reload(limiting([server], {"a": {"kind": "fixed_window", "rate": "nonsense"}}), wait="not reloaded")
        assert statuses(proxy, 2) == [200, 429]


def test_reloads_amid_requests_lose_no_count():
    with limited({"a": fixed(100)}, workers=2) as (server, proxy):
        ended = threading.Event()
        found = []

        def ask():
            with proxy.client() as client:
                while not ended.is_set():
                    found.append(client.get().status)
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for at in range(8):
            proxy.reload(limiting([server], {"a": fixed(100), f"b{at}": fixed(100_000)}, workers=2))
        until(lambda: 429 in found, "the limit")
        ended.set()
        for thread in threads:
            thread.join()
        assert found.count(200) == 100 and set(found) == {200, 429}
