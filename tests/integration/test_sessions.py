"""Sticky sessions by a signed cookie: who gets one, where it leads, and that nobody can make one up or learn anything from it."""

import re

import pytest

from harness import Proxy, configuration
from messages import reply
from pool_server import CHECKED, addresses, ask_until, bodies, pool_of
from server import Server, answering

ALGORITHMS = ["adaptive", "round_robin", "least_connections", "random", "fastest", "ip_hash", "hash"]
SECRET = "0123456789abcdef0123456789abcdef"
STICKY = {"cookie": "home", "secret": SECRET}


@pytest.fixture
def three():
    with pool_of("a", "b", "c") as servers:
        yield servers


def sticky(*servers, pool=None, **options):
    """Options of the sessions by name; those of the pool in `pool`."""
    return configuration(*servers, pool={"sticky": {**STICKY, **options}, **(pool or {})})


def cookie_of(answer):
    """The pair that a browser sends back."""
    return answer.value("set-cookie").split(";")[0]


def session_at(proxy, name):
    """The cookie of a session at the server of that name."""
    def look():
        answer = proxy.get()
        return answer.body.decode() == name and cookie_of(answer)
    return ask_until(look, f"a session at {name}")


def test_the_first_answer_alone_carries_the_cookie(three):
    with Proxy(sticky(*three)) as proxy, proxy.client() as client:
        first = client.get()
        cookie = cookie_of(first)
        assert cookie.startswith("home=")
        for _ in range(5):
            answer = client.get("/", Cookie=cookie)
            assert answer.body == first.body and answer.values("set-cookie") == []


@pytest.mark.parametrize(("options", "attributes"), [
    ({}, {"Path=/", "HttpOnly", "SameSite=Lax"}),
    ({"secure": True}, {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}),
    ({"max_age": "8h"}, {"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=28800"}),
    ({"cookie": "__Host-home", "secure": True}, {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}),
])
def test_the_cookie_has_the_attributes_that_are_configured(three, options, attributes):
    with Proxy(sticky(*three, **options)) as proxy:
        pair, *found = proxy.get().value("set-cookie").split("; ")
    assert set(found) == attributes and len(found) == len(attributes)
    assert pair.startswith(options.get("cookie", "home") + "=")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_cookie_leads_back_with_every_algorithm_and_over_two_workers(three, algorithm):
    config = sticky(*three, pool={"algorithm": algorithm, "hash_key": "path"} if algorithm == "hash" else {"algorithm": algorithm})
    with Proxy({**config, "workers": 2}) as proxy:
        for number in range(4):
            first = proxy.get(f"/first/{number}")
            for address in addresses(8):
                with proxy.client(source=address) as client:
                    again = client.get(f"/again/{address}", Cookie=cookie_of(first))
                assert again.body == first.body and again.values("set-cookie") == []


def test_sessions_survive_a_restart_and_hold_in_every_proxy_of_the_secret(three):
    with Proxy(sticky(*three)) as proxy:
        homes = {name: session_at(proxy, name) for name in "abc"}
    with Proxy(sticky(*three)) as one, Proxy(sticky(*reversed(three))) as two:
        for proxy in (one, two):
            for name, cookie in homes.items():
                answer = proxy.get("/", Cookie=cookie)
                assert answer.body.decode() == name and answer.values("set-cookie") == []
            assert {session_at(proxy, name) for name in "abc"} == set(homes.values())


def test_another_secret_knows_no_session_and_gives_a_new_one(three):
    with Proxy(sticky(*three)) as proxy:
        homes = {name: session_at(proxy, name) for name in "abc"}
    with Proxy(sticky(*three, secret=SECRET[::-1])) as proxy:
        for cookie in homes.values():
            assert cookie_of(proxy.get("/", Cookie=cookie)) not in homes.values()


def test_without_a_secret_sessions_hold_as_long_as_the_process(three):
    config = configuration(*three, pool={"sticky": {"cookie": "home"}})
    with Proxy(config) as proxy:
        cookie = session_at(proxy, "b")
        assert bodies(proxy, 6, Cookie=cookie) == {"b": 6}
    with Proxy(config) as proxy:
        assert proxy.get("/", Cookie=cookie).values("set-cookie")


def with_cookies(client, *lines):
    client.send("GET / HTTP/1.1\r\nHost: test.local\r\n" + "".join(f"Cookie: {line}\r\n" for line in lines) + "\r\n")
    return client.response()


FORGED = {
    "empty": ["home="],
    "no value": ["home"],
    "garbage": ["home=garbage"],
    "zeros": ["home=" + "0" * 32],
    "a name": ["home=a"],
    "not text": ["home=\xff\xfe\x80"],
    "quotes": ["home=\"\"", "home=\"", "home=\"\"\"\""],
    "very long": ["home=" + "0123456789abcdef" * 500],
    "many": ["; ".join(f"cookie{n}={n}" for n in range(500)) + "; home=x"],
    "many lines": [f"cookie{n}={n}" for n in range(50)] + ["home=x"],
    "separators": ["; ;;=; =;home=;=", ";", "="],
    "another name": ["Home=x; xhome=x; homex=x; home =x"],
}


@pytest.mark.parametrize("name", FORGED)
def test_a_cookie_that_was_made_up_is_as_good_as_none(three, name):
    with Proxy(sticky(*three)) as proxy, proxy.client() as client:
        answers = [with_cookies(client, *FORGED[name]) for _ in range(6)]
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 3, "it led somewhere"
        valid = {cookie_of(answer) for answer in answers}
        assert len(valid) == 3 and not valid & set(FORGED[name])


def test_a_digit_that_was_changed_makes_it_another_cookie(three):
    with Proxy(sticky(*three)) as proxy:
        cookie = session_at(proxy, "b")
        for at in (len("home="), 20, len(cookie) - 1):
            changed = cookie[:at] + ("0" if cookie[at] != "0" else "1") + cookie[at + 1:]
            assert len({proxy.get("/", Cookie=changed).body for _ in range(6)}) == 3
        for changed in (cookie + "0", cookie[:-1], cookie.upper().replace("HOME", "home")):
            assert proxy.get("/", Cookie=changed).values("set-cookie")


def test_a_valid_cookie_is_found_among_others_in_quotes_and_before_a_second_one(three):
    with Proxy(sticky(*three)) as proxy, proxy.client() as client:
        a, b = session_at(proxy, "a"), session_at(proxy, "b")
        among = "; ".join(f"cookie{n}={n}" for n in range(200))
        for lines in ([f"{among}; {b}; last=1"], [among, b], [f"xhome=1;{b}"], [b.replace("=", "=\"") + "\""], [f"{b}; {a}"], [b, a]):
            answer = with_cookies(client, *lines)
            assert answer.body == b"b" and answer.values("set-cookie") == [], lines


def test_of_two_cookies_of_the_name_the_first_counts_and_a_bad_one_is_replaced(three):
    with Proxy(sticky(*three)) as proxy:
        b = session_at(proxy, "b")
        assert proxy.get("/", Cookie=f"home=garbage; {b}").status == 200
        assert len({proxy.get("/", Cookie=f"home=garbage; {b}").body for _ in range(6)}) == 3


def test_a_server_that_is_down_hands_its_session_over_for_good(three):
    _, second, _ = three
    with Proxy(sticky(*three, pool={"health": CHECKED, "slow_start": "off"})) as proxy:
        cookie = session_at(proxy, "b")
        second.turn(500)
        moved = proxy.get("/", Cookie=cookie)
        assert moved.status == 200 and moved.body != b"b"
        second.turn(200)
        for _ in range(6):
            again = proxy.get("/", Cookie=cookie_of(moved))
            assert again.body == moved.body and again.values("set-cookie") == []


def test_a_server_that_was_killed_costs_its_sessions_no_request(three):
    with Proxy(sticky(*three)) as proxy:
        cookie = session_at(proxy, "b")
        three[1].leave()
        moved = proxy.get("/", Cookie=cookie)
        assert moved.status == 200 and moved.body != b"b"
        assert bodies(proxy, 6, Cookie=cookie_of(moved)) == {moved.body.decode(): 6}


def test_a_server_that_has_left_the_configuration_is_no_longer_known(three):
    with Proxy(sticky(*three)) as proxy:
        cookie = session_at(proxy, "c")
    with Proxy(sticky(*three[:2])) as proxy:
        answer = proxy.get("/", Cookie=cookie)
        assert answer.body in (b"a", b"b") and cookie_of(answer) != cookie


def test_values_reveal_neither_address_nor_id(three):
    config = sticky(*three)
    for server, name in zip(config["pools"]["app"]["servers"], ("alpha", "beta", "gamma")):
        server["id"] = name
    with Proxy(config) as proxy:
        values = [session_at(proxy, name).removeprefix("home=") for name in "abc"]
    assert len(set(values)) == 3 and all(re.fullmatch(r"[0-9a-f]{32}", value) for value in values)
    for value, server, name in zip(values, three, ("alpha", "beta", "gamma")):
        text = value + bytes.fromhex(value).decode("latin-1")
        for known in (name, server.address, "127.0.0.1", "7f000001"):
            assert known not in text


def test_two_pools_do_not_take_each_others_cookies(three):
    servers = [{"address": server.address} for server in three]
    config = configuration(*three)
    config["pools"] = {name: {"algorithm": "round_robin", "servers": servers, "sticky": STICKY} for name in ("left", "right")}
    config["routes"] = [{"match": {"path": f"/{name}/*"}, "pool": name} for name in ("left", "right")]
    with Proxy(config) as proxy:
        cookie = cookie_of(proxy.get("/left/"))
        assert proxy.get("/left/", Cookie=cookie).values("set-cookie") == []
        answers = [proxy.get("/right/", Cookie=cookie) for _ in range(6)]
        assert len({answer.body for answer in answers}) == 3
        assert cookie not in {cookie_of(answer) for answer in answers}


def with_weight_0(servers, **options):
    """The second server has weight 0; its sessions are from before that."""
    config = sticky(*servers, **options)
    config["pools"]["app"]["servers"][1]["weight"] = 0
    return config


def test_sessions_stay_with_a_server_of_weight_0(three):
    with Proxy(sticky(*three)) as proxy:
        cookie = session_at(proxy, "b")
    with Proxy(with_weight_0(three)) as proxy:
        assert bodies(proxy, 6, Cookie=cookie) == {"b": 6}
        assert "b" not in bodies(proxy, 6)
    with Proxy(with_weight_0(three, follow_drained=False)) as proxy:
        answer = proxy.get("/", Cookie=cookie)
        assert answer.body in (b"a", b"c") and cookie_of(answer) != cookie
        assert "b" not in bodies(proxy, 6, Cookie=cookie)


@pytest.mark.parametrize("follows", [True, False])
def test_sessions_stay_with_a_server_that_asks_for_no_new_traffic(three, follows):
    second = three[1]
    pool = {"health": CHECKED, "slow_start": "off"}
    with Proxy(sticky(*three, pool=pool, follow_drained=follows)) as proxy:
        cookie = session_at(proxy, "b")
        second.turn(410)
        assert "b" not in bodies(proxy, 6)
        if follows:
            assert bodies(proxy, 6, Cookie=cookie) == {"b": 6}
        else:
            assert "b" not in bodies(proxy, 6, Cookie=cookie)
        second.turn(200)
        assert bodies(proxy, 6, Cookie=cookie) == {"b": 6}
        assert "b" in bodies(proxy, 6)


def test_cookies_of_the_servers_own_pass_beside_it():
    with Server(answering(reply(fields={"Set-Cookie": "theirs=1"}))) as server, Proxy(sticky(server)) as proxy:
        answer = proxy.get("/", Cookie="theirs=0; home=made-up")
        assert sorted(value.split("=")[0] for value in answer.values("set-cookie")) == ["home", "theirs"]
        assert server.requests[0].value("cookie") == "theirs=0; home=made-up"


def test_without_sticky_there_is_no_cookie(three):
    with Proxy(configuration(*three)) as proxy:
        assert proxy.get("/", Cookie="home=x").values("set-cookie") == []
