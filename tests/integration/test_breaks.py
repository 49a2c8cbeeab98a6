"""Connections that break: on either side, at every phase, politely and not. Nobody takes half a message for a whole one."""

import pytest

from client import Ended, request_bytes
from harness import proxied
from messages import chunks, reply
from server import answer_hello

MIB = 1024 * 1024


def leave(client, how):
    client.reset() if how == "reset" else client.close()


def leave_connection(connection, how):
    connection.reset() if how == "reset" else connection.close()


async def refuse_early(connection):
    """Answers the head of an upload at once and never reads the rest; serves everything else well."""
    while request := await connection.head():
        if request.target == "/early":
            await connection.send(reply(413, b"too much for me", reason="Content Too Large"))
            await connection.until_closed()
            return
        await connection.body(request)
        await connection.send(reply(body=request.target))


@pytest.mark.parametrize("attempt", range(3))
def test_an_early_answer_to_an_unfinished_upload_is_delivered(attempt):
    with proxied(refuse_early) as (server, proxy):
        for number in range(4):
            with proxy.client() as client:
                client.send(request_bytes("POST", "/early", {"Content-Length": 100 * MIB}) + bytes(64 * 1024))
                try:
                    for _ in range(4):
                        client.send(bytes(MIB))
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it may stop listening, the answer must be there all the same
                answer = client.response()
                assert (answer.status, answer.body) == (413, b"too much for me")
            with proxy.client() as client:
                for following in range(10):
                    assert client.get(f"/{number}/{following}").body == f"/{number}/{following}".encode()
        early = {request.connection for request in server.requests if request.target == "/early"}
        others = [request.connection for request in server.requests if request.target != "/early"]
        assert len(early) == 4, "the connection that is owed a body was used again"
        for index in early:
            assert server.connections[index].requests == sum(other == index for other in others)


def test_an_early_answer_does_not_let_the_rest_of_the_body_become_a_request():
    with proxied(refuse_early) as (server, proxy):
        with proxy.client() as client:
            smuggled = request_bytes("GET", "/SMUGGLED")
            client.send(request_bytes("POST", "/early", {"Content-Length": len(smuggled)}))
            assert client.response().status == 413
            try:
                client.send(smuggled)
                client.rest()
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert proxy.get("/next").body == b"/next"
        server.settle()
        assert [request.target for request in server.complete] == ["/next"]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_dies_in_its_upload_aborts_the_request_at_the_server(how, framing):
    with proxied() as (server, proxy):
        client = proxy.client()
        fields = {"Content-Length": 1000} if framing == "length" else {"Transfer-Encoding": "chunked"}
        client.send(request_bytes("POST", "/dying", fields) + (b"x" * 500 if framing == "length" else b"1f4\r\n" + b"x" * 500 + b"\r\n"))
        server.wait(lambda: any(connection.received > 500 for connection in server.connections), "the first half")
        leave(client, how)
        server.wait(lambda: server.requests[0].aborted, "the end of the server's connection")
        assert not server.complete
        assert proxy.get("/next").body == b"hello"


HALVES = {
    "length": request_bytes("POST", "/", {"Content-Length": 10}) + b"hello",
    "in a chunk": request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"a\r\nhello",
    "between chunks": request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n",
    "in the trailers": request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\nX-T: ",
}


@pytest.mark.parametrize("half", HALVES)
def test_a_client_that_ends_its_sending_side_within_a_body_is_told_at_once(half):
    with proxied() as (server, proxy):
        for number in range(10):
            with proxy.client() as client:
                client.send(HALVES[half])
                client.half_close()
                try:
                    assert client.response().status == 400
                except Ended:
                    pass
            server.wait(lambda: sum(request.aborted for request in server.requests) > number, "the abort")
        assert not server.complete
        assert proxy.page("metrics")["active_exchanges"] <= 1, "only this one"


@pytest.mark.parametrize("size", [70_000, 90_000, 300_000])
def test_a_body_that_turns_out_malformed_late_is_refused_and_aborted(size):
    chunk = b"%x\r\n" % size + bytes(size) + b"\r\n"
    with proxied() as (server, proxy):
        for number in range(10):
            with proxy.client() as client:
                client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunk + b"no size\r\n")
                assert client.response().status == 400
                client.expect_end()
            server.wait(lambda: sum(request.aborted for request in server.requests) > number, "the abort")
        assert not server.complete


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HT", b"GET / HTTP/1.1\r\nHost: te", b"GET / HTTP/1.1\r\nHost: test.local\r\n"])
def test_a_client_that_dies_in_its_head_reaches_nobody(how, sent):
    with proxied() as (server, proxy):
        with proxy.client() as client:
            client.send(sent)
            leave(client, how)
        assert proxy.get("/next").body == b"hello"
        server.settle()
        assert [request.target for request in server.requests] == ["/next"]


def test_a_client_that_resets_while_it_waits_frees_the_servers_connection():
    async def script(connection):
        if (request := await connection.request()) and request.target == "/wait":
            await connection.until_closed()
        elif request:
            await connection.send(reply(body="next"))

    with proxied(script) as (server, proxy):
        for number in range(20):
            client = proxy.client()
            client.send(request_bytes("GET", "/wait"))
            server.wait(lambda: len(server.complete) > number, "the request")
            client.reset()  # a mere close could be a half-close, whose sender still reads
            server.wait(lambda: server.connections[number].ended, "the end of the server's connection")
        assert proxy.get("/next").body == b"next"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_leaves_in_its_answer_frees_the_servers_connection(how, framing):
    async def script(connection):
        await connection.request()
        head = "Content-Length: 1000000000" if framing == "length" else "Transfer-Encoding: chunked"
        await connection.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        part = b"x" * 10_000 if framing == "length" else b"2710\r\n" + b"x" * 10_000 + b"\r\n"
        try:
            while True:
                await connection.send(part)
        except (ConnectionError, OSError):
            connection.ended = "reset"
            connection.server.notify()

    with proxied(script) as (server, proxy):
        client = proxy.client()
        client.send(request_bytes())
        client.exactly(100_000)
        leave(client, how)
        server.wait(lambda: server.connections[0].ended, "the end of the server's connection")


CUTS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 500),
    "chunked in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ff\r\n" + b"x" * 200),
    "chunked between chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\n" + b"x" * 10 + b"\r\n"),
    "chunked before the last line": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\n" + b"x" * 10 + b"\r\n0\r\n"),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 500),
}


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("cut", CUTS)
def test_a_server_that_dies_in_its_body_is_seen_as_truncation(cut, how, version):
    if cut == "until close" and how == "close":
        pytest.skip("that is how such a body ends")
    if version == "HTTP/1.0" and how == "close" and cut != "length":
        pytest.skip("an HTTP/1.0 client learns it from a reset; the case `reset` shows that")
    head, part = CUTS[cut]

    async def script(connection):
        await connection.request()
        await connection.send(head + part)
        await connection.server.hold.wait()
        leave_connection(connection, how)

    with proxied(script) as (server, proxy):
        server.hold = server.gate()
        with proxy.client() as client:
            client.send(request_bytes(version=version))
            while b"xxxxxxxxxx" not in client.buffer.data:
                client.buffer.feed(client.recv())
            server.hold.open()
            answer = client.response()
            assert answer.status == 200 and not answer.complete, f"taken for a whole message: {answer}"
        assert len(server.requests) == 1, "an answer that had begun was asked for again"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"])
def test_a_server_that_dies_in_its_head_is_a_bad_gateway(how, part):
    async def script(connection):
        if await connection.request():
            await connection.send(part)
            leave_connection(connection, how)

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            assert client.request("POST", "/", body=b"once").status == 502
        assert len(server.requests) == 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_post_that_a_server_took_and_did_not_answer_is_not_sent_again(how):
    async def script(connection):
        await connection.request()
        leave_connection(connection, how)

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            assert client.request("POST", "/", body=b"once").status == 502
            assert client.get("/__health__").status == 200, "the client's connection need not suffer"
        assert len(server.requests) == 1


def test_a_server_that_half_closes_after_its_answer_has_answered():
    async def script(connection):
        await connection.request()
        await connection.send(reply(body="all", fields={"Connection": "close"}))
        connection.half_close()
        await connection.until_closed()

    with proxied(script) as (_, proxy):
        with proxy.client() as client:
            assert [client.get().body for _ in range(5)] == [b"all"] * 5


def test_bytes_after_an_answer_make_the_connection_unfit_for_reuse():
    async def script(connection):
        while request := await connection.request():
            await connection.send(reply(body=request.target) + reply(body="EVIL"))

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            for number in range(20):
                assert client.get(f"/{number}").body == f"/{number}".encode()


def test_an_unasked_answer_on_an_idle_connection_reaches_nobody():
    async def script(connection):
        await connection.request()
        await connection.send(reply(body="asked"))
        await connection.server.holds[connection.index].wait()
        await connection.send(reply(body="EVIL"))
        await connection.until_closed()

    rounds = 5
    with proxied(script) as (server, proxy):
        server.holds = [server.gate() for _ in range(rounds)]
        with proxy.client() as client:
            for number in range(rounds):
                assert client.get().body == b"asked"
                server.holds[number].open()
                server.wait(lambda: server.connections[number].ended, "the proxy to drop the connection")


def test_a_truncated_answer_ends_the_clients_connection():
    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"x")[:-5])

    with proxied(script) as (_, proxy):
        with proxy.client() as client:
            client.send(request_bytes() + request_bytes("GET", "/second"))
            assert not client.response().complete
            with pytest.raises(Ended):
                client.response()


def test_nothing_is_left_open_after_all_these(tmp_path):
    with proxied(answer_hello) as (server, proxy):
        proxy.get()
        before = proxy.descriptors()
        for number in range(50):
            with proxy.client() as client:
                client.send(request_bytes("POST", "/", {"Content-Length": 10}) + b"half.")
                server.wait(lambda: len(server.requests) > number + 1, "the head")
                leave(client, "reset" if number % 2 else "close")
        server.wait(lambda: sum(request.aborted for request in server.requests) == 50, "all to be aborted")
        proxy.get()
        assert proxy.descriptors() <= before + 1
