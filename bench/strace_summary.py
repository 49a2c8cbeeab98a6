"""The table that `strace -c` prints, as numbers."""

import re

LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")


def calls_by_name(text: str) -> dict[str, int]:
    """How often each system call was made. The errors column is empty where there were none; the total is left out. Several
    tables in one text, as of several processes, add up."""
    calls: dict[str, int] = {}
    for line in text.splitlines():
        found = LINE.match(line)
        if found and found.group(2) != "total":
            calls[found.group(2)] = calls.get(found.group(2), 0) + int(found.group(1))
    return calls


def most_frequent(calls: dict[str, int], requests: int, count: int = 4) -> str:
    """The most frequent calls for each request, as text: `2.00 recvfrom, 1.99 sendto`."""
    ordered = sorted(calls.items(), key=lambda item: -item[1])[:count]
    return ", ".join(f"{number / requests:.2f} {name}" for name, number in ordered if number / requests >= 0.005)
