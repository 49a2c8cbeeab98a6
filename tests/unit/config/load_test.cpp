// What good files mean.
#include "config/load.hpp"

#include <gtest/gtest.h>

namespace steelyard::config {
namespace load_test {

Options load(std::string_view text) {
  const auto loaded = load_text(text, "t");
  if (!loaded) {
    ADD_FAILURE() << to_string(loaded.error().front());
    return {};
  }
  return loaded->options;
}

constexpr std::string_view small = "listeners: [{bind: 127.0.0.1:80}]\npools: {app: {servers: ['a:1']}}\n";

TEST(Load, leaves_the_defaults_of_the_structs) {
  const Options options = load(small);
  const Options defaults;
  EXPECT_EQ(options.workers, defaults.workers);
  EXPECT_EQ(options.timeouts.total, Duration::max());
  EXPECT_EQ(options.timeouts.first_byte, 60s);
  EXPECT_EQ(options.http.head.head_bytes_max, 32U * 1024);
  EXPECT_FALSE(options.pools.front().health);
}

TEST(Load, sends_everything_to_a_lone_pool) {
  const Options options = load(small);
  ASSERT_EQ(options.routes.size(), 1U);
  EXPECT_EQ(options.routes.front().pool, "app");
  EXPECT_EQ(options.routes.front().match.path, "");
  EXPECT_EQ(options.routes.front().name, "*");
}

TEST(Load, takes_every_key) {
  const auto loaded = load_file(TESTS_DIR "/../examples/full.yaml");
  ASSERT_TRUE(loaded);
  const Options& options = loaded->options;
  ASSERT_EQ(options.routes.size(), 6U);
  const RouteOptions& canary = options.routes[0];
  EXPECT_EQ(canary.match.host, "api.example.com");
  EXPECT_EQ(canary.match.methods, (std::vector<std::string>{"GET", "HEAD"}));
  EXPECT_EQ(canary.match.headers.at(0).value, "1");
  EXPECT_EQ(canary.host, "server");
  EXPECT_EQ(canary.request_headers.remove, std::vector<std::string>{"X-Debug"});
  EXPECT_EQ(canary.request_headers.set.at(0).value, "canary");
  ASSERT_EQ(canary.request_headers.add.size(), 2U);
  EXPECT_EQ(canary.request_headers.add[1].name, "X-Trace");
  EXPECT_EQ(canary.request_headers.add[1].value, "canary");
  EXPECT_EQ(canary.response_headers.set.at(0).name, "Cache-Control");
  EXPECT_EQ(canary.first_byte_timeout, Duration(5min));
  EXPECT_EQ(canary.total_timeout, Duration(10min));
  EXPECT_EQ(canary.body_bytes_max, 10U << 20U);
  EXPECT_EQ(options.routes[1].host, "");
  EXPECT_EQ(options.routes[2].name, "POST /upload");
  EXPECT_EQ(options.routes[2].body_bytes_max, unlimited);
  ASSERT_EQ(options.pools.size(), 2U);
  const ServerOptions& server = options.pools[0].servers.at(0);
  EXPECT_EQ(server.host, "10.0.0.5");
  EXPECT_EQ(server.port, 8001);
  EXPECT_EQ(server.weight, 2U);
  EXPECT_EQ(server.id, "a");
  EXPECT_EQ(server.labels.at("zone"), "north");
  EXPECT_EQ(options.pools[0].servers.at(1).id, "app.internal:8002");
  EXPECT_EQ(server.active_max, 50U);
  EXPECT_EQ(options.pools[0].algorithm, Algorithm::hash);
  EXPECT_EQ(options.pools[0].hash_key.name, "X-User");
  EXPECT_EQ(options.pools[0].health->body, "ready");
  EXPECT_EQ(options.pools[0].outliers->latency_factor, 5.0);
  EXPECT_EQ(options.pools[0].retries.try_timeout, 10s);
  EXPECT_TRUE(options.pools[0].hedging);
  EXPECT_EQ(options.pools[0].queue.active_max, 1000U);
  EXPECT_EQ(options.pools[0].sticky->max_age, Duration(24h));
  EXPECT_EQ(options.pools[1].servers.at(0).host, "fd00::7");
  EXPECT_TRUE(options.pools[1].health);
  EXPECT_EQ(options.listeners.at(1).bind.to_string(), "[::1]:8081");
  EXPECT_TRUE(options.listeners.at(1).status_pages);
  EXPECT_EQ(options.forwarded.trusted_proxies.size(), 2U);
}

TEST(Load, reads_json_with_tabs) {
  const Options options =
      load("{\n\t\"listeners\": [{\"bind\": \"127.0.0.1:80\"}],\n\t\"pools\": {\"a\": {\n\t\t\"servers\": [\"b:1\"]}}\n}\n");
  EXPECT_EQ(options.pools.at(0).servers.at(0).host, "b");
}

TEST(Load, reads_document_marks_and_a_byte_order_mark) {
  EXPECT_EQ(load("---\n" + std::string(small) + "...\n").pools.size(), 1U);
  EXPECT_EQ(load("\xef\xbb\xbf" + std::string(small)).pools.size(), 1U);
}

TEST(Load, takes_numbers_for_texts) {
  const Options options =
      load("listeners: [{bind: 127.0.0.1:80}]\npools: {app: {servers: [{address: 'a:1', id: 100, labels: {policy: 111}}]}}\n");
  EXPECT_EQ(options.pools.at(0).servers.at(0).id, "100");
  EXPECT_EQ(options.pools.at(0).servers.at(0).labels.at("policy"), "111");
}

TEST(Load, expands_a_loadx_file) {
  const auto loaded = load_file(TESTS_DIR "/../examples/loadx/config.json");
  ASSERT_TRUE(loaded);
  const Options& options = loaded->options;
  ASSERT_EQ(options.listeners.size(), 1U);
  EXPECT_EQ(options.listeners[0].bind.to_string(), "0.0.0.0:8080");
  EXPECT_TRUE(options.listeners[0].status_pages);
  ASSERT_EQ(options.pools.size(), 1U);
  EXPECT_EQ(options.pools[0].servers.size(), 3U);
  EXPECT_EQ(options.pools[0].servers[1].port, 8002);
  ASSERT_TRUE(options.pools[0].health);
  EXPECT_EQ(options.pools[0].health->path, "/health");
  EXPECT_EQ(options.pools[0].health->interval, 30s);
  EXPECT_EQ(options.pools[0].health->timeout, 5s);
  EXPECT_EQ(options.pools[0].algorithm, Algorithm::round_robin);
  EXPECT_EQ(options.pools[0].slow_start.window, 0s);
  EXPECT_EQ(options.connections.connections_max, 1000U);
  EXPECT_EQ(options.timeouts.connect, 30s);
  EXPECT_EQ(options.timeouts.first_byte, 30s);
  EXPECT_EQ(options.timeouts.total, Duration::max());
  EXPECT_EQ(options.routes.at(0).pool, options.pools[0].name);
}

TEST(Load, gives_a_short_loadx_file_the_defaults_of_that_system) {
  const Options options = load(R"({"backend_servers": [{"host": "localhost", "port": 8001}]})");
  EXPECT_EQ(options.listeners.at(0).bind.to_string(), "0.0.0.0:8080");
  EXPECT_EQ(options.pools.at(0).algorithm, Algorithm::round_robin);
  EXPECT_EQ(options.pools.at(0).health->interval, 30s);
  EXPECT_EQ(options.connections.connections_max, 1000U);
  EXPECT_EQ(options.log.access, "stdout");
  EXPECT_TRUE(options.metrics);
}

TEST(Load, takes_every_key_of_a_loadx_file) {
  const Options options = load(
      R"({"proxy_port": 81, "proxy_host": "localhost", "algorithm": "ip_hash", "backend_servers": [{"host": "a", "port": 1, "weight": 3}],
    "health_check_interval": 0.5, "health_check_timeout": 2, "max_connections": 7, "connection_timeout": 3, "request_timeout": 4,
    "enable_logging": false, "enable_metrics": false})");
  EXPECT_EQ(options.listeners.at(0).bind.to_string(), "127.0.0.1:81");
  EXPECT_EQ(options.pools.at(0).algorithm, Algorithm::ip_hash);
  EXPECT_EQ(options.pools.at(0).servers.at(0).weight, 3U);
  EXPECT_EQ(options.pools.at(0).health->interval, 500ms);
  EXPECT_EQ(options.pools.at(0).health->timeout, 2s);
  EXPECT_EQ(options.connections.connections_max, 7U);
  EXPECT_EQ(options.timeouts.connect, 3s);
  EXPECT_EQ(options.timeouts.first_byte, 4s);
  EXPECT_EQ(options.log.access, "off");
  EXPECT_FALSE(options.metrics);
}

TEST(Load, warns_of_what_is_probably_not_meant) {
  const auto loaded = load_text(
      "listeners: [{bind: 127.0.0.1:80}]\n"
      "forwarded: {trusted_proxies: [0.0.0.0/0]}\n"
      "routes: [{pool: a}]\n"
      "pools:\n"
      "  a: {servers: ['a:1'], health: {interval: 1s, timeout: 2s}}\n"
      "  b: {servers: ['a:1']}\n",
      "t");
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 3U);
  EXPECT_EQ(to_string(loaded->warnings[0]),
            "t:5:33: pools.a.health: the timeout of 2s is longer than the interval of 1s: a server that hangs is noticed late; "
            "make the timeout shorter");
  EXPECT_EQ(to_string(loaded->warnings[1]),
            "t:6:3: pools.b: no route leads to this pool, and no listener for packets: add one or remove the pool");
  EXPECT_EQ(to_string(loaded->warnings[2]),
            "t:2:31: forwarded.trusted_proxies[0]: everybody is trusted to say who the client is: name the networks of your own "
            "proxies");
}

TEST(Expand, keeps_what_needs_quotes) {
  const Options options = load(
      "listeners: [{bind: 127.0.0.1:80}]\n"
      "log: {access: 'off'}\n"
      "routes:\n"
      "  - pool: 'null'\n"
      "    name: \"a: b # c \\\" \\\\ ~\"\n"
      "    request_headers: {set: {X-A: 'yes', X-B: '', X-C: '0x10', X-D: '- \"q\"', X-E: '\u00e9: {'}}\n"
      "pools: {'null': {servers: ['a:1'], health: {path: '/?a=b&c'}}}\n");
  const Options again = load(expand(options));
  EXPECT_EQ(again.log.access, "off");
  EXPECT_EQ(again.routes.at(0).name, "a: b # c \" \\ ~");
  EXPECT_EQ(again.routes.at(0).pool, "null");
  const std::vector<HeaderField>& fields = again.routes.at(0).request_headers.set;
  ASSERT_EQ(fields.size(), 5U);
  EXPECT_EQ(fields[0].value, "yes");
  EXPECT_EQ(fields[1].value, "");
  EXPECT_EQ(fields[2].value, "0x10");
  EXPECT_EQ(fields[3].value, "- \"q\"");
  EXPECT_EQ(fields[4].value, "\u00e9: {");
  EXPECT_EQ(again.pools.at(0).health->path, "/?a=b&c");
  EXPECT_EQ(expand(again), expand(options));
}

TEST(Expand, writes_every_default_out) {
  const std::string text = expand(load(small));
  for (const char* line :
       {"workers: auto\n", "spin: 0s\n", "  access: stdout\n", "  head_bytes_max: 32KiB\n", "  total: unlimited\n",
        "  per_client_max: unlimited\n", "  style: x_forwarded\n", "    weight: 1\n", "    algorithm: adaptive\n", "      tries_max: 3\n",
        "      budget: 20%\n", "    health: \"off\"\n", "    sticky: \"off\"\n", "      idle_timeout: 55s\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace load_test
}  // namespace steelyard::config
