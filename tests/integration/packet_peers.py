"""Clients, servers and proxies of packets as the original programs are: blocking sockets, one recv(2048) for one packet, one
connection at a time, json.dumps. What is not theirs is that a test can see what they got."""

import contextlib
import hashlib
import json
import socket
import threading

DEADLINE_SECONDS = 20  # safety only: no test expects to reach it


def packet(number, policy, **more):
    return {"type": "0", "srcid": str(number), "privPoliId": policy, "payload": f"xyz{number}", **more}


def ack(server, data):
    return {"type": "2", "srcid": server, "destid": data["srcid"], "payloadsize": 40,
            "payload": hashlib.sha1(data["payload"].encode()).hexdigest()}


def written(message):
    return json.dumps(message).encode()


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def rest(sock):
    """Everything until the other side ends, a reset included."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def objects(sock, count):
    """The next so many objects, each as its bytes. There must be nothing behind them."""
    data, found = b"", []
    decoder = json.JSONDecoder()
    while len(found) < count:
        chunk = sock.recv(65536)
        assert chunk, f"ended after {found} and {data!r}"
        data += chunk
        with contextlib.suppress(json.JSONDecodeError):
            while data:
                end = decoder.raw_decode(data.decode())[1]  # ASCII, so that characters are bytes
                found.append(data[:end])
                data = data[end:]
    assert data == b"" and len(found) == count, (found, data)
    return found


def exchange(port, *messages):
    """What an original client does: each packet in one send, each answer in one receive."""
    with connect(port) as sock:
        answers = []
        for message in messages:
            sock.sendall(message if isinstance(message, bytes) else written(message))
            answers.append(sock.recv(2048))
        return answers


def announce(port, message):
    """Sends a setup packet, and waits until the proxy has ended the connection. Returns what it said: nothing."""
    with connect(port) as sock:
        sock.sendall(message if isinstance(message, bytes) else written(message))
        sock.shutdown(socket.SHUT_WR)
        return rest(sock)


class Listening:
    """Accepts one connection after the other on a thread; `serve(sock)` has each to its end."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.stopping = False

    def run(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            with sock:
                if self.stopping:
                    return
                sock.settimeout(DEADLINE_SECONDS)
                with contextlib.suppress(OSError):
                    self.serve(sock)

    def wait(self, condition, what):
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE_SECONDS), what

    def note(self, notes, value):
        with self.changed:
            notes.append(value)
            self.changed.notify_all()

    def stop(self):
        """Nobody listens there any more when it returns."""
        self.stopping = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), DEADLINE_SECONDS):
            pass  # wakes it
        self.thread.join(DEADLINE_SECONDS)
        self.listener.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()


class OriginalServer(Listening):
    """One data packet for each connection. `reply(data)` gives other bytes than the ack that is due; None: the end of the connection."""

    def __init__(self, id, policy, proxy=None, reply=None, port=0):
        super().__init__(port)
        self.id, self.policy, self.proxy, self.reply = id, policy, proxy, reply
        self.received = []  # bytes of each packet

    def setup(self):
        return {"type": "1", "id": self.id, "privPolyId": self.policy, "listenport": str(self.port)}

    def serve(self, sock):
        data = sock.recv(2048)
        if not data:
            return  # a check of its health
        self.note(self.received, data)
        message = json.loads(data)
        answer = self.reply(message) if self.reply else written(ack(self.id, message))
        if answer is not None:
            sock.sendall(answer)

    @property
    def sources(self):
        return [json.loads(data)["srcid"] for data in self.received]

    def __enter__(self):
        super().__enter__()
        if self.proxy is not None:
            assert announce(self.proxy, self.setup()) == b""
        return self


class OriginalProxy(Listening):
    """Keeps what servers announce, and answers clients as a server would, or as `reply(data)` says."""

    def __init__(self, port=0, reply=None):
        super().__init__(port)
        self.setups, self.received, self.reply = [], [], reply

    def serve(self, sock):
        while data := sock.recv(2048):
            message = json.loads(data)
            if message["type"] == "1":
                self.note(self.setups, data)
                return
            self.note(self.received, data)
            answer = self.reply(message) if self.reply else written(ack("100", message))
            if answer is None:
                return
            sock.sendall(answer)
