"""Routes that answer with the way to their server: what clients are told, whom they are sent to, and what servers report of that. The
guards beside the servers are played by the tests: they check tokens by themselves and say what a guard would say."""

import base64
import hashlib
import hmac
import json
import stat
import threading
from collections import Counter
from urllib.parse import urlsplit

import pytest

from admin_api import Api
from client import request_bytes
from harness import Proxy, configuration, free_port
from pool_server import until
from server import Server, answer_hello

OPERATOR = "0123456789abcdef-operator"
REGISTRAR = "0123456789abcdef-registrar"
SECRET = b"k" * 32


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(path, text):
    path.write_text(text)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return str(path)


def key_file(path, secret=SECRET, kid="1"):
    return private(path, json.dumps({"keys": [{"kty": "oct", "kid": kid, "alg": "HS256", "k": encoded(secret)}]}))


def redirecting(*servers, redirect=None, mode="redirect", urls=(), **options):
    config = configuration(*servers, **options)
    config["routes"] = [{"pool": "app", "mode": mode, **({"redirect": redirect} if redirect else {})}]
    for described, url in zip(config["pools"]["app"]["servers"], urls):
        described["public_url"] = url
    return config


def verified(location, secrets=None, name="steelyard_token", method="GET"):
    """The claims of the token at the end of a URL, as a guard without any code of ours sees them."""
    before, _, token = location.rpartition(name + "=")
    header, claims, signature = token.split(".")
    known = json.loads(decoded(header))
    assert known["alg"] == "HS256" and known["typ"] == "JWT"
    secret = (secrets or {"1": SECRET})[known["kid"]]
    assert hmac.compare_digest(hmac.new(secret, f"{header}.{claims}".encode(), hashlib.sha256).digest(), decoded(signature))
    says = json.loads(decoded(claims))
    target = before[:-1]  # without ? or &
    path_and_query = target[target.index("/", len("https://")):]
    assert says["cdniuc"] == "hash:" + encoded(hashlib.sha256(path_and_query.encode("latin-1")).digest()), path_and_query
    assert says["mth"] == method
    return says


def location(answer):
    assert answer.status in (307, 308), answer
    return answer.value("location")


class Guards:
    """Servers that are only numbers: registered, reporting what the test says."""

    def __init__(self, directory, names, **pool):
        self.admin_port = free_port()
        self.api = Api(self.admin_port, OPERATOR)
        self.registrar = Api(self.admin_port, REGISTRAR)
        registration = {"token_file": private(directory / "registrar", REGISTRAR), "networks": ["127.0.0.0/8"]}
        self.config = redirecting(
            workers=2, admin={"bind": f"127.0.0.1:{self.admin_port}", "token_file": private(directory / "operator", OPERATOR)},
            pool={"registration": registration, "algorithm": "least_connections", "slow_start": "0s", **pool})
        del self.config["pools"]["app"]["servers"]
        self.names = names
        self.ports = {name: free_port() for name in names}

    def register(self):
        for name in self.names:
            body = {"address": f"127.0.0.1:{self.ports[name]}", "public_url": f"https://{name}.test", "lease": "60s",
                    "load": 0, "arrived": 0, "run": "first"}
            assert self.registrar.ask("PUT", f"/v1/pools/app/servers/{name}", body)[0] == 201
        until(lambda: all(server["states"] for server in self.api.servers().values()), "they are not in their pool")

    def report(self, name, load, arrived, run="first"):
        status, body = self.registrar.ask("POST", f"/v1/pools/app/servers/{name}/renew", {"load": load, "arrived": arrived, "run": run})
        assert status == 200, body

    def state(self, name):
        (state,) = self.api.servers()[name]["states"]
        return state

    def work(self):
        return {name: (self.state(name)["active"], self.state(name)["remote"]) for name in self.names}


def send(proxy, count):
    """Whom so many clients are sent to, one after the other."""
    with proxy.client() as client:
        return Counter(urlsplit(location(client.get("/x"))).hostname for _ in range(count))


# What clients are told


def test_the_answer_is_the_way_to_the_server_and_asks_it_nothing():
    with Server(answer_hello) as server, Proxy(redirecting(server)) as proxy, proxy.client() as client:
        for _ in range(3):
            answer = client.get("/a?b=c")
            assert location(answer) == f"http://{server.address}/a?b=c"
            assert answer.value("cache-control") == "no-store"
        assert server.connections == []
        assert proxy.page("metrics")["redirects"] == 3


TARGETS = ["/", "/?", "/a//b/./c/../d", "/%7Ea/%ff;p=1", "/?&&=", "/?a=b?c&a='()*,;:@!$/~", "//other.example/x", "/?x=%", "/a%2Fb?%26"]


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_path_and_query_are_kept_byte_by_byte(signed, tmp_path):
    redirect = {"keys": key_file(tmp_path / "keys")} if signed else None
    with Server(answer_hello) as server, Proxy(redirecting(server, redirect=redirect, urls=["https://s.test:8443"])) as proxy:
        with proxy.client() as client:
            for target in TARGETS:
                sent = location(client.get(target))
                if not signed:
                    assert sent == "https://s.test:8443" + target
                    continue
                assert sent.startswith(f"https://s.test:8443{target}{'&' if '?' in target else '?'}steelyard_token=")
                claims = verified(sent)
                assert claims["aud"] == server.address and claims["net"] == "127.0.0.1/32" and claims["exp"] - claims["iat"] == 30


def test_head_post_ranges_and_cors_fields():
    config = redirecting("127.0.0.1:1")
    with Proxy(config) as proxy, proxy.client() as client:
        head = client.request("HEAD", "/file")
        assert location(head) == "http://127.0.0.1:1/file" and head.body == b""
        ranged = client.get("/file", Range="bytes=0-9", Origin="https://page.test")
        assert location(ranged) == "http://127.0.0.1:1/file"
        made_up = ("access-control", "accept-ranges", "content-range", "vary")
        assert not [name for name, _ in ranged.fields if name.lower().startswith(made_up)]
        small = client.request("POST", "/file", body=b"x=1")
        assert location(small) and small.value("connection") is None
        client.send(request_bytes("POST", "/file", {"Content-Length": "100000"}, None, "test.local", "HTTP/1.1"))
        large = client.response("POST")
        assert location(large) and large.value("connection") == "close"


def test_an_upgrade_is_refused_and_in_auto_carried():
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    with Server(answer_hello) as server, Proxy(redirecting(server)) as proxy:
        with proxy.client() as client:
            refused = client.request("GET", "/ws", upgrade)
        assert refused.status == 400 and b"changes its protocol" in refused.body
        automatic = redirecting(server, mode="auto", redirect={"auto": {"methods": ["GET"], "body_bytes_min": "1KiB"}})
        proxy.reload(automatic)
        with proxy.client() as client:
            assert client.get("/").status == 307
            assert client.request("GET", "/ws", upgrade).status == 200
            assert client.get("/", X_Steelyard_No_Redirect="1").status == 200
            assert client.request("POST", "/", body=b"x" * 1023).status == 200
            assert client.request("POST", "/", body=b"x" * 1024).status == 307
        assert all("no-redirect" not in str(request).lower() for request in server.requests)


def test_hops_are_signed_and_end(tmp_path):
    with Proxy(redirecting("127.0.0.1:1", redirect={"keys": key_file(tmp_path / "keys")})) as proxy, proxy.client() as client:
        assert verified(location(client.get("/a?steelyard_hops=2")))["hop"] == 2
        assert "hop" not in verified(location(client.get("/a")))
        assert client.get("/a?steelyard_hops=99").status == 508


# Keys


def test_keys_that_cannot_be_read_refuse_the_start_and_the_reload(tmp_path):
    keys = key_file(tmp_path / "keys")
    config = redirecting("127.0.0.1:1", redirect={"keys": keys})
    with Proxy(config) as proxy:
        before = location(proxy.get("/"))
        verified(before)
        proxy.reload({**config, "routes": [{"pool": "app", "mode": "redirect", "redirect": {"keys": str(tmp_path / "none")}}]},
                     wait=r"cannot open the key file .*none: No such file")
        private(tmp_path / "keys", "{}")
        proxy.reload(config, wait=r"the key file .*/keys")
        verified(location(proxy.get("/")))


def test_a_reload_refused_for_its_keys_says_so_without_an_empty_place(tmp_path):
    config = redirecting("127.0.0.1:1", redirect={"keys": key_file(tmp_path / "keys")})
    with Proxy(config) as proxy:
        (tmp_path / "keys").unlink()
        proxy.reload(config, wait="is not reloaded")
        told = next(json.loads(text)["message"] for text in proxy.lines if "is not reloaded" in text)
        assert "\nthe route *: cannot open the key file" in told


def test_keys_are_changed_under_load_without_a_gap(tmp_path):
    other = b"n" * 32
    config = redirecting("127.0.0.1:1", redirect={"keys": key_file(tmp_path / "keys")}, workers=2)
    with Proxy(config) as proxy:
        seen, stop, failures = Counter(), threading.Event(), []

        def ask():
            with proxy.client() as client:
                while not stop.is_set():
                    try:
                        sent = location(client.get("/x"))
                        verified(sent, {"1": SECRET, "2": other})
                        seen[json.loads(decoded(sent.rpartition("=")[2].split(".")[0]))["kid"]] += 1
                    except Exception as failure:  # told by the test's own thread
                        failures.append(failure)
                        return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for secret, kid in [(SECRET, "1"), (other, "2")] * 3:
            key_file(tmp_path / "keys", secret, kid)
            proxy.reload(config)
            before = seen[kid]
            until(lambda: seen[kid] > before + 10 or failures, "nobody is sent with the new key")
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        assert json.loads(decoded(location(proxy.get("/")).rpartition("=")[2].split(".")[0]))["kid"] == "2"


# Load


def test_bursts_between_reports_do_not_all_go_to_one_server(tmp_path):
    guards = Guards(tmp_path, ["a", "b", "c"])
    with Proxy(guards.config) as proxy:
        guards.register()
        assert send(proxy, 90) == {"a.test": 30, "b.test": 30, "c.test": 30}
        assert guards.work() == {name: (30, 30) for name in "abc"}
        # All have arrived; those at a have left again.
        guards.report("a", 0, 30)
        guards.report("b", 30, 30)
        guards.report("c", 20, 25)  # five are on their way
        assert guards.work() == {"a": (0, 0), "b": (30, 30), "c": (25, 25)}
        assert send(proxy, 35) == {"a.test": 30, "c.test": 5}
        assert guards.work() == {name: (30, 30) for name in "abc"}


def test_what_never_arrives_is_dropped_and_a_new_run_counts_anew(tmp_path):
    guards = Guards(tmp_path, ["a"])
    guards.config["routes"][0]["redirect"] = {"lifetime": "1s"}
    with Proxy(guards.config) as proxy:
        guards.register()
        send(proxy, 10)
        guards.report("a", 3, 4)
        until(lambda: guards.work()["a"] == (3, 3), "what is lost still counts")
        send(proxy, 2)
        guards.report("a", 0, 0, run="second")
        assert guards.work()["a"] == (0, 0)


def test_limits_see_what_was_sent_and_a_report_makes_room(tmp_path):
    guards = Guards(tmp_path, ["a", "b"], concurrency={"per_server_max": 5, "queue_timeout": "100ms"})
    with Proxy(guards.config) as proxy:
        guards.register()
        assert send(proxy, 10) == {"a.test": 5, "b.test": 5}
        assert proxy.get("/").status == 503
        guards.report("b", 4, 5)
        assert send(proxy, 1) == {"b.test": 1}
        assert proxy.get("/").status == 503


def test_a_waiting_client_is_sent_as_soon_as_a_report_makes_room(tmp_path):
    guards = Guards(tmp_path, ["a"], concurrency={"per_server_max": 1, "queue_timeout": "30s"})
    with Proxy(guards.config) as proxy:
        guards.register()
        send(proxy, 1)
        with proxy.client() as client:
            client.send(request_bytes("GET", "/x", (), None, "test.local", "HTTP/1.1"))
            until(lambda: guards.api.get("/v1/pools/app")["queued"] == 1, "it does not wait")
            guards.report("a", 0, 1)
            assert location(client.response()) == "https://a.test/x"


def test_a_server_that_leaves_takes_its_work_with_it(tmp_path):
    guards = Guards(tmp_path, ["a", "b"])
    with Proxy(guards.config) as proxy:
        guards.register()
        send(proxy, 10)
        assert guards.registrar.ask("DELETE", "/v1/pools/app/servers/a")[0] == 204
        assert send(proxy, 5) == {"b.test": 5}
        assert set(guards.api.servers()) == {"b"} and guards.state("b")["remote"] == 10


def test_servers_that_never_report_are_not_held_to_what_they_were_sent():
    with Proxy(redirecting("127.0.0.1:1", pool={"concurrency": {"per_server_max": 1}})) as proxy:
        with proxy.client() as client:
            assert all(client.get("/").status == 307 for _ in range(20))
        (server,) = proxy.page("status")["pools"][0]["servers"]
        assert (server["active"], server["remote"], server["redirects"]) == (0, 0, 20)


def test_public_urls_are_put_changed_and_kept(tmp_path):
    guards = Guards(tmp_path, ["a"])
    guards.config["admin"]["state_file"] = str(tmp_path / "state")
    with Proxy(guards.config) as proxy:
        path = "/v1/pools/app/servers/z"
        assert guards.api.ask("PUT", path, {"address": "127.0.0.1:9", "public_url": "https://z.test/path"})[0] == 422
        assert guards.api.ask("PUT", path, {"address": "127.0.0.1:9", "public_url": "https://z.test"})[0] == 201
        assert location(proxy.get("/q")) == "https://z.test/q"
        assert guards.api.ask("PATCH", path, {"public_url": "http://y.test"})[0] == 200
        assert location(proxy.get("/q")) == "http://y.test/q"
    with Proxy(guards.config) as proxy:
        assert guards.api.servers()["z"]["public_url"] == "http://y.test"
        assert location(proxy.get("/q")) == "http://y.test/q"
        assert guards.api.ask("PATCH", path, {"public_url": ""})[0] == 200
        assert location(proxy.get("/q")) == "http://127.0.0.1:9/q"


# Policies and sessions


def test_policies_hold_for_redirects(tmp_path):
    log = tmp_path / "access.log"
    config = redirecting("127.0.0.1:1", "127.0.0.1:2", urls=["https://gold.test", "https://plain.test"],
                         pool={"policy": {"label": "tier", "from": "header:X-Tier"}}, log={"access": str(log), "format": "json"})
    for server, tier in zip(config["pools"]["app"]["servers"], ["gold", "plain"]):
        server["labels"] = {"tier": tier}
    with Proxy(config) as proxy, proxy.client() as client:
        for tier in ["gold", "plain", "gold"]:
            assert urlsplit(location(client.get("/", X_Tier=tier))).hostname == f"{tier}.test"
        assert client.get("/", X_Tier="other").status == 421
        assert client.get("/").status == 421
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(record["outcome"], record["status"]) for record in records[:3]] == [("redirected", 307)] * 3
    assert records[0]["policy"]["met_by"] == "gold" and records[0]["server"] == "127.0.0.1:1" and records[0]["tries"] == 0


def test_sessions_lead_back_to_the_same_server():
    config = redirecting("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", pool={"sticky": {"secret": "0123456789abcdef"}})
    with Proxy(config) as proxy, proxy.client() as client:
        first = client.get("/")
        cookie = first.value("set-cookie").partition(";")[0]
        for _ in range(6):
            again = client.get("/", Cookie=cookie)
            assert location(again) == location(first) and again.value("set-cookie") is None
