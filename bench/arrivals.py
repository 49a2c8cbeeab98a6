"""What arrives in the bench of balancing: a trace of requests, each with the moment at which it is due and the service that it takes
(its draw). The same trace goes to every contender, so that they differ in nothing but where they send it."""

import math
import pathlib
import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Request(NamedTuple):
    due_us: int
    draw_us: int  # on a server of speed 1

    @property
    def line(self) -> str:
        """As `steelyard load --replay` reads it."""
        return f"{self.due_us} /w/{self.draw_us}"


class Answer(NamedTuple):
    """What became of a request; the fields of a line that `steelyard load --samples` writes."""

    due_us: int
    latency_us: float  # since it was due
    status: int  # 0: none came
    server: str  # the name that it gave itself, or nothing


def poisson(seed: str, rate_per_s: float, mean_us: float, length_s: float) -> list[Request]:
    """Arrivals that know nothing of each other, with exponential service. Both come from generators of their own, so that another
    rate leaves the draws as they are."""
    gaps, services = random.Random(f"{seed} arrivals"), random.Random(f"{seed} services")
    trace, now_s = [], gaps.expovariate(rate_per_s)
    while now_s < length_s:
        trace.append(Request(round(now_s * 1e6), round(services.expovariate(1 / mean_us))))
        now_s += gaps.expovariate(rate_per_s)
    return trace


def write_trace(path: pathlib.Path, trace: Iterable[Request]) -> None:
    path.write_text("".join(f"{request.line}\n" for request in trace))


def read_answers(path: pathlib.Path) -> list[Answer]:
    """Lines of `DUE_US LATENCY_US STATUS SERVER BYTES`, in the order of the trace."""
    answers = []
    for line in path.read_text().splitlines():
        due, latency, status, server, *_ = line.split()
        answers.append(Answer(int(due), float(latency), int(status), server))
    return answers


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share of all values do not exceed. They are in order."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]
