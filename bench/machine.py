"""What a reader must know of the machine and the programs to judge the figures; nothing that names either."""

import datetime
import os
import pathlib
import re
import subprocess

import contenders


def facts(programs: contenders.Programs, rounds: int, seconds: float) -> dict[str, str]:
    return {
        "Date": datetime.date.today().isoformat(),
        "CPU": f"{cpu_model()}, {os.cpu_count()} cores",
        "Kernel": f"Linux {os.uname().release}",
        "steelyard": version([programs.steelyard, "--version"]),
        "nginx": version([contenders.NGINX, "-v"]),
        "HAProxy": version([contenders.HAPROXY, "-v"]),
        "Measured": f"{rounds} rounds of {seconds:g} s for each contender and case",
    }


def cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else os.uname().machine


def version(command: list) -> str:
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "not there"
    found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"
