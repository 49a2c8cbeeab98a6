"""The recording server: a scriptable backend that keeps every byte it receives and judges it strictly.

One asyncio loop in a thread of its own carries all of a server's connections, so that `settle()` can say with certainty that
everything the proxy sent so far has been read and judged. A test scripts it with a coroutine that gets a `Connection`;
nothing is read from a socket that the script does not ask for, which is what the tests of back-pressure rely on.
"""

import asyncio
import select
import socket
import struct
import threading

from messages import Buffer, Fault, Truncated, reply, request_body, request_head

DEADLINE_SECONDS = 10  # safety only: no test expects to reach it
RAW_BYTES_KEPT = 1024 * 1024


class Gate:
    """An event that the test opens and a script awaits."""

    def __init__(self, loop):
        self.loop = loop
        self.event = asyncio.Event()
        self.reached = threading.Event()

    def open(self):
        self.loop.call_soon_threadsafe(self.event.set)

    async def wait(self):
        self.reached.set()
        await self.event.wait()

    def wait_reached(self):
        assert self.reached.wait(DEADLINE_SECONDS), "no script came to the gate"


class Connection:
    """One accepted connection, as a script sees it."""

    def __init__(self, server, sock, index):
        self.server = server
        self.sock = sock
        self.index = index
        self.loop = server.loop
        self.buffer = Buffer()
        self.raw = bytearray()
        self.received = 0
        self.requests = 0     # complete ones
        self.ended = None     # how the proxy ended it: "fin" or "reset"
        self.closed = False   # we are done with it

    async def recv(self, count=256 * 1024):
        """The next bytes, b"" at the end; the end is recorded."""
        self.server.reading.add(self)
        try:
            data = await self.loop.sock_recv(self.sock, count)
        except (ConnectionError, OSError):
            data = b""
            self.ended = self.ended or "reset"
        finally:
            self.server.reading.discard(self)
        self.received += len(data)
        if not data:
            self.ended = self.ended or "fin"
        if len(self.raw) < RAW_BYTES_KEPT:
            self.raw += data[:RAW_BYTES_KEPT - len(self.raw)]
        self.server.notify()
        return data

    async def parse(self, parser):
        try:
            while True:
                next(parser)
                self.buffer.feed(await self.recv())
        except StopIteration as done:
            return done.value

    async def head(self):
        """The next request's head, None at the end of the connection."""
        try:
            request = await self.parse(request_head(self.buffer))
        except Truncated:
            self.server.partial_heads += 1
            return None
        if request is not None:
            request.connection = self.index
            self.server.requests.append(request)
            self.server.notify()
        return request

    async def body(self, request):
        """Reads the body. False where the connection ended inside it."""
        try:
            await self.parse(request_body(self.buffer, request))
            self.requests += 1
        except Truncated:
            request.aborted = True
        self.server.notify()
        return request.complete

    async def request(self):
        """The next whole request, None at the end of the connection or where it was aborted."""
        request = await self.head()
        if request is None or not await self.body(request):
            return None
        return request

    async def send(self, data):
        await self.loop.sock_sendall(self.sock, data)

    async def until_closed(self):
        """Reads whatever comes until the proxy ends the connection; says how."""
        while self.ended is None:
            self.buffer.feed(await self.recv())
        return self.ended

    async def pause(self, milliseconds):
        """Paces what the server sends; nothing waits for it."""
        await asyncio.sleep(milliseconds / 1000)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        if not self.closed:
            self.closed = True
            self.sock.close()
            self.server.notify()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


async def answer_hello(connection):
    """The default script: every request gets 200 and `hello`, until the proxy closes."""
    while request := await connection.request():
        await connection.send(reply(body=b"" if request.method == "HEAD" else b"hello"))


def answering(data):
    """A script that answers every request with these bytes."""
    async def script(connection):
        while await connection.request():
            await connection.send(data)
    return script


class Server:
    """Listens on a free port of 127.0.0.1, or of another host, from construction to `stop`."""

    def __init__(self, script=answer_hello, port=0, backlog=1024, receive_buffer=None, host="127.0.0.1"):
        self.script = script
        self.requests = []      # in the order in which their heads came, aborted ones too
        self.connections = []
        self.faults = []        # what a strict server refuses; a test that leaves one here has failed
        self.partial_heads = 0  # connections that ended inside a head
        self.reading = set()
        self.changed = threading.Condition()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.bind((host, port))
        self.sock.listen(backlog)
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.loop = asyncio.new_event_loop()
        self.tasks = set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.acceptor = self.loop.create_task(self.accept())
        self.loop.run_forever()
        self.loop.close()

    async def accept(self):
        while True:
            sock, _ = await self.loop.sock_accept(self.sock)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock, len(self.connections))
            self.connections.append(connection)
            self.notify()
            task = self.loop.create_task(self.serve(connection))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, connection):
        try:
            await self.script(connection)
        except Fault as fault:
            self.faults.append(f"{fault}; received {bytes(connection.raw[-600:])!r}")
        except (ConnectionError, OSError):
            connection.ended = connection.ended or "reset"
        except Exception as problem:  # a broken script must fail its test, not vanish in the loop
            self.faults.append(f"script: {problem!r}")
        finally:
            connection.close()

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def wait(self, condition, what=""):
        """Waits until `condition()` holds; it is asked again whenever something arrives."""
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE_SECONDS), f"the server waited in vain: {what}"

    def gate(self):
        return Gate(self.loop)

    @property
    def complete(self):
        return [request for request in self.requests if request.complete]

    def settle(self):
        """Returns once all that the proxy has sent until now is read and judged."""
        asyncio.run_coroutine_threadsafe(self.quiet(), self.loop).result(DEADLINE_SECONDS)

    async def quiet(self):
        while True:
            for _ in range(4):
                await asyncio.sleep(0)
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            for connection in self.reading:
                poll.register(connection.sock, select.POLLIN)
            if not poll.poll(0):
                return

    def stop_listening(self):
        """Refuses new connections from now on; those that are open stay."""
        def stop():
            self.acceptor.cancel()
            self.loop.remove_reader(self.sock)
            self.sock.close()
        self.call(stop)

    def close_idle(self):
        """Closes every connection that waits for a request."""
        def close():
            for connection in list(self.reading):
                connection.sock.shutdown(socket.SHUT_RDWR)
        self.call(close)

    def call(self, function):
        """Runs it in the loop's thread and waits for it."""
        async def run():
            function()
        asyncio.run_coroutine_threadsafe(run(), self.loop).result(DEADLINE_SECONDS)

    def stop(self):
        def finish():
            for task in [self.acceptor, *self.tasks]:
                task.cancel()
            self.loop.call_soon(self.loop.stop)
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(finish)
            self.thread.join(DEADLINE_SECONDS)
        self.sock.close()
        for connection in self.connections:
            connection.sock.close()

    def check(self):
        assert not self.faults, "\n".join(self.faults)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is None:
            self.check()


def refused_address():
    """An address on which nobody listens, and nobody will while the test runs: bound, never listening."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, f"127.0.0.1:{sock.getsockname()[1]}"
