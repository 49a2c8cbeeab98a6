"""From the answers of one turn to its figures, and what they are to be. Latencies are those of successful answers: an error that comes
at once must not look like a fast server. *Excess* is latency without the request's own draw, which is all that the choice of a
server can change; on a slow server the service beyond the draw counts as excess, on a fast one it may be less than nothing."""

from arrivals import Answer, Request, percentile
from balance_scenarios import SCENARIOS, SECOND_US, Scenario
from targets import PEERS, TOLERANCE, Target

ROW = "balance"
ADAPTIVE = "steelyard/adaptive"


def figures_of(scenario: Scenario, trace: list[Request], answers: list[Answer]) -> dict[str, float]:
    """Of the requests that were due after the warm-up. Latencies in milliseconds, shares from 0 to 1; a figure that nothing was
    measured of is left out."""
    odd, from_us = scenario.odd, scenario.warm_up_s * SECOND_US
    counted = [(request, answer) for request, answer in zip(trace, answers, strict=True) if request.due_us >= from_us]
    succeeded = [(request, answer) for request, answer in counted if answer.status == 200]
    figures = {"requests": len(counted), "error_share": 1 - len(succeeded) / max(len(counted), 1)}
    if succeeded:
        latencies = sorted(answer.latency_us / 1e3 for _, answer in succeeded)
        excesses = sorted((answer.latency_us - request.draw_us) / 1e3 for request, answer in succeeded)
        figures |= {f"{name}_ms": percentile(latencies, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}
        figures |= {f"excess_{name}_ms": percentile(excesses, share) for name, share in (("p99", 0.99), ("p999", 0.999))}
    if odd and counted:
        figures["odd_share"] = share_of(odd, [answer for _, answer in counted])
        warm_from_us, warm_until_us = scenario.warming_us
        warming = [answer for request, answer in counted if warm_from_us <= request.due_us < warm_until_us]
        if warming:
            figures["warming_share"] = share_of(odd, warming)
    return figures


def share_of(servers: frozenset[str], answers: list[Answer]) -> float:
    return sum(answer.server in servers for answer in answers) / len(answers)


def target(case: str, metric: str, limit: float, against: tuple[str, ...] = (), contender: str = ADAPTIVE) -> Target:
    return Target(ROW, case, metric, limit, against, contender=contender)


TARGETS = (
    target("equal", "p99_ms", 1 + TOLERANCE, PEERS),
    target("equal", "excess_p99_ms", 1.0, PEERS),
    target("speeds", "p99_ms", 0.80, PEERS),
    target("slow", "p99_ms", 0.80, PEERS),
    target("slow", "p999_ms", 0.60, PEERS),
    target("stall", "p999_ms", 0.95, PEERS),
    target("failing", "error_share", 0.001),
    target("failing", "p99_ms", 1.0, PEERS),
    target("failing-retried", "error_share", 0.0),
    target("failing-retried", "p99_ms", 1.0, PEERS),
    target("restart", "excess_p999_ms", 1.0, PEERS),
    # It is not to be idle. The ideal queue gives it about 0.4 %: there is nearly always a faster slot.
    target("restart", "warming_share", 0.002),
    target("distant", "p99_ms", 5.0),
    target("distant", "odd_share", 0.01),
    *(target(case, "p99_ms", 1 + TOLERANCE, ("nginx/least_conn",), "steelyard/least_connections") for case in SCENARIOS),
)
