"""Servers that are given by name: who is there is what a scripted DNS server says, and what it does not say stops nothing."""

import collections
import contextlib
import json
from pathlib import Path

import pytest

from admin import SERVERS, Admin, administered
from client import request_bytes
from dns_server import GARBAGE, REFUSED, SERVFAIL, SILENT, TRUNCATED, DnsServer
from harness import Proxy
from messages import reply
from pool_server import until
from server import Server


class Everywhere(Server):
    """At every address of this machine, on one port; answers with the address that it was reached at."""

    def __init__(self):
        self.held = None

        async def script(connection):
            place = connection.sock.getsockname()[0]
            while await connection.request():
                if self.held and self.held[0] == place:
                    gate, self.held = self.held[1], None
                    await gate.wait()
                await connection.send(reply(body=place))

        super().__init__(script, host="0.0.0.0")

    def hold(self, place):
        """The next answer of this address waits for the gate that is returned."""
        self.held = (place, self.gate())
        return self.held[1]


@pytest.fixture
def web():
    with Everywhere() as server:
        yield server


@pytest.fixture
def dns():
    with DnsServer() as server:
        yield server


def named(dns, *servers, pool=None, resolve=None, **overrides):
    """Looked up anew all the time."""
    resolve = {"servers": [dns.address], "ttl_min": "10ms", "timeout": "100ms", "tries": 1, **(resolve or {})}
    return administered(pool={"servers": list(servers), **(pool or {})}, resolve=resolve, **overrides)


def places(proxy, count=12):
    """How many requests each address was given; the status where it is not 200."""
    with proxy.client() as client:
        answers = [client.get() for _ in range(count)]
    return collections.Counter(answer.body.decode() if answer.status == 200 else answer.status for answer in answers)


def looked_up(dns, name, count=2):
    """Until it was asked for so many times more, the last of which but one is digested."""
    goal = dns.count(name) + count
    dns.wait(lambda: dns.count(name) >= goal, f"further questions for {name}")


# Without DNS


def test_localhost_needs_no_dns(web, dns):
    with Proxy(named(dns, f"localhost:{web.port}")) as proxy:
        assert places(proxy, 2) == {"127.0.0.1": 2}
        admin = Admin(proxy)
        assert [state["address"] for state in admin.server(f"localhost:{web.port}")["states"]] == [f"127.0.0.1:{web.port}"]
        assert admin.put(f"{SERVERS}/x", {"address": f"localhost:{web.port + 1}"}).status == 201
        assert len(admin.server("x")["states"]) == 1 and dns.asked == []


def hosts_name():
    """A name of this machine's own, beside localhost."""
    lines = [line.split("#")[0].split() for line in Path("/etc/hosts").read_text(encoding="utf-8").splitlines()]
    names = [name for line in lines if line and line[0] == "127.0.0.1" for name in line[1:]]
    return next((name for name in names if not name.startswith("localhost")), None)


@pytest.mark.skipif(hosts_name() is None, reason="/etc/hosts has no name for 127.0.0.1 but localhost")
def test_the_hosts_file_comes_before_dns(web, dns):
    with Proxy(named(dns, f"{hosts_name()}:{web.port}")) as proxy:
        assert places(proxy, 2) == {"127.0.0.1": 2} and dns.asked == []


# What DNS says


def test_a_name_is_a_server_at_each_of_its_addresses(web, dns):
    dns.set("web.test", "A", "127.0.0.2", "127.0.0.3", "127.0.0.4")
    with Proxy(named(dns, f"web.test:{web.port}")) as proxy:
        assert places(proxy) == {"127.0.0.2": 4, "127.0.0.3": 4, "127.0.0.4": 4}
        server = Admin(proxy).server(f"web.test:{web.port}")
        assert [state["id"] for state in server["states"]] == [f"web.test:{web.port}@127.0.0.{n}" for n in (2, 3, 4)]
        assert "name_problem" not in server


def test_addresses_join_and_leave_with_the_answer(web, dns):
    dns.set("web.test", "A", "127.0.0.2", "127.0.0.3", ttl=0)
    with Proxy(named(dns, f"web.test:{web.port}")) as proxy, Admin(proxy).events() as events:
        assert places(proxy) == {"127.0.0.2": 6, "127.0.0.3": 6}
        dns.set("web.test", "A", "127.0.0.3", "127.0.0.4", ttl=0)
        until(lambda: "127.0.0.4" in places(proxy, 2), "the new address gets traffic")
        assert places(proxy) == {"127.0.0.3": 6, "127.0.0.4": 6}
        assert events.seen == []


def test_what_is_under_way_at_an_address_that_leaves_is_finished(web, dns):
    dns.set("web.test", "A", "127.0.0.2", ttl=0)
    with Proxy(named(dns, f"web.test:{web.port}")) as proxy, proxy.client() as client:
        gate = web.hold("127.0.0.2")
        client.send(request_bytes())
        gate.wait_reached()
        dns.set("web.test", "A", "127.0.0.3", ttl=0)
        until(lambda: places(proxy, 1) == {"127.0.0.3": 1}, "the other address has taken over")
        gate.open()
        assert client.response().body == b"127.0.0.2"


def test_a_long_ttl_is_kept_to(web, dns):
    dns.set("slow.test", "A", "127.0.0.2", ttl=3600)
    dns.set("fast.test", "A", "127.0.0.3", ttl=0)
    with Proxy(named(dns, f"slow.test:{web.port}", f"fast.test:{web.port}")) as proxy:
        looked_up(dns, "fast.test", 10)
        assert dns.count("slow.test") == 1
        assert places(proxy, 4) == {"127.0.0.2": 2, "127.0.0.3": 2}


def test_a_ttl_that_is_too_long_is_cut_short(web, dns):
    dns.set("web.test", "A", "127.0.0.2", ttl=2 ** 31 - 1)
    with Proxy(named(dns, f"web.test:{web.port}", resolve={"ttl_max": "10ms"})):
        looked_up(dns, "web.test", 3)


def test_aliases_and_answers_over_tcp(web, dns):
    dns.set("alias.test", "CNAME", "web.test")
    dns.set("web.test", "A", *[f"127.0.0.{n}" for n in range(2, 60)])
    dns.behave("alias.test", TRUNCATED)
    with Proxy(named(dns, f"alias.test:{web.port}")) as proxy:
        assert len(Admin(proxy).server(f"alias.test:{web.port}")["states"]) == 58
        assert ("alias.test", "A", "tcp") in dns.asked


def test_services_have_ports_weights_and_backups(web, dns):
    dns.set("_http._tcp.app.test", "SRV", ("two.test", web.port, 0, 30), ("three.test", web.port, 0, 10),
            ("four.test", web.port, 9, 0), ttl=0)
    for name, place in (("two", 2), ("three", 3), ("four", 4)):
        dns.set(f"{name}.test", "A", f"127.0.0.{place}")
    with Proxy(named(dns, "_http._tcp.app.test")) as proxy:
        assert places(proxy) == {"127.0.0.2": 9, "127.0.0.3": 3}
        states = [state for server in Admin(proxy).servers().values() for state in server["states"]]
        assert sorted(state["address"] for state in states) == [f"127.0.0.{n}:{web.port}" for n in (2, 3, 4)]
        dns.set("_http._tcp.app.test", "SRV", ("four.test", web.port, 9, 0), ttl=0)
        until(lambda: places(proxy, 2) == {"127.0.0.4": 2}, "the backup is all that is left")


@pytest.mark.parametrize(("family", "expected"), [
    ("ipv4_else_ipv6", ["127.0.0.2"]), ("ipv4", ["127.0.0.2"]), ("ipv6", ["[::1]"]), ("both", ["127.0.0.2", "[::1]"])])
def test_the_family_chooses_addresses(web, dns, family, expected):
    dns.set("web.test", "A", "127.0.0.2")
    dns.set("web.test", "AAAA", "::1")
    with Proxy(named(dns, f"web.test:{web.port}", resolve={"family": family})) as proxy:
        states = Admin(proxy).server(f"web.test:{web.port}")["states"]
        assert {state["address"] for state in states} == {f"{place}:{web.port}" for place in expected}


def test_ipv6_serves_where_there_is_no_ipv4(web, dns):
    dns.set("web.test", "AAAA", "::1")
    with Proxy(named(dns, f"web.test:{web.port}")) as proxy:
        assert [state["address"] for state in Admin(proxy).server(f"web.test:{web.port}")["states"]] == [f"[::1]:{web.port}"]


def test_addresses_that_no_server_can_have_are_left_out(web, dns):
    dns.set("web.test", "A", "0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.2")
    with Proxy(named(dns, f"web.test:{web.port}")) as proxy:
        assert places(proxy, 4) == {"127.0.0.2": 4}
        proxy.wait_line("cannot be a server's and is left out")


def test_more_addresses_than_are_wanted_are_cut(web, dns):
    dns.set("web.test", "A", *[f"127.0.0.{n}" for n in range(2, 60)])
    with Proxy(named(dns, f"web.test:{web.port}", resolve={"addresses_max": 3})) as proxy:
        assert set(places(proxy)) == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}
        proxy.wait_line("it has more than 3 addresses")


# What DNS does not say


@pytest.mark.parametrize("behaviour", [None, SERVFAIL, REFUSED, SILENT, GARBAGE])
def test_a_name_that_is_not_found_stops_no_start(web, dns, behaviour):
    dns.behave("lost.invalid", behaviour)
    lost = f"lost.invalid:{web.port}"
    with Proxy(named(dns, lost)) as proxy:
        assert places(proxy, 2) == {503: 2}
        proxy.wait_line(rf"server {lost}: its name could not be looked up: .*it has no address until that succeeds")
        server = Admin(proxy).server(lost)
        assert server["name_problem"] and server["states"] == []
        dns.behave("lost.invalid", None)
        dns.set("lost.invalid", "A", "127.0.0.2", ttl=0)
        until(lambda: places(proxy, 1) == {"127.0.0.2": 1}, "it is found")
        proxy.wait_line(f"server {lost}: its name is found again")
        assert "name_problem" not in Admin(proxy).server(lost)


def test_the_others_serve_while_one_name_is_not_found(web, dns):
    dns.set("web.test", "A", "127.0.0.2")
    with Proxy(named(dns, f"web.test:{web.port}", f"lost.invalid:{web.port}")) as proxy:
        assert places(proxy, 4) == {"127.0.0.2": 4}


@pytest.mark.parametrize("fail", [lambda dns, name: dns.remove(name), lambda dns, name: dns.behave(name, SERVFAIL),
                                  lambda dns, name: dns.behave(name, REFUSED), lambda dns, name: dns.behave(name, SILENT),
                                  lambda dns, name: dns.behave(name, GARBAGE), lambda dns, name: dns.set(name, "A")],
                         ids=["no such name", "failure", "refused", "silence", "garbage", "no address"])
def test_addresses_that_are_known_stay_when_dns_fails(web, dns, fail, request):
    dns.set("web.test", "A", "127.0.0.2", "127.0.0.3", ttl=0)
    name = f"web.test:{web.port}"
    answers = request.node.callspec.id not in ("silence", "garbage")
    # Who answers is waited for, so that a slow machine makes no silence of it, which would be another problem.
    with Proxy(named(dns, name, resolve={"timeout": "10s"} if answers else {})) as proxy:
        fail(dns, "web.test")
        proxy.wait_line(r"could not be looked up: .*the addresses that are known stay")
        assert places(proxy) == {"127.0.0.2": 6, "127.0.0.3": 6}
        server = Admin(proxy).server(name)
        assert server["name_problem"] and len(server["states"]) == 2
        dns.behave("web.test", None)
        dns.set("web.test", "A", "127.0.0.4", ttl=0)
        until(lambda: places(proxy, 1) == {"127.0.0.4": 1}, "it is looked up again")
        if answers:  # a slow machine has more than one silence
            assert sum("could not be looked up" in text for text in proxy.lines) == 1


def test_the_next_dns_server_is_asked(web, dns):
    dns.set("web.test", "A", "127.0.0.2")
    with DnsServer() as first:
        first.behave("web.test", SERVFAIL)
        with Proxy(named(dns, f"web.test:{web.port}", resolve={"servers": [first.address, dns.address]})) as proxy:
            assert places(proxy, 2) == {"127.0.0.2": 2} and first.count("web.test") >= 1


# Names and the API


def test_a_named_server_is_changed_as_a_whole(web, dns):
    dns.set("web.test", "A", "127.0.0.2", "127.0.0.3", ttl=0)
    with Proxy(named(dns, f"127.0.0.9:{web.port}")) as proxy:
        admin = Admin(proxy)
        assert admin.put(f"{SERVERS}/web", {"address": f"web.test:{web.port}"}).status == 201
        until(lambda: len(places(proxy, 3)) == 3, "all three get traffic")
        admin.patch(f"{SERVERS}/web", {"weight": 2})
        assert places(proxy, 10) == {"127.0.0.9": 2, "127.0.0.2": 4, "127.0.0.3": 4}
        admin.post(f"{SERVERS}/web/drain")
        assert places(proxy, 4) == {"127.0.0.9": 4}
        dns.set("web.test", "A", "127.0.0.4", ttl=0)
        until(lambda: [state["address"] for state in admin.server("web")["states"]] == [f"127.0.0.4:{web.port}"], "its address has changed")
        assert places(proxy, 4) == {"127.0.0.9": 4}, "who joins a drained name is drained"
        admin.post(f"{SERVERS}/web/undrain")
        assert set(places(proxy, 6)) == {"127.0.0.9", "127.0.0.4"}
        assert admin.delete(f"{SERVERS}/web").status == 204
        assert places(proxy, 4) == {"127.0.0.9": 4}
        looked_up_until_now = dns.count("web.test")
        dns.set("other.test", "A", "127.0.0.2", ttl=0)
        admin.put(f"{SERVERS}/other", {"address": f"other.test:{web.port}"})
        looked_up(dns, "other.test", 5)
        assert dns.count("web.test") <= looked_up_until_now + 1, "nobody needs that name any more"


def test_a_deadline_cuts_at_every_address_of_a_name(web, dns):
    dns.set("web.test", "A", "127.0.0.2", ttl=0)
    with Proxy(named(dns, f"web.test:{web.port}")) as proxy, proxy.client() as client:
        gate = web.hold("127.0.0.2")
        client.send(request_bytes("POST", body="x"))
        gate.wait_reached()
        answer = Admin(proxy).delete(f"{SERVERS}/web.test:{web.port}?deadline=0s")
        assert answer.status == 202 and answer.json["exchanges_active"] == 1
        proxy.wait_line("exchanges are still under way at the deadline")


def test_other_dns_servers_are_not_taken_up_without_a_word(web, dns):
    dns.set("one.test", "A", "127.0.0.2")
    with Proxy(named(dns, f"one.test:{web.port}")) as proxy:
        config = named(dns, f"one.test:{web.port}", resolve={"tries": 3}, admin={"bind": Admin(proxy).where})
        checked = json.loads(json.dumps(config).replace("127.0.0.1:0", "127.0.0.1:1"))
        assert Admin(proxy).post("/v1/check", checked).json["at_restart"] == ["resolve.tries"]
        proxy.reload(config)
        assert any("resolve" in text and "next start" in text for text in proxy.lines)


def test_a_reload_waits_for_its_names_and_loses_no_request(web, dns):
    dns.set("one.test", "A", "127.0.0.2")
    dns.set("two.test", "A", "127.0.0.3")
    first, second = f"one.test:{web.port}", f"two.test:{web.port}"
    with Proxy(named(dns, first)) as proxy, proxy.client() as client, contextlib.ExitStack() as stack:
        for number in range(20):
            proxy.reload(named(dns, (second, first)[number % 2]))
            stack.enter_context(proxy.client()).send(request_bytes())
            answer = client.get()
            assert answer.status == 200 and answer.body == (b"127.0.0.3", b"127.0.0.2")[number % 2]


def test_a_reload_with_a_name_that_nobody_knows_goes_on_after_a_while(web, dns):
    dns.set("one.test", "A", "127.0.0.2")
    dns.behave("lost.invalid", SILENT)
    with Proxy(named(dns, f"one.test:{web.port}")) as proxy:
        proxy.reload(named(dns, f"one.test:{web.port}", f"lost.invalid:{web.port}"))
        assert places(proxy, 2) == {"127.0.0.2": 2}
