"""What Steelyard has to reach, as data, and whether it does. A target compares steelyard with the best of some others in the same
case, or with itself in another case, or with a number."""

import dataclasses
import statistics
from collections.abc import Iterable

PEERS = ("nginx", "haproxy")
# The buckets of the latency histogram are 1.6 % wide, and a proxy compared with itself differs by as much: what must be
# "no worse" or "no slower" may be so by this.
TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True)
class Target:
    row: str
    case: str
    metric: str
    limit: float
    against: tuple[str, ...] = ()  # contenders or families of them, of which the best counts; none: the figure itself is limited
    baseline: str = ""  # or another case of steelyard's own
    contender: str = "steelyard"

    @property
    def at_least(self) -> bool:
        return self.metric.startswith("rate") or self.metric == "warming_share"


TARGETS = (
    *(Target("keepalive", case, "cpu_us", 1.18, ("relay",)) for case in ("16", "64", "1024")),
    *(Target("keepalive", case, "cpu_us", 0.80, PEERS) for case in ("16", "64", "1024")),
    Target("keepalive", "64", "rate", 1.25, PEERS),
    *(Target("keepalive", case, "p99_us", 1 + TOLERANCE, PEERS) for case in ("16", "64", "1024")),
    Target("keepalive", "1", "p50_us", 1 + TOLERANCE, PEERS),
    Target("close", "64", "cpu_us", 0.92, PEERS),
    Target("64k", "32", "cpu_us", 1.15, ("relay",)),
    Target("1m", "8", "cpu_us", 0.60, PEERS),
    Target("idle", "9000", "bytes_per_connection", 400),
    Target("routes", "10000", "cpu_us", 1.10, baseline="1"),
    Target("servers", "1000", "cpu_us", 1.10, baseline="3"),
    Target("workers", "one process", "cpu_us", 1 + TOLERANCE, baseline="two processes"),
    Target("workers", "one process", "rate_per_core", 1 - TOLERANCE, baseline="two processes"),
    Target("syscalls", "64", "calls_per_request", 4.1),
    Target("spin", "1", "p50_us", 1 + TOLERANCE, PEERS, contender="steelyard/spin"),
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    target: Target
    value: float
    rival: str  # whom it was compared with, or nobody

    @property
    def passed(self) -> bool:
        return self.value >= self.target.limit if self.target.at_least else self.value <= self.target.limit

    @property
    def margin(self) -> str:
        word = "pass" if self.passed else "miss"
        return f"{word} by {abs(self.value / self.target.limit - 1):.1%}" if self.target.limit else word


def metric_by_round(samples: Iterable, row: str, case: str, metric: str) -> dict[str, dict[int, float]]:
    """Contender to round to figure."""
    found: dict[str, dict[int, float]] = {}
    for sample in samples:
        if (sample.row, sample.case) == (row, case) and metric in sample.values:
            found.setdefault(sample.contender, {})[sample.round] = sample.values[metric]
    return found


def paired_ratio(ours: dict[int, float], theirs: dict[int, float]) -> float | None:
    """The median of the ratios of each round that both took part in: what the machine did to a round, it did to both."""
    ratios = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return statistics.median(ratios) if ratios else None


def best_of(figures: dict[str, dict[int, float]], rivals: Iterable[str], metric: str) -> str | None:
    """The one of these contenders, or of these families of contenders, with the best median; of one with several settings the best
    setting."""
    wanted = set(rivals)
    medians = {name: statistics.median(rounds.values()) for name, rounds in figures.items() if wanted & {name, name.partition("/")[0]}}
    if not medians:
        return None
    best = max if metric.startswith("rate") else min
    return best(medians, key=medians.get)


def judge(target: Target, samples: list) -> Verdict | None:
    """Nothing where it was not measured."""
    figures = metric_by_round(samples, target.row, target.case, target.metric)
    ours = figures.get(target.contender)
    if not ours:
        return None
    if target.baseline:
        before = metric_by_round(samples, target.row, target.baseline, target.metric).get(target.contender, {})
        value, rival = paired_ratio(ours, before), f"itself, {target.baseline}"
    elif target.against:
        rival = best_of(figures, target.against, target.metric)
        value = paired_ratio(ours, figures[rival]) if rival else None
    else:
        value, rival = statistics.median(ours.values()), ""
    return Verdict(target, value, rival) if value is not None else None
