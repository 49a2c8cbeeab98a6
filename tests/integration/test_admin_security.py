"""Attacks on the admin API: by web pages, by servers that register, by whoever sends it what it does not expect."""

import contextlib
import json
import os
import socket
import stat
from pathlib import Path

import pytest

from admin import OPERATOR, REGISTRAR, SERVERS, Admin, Answered, administered, refused_start, registering, token_file
from client import Ended, request_bytes
from harness import Proxy, configuration, free_port
from pool_server import bodies, pool_of, until

OTHER = "another-pool-s-token-0123456789"


@pytest.fixture
def two():
    with pool_of("a", "b") as servers:
        yield servers


@contextlib.contextmanager
def guarded(server, directory, admin=None, **overrides):
    """A proxy with an operator's token and two pools that take registrations, each with a token of its own."""
    config = administered(server, pool=registering(directory), **overrides,
                          admin={"token_file": token_file(directory, "operator", OPERATOR), **(admin or {})})
    other = {"token_file": token_file(directory, "other", OTHER), "networks": ["127.0.0.0/8"]}
    config["pools"]["other"] = {"servers": [server.address], "registration": other}
    config["routes"] = [{"match": {}, "pool": "app"}]
    with Proxy(config) as proxy:
        yield proxy


# Who may ask


def test_without_the_operator_s_token_nothing_is_shown_or_done(two, tmp_path):
    with guarded(two[0], tmp_path) as proxy:
        operator = Admin(proxy, OPERATOR)
        before = operator.shown(SERVERS)
        paths = [(method.upper(), path.replace("{pool}", "app").replace("{id}", two[0].address))
                 for path, operations in operator.shown("/v1/openapi.json")["paths"].items() for method in operations]
        assert len(paths) >= 19
        for token in (None, "x", OPERATOR[:-1], OPERATOR + "x", OPERATOR.upper(), f"{OPERATOR},{OPERATOR}", REGISTRAR[::-1]):
            for method, path in paths if token is None else paths[:1]:
                answer = Admin(operator.where, token).request(method, path, {"address": two[1].address} if method == "PUT" else None)
                assert answer.status == 401 and answer.value("www-authenticate") == "Bearer", (method, path, answer)
                assert answer.code == ("token_missing" if token is None else "token_wrong")
        assert operator.shown(SERVERS) == before
        assert not any(OPERATOR in text or REGISTRAR in text for text in proxy.lines)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", f"Basic {OPERATOR}", OPERATOR, f"Bearer{OPERATOR}", "Bearer \xff\xfe",
                                           f'Bearer "{OPERATOR}"', f"Bearer {OPERATOR} {OPERATOR}", "Bearer " + "x" * 8000])
def test_other_spellings_of_credentials_are_none(two, tmp_path, authorization):
    with guarded(two[0], tmp_path) as proxy:
        assert Admin(proxy).get("/v1/status", Authorization=authorization).status == 401


def test_two_credentials_in_one_request_are_none(two, tmp_path):
    with guarded(two[0], tmp_path) as proxy, Admin(proxy).connect() as connection:
        line = f"Authorization: Bearer {OPERATOR}\r\n"
        connection.send(f"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n{line}{line}\r\n")
        assert Answered(connection.response()).status == 400


def test_a_token_in_the_query_or_a_cookie_is_none(two, tmp_path):
    with guarded(two[0], tmp_path) as proxy:
        admin = Admin(proxy)
        for path in (f"/v1/status?token={OPERATOR}", f"/v1/status?access_token={OPERATOR}"):
            assert admin.get(path).status == 401
        assert admin.get("/v1/status", Cookie=f"token={OPERATOR}").status == 401


def test_a_registration_token_serves_for_servers_of_its_pool_and_nothing_else(two, tmp_path):
    with guarded(two[0], tmp_path) as proxy:
        registrar, other, operator = Admin(proxy, REGISTRAR), Admin(proxy, OTHER), Admin(proxy, OPERATOR)
        for path, operations in operator.shown("/v1/openapi.json")["paths"].items():
            if path in ("/v1/pools/{pool}/servers/{id}", "/v1/pools/{pool}/servers/{id}/renew"):
                continue
            for method in operations:
                answer = registrar.request(method.upper(), path.replace("{pool}", "app").replace("{id}", "x"))
                assert (answer.status, answer.code) == (403, "not_allowed"), (method, path)
        x = f"{SERVERS}/x"
        assert registrar.put(x, {"address": two[1].address}).status == 201
        assert registrar.get(x).status == registrar.patch(x, {"weight": 9}).status == 403
        for method, path in (("PUT", x), ("DELETE", x), ("POST", f"{x}/renew"), ("PUT", f"{SERVERS}/y")):
            answer = other.request(method, path, {"address": "127.0.0.1:2000"} if method == "PUT" else None)
            assert (answer.status, answer.code) == (403, "not_allowed"), (method, path)
        assert registrar.delete(f"{x}?deadline=0s").status == 403
        assert operator.server("x")["weight"] == 1 and set(operator.servers("other")) == {two[0].address}
        assert registrar.delete(x).status == 204


@pytest.mark.parametrize("path", [
    f"{SERVERS}/x/../../../other/servers/x", f"{SERVERS}/%2e%2e/%2e%2e/other/servers/x", "/v1/pools/app%2F..%2Fother/servers/x",
    "/v1//pools/other/servers/x", "//v1/pools/other/servers/x", "/v1/pools/other/../app/servers/../../other/servers/x",
    "/v1/pools/./other/servers/x", "/v1/pools/other;app/servers/x", "/v1/pools/%6fther/servers/x", "/v1/pools/other%00app/servers/x",
    "/v1/pools/app\\..\\other/servers/x", f"{SERVERS}/..%2f..%2fother%2fservers%2fx", f"{SERVERS}/.%2e/.%2e/other/servers/x",
])
def test_no_path_leads_out_of_the_pool_of_a_token(two, tmp_path, path):
    with guarded(two[0], tmp_path) as proxy, Admin(proxy).connect() as connection:
        fields = {"Authorization": f"Bearer {REGISTRAR}", "Content-Type": "application/json"}
        answer = connection.request("PUT", path, fields, json.dumps({"address": two[1].address}), "localhost")
        assert answer.status in (400, 403, 404), answer
        operator = Admin(proxy, OPERATOR)
        assert set(operator.servers("other")) == set(operator.servers()) == {two[0].address}


def test_a_reload_exchanges_tokens(two, tmp_path):
    with guarded(two[0], tmp_path) as proxy:
        old, fresh = Admin(proxy, OPERATOR), Admin(proxy, OPERATOR[::-1])
        token_file(tmp_path, "operator", OPERATOR[::-1])
        config = json.loads(proxy.config.read_text())
        proxy.reload(config)
        assert old.get("/v1/status").status == 401 and fresh.get("/v1/status").status == 200
        (tmp_path / "operator").write_text("short\n")
        proxy.reload(config, wait="the configuration is not reloaded")
        assert fresh.get("/v1/status").status == 200


# Pages of other sites


@pytest.mark.parametrize("host", ["evil.test", "evil.test:9900", "localhost.evil.test", "127.0.0.1.evil.test", "127.0.0.1.1", "xlocalhost",
                                  "admin", "0x7f.1", "2130706433", "[::1].evil.test", "localhost:80.evil.test", "[localhost]", ""])
def test_a_name_that_leads_here_is_not_ours(two, host):
    with Proxy(administered(two[0])) as proxy, Admin(proxy).connect() as connection:
        answer = connection.request("GET", "/v1/status", host=host)
        assert answer.status in (400, 421), answer
        assert two[0].address.encode() not in answer.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9900", "localhost.", "127.0.0.1:1", "[::1]:9900", "10.1.2.3",
                                  "proxy.internal:9900"])
def test_addresses_localhost_and_configured_names_are_ours(two, host):
    with Proxy(administered(two[0], admin={"hosts": ["proxy.internal"]})) as proxy:
        assert Admin(proxy).get("/v1/status", host=host).status == 200


FOREIGN = [{"Origin": "http://evil.test"}, {"Origin": "null"}, {"Origin": "https://localhost"}, {"Origin": "http://localhost:1"},
           {"Origin": "http://localhost.evil.test"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
           {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}]


@pytest.mark.parametrize("fields", FOREIGN)
def test_what_a_page_of_another_site_sends_is_refused(two, fields):
    with Proxy(administered(*two)) as proxy:
        admin = Admin(proxy)
        for method, path, body in (("GET", SERVERS, None), ("POST", f"{SERVERS}/{two[1].address}/drain", None),
                                   ("DELETE", f"{SERVERS}/{two[1].address}", None), ("POST", "/v1/reload", None),
                                   ("PUT", f"{SERVERS}/x", {"address": "127.0.0.1:2000"}), ("GET", "/v1/events", None)):
            with admin.connect() as connection:
                made = {**fields, **({"Content-Type": "application/json"} if body else {})}
                answer = Answered(connection.request(method, path, made, body and json.dumps(body), "localhost"))
            assert (answer.status, answer.code) == (403, "foreign_origin"), (method, path, answer)
        assert not any(server["drained"] for server in admin.servers().values()) and len(admin.servers()) == 2


def test_our_own_page_may_ask(two):
    with Proxy(administered(two[0])) as proxy:
        admin = Admin(proxy)
        assert admin.get("/v1/status", Origin="http://localhost", Sec_Fetch_Site="same-origin").status == 200
        assert admin.get("/v1/status", Sec_Fetch_Site="none").status == 200


def test_another_site_s_page_learns_nothing_by_asking_beforehand(two):
    with Proxy(administered(two[0])) as proxy, Admin(proxy).connect() as connection:
        fields = {"Origin": "http://evil.test", "Access-Control-Request-Method": "PUT"}
        answer = connection.request("OPTIONS", f"{SERVERS}/x", fields, host="localhost")
        assert answer.status == 403 and not any(name.lower().startswith("access-control") for name, _ in answer.fields)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
                                          "application/jsonx", "text/json", "text/plain; application/json", "application/yaml"])
def test_what_a_form_can_send_is_refused(two, content_type):
    with Proxy(administered(two[0])) as proxy, Admin(proxy).connect() as connection:
        fields = {} if content_type is None else {"Content-Type": content_type}
        answer = Answered(connection.request("PUT", f"{SERVERS}/x", fields, json.dumps({"address": two[1].address}), "localhost"))
        assert (answer.status, answer.code) == (415, "unsupported_media_type")
        assert set(Admin(proxy).servers()) == {two[0].address}


def test_asking_changes_nothing(two):
    with Proxy(administered(*two)) as proxy:
        admin = Admin(proxy)
        before = admin.shown(SERVERS)
        for method in ("GET", "HEAD"):
            for path in ("/v1/reload", "/v1/check", f"{SERVERS}/{two[0].address}/drain", f"{SERVERS}/{two[0].address}/renew"):
                assert Admin(proxy).request("GET", path).status == 405
        body = json.dumps({"weight": 9})
        with admin.connect() as connection:
            fields = {"Content-Type": "application/json", "X-HTTP-Method-Override": "PATCH", "X-Method-Override": "DELETE"}
            connection.request("GET", f"{SERVERS}/{two[0].address}?_method=DELETE", fields, body, "localhost")
        assert admin.shown(SERVERS) == before


# Bodies


DEEP = 100_000
HOSTILE = {
    "no JSON": (b"{", 400),
    "two values": (b"{} {}", 400),
    "a comment": (b'{"weight": 1 /* x */}', 400),
    "a comma too many": (b'{"weight": 1,}', 400),
    "NUL": (b'{"weight": 1}\0', 400),
    "NUL and more": (b'{"weight": 1}\0, "weight": 2}', 400),
    "bytes that are no text": (b'{"labels": {"x": "\xff\xfe"}}', 400),
    "half a surrogate": (b'{"labels": {"x": "\\ud800"}}', 400),
    "not a number": (b'{"weight": NaN}', 400),
    "infinite": (b'{"weight": Infinity}', 400),
    "a name twice": (b'{"weight": 1, "weight": 2}', 400),
    "deep lists": (b"[" * DEEP + b"]" * DEEP, 400),
    "deep lists without an end": (b"[" * DEEP, 400),
    "deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400),
    "a list": (b"[]", 422),
    "a text": (b'"x"', 422),
    "null": (b"null", 422),
    "a long number": (b'{"weight": ' + b"9" * 500_000 + b"}", 400),
    "a small number": (b'{"weight": 0.' + b"0" * 500_000 + b"1}", 422),
    "a huge exponent": (b'{"weight": 1e999999999}', 400),
    "a negative exponent": (b'{"weight": 1e-999999999}', 422),
    "beyond 64 bits": (b'{"weight": 18446744073709551616}', 422),
    "beyond 32 bits": (b'{"weight": 4294967297}', 422),
    "negative": (b'{"weight": -2147483648}', 422),
    "many keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(50_000)) + b"}", 400),
    "a long name": (b'{"' + b"x" * 500_000 + b'": 1}', 422),
    "nothing": (b"", 400),
    "a byte order mark": (b'\xef\xbb\xbf{"weigth": 1}', (400, 422)),
}


@pytest.mark.parametrize(("body", "status"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_body_is_refused_briefly(two, body, status):
    with Proxy(administered(two[0])) as proxy:
        admin = Admin(proxy)
        path = f"{SERVERS}/{two[0].address}"
        before = proxy.rss_kib()
        with admin.connect() as connection:
            answer = Answered(connection.request("PATCH", path, {"Content-Type": "application/json"}, body, "localhost"))
        assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
        assert len(answer.body) < 4096
        assert proxy.grown_kib(before) < 32 * 1024
        assert admin.server(two[0].address)["weight"] == 1


def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(two):
    with Proxy(administered(two[0])) as proxy:
        for framing in ("Content-Length: 1048577", "Content-Length: 99999999999", "Transfer-Encoding: chunked"):
            with Admin(proxy).connect() as connection:
                connection.send(f"PUT {SERVERS}/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{framing}\r\n\r\n")
                if "chunked" in framing:
                    with contextlib.suppress(ConnectionError):
                        for _ in range(80):
                            connection.send(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
                answer = Answered(connection.response())
                assert (answer.status, answer.code) == (413, "too_large")
        assert bodies_ok(proxy)


def bodies_ok(proxy):
    with proxy.client() as client:
        return client.get().status == 200


def test_the_largest_body_is_read(two):
    with Proxy(administered(two[0])) as proxy:
        body = b'{"weight": 7' + b" " * (1024 * 1024 - 13) + b"}"
        answer = Admin(proxy).patch(f"{SERVERS}/{two[0].address}", body)
        assert len(body) == 1024 * 1024 and answer.json["weight"] == 7


def test_many_labels_and_long_ones_are_bounded(two):
    with Proxy(administered(two[0])) as proxy:
        admin = Admin(proxy)
        for labels in ({"x": "y" * 100_000}, {"x" * 100_000: "y"}, {str(n): "y" for n in range(1500)}):
            answer = admin.put(f"{SERVERS}/x", {"address": two[1].address, "labels": labels})
            assert answer.status == 422 and answer.json["error"]["field"].startswith("labels") and len(answer.body) < 1024


@pytest.mark.parametrize("head", [
    "GET /v1/status HTTP/1.1\r\n\r\n", "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "GET /v1/status HTTP/2.0\r\nHost: localhost\r\n\r\n", "GET /v1/status\r\n\r\n", "\0\r\n\r\n",
    "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
    "GET /" + "x" * 100_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
])
def test_malformed_requests_are_refused(two, head):
    with Proxy(administered(two[0])) as proxy:
        with Admin(proxy).connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.send(head)
            with contextlib.suppress(Ended):
                assert connection.response().status >= 400
        assert Admin(proxy).get("/v1/status").status == 200


# By way of the data listener


@pytest.mark.parametrize("target", ["/v1/status", "/v1/pools/app/servers", "/..;/v1/status", "/x/../v1/status", "//v1/status",
                                    "/%2e%2e/v1/status", "/v1%2fstatus", "/__admin__", "/admin/v1/status"])
def test_the_data_listener_knows_no_api(two, target):
    with Proxy(administered(two[0])) as proxy:
        where = Admin(proxy).where
        for host in ("localhost", where, "127.0.0.1"):
            for sent in (target, f"http://{where}{target}"):
                with proxy.client() as client:
                    answer = client.request("GET", sent, host=host if sent is target else where)
                assert answer.status >= 400 or answer.body == b"a", answer


def test_nobody_is_tunnelled_to_the_api(two):
    with Proxy(administered(two[0])) as proxy, proxy.client() as client:
        where = Admin(proxy).where
        assert client.request("CONNECT", where, host=where).status >= 400


def test_the_api_has_no_status_pages_and_forwards_nothing(two):
    with Proxy(administered(two[0])) as proxy:
        admin = Admin(proxy)
        for path in ("/__status__", "/__metrics__", "/__health__", "/"):
            assert admin.get(path).status == 404
        with admin.connect() as connection:
            assert connection.request("GET", f"http://{two[0].address}/", host=two[0].address).status in (404, 421)
        assert two[0].requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_client_cannot_reach_the_api_through_a_server_that_registers(two, tmp_path, host):
    port = free_port()
    options = {"bind": f"{host}:{port}", "token_file": token_file(tmp_path, "operator", OPERATOR)}
    with Proxy(administered(two[0], pool=registering(tmp_path), admin=options)) as proxy:
        registrar = Admin(f"127.0.0.1:{port}", REGISTRAR)
        for place in (f"127.0.0.1:{port}", f"127.0.0.77:{port}", f"[::ffff:127.0.0.1]:{port}", f"127.0.0.1:{proxy.port}"):
            answer = registrar.put(f"{SERVERS}/x", {"address": place})
            assert (answer.status, answer.code) == (403, "not_allowed"), place
        assert set(Admin(registrar.where, OPERATOR).servers()) == {two[0].address}


def test_a_client_cannot_reach_the_api_through_the_pool_that_it_would_be_in(two, tmp_path):
    with Proxy(administered(two[0], pool=registering(tmp_path))) as proxy:
        admin = Admin(proxy)
        Admin(admin.where, REGISTRAR).put(f"{SERVERS}/x", {"address": admin.where})
        if "x" in admin.servers():
            until(lambda: admin.server("x")["states"], "it is in the pool")
        assert not any(reachable_status(proxy) for _ in range(4)), "the admin API is open to every client of the proxy"


def reachable_status(proxy):
    with proxy.client() as client:
        answer = client.request("GET", "/v1/status", host="localhost")
        return answer.status == 200 and b"uptime_seconds" in answer.body


def test_a_server_that_is_the_proxy_itself_makes_no_endless_circle(two, tmp_path):
    with Proxy(administered(two[0], pool={**registering(tmp_path), "retries": {"tries_max": 1}})) as proxy:
        admin = Admin(proxy)
        answer = Admin(admin.where, REGISTRAR).put(f"{SERVERS}/x", {"address": f"127.0.0.1:{proxy.port}"})
        if answer.status == 201:
            admin.patch(f"{SERVERS}/{two[0].address}", {"drained": True})
            assert proxy.get().status in (502, 503, 508)
        else:
            assert answer.status in (403, 422)


# What servers may say of themselves


def register(proxy, address, name="x", **keys):
    return Admin(proxy, REGISTRAR).put(f"{SERVERS}/{name}", {"address": address, **keys})


OUTSIDE = ["10.0.0.1:2000", "127.1.0.1:2000", "[::1]:2000", "[::ffff:127.1.0.1]:2000", "0.0.0.0:2000", "[::]:2000", "169.254.169.254:2000",
           "[::ffff:169.254.169.254]:2000", "[fe80::1]:2000", "224.0.0.1:2000", "255.255.255.255:2000", "[ff02::1]:2000",
           "[64:ff9b::7f00:1]:2000", "[::ffff:0:0]:2000", "8.8.8.8:2000"]
TRICKY = ["0x7f.1:2000", "2130706433:2000", "127.1:2000", "0177.0.0.1:2000", "017700000001:2000", "127.0.0.01:2000", "127.0.0.256:2000",
          "localhost:2000", "LOCALHOST:2000", "localhost.:2000", "evil.test:2000", "127.0.0.1.nip.io:2000", "unix:/run/x.sock", "127.0.0.1",
          "127.0.0.1:", ":2000", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:2000x", "127.0.0.1:0x7d0", "127.0.0.1:2000/path",
          "http://127.0.0.1:2000", "127.0.0.1:2000\r\nX: y", "127.0.0.1\u0000:2000", "user@127.0.0.1:2000", "[::1%lo]:2000",
          "[::1%25lo]:2000", "\uff11\uff12\uff17.0.0.1:2000", "127\u30020\u30020\u30021:2000", " 127.0.0.1:2000", "", "127.0.0.1:+2000",
          "127.0.0.1:02000 "]
PORTS = [0, 1, 22, 25, 1023, 6379, 9000, 65535]


@pytest.fixture
def fenced(two, tmp_path):
    """Servers may be at 127.0.0.0/24, at some ports only."""
    pool = registering(tmp_path, networks=["127.0.0.0/24", "10.9.0.0/16"], ports="2000-2999", servers_max=5)
    with Proxy(administered(two[0], pool=pool, admin={"token_file": token_file(tmp_path, "operator", OPERATOR)})) as proxy:
        yield proxy
        assert bodies_ok(proxy)


def test_only_addresses_inside_the_networks_register(fenced, two):
    assert [address for address in OUTSIDE if register(fenced, address).status not in (403, 422)] == []
    assert set(Admin(fenced, OPERATOR).servers()) == {two[0].address}
    assert register(fenced, "127.0.0.9:2000").status == 201


def test_other_spellings_of_addresses_do_not_register(fenced, two):
    others = [5, None, ["127.0.0.1:2000"], {"host": "127.0.0.1"}, True, 127.1]
    assert [address for address in TRICKY + others if register(fenced, address).status != 422] == []
    assert set(Admin(fenced, OPERATOR).servers()) == {two[0].address}


def test_only_ports_that_are_allowed_register(fenced):
    for port in PORTS:
        assert register(fenced, f"127.0.0.1:{port}").status in (403, 422), port
    for name, port in (("low", 2000), ("high", 2999)):
        assert register(fenced, f"127.0.0.1:{port}", name).status == 201


def test_all_of_the_internet_still_does_not_mean_this_machine(two, tmp_path):
    with Proxy(administered(two[0], pool=registering(tmp_path, networks=["0.0.0.0/0", "::/0"]))) as proxy:
        for address in ("127.0.0.1:2000", "[::1]:2000", "169.254.169.254:2000", "[::ffff:127.0.0.1]:2000", "0.0.0.0:2000",
                        "[::ffff:169.254.169.254]:2000", "[fe80::1]:2000", "[::ffff:0.0.0.0]:2000"):
            answer = register(proxy, address)
            assert answer.status in (403, 422), (address, answer)
        assert register(proxy, "10.9.9.9:2000").status == 201


IDS = ["%0d%0aX:y", "..", ".", "%2e%2e", "%2e", "x%2f..%2fy", "x%2fy", "x%00y", "x%22y", "x%5cy", "x%20y", "%ff", "%c3%bc", "x%", "x%4",
       "x%zz", "x" * 1000, "%3cscript%3e", "x%3fy", "x%23y", "x%27y", "x@10.0.0.1", "%1b%5b31m"]


def test_ids_that_would_mean_something_elsewhere_are_refused(fenced, two):
    for name in IDS:
        with Admin(fenced).connect() as connection:
            fields = {"Authorization": f"Bearer {REGISTRAR}", "Content-Type": "application/json"}
            answer = connection.request("PUT", f"{SERVERS}/{name}", fields, '{"address": "127.0.0.1:2000"}', "localhost")
        assert 400 <= answer.status < 500, (name, answer)
    assert set(Admin(fenced, OPERATOR).servers()) == {two[0].address}
    assert all(json.loads(text) for text in fenced.lines)


def test_nobody_takes_what_is_another_s(fenced, two):
    operator, registrar = Admin(fenced, OPERATOR), Admin(fenced, REGISTRAR)
    assert register(fenced, "127.0.0.5:2000").status == 201
    assert operator.put(f"{SERVERS}/y", {"address": "127.0.0.6:2000", "lease": "30s"}).status == 201
    assert operator.server("x")["lease"]["owner"] != operator.server("y")["lease"]["owner"]
    before = operator.shown(SERVERS)
    taken = [register(fenced, "127.0.0.7:2000"), register(fenced, "127.0.0.6:2000", "z"), register(fenced, "127.0.0.6:2000", "y"),
             register(fenced, "127.0.0.8:2000", two[0].address), register(fenced, "127.0.0.6:2000", two[0].address),
             registrar.delete(f"{SERVERS}/y"), registrar.post(f"{SERVERS}/y/renew"), registrar.delete(f"{SERVERS}/{two[0].address}"),
             registrar.post(f"{SERVERS}/{two[0].address}/renew"),
             operator.put(f"{SERVERS}/x", {"address": "127.0.0.5:2000", "lease": "9s"})]
    assert [answer.status for answer in taken] == [409, 409, 403, 403, 403, 403, 403, 403, 403, 403], taken
    after = operator.shown(SERVERS)
    for server in before + after:
        server["lease"] and server["lease"].pop("expires_in")
        server.pop("states")  # a server's share grows meanwhile
    assert after == before


def test_no_more_register_than_are_allowed(fenced):
    answers = [register(fenced, f"127.0.0.1:{2000 + number}", f"s{number}") for number in range(8)]
    assert [answer.status for answer in answers] == [201] * 5 + [409] * 3 and answers[-1].code == "limit_reached"
    assert register(fenced, "127.0.0.1:2000", "s0").status == 200, "who is there may stay"
    assert Admin(fenced, REGISTRAR).delete(f"{SERVERS}/s1").status == 204
    assert register(fenced, "127.0.0.1:2007", "s7").status == 201


@pytest.mark.parametrize("keys", [{"weight": -1}, {"weight": 2 ** 31}, {"weight": 1001}, {"lease": "1ms"}, {"lease": "2h"},
                                  {"lease": "-5s"}, {"lease": 30}, {"lease": "forever"}, {"load": -1}, {"load": 2 ** 64},
                                  {"drained": False}, {"forced": "up"}, {"origin": "configuration"}, {"owner": "operator"}])
def test_a_server_cannot_say_more_of_itself_than_is_allowed(fenced, two, keys):
    assert register(fenced, "127.0.0.1:2000", **keys).status == 422
    assert set(Admin(fenced, OPERATOR).servers()) == {two[0].address}


def test_an_operator_s_word_outlasts_the_server_s_own(fenced):
    operator = Admin(fenced, OPERATOR)
    register(fenced, "127.0.0.1:2000")
    operator.patch(f"{SERVERS}/x", {"drained": True, "forced": "down"})
    assert register(fenced, "127.0.0.1:2000").status == 200
    assert register(fenced, "127.0.0.1:2000", "again").status == 201, "the same server under another id"
    server = operator.server("again")
    assert (server["drained"], server["forced"]) == (True, "down") and "x" not in operator.servers()


def test_a_pool_without_registration_takes_none(two, tmp_path):
    with Proxy(administered(two[0])) as proxy:
        answer = Admin(proxy).put(f"{SERVERS}/x", {"address": two[1].address, "lease": "5s"})
        assert (answer.status, answer.code) == (403, "not_allowed")


# What is too much


def test_a_thousand_slow_connections_touch_no_request(two):
    with Proxy(administered(*two)) as proxy:
        admin = Admin(proxy)
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(admin.connect()) for _ in range(1000)]
            for connection in slow:
                with contextlib.suppress(ConnectionError):
                    connection.send("GET /v1/status HTTP/1.1\r\nHost: loc")
            assert bodies(proxy, 200) == {"a": 100, "b": 100}
            with proxy.client() as client:
                assert [client.request("POST", "/", body="x" * 1000).status for _ in range(50)] == [200] * 50
            slow[0].send("alhost\r\n\r\n")
            assert slow[0].response().status == 200, "who came in time is served"
        until(lambda: answers(admin), "the API answers again")


def answers(admin):
    try:
        return admin.get("/v1/status").status == 200
    except (Ended, ConnectionError):
        return False


def test_connections_over_the_limit_are_told_so(two):
    with Proxy(administered(two[0])) as proxy, contextlib.ExitStack() as stack:
        admin = Admin(proxy)
        for _ in range(256):
            connection = stack.enter_context(admin.connect())
            assert connection.request("GET", "/v1/listeners", host="localhost").status == 200
        answer = admin.get("/v1/status")
        assert (answer.status, answer.code) == (503, "too_many_connections")


def test_ten_thousand_wrong_tokens_fill_no_log(two, tmp_path):
    with guarded(two[0], tmp_path) as proxy:
        with Admin(proxy).connect() as connection:
            for _ in range(2000):
                assert connection.request("GET", "/v1/status", {"Authorization": "Bearer wrong"}, host="localhost").status == 401
        assert sum("was refused" in text for text in proxy.lines) < 20


def test_slow_connections_do_not_keep_the_process(two):
    with Proxy(administered(two[0])) as proxy, contextlib.ExitStack() as stack:
        for text in ("", "GET /v1/st", "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     f"PUT {SERVERS}/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"):
            stack.enter_context(Admin(proxy).connect()).send(text)
        assert Admin(proxy).get("/v1/status").status == 200
        assert proxy.stop() == 0


# Where it listens and what it needs for that


def test_a_unix_socket_is_the_owner_s_alone(two, tmp_path):
    path = tmp_path / "admin.sock"
    before = os.umask(0)
    try:
        with Proxy(administered(two[0], admin={"bind": f"unix:{path}"})) as proxy:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            admin = Admin(proxy)
            assert admin.where == f"unix:{path}" and admin.get("/v1/status").status == 200
            assert admin.get("/v1/status", host="any.name").status == 200
            assert admin.get("/v1/status", Origin="http://evil.test").status == 403
            assert admin.put(f"{SERVERS}/b", {"address": two[1].address}).status == 201
    finally:
        os.umask(before)


def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(two, tmp_path):
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with Proxy(administered(two[0], admin={"bind": f"unix:{path}"})) as proxy:
        assert Admin(proxy).get("/v1/status").status == 200
        said = refused_start(tmp_path, administered(two[0], admin={"bind": f"unix:{path}"}))
        assert "listens there" in said
        assert Admin(proxy).get("/v1/status").status == 200


def test_a_file_in_the_socket_s_place_is_left_alone(two, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert str(path) in refused_start(tmp_path, administered(two[0], admin={"bind": f"unix:{path}"}))
    assert path.read_text() == "data"


@pytest.mark.parametrize("bind", ["0.0.0.0", "[::]", "10.0.0.1"])
def test_beyond_this_machine_a_token_is_needed(tmp_path, bind):
    said = refused_start(tmp_path, administered("127.0.0.1:9", admin={"bind": f"{bind}:{free_port()}"}))
    assert "token_file" in said and bind in said


def test_beyond_this_machine_the_token_counts(two, tmp_path):
    port = free_port()
    admin = {"bind": f"0.0.0.0:{port}", "token_file": token_file(tmp_path, "operator", OPERATOR)}
    with Proxy(administered(two[0], admin=admin)):
        assert Admin(f"127.0.0.1:{port}").get("/v1/status").status == 401
        assert Admin(f"127.0.0.1:{port}", OPERATOR).get("/v1/status").status == 200


TOKENS = {"empty": "", "short": "0123456789abcde\n", "an empty first line": "\n0123456789abcdef0123\n",
          "spaces": "0123456789 abcdef 0123\n",
          "control characters": "0123456789\x01abcdef0123\n", "not ASCII": "0123456789äbcdef0123\n", "too long": "x" * 5000 + "\n",
          "NUL": "0123456789\0abcdef0123\n"}


@pytest.mark.parametrize("text", TOKENS.values(), ids=TOKENS.keys())
def test_a_token_file_without_a_good_token_is_refused(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    said = refused_start(tmp_path, administered("127.0.0.1:9", admin={"token_file": str(path)}))
    assert str(path) in said and ("openssl rand" in said)
    assert not text.strip() or text.strip() not in said


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: os.mkfifo(path, 0o600),
                                  lambda path: path.symlink_to(path)], ids=["missing", "a directory", "a pipe", "a circle"])
def test_what_is_no_token_file_is_refused_at_once(tmp_path, make):
    path = tmp_path / "token"
    make(path)
    assert str(path) in refused_start(tmp_path, administered("127.0.0.1:9", admin={"token_file": str(path)}))
    pool = {"registration": {"token_file": str(path), "networks": ["127.0.0.0/8"]}}
    assert str(path) in refused_start(tmp_path, administered("127.0.0.1:9", pool=pool))


def test_one_token_for_two_purposes_is_refused(tmp_path):
    config = administered("127.0.0.1:9", pool=registering(tmp_path, OPERATOR),
                          admin={"token_file": token_file(tmp_path, "operator", OPERATOR)})
    assert "the same token" in refused_start(tmp_path, config)


def test_a_token_that_others_may_read_is_warned_of(two, tmp_path):
    path = Path(token_file(tmp_path, "operator", OPERATOR))
    path.chmod(0o644)
    with Proxy(administered(two[0], admin={"token_file": str(path)})) as proxy:
        proxy.wait_line("other users may read the token file")
        assert Admin(proxy, OPERATOR).get("/v1/status").status == 200


def test_a_token_with_spaces_around_it_and_a_carriage_return_is_read(two, tmp_path):
    path = Path(token_file(tmp_path, "operator", f"  {OPERATOR} \r\nanother line"))
    with Proxy(administered(two[0], admin={"token_file": str(path)})) as proxy:
        assert Admin(proxy, OPERATOR).get("/v1/status").status == 200


def test_registration_needs_the_api(tmp_path):
    config = configuration("127.0.0.1:9", pool=registering(tmp_path))
    assert "admin" in refused_start(tmp_path, config)


# What others say is shown as text


def test_what_others_say_is_never_markup(two):
    script = "<script>alert(1)</script>"
    with Proxy(administered(two[0])) as proxy:
        admin = Admin(proxy)
        assert admin.put(f"{SERVERS}/x", {"address": "127.0.0.1:9", "labels": {"x": script}}).status == 201
        shown = admin.get(SERVERS)
        assert shown.json[1]["labels"] == {"x": script}
        answers = [shown, admin.get("/v1/status"), admin.get("/v1/%3Cscript%3E"), admin.post("/v1/status", {}),
                   admin.patch(f"{SERVERS}/x", {script: 1}), admin.patch(f"{SERVERS}/x", script)]
        assert {answer.value("content-type") for answer in answers} == {"application/json"}
