#include "load/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/line.hpp"

namespace steelyard::load {
namespace report_test {

using testing_support::at_ms;

Findings some_findings() {
  Findings findings;
  findings.url = "http://127.0.0.1:8080/a";
  findings.elapsed = 2s;
  ServerNames servers;
  const std::uint32_t one = servers.number_of("one");
  const std::uint32_t two = servers.number_of("two");
  for (int i = 1; i <= 900; ++i) {
    findings.tally.count({.status = 200, .server = i % 3 == 0 ? one : two, .body_bytes = 1024}, i * 10us, at_ms(1));
  }
  for (int i = 0; i < 90; ++i) findings.tally.count({.status = 503}, 2ms, at_ms(1));
  for (int i = 0; i < 9; ++i) findings.tally.count({.failure = Failure::timeout}, 30s, at_ms(1));
  findings.tally.count({.failure = Failure::refused}, 1ms, at_ms(1));
  findings.tally.name_servers(servers);
  findings.tally.connections_opened = 10;
  return findings;
}

TEST(Report, is_this_text) {
  EXPECT_EQ(to_text(some_findings()), R"(GET http://127.0.0.1:8080/a: closed loop, 10 connections

  requests            1,000   495.0 answers/s over 2.00 s
  succeeded             900   90.00 %
  bodies            900 KiB   450 KiB/s
  connections            10   opened

Answers and errors
  200                   900   90.00 %
  503                    90   9.00 %
  refused                 1   0.10 %
  timeout                 9   0.90 %

Latency of answers
  min       10.0 µs
  mean      4.28 ms
  p50       4.06 ms
  p90       8.01 ms
  p99       8.88 ms
  p99.9     9.00 ms
  max       9.00 ms

Histogram
   10.0 µs to 20.0 µs             1  █
   20.0 µs to 50.0 µs             3  █
   50.0 µs to 100 µs              5  █
    100 µs to 200 µs             10  █
    200 µs to 500 µs             30  ███
    500 µs to 1.00 ms            50  █████
   1.00 ms to 2.00 ms           100  ██████████
   2.00 ms to 5.00 ms           389  ███████████████████████████████████████
   5.00 ms to 10.0 ms           402  ████████████████████████████████████████

Servers, by X-Backend
  (not named)                        90   9.09 %
  one                               300   30.30 %
  two                               600   60.61 %
)");
}

TEST(Report, of_an_open_loop_says_so) {
  Findings findings = some_findings();
  findings.options.loop = Loop::open;
  findings.options.rate = 500;
  findings.options.connections = 1;
  findings.options.request.keep_alive = KeepAlive::off;
  findings.tally.queued = 30;
  for (int i = 0; i < 970; ++i) findings.tally.lateness.record(2us);
  findings.ended_early = true;
  const std::string text = to_text(findings);
  EXPECT_TRUE(text.starts_with(
      "GET http://127.0.0.1:8080/a: open loop, 500 requests/s, Poisson, up to 1 connection, each for one request; ended early\n"))
      << text;
  EXPECT_NE(text.find("from when each request was due"), std::string::npos);
  EXPECT_NE(text.find("3.00 % of the requests waited for a connection; the others were sent late by 2.00 µs (p50), 2.00 µs (p99)"),
            std::string::npos);
}

TEST(Report, without_any_answer_has_no_latency) {
  Findings findings;
  findings.tally.count({.failure = Failure::refused}, 1ms, at_ms(1));
  const std::string text = to_text(findings);
  EXPECT_EQ(text.find("Latency"), std::string::npos);
  EXPECT_EQ(text.find("Servers"), std::string::npos);
  EXPECT_NE(text.find("refused"), std::string::npos);
  EXPECT_TRUE(nlohmann::json::accept(to_json(findings)));
  EXPECT_TRUE(nlohmann::json::accept(to_json(Findings{})));
  EXPECT_FALSE(to_text(Findings{}).empty());
}

TEST(Report, of_many_servers_shows_the_busiest) {
  Findings findings;
  ServerNames servers;
  for (int i = 0; i < 50; ++i) {
    for (int j = 0; j <= i; ++j) findings.tally.count({.status = 200, .server = servers.number_of("s" + std::to_string(i))}, 1ms, at_ms(1));
  }
  findings.tally.name_servers(servers);
  const std::string text = to_text(findings);
  EXPECT_NE(text.find("  s49 "), std::string::npos);
  EXPECT_EQ(text.find("  s0 "), std::string::npos);
  EXPECT_NE(text.find("and 30 more"), std::string::npos);
}

TEST(Report, as_json_has_the_same_numbers) {
  const auto json = nlohmann::json::parse(to_json(some_findings()));
  EXPECT_EQ(json["total_requests"], 1000);
  EXPECT_EQ(json["successful_requests"], 900);
  EXPECT_EQ(json["total_errors"], 100);
  EXPECT_EQ(json["error_rate"], 10);
  EXPECT_EQ(json["requests_per_second"], 495);
  EXPECT_EQ(json["bytes_per_second"], 900 * 1024 / 2);
  EXPECT_EQ(json["status_codes"], (nlohmann::json{{"200", 900}, {"503", 90}}));
  EXPECT_EQ(json["failures"]["timeout"], 9);
  EXPECT_EQ(json["failures"]["refused"], 1);
  EXPECT_EQ(json["failures"]["reset"], 0);
  EXPECT_EQ(json["response_times"]["maximum"], 9);
  EXPECT_NEAR(json["response_times"]["p50"].get<double>(), 4.05, 0.04);
  EXPECT_EQ(json["servers"]["one"]["requests"], 300);
  EXPECT_NEAR(json["servers"]["two"]["share"].get<double>(), 60.6, 0.1);
  std::uint64_t counted = 0;
  for (const auto& row : json["histogram"]) counted += row["requests"].get<std::uint64_t>();
  EXPECT_EQ(counted, 990U);
}

TEST(Report, as_json_survives_a_server_that_names_itself_in_no_utf8) {
  Findings findings;
  ServerNames servers;
  findings.tally.count({.status = 200, .server = servers.number_of("caf\xe9")}, 1ms, at_ms(1));
  findings.tally.name_servers(servers);
  EXPECT_TRUE(nlohmann::json::accept(to_json(findings)));
}

}  // namespace report_test
}  // namespace steelyard::load
