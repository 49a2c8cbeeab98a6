"""Servers that come and go under load, through the API and by leases: nobody who asks notices, and who has gone is left alone.

All of them are one listening socket, reached at many addresses of this machine.
"""

import json
import random
import threading

import pytest

from admin import REGISTRAR, SERVERS, Admin, administered, registering
from harness import Proxy
from messages import reply
from pool_server import until
from server import Server

CLIENTS = 8
SERVERS_EACH = 200
LIVING_MAX = 25  # of each kind at once
LEASE = "1s"
RISING = ("total_requests", "retries", "failovers", "hedges", "log_lines_dropped", "reloads")


class Everywhere(Server):
    """Knows who of it has gone, and who was asked all the same."""

    def __init__(self):
        self.gone = set()
        self.late = []   # requests to those
        self.asked = set()

        async def script(connection):
            place = connection.sock.getsockname()[0]
            while request := await connection.request():
                self.asked.add(place)
                if place in self.gone:
                    self.late.append(place)
                self.requests.remove(request)
                await connection.send(reply(body=place))

        super().__init__(script, host="0.0.0.0")

    def open_to_gone(self):
        return [connection for connection in self.connections if not connection.closed and connection.sock.getsockname()[0] in self.gone]


class Load:
    """Clients that ask without a pause, each on one connection."""

    def __init__(self, proxy):
        self.over = threading.Event()
        self.answered = [0] * CLIENTS
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(proxy, number)) for number in range(CLIENTS)]

    def run(self, proxy, number):
        try:
            with proxy.client() as client:
                while not self.over.is_set():
                    answer = client.get(f"/{number}/{self.answered[number]}")
                    if answer.status != 200 or not answer.body.startswith(b"127."):
                        self.failures.append(answer)
                    self.answered[number] += 1
        except Exception as problem:  # a thread that dies in silence would look like a success
            self.failures.append(problem)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Caller:
    """One kept connection to the API."""

    def __init__(self, admin):
        self.admin = admin
        self.connection = admin.connect()

    def __call__(self, method, path, body="", *expected):
        fields = self.admin.fields({"Content-Type": "application/json"})
        answer = self.connection.request(method, path, fields, body, "localhost")
        assert answer.status in (expected or (200, 201, 202, 204)), (method, path, answer)
        return answer


class Operator:
    """Adds, drains and removes servers in random order."""

    def __init__(self, admin, server, chance):
        self.call = Caller(admin)
        self.server = server
        self.chance = chance
        self.left = [f"127.8.0.{n + 1}" for n in range(SERVERS_EACH)]
        self.living = {}  # address → drained
        self.removed = set()

    def step(self):
        """False when there is nothing left to do."""
        if self.left and (not self.living or (len(self.living) < LIVING_MAX and self.chance.random() < 0.5)):
            place = self.left.pop()
            self.call("PUT", f"{SERVERS}/{place}", f'{{"address": "{place}:{self.server.port}", "weight": {self.chance.randint(0, 3)}}}')
            self.living[place] = False
            return True
        if not self.living:
            return False
        place = self.chance.choice(list(self.living))
        deed = self.chance.random()
        if deed < 0.25:
            self.call("PATCH", f"{SERVERS}/{place}", f'{{"weight": {self.chance.randint(0, 5)}}}')
        elif deed < 0.6:
            self.call("POST", f"{SERVERS}/{place}/{'undrain' if self.living[place] else 'drain'}")
            self.living[place] = not self.living[place]
        else:
            self.call("DELETE", f"{SERVERS}/{place}")
            del self.living[place]
            self.removed.add(place)
        return True


class Registrar:
    """Servers that register; most leave, some only stop to renew."""

    def __init__(self, admin, server, chance):
        self.call = Caller(Admin(admin.where, REGISTRAR))
        self.server = server
        self.chance = chance
        self.left = [f"127.9.0.{n + 1}" for n in range(SERVERS_EACH)]
        self.living = []
        self.silent = set()
        self.removed = set()

    def step(self):
        if self.left and len(self.living) < LIVING_MAX:
            self.announce(self.left[-1])
            self.living.append(self.left.pop())
            return True
        if not self.living:
            return False
        self.chance.shuffle(self.living)
        place = self.living.pop()
        if self.chance.random() < 0.35:
            self.silent.add(place)
        else:
            self.call("DELETE", f"{SERVERS}/{place}", "", 202, 204, 404)  # its lease may have run out on a slow machine
            self.removed.add(place)
        for other in self.living[:3]:
            self.renew(other)
        return True

    def announce(self, place):
        self.call("PUT", f"{SERVERS}/{place}", f'{{"address": "{place}:{self.server.port}", "lease": "{LEASE}"}}')

    def renew(self, place):
        if self.call("POST", f"{SERVERS}/{place}/renew", "", 200, 404).status == 404:
            self.announce(place)


def busy_places(call):
    """Where something is under way, or may still come."""
    return {server["id"] for server in json.loads(call("GET", "/v1/pools/app").body)["servers"]}


def rising(page):
    return [page[key] for key in RISING] + [sum(page["status_codes"].values()), page["server_connections"]["opened"],
                                            page["client_connections"]["accepted"], page["bytes"]["responses"]]


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_notices_servers_that_come_and_go(tmp_path, workers):
    chance = random.Random(workers)
    with Everywhere() as server:
        config = administered(f"127.0.0.1:{server.port}", workers=workers,
                              pool=registering(tmp_path, servers_max=2 * SERVERS_EACH), admin={"state_file": str(tmp_path / "state")})
        with Proxy(config) as proxy:
            churn(proxy, server, chance)
            server.wait(lambda: not server.open_to_gone(), "connections to those that have gone are closed")


def churn(proxy, server, chance):
    admin = Admin(proxy)
    operator, registrar = Operator(admin, server, chance), Registrar(admin, server, chance)
    look = Caller(admin)
    before = rising(proxy.page("metrics"))
    with admin.events() as events, Load(proxy) as load:
        steps = 0
        while operator.step() | registrar.step():
            steps += 1
            if steps % 20:
                continue
            server.gone |= (operator.removed | registrar.removed) - busy_places(look)
            now = rising(proxy.page("metrics"))
            assert all(one <= other for one, other in zip(before, now)), (before, now)
            before = now
        while registrar.silent & set(admin.servers()):
            events.wait("lease_expired")
        until(lambda: len(busy_places(look)) == 1, "what was under way at them has ended")
        server.gone |= registrar.silent | operator.removed | registrar.removed
        settled = sum(load.answered)
        server.wait(lambda: sum(load.answered) > settled + 200, "the load goes on")
    assert load.failures == []
    assert server.late == []
    assert set(admin.servers()) == {f"127.0.0.1:{server.port}"}
    assert len(operator.removed) == SERVERS_EACH and len(registrar.removed | registrar.silent) == SERVERS_EACH
    assert len(server.asked) > SERVERS_EACH, "most of them had their share"
    assert proxy.page("metrics")["status_codes"]["200"] >= sum(load.answered)
