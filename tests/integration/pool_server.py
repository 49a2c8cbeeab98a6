"""One server of a pool for tests of choices: it answers with its name, can change how it is checked and what it answers, can hold
its answers until the test lets them go, and counts what is under way. Beside it: what such tests do with several of them."""

import asyncio
import collections
import contextlib
import threading
import time

from messages import reply
from server import Server

DEADLINE_SECONDS = 20  # safety only: no test expects to reach it
CHECKED = {"path": "/health", "interval": "20ms", "timeout": "10s", "drain_on": 410}


def until(condition, what):
    """Asks again and again; for what no line or event tells of."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"


class Tally:
    """What several servers have under way together. Each counts a request from its arrival until just before its answer."""

    def __init__(self):
        self.active = 0
        self.most = 0
        self.lock = threading.Lock()

    def add(self, count):
        with self.lock:
            self.active += count
            self.most = max(self.most, self.active)


class PoolServer(Server):
    def __init__(self, name, **options):
        self.name = name
        self.health = 200     # the status of answers to checks
        self.status = 200     # of all others
        self.checks = 0
        self.active = 0       # requests that have come and are not answered
        self.active_most = 0
        self.given = 0        # answers to all others
        self.tally = Tally()  # `pool_of` gives all servers the same
        self.holding = False
        self.may_go = asyncio.Semaphore(0)
        super().__init__(self.serve, **options)

    async def serve(self, connection):
        while request := await connection.request():
            if request.target == "/health":
                self.requests.remove(request)
                self.checks += 1
                self.notify()
                await connection.send(reply(self.health, reason="x"))
                continue
            self.active += 1
            self.tally.add(1)
            self.active_most = max(self.active_most, self.active)
            self.notify()
            if self.holding:
                await self.may_go.acquire()
            self.active -= 1
            self.tally.add(-1)
            self.given += 1
            self.notify()
            await connection.send(reply(self.status, body=self.name, reason="x"))

    def hold(self):
        """Answers wait from now on."""
        self.holding = True

    def release(self, count=1):
        """So many of the held answers go, the oldest first."""
        for _ in range(count):
            self.loop.call_soon_threadsafe(self.may_go.release)

    def let_go(self):
        """All that is held, and holds no more."""
        def go():
            self.holding = False
            for _ in range(self.active):
                self.may_go.release()
        self.call(go)

    def wait_active(self, count):
        self.wait(lambda: self.active == count, f"{count} requests at server {self.name}, where {self.active} are")

    def wait_checks(self, count=2):
        """Until so many further checks were answered, the last of them also digested by the proxy."""
        goal = self.checks + count + 1
        self.wait(lambda: self.checks >= goal, "health checks")

    def turn(self, health):
        """Answers checks so from now on; returns when the proxy knows."""
        self.health = health
        self.wait_checks()

    def leave(self):
        """As if its process had been killed."""
        self.stop_listening()
        self.close_idle()


@contextlib.contextmanager
def pool_of(*names):
    """Servers of these names, stopped and checked at the end. Whoever waits for one of them is woken by all."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(PoolServer(name)) for name in names]
        for server in servers:
            server.changed, server.tally = servers[0].changed, servers[0].tally
        yield servers


def wait_active_in_all(servers, count):
    """Until so many requests are held by these servers together, which are of one `pool_of`."""
    servers[0].wait(lambda: servers[0].tally.active == count, f"{count} requests under way")


def bodies(proxy, count=10, **fields):
    """Which servers so many requests of one connection went to; the status where it is not 200."""
    with proxy.client() as client:
        answers = [client.get("/", **fields) for _ in range(count)]
    return collections.Counter(answer.body.decode() if answer.status == 200 else answer.status for answer in answers)


def each_of(items, work, threads=6):
    """What `work` makes of each item, several at a time, in the order of the items."""
    items = list(items)
    results = [None] * len(items)
    positions = iter(range(len(items)))
    lock = threading.Lock()

    def run():
        while True:
            with lock:
                at = next(positions, None)
            if at is None:
                return
            results[at] = work(items[at])

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results


def addresses(count):
    """Clients' addresses of this machine, all different."""
    return [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(count)]


def body_for(proxy, address, **fields):
    """Which server a client of that address is sent to."""
    with proxy.client(source=address) as client:
        answer = client.get("/", **fields)
    assert answer.status == 200, answer
    return answer.body.decode()


def described(proxy, server, pool=0):
    """What the status page says of one server."""
    return next(each for each in proxy.page("status")["pools"][pool]["servers"] if each["address"] == server.address)


def ask_until(question, what):
    """Asks until the answer is yes: for what only the proxy knows. Returns that answer."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if answer := question():
            return answer
    raise AssertionError(f"never came: {what}")
