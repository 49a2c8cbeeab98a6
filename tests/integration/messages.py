"""Strict HTTP/1.1 messages, without any socket: bytes in, requests or responses out.

Both the recording server and the raw client judge with this one parser, so it forgives nothing: a bare CR or LF, a NUL, a
name that is no token, two framings, two lengths are faults whoever sent them. It is deliberately not the parser of any
library, and shares nothing with the proxy. A parser is a generator that yields when it needs more bytes.
"""

import hashlib
import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+\Z")
BODY_BYTES_KEPT = 4 * 1024 * 1024


class Fault(AssertionError):
    """The other side sent something that no strict reader accepts."""


class Buffer:
    """What has arrived and is not yet parsed."""

    def __init__(self):
        self.data = bytearray()
        self.ended = False  # no more bytes will come

    def feed(self, data):
        if data:
            self.data += data
        else:
            self.ended = True

    def take(self, count):
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken


class Truncated(Exception):
    """The stream ended inside a message."""


class Body:
    """A body of any size: its length and digest, and its bytes as long as they are few."""

    def __init__(self):
        self.size = 0
        self.kept = bytearray()
        self.hash = hashlib.sha256()

    def add(self, data):
        self.size += len(data)
        self.hash.update(data)
        if self.size <= BODY_BYTES_KEPT:
            self.kept += data

    @property
    def sha256(self):
        return self.hash.hexdigest()


class Message:
    """Fields in order, names as received; `values(name)` compares without case."""

    def __init__(self):
        self.fields = []
        self.trailers = []
        self.content = Body()
        self.complete = False
        self.version = "HTTP/1.1"
        self.framing = "none"

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def value(self, name):
        """The only value of that field, None without one."""
        found = self.values(name)
        if len(found) > 1:
            raise Fault(f"{name} stands {len(found)} times: {found}")
        return found[0] if found else None

    def listed(self, name):
        """The members of a comma-separated list, lower-cased."""
        return [member.strip().lower() for value in self.values(name) for member in value.split(",") if member.strip()]

    @property
    def body(self):
        assert self.content.size <= BODY_BYTES_KEPT, "only the digest of this body was kept"
        return bytes(self.content.kept)


class Request(Message):
    def __init__(self):
        super().__init__()
        self.method = ""
        self.target = ""
        self.connection = None  # index of the connection that carried it
        self.aborted = False    # the connection ended before the request did

    def __repr__(self):
        return f"<{self.method} {self.target} {self.fields} body {self.content.size}{' aborted' if self.aborted else ''}>"


class Response(Message):
    def __init__(self):
        super().__init__()
        self.status = 0
        self.reason = ""
        self.interim = []  # the 1xx before it

    def __repr__(self):
        return f"<{self.status} {self.fields} {bytes(self.content.kept[:200])!r}{'' if self.complete else ' truncated'}>"


def line(buffer, bytes_max=1024 * 1024):
    """A line that ends in CRLF and holds no other CR, LF or NUL."""
    while (end := buffer.data.find(b"\n")) < 0:
        if len(buffer.data) > bytes_max:
            raise Fault("endless line")
        if buffer.ended:
            raise Truncated
        yield
    text = buffer.take(end + 1)
    if not text.endswith(b"\r\n"):
        raise Fault(f"line ends in a bare LF: {text[:200]!r}")
    text = text[:-2]
    if b"\r" in text or b"\0" in text:
        raise Fault(f"bare CR or NUL: {text[:200]!r}")
    return text


def fields(buffer):
    found = []
    while text := (yield from line(buffer)):
        name, colon, value = text.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Fault(f"not a field: {text[:200]!r}")
        value = value.strip(b" \t")
        if not VALUE.match(value):
            raise Fault(f"control character in a value: {text[:200]!r}")
        found.append((name.decode("ascii"), value.decode("latin-1")))
    return found


def framing(message):
    """('none'|'length'|'chunked'|'unframed', length) from the fields alone."""
    lengths = message.values("content-length")
    codings = message.values("transfer-encoding")
    if codings:
        if lengths:
            raise Fault("both Content-Length and Transfer-Encoding")
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise Fault(f"Transfer-Encoding is not chunked alone: {codings}")
        if message.version == "HTTP/1.0":
            raise Fault("Transfer-Encoding in HTTP/1.0")
        return "chunked", 0
    if len(lengths) > 1:
        raise Fault(f"Content-Length stands {len(lengths)} times")
    if lengths:
        if not re.fullmatch(r"[0-9]{1,19}", lengths[0]):
            raise Fault(f"Content-Length {lengths[0]!r}")
        return "length", int(lengths[0])
    return "unframed", 0


def exact(buffer, body, count):
    while count:
        if not buffer.data:
            if buffer.ended:
                raise Truncated
            yield
            continue
        part = buffer.take(min(count, len(buffer.data)))
        body.add(part)
        count -= len(part)


def chunked(buffer, message):
    while True:
        text = yield from line(buffer)
        size = text.split(b";", 1)[0]
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size):
            raise Fault(f"chunk size {text[:80]!r}")
        count = int(size, 16)
        if count == 0:
            message.trailers = yield from fields(buffer)
            return
        yield from exact(buffer, message.content, count)
        while len(buffer.data) < 2:
            if buffer.ended:
                raise Truncated
            yield
        if buffer.take(2) != b"\r\n":
            raise Fault("no CRLF after a chunk")


def request_head(buffer):
    """A request head, or None where the stream ends before a first byte."""
    while not buffer.data:
        if buffer.ended:
            return None
        yield
    request = Request()
    text = yield from line(buffer)
    parts = text.split(b" ")
    if len(parts) != 3 or not TOKEN.match(parts[0]) or not TARGET.match(parts[1]):
        raise Fault(f"request line {text[:200]!r}")
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Fault(f"version {parts[2]!r}")
    request.method, request.target, request.version = (part.decode("latin-1") for part in parts)
    request.fields = yield from fields(buffer)
    if request.version == "HTTP/1.1" and len(request.values("host")) != 1:
        raise Fault(f"Host stands {len(request.values('host'))} times")
    if "#" in request.target:
        raise Fault(f"a fragment in the target {request.target!r}")
    request.framing, request.length = framing(request)
    return request


def request_body(buffer, request):
    if request.framing == "chunked":
        yield from chunked(buffer, request)
    elif request.framing == "length":
        yield from exact(buffer, request.content, request.length)
    request.complete = True


def response(buffer, method):
    """A final response with the interim ones before it. `complete` is false where the stream ended early."""
    interim = []
    while True:
        answer = yield from response_head(buffer)
        if not 100 <= answer.status < 200 or answer.status == 101:
            break
        if framing(answer)[0] != "unframed":
            raise Fault(f"framing fields in a {answer.status}")
        interim.append(answer)
    answer.interim = interim
    kind, length = framing(answer)
    if answer.status in (101, 204) and kind != "unframed":
        raise Fault(f"{answer.status} with {kind}")
    if method == "HEAD" or answer.status in (101, 204, 304):
        answer.framing = "none"
        answer.complete = True
        return answer
    answer.framing = "until-close" if kind == "unframed" else kind
    try:
        if kind == "chunked":
            yield from chunked(buffer, answer)
        elif kind == "length":
            yield from exact(buffer, answer.content, length)
        else:
            while not buffer.ended or buffer.data:
                if buffer.data:
                    answer.content.add(buffer.take(len(buffer.data)))
                else:
                    yield
        answer.complete = True
    except Truncated:
        pass
    return answer


def response_head(buffer):
    answer = Response()
    text = yield from line(buffer)
    match = re.fullmatch(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)", text)
    if not match:
        raise Fault(f"status line {text[:200]!r}")
    answer.version = match[1].decode()
    answer.status = int(match[2])
    answer.reason = match[3].decode("latin-1")
    answer.fields = yield from fields(buffer)
    return answer


def reply(status=200, body=b"", fields=(), reason="OK", version="HTTP/1.1"):
    """The bytes of a response with Content-Length."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"{version} {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in dict(fields).items()]
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunks(*parts, trailers=""):
    """The bytes of a chunked body."""
    text = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return text + b"0\r\n" + trailers.encode() + b"\r\n"
