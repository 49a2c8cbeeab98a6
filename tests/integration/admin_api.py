"""The admin API of a proxy under test: questions, and its stream of events, on which tests wait."""

import http.client
import json
import time

DEADLINE_SECONDS = 30  # safety only: no test expects to reach it


class Api:
    def __init__(self, port, token=None):
        self.port = port
        self.fields = {"Authorization": f"Bearer {token}"} if token else {}

    def open(self, method, path, body=None, fields=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        sent = {**self.fields, **dict(fields)}
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        return connection, connection.getresponse()

    def ask(self, method, path, body=None):
        """Status and body of one answer."""
        connection, answer = self.open(method, path, body)
        with connection.sock or answer:
            text = answer.read()
        return answer.status, json.loads(text) if text else None

    def get(self, path):
        status, body = self.ask("GET", path)
        assert status == 200, body
        return body

    def servers(self, pool="app"):
        """By id."""
        return {server["id"]: server for server in self.get(f"/v1/pools/{pool}/servers")}

    def events(self, after=None):
        """All events after that one, or from now on."""
        return Events(self, self.get("/v1/status")["events_last_id"] if after is None else after)


class Events:
    def __init__(self, api, after):
        self.connection, self.stream = api.open("GET", "/v1/events", fields={"Last-Event-ID": str(after)})
        assert self.stream.status == 200
        self.seen = []

    def next(self):
        """(type, data) of the next one."""
        kind = None
        while line := self.stream.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                self.seen.append((kind, json.loads(value)))
                return self.seen[-1]
        return None

    def wait(self, kind, **wanted):
        """The data of the next event of that kind with these values."""
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            event = self.next()
            if event and event[0] == kind and wanted.items() <= event[1].items():
                return event[1]
        raise AssertionError(f"no {kind} with {wanted} among {self.seen}")

    def close(self):
        self.stream.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
