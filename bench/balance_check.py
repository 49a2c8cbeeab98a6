"""Whether the simulated servers do what they are meant to. The load goes straight to one of them, without a proxy. Its queue is before
all slots there are, so that each answer must come when that of the ideal queue does, but for the way to the server and back; and
where nothing is odd the mean excess, which is then the wait, is that of Erlang's formula."""

import math
import pathlib
import statistics

import arrivals
import balance_turn
import ideal_queue
import report
from balance_scenarios import RESTARTING, SECOND_US, Scenario
from ideal_queue import Behaviour

SERVERS = {
    "nothing odd": Behaviour(),
    "slow": Behaviour(speed=0.5),
    "distant": Behaviour(delay_us=50_000),
    "stalls": Behaviour(stall_us=SECOND_US // 2, stall_period_us=3 * SECOND_US),
    "restarts": RESTARTING,
}
LOAD = 0.7
MEAN_US = 1000
ALIKE_US = 500  # what the way there and back may add
EXCESS_TOLERANCE = 0.05  # its mean differs from the computed one by no more


def erlang_c_wait_us(slots: int, load: float, mean_us: float) -> float:
    """The mean wait in one queue of Poisson arrivals before slots with exponential service."""
    offered = slots * load
    all_busy = offered**slots / math.factorial(slots) / (1 - load)
    waits = all_busy / (sum(offered**k / math.factorial(k) for k in range(slots)) + all_busy)
    return waits * mean_us / (slots * (1 - load))


def check_servers(programs: balance_turn.Programs, directory: pathlib.Path, seconds: float) -> int:
    lines, failed = [], False
    for title, behaviour in SERVERS.items():
        # A server that warms up must keep up from the start, or its queue would keep every microsecond of difference.
        scenario = Scenario(title, title, (behaviour,), LOAD / behaviour.warm_factor, mean_us=MEAN_US, has_odd=False, count=1)
        trace = arrivals.poisson(f"check {title}", scenario.rate_per_s, MEAN_US, seconds)
        if behaviour.restart_us:
            # What a restart loses is not computed: after the request that begins its time, the server has nothing to do before it.
            trace = trace[:1] + [request for request in trace if request.due_us > behaviour.warm_from_us + 100_000]
        own = directory / title
        own.mkdir()
        arrivals.write_trace(own / "trace", trace)
        turn = balance_turn.run(balance_turn.DIRECT, scenario, own / "trace", programs, own)
        alike, difference, words = compare(trace, turn.answers, ideal_queue.serve(trace, scenario.servers))
        passed = alike >= 0.99 and abs(difference) <= EXCESS_TOLERANCE
        failed |= not passed
        erlang = f"{erlang_c_wait_us(4, LOAD, MEAN_US):,.0f}" if behaviour == Behaviour() else "–"
        lines.append([title, *words, erlang, f"{turn.late_us:.0f}", "pass" if passed else "miss"])
    headings = ["server", "requests", "way µs", "answered late", "mean excess µs", "computed", "by Erlang", "late µs (p99.9)", "verdict"]
    print(report.plain_table(headings, lines))
    return int(failed)


def compare(trace: list, measured: list, computed: list) -> tuple[float, float, list[str]]:
    """The share of answers that came when they should, the difference of the mean excesses as a share, and both in words. The way there
    and back, which is no excess, is what most answers are later by."""
    later = [ours.latency_us - theirs.latency_us for ours, theirs in zip(measured, computed, strict=True)]
    way_us = statistics.median(later)
    alike = sum(0 <= each <= ALIKE_US and answer.status == 200 for each, answer in zip(later, measured, strict=True)) / len(later)
    excess_us, computed_us = (
        statistics.fmean(answer.latency_us - request.draw_us for request, answer in zip(trace, answers, strict=True))
        for answers in (measured, computed)
    )
    excess_us -= way_us
    words = [f"{len(trace):,}", f"{way_us:.0f}", f"{1 - alike:.2%}", f"{excess_us:,.0f}", f"{computed_us:,.0f}"]
    return alike, excess_us / max(computed_us, 1) - 1, words
