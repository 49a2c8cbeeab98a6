"""The pure parts of the benchmark: ratios, verdicts, tables and what is read from strace."""

import dataclasses

import pytest

import report
import strace_summary
import targets
from rows import Sample

STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.20    0.102400           2     50000           sendto
 48.00    0.096000           1     50100       100 recvfrom
  0.80    0.001600           4       400           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.200000           1    100500       100 total
"""


def sample(row="keepalive", case="64", contender="steelyard", number=0, **values):
    return Sample(row, case, contender, number, values)


def target(**changes):
    return dataclasses.replace(targets.Target("keepalive", "64", "cpu_us", 0.80, targets.PEERS), **changes)


def test_strace_counts_calls_with_and_without_errors():
    assert strace_summary.calls_by_name(STRACE) == {"sendto": 50000, "recvfrom": 50100, "epoll_wait": 400}


def test_strace_tables_of_several_processes_add_up():
    assert strace_summary.calls_by_name(STRACE + STRACE)["epoll_wait"] == 800


def test_strace_without_a_table_counts_nothing():
    assert strace_summary.calls_by_name("strace: attach: Operation not permitted\n") == {}


def test_strace_names_the_most_frequent_first_and_drops_the_rare():
    calls = {"close": 10, "sendto": 50000, "recvfrom": 50100}
    assert strace_summary.most_frequent(calls, 25000) == "2.00 recvfrom, 2.00 sendto"


def test_ratio_is_the_median_of_the_rounds_rather_than_of_the_figures():
    # The machine slowed down in the second round, for both.
    assert targets.paired_ratio({0: 8.0, 1: 16.0, 2: 9.0}, {0: 10.0, 1: 20.0, 2: 10.0}) == pytest.approx(0.8)


def test_ratio_leaves_out_rounds_that_only_one_took_part_in():
    assert targets.paired_ratio({0: 8.0, 1: 1.0}, {0: 10.0, 2: 5.0}) == pytest.approx(0.8)
    assert targets.paired_ratio({0: 8.0}, {1: 10.0}) is None


def test_best_peer_is_the_cheapest_setting_of_any():
    figures = {"nginx/64k": {0: 30.0}, "haproxy": {0: 40.0}, "haproxy/splice": {0: 25.0}, "relay": {0: 10.0}}
    assert targets.best_of(figures, targets.PEERS, "cpu_us") == "haproxy/splice"


def test_best_peer_by_rate_is_the_fastest():
    assert targets.best_of({"nginx": {0: 100.0}, "haproxy": {0: 120.0}}, targets.PEERS, "rate") == "haproxy"


def test_best_of_nobody_is_nobody():
    assert targets.best_of({"relay": {0: 1.0}}, targets.PEERS, "cpu_us") is None


def test_target_against_the_better_peer_passes_at_its_limit_and_says_by_how_much():
    samples = [sample(cpu_us=8.0), sample(contender="nginx", cpu_us=12.0), sample(contender="haproxy", cpu_us=10.0)]
    verdict = targets.judge(target(), samples)
    assert (verdict.rival, verdict.passed, verdict.margin) == ("haproxy", True, "pass by 0.0%")


def test_target_on_a_rate_is_missed_from_below():
    samples = [sample(rate=110.0), sample(contender="nginx", rate=100.0)]
    verdict = targets.judge(target(metric="rate", limit=1.25), samples)
    assert (verdict.passed, verdict.margin) == (False, "miss by 12.0%")


def test_target_against_itself_compares_two_cases():
    samples = [sample("routes", "1", cpu_us=10.0), sample("routes", "10000", cpu_us=10.5)]
    verdict = targets.judge(target(row="routes", case="10000", limit=1.10, against=(), baseline="1"), samples)
    assert verdict.passed and verdict.value == pytest.approx(1.05)


def test_target_on_a_figure_itself():
    bytes_of_idle = target(row="idle", case="9000", metric="bytes_per_connection", limit=400, against=())
    verdict = targets.judge(bytes_of_idle, [sample("idle", "9000", bytes_per_connection=500.0)])
    assert (verdict.passed, verdict.margin) == (False, "miss by 25.0%")


def test_target_without_steelyard_or_without_a_rival_has_no_verdict():
    assert targets.judge(target(), [sample(contender="nginx", cpu_us=12.0)]) is None
    assert targets.judge(target(), [sample(cpu_us=8.0)]) is None


def test_every_target_names_a_row_and_a_metric_that_the_report_can_print():
    for each in targets.TARGETS:
        assert each.row in report.TITLES and each.row in report.NOUNS and each.metric in report.METRICS


def test_table_shows_medians_and_the_ratio_to_the_best_relay():
    samples = [sample(number=i, cpu_us=cpu, rate=1e5, errors=0) for i, cpu in enumerate((11.0, 12.0, 13.0))]
    samples += [sample(contender="relay", number=i, cpu_us=10.0, rate=123456.0, errors=0) for i in range(3)]
    headings, lines = report.table_of(samples, "keepalive")
    assert headings == ["case", "contender", "CPU µs/request", "÷ relay", "requests/s"]
    assert lines[0] == ["64 connections", "steelyard", "12.00", "1.20", "100,000"]
    assert lines[1] == ["64 connections", "relay", "10.00", "1.00", "123,456"]


def test_table_shows_errors_only_where_there_were_some():
    headings, lines = report.table_of([sample(rate=1.0, errors=3), sample(contender="nginx", rate=1.0, errors=0)], "keepalive")
    assert headings[-1] == "errors" and [line[-1] for line in lines] == ["3", "0"]


def test_table_of_routes_compares_each_contender_with_itself():
    samples = [sample("routes", case, "nginx", cpu_us=cpu) for case, cpu in (("1", 10.0), ("10000", 13.0))]
    headings, lines = report.table_of(samples, "routes")
    assert headings[3] == "÷ 1 route" and [line[3] for line in lines] == ["1.00", "1.30"]


def test_plain_table_aligns_numbers_to_the_right():
    table = report.plain_table(["who", "µs"], [["nginx", "9"], ["me", "10"]])
    assert table.splitlines() == ["who    µs", "─────  ──", "nginx   9", "me     10"]


def test_markdown_has_machine_targets_and_tables():
    text = report.as_markdown([sample(cpu_us=8.0), sample(contender="nginx", cpu_us=12.0)], {"CPU": "some"})
    assert "- CPU: some" in text
    assert "| 64 connections | nginx | 12.00 | – |" in text
    assert "≤ 0.8 ×" in text and "pass by 16.7%" in text
