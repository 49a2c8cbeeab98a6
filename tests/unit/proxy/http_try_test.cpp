// A try at a server, where its order of events is hard to bring about from outside: the proxy over scripted streams.
#include <gtest/gtest.h>

#include "proxy/http_proxy.hpp"
#include "support/line.hpp"
#include "support/scripted_exchange.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace http_try_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;
using testing_support::turn;

class OneServer final : public Connector {
 public:
  explicit OneServer(Scheduler& of) : scheduler_(of) {}
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& /*to*/) override {
    auto stream = std::make_unique<ScriptedStream>(ScriptedStream::Start::connecting);
    newest = stream.get();
    return stream;
  }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }
  ScriptedStream* newest = nullptr;

 private:
  Scheduler& scheduler_;
};

std::vector<std::shared_ptr<Pool>> one_pool() {
  PoolOptions options;
  options.name = "pool";
  options.servers.push_back({.id = "a", .host = "127.0.0.1", .port = 80});
  const SocketAddress addresses[] = {*SocketAddress::parse("127.0.0.1:80")};
  return {std::make_shared<Pool>(options, addresses, 1)};
}

std::vector<RouteOptions> one_route() {
  RouteOptions route;
  route.name = "all";
  route.pool = "pool";
  return {route};
}

Task<void> serve(HttpProxy& proxy, Exchange& exchange) { co_await proxy.serve(exchange); }

// A request whose body is still to come when its head is served.
struct TryTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  Scratch scratch;
  WorkerMetrics metrics;
  OneServer connector{scheduler};
  std::shared_ptr<const Site> site = std::make_shared<Site>(one_route(), one_pool(), 1);
  Connections connections{connector, metrics, 0};
  SiteViews views{site, connector, 0, 1};
  HttpProxy proxy{views, connections, scheduler, scratch, metrics, nullptr, 1};
  ScriptedStream client;
  std::unique_ptr<ScriptedExchange> exchange;

  void serve_head(std::string_view head, http::BodyFraming framing) {
    exchange = std::make_unique<ScriptedExchange>(line.fiber, client, framing);
    http1::ScanState scan;
    ASSERT_TRUE(http1::parse_request(head, scan, {}, exchange->request));
    exchange->method = exchange->request.method;
    exchange->path = exchange->request.path;
    line.fiber.start(serve(proxy, *exchange));
  }
  static constexpr std::string_view chunked_head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
};

TEST_F(TryTest, a_body_that_breaks_while_its_server_is_being_connected_is_refused) {
  serve_head(chunked_head, {http::BodyKind::chunked, 0});
  client.feed("zz\r\n");
  connector.newest->connect();
  turn(scheduler);
  EXPECT_TRUE(line.finished) << "an answer was waited for, to a request that nobody will complete";
  EXPECT_EQ(client.record()->sent.substr(0, 12), "HTTP/1.1 400");
  if (!line.finished) connector.newest->reset();
}

TEST_F(TryTest, a_body_that_breaks_later_is_refused) {
  serve_head(chunked_head, {http::BodyKind::chunked, 0});
  connector.newest->connect();
  turn(scheduler);
  const auto to_server = connector.newest->record();
  client.feed("3\r\nabc\r\n");
  turn(scheduler);
  EXPECT_TRUE(to_server->sent.ends_with("3\r\nabc\r\n"));
  client.feed("zz\r\n");
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(client.record()->sent.substr(0, 12), "HTTP/1.1 400");
  EXPECT_TRUE(to_server->destroyed);
}

TEST_F(TryTest, an_answer_whose_body_comes_after_its_head_leaves_the_connection_for_the_next_request) {
  serve_head("GET / HTTP/1.1\r\nHost: a\r\n\r\n", {});
  connector.newest->connect();
  connector.newest->feed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
  turn(scheduler);
  connector.newest->feed("56789");
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_TRUE(client.record()->sent.ends_with("\r\n\r\n0123456789"));
  EXPECT_EQ(metrics.server_connections_idle.value(), 1);
}

TEST_F(TryTest, a_server_that_switches_protocols_before_it_has_the_request_is_not_believed) {
  serve_head("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", {});
  connector.newest->room = 10;
  connector.newest->connect();
  connector.newest->feed("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  turn(scheduler);
  EXPECT_TRUE(line.finished);
  EXPECT_EQ(client.record()->sent.substr(0, 12), "HTTP/1.1 502");
}

}  // namespace http_try_test
}  // namespace steelyard
