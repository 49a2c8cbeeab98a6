// Fixed seeds through simulated worlds, and the checks checked: the same seed gives the same run, deliberate faults are found.
#include <gtest/gtest.h>

#include "world.hpp"

namespace steelyard::sim {
namespace sim_test {

std::string report(std::uint64_t seed, const RunOutcome& outcome) {
  std::string text = fmt::format("steelyard_sim --seed {} --trace\n", seed);
  for (const std::string& violation : outcome.violations) text += violation + "\n";
  return text + outcome.last_notes;
}

bool any_seed_fails(Canary canary) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (!run_world(seed, canary).violations.empty()) return true;
  }
  return false;
}

TEST(Sim, every_seed_keeps_the_invariants) {
  std::size_t requests = 0;
  std::size_t answered = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const RunOutcome outcome = run_world(seed);
    EXPECT_TRUE(outcome.violations.empty()) << report(seed, outcome);
    requests += outcome.requests;
    answered += outcome.answered_by_server;
  }
  // Worlds in which nothing is ever served would prove nothing.
  EXPECT_GT(requests, 5000U);
  EXPECT_GT(answered, requests / 3);
}

TEST(Sim, the_same_seed_gives_the_same_run) {
  for (const std::uint64_t seed : {3U, 77U}) {
    const RunOutcome first = run_world(seed);
    const RunOutcome second = run_world(seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash);
    EXPECT_EQ(first.steps, second.steps);
  }
  EXPECT_NE(run_world(3).trace_hash, run_world(4).trace_hash);
}

TEST(Sim, bodies_of_other_exchanges_are_found) { EXPECT_TRUE(any_seed_fails(Canary::swap_bodies)); }
TEST(Sim, a_post_that_is_acted_on_twice_is_found) { EXPECT_TRUE(any_seed_fails(Canary::repeat_posts)); }
TEST(Sim, a_body_that_only_looks_complete_is_found) { EXPECT_TRUE(any_seed_fails(Canary::short_until_close)); }
TEST(Sim, a_request_at_a_server_that_did_not_promise_what_it_demands_is_found) { EXPECT_TRUE(any_seed_fails(Canary::mislabel)); }

}  // namespace sim_test
}  // namespace steelyard::sim
