"""The admin API of the running service: servers that come, change, drain and go, and what requests see of it."""

import contextlib
import json
import socket

import pytest

from admin import REGISTRAR, SERVERS, Admin, administered, registering
from client import Ended, request_bytes
from harness import Proxy
from pool_server import CHECKED, bodies, pool_of, until

A, B, C = (f"{SERVERS}/{name}" for name in "abc")


@pytest.fixture
def two():
    with pool_of("a", "b") as servers:
        yield servers


@pytest.fixture
def three():
    with pool_of("a", "b", "c") as servers:
        yield servers


@contextlib.contextmanager
def running(*servers, **overrides):
    """A proxy whose servers have their names as ids, and its API."""
    pool = {"servers": [{"id": server.name, "address": server.address} for server in servers], **overrides.pop("pool", {})}
    with Proxy(administered(pool=pool, **overrides)) as proxy:
        yield proxy, Admin(proxy)


def without_servers(**pool):
    """A proxy whose pool has none that are configured."""
    config = administered(pool={"algorithm": "round_robin", **pool})
    del config["pools"]["app"]["servers"]
    return Proxy(config)


def held(proxy, *servers, method="GET"):
    """One request that waits at each of these servers, which are all that the pool has; by server's name."""
    clients = {}
    for server in servers:
        server.hold()
    while len(clients) < len(servers):
        client = proxy.client()
        client.send(request_bytes(method))
        free = [server for server in servers if server.name not in clients]
        servers[0].wait(lambda: any(server.active for server in free), "the request is at one of them")
        clients[next(server.name for server in free if server.active)] = client
    return clients


# Servers come, change and go


def test_a_server_that_is_added_gets_traffic_at_once(two):
    with running(two[0]) as (proxy, admin):
        assert bodies(proxy, 4) == {"a": 4}
        answer = admin.put(B, {"address": two[1].address, "labels": {"zone": "x"}})
        assert answer.status == 201 and answer.value("location") == B
        assert answer.json["origin"] == "admin" and answer.json["labels"] == {"zone": "x"} and answer.json["weight"] == 1
        assert answer.etag == f'"{answer.json["revision"]}"'
        assert bodies(proxy, 10) == {"a": 5, "b": 5}


def test_a_pool_without_servers_is_brought_one(two):
    with without_servers() as proxy:
        admin = Admin(proxy)
        assert bodies(proxy, 2) == {503: 2}
        admin.add("a", two[0].address)
        assert bodies(proxy, 2) == {"a": 2}


def test_an_id_with_brackets_and_colons_comes_back_from_its_location(two):
    with running(two[0]) as (_, admin):
        answer = admin.put(f"{SERVERS}/%5B%3A%3A1%5D%3A80", {"address": two[1].address})
        assert answer.status == 201 and answer.json["id"] == "[::1]:80"
        assert admin.shown(answer.value("location"))["id"] == "[::1]:80"
        assert admin.delete(answer.value("location")).status == 204


def test_a_changed_weight_changes_shares(two):
    with running(*two) as (proxy, admin):
        assert admin.patch(A, {"weight": 3}).json["weight"] == 3
        assert bodies(proxy, 40) == {"a": 30, "b": 10}
        admin.patch(A, {"weight": 0})
        assert bodies(proxy, 10) == {"b": 10}


def test_a_backup_takes_over_only_when_no_other_can(two):
    with running(*two) as (proxy, admin):
        admin.patch(A, {"backup": True})
        assert bodies(proxy, 6) == {"b": 6}
        admin.patch(B, {"forced": "down"})
        assert bodies(proxy, 6) == {"a": 6}


def test_a_limit_holds_from_now_on_and_null_takes_it_back(two):
    with running(two[0], pool={"concurrency": {"queue_max": 0}}) as (proxy, admin):
        assert admin.patch(A, {"active_max": 1}).json["active_max"] == 1
        client = held(proxy, two[0])["a"]
        assert proxy.get().status == 503
        assert admin.patch(A, {"active_max": None}).json["active_max"] is None
        two[0].let_go()
        assert client.response().status == 200
        assert two[0].active_most == 1


def test_what_is_put_again_changes_nothing(two):
    with running(*two) as (_, admin), admin.events() as events:
        body = {"address": two[1].address, "weight": 7, "labels": {"zone": "x"}}
        first = admin.put(B, body)
        assert first.status == 200
        for _ in range(3):
            again = admin.put(B, body)
            assert (again.status, again.etag) == (200, first.etag)
        last = admin.patch(A, {"weight": 2})
        events.wait("server_changed", id="a", revision=last.json["revision"])
        assert [event[2]["id"] for event in events.seen] == ["b", "a"]


def test_what_is_put_without_a_key_has_its_default_again(two):
    with running(*two) as (_, admin):
        admin.put(B, {"address": two[1].address, "weight": 7, "labels": {"zone": "x"}, "active_max": 5, "backup": True})
        answer = admin.put(B, {"address": two[1].address})
        assert [answer.json[key] for key in ("weight", "labels", "active_max", "backup")] == [1, {}, None, False]


def test_an_address_cannot_be_moved_and_is_there_once(two):
    with running(two[0]) as (_, admin):
        admin.add("b", two[1].address)
        moved = admin.put(B, {"address": two[0].address})
        assert (moved.status, moved.code) == (409, "exists") and moved.json["error"]["field"] == "address"
        twice = admin.put(C, {"address": two[1].address})
        assert (twice.status, twice.code) == (409, "exists") and '"b"' in twice.message
        assert set(admin.servers()) == {"a", "b"}


def test_a_removed_server_gets_nothing_any_more(two):
    with running(*two) as (proxy, admin):
        assert admin.delete(B).status == 204
        assert bodies(proxy, 6) == {"a": 6}
        assert admin.get(B).code == "no_such_server"
        assert admin.delete(B).status == 404
        assert admin.put(B, {"address": two[1].address}).status == 201
        assert admin.server("b")["origin"] == "configuration"
        assert bodies(proxy, 6) == {"a": 3, "b": 3}


def test_a_removed_server_finishes_what_is_under_way(two):
    with running(*two) as (proxy, admin):
        clients = held(proxy, *two)
        two[0].let_go()
        answer = admin.delete(B)
        assert (answer.status, answer.json) == (202, {"pool": "app", "id": "b", "exchanges_active": 1})
        assert bodies(proxy, 6) == {"a": 6}
        assert [server["active"] for server in admin.shown("/v1/pools/app")["servers"] if server["id"] == "b"] == [1]
        two[1].let_go()
        assert clients["b"].response().body == b"b"
        until(lambda: [server["id"] for server in admin.shown("/v1/pools/app")["servers"]] == ["a"], "b is forgotten")


# Draining


def test_a_drained_server_gets_no_new_traffic_and_finishes_what_it_has(two):
    with running(*two) as (proxy, admin):
        clients = held(proxy, *two)
        two[0].let_go()
        answer = admin.post(f"{B}/drain")
        assert answer.status == 202 and answer.json["drained"] is True
        assert answer.json["states"][0]["health"] == "drained" and answer.json["states"][0]["active"] == 1
        assert bodies(proxy, 8) == {"a": 8}
        two[1].let_go()
        assert clients["b"].response().body == b"b"
        until(lambda: admin.server("b")["states"][0]["active"] == 0, "the exchange has ended")
        assert admin.post(f"{B}/drain").status == 200
        back = admin.post(f"{B}/undrain")
        assert back.status == 200 and back.json["drained"] is False
        assert bodies(proxy, 8) == {"a": 4, "b": 4}


def test_drained_may_be_patched_as_well(two):
    with running(*two) as (proxy, admin):
        assert admin.patch(B, {"drained": True}).json["drained"] is True
        assert bodies(proxy, 4) == {"a": 4}
        admin.patch(B, {"drained": False})
        assert bodies(proxy, 4) == {"a": 2, "b": 2}


def test_a_drained_server_may_be_the_last(two):
    with running(two[0]) as (proxy, admin):
        admin.post(f"{A}/drain")
        assert bodies(proxy, 3) == {503: 3}


@pytest.mark.parametrize("follow", [True, False])
def test_sessions_stay_with_a_drained_server_as_configured(two, follow):
    sticky = {"cookie": "home", "secret": "0123456789abcdef", "follow_drained": follow}
    with running(*two, pool={"sticky": sticky}) as (proxy, admin):
        homes = {}
        while len(homes) < 2:
            answer = proxy.get()
            homes[answer.body.decode()] = answer.value("set-cookie").split(";")[0]
        admin.post(f"{B}/drain")
        assert bodies(proxy, 4) == {"a": 4}
        assert bodies(proxy, 4, Cookie=homes["b"]) == {"b" if follow else "a": 4}
        admin.delete(B)
        assert bodies(proxy, 4, Cookie=homes["b"]) == {"a": 4}


@pytest.mark.parametrize("ask", [
    lambda admin: admin.post(f"{B}/drain", {"deadline": "1ms"}),
    lambda admin: admin.post(f"{B}/drain?deadline=1ms"),
    lambda admin: admin.delete(B, {"deadline": "1ms"}),
    lambda admin: admin.delete(f"{B}?deadline=0s"),
], ids=["drain", "drain by the query", "remove", "remove by the query"])
def test_what_is_under_way_at_the_deadline_is_cut(two, ask):
    with running(*two) as (proxy, admin):
        clients = held(proxy, *two, method="POST")
        assert ask(admin).status == 202
        with contextlib.suppress(Ended):
            answer = clients["b"].response()
            assert answer.status >= 502, answer
        proxy.wait_line(r"server b: 1 exchanges are still under way at the deadline")
        two[0].let_go()
        assert clients["a"].response().body == b"a"


def test_what_is_cut_and_may_be_repeated_is_answered_by_another_server(two):
    with running(*two) as (proxy, admin):
        clients = held(proxy, *two)
        assert admin.delete(f"{B}?deadline=0s").status == 202
        two[0].wait_active(2)
        two[0].let_go()
        assert clients["b"].response().body == b"a"


def test_the_drain_of_the_pool_counts_where_no_deadline_is_asked_for(two):
    with running(*two, pool={"drain": "1ms"}) as (proxy, admin):
        held(proxy, *two)
        assert admin.post(f"{B}/drain").status == 202
        proxy.wait_line(r"server b: 1 exchanges are still under way at the deadline")
        for server in two:
            server.let_go()


def test_undraining_takes_the_deadline_back(three):
    with running(*three) as (proxy, admin):
        clients = held(proxy, *three)
        assert admin.post(f"{B}/drain?deadline=200ms").status == 202
        assert admin.post(f"{B}/undrain").status == 200
        assert admin.post(f"{C}/drain?deadline=200ms").status == 202
        proxy.wait_line(r"server c: 1 exchanges are still under way at the deadline")
        for server in three:
            server.let_go()
        assert clients["b"].response().body == b"b"


def test_a_deadline_is_given_once_and_is_a_duration(two):
    with running(*two) as (_, admin):
        twice = admin.post(f"{B}/drain?deadline=1s", {"deadline": "1s"})
        assert (twice.status, twice.json["error"]["field"]) == (422, "deadline")
        for query in ("deadline=-1s", "deadline=soon", "deadline=", "dedline=1s", "deadline=1s&deadline=2s", "deadline=1000h"):
            answer = admin.post(f"{B}/drain?{query}")
            assert (answer.status, answer.code) == (422, "invalid"), query
        assert admin.server("b")["drained"] is False


# Health by an operator's word


def test_forced_down_takes_a_healthy_server_out(two):
    with running(*two) as (proxy, admin), admin.events() as events:
        assert admin.patch(B, {"forced": "down"}).json["states"][0]["health"] == "forced down"
        assert bodies(proxy, 4) == {"a": 4}
        events.wait("server_state", id="b", state="forced down", up=False)
        admin.patch(B, {"forced": "none"})
        assert bodies(proxy, 4) == {"a": 2, "b": 2}
        events.wait("server_state", id="b", up=True)


def test_forced_up_keeps_a_server_whose_checks_fail(two):
    with running(*two, pool={"health": CHECKED}) as (proxy, admin):
        two[1].turn(500)
        assert bodies(proxy, 4) == {"a": 4}
        assert admin.server("b")["states"][0]["health"] == "unhealthy"
        admin.patch(B, {"forced": "up"})
        assert bodies(proxy, 4) == {"a": 2, "b": 2}
        two[1].wait_checks(4)
        assert bodies(proxy, 4) == {"a": 2, "b": 2}, "further failures do not count"
        admin.patch(B, {"forced": "none"})
        two[1].wait_checks()
        assert bodies(proxy, 4) == {"a": 4}


# Two operators at once


def test_who_has_read_an_older_revision_is_refused(two):
    with running(*two) as (_, admin):
        tag = admin.get(B).etag
        assert admin.patch(B, {"weight": 2}, If_Match=tag).status == 200
        for lost in (admin.patch(B, {"weight": 9}, If_Match=tag), admin.put(B, {"address": two[1].address, "weight": 9}, If_Match=tag),
                     admin.delete(B, If_Match=tag)):
            assert (lost.status, lost.code) == (412, "changed_since")
        assert admin.server("b")["weight"] == 2
        assert admin.delete(B, If_Match=admin.get(B).etag).status == 204


def test_preconditions_of_what_there_is_or_not(two):
    with running(two[0]) as (_, admin):
        body = {"address": two[1].address}
        assert admin.put(B, body, If_Match="*").status == 412
        assert admin.put(B, body, If_None_Match="*").status == 201
        assert admin.put(B, body, If_None_Match="*").status == 412
        tag = admin.get(B).etag
        assert admin.put(B, {**body, "weight": 3}, If_Match=f'"1", {tag}').status == 200
        assert admin.put(B, {**body, "weight": 4}, If_Match=f"W/{admin.get(B).etag}").status == 412
        for malformed in ("5", '"5', "x, y", '"a"b"'):
            answer = admin.put(B, body, If_Match=malformed)
            assert (answer.status, answer.code) == (400, "invalid_precondition"), malformed


def test_a_server_that_came_back_has_no_revision_of_before(two):
    with running(*two) as (_, admin):
        tag = admin.get(B).etag
        admin.delete(B)
        admin.put(B, {"address": two[1].address})
        assert admin.patch(B, {"weight": 2}, If_Match=tag).status == 412


def test_a_known_server_is_not_sent_again(two):
    with running(*two) as (_, admin):
        first = admin.get(B)
        assert admin.get(B, If_None_Match=first.etag).status == 304
        known = admin.request("GET", B, If_None_Match=f'"x", W/{first.etag}')
        assert (known.status, known.body, known.etag) == (304, b"", first.etag)
        head = admin.request("HEAD", B)
        assert (head.status, head.body, head.etag) == (200, b"", first.etag)
        admin.patch(B, {"weight": 2})
        assert admin.get(B, If_None_Match=first.etag).status == 200


# Bodies and paths that are refused


@pytest.mark.parametrize(("body", "field"), [
    ({"weigth": 2}, "weigth"),
    ({"weight": 2, "address": "127.0.0.1:1"}, "address"),
    ({"weight": -1}, "weight"),
    ({"weight": 1001}, "weight"),
    ({"weight": 2.5}, "weight"),
    ({"weight": "2"}, "weight"),
    ({"weight": None}, "weight"),
    ({"active_max": 0}, "active_max"),
    ({"backup": "yes"}, "backup"),
    ({"forced": "sideways"}, "forced"),
    ({"labels": {"": "x"}}, "labels"),
    ({"labels": {"a": "x\n"}}, "labels"),
    ({"labels": {str(n): "x" for n in range(1000)}}, "labels"),
    ({"drained": 1}, "drained"),
])
def test_a_body_that_says_something_else_is_refused_as_a_whole(two, body, field):
    with running(*two) as (_, admin):
        before = admin.server("b")
        answer = admin.patch(B, {"drained": True, **body})
        assert (answer.status, answer.code) == (422, "invalid"), answer
        assert field in answer.message or field in answer.json["error"].get("field", ""), answer
        assert admin.server("b") == before


def test_a_misspelt_key_is_told_with_the_right_one(two):
    with running(*two) as (_, admin):
        assert '"weight"' in admin.patch(B, {"weigth": 2}).message
        assert '"address"' in admin.put(C, {"adress": "127.0.0.1:1"}).message


def test_several_problems_are_told_at_once(two):
    with running(*two) as (_, admin):
        problems = admin.patch(B, {"weigth": 2, "active_max": 0, "drained": 3}).json["error"]["problems"]
        assert len(problems) == 3 and all("line" not in problem for problem in problems)


def test_only_what_registers_has_a_load(two):
    with running(*two) as (_, admin):
        assert admin.put(B, {"address": two[1].address, "load": 3}).json["error"]["field"] == "load"


def test_paths_and_methods_that_there_are_not(two):
    with running(*two) as (_, admin):
        for path in ("/", "/v1", "/v1/", "/v1/status/", "/v2/status", "/v1/pools/app/servers/b/", "/__status__"):
            assert (admin.get(path).status, admin.get(path).code) == (404, "no_such_endpoint"), path
        assert "/v1/status" in admin.get("/v1/statsu").message
        refused = admin.post("/v1/status", {})
        assert (refused.status, refused.value("allow")) == (405, "GET, HEAD")
        assert admin.get("/v1/reload").value("allow") == "POST"
        assert set(admin.post(B, {}).value("allow").split(", ")) == {"GET", "HEAD", "PUT", "PATCH", "DELETE"}
        assert admin.get("/v1/pools/other").code == "no_such_pool"
        assert admin.get("/v1/pools/other/servers").code == "no_such_pool"
        assert admin.put("/v1/pools/other/servers/x", {"address": two[0].address}).code == "no_such_pool"
        assert admin.get("/v1/status?x=1").status == 422


# Looking


def test_the_status_is_that_of_the_page_and_more(two):
    with running(*two) as (proxy, admin):
        bodies(proxy, 4)
        shown = admin.shown("/v1/status")
        assert shown["status"] == "running" and shown["listeners"] == [f"127.0.0.1:{proxy.port}"] and shown["reloads"] == 0
        assert [server["requests"] for server in shown["pools"][0]["servers"]] == [2, 2]
        assert isinstance(shown["events_last_id"], int)
        assert set(proxy.page("status")) < set(shown)


def test_pools_routes_and_listeners_are_shown(two):
    routes = [{"name": "api", "match": {"host": "api.test", "path": "/v1/*", "method": ["GET"]}, "pool": "app"}]
    with running(*two, routes=routes) as (proxy, admin):
        assert admin.shown("/v1/pools") == [{"name": "app", "algorithm": "round_robin", "servers_up": 2, "queued": 0, "servers": 2}]
        assert [server["id"] for server in admin.shown("/v1/pools/app")["servers"]] == ["a", "b"]
        assert admin.shown("/v1/routes") == [
            {"name": "api", "pool": "app", "match": {"host": "api.test", "path": "/v1/*", "methods": ["GET"]}}]
        listeners = admin.shown("/v1/listeners")
        assert [(listener["address"], listener["status_pages"]) for listener in listeners] == [(f"127.0.0.1:{proxy.port}", True)]


def test_what_is_under_way_is_listed(two):
    with running(*two, workers=2) as (proxy, admin):
        assert admin.shown("/v1/exchanges") == []
        two[0].hold(), two[1].hold()
        clients = [proxy.client() for _ in range(4)]
        for number, client in enumerate(clients):
            client.send(request_bytes("POST", f"/slow/{number}?x=1", body="abc", fields={"X-Request-ID": f"id-{number}"}))
        two[0].wait(lambda: two[0].active + two[1].active == 4, "four requests are there")
        listed = sorted(admin.shown("/v1/exchanges"), key=lambda exchange: exchange["target"])
        assert [exchange["target"] for exchange in listed] == [f"/slow/{number}?x=1" for number in range(4)]
        for exchange, client in zip(listed, clients):
            assert exchange["client"] == "127.0.0.1:%d" % client.sock.getsockname()[1]
            assert (exchange["method"], exchange["host"], exchange["pool"]) == ("POST", "test.local", "app")
            assert exchange["server"] in ("a", "b") and exchange["tries"] == 1 and exchange["status"] is None and exchange["age_ms"] >= 0
        for server in two:
            server.let_go()
        assert [client.response().status for client in clients] == [200] * 4
        until(lambda: admin.shown("/v1/exchanges") == [], "nothing is under way")


SECRETS = {"of sessions": "session-secret-0123456789", "of checks": "Bearer check-secret-0123456789"}


def test_the_configuration_is_shown_without_secrets(two, tmp_path):
    pool = {**registering(tmp_path), "sticky": {"cookie": "home", "secret": SECRETS["of sessions"]}}
    with running(*two, pool=pool, timeouts={"idle": "77s"}) as (_, admin):
        answer = admin.get("/v1/configuration")
        assert answer.status == 200 and answer.value("content-type") == "application/yaml"
        text = answer.body.decode()
        assert "idle: 77s" in text and two[1].address in text and SECRETS["of sessions"] not in text
        assert "the-servers-own-token" not in text
        for path in ("/v1/status", "/v1/pools", "/v1/pools/app", SERVERS, "/v1/routes"):
            assert SECRETS["of sessions"] not in admin.get(path).body.decode()


def test_credentials_of_checks_are_not_shown(two):
    with running(*two, pool={"health": {**CHECKED, "headers": {"Authorization": SECRETS["of checks"]}}}) as (_, admin):
        text = admin.get("/v1/configuration").body.decode()
        assert "/health" in text and "check-secret" not in text


def test_what_is_shown_as_configuration_can_be_checked_against(two):
    with running(*two) as (_, admin):
        shown = admin.get("/v1/configuration").body.replace(b"127.0.0.1:0\n", b"127.0.0.1:1\n")
        plan = admin.request("POST", "/v1/check", shown, Content_Type="application/yaml")
        assert plan.status == 200 and plan.json["changes"] is False, plan


def parameters(path):
    return path.replace("{pool}", "app").replace("{id}", "b")


def test_the_openapi_document_lists_what_answers(two):
    with running(*two) as (_, admin):
        document = admin.shown("/v1/openapi.json")
        assert document["openapi"].startswith("3.")
        for path, operations in document["paths"].items():
            for method in operations:
                answers = operations[method]["responses"]
                if path == "/v1/events":
                    admin.events().connection.close()
                elif method == "get":
                    assert str(admin.get(parameters(path)).status) in answers, path
                else:  # something that changes nothing
                    answer = admin.request(method.upper(), parameters(path), b"{")
                    assert answer.code in ("malformed_json", "invalid_configuration"), (method, path, answer)
                    assert str(answer.status) in answers, (method, path)
            missing = {"get", "put", "post", "patch", "delete"} - set(operations)
            for method in missing:
                assert admin.request(method.upper(), parameters(path)).status == 405, (method, path)


def test_schemas_of_the_document_fit_what_is_sent_and_shown(two):
    jsonschema = pytest.importorskip("jsonschema")
    with running(*two) as (_, admin):
        document = admin.shown("/v1/openapi.json")

        def check(name, value):
            jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})

        admin.patch(B, {"drained": True, "forced": "up", "labels": {"x": "y"}, "active_max": 3})
        check("Server", admin.server("a"))
        check("Server", admin.server("b"))
        check("Error", admin.get("/v1/pools/other").json)
        check("Error", admin.patch(B, {"weigth": 3}).json)
        check("ServerChange", {"drained": True, "forced": "up", "active_max": None})
        with pytest.raises(jsonschema.ValidationError):
            check("ServerChange", {"weigth": 3})


# Registration by the servers themselves, with the operator's word in their place


def test_a_registered_server_gets_traffic_until_its_lease_runs_out(two, tmp_path):
    with running(two[0], pool=registering(tmp_path)) as (proxy, admin), admin.events() as events:
        answer = admin.put(B, {"address": two[1].address, "lease": "300ms", "load": 3})
        assert answer.status == 201 and answer.json["origin"] == "registration"
        assert answer.json["lease"]["length"] == "300ms" and answer.json["lease"]["load"] == 3
        until(lambda: "b" in bodies(proxy, 2), "b gets traffic")
        events.wait("server_added", id="b")
        assert admin.post(f"{B}/renew", {"load": 5}).json["lease"]["load"] == 5
        events.wait("lease_expired", pool="app", id="b")
        until(lambda: bodies(proxy, 2) == {"a": 2}, "b gets none")
        assert admin.post(f"{B}/renew").code == "no_such_server"
        proxy.wait_line("server app/b is removed: its lease has run out")


def test_a_lease_that_is_renewed_lasts(two, tmp_path):
    with running(two[0], pool=registering(tmp_path)) as (proxy, admin), admin.events() as events:
        admin.put(B, {"address": two[1].address, "lease": "1s"})
        admin.put(C, {"address": "127.0.0.1:9", "lease": "1s"})
        while events.next()[0] != "server_added":
            pass
        revision = admin.server("b")["revision"]
        while "c" in admin.servers():  # until a lease of the same length has run out
            assert admin.post(f"{B}/renew").status == 200
        assert admin.server("b")["revision"] == revision


def test_too_many_leases_that_run_out_at_once_are_kept(three, tmp_path):
    with without_servers(**registering(tmp_path, expired_share_max="50%")) as proxy:
        admin = Admin(proxy)
        with admin.events() as events:
            for server in three:
                assert admin.put(f"{SERVERS}/{server.name}", {"address": server.address, "lease": "1500ms"}).status == 201
            for server in three:
                events.wait("lease_overdue")
            assert set(bodies(proxy, 6)) == {"a", "b", "c"}
            assert all(server["lease"]["overdue"] for server in admin.servers().values())
            assert admin.post(f"{A}/renew").json["lease"]["overdue"] is False


def test_an_operator_takes_a_registered_server_over(two, tmp_path):
    with running(two[0], pool=registering(tmp_path)) as (_, admin):
        registrar = Admin(admin.where, REGISTRAR)
        assert registrar.put(B, {"address": two[1].address}).status == 201
        answer = admin.put(B, {"address": two[1].address, "weight": 3})
        assert (answer.status, answer.json["origin"], answer.json["lease"]) == (200, "admin", None)
        for refused in (registrar.post(f"{B}/renew"), registrar.delete(B), registrar.put(B, {"address": two[1].address})):
            assert (refused.status, refused.code) == (403, "not_owner")
        assert admin.server("b")["weight"] == 3


def test_a_server_that_leaves_finishes_what_it_has(two, tmp_path):
    with running(two[0], pool=registering(tmp_path)) as (proxy, admin):
        registrar = Admin(admin.where, REGISTRAR)
        assert registrar.put(B, {"address": two[1].address}).status == 201
        until(lambda: "b" in bodies(proxy, 2), "b gets traffic")
        clients = held(proxy, *two)
        answer = registrar.delete(B)
        assert (answer.status, answer.json["exchanges_active"]) == (202, 1)
        assert registrar.post(f"{B}/renew").code == "no_such_server"
        for server in two:
            server.let_go()
        assert clients["b"].response().body == b"b"
        assert bodies(proxy, 3) == {"a": 3}


# How it is spoken with


def test_requests_may_follow_each_other_without_waiting(two):
    with running(*two) as (_, admin), admin.connect() as connection:
        patch = request_bytes("PATCH", B, {"Content-Type": "application/json"}, '{"weight": 4}', "localhost")
        connection.send(request_bytes("GET", B, host="localhost") + patch + request_bytes("GET", B, host="localhost"))
        assert [json.loads(connection.response().body)["weight"] for _ in range(3)] == [1, 4, 4]


def test_a_body_may_come_in_chunks_and_when_it_is_wanted(two):
    with running(*two) as (_, admin), admin.connect() as connection:
        head = f"PATCH {B} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\n"
        connection.send(head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"wei\r\n8\r\nght\": 5}\r\n0\r\n\r\n")
        assert json.loads(connection.response().body)["weight"] == 5
        connection.send(head + "Content-Length: 13\r\nExpect: 100-continue\r\n\r\n")
        assert connection.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send('{"weight": 6}')
        assert json.loads(connection.response().body)["weight"] == 6


def test_half_a_body_changes_nothing(two):
    with running(*two) as (_, admin), admin.connect() as connection:
        head = f"PATCH {B} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
        connection.send(head + '{"weight": 6}')
        connection.half_close()
        with contextlib.suppress(Ended):
            assert connection.response().status == 400
        assert admin.server("b")["weight"] == 1


# Reload and check


def changed_configuration(two):
    servers = [{"id": "a", "address": two[0].address, "weight": 5}, {"id": "n", "address": "127.0.0.1:9"}]
    return {"servers": servers, "retries": {"tries_max": 2}}


def expect_plan(plan):
    assert plan["changes"] is True
    assert plan["listeners"] == {"added": [], "removed": [], "changed": [], "unchanged": 1}
    assert plan["pools"]["added"] == ["more"] and plan["pools"]["removed"] == []
    assert [changed["name"] for changed in plan["pools"]["changed"]] == ["app"]
    assert plan["pools"]["changed"][0]["keys"] == ["retries.tries_max"]
    servers = plan["servers"]["app"]
    assert (servers["added"], servers["removed"], servers["exchanges_at_removed"]) == (["n"], ["b"], 1)
    assert servers["changed"] == [{"name": "a", "keys": ["weight"]}]
    assert set(plan["keys"]) == {"workers", "timeouts.idle"}
    assert plan["at_restart"] == ["workers"]


def test_a_plan_says_what_a_configuration_changes_and_reload_does_it(two):
    with running(*two) as (proxy, admin), admin.events() as events:
        held(proxy, *two)
        bind = admin.where
        config = administered(pool=changed_configuration(two), workers=2, timeouts={"idle": "77s"}, admin={"bind": bind})
        config["listeners"][0]["bind"] = "127.0.0.1:1"
        config["pools"]["more"] = {"servers": ["127.0.0.1:9"]}
        config["routes"] = [{"match": {}, "pool": "app"}]
        checked = admin.post("/v1/check", config)
        assert checked.status == 200, checked
        expect_plan(checked.json)
        assert set(admin.servers()) == {"a", "b"}, "check only looks"
        proxy.config.write_text(json.dumps(config))
        expect_plan(admin.post("/v1/check").json)
        answer = admin.post("/v1/reload")
        assert answer.status == 200
        expect_plan(answer.json)
        assert set(admin.servers()) == {"a", "n"} and admin.server("a")["weight"] == 5
        events.wait("reloaded", reloads=1)
        assert admin.shown("/v1/status")["reloads"] == 1
        assert admin.post("/v1/check").json["changes"] is False
        for server in two:
            server.let_go()


BROKEN = {"nothing": "", "an unknown key": "poolz: {}", "no syntax": "pools: [", "no servers": "listeners: []", "bytes": "\xff\xfe\x00"}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_configuration_is_refused_with_where_it_is_broken(two, text):
    with running(*two) as (proxy, admin), admin.events() as events:
        proxy.config.write_text(text, encoding="latin-1")
        for path in ("/v1/check", "/v1/reload"):
            answer = admin.post(path)
            assert (answer.status, answer.code) == (422, "invalid_configuration"), answer
            assert answer.json["error"]["problems"] and answer.json["error"]["problems"][0]["message"]
        assert events.wait("reload_refused")[2]["problems"]
        assert [event[0] for event in events.seen] == ["reload_refused"], "check tells nobody"
        assert bodies(proxy, 2) == {"a": 1, "b": 1}


def test_a_reload_that_cannot_listen_is_refused_as_a_whole(two):
    with running(*two) as (proxy, admin), admin.events() as events:
        config = administered(pool=changed_configuration(two), admin={"bind": admin.where})
        config["listeners"] = [{"bind": "127.0.0.1:1"}, {"bind": two[0].address}]
        proxy.config.write_text(json.dumps(config))
        answer = admin.post("/v1/reload")
        assert (answer.status, answer.code) == (422, "invalid_configuration") and two[0].address in answer.message
        assert set(admin.servers()) == {"a", "b"}
        events.wait("reload_refused")


def is_refused(admin):
    try:
        admin.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_api_moves_to_another_port_with_a_reload(two):
    with running(*two) as (proxy, admin), admin.events() as events:
        config = administered(pool=changed_configuration(two))
        config["listeners"][0]["bind"] = "127.0.0.1:1"
        proxy.config.write_text(json.dumps(config))
        assert admin.post("/v1/reload").status == 200
        moved = Admin(config["admin"]["bind"])
        assert set(moved.servers()) == {"a", "n"}
        until(lambda: is_refused(admin), "nobody listens there any more")
        events.until_end()


def test_the_api_comes_and_goes_with_a_reload(two):
    with running(*two) as (proxy, admin):
        config = json.loads(proxy.config.read_text())
        proxy.reload({key: value for key, value in config.items() if key != "admin"})
        until(lambda: is_refused(admin), "nobody listens there any more")
        proxy.reload(config)
        assert set(admin.servers()) == {"a", "b"} and bodies(proxy, 2) == {"a": 1, "b": 1}


def test_changes_by_the_api_outlast_a_reload(two):
    with running(*two) as (proxy, admin):
        admin.patch(A, {"weight": 3})
        admin.delete(B)
        admin.add("x", two[1].address)
        assert admin.post("/v1/reload").json["changes"] is False
        assert bodies(proxy, 8) == {"a": 6, "b": 2}
        assert {name: server["origin"] for name, server in admin.servers().items()} == {"a": "configuration", "x": "admin"}


# Events


def test_events_come_in_order_and_each_once(two):
    with running(two[0]) as (_, admin), admin.events() as events, admin.events() as others:
        admin.add("b", two[1].address)
        admin.patch(B, {"weight": 2})
        admin.post(f"{B}/drain")
        admin.delete(B)
        for stream in (events, others):
            stream.wait("server_removed", pool="app", id="b")
            ours = [event for event in stream.seen if event[0] != "server_state"]
            assert [event[0] for event in ours] == ["server_added", "server_changed", "server_changed", "server_removed"]
            ids = [event[1] for event in stream.seen]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
            assert all(event[2]["at_unix_ms"] > 1_600_000_000_000 for event in stream.seen)


def test_a_stream_resumes_after_the_last_event_that_was_seen(two):
    with running(*two) as (_, admin):
        with admin.events() as events:
            admin.patch(B, {"weight": 2})
            last = events.wait("server_changed")[1]
        for weight in (3, 4):
            admin.patch(B, {"weight": weight})
        with admin.events(Last_Event_ID=str(last)) as events:
            assert [events.next()[1], events.next()[1]] == [last + 1, last + 2]


@pytest.mark.parametrize("known", ["1", "0", "99999999999999999999", "x", "18446744073709551615"])
def test_who_has_missed_events_is_told(two, known):
    with running(*two) as (_, admin):
        with admin.events(Last_Event_ID=known) as events:
            assert events.next()[0] == "gap"
            admin.patch(B, {"weight": 2})
            assert events.next()[0] == "server_changed"


def test_states_of_servers_are_told(two):
    with running(*two, pool={"health": CHECKED}) as (_, admin), admin.events() as events:
        two[1].turn(500)
        assert events.wait("server_state", id="b", state="unhealthy")[2]["up"] is False
        two[1].turn(200)
        events.wait("server_state", id="b", up=True)


def test_a_stream_ends_in_order_when_the_proxy_drains(two):
    with running(*two) as (proxy, admin), admin.connect() as chunked, admin.events() as events:
        chunked.send(request_bytes("GET", "/v1/events", host="localhost"))
        until(lambda: admin.patch(B, {"weight": 3}).status == 200 and chunked.sock.recv(1, socket.MSG_PEEK), "it has begun")
        proxy.process.terminate()
        answer = chunked.response()
        assert answer.framing == "chunked" and answer.complete and b"event: draining\n" in answer.body
        assert events.until_end()[-1][0] == "draining"


def test_there_are_so_many_streams_and_no_more(two):
    with running(*two) as (_, admin), contextlib.ExitStack() as stack:
        streams = [stack.enter_context(admin.events()) for _ in range(64)]
        refused = admin.get("/v1/events")
        assert (refused.status, refused.code, refused.value("retry-after")) == (503, "too_many_streams", "1")
        admin.patch(B, {"weight": 2})
        for stream in streams:
            stream.wait("server_changed", id="b")
        streams[0].connection.close()
        until(lambda: opens_stream(admin), "the place is free again")


def opens_stream(admin):
    with admin.connect() as connection:
        connection.send(request_bytes("GET", "/v1/events", host="localhost", version="HTTP/1.0"))
        return b" 200 " in connection.exactly(16)


def test_who_does_not_read_its_events_holds_up_nobody(two):
    with running(*two) as (proxy, admin), admin.connect() as idle:
        idle.send(request_bytes("GET", "/v1/events", host="localhost", version="HTTP/1.0"))
        with admin.connect() as connection:
            for number in range(1500):
                body = '{"labels": {"n": "%d"}}' % number
                answer = connection.request("PATCH", B, {"Content-Type": "application/json"}, body, "localhost")
                assert answer.status == 200
        assert admin.server("b")["labels"] == {"n": "1499"}
        assert bodies(proxy, 2) == {"a": 1, "b": 1}


# The end


def test_the_api_answers_while_the_proxy_drains(two):
    with running(*two, timeouts={"drain": "20s"}) as (proxy, admin):
        clients = held(proxy, *two)
        proxy.process.terminate()
        proxy.wait_line("draining")
        assert admin.shown("/v1/status")["status"] == "draining"
        assert len(admin.shown("/v1/exchanges")) == 2
        assert admin.post("/v1/reload").status == 422
        assert admin.patch(B, {"weight": 3}).status == 200
        admin.add("c", "127.0.0.1:9")
        assert admin.delete(f"{B}?deadline=720h").status == 202
        for server in two:
            server.let_go()
        assert {client.response().status for client in clients.values()} == {200}
