"""How well redirected work is spread: many clients with long sessions over three servers of unequal speed, each of whom begins a new one as
soon as one has ended. The test ends sessions itself, so that nothing here depends on time but the guards' reports."""

import asyncio
import contextlib
import re
import threading
from urllib.parse import urlsplit

from fleet import Fleet, until
from harness import DEADLINE_SECONDS
from pool_server import pool_of

CLIENTS = 999
ROUNDS = 18
# How many sessions a server ends in each round: one in twenty in all, so that a session lasts twenty times as long as a report takes.
ENDED = {"a": 30, "b": 15, "c": 5}
MOST = CLIENTS / len(ENDED) * 1.1 + 1


class Clients:
    """They follow redirects and hold what they get open, in a loop and thread of their own."""

    def __init__(self, port, count):
        self.port, self.count = port, count
        self.stopping = False
        self.failures = []
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    async def run(self):
        await asyncio.gather(*(self.keep_asking() for _ in range(self.count)))

    async def keep_asking(self):
        try:
            while not self.stopping and not self.failures:
                sent = urlsplit((await self.ask(self.port, "/session", b"307"))["location"])
                await self.ask(sent.port, f"{sent.path}?{sent.query}", b"200")
        except Exception as failure:  # told by the test's own thread
            self.failures.append(failure)

    async def ask(self, port, target, status):
        """The fields of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: test.local\r\nConnection: close\r\n\r\n".encode())
            head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 " + status), head
            return {name.lower(): value for name, value in re.findall(r"^([\w-]+): (.*?)\r?$", head.decode(), re.MULTILINE)}
        finally:
            writer.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(DEADLINE_SECONDS)
        assert not self.failures, self.failures[0]


def counted_by_guards(fleet):
    active = {}
    for name, guard in fleet.guards.items():
        (server,) = guard.page("status")["pools"][0]["servers"]
        active[name] = server["active"]
    return active


def counted_by_gateway(fleet):
    return {name: server["states"][0]["remote"] for name, server in fleet.api.servers().items()}


@contextlib.contextmanager
def sessions(directory, **pool):
    """Clients at the servers of a fleet, who all have a session."""
    with pool_of(*ENDED) as servers:
        for server in servers:
            server.hold()
        with Fleet(directory, {server.name: server.port for server in servers}, pool=pool) as fleet:
            with Clients(fleet.gateway_port, CLIENTS) as clients:
                try:
                    yield fleet, servers, clients
                finally:
                    clients.stopping = True
                    # Whoever is on the way comes yet.
                    for server in servers:
                        server.let_go()


def settle(fleet, servers, clients, asked):
    """Waits until the servers have been asked so often and everybody has a session. Where they are, when gateway and guards agree on it."""
    def arrived():
        return clients.failures or (sum(len(server.requests) for server in servers) == asked
                                    and sum(server.active for server in servers) == CLIENTS)

    # They have one lock, and whoever waits for one of them is woken by all.
    with servers[0].changed:
        assert servers[0].changed.wait_for(arrived, DEADLINE_SECONDS), "whose session has ended has another"
    assert not clients.failures, clients.failures[0]
    until(lambda: counted_by_gateway(fleet) == counted_by_guards(fleet), "the gateway hears of it")
    return counted_by_guards(fleet)


def test_no_server_ever_has_a_tenth_more_than_its_share(tmp_path):
    with sessions(tmp_path) as (fleet, servers, clients):
        asked = CLIENTS
        settle(fleet, servers, clients, asked)
        for _ in range(ROUNDS):
            for server in servers:
                server.release(ENDED[server.name])
            asked += sum(ENDED.values())
            counts = settle(fleet, servers, clients, asked)
            assert sum(counts.values()) == CLIENTS and max(counts.values()) <= MOST, counts
        most = {server.name: server.active_most for server in servers}
        assert max(most.values()) <= MOST, f"at some moment: {most}"
        given = {server.name: server.given for server in servers}
        assert given == {name: ROUNDS * count for name, count in ENDED.items()}, "the fast have served more, by as much as they are faster"
