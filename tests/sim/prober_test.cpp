// When servers are checked, and what becomes of the answers: spread, jitter, thresholds, drain, traffic that waits, the bound on
// checks under way. In simulated time, over a network without latency.
#include <algorithm>

#include "observe/message.hpp"
#include "scene.hpp"

namespace steelyard::sim {
namespace prober_test {

using steelyard::Health;

constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view failing = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view busy = "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n";

std::function<void(Talker&)> answer(std::string_view text) {
  return [text](Talker& talker) { talker.say(std::string(text)); };
}

class Probes : public testing::Test {
 protected:
  struct Report {
    std::string server;
    Health health;
    bool draining;
    std::string reason;
    Instant at;
  };

  Probes() {
    configure_messages({.access = "off", .level = LogLevel::error});
    net.faults.latency_max = Duration{0};
  }
  ~Probes() override { stop(); }

  void open(std::size_t count) {
    PoolOptions described;
    described.name = "pool";
    described.health = options;
    std::vector<SocketAddress> addresses;
    for (std::size_t i = 0; i < count; ++i) {
      servers.push_back(std::make_unique<StageServer>(net, i));
      addresses.push_back(server_address(i));
      described.servers.emplace_back();
      described.servers.back().id = described.servers.back().host = addresses.back().to_string();
    }
    pool.emplace(std::move(described), addresses, 0);
    prober.emplace(connector, *pool, 7, [this](Server& server, const CheckReport& report) {
      reports.push_back({server.id, report.health, report.draining, report.reason, net.now()});
      if (on_report) on_report();
    });
    begun = net.now();
    prober->start();
  }
  void stop() {
    if (!prober) return;
    prober->stop();
    while (net.scheduler().has_ready()) net.scheduler().run_ready();
    EXPECT_FALSE(prober->running());
    EXPECT_EQ(net.streams_alive, 0);
    prober.reset();
  }
  // Makes room for another pool. The servers are kept: the network may still have something to tell them.
  void retire() {
    stop();
    for (auto& server : servers) {
      server->shut();
      retired.push_back(std::move(server));
    }
    servers.clear();
    reports.clear();
  }
  void run_for(Duration time) { net.run_for(time); }
  // Until the first server was checked so many more times, and the last answer was heard.
  void run_checks(std::size_t count) {
    const std::size_t goal = servers[0]->connected_at.size() + count;
    while (servers[0]->connected_at.size() < goal) net.step();
    run_for(10ms);
  }
  // Of all servers, in order.
  [[nodiscard]] std::vector<Instant> all_checks() const {
    std::vector<Instant> all;
    for (const auto& server : servers) all.insert(all.end(), server->connected_at.begin(), server->connected_at.end());
    std::ranges::sort(all);
    return all;
  }
  // The most that begin within `window`.
  [[nodiscard]] std::size_t densest(Duration window) const {
    const auto all = all_checks();
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; last < all.size(); ++last) {
      while (all[last] - all[first] >= window) ++first;
      most = std::max(most, last - first + 1);
    }
    return most;
  }
  // Between two checks of the same server.
  [[nodiscard]] std::pair<Duration, Duration> shortest_and_longest_gap() const {
    std::pair<Duration, Duration> gaps{1h, 0s};
    for (const auto& server : servers) {
      const auto& at = server->connected_at;
      for (std::size_t i = 1; i < at.size(); ++i) {
        gaps = {std::min(gaps.first, at[i] - at[i - 1]), std::max(gaps.second, at[i] - at[i - 1])};
      }
    }
    return gaps;
  }

  SimNet net{1, SimNet::Trace::off};
  SimConnector connector{net, {IpAddress::v4(0x0a010002U), 50'000}};
  HealthOptions options;
  std::deque<std::unique_ptr<StageServer>> servers;
  std::deque<std::unique_ptr<StageServer>> retired;
  std::optional<Pool> pool;
  std::optional<Prober> prober;
  std::vector<Report> reports;
  std::function<void()> on_report;
  Instant begun;
};

TEST_F(Probes, a_first_check_that_passes_is_reported_at_once_and_nothing_while_it_stays_so) {
  options.rise = 5;
  open(2);
  run_for(20ms);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].health, Health::healthy);
  EXPECT_FALSE(reports[0].draining);
  EXPECT_EQ(reports[0].reason, "health check passed");
  run_for(100s);
  EXPECT_EQ(reports.size(), 2U);
}

TEST_F(Probes, fall_and_rise_are_exact) {
  for (std::uint32_t limit = 1; limit <= 4; ++limit) {
    options.fall = limit;
    options.rise = 5 - limit;
    open(1);
    run_for(20ms);
    ASSERT_EQ(reports.size(), 1U);
    servers[0]->react = answer(failing);
    run_checks(limit - 1);
    EXPECT_EQ(reports.size(), 1U) << limit;
    run_checks(1);
    ASSERT_EQ(reports.size(), 2U) << limit;
    EXPECT_EQ(reports[1].health, Health::unhealthy);
    EXPECT_EQ(reports[1].reason, "answered 500 to GET /health, not 200");
    servers[0]->react = answer(ok);
    run_checks(4 - limit);
    EXPECT_EQ(reports.size(), 2U) << limit;
    run_checks(1);
    ASSERT_EQ(reports.size(), 3U) << limit;
    EXPECT_EQ(reports[2].health, Health::healthy);
    retire();
  }
}

TEST_F(Probes, one_success_begins_the_count_of_failures_again) {
  options.fall = 3;
  open(1);
  for (int i = 0; i < 5; ++i) {
    servers[0]->react = answer(failing);
    run_checks(2);
    servers[0]->react = answer(ok);
    run_checks(1);
  }
  EXPECT_TRUE(std::ranges::none_of(reports, [](const Report& report) { return report.health == Health::unhealthy; }));
}

TEST_F(Probes, a_server_that_never_passed_is_unhealthy_after_fall_failures) {
  options.fall = 2;
  open(1);
  servers[0]->react = answer(failing);
  run_checks(1);
  EXPECT_TRUE(reports.empty());
  run_checks(1);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].health, Health::unhealthy);
}

TEST_F(Probes, before_traffic_one_failure_is_told_at_once_and_one_success_is_enough) {
  options.before_traffic = true;
  options.fall = 3;
  options.rise = 3;
  open(2);
  servers[1]->react = answer(failing);
  run_for(10ms);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].health, Health::healthy);
  EXPECT_EQ(reports[1].health, Health::unhealthy);
  EXPECT_EQ(reports[1].reason, "answered 500 to GET /health, not 200");
  servers[1]->react = answer(ok);
  run_for(12s);  // it was known as unhealthy, so now it takes rise
  EXPECT_EQ(reports.size(), 2U);
  run_for(6s);
  ASSERT_EQ(reports.size(), 3U);
  EXPECT_EQ(reports[2].health, Health::healthy);
}

TEST_F(Probes, a_drain_is_reported_at_once_and_so_is_its_end) {
  options.drain_on = {{429, 429}};
  options.fall = options.rise = 3;
  open(1);
  run_checks(1);
  servers[0]->react = answer(busy);
  run_checks(3);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[1].health, Health::healthy);
  EXPECT_TRUE(reports[1].draining);
  EXPECT_EQ(reports[1].reason, "answered 429 to GET /health");
  servers[0]->react = answer(ok);
  run_checks(3);
  ASSERT_EQ(reports.size(), 3U);
  EXPECT_EQ(reports[2].health, Health::healthy);
  EXPECT_FALSE(reports[2].draining);
}

TEST_F(Probes, a_drain_counts_as_a_success_and_a_failure_does_not_end_it) {
  options.drain_on = {{429, 429}};
  options.fall = 2;
  options.rise = 2;
  open(1);
  servers[0]->react = answer(busy);
  run_checks(1);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_TRUE(reports[0].draining);
  servers[0]->react = answer(failing);
  run_checks(2);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[1].health, Health::unhealthy);
  EXPECT_TRUE(reports[1].draining);
  servers[0]->react = answer(busy);
  run_checks(2);
  ASSERT_EQ(reports.size(), 3U);
  EXPECT_EQ(reports[2].health, Health::healthy);
  EXPECT_TRUE(reports[2].draining);
}

TEST_F(Probes, a_process_without_descriptors_learns_nothing_of_servers) {
  open(2);
  servers[1]->react = answer(failing);
  run_for(50ms);
  ASSERT_EQ(reports.size(), 2U);
  net.faults.exhausted = 1;
  run_for(60s);
  EXPECT_EQ(reports.size(), 2U);
  net.faults.exhausted = 0;
  servers[0]->shut();
  servers[1]->react = answer(ok);
  run_for(6s);
  EXPECT_EQ(reports.size(), 4U);
}

TEST_F(Probes, by_tcp_a_server_that_accepts_is_healthy_without_a_word) {
  options.kind = CheckKind::tcp;
  open(2);
  servers[1]->shut();
  run_for(20s);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].health, Health::healthy);
  EXPECT_EQ(reports[0].reason, "connection accepted");
  EXPECT_EQ(reports[1].health, Health::unhealthy);
  EXPECT_EQ(reports[1].reason, "connection refused");
  for (const auto& talker : servers[0]->talkers) EXPECT_EQ(talker->heard, "");
}

TEST_F(Probes, answers_in_pieces_with_interim_ones_before_are_understood) {
  options.body = "ready";
  open(1);
  servers[0]->react = [](Talker& talker) {
    const std::string_view text =
        "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n";
    for (const char byte : text) talker.say({byte}, 15ms);
  };
  run_for(1300ms);
  EXPECT_TRUE(reports.empty());
  run_for(400ms);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].health, Health::healthy);
}

// However a server keeps a check from its end, the timeout ends it, counted from its beginning.
TEST_F(Probes, the_timeout_is_one_for_the_whole_check) {
  options.timeout = 2s;
  options.body = "ready";
  struct Case {
    std::function<void(Talker&)> react;
    double hang;
    std::string_view reason;
  };
  const auto drip = [](std::string_view begin, std::string_view again) {
    return [begin, again](Talker& talker) {
      talker.say(std::string(begin), 1s);
      for (int i = 0; i < 100; ++i) talker.say(std::string(again), 50ms);
    };
  };
  const Case cases[] = {
      {[](Talker&) {}, 1, "no connection within 2000 ms"},
      {[](Talker&) {}, 0, "no answer within 2000 ms"},
      {drip("HTTP/1.1 200 OK\r\n", "A: b\r\n"), 0, "head of the answer not complete within 2000 ms"},
      {drip("", "HTTP/1.1 102 Processing\r\n\r\n"), 0, "head of the answer not complete within 2000 ms"},
      {drip("HTTP/1.1 200 OK\r\n\r\n", "x"), 0, "body of the answer not complete within 2000 ms"},
      {drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), 0, "body of the answer not complete within 2000 ms"},
  };
  for (const Case& each : cases) {
    net.faults.hang = each.hang;
    open(1);
    servers[0]->react = each.react;
    run_for(1990ms);
    EXPECT_TRUE(reports.empty()) << each.reason;
    run_for(20ms);
    ASSERT_EQ(reports.size(), 1U) << each.reason;
    EXPECT_EQ(reports[0].reason, each.reason);
    EXPECT_EQ(net.streams_alive, 0);
    retire();
  }
}

TEST_F(Probes, a_check_that_takes_longer_than_the_interval_does_not_overlap_the_next) {
  options.interval = 1s;
  options.timeout = 3s;
  open(1);
  servers[0]->react = [](Talker&) {};
  for (int i = 0; i < 3000; ++i) {
    run_for(10ms);
    EXPECT_LE(net.streams_alive, 1);
  }
  EXPECT_GE(servers[0]->connected_at.size(), 10U);
  EXPECT_GE(shortest_and_longest_gap().first, 3s);
}

TEST_F(Probes, the_jitter_is_the_one_configured) {
  for (const double jitter : {0.0, 0.1, 0.5}) {
    options.jitter = jitter;
    options.interval = 5s;
    open(3);
    run_for(1000s);
    const auto [shortest, longest] = shortest_and_longest_gap();
    const Duration either_way = Duration(static_cast<std::int64_t>(jitter * 5e9));
    EXPECT_GE(shortest, 5s - either_way - 5ms) << jitter;  // the first gap of a server begins beside the grid
    EXPECT_LE(longest, 5s + either_way + 2ms) << jitter;   // and a timer may be a millisecond late
    EXPECT_GE(longest - shortest, either_way * 3 / 2) << jitter;
    retire();
  }
}

TEST_F(Probes, the_interval_counts_from_beginning_to_beginning) {
  options.jitter = 0;
  options.interval = 5s;
  open(1);
  servers[0]->react = [](Talker& talker) { talker.say(std::string(ok), 1500ms); };
  run_for(100s);
  EXPECT_LE(shortest_and_longest_gap().second, 5002ms);
}

TEST_F(Probes, a_small_pool_is_known_practically_at_once) {
  options.interval = 60s;
  open(10);
  run_for(60ms);
  EXPECT_EQ(reports.size(), 10U);
}

TEST_F(Probes, a_short_interval_is_kept_as_exactly) {
  options.interval = 25ms;
  open(1);
  run_for(10s);
  EXPECT_GE(servers[0]->connected_at.size(), 380U);
  EXPECT_GE(shortest_and_longest_gap().first, 22ms);
  EXPECT_LE(shortest_and_longest_gap().second, 29ms);
}

TEST_F(Probes, a_large_pool_is_spread_over_the_interval) {
  options.interval = 5s;
  open(1000);
  run_for(5010ms);
  EXPECT_EQ(reports.size(), 1000U);
  EXPECT_GE(reports.back().at - begun, 4900ms);
  run_for(60s);
  EXPECT_LE(densest(10ms), 15U);   // of 2 on average
  EXPECT_LE(densest(100ms), 50U);  // of 20
  EXPECT_GE(all_checks().size(), 12'000U);
}

TEST_F(Probes, many_servers_at_a_short_interval_do_not_burst_either) {
  options.interval = 1s;
  open(1000);
  run_for(30s);
  EXPECT_LE(densest(10ms), 35U);    // of 10 on average
  EXPECT_LE(densest(100ms), 200U);  // of 100
}

TEST_F(Probes, before_traffic_a_large_pool_is_known_soon_but_not_in_one_turn) {
  options.before_traffic = true;
  options.interval = 5s;
  open(1000);
  run_for(520ms);
  EXPECT_EQ(reports.size(), 1000U);
  EXPECT_LE(densest(10ms), 25U);
}

// Connects that nobody answers: each check takes its whole timeout.
TEST_F(Probes, only_so_many_are_under_way_and_the_others_wait_for_their_turn) {
  options.interval = 1s;
  options.timeout = 2s;
  net.faults.hang = 1;
  open(1000);
  int most = 0;
  for (int i = 0; i < 1200; ++i) {
    run_for(10ms);
    most = std::max(most, net.streams_alive);
  }
  EXPECT_EQ(most, static_cast<int>(Prober::checks_under_way_max));
  // Everybody's turn has come once within 1000 / 256 × 2 s, and a second time for some.
  EXPECT_EQ(reports.size(), 1000U);
  EXPECT_TRUE(std::ranges::all_of(reports, [](const Report& report) { return report.health == Health::unhealthy; }));
  // When they answer again they are all found within a round.
  net.faults.hang = 0;
  run_for(12s);
  EXPECT_EQ(reports.size(), 2000U);
  most = 0;
  for (int i = 0; i < 500; ++i) {
    run_for(10ms);
    most = std::max(most, net.streams_alive);
  }
  EXPECT_LT(most, static_cast<int>(Prober::checks_under_way_max));
}

TEST_F(Probes, stop_ends_checks_under_way_those_that_wait_and_those_that_are_due_later) {
  options.interval = 1s;
  net.faults.hang = 1;
  open(600);
  run_for(900ms);
  EXPECT_EQ(net.streams_alive, static_cast<int>(Prober::checks_under_way_max));
  stop();
  run_for(100s);
  EXPECT_TRUE(reports.empty());
}

// The first report comes when the first check has given its turn to one that waited, which has not begun by then.
TEST_F(Probes, stop_ends_a_check_that_was_just_given_its_turn) {
  options.interval = 1s;
  options.timeout = 1s;
  net.faults.hang = 1;
  on_report = [this] { prober->stop(); };
  open(600);
  run_for(100s);
  EXPECT_EQ(reports.size(), 1U);
  EXPECT_FALSE(prober->running());
}

TEST_F(Probes, a_pool_without_servers_has_nothing_to_check) {
  open(0);
  EXPECT_FALSE(prober->running());
}

}  // namespace prober_test
}  // namespace steelyard::sim
