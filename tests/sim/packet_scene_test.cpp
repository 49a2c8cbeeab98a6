// Scenarios of packets in simulated time, between one client and servers that do what a test says.
#include "scene.hpp"

namespace steelyard::sim {
namespace packet_scene_test {

constexpr std::string_view packet = R"({"type": "0", "srcid": "1", "privPoliId": "gold", "payload": "x"})";
constexpr std::string_view ack = R"({"type": "2", "payload": "ok"})";

std::string large_packet(std::size_t bytes) {
  return R"({"type": "0", "srcid": "1", "privPoliId": "gold", "payload": ")" + std::string(bytes, 'x') + "\"}";
}

class PacketScene : public Scene {
 protected:
  PacketScene() {
    settings.packets = PacketOptions{.pool = "pool", .says_why = true};
    settings.pool.policy.emplace().label = "tier";
    promise({"gold", "gold"});
  }
  // What each server's label says.
  void promise(const std::vector<std::string>& values) {
    settings.servers = values.size();
    settings.traits.clear();
    for (const std::string& value : values) settings.traits.push_back({.labels = {{"tier", value}}});
  }
  void open_all(const std::function<void(Talker& talker)>& react) {
    open();
    for (const auto& server : servers) server->react = react;
  }
  std::size_t connections() const {
    std::size_t count = 0;
    for (const auto& server : servers) count += server->talkers.size();
    return count;
  }
};

TEST_F(PacketScene, a_server_answers_over_a_connection_of_its_own_or_a_kept_one) {
  settings.packets->keeps_servers = true;
  promise({"gold"});
  open_all([](Talker& talker) { talker.say(std::string(ack)); });
  EXPECT_EQ(ask(packet), ack);
  EXPECT_EQ(ask(packet), ack);
  EXPECT_EQ(connections(), 1U);
}

TEST_F(PacketScene, an_answer_that_is_too_large_is_refused_however_it_arrives) {
  settings.packets->bytes_max = 1000;
  const std::string large = large_packet(1000);
  open_all([&](Talker& talker) { talker.say(large); });
  EXPECT_TRUE(ask(packet).starts_with(R"({"status": 502,)"));
  for (const auto& server : servers) {
    server->react = [&](Talker& talker) {
      talker.say(large.substr(0, 500));
      talker.say(large.substr(500), 10ms);
    };
  }
  EXPECT_TRUE(ask(packet).starts_with(R"({"status": 502,)"));
}

TEST_F(PacketScene, a_connection_over_which_an_answer_came_early_is_not_kept) {
  settings.packets->keeps_servers = true;
  promise({"gold"});
  net.faults.window_min = net.faults.window_max = 500;
  open_all([](Talker& talker) {
    if (talker.heard.size() <= 500) talker.say(std::string(ack));
  });
  EXPECT_EQ(ask(large_packet(2000)), ack);
  EXPECT_EQ(ask(packet), ack);
  EXPECT_EQ(connections(), 2U);
}

TEST_F(PacketScene, what_a_server_says_of_a_packet_that_it_does_not_read_to_its_end_is_its_answer) {
  promise({"gold"});
  net.faults.window_min = net.faults.window_max = 500;
  settings.timeouts.body_idle = 500ms;
  open_all([](Talker& talker) {
    talker.stop_reading();
    talker.say(R"({"error": "no"})");
  });
  EXPECT_EQ(ask(large_packet(2000)), R"({"error": "no"})");
}

TEST_F(PacketScene, labels_that_change_while_a_server_is_connected_to_cost_no_retry) {
  settings.pool.retries.tries_max = 1;
  net.faults.latency_max = 20ms;
  open_all([](Talker& talker) { talker.say(std::string(ack)); });
  Talker& one = client(packet);
  while (proxy->metrics().exchanges_active.value() == 0) net.step();
  promise({"gold,iron", "gold,iron"});
  proxy->reload(settings, Algorithm::round_robin, {1, 1});
  run_for(1s);
  EXPECT_EQ(one.heard, ack);
  EXPECT_EQ(proxy->metrics().failovers.value(), 0U);
}

TEST_F(PacketScene, a_server_whose_labels_change_after_it_had_the_packet_counts_as_a_try) {
  settings.pool.retries.tries_max = 1;
  settings.packets->keeps_servers = settings.packets->repeat_any = true;
  int asked = 0;
  bool breaks = false;
  open_all([&](Talker& talker) {
    ++asked;
    if (!breaks) return talker.say(std::string(ack));
    promise(asked % 2 == 0 ? std::vector<std::string>{"gold,iron", "gold,iron"} : std::vector<std::string>{"gold", "gold"});
    proxy->reload(settings, Algorithm::round_robin, {1, 1});
    talker.cut();
  });
  EXPECT_EQ(ask(packet), ack);
  EXPECT_EQ(ask(packet), ack);
  breaks = true;
  asked = 1;
  EXPECT_TRUE(ask(packet).starts_with(R"({"status": 503,)"));
  EXPECT_EQ(asked, 2);
}

TEST_F(PacketScene, a_client_that_goes_away_is_no_failure_of_its_server) {
  settings.packets->repeat_any = true;
  net.faults.window_min = net.faults.window_max = 500;
  open_all([](Talker& talker) { talker.stop_reading(); });
  Talker& one = client(large_packet(2000));
  run_for(1s);
  EXPECT_EQ(proxy->metrics().exchanges_active.value(), 1);
  one.cut();
  run_for(1s);
  EXPECT_EQ(proxy->metrics().exchanges_active.value(), 0);
  EXPECT_EQ(proxy->metrics().failovers.value(), 0U);
  EXPECT_EQ(proxy->metrics_of(0).failures.value() + proxy->metrics_of(1).failures.value(), 0U);
}

}  // namespace packet_scene_test
}  // namespace steelyard::sim
