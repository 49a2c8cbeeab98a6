"""What a proxy owes a well-behaved client and server: every method, framing and version of HTTP/1 passes unharmed."""

import pytest

from client import request_bytes
from harness import Proxy, configuration, proxied
from messages import chunks, reply
from server import Server, answering

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server):
    with Proxy(configuration(server)) as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"])
def test_a_method_without_body_arrives_without_body(proxy, server, method):
    with proxy.client() as client:
        answer = client.request(method, "/path?query=1&x=%20")
    assert (answer.status, answer.body) == (200, b"hello")
    seen = server.requests[-1]
    assert (seen.method, seen.target, seen.version, seen.framing) == (method, "/path?query=1&x=%20", "HTTP/1.1", "unframed")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_with_length_arrives_whole(proxy, server, method):
    with proxy.client() as client:
        assert client.request(method, "/", body=b"some content").status == 200
    assert server.requests[-1].body == b"some content"


def test_an_empty_post_says_that_it_is_empty(proxy, server):
    with proxy.client() as client:
        assert client.request("POST", "/", body=b"").status == 200
    assert server.requests[-1].values("content-length") == ["0"]


def test_a_chunked_request_arrives_whole(proxy, server):
    with proxy.client() as client:
        client.send(request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + chunks(b"some ", b"content", b"x" * 70_000))
        assert client.response().status == 200
        assert client.get("/next").status == 200
    assert server.requests[-2].body == b"some content" + b"x" * 70_000


def test_a_head_request_is_answered_without_body_and_with_the_length(proxy, server):
    with proxied(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")) as (_, own):
        with own.client() as client:
            answer = client.request("HEAD")
            assert answer.values("content-length") == ["12345"]
            assert client.request("HEAD").status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_leaves_the_connection_usable(status):
    with proxied(answering(reply(status, reason="x", fields={"ETag": '"a"'}))) as (server, proxy):
        with proxy.client() as client:
            for _ in range(3):
                answer = client.get()
                assert (answer.status, answer.body, answer.values("etag")) == (status, b"", ['"a"'])
        assert len(server.connections) == 1


@pytest.mark.parametrize("status", [200, 201, 206, 299, 301, 404, 418, 500, 503, 599])
def test_a_status_and_its_reason_pass(status):
    with proxied(answering(reply(status, b"text", reason="A Reason"))) as (_, proxy):
        answer = proxy.get()
        assert (answer.status, answer.reason, answer.body) == (status, "A Reason", b"text")


def test_a_chunked_answer_arrives_whole():
    with proxied(answering(CHUNKED_HEAD + chunks(b"one ", b"two ", b"y" * 100_000))) as (server, proxy):
        with proxy.client() as client:
            for _ in range(3):
                answer = client.get()
                assert answer.body == b"one two " + b"y" * 100_000 and answer.complete
        assert len(server.connections) == 1


def test_trailers_of_an_answer_are_passed_or_dropped_but_never_become_fields():
    with proxied(answering(CHUNKED_HEAD + chunks(b"x", trailers="X-Checksum: 1\r\nContent-Length: 7\r\n"))) as (_, proxy):
        answer = proxy.get(TE="trailers", Connection="TE")
        assert answer.body == b"x" and not answer.values("x-checksum") and not answer.values("content-length")
        assert not [name for name, _ in answer.trailers if name.lower() == "content-length"]


def test_an_answer_until_close_is_delimited_for_the_client():
    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 50_000)

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            for _ in range(2):
                answer = client.get()
                assert answer.body == b"z" * 50_000 and answer.framing == "chunked" and answer.complete
        assert len(server.connections) == 2


def test_a_server_of_http_1_0_serves_clients_of_http_1_1():
    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold but good")

    with proxied(script) as (_, proxy):
        with proxy.client() as client:
            for _ in range(2):
                answer = client.get()
                assert (answer.version, answer.body, answer.complete) == ("HTTP/1.1", b"old but good", True)


def test_a_server_of_http_1_0_with_keep_alive_is_reused():
    with proxied(answering(reply(body="x", version="HTTP/1.0", fields={"Connection": "keep-alive"}))) as (server, proxy):
        with proxy.client() as client:
            assert [client.get().body for _ in range(3)] == [b"x"] * 3
        assert len(server.connections) == 1


def test_a_client_of_http_1_0_gets_no_chunks_and_its_connection_closes():
    with proxied(answering(CHUNKED_HEAD + chunks(b"one ", b"two"))) as (server, proxy):
        with proxy.client() as client:
            answer = client.request(version="HTTP/1.0")
            assert answer.body == b"one two" and answer.framing != "chunked" and answer.complete
            client.expect_end()
        assert server.requests[0].version == "HTTP/1.1"


def test_a_client_of_http_1_0_without_host_is_served(proxy, server):
    with proxy.client() as client:
        assert client.request(version="HTTP/1.0", host=None).status in (200, 400)
        client.expect_end()


def test_a_client_of_http_1_0_may_keep_its_connection(proxy):
    with proxy.client() as client:
        for _ in range(2):
            answer = client.request(version="HTTP/1.0", fields={"Connection": "keep-alive"})
            assert answer.body == b"hello" and "keep-alive" in answer.listed("connection")


def test_a_client_that_asks_for_close_gets_its_answer_and_the_end(proxy):
    with proxy.client() as client:
        answer = client.get("/", Connection="close")
        assert answer.body == b"hello" and "close" in answer.listed("connection")
        client.expect_end()


def test_options_asterisk_reaches_the_server_as_it_is(proxy, server):
    with proxy.client() as client:
        assert client.request("OPTIONS", "*").status == 200
    assert server.requests[-1].target == "*"


def test_an_absolute_target_becomes_origin_form_and_sets_the_host(proxy, server):
    with proxy.client() as client:
        assert client.get("http://test.local/a/b?c").status == 200
    seen = server.requests[-1]
    assert (seen.target, seen.value("host")) == ("/a/b?c", "test.local")


def test_pipelined_requests_are_answered_in_order():
    async def script(connection):
        while request := await connection.request():
            await connection.send(reply(body=request.target))

    with proxied(script) as (_, proxy):
        with proxy.client() as client:
            client.send(b"".join(request_bytes("POST" if n % 3 == 0 else "GET", f"/{n}", body=b"b" * n if n % 3 == 0 else None)
                                 for n in range(100)))
            assert [client.response().body for _ in range(100)] == [f"/{n}".encode() for n in range(100)]


def test_a_request_in_single_bytes_is_one_request(proxy, server):
    before = len(server.requests)
    with proxy.client() as client:
        for byte in request_bytes("POST", "/bytes", body=b"abc"):
            client.send(bytes([byte]))
        assert client.response().status == 200
    assert [request.target for request in server.requests[before:]] == ["/bytes"]


def test_fields_of_both_sides_keep_order_spelling_and_obs_text():
    text = "X-One: 1\r\nx-TWO:  two words \r\nX-One: 3\r\nX-Text: caf\xe9\r\nX-Empty:\r\n"

    async def script(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + text.encode("latin-1") + b"Content-Length: 0\r\n\r\n")

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            client.send("GET / HTTP/1.1\r\nHost: test.local\r\n" + text + "\r\n")
            answer = client.response()
        wanted = [("X-One", "1"), ("x-TWO", "two words"), ("X-One", "3"), ("X-Text", "caf\xe9"), ("X-Empty", "")]
        for message in (answer, server.requests[0]):
            ours = [(name, value) for name, value in message.fields if name.lower() in ("x-one", "x-two", "x-text", "x-empty")]
            assert ours == wanted


def test_many_set_cookie_fields_stay_apart():
    cookies = "".join(f"Set-Cookie: c{n}=v; Path=/\r\n" for n in range(40))
    answer_bytes = ("HTTP/1.1 200 OK\r\n" + cookies + "Content-Length: 0\r\n\r\n").encode()
    with proxied(answering(answer_bytes)) as (_, proxy):
        assert proxy.get().values("set-cookie") == [f"c{n}=v; Path=/" for n in range(40)]


def test_expect_continue_is_passed_on_and_the_body_waits_for_the_servers_word():
    async def script(connection):
        request = await connection.head()
        assert request.listed("expect") == ["100-continue"]
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await connection.body(request)
        await connection.send(reply(body=request.body))

    with proxied(script) as (_, proxy):
        with proxy.client() as client:
            client.send(request_bytes("POST", "/", {"Expect": "100-continue", "Content-Length": "5"}))
            assert client.exactly(12) == b"HTTP/1.1 100"
            client.buffer.data[:0] = b"HTTP/1.1 100"
            client.send(b"hello")
            answer = client.response()
            assert answer.body == b"hello" and [interim.status for interim in answer.interim] == [100]


def test_expect_continue_refused_by_the_server_leaves_no_body_behind():
    async def script(connection):
        while request := await connection.head():
            if request.listed("expect"):
                await connection.send(reply(417, b"no", reason="Expectation Failed"))
                await connection.until_closed()
                return
            await connection.body(request)
            await connection.send(reply(body="next"))

    with proxied(script) as (server, proxy):
        with proxy.client() as client:
            client.send(request_bytes("POST", "/", {"Expect": "100-continue", "Content-Length": "500"}))
            assert client.response().status == 417
        assert proxy.get().body == b"next"
        assert [request.complete for request in server.requests] == [False, True]


def test_interim_answers_pass_before_the_final_one():
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    with proxied(answering(early + early + reply(body="x"))) as (_, proxy):
        answer = proxy.get()
        assert answer.body == b"x" and [interim.status for interim in answer.interim] in ([103, 103], [])


def test_a_client_of_http_1_0_gets_no_interim_answer():
    with proxied(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(body="x"))) as (_, proxy):
        with proxy.client() as client:
            answer = client.request(version="HTTP/1.0")
            assert answer.body == b"x" and not answer.interim


def test_a_client_that_half_closes_after_its_request_is_still_answered(proxy):
    with proxy.client() as client:
        client.send(request_bytes("POST", "/", body=b"all there is"))
        client.half_close()
        assert client.response().body == b"hello"
        client.expect_end()


def test_the_answer_streams_while_the_server_still_writes():
    async def script(connection):
        await connection.request()
        await connection.send(CHUNKED_HEAD + b"5\r\nfirst\r\n")
        await connection.server.hold.wait()
        await connection.send(b"6\r\nsecond\r\n0\r\n\r\n")

    with proxied(script) as (server, proxy):
        server.hold = server.gate()
        with proxy.client() as client:
            client.send(request_bytes())
            while b"first" not in client.buffer.data:
                client.buffer.feed(client.recv())
            server.hold.open()
            assert client.response().body == b"firstsecond"


def test_the_request_streams_while_the_client_still_writes():
    with proxied(None) as (server, proxy):
        async def script(connection):
            request = await connection.head()
            while connection.received == len(connection.raw) and b"first" not in connection.raw:
                connection.buffer.feed(await connection.recv())
            server.first = True
            server.notify()
            await connection.body(request)
            await connection.send(reply(body=request.body))
        server.script, server.first = script, False
        with proxy.client() as client:
            client.send(request_bytes("POST", "/", {"Content-Length": "11"}) + b"first")
            server.wait(lambda: server.first, "the first part of the body")
            client.send(b"second")
            assert client.response().body == b"firstsecond"
