"""What is seen of limits on requests: in the log, the admin API, by the command `limits`, and of those that are set wrong."""

import contextlib
import json
import re
import signal

import pytest

from admin import Admin, administered
from client import Client
from harness import DEADLINE_SECONDS, Process, Proxy, free_port, run
from limits import fixed, limited, shown, statuses
from pool_server import until
from redis_server import Redis
from server import Server


def test_the_log_names_the_limit_that_refused(tmp_path):
    path = tmp_path / "access.log"
    limits = {"narrow": fixed(1, key="path"), "wide": fixed(3)}
    with limited(limits, log={"access": str(path), "format": "json"}) as (_, proxy):
        for target in ("/a", "/a", "/b", "/c", "/d"):
            proxy.get(target)
    records = [json.loads(text) for text in path.read_text().splitlines()]
    assert [(record["status"], record.get("limit")) for record in records] == [
        (200, None), (429, "narrow"), (200, None), (200, None), (429, "wide")]
    assert all("server" not in record or not record["server"] for record in records if record["status"] == 429)


@pytest.fixture
def watched():
    limits = {"per-key": fixed(2, key="header:X-Key"), "at-once": {"kind": "concurrent", "active_max": 9}, "tried": fixed(1, dry_run=True),
              "per-ip": {"rate": "1000/1h", "exempt": ["127.0.0.2"]}}
    with limited(limits, made=administered) as (_, proxy):
        for value, count in (("the-first-secret-value", 5), ("the-second-secret-value", 3), ("fine", 1)):
            statuses(proxy, count, X_Key=value)
        statuses(proxy, 1, source="127.0.0.2", X_Key="x")
        yield proxy, Admin(proxy)


def test_the_admin_api_shows_what_limits_have_done(watched):
    _, admin = watched
    found = admin.shown("/v1/limits")
    assert found["stores"] == []
    limits = {limit["name"]: limit for limit in found["limits"]}
    assert list(limits) == ["per-key", "at-once", "tried", "per-ip"]
    per_key = limits["per-key"]
    assert (per_key["kind"], per_key["key"], per_key["rate"], per_key["store"]) == ("fixed_window", ["header:X-Key"], "2/1h", "memory")
    assert (per_key["passed"], per_key["refused"], per_key["keys_evicted"], per_key["uncounted"]) == (6, 4, 0, 0)
    assert per_key["keys_max"] == 1_000_000
    assert [top["refused"] for top in per_key["most_refused"]] == [3, 1], "alike in what is shown, they are two"
    assert limits["at-once"]["active_max"] == 9 and "rate" not in limits["at-once"]
    assert limits["tried"]["dry_run"] and limits["tried"]["would_refuse"] > 0 and limits["tried"]["refused"] == 0
    assert limits["per-ip"]["exempt"] == 1
    assert limits["per-ip"]["most_refused"] == []


def test_values_that_may_be_secrets_are_shown_nowhere(watched, tmp_path):
    proxy, admin = watched
    places = [json.dumps(admin.shown("/v1/limits")), json.dumps(proxy.page("status")), json.dumps(proxy.page("metrics")),
              run("limits", "--admin", admin.where).stdout, run("limits", "--json", "--admin", admin.where).stdout, "\n".join(proxy.lines)]
    assert all("secret" not in text for text in places)
    assert all("most_refused" not in limit for limit in proxy.page("status")["limits"])
    assert any(top["key"].startswith("the-") for top in admin.shown("/v1/limits")["limits"][0]["most_refused"])


SECRETS = [("header:X-Key", {"X_Key": "abcd"}, "abcd"), ("header:X-Key", {"X_Key": "geheim1"}, "geheim1"),
           ("cookie:id", {"Cookie": "id=geheim2"}, "geheim2"), ("query:key", {"target": "/?key=geheim3"}, "geheim3"),
           (["client_ip", "query:key"], {"target": "/?key=geheim4"}, "geheim4")]


@pytest.mark.parametrize("key, fields, value", SECRETS, ids=[value for _, _, value in SECRETS])
def test_secrets_are_veiled_in_what_is_refused_most(key, fields, value):
    with limited({"a": fixed(1, key=key)}, made=administered, log={"access": "off", "level": "debug"}) as (_, proxy):
        assert statuses(proxy, 2, **fields) == [200, 429]
        found = Admin(proxy).shown("/v1/limits")["limits"][0]["most_refused"]
        assert len(found) == 1 and value not in found[0]["key"]
        assert not any("refuses" in text and value in text for text in proxy.lines)


def test_the_command_shows_limits_as_a_table(watched):
    _, admin = watched
    done = run("limits", "--admin", admin.where)
    assert done.returncode == 0 and not done.stderr, done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["LIMIT", "RULE", "STORE", "PASSED", "REFUSED", "KEYS"]
    row = next(text for text in lines if text.startswith("per-key")).split()
    assert row[:6] == ["per-key", "2/1h", "fixed_window", "memory", "6", "4"]
    assert any(text.startswith("at-once") and "9 at once" in text for text in lines)
    assert any(text.startswith("tried") and text.rstrip().endswith("dry run") for text in lines)
    assert any(text.split() == ["MOST", "REFUSED", "LIMIT", "TIMES"] for text in lines)
    assert any(text.split()[1:] == ["per-key", "3"] for text in lines if text.startswith("the-"))


def test_the_command_shows_as_json_what_the_api_shows(watched):
    _, admin = watched
    done = run("limits", "--json", "--admin", admin.where)
    assert done.returncode == 0
    shown_by_api = admin.shown("/v1/limits")
    assert [limit["name"] for limit in json.loads(done.stdout)["limits"]] == [limit["name"] for limit in shown_by_api["limits"]]
    assert json.loads(done.stdout)["limits"][0]["most_refused"] == shown_by_api["limits"][0]["most_refused"]


def test_the_command_says_so_where_there_are_no_limits():
    with Server() as server, Proxy(administered(server)) as proxy:
        done = run("limits", "--admin", Admin(proxy).where)
        assert done.returncode == 0 and "There are no limits" in done.stdout


def test_hostile_keys_are_shown_harmlessly():
    with limited({"a": fixed(1, key=["path", "host"])}, made=administered) as (_, proxy):
        assert statuses(proxy, 2, target="/%1b%5b31m%0a%c3%a9") == [200, 429]
        text = run("limits", "--admin", Admin(proxy).where).stdout
        assert "\x1b" not in text and "\x1f" not in text
        assert Admin(proxy).get("/v1/limits").status == 200


# What is set wrong

RULES = "listeners: [{bind: '127.0.0.1:8000'}]\nroutes: [{pool: app, limits: a}]\npools: {app: {servers: ['127.0.0.1:1']}}\n"
WRONG_LIMITS = [  # what is set, and at which column what is said
    ("{rate: 5}", 15, r"rate: found 5, .*100/1m"),
    ("{rate: 0/1m}", 15, r"rate: .*lets nothing pass"),
    ("{rate: 5/1m, kind: fixed_windw}", 27, r'kind: .*did you mean "fixed_window"'),
    ("{kind: fixed_window}", None, r".*rate"),
    ("{kind: concurrent}", None, r".*active_max"),
    ("{kind: concurrent, active_max: 0}", 39, r"active_max: "),
    ("{rate: 5/1m, key: client}", 26, r'key.*did you mean "client_ip"'),
    ("{rate: 5/1m, key: 'header:'}", 26, r"key.*lacks the name"),
    ("{rate: 5/1m, key: []}", 26, r"key"),
    ("{rate: 5/1m, kind: fixed_window, burst: 3}", None, r"burst.*token_bucket"),
    ("{rate: 1MB/1s}", 15, r"rate: .*bandwidth"),
    ("{rate: 5/1m, dryrun: true}", 21, r'dryrun.*"?dry_run"?'),
    ("{rate: 5/1m, exempt: [10.0.0.0/33]}", 30, r"exempt\[0\]"),
    ("{rate: 5/1m, ipv6_prefix: 129}", 34, r"ipv6_prefix: .*128"),
    ("{rate: 5/1m, lease: 5}", None, r"lease.*store"),
    ("{kind: concurrent, active_max: 3, store: r}", 49, r"store"),
]
WRONG_NAMES = [
    ("limits: {b: {rate: 5/1m}}", r':2:\d+: routes\[0\]\.limits: found the limit "a", which does not exist'),
    ("", r':2:\d+: routes\[0\]\.limits: found the limit "a", but there are no limits'),
    ("limits: {a: {rate: 5/1m, store: redis}}", r":4:33: limits\.a\.store: found the store .*no stores"),
    ("limits: {a: {rate: 5/1m, store: r}}\nstores: {r: {url: 'http://127.0.0.1'}}", r":5:19: stores\.r\.url: .*redis://"),
    ("limits: {a: {rate: 5/1m, store: r}}\nstores: {r: {url: 'redis://u:secret@127.0.0.1'}}", r":5:19: stores\.r\.url: .*password_file"),
]


def problems(path, text):
    path.write_text(RULES + text + "\n")
    done = run("check", str(path))
    assert done.returncode != 0, done
    return (done.stderr + done.stdout).splitlines()


def test_what_is_set_wrong_in_a_limit_is_answered_with_its_place_and_cure(tmp_path):
    lines = "".join(f"  l{at:02}: {text}\n" for at, (text, _, _) in enumerate(WRONG_LIMITS))
    said = problems(tmp_path / "bad.yaml", "limits:\n" + lines + "stores: {r: {url: 'redis://127.0.0.1'}}")
    for at, (text, column, problem) in enumerate(WRONG_LIMITS):
        place = f":{at + 5}:{column or '[0-9]+'}: limits.l{at:02}"
        assert any(re.search(rf"{place}\.?{problem}", line) for line in said), (text, said)


@pytest.mark.parametrize("text, problem", WRONG_NAMES, ids=["unknown", "none", "no-stores", "not-redis", "password"])
def test_what_is_named_wrong_is_answered_with_its_place_and_cure(tmp_path, text, problem):
    said = problems(tmp_path / "bad.yaml", text)
    assert any(re.search(problem, line) for line in said), said
    assert not any("secret" in line for line in said)


def test_a_limit_that_nobody_names_is_warned_of(tmp_path):
    path = tmp_path / "unused.yaml"
    path.write_text(RULES + "limits: {a: {rate: 5/1m}, b: {rate: 1/1s}}\n")
    done = run("check", str(path))
    assert done.returncode == 0 and re.search(r":4:\d+: limits\.b: nothing names this limit", done.stderr + done.stdout), done


@pytest.mark.parametrize("rule", [fixed(4), {"kind": "sliding_window", "rate": "4/1h"}, {"kind": "token_bucket", "rate": "4/1h"}],
                         ids=["fixed", "sliding", "bucket"])
def test_counting_goes_on_over_upgrades(rule):
    with limited({"a": rule, "b": fixed(100, key="path")}) as (_, proxy):
        assert statuses(proxy, 2) == [200, 200]
        for passed in (2, 3):
            proxy.upgrade()
            assert shown(proxy, "a")["passed"] == passed
            assert statuses(proxy, 1) == [200]
        proxy.upgrade()
        assert statuses(proxy, 2) == [429, 429]
        assert statuses(proxy, 1, source="127.0.0.2") == [200]
        assert (shown(proxy, "a")["passed"], shown(proxy, "a")["refused"], shown(proxy, "b")["passed"]) == (5, 2, 5)


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_the_demo_refuses_the_sixth_request_and_takes_another_server(store):
    with contextlib.ExitStack() as stack:
        port, servers, admin, more = free_port(), free_port(), free_port(), free_port()
        redis = stack.enter_context(Redis()) if store == "redis" else None
        demo = Process(["demo", "limits", "--port", str(port), "--backend-port", str(servers), "--admin-port", str(admin),
                        *(["--redis", f"127.0.0.1:{redis.port}"] if redis else [])])
        stack.callback(demo.kill)
        demo.wait(lambda: any("ready:" in text for text in demo.lines), "the demo begins")
        if redis:
            until(lambda: Admin(f"127.0.0.1:{admin}").shown("/v1/limits")["stores"][0]["status"] == "answers", "Redis")
        with Client(port) as client:
            answers = [client.get("/info") for _ in range(6)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] and answers[-1].body == b"Rate limit exceeded"
        assert {json.loads(answer.body)["name"] for answer in answers[:5]} == {"backend1", "backend2", "backend3"}
        listed = json.loads(run("limits", "--admin", f"127.0.0.1:{admin}", "--json").stdout)["limits"][0]
        assert (listed["store"], listed["passed"], listed["refused"]) == (store, 5, 1)
        added = run("servers", "add", "demo", f"127.0.0.1:{more}", "--admin", f"127.0.0.1:{admin}")
        assert added.returncode == 0, added.stderr
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(DEADLINE_SECONDS) == 0
