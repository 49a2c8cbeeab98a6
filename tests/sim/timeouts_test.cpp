// Each timeout fires when it should and not before, and tells the client why.
#include "scene.hpp"

namespace steelyard::sim {
namespace timeouts_test {

using Timeouts = Scene;

const auto silence = [](Talker&) {};

TEST_F(Timeouts, header_read_ends_a_head_that_does_not_come) {
  settings.timeouts.header_read = 10s;
  open();
  Talker& talker = client("GET / HTTP/1.1\r\nHo");
  talker.say("st: a", 9s);  // a byte now and then does not help
  run_for(9990ms);
  EXPECT_EQ(talker.heard, "");
  run_for(20ms);
  EXPECT_TRUE(answers(talker, 408));
  run_for(2s);
  EXPECT_FALSE(talker.open());
  EXPECT_EQ(proxy->hits(Limit::header_read_timeout), 1U);
}

TEST_F(Timeouts, idle_ends_a_connection_without_a_word) {
  settings.timeouts.idle = 75s;
  open();
  Talker& fresh = client();
  Talker& served = client();
  run_for(10s);
  served.say(std::string(get));
  run_for(64990ms);
  EXPECT_TRUE(fresh.open());
  run_for(20ms);
  EXPECT_FALSE(fresh.open());
  EXPECT_EQ(fresh.heard, "");
  EXPECT_TRUE(answers(served, 200));
  run_for(9980ms);
  EXPECT_TRUE(served.open());
  run_for(20ms);
  EXPECT_FALSE(served.open());
  EXPECT_EQ(proxy->hits(Limit::idle_timeout), 2U);
}

TEST_F(Timeouts, body_idle_ends_an_upload_that_stops) {
  settings.timeouts.body_idle = 30s;
  open();
  servers[0]->react = servers[1]->react = silence;
  Talker& talker = client(long_post);
  talker.say("abc", 20s);
  run_for(49990ms);
  EXPECT_EQ(talker.heard, "");
  run_for(20ms);
  EXPECT_TRUE(answers(talker, 408));
  EXPECT_EQ(proxy->hits(Limit::body_idle_timeout), 1U);
}

TEST_F(Timeouts, a_slow_but_steady_upload_passes) {
  settings.timeouts.body_idle = 30s;
  settings.timeouts.first_byte = 5s;  // counts from the end of the upload
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) {
    if (talker.heard.ends_with("0123456789")) talker.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 4s);
  };
  Talker& talker = client(long_post);
  for (const char c : std::string_view("0123456789")) talker.say({c}, 29s);
  run_for(293s);
  EXPECT_EQ(talker.heard, "");
  run_for(2s);
  EXPECT_TRUE(answers(talker, 200));
}

TEST_F(Timeouts, body_idle_ends_a_response_that_stops) {
  settings.timeouts.body_idle = 30s;
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) {
    talker.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    talker.say("de", 20s);
  };
  Talker& talker = client(get);
  run_for(49990ms);
  EXPECT_TRUE(talker.open());
  run_for(20ms);
  EXPECT_FALSE(talker.open());
  EXPECT_TRUE(talker.heard.ends_with("abcde"));
}

TEST_F(Timeouts, body_idle_ends_a_client_that_does_not_read) {
  settings.timeouts.body_idle = 30s;
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) {
    talker.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1'000'000, 'x'));
  };
  client(get).stop_reading();
  run_for(29990ms);
  EXPECT_EQ(proxy->metrics().exchanges_active.value(), 1);
  run_for(20ms);
  EXPECT_EQ(proxy->what_is_left(), "");
}

TEST_F(Timeouts, first_byte_ends_waiting_for_a_silent_server) {
  settings.timeouts.first_byte = 60s;
  open();
  servers[0]->react = servers[1]->react = silence;
  Talker& talker = client(get);
  run_for(59990ms);
  EXPECT_EQ(talker.heard, "");
  run_for(20ms);
  EXPECT_TRUE(answers(talker, 504));
  EXPECT_EQ(servers[0]->requests + servers[1]->requests, 1);
  EXPECT_EQ(proxy->hits(Limit::first_byte_timeout), 1U);
}

TEST_F(Timeouts, connect_gives_each_server_its_time) {
  settings.timeouts.connect = 5s;
  open();
  net.faults.hang = 1;
  Talker& talker = client(get);
  run_for(9990ms);
  EXPECT_EQ(talker.heard, "");
  run_for(20ms);
  EXPECT_TRUE(answers(talker, 504));
  EXPECT_EQ(proxy->hits(Limit::connect_timeout), 2U);
}

TEST_F(Timeouts, total_ends_an_exchange_however_steady_it_is) {
  settings.timeouts.total = 10s;
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) {
    talker.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 100; ++i) talker.say("x", 1s);
  };
  Talker& talker = client(get);
  run_for(9990ms);
  EXPECT_TRUE(talker.open());
  run_for(20ms);
  EXPECT_FALSE(talker.open());
  EXPECT_EQ(proxy->hits(Limit::total_timeout), 1U);
}

TEST_F(Timeouts, total_ends_waiting_with_an_answer) {
  settings.timeouts.total = 10s;
  open();
  servers[0]->react = servers[1]->react = silence;
  Talker& talker = client(get);
  run_for(9990ms);
  EXPECT_EQ(talker.heard, "");
  run_for(20ms);
  EXPECT_TRUE(answers(talker, 504));
}

TEST_F(Timeouts, a_server_that_stops_reading_has_its_time_and_then_first_byte) {
  settings.timeouts.body_idle = 30s;
  settings.timeouts.first_byte = 60s;
  settings.servers = 1;
  open();
  servers[0]->welcome = [](Talker& talker) { talker.stop_reading(); };
  Talker& talker = client(fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{}", std::string(1'000'000, 'x')));
  run_for(89980ms);
  EXPECT_EQ(talker.heard, "");
  run_for(40ms);
  EXPECT_TRUE(answers(talker, 504)) << talker.heard;
}

class Tunnels : public Scene {
 protected:
  // A tunnel, and its server's end.
  Talker& upgrade(Talker& talker) {
    servers[0]->react = [](Talker& server) {
      if (!server.heard.ends_with("\r\n\r\n")) return;
      server.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    };
    talker.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    run_for(1s);
    EXPECT_TRUE(answers(talker, 101));
    return *servers[0]->talkers.front();
  }
};

TEST_F(Tunnels, end_when_nothing_has_moved_for_tunnel_idle) {
  settings.timeouts.tunnel_idle = 3600s;
  settings.servers = 1;
  open();
  Talker& talker = client();
  Talker& server = upgrade(talker);
  run_for(2000s);
  server.say("from the server");
  run_for(2000s);
  talker.say("from the client");
  run_for(3599s);
  EXPECT_TRUE(talker.open());
  EXPECT_TRUE(talker.heard.ends_with("from the server"));
  EXPECT_TRUE(server.heard.ends_with("from the client"));
  run_for(2s);
  EXPECT_FALSE(talker.open());
  EXPECT_FALSE(server.open());
  EXPECT_EQ(proxy->hits(Limit::tunnel_idle_timeout), 1U);
}

TEST_F(Tunnels, live_on_one_way_when_a_side_has_ended) {
  settings.timeouts.tunnel_idle = 100s;
  settings.servers = 1;
  open();
  Talker& talker = client();
  Talker& server = upgrade(talker);
  server.on_end = [] {};
  talker.on_end = [] {};
  server.end();
  for (int i = 0; i < 5; ++i) {
    run_for(25s);  // body_idle is 30 s
    talker.say("more");
  }
  run_for(1s);
  EXPECT_TRUE(server.heard.ends_with("moremoremoremoremore")) << server.heard;
  talker.end();
  run_for(1s);
  EXPECT_TRUE(server.was_ended());
  EXPECT_FALSE(server.was_reset());
}

TEST_F(Tunnels, whose_other_side_is_silent_after_one_has_ended_end_after_body_idle) {
  settings.timeouts.tunnel_idle = 3600s;
  settings.servers = 1;
  open();
  Talker& talker = client();
  Talker& server = upgrade(talker);
  server.on_end = [] {};
  talker.on_end = [] {};
  server.end();
  run_for(28s);
  EXPECT_EQ(proxy->hits(Limit::tunnel_idle_timeout), 0U);
  run_for(2s);
  EXPECT_TRUE(talker.was_reset());
  EXPECT_EQ(proxy->hits(Limit::tunnel_idle_timeout), 1U);
}

using Draining = Scene;

TEST_F(Draining, closes_idle_connections_and_waits_for_exchanges) {
  settings.servers = 1;
  open();
  servers[0]->react = [](Talker& talker) { talker.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 10s); };
  Talker& idle = client();
  Talker& busy = client(get);
  run_for(1s);
  proxy->drain();
  run_for(1s);
  EXPECT_FALSE(idle.open());
  EXPECT_TRUE(busy.open());
  EXPECT_FALSE(proxy->drained());
  Talker& late = client(get);
  run_for(10s);
  EXPECT_TRUE(busy.heard.ends_with("ok"));
  EXPECT_NE(busy.heard.find("Connection: close\r\n"), std::string::npos);
  EXPECT_FALSE(busy.open());
  EXPECT_FALSE(late.connected());
  EXPECT_TRUE(proxy->drained());
}

TEST_F(Draining, cuts_what_is_left_after_its_time) {
  settings.timeouts.drain = 30s;
  settings.servers = 1;
  open();
  servers[0]->react = silence;
  Talker& busy = client(get);
  run_for(1s);
  proxy->drain();
  run_for(29990ms);
  EXPECT_FALSE(proxy->drained());
  run_for(20ms);
  EXPECT_TRUE(proxy->drained());
  EXPECT_TRUE(busy.was_reset());
  EXPECT_EQ(proxy->hits(Limit::drain_timeout), 1U);
}

TEST_F(Draining, serves_what_waits_to_be_accepted_and_waits_a_moment_for_its_request) {
  settings.servers = 1;
  open();
  Talker& quick = client(get);
  Talker& silent = client();
  net.step();
  net.step();
  ASSERT_EQ(proxy->metrics().client_connections_accepted.value(), 0U);
  proxy->drain();
  run_for(5s);
  EXPECT_TRUE(answers(quick, 200));
  EXPECT_FALSE(quick.open());
  EXPECT_EQ(proxy->metrics().client_connections_accepted.value(), 2U);
  EXPECT_FALSE(silent.open());
  EXPECT_TRUE(proxy->drained());
}

}  // namespace timeouts_test
}  // namespace steelyard::sim
