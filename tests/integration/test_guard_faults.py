"""What clients see of it when the gateway or a guard is killed, and when keys are changed, while they keep asking: nobody is refused who
was sent by the gateway."""

import contextlib
import threading
from urllib.parse import urlsplit

import pytest

from client import Client, Ended, request_bytes
from fleet import Fleet, follow, jwk, key_file, until
from messages import reply
from server import Server, answer_hello

APART = (ConnectionError, Ended, TimeoutError)


class Crowd:
    """Clients that ask the gateway again and again and follow it. One that finds nobody there, or is told to come back (503), begins anew;
    any other answer than 200 is a failure."""

    def __init__(self, fleet, clients=4):
        self.fleet = fleet
        self.served = [0] * clients
        self.began_anew = 0
        self.failures = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(index,)) for index in range(clients)]

    def run(self, index):
        while not self.stopping.is_set() and not self.failures:
            try:
                status, said = self.ask(f"/{index}/{self.served[index]}")
            except APART:
                status, said = 503, None
            if status == 200:
                self.served[index] += 1
            elif status == 503:
                self.began_anew += 1
                self.stopping.wait(0.01)  # as clients do that mean well; nothing here waits for it
            else:
                self.failures.append((status, said))

    def ask(self, target):
        port = self.fleet.gateway_port
        for _ in range(8):
            with Client(port) as client:
                answer = client.get(target)
            if answer.status != 307:
                break
            where = urlsplit(answer.value("location"))
            port, target = where.port, f"{where.path}?{where.query}"
        return answer.status, answer.body

    def wait_served(self, count=3):
        """Until each has been served so many times more, and so has nothing left that it got before."""
        goals = [served + count for served in self.served]
        until(lambda: self.failures or all(now >= goal for now, goal in zip(self.served, goals)), "the clients are not served")
        assert not self.failures, self.failures

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


@contextlib.contextmanager
def fleet_of(directory, *names, script=answer_hello, **options):
    with Server(script) as app, Fleet(directory, {name: app.port for name in names}, **options) as fleet:
        yield fleet, app


def sent_to(fleet, count):
    """To which guards so many clients are sent, one after the other."""
    names = {port: name for name, port in fleet.ports.items()}
    with Client(fleet.gateway_port) as client:
        return {names[urlsplit(client.get("/x").value("location")).port] for _ in range(count)}


def denied(fleet):
    return sum(guard.page()["guard"]["denied"] for guard in fleet.guards.values())


def way(fleet, target):
    """Whither the gateway sends a client, for later."""
    with Client(fleet.gateway_port) as client:
        where = urlsplit(client.get(target).value("location"))
    return where.port, f"{where.path}?{where.query}"


def arrive(port, target):
    with Client(port) as client:
        return client.get(target).status


# The gateway


def test_a_gateway_that_is_killed_and_comes_back_without_memory_refuses_nobody(tmp_path):
    with fleet_of(tmp_path, "a", "b", lease="2s") as (fleet, _), Crowd(fleet) as crowd:
        for _ in range(3):
            crowd.wait_served()
            without, after = way(fleet, "/without"), way(fleet, "/after")
            fleet.kill_gateway()
            assert arrive(*without) == 200, "guards need no gateway"
            fleet.start_gateway()
            assert arrive(*after) == 200, "its tokens outlive it"
            fleet.wait_registered()
            crowd.wait_served()
        assert crowd.began_anew > 0 and denied(fleet) == 0


def test_what_is_under_way_outlives_the_gateway_and_counts_at_the_next(tmp_path):
    may_go = None

    async def slow(connection):
        while await connection.request():
            await may_go.wait()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with fleet_of(tmp_path, "a", "b", script=slow, lease="2s") as (fleet, app), contextlib.ExitStack() as stack:
        may_go = app.gate()
        clients = []
        for number in range(6):
            port, target = way(fleet, f"/{number}")
            clients.append(stack.enter_context(Client(port)))
            clients[-1].send(request_bytes(target=target))
        app.wait(lambda: len(app.requests) == 6, "all have arrived")
        fleet.kill_gateway()
        fleet.start_gateway()
        fleet.wait_registered()
        until(lambda: all(server["states"][0]["remote"] == 3 for server in fleet.api.servers().values()), "the gateway is told again")
        assert all(guard.page()["guard"]["admitted"] == 3 for guard in fleet.guards.values())
        may_go.open()
        assert [client.response().status for client in clients] == [200] * 6
        until(lambda: all(server["states"][0]["remote"] == 0 for server in fleet.api.servers().values()), "nothing is under way")


def test_guards_that_start_before_their_gateway_register_when_it_comes(tmp_path):
    with fleet_of(tmp_path, "a", lease="1s") as (fleet, _):
        fleet.kill_gateway()
        fleet.guards["a"].kill()
        fleet.start_guard("a")
        fleet.guards["a"].wait_line("trying again")
        fleet.start_gateway()
        fleet.wait_registered()
        assert arrive(*way(fleet, "/x")) == 200


# A guard


def test_a_guard_that_is_killed_is_avoided_when_its_lease_has_run_out(tmp_path):
    with fleet_of(tmp_path, "a", "b", "c", lease="1s") as (fleet, _), Crowd(fleet) as crowd:
        crowd.wait_served()
        fleet.guards.pop("b").kill()
        until(lambda: "b" not in fleet.api.servers(), "its lease runs out")
        assert "b" not in sent_to(fleet, 30)
        anew = crowd.began_anew
        crowd.wait_served(10)
        assert crowd.began_anew <= anew + len(crowd.threads), "each has been sent there once more at most, before"
        fleet.start_guard("b")
        fleet.wait_registered("b")
        until(lambda: "b" in sent_to(fleet, 10), "it is back")
        assert denied(fleet) == 0


def test_a_guard_that_is_killed_is_avoided_after_a_failed_check_long_before_its_lease(tmp_path):
    checks = {"health": {"kind": "tcp", "interval": "50ms", "timeout": "5s", "fall": 1}}
    with fleet_of(tmp_path, "a", "b", "c", lease="60s", pool=checks) as (fleet, _), Crowd(fleet) as crowd:
        crowd.wait_served()
        fleet.guards.pop("b").kill()
        until(lambda: fleet.api.servers()["b"]["states"][0]["health"] == "unhealthy", "the check fails")
        assert "b" not in sent_to(fleet, 30)
        assert "b" in fleet.api.servers(), "it still has its lease"
        anew = crowd.began_anew
        crowd.wait_served(10)
        assert crowd.began_anew <= anew + len(crowd.threads)
        assert denied(fleet) == 0


@pytest.mark.parametrize("check", ["/health", "tcp"])
def test_a_guard_whose_application_is_not_well_is_absent_until_it_is(tmp_path, check):
    """Nobody is sent where only the guard still answers. The other guard takes all meanwhile."""
    with Server(answer_hello) as well, Server(answer_hello) as ill:
        port = ill.port
        with Fleet(tmp_path, {"a": well.port, "b": port}, "--health", check, "--health-interval", "100ms") as fleet:
            ill.stop()
            until(lambda: "b" not in fleet.api.servers(), "the guard says that its application is gone")
            fleet.guards["b"].wait_line("the application is not well")
            for _ in range(4):
                answer, ports = follow(fleet.gateway_port, "/x")
                assert (answer.status, ports[-1]) == (200, fleet.ports["a"])
            with Server(answer_hello, port=port):
                fleet.wait_registered("b")
                assert {follow(fleet.gateway_port, "/x")[1][-1] for _ in range(4)} == {fleet.ports["a"], fleet.ports["b"]}


def test_a_guard_that_cannot_leave_says_so_and_leaves_when_it_can(tmp_path):
    with Server(answer_hello) as well, Server(answer_hello) as ill:
        with Fleet(tmp_path, {"a": well.port, "b": ill.port}, "--health", "tcp", "--health-interval", "100ms", lease="60s") as fleet:
            fleet.kill_gateway()
            ill.stop()
            guard = fleet.guards["b"]
            guard.wait_line("the application is not well, but still in the pool app at .*refused.*trying again")
            fleet.start_gateway()
            guard.wait_line("left the pool app")
            fleet.wait_registered("a")
            assert "b" not in fleet.api.servers()


def test_a_guard_is_not_announced_before_its_application_is_well(tmp_path):
    async def ill_at_first(connection):
        while request := await connection.request():
            await connection.send(reply(503 if sum(each.target == "/health" for each in app.requests) < 3 else 200))

    with Server(ill_at_first) as app, Fleet(tmp_path, {"a": app.port}, "--health", "/health", "--health-interval", "100ms") as fleet:
        assert sum(request.target == "/health" for request in app.requests) >= 3, "the gateway was told of it only then"
        assert follow(fleet.gateway_port, "/x")[0].status == 200


def test_a_guard_that_starts_again_forgets_what_it_had_and_the_gateway_with_it(tmp_path):
    with fleet_of(tmp_path, "a", lease="60s") as (fleet, _):
        for _ in range(5):
            way(fleet, "/x")  # and they never arrive
        assert fleet.api.servers()["a"]["states"][0]["remote"] == 5
        token = way(fleet, "/later")
        fleet.guards["a"].kill()
        fleet.start_guard("a")
        until(lambda: fleet.api.servers()["a"]["states"][0]["remote"] == 0, "a new run begins with nothing")
        assert arrive(*token) == 200, "a token that was given before is as good as ever"
        assert arrive(*token) == 403


# Keys


def test_keys_are_changed_in_all_files_under_load_and_nobody_is_refused(tmp_path):
    with fleet_of(tmp_path, "a", "b", "c") as (fleet, _), Crowd(fleet) as crowd:
        old, first = jwk(), way(fleet, "/x")
        def read_everywhere(*keys):
            key_file(tmp_path / "keys.json", *keys)
            for guard in fleet.guards.values():
                guard.read_keys_again()
            fleet.gateway.reload(fleet.config)
            crowd.wait_served()

        for name in "xyz":
            new = jwk(name, name.encode() * 32)
            read_everywhere(old, new)
            read_everywhere(new, old)
            # Each client has been served with the new key since: nobody has a token of the old one any more.
            read_everywhere(new)
            old = new
        assert crowd.began_anew == 0 and denied(fleet) == 0
        assert arrive(*first) == 403, "its key is gone"
