// Fixed seeds through simulated worlds of packets, and the checks checked: the same seed gives the same run, deliberate faults are found.
#include <gtest/gtest.h>

#include "packet_crowd.hpp"
#include "packet_world.hpp"

namespace steelyard::sim {
namespace packet_sim_test {

std::string report(std::uint64_t seed, const PacketOutcome& outcome) {
  std::string text = fmt::format("steelyard_sim --packets --seed {} --trace\n", seed);
  for (const std::string& violation : outcome.violations) text += violation + "\n";
  return text + outcome.last_notes;
}

bool any_seed_fails(PacketCanary canary) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (!run_packet_world(seed, canary).violations.empty()) return true;
  }
  return false;
}

TEST(PacketSim, every_seed_keeps_the_invariants) {
  std::size_t packets = 0;
  std::size_t answered = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const PacketOutcome outcome = run_packet_world(seed);
    EXPECT_TRUE(outcome.violations.empty()) << report(seed, outcome);
    packets += outcome.packets;
    answered += outcome.answered;
  }
  // Worlds in which nothing is ever served would prove nothing.
  EXPECT_GT(packets, 5000U);
  EXPECT_GT(answered, packets / 3);
}

TEST(PacketSim, the_same_seed_gives_the_same_run) {
  for (const std::uint64_t seed : {3U, 77U}) {
    const PacketOutcome first = run_packet_world(seed);
    const PacketOutcome second = run_packet_world(seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash);
    EXPECT_EQ(first.steps, second.steps);
  }
  EXPECT_NE(run_packet_world(3).trace_hash, run_packet_world(4).trace_hash);
}

TEST(PacketSim, a_packet_at_a_server_that_did_not_promise_its_policy_is_found) { EXPECT_TRUE(any_seed_fails(PacketCanary::mislabel)); }
TEST(PacketSim, an_answer_to_another_packet_is_found) { EXPECT_TRUE(any_seed_fails(PacketCanary::swap_answers)); }
TEST(PacketSim, a_packet_that_reaches_two_servers_is_found) { EXPECT_TRUE(any_seed_fails(PacketCanary::reach_twice)); }
TEST(PacketSim, a_packet_without_a_line_in_the_log_is_found) { EXPECT_TRUE(any_seed_fails(PacketCanary::forget_line)); }
TEST(PacketSim, a_place_that_is_never_given_up_is_found) { EXPECT_TRUE(any_seed_fails(PacketCanary::keep_place)); }

// What a packet under way may hold of its worker's blocks: its session's and its try's frames, its bytes, both connections.
constexpr std::size_t bytes_each_max = 8 * 1024;

TEST(PacketCrowd, five_thousand_packets_at_servers_at_once_are_all_answered) {
  const CrowdOutcome outcome = run_packet_crowd(5000, UINT32_MAX);
  EXPECT_EQ(outcome.at_servers, 5000U);
  EXPECT_EQ(outcome.answered, 5000U);
  EXPECT_EQ(outcome.left, "");
  EXPECT_LT(outcome.pool_bytes, 5000 * bytes_each_max);
}

TEST(PacketCrowd, five_thousand_packets_of_which_most_are_queued_are_all_answered) {
  const CrowdOutcome outcome = run_packet_crowd(5000, 500);
  EXPECT_EQ(outcome.at_once, 5000U);
  EXPECT_EQ(outcome.at_servers, 500U);
  EXPECT_EQ(outcome.queued, 4500U);
  EXPECT_EQ(outcome.answered, 5000U);
  EXPECT_EQ(outcome.left, "");
  EXPECT_LT(outcome.pool_bytes, 5000 * bytes_each_max);
}

}  // namespace packet_sim_test
}  // namespace steelyard::sim
