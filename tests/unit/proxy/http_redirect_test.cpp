// Requests that are answered with the way to their server: what the answer says, byte by byte, and what it leaves counted there.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "proxy/http_proxy.hpp"
#include "support/line.hpp"
#include "support/scripted_exchange.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace http_redirect_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;
using testing_support::turn;

constexpr std::string_view key_text =
    R"({"keys": [{"kty": "oct", "kid": "1", "alg": "HS256", "k": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"}]})";

// Counts connections, which a redirect needs none of.
class NoServers final : public Connector {
 public:
  explicit NoServers(Scheduler& of) : scheduler_(of) {}
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& /*to*/) override {
    ++connections;
    return fail(ErrorKind::refused);
  }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }
  int connections = 0;

 private:
  Scheduler& scheduler_;
};

Task<void> serve(HttpProxy& proxy, Exchange& exchange) { co_await proxy.serve(exchange); }

struct HttpRedirectTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  Scratch scratch;
  WorkerMetrics metrics;
  NoServers servers{scheduler};
  Connections connections{servers, metrics, 0};
  RouteOptions route = [] {
    RouteOptions made;
    made.name = "all";
    made.pool = "pool";
    made.mode = RouteMode::redirect;
    return made;
  }();
  PoolOptions options = [] {
    PoolOptions made;
    made.name = "pool";
    made.slow_start.window = Duration{0};
    return made;
  }();
  PoolServer server{.options = {.id = "s1", .host = "127.0.0.1", .port = 80, .public_url = "https://s1.example.com"},
                    .address = {IpAddress::v4(0x7f000001U), 80}};
  std::shared_ptr<Pool> pool = std::make_shared<Pool>("pool", 1);
  std::shared_ptr<const token::KeySet> keys = std::make_shared<const token::KeySet>(*token::KeySet::parse(key_text));
  std::uint64_t seed = 0;
  std::unique_ptr<ScriptedStream> client;
  std::unique_ptr<SiteViews> views;
  std::unique_ptr<HttpProxy> proxy;
  std::unique_ptr<ScriptedExchange> exchange;

  // The whole answer.
  std::string ask(std::string_view head, http::BodyFraming framing = {}) {
    pool->configure(options, std::span(&server, 1), {scheduler.now(), 0});
    const auto site = std::make_shared<Site>(std::vector{route}, std::vector{pool}, 1);
    if (!route.redirect.keys.empty()) site->keys_of_routes = {keys};
    proxy.reset();
    views = std::make_unique<SiteViews>(site, servers, 0, 1);
    proxy = std::make_unique<HttpProxy>(*views, connections, scheduler, scratch, metrics, nullptr, ++seed);
    client = std::make_unique<ScriptedStream>();
    exchange = std::make_unique<ScriptedExchange>(line.fiber, *client, framing);
    http1::ScanState scan;
    EXPECT_TRUE(http1::parse_request(head, scan, {}, exchange->request));
    exchange->method = exchange->request.method;
    exchange->method_text = exchange->request.method_text;
    exchange->path = exchange->request.path;
    exchange->client = {IpAddress::v4(0xc0000207U), 5000};
    line.finished = false;
    line.fiber.start(serve(*proxy, *exchange));
    turn(scheduler);
    EXPECT_TRUE(line.finished);
    return client->record()->sent;
  }
  std::string get(const std::string& target, const std::string& fields = "") {
    return ask("GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
  }
  static std::string field(const std::string& answer, const std::string& name) {
    const std::size_t begin = answer.find("\r\n" + name + ": ");
    if (begin == std::string::npos) return "absent";
    const std::size_t value = begin + name.size() + 4;
    return answer.substr(value, answer.find("\r\n", value) - value);
  }
  static std::string location(const std::string& answer) { return field(answer, "Location"); }
  static std::string status(const std::string& answer) { return answer.substr(9, 3); }
  void sign() { route.redirect.keys = "a file"; }
  // What a guard at s1 says of the target that a client was sent to.
  std::expected<token::Claims, token::Denied> check(const std::string& target, const std::string& method, std::int64_t now_s,
                                                    IpAddress from = IpAddress::v4(0xc0000207U)) {
    const auto carried = token::take_parameter(target, route.redirect.token_name);
    if (!carried) return std::unexpected(carried.error());
    const std::string bound = route.redirect.bind_query ? carried->target : std::string(token::path_of(carried->target));
    return token::verify(*keys, carried->value.value_or(""), {"s1", method, bound, from, now_s, 0});
  }
  static std::string target_of(const std::string& url) { return url.substr(std::string("https://s1.example.com").size()); }
  [[nodiscard]] std::int64_t now_s() { return scheduler.unix_us() / 1'000'000; }
};

TEST_F(HttpRedirectTest, the_answer_names_the_server_and_asks_it_nothing) {
  const std::string answer = get("/files/1?v=2");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 307 Temporary Redirect\r\nLocation: https://s1.example.com/files/1?v=2\r\n"));
  EXPECT_EQ(field(answer, "Cache-Control"), "no-store");
  EXPECT_EQ(field(answer, "Connection"), "absent");
  EXPECT_TRUE(exchange->keep_alive);
  const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
  EXPECT_EQ(field(answer, "Content-Length"), std::to_string(body.size()));
  EXPECT_EQ(servers.connections, 0);
  EXPECT_EQ(metrics.redirects.value(), 1U);
  EXPECT_EQ(metrics.statuses[307 - status_min].value(), 1U);
  EXPECT_EQ(pool->servers().front()->load.active.load(), 0U);
}

TEST_F(HttpRedirectTest, path_and_query_are_those_of_the_request_byte_by_byte) {
  for (const char* target : {"/", "/?", "/a//b/./c/../d", "/%7Ea/%ff;p=1", "/?&&=", "/?a=b?c&a='()*,;:@!$/~", "//other.example/x"}) {
    EXPECT_EQ(location(get(target)), "https://s1.example.com" + std::string(target));
  }
  EXPECT_EQ(location(get("http://a/x?y")), "https://s1.example.com/x?y");
  EXPECT_EQ(location(get("http://a?y")), "https://s1.example.com/?y");
}

TEST_F(HttpRedirectTest, head_has_no_body_and_308_is_said_where_it_is_meant) {
  route.redirect.status = 308;
  const std::string answer = ask("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  EXPECT_NE(field(answer, "Content-Length"), "0");
}

TEST_F(HttpRedirectTest, a_body_is_not_read_and_the_connection_ends) {
  const std::string answer = ask("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", {http::BodyKind::length, 1000});
  EXPECT_EQ(status(answer), "307");
  EXPECT_EQ(field(answer, "Connection"), "close");
  EXPECT_FALSE(exchange->keep_alive);
  EXPECT_EQ(client->reads, 0U);
}

TEST_F(HttpRedirectTest, nothing_is_made_up_but_the_routes_edits_are_done) {
  EXPECT_EQ(get("/", "Origin: https://x\r\n").find("Access-Control"), std::string::npos);
  route.response_headers.set = {{"Cache-Control", "private"}};
  route.response_headers.add = {{"Access-Control-Allow-Origin", "*"}};
  const std::string answer = get("/");
  EXPECT_EQ(field(answer, "Cache-Control"), "private");
  EXPECT_EQ(answer.find("no-store"), std::string::npos);
  EXPECT_EQ(field(answer, "Access-Control-Allow-Origin"), "*");
}

TEST_F(HttpRedirectTest, a_token_is_for_this_request_alone) {
  sign();
  const std::string target = target_of(location(get("/a%2Fb?x=1&&y")));
  EXPECT_TRUE(target.starts_with("/a%2Fb?x=1&&y&steelyard_token="));
  const auto claims = check(target, "GET", now_s());
  ASSERT_TRUE(claims) << claims.error().sentence;
  EXPECT_EQ(claims->expires_s - claims->issued_s, 30);
  EXPECT_EQ(claims->hops, 0U);
  EXPECT_EQ(claims->client->to_string(), "192.0.2.7/32");
  EXPECT_EQ(check(target, "POST", now_s()).error().reason, token::Reason::wrong_method);
  EXPECT_EQ(check(target, "GET", now_s() + 30).error().reason, token::Reason::expired);
  EXPECT_EQ(check(target, "GET", now_s(), IpAddress::v4(0xc0000208U)).error().reason, token::Reason::wrong_client);
  EXPECT_EQ(check("/other" + target.substr(6), "GET", now_s()).error().reason, token::Reason::wrong_target);
  EXPECT_NE(claims->id, check(target_of(location(get("/a%2Fb?x=1&&y"))), "GET", now_s())->id);
}

TEST_F(HttpRedirectTest, what_a_token_binds_is_for_the_route_to_say) {
  sign();
  route.redirect.bind_query = false;
  route.redirect.client = {.kind = ClientBinding::Kind::prefix, .prefix_v4 = 20};
  route.redirect.lifetime = 1500ms;
  const std::string target = target_of(location(get("/a")));
  const auto claims = check(target + "&added=1", "GET", now_s());
  ASSERT_TRUE(claims) << claims.error().sentence;
  EXPECT_EQ(claims->client->to_string(), "192.0.0.0/20");
  EXPECT_EQ(claims->expires_s - claims->issued_s, 2);
  route.redirect.client.kind = ClientBinding::Kind::none;
  EXPECT_FALSE(check(target_of(location(get("/a"))), "GET", now_s())->client);
}

TEST_F(HttpRedirectTest, a_token_that_the_client_has_still_goes_and_another_comes) {
  sign();
  const std::string target = target_of(location(get("/a?steelyard_token=old&b=1")));
  EXPECT_TRUE(target.starts_with("/a?b=1&steelyard_token="));
  EXPECT_TRUE(check(target, "GET", now_s()));
  EXPECT_EQ(status(get("/a?steelyard_token=1&steelyard_token=2")), "400");
  EXPECT_EQ(status(get("/a?steelyard%5Ftoken=1")), "400");
}

TEST_F(HttpRedirectTest, a_token_in_a_cookie_leaves_the_url_alone) {
  sign();
  route.redirect.token_in = TokenPlace::cookie;
  const std::string answer = get("/a?b");
  EXPECT_EQ(location(answer), "https://s1.example.com/a?b");
  const std::string cookie = field(answer, "Set-Cookie");
  EXPECT_TRUE(cookie.starts_with("steelyard_token="));
  EXPECT_TRUE(cookie.ends_with("; Path=/; Max-Age=30; HttpOnly; SameSite=Lax; Secure"));
  const std::string value = cookie.substr(16, cookie.find(';') - 16);
  EXPECT_TRUE(token::verify(*keys, value, {"s1", "GET", "/a?b", IpAddress::v4(0xc0000207U), now_s(), 0}));
}

TEST_F(HttpRedirectTest, hops_are_carried_on_and_end_somewhere) {
  sign();
  const std::string target = target_of(location(get("/a?steelyard_hops=3&b")));
  EXPECT_TRUE(target.starts_with("/a?steelyard_hops=3&b&steelyard_token="));
  EXPECT_EQ(check(target, "GET", now_s())->hops, 3U);
  EXPECT_EQ(status(get("/a?steelyard_hops=16")), "307");
  EXPECT_EQ(status(get("/a?steelyard_hops=17")), "508");
  EXPECT_EQ(status(get("/a?steelyard_hops=x")), "400");
  EXPECT_EQ(status(get("/a?steelyard_hops=1&steelyard_hops=2")), "400");
}

TEST_F(HttpRedirectTest, without_its_keys_a_route_that_signs_sends_nobody_anywhere) {
  sign();
  keys = nullptr;
  const std::string answer = get("/");
  EXPECT_EQ(status(answer), "500");
  EXPECT_EQ(location(answer), "absent");
}

TEST_F(HttpRedirectTest, an_upgrade_cannot_follow) {
  const std::string answer = get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
  EXPECT_EQ(status(answer), "400");
  EXPECT_NE(answer.find("a connection that changes its protocol cannot follow"), std::string::npos);
  EXPECT_EQ(status(get("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n")), "307");
  EXPECT_EQ(status(ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")), "400");
}

TEST_F(HttpRedirectTest, auto_redirects_what_is_worth_it) {
  route.mode = RouteMode::automatic;
  const auto is_redirected = [&](const std::string& answer) {
    EXPECT_TRUE(status(answer) == "307" || status(answer) == "502") << answer;
    return status(answer) == "307";
  };
  const auto post = [&](std::uint64_t bytes) {
    options.outliers.reset();
    pool = std::make_shared<Pool>("pool", 1);  // which has not failed yet
    return ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n", {http::BodyKind::length, bytes});
  };
  EXPECT_TRUE(is_redirected(get("/")));
  EXPECT_TRUE(is_redirected(post(1U << 20U)));
  EXPECT_FALSE(is_redirected(post((1U << 20U) - 1)));
  pool = std::make_shared<Pool>("pool", 1);
  EXPECT_FALSE(is_redirected(get("/", "X-Steelyard-No-Redirect: 1\r\n")));
  pool = std::make_shared<Pool>("pool", 1);
  EXPECT_FALSE(is_redirected(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n")));
  route.redirect.automatic.methods = {"POST"};
  pool = std::make_shared<Pool>("pool", 1);
  EXPECT_FALSE(is_redirected(get("/")));
  EXPECT_TRUE(is_redirected(post(5)));
}

TEST_F(HttpRedirectTest, it_counts_at_a_server_that_reports) {
  get("/");
  pool->report(*pool->servers().front(), {0, 0, "run"}, scheduler.now());
  get("/");
  get("/");
  const Server& counted = *pool->servers().front();
  EXPECT_EQ(counted.load.active.load(), 2U);
  EXPECT_EQ(counted.remote.value(), 2);
  EXPECT_EQ(counted.remote.redirects(), 3U);
  options.queue.per_server_max = 2;
  options.queue.queue_max = 0;
  EXPECT_EQ(status(get("/")), "503");
}

TEST_F(HttpRedirectTest, a_session_is_given_with_it) {
  options.sticky.emplace().secret = "0123456789abcdef";
  const std::string answer = get("/");
  EXPECT_EQ(status(answer), "307");
  EXPECT_TRUE(field(answer, "Set-Cookie").starts_with("steelyard="));
}

TEST_F(HttpRedirectTest, a_pause_that_is_over_ends_with_a_redirect_because_nobody_hears_of_a_try) {
  get("/");
  const std::shared_ptr<Server> away = pool->servers().front();
  pool->on_unreachable(*away, "connection refused", {scheduler.now(), 0});
  EXPECT_TRUE(away->held(any_hold));
  turn(scheduler, at_ms(200));
  EXPECT_EQ(status(get("/")), "307");
  EXPECT_FALSE(away->held(any_hold));
}

}  // namespace http_redirect_test
}  // namespace steelyard
