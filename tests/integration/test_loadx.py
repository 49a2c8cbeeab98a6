"""A LoadX config.json runs as it is, with the pages that its users read."""

import collections
import json

import pytest

from client import request_bytes
from harness import Proxy, free_port, proxied
from messages import reply
from server import Server


def flat(servers, **overrides):
    return {
        "proxy_port": free_port(), "proxy_host": "127.0.0.1", "algorithm": "round_robin",
        "backend_servers": [{"host": "localhost", "port": server.port, "weight": 1} for server in servers],
        "health_check_interval": 30, "health_check_timeout": 5, "max_connections": 1000, "connection_timeout": 30,
        "request_timeout": 30, "enable_logging": True, "enable_metrics": True, **overrides,
    }


class Backend(Server):
    """What LoadX's own test backend is: healthy, and with a name."""

    def __init__(self, name):
        self.name = name
        super().__init__(self.serve_pages)

    async def serve_pages(self, connection):
        while request := await connection.request():
            if request.target == "/health":
                self.requests.remove(request)
            status = {"/missing": 404, "/broken": 500}.get(request.target, 200)
            await connection.send(reply(status, self.name, reason="x"))


@pytest.fixture
def three():
    servers = [Backend(f"b{n}") for n in range(3)]
    yield servers
    for server in servers:
        server.stop()
        server.check()


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections", "ip_hash"])
def test_its_configuration_runs_as_it_is(three, algorithm):
    with Proxy(flat(three, algorithm=algorithm)) as proxy:
        with proxy.client() as client:
            bodies = collections.Counter(client.get().body for _ in range(30))
        if algorithm == "round_robin":
            assert bodies == {b"b0": 10, b"b1": 10, b"b2": 10}
        if algorithm == "ip_hash":
            assert len(bodies) == 1
        assert sum(bodies.values()) == 30


def test_a_configuration_with_nothing_but_servers_runs_with_the_defaults(three):
    config = {"proxy_port": free_port(), "backend_servers": [{"host": "127.0.0.1", "port": server.port} for server in three]}
    with Proxy(config) as proxy:
        assert proxy.get().status == 200


def test_its_health_page_says_that_it_is_well(three):
    with Proxy(flat(three)) as proxy:
        assert proxy.get("/__health__").status == 200


def test_its_status_page_lists_the_backends(three):
    with Proxy(flat(three)) as proxy:
        text = json.dumps(proxy.page("status"))
        for server in three:
            assert str(server.port) in text


def test_its_metrics_count_exactly(three):
    with Proxy(flat(three)) as proxy:
        with proxy.client() as client:
            for target, count in (("/", 90), ("/missing", 6), ("/broken", 4)):
                for _ in range(count):
                    client.get(target)
        page = proxy.page("metrics")
    assert page["total_requests"] == 100
    assert page["status_codes"] == {"200": 90, "404": 6, "500": 4}
    assert page["uptime_seconds"] >= 0 and page["requests_per_second"] >= 0
    assert page["error_rate"] == pytest.approx(100 * page["total_errors"] / 100)
    assert page["total_errors"] in (4, 10)
    times = page["response_times"]
    assert 0 < times["minimum"] <= times["average"] <= times["maximum"] and times["minimum"] <= times["p95"] <= times["maximum"]


def test_its_metrics_are_all_zero_before_the_first_request(three):
    with Proxy(flat(three)) as proxy:
        page = proxy.page("metrics")
    assert page["total_requests"] == page["total_errors"] == page["error_rate"] == 0 and page["status_codes"] == {}
    assert page["response_times"]["average"] == page["response_times"]["p95"] == 0


def test_its_metrics_can_be_switched_off(three):
    with Proxy(flat(three, enable_metrics=False)) as proxy:
        answer = proxy.get("/__metrics__")
        assert answer.status == 404 and b"enable_metrics" in answer.body
        assert proxy.get("/__status__").status == 200


def test_the_pages_are_not_there_where_they_are_not_asked_for():
    with proxied(listeners=[{"bind": "127.0.0.1:0"}]) as (server, proxy):
        assert proxy.get("/__metrics__").body == b"hello"
        assert [request.target for request in server.requests] == ["/__metrics__"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_pages_change_nothing_and_take_no_other_method(three, method):
    with Proxy(flat(three)) as proxy:
        with proxy.client() as client:
            assert client.request(method, "/__status__", body=b"x").status in (200, 405)
            assert client.get().status == 200


def test_a_head_request_for_a_page_has_no_body(three):
    with Proxy(flat(three)) as proxy:
        with proxy.client() as client:
            assert client.request("HEAD", "/__health__").status == 200
            client.send(request_bytes("GET", "/__metrics__"))
            assert json.loads(client.response().body)


def test_its_log_goes_to_standard_output_and_can_be_switched_off(three):
    with Proxy(flat(three)) as proxy:
        proxy.get("/logged")
        proxy.wait(lambda: any("/logged" in line for line in proxy.output), "the request's line")
    with Proxy(flat(three, enable_logging=False)) as proxy:
        proxy.get("/silent")
    assert not proxy.output
