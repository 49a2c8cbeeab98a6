"""Samples of the bench of balancing to tables: for a terminal, and as the Markdown of docs/benchmarks-balance.md."""

import statistics

import report
import targets
from balance_figures import ROW, TARGETS
from balance_scenarios import named

# Heading, metric, digits after the point; shares are shown per cent.
COLUMNS = (
    ("p50 ms", "p50_ms", 1),
    ("p99 ms", "p99_ms", 1),
    ("p99.9 ms", "p999_ms", 1),
    ("excess p99 ms", "excess_p99_ms", 1),
    ("excess p99.9 ms", "excess_p999_ms", 1),
    ("errors", "error_share", 2),
    ("to the odd", "odd_share", 2),
    ("while it warms up", "warming_share", 2),
)
METRICS = {
    "p99_ms": "p99",
    "p999_ms": "p99.9",
    "excess_p99_ms": "p99 of the excess",
    "excess_p999_ms": "p99.9 of the excess",
    "error_share": "share of errors",
    "odd_share": "share of the odd server",
    "warming_share": "share of the server that warms up",
}


def as_text(samples: list) -> str:
    parts = []
    for case in cases_of(samples):
        parts += [f"{case}: {named(case).title}", report.plain_table(*table_of(samples, case)), ""]
    verdicts = verdicts_of(samples)
    if verdicts:
        parts += ["Targets", report.plain_table(*targets_table(verdicts)), ""]
    return "\n".join(parts)


def as_markdown(samples: list, facts: dict[str, str]) -> str:
    parts = [INTRODUCTION, "## Machine", "", *(f"- {name}: {value}" for name, value in facts.items()), "", "## Targets", ""]
    verdicts = verdicts_of(samples)
    parts += [report.markdown_table(*targets_table(verdicts)) if verdicts else "Steelyard took no part in this run.", ""]
    for case in cases_of(samples):
        title = named(case).title
        parts += [f"## {title[0].upper()}{title[1:]}", "", report.markdown_table(*table_of(samples, case)), ""]
    return "\n".join(parts).rstrip() + "\n"


def cases_of(samples: list) -> list[str]:
    return list(dict.fromkeys(sample.case for sample in samples))


def table_of(samples: list, case: str) -> tuple[list[str], list[list[str]]]:
    """Medians over the rounds."""
    of_case = [sample for sample in samples if sample.case == case]
    columns = [column for column in COLUMNS if any(column[1] in sample.values for sample in of_case)]
    if not any(sample.values["error_share"] for sample in of_case):
        columns = [column for column in columns if column[1] != "error_share"]
    contenders = dict.fromkeys(sample.contender for sample in of_case)
    lines = [[contender, *(cell(of_case, case, contender, column) for column in columns)] for contender in contenders]
    return ["contender", *(heading for heading, _, _ in columns)], lines


def cell(samples: list, case: str, contender: str, column: tuple[str, str, int]) -> str:
    _, metric, digits = column
    rounds = targets.metric_by_round(samples, ROW, case, metric).get(contender)
    return amount(metric, statistics.median(rounds.values()), digits) if rounds else "–"


def amount(metric: str, value: float, digits: int) -> str:
    return f"{value:.{digits}%}" if metric.endswith("_share") else f"{value:,.{digits}f}"


def verdicts_of(samples: list) -> list[targets.Verdict]:
    return [verdict for target in TARGETS if (verdict := targets.judge(target, samples))]


def targets_table(verdicts: list[targets.Verdict]) -> tuple[list[str], list[list[str]]]:
    lines = []
    for verdict in verdicts:
        target = verdict.target
        sign = "≥" if target.at_least else "≤"
        if verdict.rival:
            limit, value = f"{sign} {target.limit:g} ×", f"{verdict.value:.2f}"
        elif target.metric.endswith("_share"):
            limit, value = f"{sign} {target.limit:.1%}", f"{verdict.value:.2%}"
        else:
            limit, value = f"{sign} {target.limit:g} ms", f"{verdict.value:.1f} ms"
        subject = f"{target.case}: {METRICS[target.metric]}"
        lines.append([subject, target.contender, verdict.rival or "–", limit, value, verdict.margin])
    return ["figure", "of", "compared with", "target", "measured", "verdict"], lines


INTRODUCTION = """# Benchmarks: balancing

Written by `./dev bench balance`; run it again rather than edit this page. What a request costs is [on a page of its
own](benchmarks.md).

How to read it:

- **What is measured is where requests are sent.** The servers are simulated in one process: each has four slots and a queue, first
  come, first served, and a request says itself how long its service takes (its draw; exponential, with a mean of 10 ms but where
  there are more servers, and of 0.25 ms where one is distant). No server does any work, so that neither the CPU nor another server
  slows one down.
- **Everybody gets the same requests.** They arrive at times that no answer moves (an open loop, Poisson), and latency counts from when
  a request was due. Within a round, all contenders are sent the same trace, and processes are started afresh for each; the first
  second is not counted (more, where services are long). Ratios are taken within a round, and what is shown is the median over the
  rounds.
- **Excess is what a balancer can change**: latency without the request's own draw. With exponential service of 10 ms on average the
  draw alone has a p99 of 46 ms. On a slow server, the service beyond the draw counts as excess.
- Latencies are those of successful answers; errors are a column of their own where there were any.
- **The ideal queue** is computed for the same requests: one queue before all slots of all servers, and whoever is at its head takes the
  free slot that serves it soonest. It knows at each moment which server is slow, stalled, warming up or broken. A proxy cannot do it,
  since requests wait at the servers and not before them. It is a yardstick rather than a bound: it takes a slow slot that is free
  rather than wait for a fast one, so that a far tail can be shorter than its own.
- The configurations are what a careful operator would write: kept connections, servers that fail are taken out (nginx: `max_fails`;
  HAProxy: `observe layer7`, a check that brings them back, and `slowstart`), broken connections are retried. All of them are in
  `bench/balance_contenders.py`.
- The proxy has one core to itself, the servers and the load generator the other. Two workers share that one core: what is measured
  there is whether they know of each other's requests.
- A scenario with more servers repeats the pattern of its ten, with requests that take longer so that the rate is what the machine can
  carry.
- Against peers, "no worse" allows 2 % where the limit is 1.02.
"""
