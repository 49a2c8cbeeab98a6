"""How a case of tests/corpus is played and what its expectations mean; test_corpus.py holds it against the real proxy.

`Played` is what came of one request case: the answers, how the connection ended, what the servers saw. The judging functions
raise AssertionError; `strictly` says whether the outcome is also what the strictest reading wants.
"""

import json
import posixpath
import select
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from client import Ended, request_bytes
from messages import Fault

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
REJECTIONS = [*range(400, 500), 501, 505]
PROBE = request_bytes("GET", "/probe", {"Connection": "close"})


def load(name):
    return json.loads((CORPUS / name).read_text())


def pieces(case):
    """(bytes, milliseconds to pause after them) in order."""
    if "parts" in case:
        return [(text.encode("latin-1"), pause) for text, pause in case["parts"]]
    raw = case["raw"].encode("latin-1")
    if "split" in case:
        step = case["split"]
        return [(raw[at:at + step], case.get("delay", 1)) for at in range(0, len(raw), step)]
    return [(raw, 0)]


@dataclass
class Played:
    answers: list = field(default_factory=list)
    bare_close: bool = False       # the connection ended where an answer was due
    closed: bool = False           # it ended by itself after the answers
    probe: object = None           # the answer to one more request on the same connection, where it stayed open
    seen: list = field(default_factory=list)     # requests at the open server, without probes
    private: list = field(default_factory=list)  # requests at the server of the denied prefix
    faults: list = field(default_factory=list)

    @property
    def complete(self):
        return [request for request in self.seen if request.complete]

    @property
    def rejected(self):
        if self.bare_close and not self.answers:
            return True
        return bool(self.answers) and self.answers[0].status in REJECTIONS and not self.complete


def send_pieces(client, case):
    """False where the proxy ended the connection before everything was sent, which a rejection may do."""
    try:
        for data, pause in pieces(case):
            client.send(data)
            if pause and select.select([client.sock], [], [], pause / 1000)[0]:
                early = client.recv()
                client.buffer.feed(early)
                if not early:
                    return False
        if case.get("half_close"):
            client.half_close()
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def methods(case):
    """The method of each request that is answered, which the reader must know: HEAD has no body."""
    first = (case["parts"][0][0] if "parts" in case else case["raw"]).split(" ", 1)[0]
    specs = case.get("backend_requests") or [{}]
    found = [spec.get("method", "GET") for spec in specs]
    if "method" not in specs[0]:
        found[0] = first
    return found + (["GET"] if case.get("then_reject") else [])


def play(case, proxy, server, private):
    marks = len(server.requests), len(private.requests), len(server.faults)
    played = Played()
    with proxy.client() as client:
        send_pieces(client, case)
        try:
            for method in methods(case):
                played.answers.append(client.response(method))
                if "close" in played.answers[-1].listed("connection"):
                    break
        except Ended:
            played.bare_close = True
        finish(case, client, played)
    server.settle()
    private.settle()
    played.seen = [request for request in server.requests[marks[0]:] if (request.method, request.target) != ("GET", "/probe")]
    played.private = private.requests[marks[1]:]
    played.faults = server.faults[marks[2]:] + private.faults
    private.faults.clear()
    return played


def finish(case, client, played):
    """Sees how the connection goes on: ended by the proxy, or good for one more request, after whatever was still due."""
    announced = played.answers and "close" in played.answers[-1].listed("connection")
    waits = case.get("must_close") or case.get("backend") == "none-or-aborted" or case.get("half_close")
    if played.bare_close or announced or waits:
        rest = client.rest()
        assert rest == b"", f"bytes after the last answer: {rest[:300]!r}"
        played.closed = True
        return
    try:
        client.send(PROBE)
        while played.probe is None:
            answer = client.response()
            if answer.body == b"answer to /probe":
                played.probe = answer
            else:
                played.answers.append(answer)
        assert client.rest() == b"", "bytes after the probe's answer"
    except (Ended, BrokenPipeError, ConnectionResetError):
        played.closed = True


def judge_request(case, played):
    assert not played.faults, f"the server saw a message that is not strict: {played.faults}"
    if case.get("no_1xx"):
        assert not any(answer.interim for answer in played.answers), "an interim answer was invented"
    if case.get("must_close"):
        assert played.closed
    if prefix := case.get("deny_prefix"):
        for request in played.seen:
            assert not under(request.target, prefix), f"{request.target} passed the rule for {prefix}"
    if played.private:
        return
    assert len(played.complete) <= case["backend_max"], f"the server saw {played.complete}"
    {"reject": judge_reject, "accept": judge_accept, "either-safe": judge_either}[case["expect"]](case, played)


def judge_reject(case, played):
    if not played.answers:
        assert case.get("allow_bare_close") or case.get("may_hang"), "closed without an answer"
    else:
        assert played.answers[0].status in REJECTIONS, f"answered {played.answers}"
    assert not played.complete, f"the server saw {played.complete}"
    if case.get("backend") != "none-or-aborted":
        assert not played.seen, f"the server saw {played.seen}"


def judge_accept(case, played):
    specs = case["backend_requests"]
    wanted = len(specs) + bool(case.get("then_reject"))
    assert [answer.status for answer in played.answers[:len(specs)]] == [200] * len(specs), f"answered {played.answers}"
    assert len(played.answers) <= wanted, f"answered {played.answers}"
    assert len(played.seen) == len(specs) and len(played.complete) == len(specs), f"the server saw {played.seen}"
    for request, spec in zip(played.seen, specs):
        matches(request, spec)
    if case.get("ordered"):
        for answer, request, method in zip(played.answers, played.seen, methods(case)):
            expected = b"" if method == "HEAD" else f"answer to {request.target}".encode()
            assert answer.body == expected, "answers out of order"
    if case.get("then_reject"):
        assert played.bare_close or played.answers[len(specs)].status in REJECTIONS
        assert played.closed


def judge_either(case, played):
    if not played.answers:
        assert case.get("allow_bare_close") or case.get("may_hang") or played.seen == [], "closed without an answer"
        return
    assert played.answers[0].status == 200 or played.answers[0].status in REJECTIONS, f"answered {played.answers}"
    if played.complete and case.get("if_forwarded"):
        matches(played.complete[0], case["if_forwarded"])
    if case.get("backend") == "none-or-aborted":
        assert not played.complete, f"the server saw {played.complete}"


def strictly(case, played):
    try:
        judge_request(case, played)
        if played.complete and case.get("strict_if_forwarded"):
            matches(played.complete[0], case["strict_if_forwarded"])
        if case["strict_expect"] == "reject":
            return played.rejected
        return case["strict_expect"] != "accept" or not played.rejected
    except AssertionError:
        return False


def matches(request, spec):
    """Whether the request at the server is what the case says it must be."""
    forwarded_for = request.listed("x-forwarded-for")
    for key, wanted in spec.items():
        match key:
            case "body":
                assert request.body == wanted.encode("latin-1")
            case "method":
                assert request.method == wanted
            case "target" | "target_strict":
                assert request.target == wanted
            case "target_not_contains":
                assert wanted not in request.target
            case "header":
                for name, value in wanted.items():
                    assert request.values(name) == [value], f"{name}: {request.values(name)}"
            case "header_list":
                for name, values in wanted.items():
                    assert request.values(name) == values
            case "header_absent":
                for name in wanted:
                    assert not request.values(name), f"{name}: {request.values(name)}"
            case "trailer_absent":
                assert not [name for name, _ in request.trailers if name.lower() in wanted], request.trailers
            case "xff_last":
                assert forwarded_for and forwarded_for[-1] == wanted, forwarded_for
            case "xff_not_contains":
                assert wanted not in forwarded_for, forwarded_for
            case "upgrade_not":
                assert wanted not in request.listed("upgrade"), request.listed("upgrade")
            case _:
                raise AssertionError(f"the corpus asks for {key}, which nothing here checks")


def under(target, prefix):
    """Whether any common reading of the target leads to a path under the prefix."""
    path = target.split("?", 1)[0].split("#", 1)[0]
    for read in (path, urllib.parse.unquote(path), urllib.parse.unquote(path).replace("\\", "/")):
        normal = posixpath.normpath("/" + read.lstrip("/"))
        if normal == prefix or normal.startswith(prefix + "/"):
            return True
    return False


REQUESTS = {
    "GET": request_bytes("GET", "/case"),
    "HEAD": request_bytes("HEAD", "/case"),
    "GET10": request_bytes("GET", "/case", version="HTTP/1.0"),
    "WS": request_bytes("GET", "/case", {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                                         "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}),
}


def judge_response(case, client, all_sent):
    """Asks, reads and judges in one: what a server's bytes may do to a client. Returns what it got: a status, or 'truncated'.

    `all_sent` waits until the server has sent the whole case: what it says after its answer must reach nobody.
    """
    client.send(REQUESTS[case["request"]])
    answer = client.response("HEAD" if case["request"] == "HEAD" else "GET")
    assert not answer.values("x-evil") and b"EVIL" not in answer.body
    if case["request"] == "GET10":
        assert answer.framing != "chunked", "chunks for an HTTP/1.0 client"
    if case.get("no_1xx"):
        assert not answer.interim
    expect = case["expect"]
    if expect == "tunnel":
        return judge_tunnel(case, client, answer)
    if answer.status == 502 and case.get("client", {}).get("status") != 502:
        assert expect in ("502", "truncate-close", "either-safe"), f"answered {answer}"
        assert b"hello" not in answer.body
        outcome = "502"
    elif not answer.complete:
        assert expect in ("truncate-close", "either-safe"), f"truncated: {answer}"
        client.expect_end()
        return "truncated"
    else:
        assert expect in ("forward", "forward-no-body", "either-safe"), f"answered {answer}"
        assert answer.status != 101, "switched although nobody may"
        looks_like(answer, case)
        outcome = "forward"
    all_sent()
    not_poisoned(client, answer)
    return outcome


def looks_like(answer, case):
    wanted = case.get("client", {})
    assert answer.status == wanted.get("status", answer.status), f"answered {answer}"
    if "body" in wanted:
        assert answer.body == wanted["body"].encode("latin-1"), f"answered {answer}"
    if case["expect"] == "forward-no-body":
        assert answer.body == b""
    for name, value in wanted.get("header", {}).items():
        assert answer.values(name) == [value]
    for name in wanted.get("header_absent", []):
        assert not answer.values(name), f"{name}: {answer.values(name)}"


def not_poisoned(client, answer):
    """The next request on the same connection gets its own answer and nothing else."""
    if "close" in answer.listed("connection") or answer.framing == "until-close":
        client.expect_end()
        return
    try:
        client.send(PROBE)
        probe = client.response()
    except (Ended, BrokenPipeError, ConnectionResetError):
        return
    assert probe.body == b"answer to /probe" and not probe.values("x-evil"), f"the next request got {probe}"
    client.expect_end()


def judge_tunnel(case, client, answer):
    assert answer.status == 101, f"answered {answer}"
    early = case.get("early", "").encode()
    assert client.exactly(len(early)) == early
    client.send(b"over and back")
    assert client.exactly(13) == b"over and back"
    return "tunnel"


__all__ = ["Fault", "judge_request", "judge_response", "load", "pieces", "play", "strictly"]
