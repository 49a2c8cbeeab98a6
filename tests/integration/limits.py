"""Configurations with limits on requests, and what tests of them ask again and again."""

import contextlib
import re
import threading

from harness import Proxy, configuration
from pool_server import each_of
from server import Server

HOUR = 3600


def fixed(count, **more):
    return {"kind": "fixed_window", "rate": f"{count}/1h", **more}


def limiting(servers, limits, made=configuration, listener=None, pool=None, **overrides):
    """`limits` by name; the one route has all of them, unless `listener`, `pool` or `routes` say who has which."""
    routes = overrides.pop("routes", [{"match": {}, "pool": "app", **({} if listener or pool else {"limits": list(limits)})}])
    listeners = [{"bind": "127.0.0.1:0", "status_pages": True, **({"limits": listener} if listener else {})}]
    named = {"pool": {"limits": pool}} if pool else {}
    return made(*servers, limits=limits, routes=routes, listeners=listeners, **named, **overrides)


@contextlib.contextmanager
def limited(limits, script=None, **overrides):
    with (Server(script) if script else Server()) as server, Proxy(limiting([server], limits, **overrides)) as proxy:
        yield server, proxy


def statuses(proxy, count, target="/", method="GET", source="127.0.0.1", host="test.local", **fields):
    """Of so many requests on one connection."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    with proxy.client(source=source) as client:
        return [client.request(method, target, named, host=host).status for _ in range(count)]


def shown(proxy, name):
    """What the status page says of that limit."""
    return next(limit for limit in proxy.page("status")["limits"] if limit["name"] == name)


def rest_in(answer):
    """By name what the field RateLimit says: (left, seconds until all is there again)."""
    return {name: (int(left), int(reset)) for name, left, reset in re.findall(r'"([^"]+)";r=(\d+);t=(\d+)', answer.value("ratelimit"))}


def without_fields(answer):
    return answer.value("ratelimit") is None and answer.value("ratelimit-policy") is None


def hammer(proxies, connections=64, requests=15):
    """How many requests passed and how many were refused, of all connections at once."""
    start = threading.Barrier(connections)

    def work(at):
        with proxies[at % len(proxies)].client() as client:
            client.get("/__health__")
            start.wait()
            return [client.get().status for _ in range(requests)]
    found = [status for result in each_of(range(connections), work, threads=connections) for status in result]
    assert set(found) <= {200, 429}
    return found.count(200), found.count(429)
