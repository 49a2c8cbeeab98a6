"""What servers are told about clients, what is rewritten, and what ends at the proxy."""

import pytest

from client import request_bytes
from harness import Proxy, configuration, proxied
from messages import reply
from server import Server, answering


def seen_with(fields, forwarded=None, route=None, target="/", host="test.local"):
    """The request as the server sees it when a client sends it with these fields."""
    overrides = {"forwarded": forwarded} if forwarded else {}
    if route:
        overrides["routes"] = [{"pool": "app", **route}]
    with proxied(**overrides) as (server, proxy):
        with proxy.client() as client:
            client.send(f"GET {target} HTTP/1.1\r\n" + (f"Host: {host}\r\n" if host else "")
                        + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n")
            assert client.response().status == 200
        return server.requests[0]


def test_the_server_is_told_address_scheme_and_host_of_the_client():
    seen = seen_with([], host="shop.example:8080")
    assert seen.value("x-forwarded-for") == "127.0.0.1"
    assert seen.value("x-forwarded-proto") == "http"
    assert seen.value("x-forwarded-host") == "shop.example:8080"
    assert seen.value("forwarded") is None


SPOOFED = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "7.7.7.7"), ("X-Forwarded-Proto", "https"),
           ("X-Forwarded-Host", "bank.example"), ("Forwarded", "for=6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("X_Forwarded_For", "6.6.6.6")]


def test_what_a_stranger_says_of_himself_is_dropped():
    seen = seen_with(SPOOFED)
    assert seen.value("x-forwarded-for") == "127.0.0.1"
    assert seen.value("x-forwarded-proto") == "http"
    assert seen.value("x-forwarded-host") == "test.local"
    assert not any("6.6.6.6" in value or "bank" in value for _, value in seen.fields)


def test_what_a_trusted_proxy_says_is_extended():
    seen = seen_with(SPOOFED[:4], forwarded={"trusted_proxies": ["127.0.0.0/8"]})
    assert seen.value("x-forwarded-for") == "6.6.6.6, 7.7.7.7, 127.0.0.1"
    assert seen.value("x-forwarded-proto") == "https"
    assert seen.value("x-forwarded-host") == "bank.example"


def test_a_proxy_outside_the_trusted_networks_is_a_stranger():
    seen = seen_with(SPOOFED, forwarded={"trusted_proxies": ["10.0.0.0/8", "::1"]})
    assert seen.value("x-forwarded-for") == "127.0.0.1"


def test_the_standard_field_is_written_when_it_is_asked_for():
    seen = seen_with([], forwarded={"style": "forwarded"})
    assert seen.value("forwarded") == 'for=127.0.0.1;host="test.local";proto=http'
    assert seen.value("x-forwarded-for") is None


def test_both_styles_and_none():
    seen = seen_with([], forwarded={"style": "both"})
    assert seen.value("forwarded") and seen.value("x-forwarded-for") == "127.0.0.1"
    seen = seen_with(SPOOFED, forwarded={"style": "off"})
    assert not any(name.lower() in ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto") for name, _ in seen.fields)


def test_via_names_the_proxy_and_the_version_received():
    assert seen_with([]).value("via") == "1.1 steelyard"
    assert seen_with([], forwarded={"via": False}).value("via") is None
    assert seen_with([("Via", "1.0 before")]).listed("via") == ["1.0 before", "1.1 steelyard"]


def test_the_host_is_the_clients_unless_the_route_says_otherwise():
    assert seen_with([], host="Shop.Example").value("host").lower() == "shop.example"
    assert seen_with([], route={"host": "backend.internal"}).value("host") == "backend.internal"


def test_the_host_may_be_the_servers_own_address():
    with proxied(routes=[{"pool": "app", "host": "server"}]) as (server, proxy):
        proxy.get()
        assert server.requests[0].value("host") == server.address


EDITS = {
    "request_headers": {"remove": ["X-Secret", "user-agent"], "set": {"X-Tier": "gold"}, "add": {"X-Many": "2"}},
    "response_headers": {"remove": ["Server"], "set": {"X-Frame-Options": "DENY"}, "add": {"X-Many": "b"}},
}


def test_fields_are_edited_on_both_sides():
    answer_fields = {"Server": "thing/1", "X-Frame-Options": "ALLOW", "X-Many": "a"}
    with proxied(answering(reply(body="x", fields=answer_fields)), routes=[{"pool": "app", **EDITS}]) as (server, proxy):
        answer = proxy.get("/", X_Secret="s", User_Agent="u", X_Tier="lead", X_Many="1")
        seen = server.requests[0]
        assert not seen.values("x-secret") and not seen.values("user-agent")
        assert seen.values("x-tier") == ["gold"] and sorted(seen.values("x-many")) == ["1", "2"]
        assert not answer.values("server") and answer.values("x-frame-options") == ["DENY"]
        assert sorted(answer.values("x-many")) == ["a", "b"]


def test_what_belongs_to_one_hop_ends_there():
    seen = seen_with([("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"),
                      ("Proxy-Connection", "keep-alive"), ("Proxy-Authorization", "Basic eDp5"), ("Upgrade", "h2c"),
                      ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"), ("X-Yours", "2")])
    names = [name.lower() for name, _ in seen.fields]
    for gone in ("x-mine", "keep-alive", "proxy-connection", "upgrade", "http2-settings", "te"):
        assert gone not in names, seen.fields
    assert seen.value("x-yours") == "2"


def test_nominating_our_own_fields_does_not_remove_them():
    seen = seen_with([("Connection", "close, X-Forwarded-For, X-Request-Id, Via")])
    assert seen.value("x-forwarded-for") == "127.0.0.1" and seen.value("host") == "test.local"
    assert seen.value("x-request-id") and seen.value("via")


def test_what_belongs_to_the_servers_hop_does_not_reach_the_client():
    answer_bytes = (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"
                    b"Proxy-Connection: close\r\nUpgrade: h2c\r\nContent-Length: 0\r\nX-Yours: 2\r\n\r\n")
    with proxied(answering(answer_bytes)) as (_, proxy):
        answer = proxy.get()
        for gone in ("x-mine", "keep-alive", "proxy-connection", "upgrade"):
            assert not answer.values(gone), answer.fields
        assert answer.value("x-yours") == "2"


def test_a_proxy_header_never_reaches_a_cgi():
    assert seen_with([("Proxy", "http://evil.example")]).value("proxy") is None


def test_each_request_has_an_id_of_its_own():
    with proxied() as (server, proxy):
        for _ in range(20):
            proxy.get()
        ids = [request.value("x-request-id") for request in server.requests]
        assert len(set(ids)) == 20 and all(len(one) >= 8 for one in ids)


def test_an_error_answer_names_the_request():
    with proxied(routes=[{"match": {"path": "/only"}, "pool": "app"}]) as (_, proxy):
        assert proxy.get("/nowhere").value("x-request-id")


def test_an_answer_without_date_gets_one_and_a_date_stays():
    with proxied(answering(reply())) as (_, proxy):
        assert proxy.get().value("date").endswith(" GMT")
    with proxied(answering(reply(fields={"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}))) as (_, proxy):
        assert proxy.get().value("date") == "Sun, 06 Nov 1994 08:49:37 GMT"


def test_a_circle_of_proxies_is_cut():
    with proxied() as (server, proxy):
        with proxy.client() as client:
            client.send(request_bytes("GET", "/", {"Via": ", ".join(["1.1 steelyard"] * 20)}))
            assert client.response().status == 508
        server.settle()
        assert not server.requests


def test_a_proxy_that_is_its_own_server_does_not_go_round_for_ever():
    with Server() as unused:
        first = configuration(unused)
        with Proxy(first) as probe:
            port = probe.port
        first["listeners"][0]["bind"] = f"127.0.0.1:{port}"
        first["pools"]["app"]["servers"] = [{"address": f"127.0.0.1:{port}"}]
        with Proxy(first) as proxy:
            assert proxy.get().status == 508


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
def test_max_forwards_is_counted_down(method):
    with proxied() as (server, proxy):
        with proxy.client() as client:
            answer = client.request(method, "/", {"Max-Forwards": "3"})
        if answer.status == 200:
            assert server.requests[0].value("max-forwards") == "2"
        else:
            assert method == "TRACE" and answer.status in (405, 501)
