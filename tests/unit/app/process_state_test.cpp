// What a process knows, there and back.
#include "app/process_state.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace process_state_test {

ProcessState everything() {
  Metrics metrics(1, Instant{5});
  WorkerMetrics& worker = metrics.worker(0);
  AccessRecord record;
  record.status = 404;
  record.request_bytes = 7;
  for (const Duration duration : {Duration{10us}, Duration{3ms}, Duration{90s}}) {
    record.duration = duration;
    worker.record(record);
  }
  worker.hit(Limit::queue_max);
  worker.exchanges_active.add(3);
  worker.tunnels.add(2);
  worker.policy_absent.add(3);
  worker.policy_ambiguous.add(4);
  worker.policy_unmet.add(5);
  ProcessState state{.start = metrics.start(), .metrics = metrics.snapshot(Instant{5}), .session_secret = "s\"ecret", .seed = UINT64_MAX};
  state.metrics.reloads = 4;
  ServerKnowledge server{.id = "a",
                         .address = *SocketAddress::parse("[::1]:80"),
                         .health = Health::unhealthy,
                         .holds = {{Hold::unhealthy, {"refused", 100}}, {Hold::ejected, {"five \xff in a row", 90}}},
                         .well = {"health check passed", 80},
                         .pause = ServerKnowledge::Pause{Instant{1}, Instant{2}, 3ns},
                         .ejections = 6,
                         .ejections_remembered = 2,
                         .ejection_ended = Instant{4},
                         .warm_since_ns = 9,
                         .estimate = {1.5F, 2.5F, true, 3.5F, 0.25F, Instant{11}},
                         .counts = {1, 2, 3, 4, 5, 6},
                         .active = 7,
                         .remote = LoadReport{8, UINT64_MAX, "run"}};
  state.pools.push_back({"app", {server}});
  state.limits.push_back({"per-client", {1, 2, 3, 4, 5, 6}});
  state.copied_limits = {{"per-client", "1 100 x", 4096}};
  state.used_tokens = {.ids = {{100, {token::Id{1, 2, 255}, token::Id{3}}}, {102, {token::Id{4}}}}, .forgotten_s = 99};
  state.registry = "{\"x\":1}";
  return state;
}

TEST(ProcessState, comes_back_as_it_was) {
  const ProcessState before = everything();
  const auto after = read_process_state(to_json(before));
  ASSERT_TRUE(after) << after.error();
  EXPECT_EQ(to_json(*after), to_json(before));
  EXPECT_EQ(after->start, Instant{5});
  EXPECT_EQ(after->session_secret, before.session_secret);
  EXPECT_EQ(after->seed, UINT64_MAX);
  EXPECT_EQ(after->used_tokens, before.used_tokens);
  ASSERT_EQ(after->copied_limits.size(), 1U);
  EXPECT_EQ(after->copied_limits[0].name, "per-client");
  EXPECT_EQ(after->copied_limits[0].meaning, "1 100 x");
  EXPECT_EQ(after->copied_limits[0].offset, 4096U);
  EXPECT_EQ(after->registry, before.registry);
  ASSERT_EQ(after->limits.size(), 1U);
  EXPECT_EQ(after->limits[0].name, "per-client");
  EXPECT_EQ(after->limits[0].counts.waited_us, 6U);
  EXPECT_EQ(after->metrics.requests, 3U);
  EXPECT_EQ(after->metrics.statuses, before.metrics.statuses);
  EXPECT_EQ(after->metrics.limits, before.metrics.limits);
  EXPECT_EQ(after->metrics.reloads, 4U);
  EXPECT_EQ(after->metrics.policy_absent, 3U);
  EXPECT_EQ(after->metrics.policy_ambiguous, 4U);
  EXPECT_EQ(after->metrics.policy_unmet, 5U);
  EXPECT_EQ(after->metrics.exchanges_active, 0) << "those are still under way over there";
  EXPECT_EQ(after->metrics.response_times.quantile(0.5), before.metrics.response_times.quantile(0.5));
  EXPECT_EQ(after->metrics.response_times.maximum(), 90s);
  EXPECT_EQ(after->metrics.response_times.average(), before.metrics.response_times.average());
  const ServerKnowledge& server = after->pools.at(0).servers.at(0);
  EXPECT_EQ(server.counts, (ServerCounts{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(server.active, 7U);
  EXPECT_EQ(server.remote, (LoadReport{8, UINT64_MAX, "run"}));
  ASSERT_EQ(server.holds.size(), 2U);
  EXPECT_EQ(server.holds[0].hold, Hold::unhealthy);
  EXPECT_EQ(server.holds[0].note.since_unix_s, 100);
  EXPECT_EQ(server.pause->length, 3ns);
}

TEST(ProcessState, of_a_process_that_has_done_nothing_comes_back_too) {
  const auto after = read_process_state(to_json({}));
  ASSERT_TRUE(after) << after.error();
  EXPECT_EQ(after->metrics.response_times.minimum(), 0ns);
  EXPECT_EQ(after->metrics.response_times.count(), 0U);
}

TEST(ProcessState, a_document_that_is_broken_off_or_of_another_shape_is_an_error) {
  const std::string whole = to_json(everything());
  for (std::size_t size = 0; size < whole.size(); size += 13) EXPECT_FALSE(read_process_state(whole.substr(0, size)));
  for (const char* text : {"[]", "null", "3", "{}", R"({"start":"x"})", R"({"metrics":[],"pools":{}})"}) {
    EXPECT_FALSE(read_process_state(text)) << text;
  }
}

TEST(ProcessState, keys_that_are_not_known_are_passed_over_and_missing_counters_are_0) {
  const auto read = read_process_state(R"({"later":[1],"metrics":{"requests":8,"later":1,"limits":{"later":2},"statuses":{"later":3},
      "response_times":{"buckets":[]}},"pools":{"app":[]}})");
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->metrics.requests, 8U);
  EXPECT_EQ(read->metrics.errors, 0U);
}

}  // namespace process_state_test
}  // namespace steelyard
