"""Packets: the proxy between clients and servers that speak as the original programs do, and the two programs of this project that
take their places."""

import contextlib
import json
import re
import signal
import socket
from pathlib import Path

import pytest
import yaml

from harness import Process, Proxy, REPOSITORY, free_port, run
from packet_peers import OriginalProxy, OriginalServer, ack, announce, connect, exchange, objects, packet, rest, written

POLICY_OF = {1: "111", 2: "111", 3: "222", 4: "111", 5: "222", 6: "222"}
PACKETS = REPOSITORY / "examples/packets"


def configuration(registration="open", servers=(), listener=None, pool=None, **overrides):
    return {
        "workers": 1,
        "log": {"access": "off"},
        "listeners": [{"bind": "127.0.0.1:0", "protocol": "packet", "pool": "packets", "registration": registration, **(listener or {})}],
        "pools": {"packets": {"algorithm": "round_robin", "policy": {"label": "privacy"},
                              **({"registration": {"networks": ["127.0.0.0/8"]}} if registration != "off" else {}),
                              **({"servers": list(servers)} if servers else {}), **(pool or {})}},
        "timeouts": {"drain": "2s", **overrides.pop("timeouts", {})},
        **overrides,
    }


@pytest.fixture
def proxy():
    with Proxy(configuration()) as running:
        yield running


@contextlib.contextmanager
def four_servers(port):
    """100 and 300 promise 111, 200 and 400 promise 222, announced in the order of their ids."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(OriginalServer(id, policy, port))
               for id, policy in (("100", "111"), ("200", "222"), ("300", "111"), ("400", "222"))]


def sole_server(port, policy="111", **options):
    return OriginalServer("100", policy, port, **options)


# The originals before and behind the proxy


def test_a_registration_gets_no_bytes(proxy):
    with sole_server(None) as server:
        assert announce(proxy.port, server.setup()) == b""
        assert exchange(proxy.port, packet(1, "111")) == [written(ack("100", packet(1, "111")))]


@pytest.mark.parametrize("workers", [1, 2])
def test_six_packets_alternate_between_the_servers_of_their_policies(workers):
    with Proxy(configuration(workers=workers)) as proxy, four_servers(proxy.port) as servers:
        served = {}
        for number, policy in POLICY_OF.items():
            answer, = exchange(proxy.port, (PACKETS / f"{number}.json").read_bytes())
            served[number] = json.loads(answer)["srcid"]
            assert answer == written(ack(served[number], packet(number, policy)))
        assert [served[number] for number in (1, 2, 4)] == ["100", "300", "100"]
        assert [served[number] for number in (3, 5, 6)] == ["200", "400", "200"]
        assert [server.sources for server in servers] == [["1", "4"], ["3", "6"], ["2"], ["5"]]


def test_the_server_gets_what_python_would_have_written(proxy):
    odd = b' {"privPoliId":"111" ,"type":"0","srcid":1,"payload":"\xc3\xa9\\u00e9\\/\\ud83d\\ude00",\n"more":{"a":[1,2.50,true,null]}}'
    with sole_server(proxy.port, reply=lambda data: b'{"type":"2","free" : "\xc3\xa9"}') as server:
        assert exchange(proxy.port, odd) == [b'{"type": "2", "free": "\\u00e9"}']
        assert server.received == [b'{"privPoliId": "111", "type": "0", "srcid": 1, "payload": "\\u00e9\\u00e9/\\ud83d\\ude00", '
                                   b'"more": {"a": [1, 2.50, true, null]}}']


def test_a_repeated_id_replaces_the_server(proxy):
    with sole_server(proxy.port) as first, sole_server(proxy.port) as second:
        exchange(proxy.port, packet(1, "111"))
        exchange(proxy.port, packet(2, "111"))
        assert first.sources == [] and second.sources == ["1", "2"]


def test_packets_on_one_connection_are_answered_in_turn(proxy):
    with four_servers(proxy.port):
        messages = [packet(number, policy) for number, policy in POLICY_OF.items()]
        answers = [json.loads(answer) for answer in exchange(proxy.port, *messages)]
        assert [answer["destid"] for answer in answers] == ["1", "2", "3", "4", "5", "6"]


def test_pipelined_packets_are_all_answered_in_their_order(proxy):
    messages = [packet(number, policy) for number, policy in POLICY_OF.items()]
    with four_servers(proxy.port), connect(proxy.port) as sock:
        sock.sendall(b"\n".join(map(written, messages)) + b"".join(map(written, messages)))
        answers = [json.loads(answer) for answer in objects(sock, 12)]
        assert [answer["destid"] for answer in answers] == ["1", "2", "3", "4", "5", "6"] * 2
        assert all(answer == ack(answer["srcid"], message) for answer, message in zip(answers, messages + messages))


def test_two_packets_split_at_every_byte_are_answered(proxy):
    messages = [packet(1, "111"), packet("é", "111", payload="\n")]
    data = b"".join(map(written, messages))
    expected = [written(ack("100", message)) for message in messages]
    with sole_server(proxy.port), connect(proxy.port) as sock:
        for split in range(1, len(data)):
            sock.sendall(data[:split])
            sock.sendall(data[split:])
            assert objects(sock, 2) == expected, split


def test_a_packet_byte_by_byte_is_answered(proxy):
    with sole_server(proxy.port), connect(proxy.port) as sock:
        for byte in written(packet(1, "111")):
            sock.sendall(bytes([byte]))
        assert objects(sock, 1) == [written(ack("100", packet(1, "111")))]


def test_a_client_that_has_ended_its_side_is_answered(proxy):
    with sole_server(proxy.port), connect(proxy.port) as sock:
        sock.sendall(written(packet(1, "111")))
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock) == written(ack("100", packet(1, "111")))


def test_an_answer_split_over_segments_is_passed_as_one(proxy):
    class Slow(OriginalServer):
        def serve(self, sock):
            data = sock.recv(2048)
            for byte in written(ack(self.id, json.loads(data))):
                sock.sendall(bytes([byte]))
            sock.recv(1)

    with Slow("100", "111", proxy.port):
        assert exchange(proxy.port, packet(1, "111")) == [written(ack("100", packet(1, "111")))]


# Never outside the policy


def test_an_unknown_policy_closes_without_bytes_and_the_next_client_is_served(proxy):
    with sole_server(proxy.port) as server:
        for policy in ("222", "11", "1111", "", "111 ", "111,222", "*"):
            assert exchange(proxy.port, packet(1, policy)) == [b""], policy
        assert exchange(proxy.port, packet(2, "111")) == [written(ack("100", packet(2, "111")))]
        assert server.sources == ["2"]


def test_a_server_that_is_gone_is_replaced_within_its_policy_only(proxy):
    with four_servers(proxy.port) as (first, second, third, fourth):
        first.stop()
        answers = [json.loads(exchange(proxy.port, packet(number, "111"))[0])["srcid"] for number in range(4)]
        assert answers == ["300"] * 4
        third.stop()
        for number in range(4):
            assert exchange(proxy.port, packet(number, "111")) == [b""]
        assert second.received == fourth.received == []


def test_where_nobody_is_registered_the_connection_ends(proxy):
    assert exchange(proxy.port, packet(1, "111")) == [b""]


def test_refusals_are_objects_where_the_listener_says_so():
    with Proxy(configuration(listener={"refusals": "json"})) as proxy, connect(proxy.port) as sock:
        sock.sendall(written(packet(1, "333")))
        answer = json.loads(rest(sock))
        assert answer["status"] == 421 and "policy" in answer["error"]


@pytest.mark.parametrize("reply", [b"no json", b'{"type": "2"', b"[1]", b"", b'{"a": "\xff"}', b'{"a": 1, "a": 2}', b"HTTP/1.1 200 OK"])
def test_an_answer_that_is_no_object_is_not_passed_on(proxy, reply):
    with sole_server(proxy.port, reply=lambda data: reply if data["srcid"] == "1" else written(ack("100", data))):
        assert exchange(proxy.port, packet(1, "111")) == [b""]
        assert exchange(proxy.port, packet(2, "111")) == [written(ack("100", packet(2, "111")))]


# Who may register


def test_without_registration_only_configured_servers_serve():
    with OriginalServer("100", "111") as server, OriginalServer("200", "222") as other:
        configured = {"address": f"127.0.0.1:{server.port}", "labels": {"privacy": "111"}}
        with Proxy(configuration("off", servers=[configured])) as proxy:
            assert announce(proxy.port, other.setup()) == b""
            assert exchange(proxy.port, packet(1, "111")) == [written(ack("100", packet(1, "111")))]
            assert exchange(proxy.port, packet(3, "222")) == [b""]
            assert other.received == []


def test_a_secret_is_asked_for_where_the_listener_says_so(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123\n")
    secret.chmod(0o600)
    registration = {"networks": ["127.0.0.0/8"], "token_file": str(secret)}
    with Proxy(configuration("secret", pool={"registration": registration})) as proxy, OriginalServer("100", "111") as server:
        for wrong in ({}, {"secret": ""}, {"secret": "0123456789abcdef0124"}, {"secret": 1}):
            assert announce(proxy.port, {**server.setup(), **wrong}) == b""
            assert exchange(proxy.port, packet(1, "111")) == [b""]
        assert announce(proxy.port, {**server.setup(), "secret": "0123456789abcdef0123"}) == b""
        assert exchange(proxy.port, packet(1, "111")) == [written(ack("100", packet(1, "111")))]


@pytest.mark.parametrize("change", [
    {"id": ""}, {"id": None}, {"id": ["100"]}, {"id": "1" * 129}, {"id": "a\n"}, {"privPolyId": ""}, {"privPolyId": {}},
    {"privPolyId": "1" * 257}, {"listenport": "0"}, {"listenport": "65536"}, {"listenport": "2105 "}, {"listenport": True}, {"type": "3"},
    {"type": None}, {"privPoliId": "111"}, {"lease": "soon"}, {"weight": -1},
])
def test_a_registration_with_something_wrong_is_refused(proxy, change):
    with OriginalServer("100", "111") as server:
        assert announce(proxy.port, {**server.setup(), **change}) == b""
        assert exchange(proxy.port, packet(1, "111")) == [b""]
        assert announce(proxy.port, server.setup()) == b""
        assert exchange(proxy.port, packet(1, "111")) == [written(ack("100", packet(1, "111")))]


# Hostile packets

DATA = b'"type": "0", "srcid": "1", "privPoliId": "111", "payload": "xyz1"'
HOSTILE = {
    "no object": b"[" + written(packet(1, "111")) + b"]",
    "a word": b"hello\n",
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "byte order mark": b"\xef\xbb\xbf{" + DATA + b"}",
    "arrays in arrays": b"{" + DATA + b', "a": ' + b"[" * 40,
    "objects in objects": b'{"a": ' * 100_000,
    "huge number": b"{" + DATA + b', "a": ' + b"9" * 65 + b"}",
    "huge exponent": b"{" + DATA + b', "a": 1e' + b"9" * 100,
    "odd numbers": b"{" + DATA + b', "a": 01}',
    "not a number": b"{" + DATA + b', "a": NaN}',
    "name twice": b"{" + DATA + b', "privPoliId": "111"}',
    "name twice by an escape": b"{" + DATA + b', "priv\\u0050oliId": "222"}',
    "too many members": b"{" + DATA + b"".join(b', "%d": 1' % i for i in range(100)) + b"}",
    "not utf-8": b"{" + DATA + b', "a": "\xff"}',
    "overlong": b"{" + DATA + b', "a": "\xc0\x80"}',
    "a surrogate in utf-8": b"{" + DATA + b', "a": "\xed\xa0\x80"}',
    "half a pair": b"{" + DATA + b', "a": "\\ud83d"}',
    "second half of a pair": b"{" + DATA + b', "a": "\\ude00"}',
    "line end in a string": b"{" + DATA + b', "a": "\n"}',
    "nul before": b"\0{" + DATA + b"}",
    "nul between": b"{\0" + DATA + b"}",
    "nul in a string": b"{" + DATA + b', "a": "\0"}',
    "nothing but blanks": b" " * 64 * 1024 + b"\n",
    "blanks inside": b"{" + b" " * 64 * 1024 + DATA + b"}",
    "larger than allowed": b"{" + DATA + b', "a": "' + b"a" * 64 * 1024 + b'"}',
    "without an end": b"{" + DATA + b', "a": "' + b"a" * 1024 * 1024,
    "both spellings": b"{" + DATA + b', "privPolyId": "111"}',
    "spelling of setup": b'{"type": "0", "srcid": "1", "privPolyId": "111", "payload": "xyz1"}',
    "no policy": b'{"type": "0", "srcid": "1", "payload": "xyz1"}',
    "policy of another kind": b'{"type": "0", "srcid": "1", "privPoliId": ["111"], "payload": "xyz1"}',
    "policy with a fraction": b'{"type": "0", "srcid": "1", "privPoliId": 111.0, "payload": "xyz1"}',
    "no type": b'{"srcid": "1", "privPoliId": "111"}',
    "type of another kind": b'{"type": false, "privPoliId": "111"}',
    "ack": written(ack("100", packet(1, "111"))),
    "two at once": b"{" + DATA + b'" "}',
}


@pytest.fixture(scope="module")
def hardened():
    with Proxy(configuration(timeouts={"header_read": "300ms"})) as running, sole_server(running.port) as server:
        running.server = server
        yield running


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_packets_are_refused_and_nothing_is_stuck(hardened, data):
    before = len(hardened.server.received)
    with connect(hardened.port) as sock, connect(hardened.port) as other:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        other.sendall(written(packet(7, "111")))
        assert objects(other, 1) == [written(ack("100", packet(7, "111")))]
        assert rest(sock) == b""
        other.sendall(written(packet(8, "111")))
        assert objects(other, 1) == [written(ack("100", packet(8, "111")))]
    assert hardened.server.sources[before:] == ["7", "8"]


@pytest.mark.parametrize("data", [b"{", b'{"type": "0", "srcid', b'{"a": 1', written(packet(1, "111"))[:-1]])
def test_a_packet_that_never_ends_has_its_time(hardened, data):
    with connect(hardened.port) as sock:
        sock.sendall(data)
        assert rest(sock) == b""


def test_a_trickle_does_not_win_time(hardened):
    with connect(hardened.port) as sock:
        sock.settimeout(0.02)  # between two bytes
        sock.sendall(b'{"a": "')
        with pytest.raises(ConnectionError):
            while True:
                with contextlib.suppress(socket.timeout):
                    if sock.recv(1) == b"":
                        raise ConnectionError
                sock.sendall(b"a")


def test_good_packets_before_a_bad_one_are_answered(hardened):
    with connect(hardened.port) as sock:
        sock.sendall(written(packet(1, "111")) + b"\0")
        assert rest(sock) == written(ack("100", packet(1, "111")))


def test_the_end_within_a_packet_is_no_packet(hardened):
    before = len(hardened.server.received)
    with connect(hardened.port) as sock:
        sock.sendall(written(packet(1, "111"))[:-1])
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock) == b""
    assert len(hardened.server.received) == before


# What is written


def test_the_table_of_spellings_is_what_python_writes():
    cases = json.loads((REPOSITORY / "tests/corpus/json_canonical.json").read_text())
    assert len(cases) >= 100
    for case in cases:
        assert json.dumps(json.loads(case["text"])) == case["canonical"]


def test_the_example_is_a_packet_proxy():
    example = yaml.safe_load((REPOSITORY / "examples/packets.yaml").read_text())
    example["listeners"] = [{**listener, "bind": "127.0.0.1:0"} for listener in example["listeners"]]
    with Proxy(example) as proxy, four_servers(proxy.ports()[0]):
        assert exchange(proxy.ports()[0], packet(1, "111")) == [written(ack("100", packet(1, "111")))]


# steelyard packet server


@contextlib.contextmanager
def packet_server(proxy_port, *arguments, policy="111", setups=None, spelling=("--id", "--policy", "--listen", "--proxy")):
    id, pp, listen, place = spelling
    process = Process(["packet", "server", id, "100", pp, policy, listen, "0", place, str(proxy_port), *arguments])
    try:
        process.wait(process.ports, "it does not listen")
        process.port = process.ports()[0]
        if setups is not None:
            setups.wait(lambda: setups.setups, "it has not announced itself")
        yield process
        assert process.stop() == 0, process.lines
    finally:
        process.kill()


@pytest.mark.parametrize("spelling", [("--id", "--policy", "--listen", "--proxy"), ("-id", "-pp", "-listen", "-revproc")])
def test_the_server_announces_itself_as_the_original_does(spelling):
    with OriginalProxy() as proxy, packet_server(proxy.port, setups=proxy, spelling=spelling) as server:
        assert proxy.setups == [written({"type": "1", "id": "100", "privPolyId": "111", "listenport": str(server.port)})]


def test_the_server_answers_as_the_original_does():
    messages = [packet(1, "111"), packet("é", "111", payload=""), packet(3, "111", payload="\0é\U0001f600\"\\/")]
    with OriginalProxy() as proxy, packet_server(proxy.port) as server:
        for message in messages:
            assert exchange(server.port, message) == [written(ack("100", message))]
        assert exchange(server.port, *messages) == [written(ack("100", message)) for message in messages]


def test_the_server_answers_packets_however_they_arrive():
    messages = [packet(1, "111"), packet(2, "111")]
    data = b"".join(map(written, messages))
    expected = [written(ack("100", message)) for message in messages]
    with OriginalProxy() as proxy, packet_server(proxy.port, "--quiet") as server, connect(server.port) as sock:
        for split in range(len(data)):
            sock.sendall(data[:split])
            sock.sendall(data[split:])
            assert objects(sock, 2) == expected, split


def test_the_server_serves_connections_side_by_side():
    with OriginalProxy() as proxy, packet_server(proxy.port) as server:
        with connect(server.port) as first, connect(server.port) as second:
            first.sendall(b'{"type": ')
            second.sendall(written(packet(2, "111")))
            assert objects(second, 1) == [written(ack("100", packet(2, "111")))]
            first.sendall(written(packet(1, "111"))[len(b'{"type": '):])
            assert objects(first, 1) == [written(ack("100", packet(1, "111")))]


def test_the_server_tries_again_until_the_proxy_is_there():
    port = free_port()
    with packet_server(port) as server:
        server.wait_line("cannot announce itself to the proxy at 127.0.0.1:%d: .*trying again" % port)
        with OriginalProxy(port) as proxy:
            proxy.wait(lambda: proxy.setups, "it has not announced itself")
        server.wait_line("announced to the proxy")


def test_the_server_with_a_lease_renews_it_and_shows_its_secret(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123\n")
    secret.chmod(0o600)
    own = ("--lease", "300ms", "--secret-file", str(secret), "--weight", "2")
    with OriginalProxy() as proxy, packet_server(proxy.port, *own) as server:
        proxy.wait(lambda: len(proxy.setups) >= 3, "it does not renew its lease")
        expected = {"type": "1", "id": "100", "privPolyId": "111", "listenport": str(server.port), "secret": "0123456789abcdef0123",
                    "lease": "300ms", "weight": 2}
        assert set(proxy.setups) == {written(expected)}


def test_the_server_refuses_what_is_not_for_it():
    with OriginalProxy() as proxy, packet_server(proxy.port, policy="111, 333") as server:
        for wrong in (packet(1, "222"), packet(1, "111, 333"), written(packet(1, "111")).replace(b'"0"', b'"1"'), b"hello",
                      packet(1, "111", payload=1), b'{"type": "0", "privPoliId": "111"}'):
            assert exchange(server.port, wrong) == [b""], wrong
        server.wait_line("refused a packet")
        for policy in ("111", "333"):
            assert exchange(server.port, packet(1, policy)) == [written(ack("100", packet(1, policy)))]


def test_the_server_ends_after_what_it_is_answering():
    messages = [packet(number, "111") for number in (1, 2, 3)]
    with OriginalProxy() as proxy, packet_server(proxy.port, "--delay", "300ms") as server:
        with connect(server.port) as sock, connect(server.port) as idle:
            sock.sendall(b"".join(map(written, messages)))
            assert objects(sock, 1) == [written(ack("100", messages[0]))]
            server.send_signal(signal.SIGTERM)  # the second is under way, the third is not
            assert rest(sock) == written(ack("100", messages[1]))
            assert rest(idle) == b""
        assert server.finish() == 0


def test_the_server_ends_at_once_at_the_second_signal():
    with OriginalProxy() as proxy, packet_server(proxy.port, "--delay", "1h") as server:
        with connect(server.port) as sock:
            sock.sendall(written(packet(1, "111")))
            server.send_signal(signal.SIGINT)
            server.send_signal(signal.SIGTERM)
            assert rest(sock) == b""
        assert server.finish() == 0


@pytest.mark.parametrize("arguments, words", [
    (["--listen", "70000"], "70000"), (["--listen", "x"], "x"), (["--proxy", "nowhere"], "ADDRESS:PORT"),
    (["--proxy", "0"], "ADDRESS:PORT"), (["--proxy", "127.0.0.1:70000"], "ADDRESS:PORT"), (["--bind", "here"], "--bind"),
    (["--lease", "10"], "unit"), (["--lease", "1ms"], "100ms"),
    (["--delay", "x"], "--delay"), (["--id", ""], "id"), (["--id", "a\n"], "id"), (["--policy", ""], "privPolyId"),
    (["--secret-file", "nothing-there"], "nothing-there"),
])
def test_the_server_says_what_is_wrong_with_its_arguments(arguments, words):
    good = {"--id": "100", "--policy": "111", "--listen": "2105", "--proxy": "2100"}
    good.update(dict([arguments]))
    done = run("packet", "server", *(text for pair in good.items() for text in pair))
    assert done.returncode == 2 and words in done.stderr, done


def test_the_server_says_that_its_port_is_taken():
    with OriginalProxy() as proxy:
        done = run("packet", "server", "--id", "1", "--policy", "1", "--listen", str(proxy.port), "--proxy", str(proxy.port))
        assert done.returncode == 1 and "the port is taken" in done.stderr, done


# steelyard packet client


def client(port, *arguments, file=PACKETS / "1.json", place="--proxy", option="--packet"):
    return run("packet", "client", place, str(port), option, str(file), *arguments)


@pytest.mark.parametrize("spelling", [("--proxy", "--packet", ()), ("-revproc", "-pkt", ("-id", "1"))])
def test_the_client_sends_the_packet_and_checks_its_answer(spelling):
    place, option, more = spelling
    with OriginalProxy() as proxy:
        done = client(proxy.port, *more, place=place, option=option)
        assert done.returncode == 0 and proxy.received == [written(packet(1, "111"))], done
        assert "served by \"100\"" in done.stdout and "\"xyz1\"" in done.stdout and "checked" in done.stdout
        assert ack("100", packet(1, "111"))["payload"] in done.stdout


def test_the_client_sends_every_packet_of_its_file_as_often_as_it_is_told(tmp_path):
    file = tmp_path / "packets.json"
    file.write_text("\n".join(json.dumps(packet(number, "111", more=[number]), indent=1) for number in (1, 2, 3)) + "\n\n")
    with OriginalProxy() as proxy:
        done = client(proxy.port, "--count", "2", file=file)
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 6, done
        assert proxy.received == [written(packet(number, "111", more=[number])) for number in (1, 2, 3)] * 2


def test_the_client_sends_in_the_name_that_it_is_given(tmp_path):
    file = tmp_path / "packets.json"
    file.write_text('{"type": "0", "srcid": 1, "privPoliId": "111", "payload": "x"}{"type": "0", "privPoliId": "111", "payload": "y"}')
    with OriginalProxy() as proxy:
        done = client(proxy.port, "--id", "sé", file=file)
        assert done.returncode == 0, done
        assert proxy.received == [written({"type": "0", "srcid": "sé", "privPoliId": "111", "payload": "x"}),
                                  written({"srcid": "sé", "type": "0", "privPoliId": "111", "payload": "y"})]


@pytest.mark.parametrize("reply, words", [
    (lambda data: None, "no server with policy \"111\""),
    (lambda data: written({**ack("100", data), "payload": "0" * 40}), "but the SHA-1 of the payload is"),
    (lambda data: written({**ack("100", data), "destid": "2"}), "is for \"2\""),
    (lambda data: written({"status": 421, "error": "no server"}), "{\"status\": 421, \"error\": \"no server\"}"),
    (lambda data: b"hello", "what came is no answer"),
], ids=["closed", "digest", "destination", "error", "garbage"])
def test_the_client_fails_where_the_answer_is_missing_or_wrong(reply, words):
    with OriginalProxy(reply=reply) as proxy:
        done = client(proxy.port, "--count", "3")
        assert done.returncode == 1 and words in done.stderr and done.stdout == "", done
        assert len(proxy.received) == 1


def test_the_client_does_not_wait_for_ever():
    with OriginalProxy(reply=lambda data: b"{") as proxy:
        done = client(proxy.port, "--timeout", "200ms")
        assert done.returncode == 1 and "nothing came in time" in done.stderr, done


def test_the_client_says_that_nobody_listens_there():
    port = free_port()
    done = client(port)
    assert done.returncode == 1 and f"cannot connect to 127.0.0.1:{port}" in done.stderr and "Is the proxy running" in done.stderr, done


@pytest.mark.parametrize("text, words", [
    (b"", "no packet"), (b" \n", "no packet"), (b"hello", "does not begin with an object"), (b'{"type": "0",\n"srcid": 1,\n}', "line 3"),
    (b'{"type": "0"', "a } is missing"), (b'{"type": "1", "id": "1", "privPolyId": "1", "listenport": 1}', "a client sends data"),
    (b'{"type": "0", "privPoliId": "111"}', "no payload"), (b'{"type": "0", "payload": "x"}', "privPoliId"),
    (written(packet(1, "111")) + b"\n[]", "packet 2 (line 2)"),
])
def test_the_client_says_what_is_wrong_with_its_file(tmp_path, text, words):
    file = tmp_path / "packet.json"
    file.write_bytes(text)
    done = client(2100, file=file)
    assert done.returncode == 2 and words in done.stderr and str(file) in done.stderr, done


@pytest.mark.parametrize("arguments, words", [
    (["--packet", "nothing-there.json"], "cannot open nothing-there.json"), (["--packet", "."], "cannot read"),
    (["--proxy", "x"], "ADDRESS:PORT"), (["--count", "0"], "--count"), (["--timeout", "x"], "--timeout"), (["--id", "a\n"], "--id"),
])
def test_the_client_says_what_is_wrong_with_its_arguments(arguments, words):
    good = {"--proxy": "2100", "--packet": str(PACKETS / "1.json"), **dict([arguments])}
    done = run("packet", "client", *(text for pair in good.items() for text in pair))
    assert done.returncode == 2 and words in done.stderr, done


@pytest.mark.parametrize("command", ["server", "client"])
def test_help_has_an_example(command):
    done = run("packet", command, "--help")
    assert done.returncode == 0 and f"steelyard packet {command} --" in done.stdout and "-revproc" in done.stdout, done


# All of it together


def test_the_programs_of_this_project_work_together(proxy):
    with contextlib.ExitStack() as stack:
        servers = []
        for id, policy in (("100", "111"), ("200", "222"), ("300", "111"), ("400", "222")):
            process = Process(["packet", "server", "-id", id, "-pp", policy, "-listen", "0", "-revproc", str(proxy.port)])
            stack.callback(process.kill)
            process.wait_line("announced to the proxy")
            servers.append(process)
        served = {}
        for number in POLICY_OF:
            done = client(proxy.port, file=PACKETS / f"{number}.json")
            assert done.returncode == 0, done
            served[number] = re.search(r'served by "(\d+)"', done.stdout)[1]
        assert served == {1: "100", 2: "300", 3: "200", 4: "100", 5: "400", 6: "200"}
        done = client(proxy.port, file=packet_file(Path(proxy.directory.name), packet(1, "333")))
        assert done.returncode == 1 and 'no server with policy "333"' in done.stderr, done
        assert [server.stop() for server in servers] == [0] * 4


def packet_file(directory, message):
    file = directory / "packet.json"
    file.write_text(json.dumps(message))
    return file


def test_the_demo_shows_who_served_whom():
    first = free_port()
    done = run("demo", "packets", "--once", "--port", str(free_port()), "--server-port", str(first))
    assert done.returncode == 0, done
    served = re.findall(r'of "(\d)": policy "(\d+)".*served by "(\d+)", SHA-1 [0-9a-f]{40} checked', done.stdout)
    assert served == [("1", "111", "100"), ("2", "111", "300"), ("3", "222", "200"), ("4", "111", "100"), ("5", "222", "400"),
                      ("6", "222", "200")]


def test_the_demo_says_which_port_is_taken():
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        done = run("demo", "packets", "--once", "--port", str(port), "--server-port", str(free_port()))
        assert done.returncode == 1 and f"cannot listen on 127.0.0.1:{port}" in done.stderr, done
        done = run("demo", "packets", "--once", "--port", str(free_port()), "--server-port", str(port))
        assert done.returncode == 1 and f"port {port} is taken" in done.stderr and "--server-port" in done.stderr, done


# Limits on packets


def test_a_limit_counts_packets_by_policy_and_says_why_it_refuses():
    limits = {"by-policy": {"kind": "fixed_window", "rate": "2/1h", "key": "policy", "body": "too many"}}
    with Proxy(configuration(listener={"refusals": "json", "limits": "by-policy"}, limits=limits)) as proxy:
        # Their announcements have no policy to be counted by, so they count by client.
        with sole_server(proxy.port), OriginalServer("200", "222", proxy.port):
            for _ in range(2):
                assert exchange(proxy.port, packet(1, "111")) == [written(ack("100", packet(1, "111")))]
            with connect(proxy.port) as sock:
                sock.sendall(written(packet(1, "111")))
                assert json.loads(rest(sock)) == {"status": 429, "error": "too many"}
            assert exchange(proxy.port, packet(3, "222")) == [written(ack("200", packet(3, "222")))], "another policy counts by itself"


def test_a_pool_s_limit_on_packets_by_client_ends_the_connection():
    limits = {"per-client": {"kind": "fixed_window", "rate": "5/1h"}}
    with Proxy(configuration(pool={"limits": "per-client"}, limits=limits)) as proxy, four_servers(proxy.port):
        assert exchange(proxy.port, packet(1, "111")), "four announcements and one packet"
        with connect(proxy.port) as sock:
            sock.sendall(written(packet(2, "111")))
            assert rest(sock) == b""


def test_packets_one_after_the_other_are_never_too_many():
    limits = {"at-once": {"kind": "concurrent", "active_max": 1}}
    with Proxy(configuration(workers=2, pool={"limits": "at-once"}, limits=limits)) as proxy, sole_server(proxy.port):
        for number in range(200):
            assert exchange(proxy.port, packet(number, "111")) == [written(ack("100", packet(number, "111")))]
