"""Every hostile and odd case of tests/corpus through the real proxy, on real sockets."""

import collections

import pytest

import corpus
from harness import Proxy, configuration
from messages import reply
from server import Server

REQUEST_CASES = corpus.load("http1_requests.json")
RESPONSE_CASES = corpus.load("http1_responses.json")
STRICT_SHARE_MIN = 0.95
SHORT = {"header_read": "700ms", "body_idle": "1500ms", "idle": "5s", "connect": "2s", "first_byte": "1500ms"}


async def answer_with_the_target(connection):
    while request := await connection.request():
        await connection.send(reply(body=b"" if request.method == "HEAD" else f"answer to {request.target}"))


@pytest.fixture(scope="module")
def servers():
    with Server(answer_with_the_target) as server, Server(answer_with_the_target) as private:
        yield server, private
        server.faults.clear()  # each case has judged its own


@pytest.fixture(scope="module")
def proxy(servers):
    server, private = servers
    config = configuration(server, timeouts=SHORT)
    config["routes"].insert(0, {"match": {"path": "/private/*"}, "pool": "private"})
    config["pools"]["private"] = {"servers": [{"address": private.address}]}
    with Proxy(config) as running:
        yield running


@pytest.fixture(scope="module")
def strictness():
    return {}


@pytest.mark.parametrize("case", REQUEST_CASES, ids=[case["name"] for case in REQUEST_CASES])
def test_request(case, proxy, servers, strictness):
    strictness[case["name"]] = False
    played = corpus.play(case, proxy, *servers)
    strictness[case["name"]] = corpus.strictly(case, played)
    corpus.judge_request(case, played)


def test_requests_are_read_strictly(strictness):
    if len(strictness) < len(REQUEST_CASES):
        pytest.skip("only with all cases")
    lax = [name for name, strict in strictness.items() if not strict]
    print(f"strictest reading: {len(strictness) - len(lax)} of {len(strictness)}; not: {', '.join(lax)}")
    assert len(lax) <= len(strictness) * (1 - STRICT_SHARE_MIN), lax


class CaseServer(Server):
    """Answers /case with the bytes of the case that is being played, and everything else as a good server does."""

    def __init__(self):
        self.case = None
        self.played = 0  # how often all of a case's bytes were sent
        super().__init__(self.play)

    async def play(self, connection):
        while request := await connection.request():
            if request.target != "/case":
                await connection.send(reply(body=f"answer to {request.target}"))
                continue
            case = self.case
            for data, pause in corpus.pieces(case):
                await connection.send(data)
                await connection.pause(pause)
            self.played += 1
            self.notify()
            if case["close"] == "rst":
                return connection.reset()
            if case["close"]:
                return None
            if case["expect"] == "tunnel":
                while data := await connection.recv():
                    await connection.send(data)
        return None


@pytest.fixture(scope="module")
def case_server():
    with CaseServer() as server:
        yield server


@pytest.fixture(scope="module")
def case_proxy(case_server):
    with Proxy(configuration(case_server, timeouts=SHORT)) as running:
        yield running


@pytest.fixture(scope="module")
def response_outcomes():
    return collections.OrderedDict()


@pytest.mark.parametrize("case", RESPONSE_CASES, ids=[case["name"] for case in RESPONSE_CASES])
def test_response(case, case_proxy, case_server, response_outcomes):
    case_server.case = case
    response_outcomes[case["name"]] = "failed"
    goal = case_server.played + 1
    with case_proxy.client() as client:
        response_outcomes[case["name"]] = corpus.judge_response(
            case, client, lambda: case_server.wait(lambda: case_server.played >= goal, "the whole case"))
    assert case_proxy.get("/after").body == b"answer to /after", "the pool kept a poisoned connection"


def test_responses_are_read_strictly(response_outcomes):
    if len(response_outcomes) < len(RESPONSE_CASES):
        pytest.skip("only with all cases")
    wanted = {case["name"]: case["strict_expect"] for case in RESPONSE_CASES if case["strict_expect"] == "502"}
    lax = [name for name in wanted if response_outcomes[name] != "502"]
    print(f"strictest reading: {len(wanted) - len(lax)} of {len(wanted)} refused; not: {', '.join(lax)}")
    assert len(lax) <= len(wanted) * (1 - STRICT_SHARE_MIN), lax
