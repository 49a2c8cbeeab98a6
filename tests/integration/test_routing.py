"""Which pool a request goes to: by host, path, method and fields, the most specific match first."""

import json

import pytest

from harness import Proxy, configuration
from messages import reply
from server import Server, answering

ROUTES = [
    ("any", {}),
    ("host", {"host": "api.example.com"}),
    ("host and path", {"host": "api.example.com", "path": "/v1/*"}),
    ("wildcard host", {"host": "*.example.com"}),
    ("exact path", {"path": "/exact"}),
    ("prefix", {"path": "/files/*"}),
    ("longer prefix", {"path": "/files/public/*"}),
    ("segment", {"path": "/users/*/posts"}),
    ("method", {"path": "/things", "method": "POST"}),
    ("methods", {"path": "/things", "method": ["PUT", "DELETE"]}),
    ("field with value", {"path": "/canary", "headers": {"X-Canary": "1"}}),
    ("field alone", {"path": "/canary", "headers": {"X-Beta": ""}}),
]


@pytest.fixture(scope="module")
def proxy():
    servers = [Server(answering(reply(body=name))) for name, _ in ROUTES]
    config = configuration()
    config["pools"] = {f"p{n}": {"servers": [server.address]} for n, server in enumerate(servers)}
    config["routes"] = [{"match": match, "pool": f"p{n}"} for n, (_, match) in enumerate(ROUTES)]
    config["routes"][0].pop("match")
    with Proxy(config) as running:
        yield running
    for server in servers:
        server.stop()
        server.check()


CASES = [
    ("any", "GET", "other.example", "/", {}),
    ("host", "GET", "api.example.com", "/", {}),
    ("host", "GET", "API.Example.COM", "/", {}),
    ("host", "GET", "api.example.com:8080", "/v10", {}),
    ("host", "GET", "api.example.com.", "/", {}),
    ("host and path", "GET", "api.example.com", "/v1/x", {}),
    ("host and path", "GET", "api.example.com", "/v1", {}),
    ("host and path", "GET", "api.example.com", "/v1/", {}),
    ("host and path", "GET", "api.example.com", "/x/../v1/y", {}),
    ("host and path", "GET", "api.example.com", "/%76%31/y", {}),
    ("wildcard host", "GET", "www.example.com", "/", {}),
    ("wildcard host", "GET", "a.b.example.com", "/", {}),
    ("any", "GET", "example.com", "/", {}),
    ("any", "GET", "badexample.com", "/", {}),
    ("exact path", "GET", "test.local", "/exact", {}),
    ("exact path", "GET", "test.local", "/exact?q=/files/x", {}),
    ("any", "GET", "test.local", "/exact/more", {}),
    ("any", "GET", "test.local", "/Exact", {}),
    ("prefix", "GET", "test.local", "/files/a", {}),
    ("any", "GET", "test.local", "/filesystem", {}),
    ("longer prefix", "GET", "test.local", "/files/public/a", {}),
    ("longer prefix", "GET", "test.local", "/files/x/../public/a", {}),
    ("segment", "GET", "test.local", "/users/42/posts", {}),
    ("any", "GET", "test.local", "/users/posts", {}),
    ("any", "GET", "test.local", "/users/4/2/posts", {}),
    ("method", "POST", "test.local", "/things", {}),
    ("methods", "PUT", "test.local", "/things", {}),
    ("methods", "DELETE", "test.local", "/things", {}),
    ("any", "GET", "test.local", "/things", {}),
    ("any", "post", "test.local", "/things", {}),
    ("field with value", "GET", "test.local", "/canary", {"x-canary": "1"}),
    ("any", "GET", "test.local", "/canary", {"X-Canary": "2"}),
    ("field alone", "GET", "test.local", "/canary", {"X-BETA": "whatever"}),
]


@pytest.mark.parametrize("route, method, host, target, fields", CASES, ids=[f"{m} {h}{t} {f or ''}" for _, m, h, t, f in CASES])
def test_a_request_takes_the_most_specific_route(proxy, route, method, host, target, fields):
    with proxy.client() as client:
        answer = client.request(method, target, fields, host=host, body=b"" if method in ("POST", "PUT") else None)
    assert (answer.status, answer.body.decode()) == (200, route)


def test_every_request_of_a_connection_is_routed_for_itself(proxy):
    with proxy.client() as client:
        for _ in range(3):
            for route, method, host, target, fields in CASES[:12]:
                assert client.request(method, target, fields, host=host).body.decode() == route


def test_the_authority_of_an_absolute_target_decides(proxy):
    with proxy.client() as client:
        assert client.request("GET", "http://api.example.com/v1/x", host="api.example.com").body == b"host and path"


@pytest.fixture(scope="module")
def narrow():
    with Server() as server:
        config = configuration(server)
        config["routes"] = [{"match": {"host": "api.example.com", "path": "/v1/*"}, "pool": "app"}]
        with Proxy(config) as running:
            yield running


def test_no_route_is_404_with_a_sentence(narrow):
    answer = narrow.get("/elsewhere")
    assert answer.status == 404
    assert answer.value("content-type").startswith("text/plain") and len(answer.body.decode().split()) > 2


def test_no_route_is_404_in_json_for_those_who_ask_for_json(narrow):
    answer = narrow.get("/elsewhere", Accept="application/json")
    assert answer.status == 404 and answer.value("content-type").startswith("application/json")
    body = json.loads(answer.body)
    assert answer.value("x-request-id") in json.dumps(body)


def test_no_route_leaves_the_connection_usable(narrow):
    with narrow.client() as client:
        assert client.get("/elsewhere").status == 404
        assert client.request("POST", "/elsewhere", body=b"GET /v1/x HTTP/1.1\r\nHost: api.example.com\r\n\r\n").status == 404
        assert client.request("GET", "/v1/x", host="api.example.com").status == 200
