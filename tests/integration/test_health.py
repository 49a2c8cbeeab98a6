"""Active health checks, and the pages that tell of them."""

import json

import pytest

from harness import Proxy, configuration
from messages import reply
from server import Server

HEALTH = {"health": {"path": "/health", "interval": "20ms", "timeout": "1s", "fall": 1, "rise": 1}, "slow_start": {"window": "0s"}}


class Patient(Server):
    """A server whose health can be changed; `checks` counts what it was asked."""

    def __init__(self, name):
        self.name = name
        self.health = 200
        self.checks = 0
        super().__init__(self.serve_health)

    async def serve_health(self, connection):
        while request := await connection.request():
            if request.target != "/health":
                await connection.send(reply(body=self.name))
                continue
            self.requests.remove(request)
            self.checks += 1
            self.notify()
            await connection.send(reply(self.health, reason="x"))

    def wait_checks(self, count=2):
        """Until so many further checks were answered, the last of them also digested by the proxy."""
        goal = self.checks + count + 1
        self.wait(lambda: self.checks >= goal, "health checks")


@pytest.fixture
def pair():
    with Patient("a") as first, Patient("b") as second:
        yield first, second


def bodies(proxy, count=10):
    with proxy.client() as client:
        answers = [client.get() for _ in range(count)]
    return [answer.body.decode() if answer.status == 200 else answer.status for answer in answers]


def test_a_server_that_fails_its_check_is_taken_out_and_comes_back(pair):
    first, second = pair
    with Proxy(configuration(first, second, pool=HEALTH)) as proxy:
        first.wait_checks()
        assert set(bodies(proxy)) == {"a", "b"}
        first.health = 503
        first.wait_checks()
        assert set(bodies(proxy)) == {"b"}
        first.health = 200
        first.wait_checks()
        assert sorted(bodies(proxy)) == ["a"] * 5 + ["b"] * 5


def test_the_status_page_tells_which_server_is_out_and_why(pair):
    first, second = pair
    with Proxy(configuration(first, second, pool=HEALTH)) as proxy:
        first.health = 503
        first.wait_checks()
        text = json.dumps(proxy.page("status"))
        assert first.address in text and second.address in text and "503" in text


def test_fall_and_rise_are_counted_exactly(pair):
    first, second = pair
    pool = {**HEALTH, "health": {**HEALTH["health"], "fall": 3, "rise": 2}}
    with Proxy(configuration(first, second, pool=pool)) as proxy:
        first.wait_checks()
        assert set(bodies(proxy)) == {"a", "b"}
        first.health = 503
        first.wait_checks(3)
        assert set(bodies(proxy)) == {"b"}
        first.health = 200
        first.wait_checks(2)
        assert set(bodies(proxy)) == {"a", "b"}


@pytest.mark.parametrize("status", [204, 301, 404, 500])
def test_only_200_is_healthy(pair, status):
    first, second = pair
    first.health = status
    with Proxy(configuration(first, second, pool=HEALTH)) as proxy:
        first.wait_checks()
        assert set(bodies(proxy)) == {"b"}


def test_a_check_that_is_never_answered_takes_the_server_out(pair):
    async def silent(connection):
        while request := await connection.request():
            if request.target == "/health":
                connection.server.asked += 1
                connection.server.notify()
                await connection.until_closed()
                return
            await connection.send(reply(body="silent"))

    first, _ = pair
    with Server(silent) as hanging:
        hanging.asked = 0
        pool = {"health": {"path": "/health", "interval": "20ms", "timeout": "50ms"}}
        with Proxy(configuration(first, hanging, pool=pool)) as proxy:
            hanging.wait(lambda: hanging.asked >= 2, "a second check, which comes after the first has timed out")
            assert set(bodies(proxy)) == {"a"}


def test_a_server_that_is_gone_is_taken_out_and_the_last_one_gone_is_503(pair):
    first, second = pair
    with Proxy(configuration(first, second, pool=HEALTH)) as proxy:
        first.wait_checks()
        first.health = second.health = 503
        first.wait_checks()
        second.wait_checks()
        assert set(bodies(proxy, 4)) == {503}
        answer = proxy.get("/", Accept="application/json")
        assert answer.status == 503 and json.loads(answer.body)
        assert proxy.get("/__health__").status in (200, 503)
        first.health = 200
        first.wait_checks()
        assert set(bodies(proxy, 4)) == {"a"}


def test_checks_go_on_while_a_server_is_asked_nothing_else(pair):
    first, second = pair
    with Proxy(configuration(first, second, pool=HEALTH)):
        first.wait_checks(10)
        second.wait_checks(10)


def test_an_interim_answer_to_a_health_check_is_no_verdict():
    async def script(connection):
        while request := await connection.request():
            if request.target == "/health":
                await connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await connection.send(reply(body="hello"))

    with Server(script) as server:
        pool = {"health": {"path": "/health", "interval": "50ms", "timeout": "5s"}}
        with Proxy(configuration(server, pool=pool)) as proxy:
            server.wait(lambda: len([request for request in server.requests if request.target == "/health"]) >= 3, "three checks")
            [described] = proxy.page("status")["pools"][0]["servers"]
            assert described["health"] == "healthy" and proxy.get().body == b"hello"
