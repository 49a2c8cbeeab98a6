"""The first thing that anybody tries: `steelyard demo` does what it says of itself."""

import json
import signal

from client import Client
from harness import DEADLINE_SECONDS, Process, free_port, run


def test_the_three_servers_of_the_demo_take_turns_and_a_second_demo_is_told_why_not():
    port, servers = free_port(), free_port()
    demo = Process(["demo", "--port", str(port), "--backend-port", str(servers)])
    try:
        demo.wait_line("ready: ")
        with Client(port) as client:
            names = [json.loads(client.get("/info").body)["name"] for _ in range(6)]
        assert set(names[:3]) == {"backend1", "backend2", "backend3"} and names[3:] == names[:3], names
        again = run("demo", "--port", str(port), "--backend-port", str(free_port()))
        assert again.returncode == 1 and f"port {port} is taken: choose another with --port" in again.stderr
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(DEADLINE_SECONDS) == 0
    finally:
        demo.kill()
