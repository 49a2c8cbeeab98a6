"""Samples to tables: for a terminal, and as the Markdown of docs/benchmarks.md."""

import statistics

import targets

TITLES = {
    "keepalive": "Kept connections, 1 KiB",
    "close": "A new connection for each request, 1 KiB",
    "64k": "64 KiB bodies",
    "1m": "1 MiB bodies",
    "idle": "Idle kept connections",
    "routes": "Routes by host and path",
    "servers": "Servers under least connections",
    "workers": "Two workers on two cores",
    "syscalls": "System calls",
    "spin": "A lone connection whose client never sleeps",
}
# What the number of a case counts.
NOUNS = {row: "connections" for row in TITLES} | {"routes": "routes", "servers": "servers"}
# Heading, metric, digits after the point.
COLUMNS = (
    ("CPU µs/request", "cpu_us", 2),
    ("requests/s", "rate", 0),
    ("requests/s per core", "rate_per_core", 0),
    ("p50 µs", "p50_us", 0),
    ("p99 µs", "p99_us", 0),
    ("bytes/connection", "bytes_per_connection", 0),
    ("calls/request", "calls_per_request", 2),
    ("most frequent", "calls", None),
    ("errors", "errors", 0),
)
METRICS = {
    "cpu_us": "CPU per request",
    "rate": "requests/s",
    "rate_per_core": "requests/s per core",
    "p50_us": "median latency",
    "p99_us": "p99 latency",
    "bytes_per_connection": "bytes per connection",
    "calls_per_request": "calls per request",
}


def as_text(samples: list) -> str:
    parts = []
    for row in rows_of(samples):
        parts += [TITLES[row], plain_table(*table_of(samples, row)), ""]
    verdicts = verdicts_of(samples)
    if verdicts:
        parts += ["Targets", plain_table(*targets_table(verdicts)), ""]
    return "\n".join(parts)


def as_markdown(samples: list, facts: dict[str, str]) -> str:
    parts = [INTRODUCTION, "## Machine", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    verdicts = verdicts_of(samples)
    parts += ["## Targets", ""]
    parts += [markdown_table(*targets_table(verdicts)) if verdicts else "Steelyard took no part in this run.", ""]
    for row in rows_of(samples):
        parts += [f"## {TITLES[row]}", "", markdown_table(*table_of(samples, row)), ""]
    return "\n".join(parts).rstrip() + "\n"


def rows_of(samples: list) -> list[str]:
    """In the order of the titles, those that were measured."""
    return [row for row in TITLES if any(sample.row == row for sample in samples)]


def table_of(samples: list, row: str) -> tuple[list[str], list[list[str]]]:
    """Medians over the rounds, with the CPU's ratio to the relay where it took part and to the contender's own first case where the
    row compares cases."""
    of_row = [sample for sample in samples if sample.row == row]
    columns = [column for column in COLUMNS if any(column[1] in sample.values for sample in of_row)]
    if not any(sample.values.get("errors") for sample in of_row):
        columns = [column for column in columns if column[1] != "errors"]
    cases = list(dict.fromkeys(sample.case for sample in of_row))
    within = row in ("routes", "servers", "workers")
    has_cpu = any("cpu_us" in sample.values for sample in of_row)
    reference = cases[-1] if row == "workers" else cases[0]
    headings = ["case", "contender", *(heading for heading, _, _ in columns)]
    if has_cpu:
        headings.insert(3, f"÷ {label_of(row, reference)}" if within else "÷ relay")
    lines = []
    for case in cases:
        for contender in dict.fromkeys(sample.contender for sample in of_row if sample.case == case):
            line = [label_of(row, case), contender, *(cell(samples, row, case, contender, column) for column in columns)]
            if has_cpu:
                line.insert(3, ratio_cell(samples, row, case, contender, reference if within else None))
            lines.append(line)
    return headings, lines


def cell(samples: list, row: str, case: str, contender: str, column: tuple) -> str:
    _, metric, digits = column
    rounds = targets.metric_by_round(samples, row, case, metric).get(contender, {})
    if not rounds:
        return "–"
    if digits is None:
        return str(next(iter(rounds.values())))
    return f"{statistics.median(rounds.values()):,.{digits}f}"


def ratio_cell(samples: list, row: str, case: str, contender: str, reference: str | None) -> str:
    figures = targets.metric_by_round(samples, row, case, "cpu_us")
    if reference is None:
        rival = targets.best_of(figures, ("relay",), "cpu_us")
        theirs = figures.get(rival, {})
    else:
        theirs = targets.metric_by_round(samples, row, reference, "cpu_us").get(contender, {})
    ratio = targets.paired_ratio(figures.get(contender, {}), theirs)
    return "–" if ratio is None else f"{ratio:.2f}"


def verdicts_of(samples: list) -> list[targets.Verdict]:
    return [verdict for target in targets.TARGETS if (verdict := targets.judge(target, samples))]


def targets_table(verdicts: list[targets.Verdict]) -> tuple[list[str], list[list[str]]]:
    lines = []
    for verdict in verdicts:
        target = verdict.target
        subject = f"{TITLES[target.row]}, {label_of(target.row, target.case)}: {METRICS[target.metric]}"
        limit = f"{'≥' if target.at_least else '≤'} {target.limit:g}{' ×' if verdict.rival else ''}"
        lines.append([subject, verdict.rival or "–", limit, f"{verdict.value:,.2f}", verdict.margin])
    return ["figure", "compared with", "target", "measured", "verdict"], lines


def label_of(row: str, case: str) -> str:
    if not case.isdigit():
        return case
    noun = NOUNS[row]
    return f"{int(case):,} {noun if case != '1' else noun.removesuffix('s')}"


def plain_table(headings: list[str], lines: list[list[str]]) -> str:
    """Numbers to the right, words to the left."""
    widths = [max(len(line[i]) for line in [headings, *lines]) for i in range(len(headings))]
    right = [all(line[i].removeprefix("-")[:1].isdigit() or line[i] == "–" for line in lines) for i in range(len(headings))]
    rendered = []
    for line in [headings, *lines]:
        cells = [text.rjust(width) if is_right else text.ljust(width) for text, width, is_right in zip(line, widths, right, strict=True)]
        rendered.append("  ".join(cells).rstrip())
    rendered.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(rendered)


def markdown_table(headings: list[str], lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, ["---"] * len(headings), *lines])


INTRODUCTION = """# Benchmarks

Written by `bench/bench.py`; run it again rather than edit this page. How well servers are chosen is [on a page of its
own](benchmarks-balance.md).

How to read it:

- **Only ratios of the same run count.** Absolute figures move by a fifth with the machine and the day. In every round each contender
  has its turn directly after the other; a ratio is taken in each round, and what is shown is the median of these ratios. It is
  therefore not always the quotient of the two medians beside it.
- **The figure that decides is CPU per request**: nanoseconds on a core of all threads of all processes of the proxy, divided by the
  requests that were answered meanwhile. Requests per second follow from it while the proxy is the bottleneck. Where the load generator
  is, as with a new connection for each request, they understate the cheaper proxy: it sleeps, and waking it costs the generator.
- **The relay is the limit.** It finds the end of a head and a Content-Length, and nothing more: what it costs, the kernel charges
  everybody.
- The proxy has one core to itself, the load generator with the backend the other; all traffic is on loopback. A turn in which neither
  was busy for 88 % of the time was disturbed from outside and is repeated.
- Each peer runs with the settings that serve it best. Where several are shown (`nginx/64k`: buffers of that size; `haproxy/splice`),
  Steelyard is compared with the best of them. Nobody writes an access log.
- *Two workers*: one process of two workers beside two processes of one worker each, on the same two cores and under the same two
  generators, one on each core. The machine has no cores to spare for the load, so that throughput cannot double; but all that differs
  between the two cases is what the workers of one process share, and a ratio of 1 means that sharing costs nothing.
- *Idle connections*: growth of the proportional set size for each of the connections, after each has had one answer. Kernel memory is
  the same for everybody and not counted.
- *System calls*: counted by strace, which slows everybody down, so that more connections are served for each wake-up.
- *The lone connection*: most of its latency is two sleeping cores waking each other. In the row in which the client never sleeps, what
  is left is the proxy's own; `spin` is polling for 20 µs before sleeping.
- "No worse" and "no slower" allow 2 %, the resolution of the measurement.
"""
