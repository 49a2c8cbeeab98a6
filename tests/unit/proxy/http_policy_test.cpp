// Policies that change while a request is on its way: the proxy over scripted streams, with the pool configured anew in between.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "proxy/http_proxy.hpp"
#include "support/line.hpp"
#include "support/scripted_exchange.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace http_policy_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;
using testing_support::turn;

constexpr std::uint16_t port_a = 80;
constexpr std::uint16_t port_b = 81;

// Keeps what every connection was to, and what was sent on it.
class Servers final : public Connector {
 public:
  struct Made {
    std::uint16_t port;
    ScriptedStream* stream;
    std::shared_ptr<ScriptedStream::Record> record;
  };
  explicit Servers(Scheduler& of) : scheduler_(of) {}
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) override {
    auto stream = std::make_unique<ScriptedStream>(ScriptedStream::Start::connecting);
    made.push_back({to.port, stream.get(), stream->record()});
    return stream;
  }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }
  std::vector<Made> made;

 private:
  Scheduler& scheduler_;
};

Task<void> serve(HttpProxy& proxy, Exchange& exchange) { co_await proxy.serve(exchange); }

std::vector<RouteOptions> one_route() {
  RouteOptions route;
  route.name = "all";
  route.pool = "pool";
  return {route};
}

PoolServer server(const char* id, std::uint16_t port, std::string promise) {
  return {.options = {.id = id, .host = "127.0.0.1", .port = port, .labels = {{"privacy", std::move(promise)}}},
          .address = {IpAddress::v4(0x7f000001U), port}};
}

struct HttpPolicyTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  Scratch scratch;
  WorkerMetrics metrics;
  Servers servers{scheduler};
  PoolOptions options = [] {
    PoolOptions made;
    made.name = "pool";
    made.algorithm = Algorithm::round_robin;
    made.slow_start.window = Duration{0};
    made.policy = policy::PolicyOptions{.label = "privacy", .from = {.kind = policy::SourceOptions::Kind::header, .name = "X-P"}};
    return made;
  }();
  std::shared_ptr<Pool> pool = std::make_shared<Pool>("pool", 1);
  std::shared_ptr<const Site> site = std::make_shared<Site>(one_route(), std::vector<std::shared_ptr<Pool>>{pool}, 1);
  Connections connections{servers, metrics, 0};
  ScriptedStream client;
  std::unique_ptr<SiteViews> views;
  std::unique_ptr<HttpProxy> proxy;
  std::unique_ptr<ScriptedExchange> exchange;

  void configure(const std::string& of_a, const std::string& of_b) {
    const std::vector<PoolServer> wanted{server("a", port_a, of_a), server("b", port_b, of_b)};
    pool->configure(options, wanted, {scheduler.now(), 0});
    if (!proxy) {
      views = std::make_unique<SiteViews>(site, servers, 0, 1);
      proxy = std::make_unique<HttpProxy>(*views, connections, scheduler, scratch, metrics, nullptr, 1);
    }
  }
  void serve_head(std::string_view head, http::BodyFraming framing = {}) {
    exchange = std::make_unique<ScriptedExchange>(line.fiber, client, framing);
    http1::ScanState scan;
    ASSERT_TRUE(http1::parse_request(head, scan, {}, exchange->request));
    exchange->method = exchange->request.method;
    exchange->path = exchange->request.path;
    line.fiber.start(serve(*proxy, *exchange));
  }
  [[nodiscard]] std::string answered() const { return client.record()->sent.substr(9, 3); }
  static constexpr std::string_view demand_111 = "GET / HTTP/1.1\r\nHost: a\r\nX-P: 111\r\n\r\n";
  static constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
};

TEST_F(HttpPolicyTest, a_server_whose_labels_change_while_it_is_connected_to_gets_nothing) {
  configure("111", "222");
  serve_head(demand_111);
  ASSERT_EQ(servers.made.size(), 1U);
  EXPECT_EQ(servers.made[0].port, port_a);
  configure("222", "111");
  servers.made[0].stream->connect();
  turn(scheduler);
  EXPECT_EQ(servers.made[0].record->sent, "");
  ASSERT_EQ(servers.made.size(), 2U);
  EXPECT_EQ(servers.made[1].port, port_b);
  servers.made[1].stream->connect();
  turn(scheduler);
  EXPECT_TRUE(servers.made[1].record->sent.starts_with("GET / "));
  servers.made[1].stream->feed(ok);
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(answered(), "200");
  EXPECT_EQ(metrics.retries.value() + metrics.failovers.value(), 0U) << "nothing was sent, so that nothing was sent again";
}

TEST_F(HttpPolicyTest, where_nobody_promises_it_any_more_the_request_is_refused) {
  configure("111", "222");
  serve_head(demand_111);
  configure("222", "222");
  servers.made.at(0).stream->connect();
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(answered(), "421");
  EXPECT_EQ(servers.made.size(), 1U);
  EXPECT_EQ(servers.made[0].record->sent, "");
  EXPECT_EQ(metrics.policy_unmet.value(), 1U);
}

TEST_F(HttpPolicyTest, a_request_whose_servers_change_again_and_again_is_given_up) {
  configure("111", "222");
  serve_head(demand_111);
  for (std::size_t i = 0; i < 20 && !line.finished; ++i) {
    ASSERT_EQ(servers.made.size(), i + 1);
    configure(i % 2 == 0 ? "222" : "111", i % 2 == 0 ? "111" : "222");
    servers.made.back().stream->connect();
    turn(scheduler);
    EXPECT_EQ(servers.made[i].record->sent, "");
  }
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(answered(), "503");
}

TEST_F(HttpPolicyTest, a_policy_that_changes_while_the_body_comes_is_the_one_that_counts) {
  options.policy->from = {.kind = policy::SourceOptions::Kind::json, .name = "p"};
  configure("111", "222");
  serve_head("POST / HTTP/1.1\r\nHost: a\r\nX-P: 222\r\nContent-Length: 11\r\n\r\n", {http::BodyKind::length, 11});
  client.feed(R"({"p":)");
  turn(scheduler);
  EXPECT_TRUE(servers.made.empty());
  options.policy->from = {.kind = policy::SourceOptions::Kind::header, .name = "X-P"};
  configure("111", "222");
  views->use(site);  // as a reload does: the worker's views see the new members
  client.feed(R"("111"})");
  turn(scheduler);
  ASSERT_EQ(servers.made.size(), 1U);
  EXPECT_EQ(servers.made[0].port, port_b);
  servers.made[0].stream->connect();
  turn(scheduler);
  EXPECT_TRUE(servers.made[0].record->sent.ends_with("\r\n\r\n{\"p\":\"111\"}"));
  servers.made[0].stream->feed(ok);
  turn(scheduler);
  EXPECT_TRUE(line.finished);
}

TEST_F(HttpPolicyTest, a_policy_that_goes_while_the_body_comes_asks_for_nothing) {
  options.policy->from = {.kind = policy::SourceOptions::Kind::json, .name = "p"};
  configure("111", "222");
  serve_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", {http::BodyKind::length, 11});
  client.feed("no");
  turn(scheduler);
  options.policy.reset();
  configure("111", "222");
  client.feed(" json …");
  turn(scheduler);
  ASSERT_EQ(servers.made.size(), 1U);
  servers.made[0].stream->connect();
  turn(scheduler);
  EXPECT_TRUE(servers.made[0].record->sent.ends_with("\r\n\r\nno json …"));
  servers.made[0].stream->feed(ok);
  turn(scheduler);
  EXPECT_EQ(answered(), "200");
}

TEST_F(HttpPolicyTest, a_hedge_whose_server_changes_while_it_is_connected_to_gets_nothing) {
  options.hedging.emplace().after = 10ms;
  configure("111", "111");
  serve_head(demand_111);
  servers.made.at(0).stream->connect();
  turn(scheduler);
  const bool first_is_a = servers.made[0].port == port_a;
  turn(scheduler, at_ms(15));
  ASSERT_EQ(servers.made.size(), 2U) << "a hedge";
  configure(first_is_a ? "111" : "222", first_is_a ? "222" : "111");
  servers.made[1].stream->connect();
  turn(scheduler);
  EXPECT_EQ(servers.made[1].record->sent, "");
  servers.made[0].stream->feed(ok);
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(answered(), "200");
}

}  // namespace http_policy_test
}  // namespace steelyard
