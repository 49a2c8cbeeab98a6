// What becomes of servers and of connections to them: reuse, eviction, retries, failover, turns, health checks.
#include "scene.hpp"

namespace steelyard::sim {
namespace upstream_test {

using Upstream = Scene;

TEST_F(Upstream, kept_connections_are_closed_after_idle_timeout) {
  settings.pool.keepalive.idle_timeout = 55s;
  settings.servers = 1;
  open();
  ask(get);
  ask(get);  // begins the time anew
  Talker& kept = *servers[0]->talkers.front();
  EXPECT_EQ(servers[0]->talkers.size(), 1U);
  run_for(53900ms);
  EXPECT_TRUE(kept.open());
  run_for(1200ms);  // swept once a second
  EXPECT_FALSE(kept.open());
  EXPECT_EQ(proxy->metrics().server_connections_idle.value(), 0);
}

TEST_F(Upstream, a_response_in_pieces_leaves_its_connection_for_the_next) {
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) {
    talker.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab");
    talker.say("cd", 10ms);
    talker.say("ef", 10ms);
  };
  EXPECT_TRUE(ask(get).ends_with("abcdef"));
  EXPECT_TRUE(ask(get).ends_with("abcdef"));
  EXPECT_EQ(servers[0]->talkers.size(), 1U);
}

TEST_F(Upstream, a_server_that_says_something_unasked_loses_its_connection) {
  settings.servers = 1;
  open();
  ask(get);
  servers[0]->talkers.front()->say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
  EXPECT_TRUE(ask(get).ends_with("ok"));
  EXPECT_EQ(servers[0]->talkers.size(), 2U);
}

class Stale : public Scene {
 protected:
  // The second request on a connection finds it closed.
  void open_with_stale_connection() {
    settings.servers = 2;
    open();
    for (const auto& server : servers) {
      server->react = [](Talker& talker) {
        if (talker.heard.find("HTTP/1.1") != talker.heard.rfind("HTTP/1.1")) return talker.cut();
        talker.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      };
    }
    ask(get);
    ask(get);
  }
};

TEST_F(Stale, get_is_sent_once_more_to_the_same_server) {
  open_with_stale_connection();
  EXPECT_TRUE(answers(ask(get), 200));
  EXPECT_EQ(servers[0]->requests, 3);
  EXPECT_EQ(servers[1]->requests, 1);
  EXPECT_EQ(proxy->metrics().retries.value(), 1U);
  EXPECT_EQ(proxy->metrics().failovers.value(), 0U);
}

TEST_F(Stale, post_is_not) {
  open_with_stale_connection();
  EXPECT_TRUE(answers(ask(post), 502));
  EXPECT_EQ(servers[0]->requests, 2);
  EXPECT_EQ(servers[1]->requests, 1);
  EXPECT_EQ(proxy->metrics().retries.value(), 0U);
}

TEST_F(Upstream, other_servers_are_tried_until_one_takes_the_request) {
  settings.servers = 3;
  settings.pool.retries.tries_max = 3;
  settings.pool.keepalive.idle_connections_max = 0;
  open();
  servers[0]->shut();
  servers[1]->shut();
  EXPECT_TRUE(answers(ask(post), 200));  // nobody had seen it before, so a POST may go on, too
  EXPECT_EQ(servers[2]->requests, 1);
  EXPECT_GE(proxy->metrics().failovers.value(), 1U);
  EXPECT_LE(proxy->metrics().failovers.value(), 2U);
  servers[2]->shut();
  EXPECT_TRUE(answers(ask(get), 502));
  EXPECT_LE(proxy->metrics().failovers.value(), 4U);
}

TEST_F(Upstream, a_get_that_a_server_breaks_off_goes_to_another_and_a_post_does_not) {
  open();
  servers[0]->react = [](Talker& talker) { talker.cut(); };
  EXPECT_TRUE(answers(ask(get), 200));
  EXPECT_EQ(servers[1]->requests, 1);
  EXPECT_TRUE(answers(ask(get), 200));
  EXPECT_TRUE(answers(ask(post), 502));
  EXPECT_EQ(servers[1]->requests, 2);
}

TEST_F(Upstream, equal_servers_strictly_take_turns) {
  open();
  for (int i = 1; i <= 20; ++i) {
    ask(get);
    EXPECT_EQ(servers[0]->requests, (i + 1) / 2);
    EXPECT_EQ(servers[1]->requests, i / 2);
  }
}

TEST_F(Upstream, heavier_servers_have_more_turns_evenly_spread) {
  settings.weights = {3, 1};
  open();
  std::string turns;
  for (int i = 0; i < 16; ++i) {
    const int before = servers[1]->requests;
    ask(get);
    turns += servers[1]->requests == before ? 'a' : 'b';
  }
  for (std::size_t at = 0; at + 4 <= turns.size(); ++at) EXPECT_EQ(std::ranges::count(turns.substr(at, 4), 'b'), 1) << turns;
}

TEST_F(Upstream, a_server_that_resets_within_an_upload_is_told_as_502) {
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) { talker.cut(); };
  Talker& talker = client(long_post);
  run_for(1s);
  EXPECT_TRUE(answers(talker, 502)) << talker.heard;
}

TEST_F(Upstream, a_client_that_ends_within_its_body_while_a_server_is_connected_to_is_told_so) {
  settings.servers = 1;
  open();
  net.faults.latency_max = 100ms;
  servers[0]->react = [](Talker&) {};
  Talker& talker = client(long_post);
  while (proxy->metrics().server_connections.value() == 0) net.step();
  talker.end();
  run_for(2s);
  EXPECT_TRUE(answers(talker, 400)) << talker.heard;
  EXPECT_EQ(proxy->what_is_left(), "");
}

TEST_F(Upstream, an_interim_response_reaches_a_client_that_was_slow_to_read) {
  settings.servers = 1;
  net.faults.window_min = net.faults.window_max = 20;
  open();
  servers[0]->react = [](Talker& talker) {
    if (talker.heard.ends_with("\r\n\r\n")) talker.say("HTTP/1.1 100 Continue\r\n\r\n");
    if (talker.heard.ends_with("ab")) talker.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  };
  Talker& talker = client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  run_for(1s);
  EXPECT_EQ(talker.heard, "HTTP/1.1 100 Continue\r\n\r\n");
  talker.say("ab");
  run_for(1s);
  EXPECT_NE(talker.heard.find("HTTP/1.1 200"), std::string::npos);
}

using Limits = Scene;

TEST_F(Limits, connections_over_the_limit_are_told_so) {
  settings.connections.connections_max = 2;
  open();
  Talker& first = client();
  Talker& second = client();
  run_for(1s);
  EXPECT_TRUE(answers(ask(get), 503));
  EXPECT_EQ(servers[0]->requests + servers[1]->requests, 0);
  EXPECT_EQ(proxy->hits(Limit::connections), 1U);
  first.say(std::string(get));
  run_for(1s);
  EXPECT_TRUE(answers(first, 200));
  second.close();
  run_for(2s);
  EXPECT_TRUE(answers(ask(get), 200));
}

TEST_F(Limits, a_body_that_grows_too_large_is_told_so_however_it_comes) {
  settings.http.body_bytes_max = 5;
  open();
  servers[0]->react = servers[1]->react = [](Talker&) {};
  EXPECT_TRUE(answers(ask(long_post), 413));
  Talker& talker = client("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  talker.say("3\r\ndef\r\n", 1s);
  run_for(3s);
  EXPECT_TRUE(answers(talker, 413));
  EXPECT_FALSE(talker.open());
  EXPECT_EQ(proxy->hits(Limit::body_bytes), 2U);
}

class Health : public Scene {
 protected:
  void open_with_checks(HealthOptions options) {
    settings.pool.health = options;
    settings.servers = 1;
    open();
    proxy->start_probes(7);
  }
  void TearDown() override { proxy->stop_probes(); }
  [[nodiscard]] bool healthy() { return proxy->server(0).health() == steelyard::Health::healthy; }
  [[nodiscard]] bool unhealthy() { return proxy->server(0).health() == steelyard::Health::unhealthy; }
};

TEST_F(Health, is_asked_at_its_interval_give_or_take_a_tenth) {
  open_with_checks({.interval = 5s});
  run_for(1000s);
  const auto& at = servers[0]->connected_at;
  ASSERT_GT(at.size(), 180U);
  Duration shortest = 1h;
  Duration longest{0};
  for (std::size_t i = 1; i < at.size(); ++i) {
    shortest = std::min(shortest, at[i] - at[i - 1]);
    longest = std::max(longest, at[i] - at[i - 1]);
  }
  EXPECT_GE(shortest, 4500ms);
  EXPECT_LE(longest, 5510ms);
  EXPECT_GT(longest - shortest, 500ms);  // that they drift apart is the purpose
}

TEST_F(Health, takes_fall_failures_to_go_and_rise_successes_to_come_back) {
  open_with_checks({.interval = 5s, .fall = 3, .rise = 2});
  run_for(1s);
  EXPECT_TRUE(healthy());
  servers[0]->react = [](Talker& talker) { talker.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"); };
  const auto after_checks = [this](std::size_t count) {
    const std::size_t begun = servers[0]->connected_at.size();
    while (servers[0]->connected_at.size() < begun + count) net.step();
    run_for(10ms);
  };
  after_checks(2);
  EXPECT_TRUE(healthy());
  after_checks(1);
  EXPECT_TRUE(unhealthy());
  EXPECT_TRUE(answers(ask(get), 503));
  servers[0]->react = [](Talker& talker) { talker.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); };
  after_checks(1);
  EXPECT_TRUE(unhealthy());
  after_checks(1);
  EXPECT_TRUE(healthy());
  EXPECT_TRUE(answers(ask(get), 200));
}

TEST_F(Health, takes_silence_for_a_failure_after_its_timeout) {
  settings.servers = 1;
  settings.pool.health = HealthOptions{.interval = 5s, .timeout = 2s};
  open();
  servers[0]->react = [](Talker&) {};
  proxy->start_probes(7);
  run_for(1990ms);
  EXPECT_FALSE(unhealthy());
  run_for(20ms);
  EXPECT_TRUE(unhealthy());
  EXPECT_EQ(proxy->server(0).standing().reason, "no answer within 2000 ms");
}

}  // namespace upstream_test
}  // namespace steelyard::sim
