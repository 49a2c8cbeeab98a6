// Sessions of one client connection, and the frontend that begins and ends them, over scripted streams.
#include "session/http1_server.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "session/frontend.hpp"
#include "support/line.hpp"
#include "support/scripted_listener.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard {
namespace http1_server_test {

using testing_support::at_ms;
using testing_support::ScriptedListener;
using testing_support::ScriptedStream;
using testing_support::turn;

// Answers with "<method> <path>;" unless told to do otherwise.
class Recorder final : public ExchangeHandler {
 public:
  Task<void> serve(Exchange& exchange) override {
    if (exchange.refusal) {
      served.push_back(std::to_string(exchange.refusal->status));
    } else {
      served.emplace_back(std::string(exchange.method_text) + " " + std::string(exchange.path));
    }
    keep_alive = exchange.keep_alive && !exchange.draining;
    while (reads_bodies && !exchange.refusal && !exchange.body.done()) {
      char memory[64];
      const auto piece = exchange.body.read(memory);
      if (piece) {
        exchange.keep_leftover(piece->leftover);
      } else if (piece.error().kind != ErrorKind::would_block) {
        co_return;
      } else if (co_await exchange.body.stream().readable() != WaitResult::done) {
        co_return;
      }
    }
    if (pauses_before_head) last_wait = co_await until_deadline_of(exchange);
    if (exchange.draining) exchange.keep_alive = false;
    if (pauses) last_wait = co_await until_deadline_of(exchange);
    if (!exchange.response.send(std::string_view(served.back() + ";"))) exchange.broken_off = true;
  }

  Task<WaitResult> until_deadline_of(Exchange& exchange) {
    exchange.fiber.set_deadline(exchange.fiber.scheduler().now() + 10s);
    const WaitResult waited = co_await until_deadline();
    co_return waited;
  }

  std::vector<std::string> served;
  bool reads_bodies = false;
  bool pauses = false;              // 10 s before it answers, after what its head says of the connection
  bool pauses_before_head = false;  // the same before that
  bool keep_alive = false;
  WaitResult last_wait = WaitResult::done;
};

using Served = std::vector<std::string>;

struct FrontendTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Scratch scratch;
  WorkerMetrics metrics;
  Recorder recorder;
  ConnectionOptions limit_options{.connections_max = 3};
  ConnectionLimits limits{limit_options};
  ScriptedListener::Queue queue;
  bool done = false;  // of a drain
  Frontend frontend{scheduler, scratch, metrics, recorder, limits};

  FrontendTest() { frontend.listen(std::make_unique<ScriptedListener>(queue), {}); }
  ~FrontendTest() override {
    frontend.drain([] {});
    frontend.abort();
    turn(scheduler);
  }

  ScriptedStream* connect() {
    ScriptedStream* const stream = queue.connect();
    turn(scheduler);
    return stream;
  }
  void feed(ScriptedStream* stream, std::string_view bytes) {
    stream->feed(bytes);
    turn(scheduler);
  }
  static constexpr std::string_view get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
};

TEST_F(FrontendTest, serves_one_request_after_the_other) {
  ScriptedStream* const client = connect();
  EXPECT_EQ(metrics.client_connections_idle.value(), 1);
  feed(client, get);
  feed(client, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(recorder.served, (Served{"GET /a", "GET /b"}));
  EXPECT_EQ(client->record()->sent, "GET /a;GET /b;");
  EXPECT_EQ(metrics.client_connections_idle.value(), 1);
}

TEST_F(FrontendTest, a_head_may_arrive_byte_by_byte) {
  ScriptedStream* const client = connect();
  for (const char c : get) feed(client, {&c, 1});
  EXPECT_EQ(recorder.served, Served{"GET /a"});
}

TEST_F(FrontendTest, pipelined_requests_are_served_in_order_also_behind_bodies) {
  recorder.reads_bodies = true;
  ScriptedStream* const client = connect();
  feed(client,
       "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
       "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
       "GET /3 HTTP/1.1\r\nHost: h\r\n\r\nPOST /4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na");
  feed(client, "b\r\n0\r\n\r\nGET /5 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(recorder.served, (Served{"POST /1", "POST /2", "GET /3", "POST /4", "GET /5"}));
}

TEST_F(FrontendTest, a_client_with_many_requests_lets_others_have_their_turn) {
  ScriptedStream* const client = connect();
  std::string many;
  for (int i = 0; i < 40; ++i) many += get;
  client->feed(many);
  EXPECT_EQ(recorder.served.size(), 32U);
  turn(scheduler);
  EXPECT_EQ(recorder.served.size(), 40U);
}

TEST_F(FrontendTest, a_client_that_ends_between_requests_is_closed_in_order) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  client->end();
  turn(scheduler);
  EXPECT_TRUE(record->destroyed);
  EXPECT_FALSE(record->reset_on_close);
  EXPECT_EQ(metrics.client_connections.value(), 0);
}

TEST_F(FrontendTest, a_client_that_ends_inside_a_head_is_told) {
  ScriptedStream* const client = connect();
  feed(client, "GET / HT");
  const auto record = client->record();
  client->end();
  turn(scheduler);
  EXPECT_EQ(recorder.served, Served{"400"});
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, a_client_that_ends_its_side_after_its_request_is_answered) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  client->feed_and_end(get);
  turn(scheduler);
  EXPECT_EQ(record->sent, "GET /a;");
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, a_head_must_be_complete_in_its_time_however_often_a_byte_comes) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  turn(scheduler, at_ms(20'000));
  for (std::int64_t now = 20'000; now < 30'000; now += 1000) {
    turn(scheduler, at_ms(now));
    feed(client, now == 20'000 ? "G" : "E");
  }
  EXPECT_TRUE(recorder.served.empty());
  turn(scheduler, at_ms(30'000));
  EXPECT_EQ(recorder.served, Served{"408"});
}

TEST_F(FrontendTest, an_idle_connection_is_closed_after_its_time) {
  const auto record = connect()->record();
  turn(scheduler, at_ms(74'999));
  EXPECT_FALSE(record->destroyed);
  turn(scheduler, at_ms(75'000));
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, a_refused_request_ends_the_connection_without_losing_the_answer) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, "not http\r\n\r\nand much more");
  EXPECT_EQ(recorder.served, Served{"400"});
  // The end is sent, and what the client still sends is read, so that closing does not reset the answer away.
  EXPECT_TRUE(record->ended);
  EXPECT_FALSE(record->destroyed);
  feed(client, "still sending");
  EXPECT_FALSE(record->destroyed);
  client->end();
  turn(scheduler);
  EXPECT_TRUE(record->destroyed);
  EXPECT_FALSE(record->reset_on_close);
}

TEST_F(FrontendTest, lingering_ends_after_a_second_also_when_the_client_keeps_sending) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, "not http\r\n\r\n");
  for (std::int64_t now = 100; now < 1000; now += 100) {
    turn(scheduler, at_ms(now));
    feed(client, "x");
  }
  EXPECT_FALSE(record->destroyed);
  turn(scheduler, at_ms(1000));
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, a_malformed_chunk_that_came_with_the_head_is_refused) {
  ScriptedStream* const client = connect();
  feed(client, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_EQ(recorder.served, Served{"400"});
  EXPECT_FALSE(recorder.keep_alive);
}

TEST_F(FrontendTest, a_body_that_was_not_read_ends_the_connection) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(recorder.served, Served{"POST /"});
  EXPECT_TRUE(record->ended);
}

TEST_F(FrontendTest, a_client_that_resets_cancels_what_is_done_for_it) {
  recorder.pauses = true;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);
  client->reset();
  turn(scheduler);
  EXPECT_EQ(recorder.last_wait, WaitResult::cancelled);
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, a_client_that_only_ended_its_side_is_waited_for) {
  recorder.pauses = true;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);
  client->end();
  turn(scheduler);
  EXPECT_FALSE(record->destroyed);
  turn(scheduler, at_ms(10'000));
  EXPECT_EQ(record->sent, "GET /a;");
}

TEST_F(FrontendTest, requests_over_the_limit_of_a_connection_are_its_last) {
  frontend.http.requests_per_connection_max = 2;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);
  EXPECT_TRUE(recorder.keep_alive);
  feed(client, get);
  EXPECT_FALSE(recorder.keep_alive);
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, connections_over_the_limit_are_told_so_and_counted_out_again) {
  std::vector<ScriptedStream*> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connect());
  ScriptedStream* const fourth = connect();
  feed(fourth, get);
  EXPECT_EQ(recorder.served, Served{"503"});
  fourth->end();
  clients[0]->end();
  turn(scheduler);
  feed(connect(), get);
  EXPECT_EQ(recorder.served, (Served{"503", "GET /a"}));
}

TEST_F(FrontendTest, accepting_pauses_while_descriptors_have_run_out) {
  queue.failure = ErrorKind::resources;
  queue.listener->Listener::acceptable();
  const int before = queue.attempts;
  queue.connect();
  turn(scheduler);
  EXPECT_EQ(queue.attempts, before + 1);
  turn(scheduler, at_ms(99));
  EXPECT_EQ(queue.attempts, before + 1);
  queue.failure.reset();
  turn(scheduler, at_ms(100));
  EXPECT_EQ(metrics.client_connections.value(), 1);
}

TEST_F(FrontendTest, draining_closes_idle_connections_and_the_listener_at_once) {
  const auto record = connect()->record();
  frontend.drain([this] { done = true; });
  EXPECT_FALSE(done);
  turn(scheduler);
  EXPECT_TRUE(done);
  EXPECT_TRUE(record->destroyed);
  EXPECT_FALSE(record->reset_on_close);
  EXPECT_TRUE(queue.closed);
}

TEST_F(FrontendTest, draining_lets_an_exchange_finish_and_then_closes_its_connection) {
  recorder.pauses = true;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);
  frontend.drain([this] { done = true; });
  turn(scheduler, at_ms(9000));
  EXPECT_FALSE(done);
  turn(scheduler, at_ms(10'000));
  EXPECT_EQ(record->sent, "GET /a;");
  EXPECT_TRUE(done) << "the connection was kept for a next request";
  EXPECT_FALSE(record->reset_on_close);
}

TEST_F(FrontendTest, draining_serves_a_connection_that_waited_to_be_accepted) {
  auto stream = std::make_unique<ScriptedStream>();
  ScriptedStream* const client = stream.get();
  queue.waiting.push_back(std::move(stream));
  frontend.drain([this] { done = true; });
  turn(scheduler);
  const auto record = client->record();
  feed(client, get);
  EXPECT_EQ(record->sent, "GET /a;");
  EXPECT_FALSE(recorder.keep_alive);
  EXPECT_TRUE(done);
}

TEST_F(FrontendTest, a_gentle_drain_serves_one_more_request_of_an_idle_connection) {
  ScriptedStream* const client = connect();
  const auto record = client->record();
  bool accepted_all = false;
  frontend.drain_gently([&] { accepted_all = true; }, [this] { done = true; });
  turn(scheduler, at_ms(4900));
  EXPECT_TRUE(accepted_all);
  EXPECT_TRUE(queue.closed);
  ASSERT_FALSE(record->destroyed);
  feed(client, get);
  EXPECT_EQ(record->sent, "GET /a;");
  EXPECT_FALSE(recorder.keep_alive) << "the response has to say that the connection ends";
  EXPECT_TRUE(done);
  EXPECT_FALSE(record->reset_on_close);
}

TEST_F(FrontendTest, a_gentle_drain_closes_what_stays_idle_in_order) {
  frontend.timeouts.idle = 60s;
  const auto record = connect()->record();
  frontend.drain_gently([] {}, [this] { done = true; });
  turn(scheduler, at_ms(4900));
  EXPECT_FALSE(record->destroyed);
  turn(scheduler, at_ms(5001));
  EXPECT_TRUE(record->destroyed);
  EXPECT_FALSE(record->reset_on_close);
  EXPECT_TRUE(done);
  EXPECT_EQ(metrics.limits[static_cast<std::size_t>(Limit::idle_timeout)].value(), 0U) << "that was no limit";
}

TEST_F(FrontendTest, a_gentle_drain_takes_another_request_where_the_response_under_way_did_not_say_goodbye) {
  recorder.pauses = true;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);  // its head is decided
  frontend.drain_gently([] {}, [this] { done = true; });
  turn(scheduler, at_ms(10'000));
  EXPECT_EQ(record->sent, "GET /a;");
  ASSERT_FALSE(record->destroyed);
  recorder.pauses = false;
  feed(client, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(record->sent, "GET /a;GET /b;");
  EXPECT_TRUE(done);
}

TEST_F(FrontendTest, a_gentle_drain_says_goodbye_in_the_response_that_has_not_begun) {
  recorder.pauses_before_head = true;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);
  frontend.drain_gently([] {}, [this] { done = true; });
  turn(scheduler, at_ms(10'000));
  EXPECT_EQ(record->sent, "GET /a;");
  EXPECT_TRUE(done);
}

TEST_F(FrontendTest, an_ordinary_drain_may_follow_a_gentle_one) {
  const auto record = connect()->record();
  frontend.drain_gently([] {}, [this] { done = true; });
  turn(scheduler);
  EXPECT_FALSE(done);
  frontend.drain([] { ADD_FAILURE() << "the first one is told"; });
  turn(scheduler);
  EXPECT_TRUE(done);
  EXPECT_TRUE(record->destroyed);
}

TEST_F(FrontendTest, what_waits_to_be_accepted_is_left_to_who_has_the_socket_too) {
  queue.waiting.push_back(std::make_unique<ScriptedStream>());
  frontend.leave_waiting();
  frontend.drain([this] { done = true; });
  turn(scheduler);
  EXPECT_EQ(queue.waiting.size(), 1U);
  EXPECT_TRUE(queue.closed);
  EXPECT_TRUE(done);
}

TEST_F(FrontendTest, all_listeners_of_one_number_stop) {
  ScriptedListener::Queue second;
  frontend.listen(std::make_unique<ScriptedListener>(second), {});
  turn(scheduler);
  frontend.stop_listening(0);
  turn(scheduler);
  EXPECT_TRUE(queue.closed);
  EXPECT_TRUE(second.closed);
}

TEST_F(FrontendTest, what_is_not_done_when_the_time_to_drain_has_passed_is_cut) {
  recorder.pauses = true;
  frontend.timeouts.drain = 5s;
  ScriptedStream* const client = connect();
  const auto record = client->record();
  feed(client, get);
  frontend.drain([this] { done = true; });
  turn(scheduler, at_ms(5000));
  EXPECT_TRUE(done);
  EXPECT_TRUE(record->reset_on_close);
  EXPECT_TRUE(record->destroyed);
}

}  // namespace http1_server_test
}  // namespace steelyard
