"""The pure parts of the bench of balancing: traces, the ideal queue, percentiles, figures, targets and the page."""

import dataclasses
import statistics

import pytest

import arrivals
import balance_check
import balance_contenders
import balance_figures
import balance_report
import balance_scenarios
import ideal_queue
import targets
from arrivals import Answer, Request
from balance_figures import ADAPTIVE
from balance_scenarios import PLAIN, Scenario, named
from ideal_queue import Behaviour
from rows import Sample

SECOND = 1_000_000


def ends(trace, *servers):
    """When each request was answered by the ideal queue."""
    return [answer.due_us + answer.latency_us for answer in ideal_queue.serve([Request(*each) for each in trace], servers)]


def scenario(odd=PLAIN, **changes):
    return dataclasses.replace(Scenario("some", "some", (PLAIN, odd), 0.5, mean_us=0, count=2), **changes)


def figures(pairs, **changes):
    """Of (latency, draw, status, server), each due after the warm-up."""
    trace = [Request(2 * SECOND + i, draw) for i, (_, draw, _, _) in enumerate(pairs)]
    answers = [Answer(request.due_us, latency, status, server) for request, (latency, _, status, server) in zip(trace, pairs)]
    return balance_figures.figures_of(scenario(**changes), trace, answers)


def sample(contender, number=0, case="equal", **values):
    return Sample(balance_figures.ROW, case, contender, number, {"error_share": 0.0, **values})


def test_trace_is_the_same_for_the_same_seed_and_another_for_another():
    trace = arrivals.poisson("1 equal 0", 1000, 10_000, 2)
    assert trace == arrivals.poisson("1 equal 0", 1000, 10_000, 2)
    assert trace != arrivals.poisson("1 equal 1", 1000, 10_000, 2)


def test_trace_has_the_rate_the_mean_and_the_spread_that_were_asked_for():
    trace = arrivals.poisson("any", 2000, 10_000, 100)
    gaps = [later.due_us - earlier.due_us for earlier, later in zip(trace, trace[1:])]
    for values, mean in ((gaps, 500), ([request.draw_us for request in trace], 10_000)):
        assert statistics.fmean(values) == pytest.approx(mean, rel=0.02)
        assert statistics.stdev(values) == pytest.approx(mean, rel=0.02)


def test_trace_is_in_order_and_ends_in_time():
    due = [request.due_us for request in arrivals.poisson("any", 1000, 10_000, 3)]
    assert due == sorted(due) and due[-1] < 3 * SECOND


def test_trace_of_another_rate_has_the_same_draws():
    slow, fast = (arrivals.poisson("any", rate, 10_000, 1) for rate in (100, 200))
    assert [request.draw_us for request in slow] == [request.draw_us for request in fast[: len(slow)]]


def test_trace_is_written_as_due_time_and_path(tmp_path):
    arrivals.write_trace(tmp_path / "trace", [Request(0, 7), Request(1500, 10432)])
    assert (tmp_path / "trace").read_text() == "0 /w/7\n1500 /w/10432\n"


def test_answers_are_read_with_those_that_never_came(tmp_path):
    (tmp_path / "samples").write_text("0 812 200 3 3\n1500 5000000 0 timeout 0\n")
    assert arrivals.read_answers(tmp_path / "samples") == [Answer(0, 812, 200, "3"), Answer(1500, 5_000_000, 0, "timeout")]


def test_percentile_is_a_value_that_occurred():
    values = list(range(1, 101))
    assert [arrivals.percentile(values, share) for share in (0.0, 0.5, 0.99, 0.999, 1.0)] == [1, 50, 99, 100, 100]
    assert arrivals.percentile([5], 0.5) == 5


def test_ideal_queue_serves_in_order_when_all_slots_are_busy():
    assert ends([(0, 10), (0, 4), (1, 5), (2, 1)], Behaviour(slots=2)) == [10, 4, 9, 10]


def test_ideal_queue_prefers_the_fastest_free_slot_and_takes_a_slow_one_rather_than_wait():
    fast, slow = Behaviour(slots=1, speed=2.0), Behaviour(slots=1)
    assert ends([(0, 10), (1, 10), (5, 10)], slow, fast) == [5, 11, 10]


def test_ideal_queue_sends_nothing_to_who_fails():
    answers = ideal_queue.serve([Request(0, 100), Request(0, 100)], [Behaviour(slots=1, fail_us=1), Behaviour(slots=1)])
    assert [answer.latency_us for answer in answers] == [100, 200] and {answer.server for answer in answers} == {"1"}


def test_ideal_queue_counts_the_way_to_a_server_against_it_but_not_as_service():
    near, far = Behaviour(slots=1), Behaviour(slots=1, delay_us=100)
    assert ends([(0, 10), (0, 10), (10, 10), (10, 10)], near, far) == [10, 110, 20, 120]


def test_stall_holds_what_is_under_way_and_starts_nothing():
    # Awake from 0 to 80, then stalled until 100.
    stalling = Behaviour(slots=1, stall_us=20, stall_period_us=100)
    assert ends([(70, 30)], stalling) == [120]
    assert ends([(85, 10)], stalling) == [110]
    assert ends([(0, 80)], stalling) == [100]
    assert ends([(0, 250)], stalling) == [310]


def test_ideal_queue_avoids_a_server_while_it_stalls():
    stalling = Behaviour(slots=1, speed=2.0, stall_us=20, stall_period_us=100)
    assert ends([(85, 10), (100, 10)], stalling, Behaviour(slots=1)) == [95, 105]


def test_server_that_is_down_gets_nothing_and_then_warms_up():
    restarting = Behaviour(slots=1, restart_at_us=100, restart_us=50, warm_factor=3.0, warm_us=100)
    assert ends([(99, 1), (120, 10)], restarting) == [100, 180]
    assert ends([(200, 10)], restarting) == [220]
    assert ends([(250, 10)], restarting) == [260]


def test_one_server_waits_as_erlang_says():
    trace = arrivals.poisson("any", 2800, 1000, 60)
    answers = ideal_queue.serve(trace, [Behaviour()])
    wait = statistics.fmean(answer.latency_us - request.draw_us for request, answer in zip(trace, answers))
    assert wait == pytest.approx(balance_check.erlang_c_wait_us(4, 0.7, 1000), rel=0.05)


def test_erlang_of_one_slot_is_the_wait_of_a_single_queue():
    assert balance_check.erlang_c_wait_us(1, 0.5, 1000) == pytest.approx(1000)


def test_behaviour_is_written_without_what_is_as_by_default():
    assert PLAIN.words() == ""
    assert Behaviour(speed=0.2, delay_us=5).words() == "speed=0.2 delay_us=5"


def test_scenario_asks_for_its_share_of_what_all_servers_can_do():
    assert named("equal").rate_per_s == pytest.approx(3200)
    assert named("slow").rate_per_s == pytest.approx(0.6 * 9.2 * 400)
    assert named("distant").rate_per_s == pytest.approx(4000)
    assert statistics.fmean(server.speed for server in named("speeds").servers) == pytest.approx(1, rel=1e-3)


def test_more_servers_keep_the_rate_and_the_share_of_odd_ones():
    many = named("slow/100")
    assert (len(many.servers), many.rate_per_s) == (100, pytest.approx(named("slow").rate_per_s))
    assert len(many.odd) == 10 and all(many.servers[int(server)].speed == 0.2 for server in many.odd)


def test_few_servers_have_an_odd_one_among_them_and_take_no_longer():
    few = named("slow/3")
    assert few.odd == {"1"} and few.mean_us == named("slow").mean_us


def test_name_can_ask_for_workers():
    assert (named("equal/2w").workers, named("slow/30/2w").workers, named("slow/30/2w").count) == (2, 2, 30)


@pytest.mark.parametrize("name", ["fast", "equal/", "equal/0", "equal/2x", "equal/12345"])
def test_name_that_is_none_is_refused(name):
    with pytest.raises(KeyError):
        named(name)


def test_figures_leave_out_the_warm_up():
    some = scenario()
    trace, answers = [Request(0, 0), Request(2 * SECOND, 0)], [Answer(0, 9000, 200, "0"), Answer(2 * SECOND, 1000, 200, "0")]
    found = balance_figures.figures_of(some, trace, answers)
    assert (found["requests"], found["p99_ms"]) == (1, 1.0)


def test_excess_is_each_latency_without_its_own_draw():
    found = figures([(12_000, 10_000, 200, "0"), (5000, 1000, 200, "0")])
    assert (found["p99_ms"], found["excess_p99_ms"]) == (12.0, 4.0)


def test_errors_are_counted_and_their_latency_is_not():
    found = figures([(10_000, 0, 200, "0"), (99_000, 0, 500, "1"), (99_000, 0, 0, "timeout"), (10_000, 0, 200, "0")])
    assert (found["error_share"], found["p999_ms"]) == (0.5, 10.0)


def test_nothing_but_errors_has_no_latency():
    found = figures([(1, 0, 500, "1")])
    assert found["error_share"] == 1.0 and "p99_ms" not in found


def test_share_of_the_odd_server_is_measured_where_there_is_one():
    pairs = [(1, 0, 200, "1"), (1, 0, 200, "0"), (1, 0, 200, "0"), (1, 0, 200, "0")]
    assert figures(pairs)["odd_share"] == 0.25
    assert "odd_share" not in figures(pairs, has_odd=False)


def test_share_while_it_warms_up_is_of_that_time_alone():
    pairs = [(1, 0, 200, "1"), (1, 0, 200, "0"), (1, 0, 200, "0")]
    warming = Behaviour(restart_at_us=SECOND, restart_us=SECOND, warm_factor=4.0, warm_us=2)
    assert figures(pairs, pattern=(PLAIN, warming))["warming_share"] == 0.5
    assert "warming_share" not in figures(pairs)


def test_answers_that_are_too_few_are_no_result():
    with pytest.raises(ValueError):
        balance_figures.figures_of(scenario(), [Request(0, 1), Request(1, 1)], [Answer(0, 1, 200, "0")])


def test_every_target_names_a_scenario_a_metric_and_contenders_that_there_are():
    for each in balance_figures.TARGETS:
        assert named(each.case) and each.metric in balance_report.METRICS and each.contender in balance_contenders.NAMES
        assert all(rival in (*targets.PEERS, *balance_contenders.NAMES) for rival in each.against)


def test_every_contender_has_a_configuration_for_every_kind_of_retries(tmp_path):
    kinds = {balance_scenarios.named(name).retries for name in balance_scenarios.DEFAULT}
    for name in (*balance_contenders.NAMES, *balance_contenders.OTHERS):
        for retries in kinds:
            setup = balance_contenders.Setup(name.partition("/")[2], 8080, ("127.0.1.1:9000",), retries, 1)
            command = balance_contenders.command(name, setup, tmp_path / "steelyard", tmp_path)
            assert "127.0.1.1:9000" in (tmp_path / command[-1]).read_text()


def test_adaptive_is_judged_against_the_best_peer_and_least_connections_against_nginx():
    samples = [sample(ADAPTIVE, p99_ms=48.0), sample("steelyard/least_connections", p99_ms=50.0)]
    samples += [sample("nginx/least_conn", p99_ms=50.0), sample("nginx/random two", p99_ms=40.0), sample("haproxy/leastconn", p99_ms=64.0)]
    verdicts = {verdict.target.contender: verdict for verdict in balance_report.verdicts_of(samples)}
    adaptive, least = verdicts[ADAPTIVE], verdicts["steelyard/least_connections"]
    assert (adaptive.rival, adaptive.value, adaptive.passed) == ("nginx/random two", pytest.approx(1.2), False)
    assert (least.rival, least.value, least.passed) == ("nginx/least_conn", pytest.approx(1.0), True)


def test_no_errors_at_all_is_a_target_that_can_be_met_and_missed():
    for errors, word in ((0.0, "pass"), (0.001, "miss")):
        [verdict] = balance_report.verdicts_of([sample(ADAPTIVE, case="failing-retried", error_share=errors)])
        assert verdict.margin == word


def test_too_small_a_share_while_warming_up_is_a_miss():
    for share, passed in ((0.001, False), (0.003, True)):
        [verdict] = balance_report.verdicts_of([sample(ADAPTIVE, case="restart", warming_share=share)])
        assert verdict.passed == passed


def test_table_shows_medians_and_errors_only_where_there_were_some():
    samples = [sample("nginx/least_conn", number, p99_ms=p99) for number, p99 in enumerate((47.0, 90.0, 48.0))]
    assert balance_report.table_of(samples, "equal") == (["contender", "p99 ms"], [["nginx/least_conn", "48.0"]])
    samples.append(sample("ideal queue", case="failing", error_share=0.0, p99_ms=46.0))
    samples.append(sample("nginx/least_conn", case="failing", error_share=0.367))
    headings, lines = balance_report.table_of(samples, "failing")
    assert headings == ["contender", "p99 ms", "errors"]
    assert lines == [["ideal queue", "46.0", "0.00%"], ["nginx/least_conn", "–", "36.70%"]]


def test_page_has_machine_targets_and_a_table_for_each_scenario():
    samples = [sample(ADAPTIVE, case="slow/100", p99_ms=46.4, odd_share=0.004), sample(ADAPTIVE, case="distant", p99_ms=1.2)]
    page = balance_report.as_markdown(samples, {"CPU": "some"})
    assert "- CPU: some" in page
    assert "## One of ten is five times slower, 60 % load; 100 servers" in page
    assert "| steelyard/adaptive | 46.4 | 0.40% |" in page
    assert "| distant: p99 | steelyard/adaptive | – | ≤ 5 ms | 1.2 ms | pass by 76.0% |" in page
