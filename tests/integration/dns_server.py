"""A scripted DNS server on 127.0.0.1, over UDP and TCP on one free port, for tests of servers that are given by name.

    with DnsServer() as dns:
        dns.set("web.test", "A", "127.0.0.1", ttl=0)
        dns.set("_http._tcp.test", "SRV", ("web.test", 8080, 10, 5))   # target, port, priority, weight
        dns.set("alias.test", "CNAME", "web.test")
        ...
        dns.behave("web.test", SERVFAIL)       # or REFUSED, SILENT, GARBAGE, TRUNCATED; None: as set again
        dns.wait(lambda: dns.count("web.test") > 3)

A name that nothing was set for is NXDOMAIN; one without the type that is asked for has no such record. What is set counts from the
next question on. A thread of its own answers one question after the other; nothing here is strict, the proxy's side is the tested one.
"""

import ipaddress
import os
import select
import socket
import struct
import threading

DEADLINE_SECONDS = 10  # safety only: no test expects to reach it
TYPES = {"A": 1, "CNAME": 5, "AAAA": 28, "SRV": 33}
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5
SILENT = "silent"        # no answer at all
GARBAGE = "garbage"      # bytes that are no message, with the right identity
TRUNCATED = "truncated"  # over UDP nothing but the advice to ask over TCP


def encode_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "CNAME":
        return encode_name(value)
    target, port, priority, weight = value
    return struct.pack(">HHH", priority, weight, port) + encode_name(target)


class DnsServer:
    def __init__(self):
        self.records = {}    # name → type → (values, ttl)
        self.behaviours = {}
        self.asked = []      # (name, type, "udp" or "tcp"), in the order in which they came
        self.changed = threading.Condition()
        self.udp, self.tcp = bind_both()
        self.port = self.udp.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.woken, self.wake = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def set(self, name, kind, *values, ttl=60):
        """Replaces the records of this type; without values there are none, but the name is there."""
        with self.changed:
            self.records.setdefault(name, {})[kind] = (values, ttl)

    def remove(self, name):
        with self.changed:
            self.records.pop(name, None)

    def behave(self, name, behaviour):
        with self.changed:
            self.behaviours[name] = behaviour

    def count(self, name):
        return sum(1 for asked in self.asked if asked[0] == name)

    def wait(self, condition, what=""):
        """Waits until `condition()` holds; it is asked again after each question."""
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE_SECONDS), f"the DNS server waited in vain: {what}"

    def run(self):
        connections = []
        while True:
            ready, _, _ = select.select([self.udp, self.tcp, self.woken, *connections], [], [])
            if self.woken in ready:
                break
            if self.udp in ready:
                message, peer = self.udp.recvfrom(4096)
                answer = self.answer(message, "udp")
                if answer is not None:
                    self.udp.sendto(answer, peer)
            if self.tcp in ready:
                connections.append(self.tcp.accept()[0])
                connections[-1].settimeout(DEADLINE_SECONDS)
            for connection in [each for each in connections if each in ready]:
                if not self.serve_question(connection):
                    connections.remove(connection)
                    connection.close()
        for connection in connections:
            connection.close()

    def serve_question(self, connection):
        """Each message has its length before it (RFC 1035 §4.2.2). False at the end of the connection."""
        try:
            length = connection.recv(2, socket.MSG_WAITALL)
            if len(length) < 2:
                return False
            answer = self.answer(connection.recv(struct.unpack(">H", length)[0], socket.MSG_WAITALL), "tcp")
            if answer is not None:
                connection.sendall(struct.pack(">H", len(answer)) + answer)
        except OSError:
            return False
        return True

    def answer(self, message, transport):
        question = message[12:]
        labels, at = [], 0
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
            at += 1 + question[at]
        name = ".".join(labels)
        number = struct.unpack(">H", question[at + 1:at + 3])[0]
        kind = next((text for text, known in TYPES.items() if known == number), str(number))
        question = question[:at + 5]
        with self.changed:
            self.asked.append((name, kind, transport))
            self.changed.notify_all()
            behaviour = self.behaviours.get(name)
            if behaviour == SILENT:
                return None
            if behaviour == GARBAGE:
                return message[:2] + b"\xff" * 40
            truncated = behaviour == TRUNCATED and transport == "udp"
            code, found = (NXDOMAIN, []) if name not in self.records else (0, self.find(name, kind))
            if isinstance(behaviour, int):
                code, found = behaviour, []
        found = [] if truncated else found
        flags = 0x8180 | (0x0200 if truncated else 0) | code
        return message[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + question + b"".join(found)

    def find(self, name, kind):
        """The records that answer, aliases first."""
        found = []
        kinds = self.records.get(name, {})
        for known in ("CNAME", kind):
            values, ttl = kinds.get(known, ((), 0))
            for value in values:
                data = encode_data(known, value)
                found.append(encode_name(name) + struct.pack(">HHIH", TYPES[known], 1, ttl, len(data)) + data)
        for alias in kinds.get("CNAME", ((), 0))[0]:
            found += self.find(alias, kind)
        return found

    def stop(self):
        os.write(self.wake, b"x")
        self.thread.join(DEADLINE_SECONDS)
        for sock in (self.udp, self.tcp):
            sock.close()
        os.close(self.woken)
        os.close(self.wake)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()


def bind_both():
    """A UDP and a listening TCP socket on one port; what is free for one is mostly free for the other."""
    for _ in range(20):
        udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
            tcp.listen()
            return udp, tcp
        except OSError:
            udp.close()
            tcp.close()
    raise AssertionError("no port is free for both UDP and TCP")
