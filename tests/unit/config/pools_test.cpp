// What may be said of a pool: what it means, what is refused, and with which words.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace steelyard::config {
namespace pools_test {

using Lines = std::vector<std::string>;

std::string file_of(const std::string& pool) { return "listeners: [{bind: 127.0.0.1:80}]\npools:\n  api: " + pool + "\n"; }

// A pool of one server with `keys`, all in line 3; the keys begin in column 27.
std::string pool_with(const std::string& keys) { return file_of("{servers: ['a:1'], " + keys + "}"); }

Loaded loaded(const std::string& text) {
  auto loaded = load_text(text, "t");
  if (loaded) return std::move(*loaded);
  ADD_FAILURE() << to_string(loaded.error().front()) << "\n" << text;
  return {};
}

// As the file says it; written out in full it must mean the same.
PoolOptions pool(const std::string& keys) {
  const Options options = loaded(pool_with(keys)).options;
  if (options.pools.empty()) return {};
  const std::string full = expand(options);
  EXPECT_EQ(expand(loaded(full).options), full);
  return options.pools.front();
}

Lines problems(const std::string& keys) {
  Lines lines;
  if (const auto loaded = load_text(pool_with(keys), "t"); !loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(to_string(problem));
  }
  return lines;
}

Lines warnings(const std::string& text) {
  Lines lines;
  for (const Problem& warning : loaded(text).warnings) lines.push_back(to_string(warning));
  return lines;
}

using Source = balance::HashKeyOptions::Source;
using Ranges = std::vector<StatusRange>;

TEST(Pool, has_the_defaults_of_its_options) {
  const PoolOptions with = loaded(file_of("{servers: ['a:1']}")).options.pools.at(0);
  const PoolOptions defaults;
  EXPECT_EQ(with.algorithm, Algorithm::adaptive);
  EXPECT_FALSE(with.health);
  EXPECT_TRUE(with.outliers);
  EXPECT_EQ(with.slow_start.window, defaults.slow_start.window);
  EXPECT_EQ(with.retries.on_statuses, defaults.retries.on_statuses);
  EXPECT_FALSE(with.hedging);
  EXPECT_FALSE(with.sticky);
  EXPECT_EQ(with.servers.at(0).active_max, std::nullopt);
}

TEST(Pool, takes_every_algorithm) {
  EXPECT_EQ(pool("algorithm: round_robin").algorithm, Algorithm::round_robin);
  EXPECT_EQ(pool("algorithm: least_connections").algorithm, Algorithm::least_connections);
  EXPECT_EQ(pool("algorithm: ip_hash").algorithm, Algorithm::ip_hash);
  EXPECT_EQ(pool("algorithm: hash").algorithm, Algorithm::hash);
  EXPECT_EQ(pool("algorithm: random").algorithm, Algorithm::random);
  EXPECT_EQ(pool("algorithm: fastest").algorithm, Algorithm::fastest);
}

TEST(Pool, hashes_by_what_the_key_names) {
  const auto key = [](const std::string& text) { return pool("algorithm: hash, hash_key: " + text).hash_key; };
  EXPECT_EQ(pool("algorithm: hash").hash_key.source, Source::client);
  EXPECT_EQ(key("client").source, Source::client);
  EXPECT_EQ(key("path").source, Source::path);
  EXPECT_EQ(key("query user").source, Source::query);
  EXPECT_EQ(key("query user").name, "user");
  EXPECT_EQ(key("header  X-User").source, Source::header);
  EXPECT_EQ(key("header  X-User").name, "X-User");
  EXPECT_EQ(key("cookie session").source, Source::cookie);
  EXPECT_EQ(pool("algorithm: hash, hash_load_max: 2.5").hash_load_max, 2.5);
  EXPECT_EQ(pool("algorithm: hash, hash_load_max: unlimited").hash_load_max, std::numeric_limits<double>::infinity());
}

TEST(Pool, refuses_hash_keys_that_are_none) {
  EXPECT_EQ(problems("algorithm: hash, hash_key: header"),
            Lines{"t:3:54: pools.api.hash_key: found \"header\", which lacks the name; allowed is the name of a header field, such as "
                  "\"header X-User\""});
  EXPECT_EQ(problems("algorithm: hash, hash_key: query a b"),
            Lines{"t:3:54: pools.api.hash_key: found \"query a b\", which names \"a b\", which is not the name of a query parameter as a "
                  "URL has it; allowed is the name of a query parameter, such as \"query user\""});
  EXPECT_EQ(problems("algorithm: hash, hash_key: heder X-User"),
            Lines{"t:3:54: pools.api.hash_key: found \"heder X-User\", allowed is client, path, query NAME, header NAME or cookie NAME; "
                  "did you mean \"header\"?"});
  EXPECT_EQ(problems("algorithm: hash, hash_load_max: 0.9"),
            Lines{"t:3:59: pools.api.hash_load_max: found 0.9, allowed is a number from 1 to 100, or unlimited"});
}

TEST(Pool, refuses_keys_that_count_with_another_algorithm_only) {
  EXPECT_EQ(problems("hash_key: path"), Lines{"t:3:27: pools.api.hash_key: found the key \"hash_key\", which counts with algorithm: hash "
                                              "only; remove it, or change algorithm"});
  EXPECT_EQ(problems("algorithm: random, hash_load_max: 2").size(), 1U);
  // Whether it counts is not known where the algorithm was refused itself.
  EXPECT_EQ(problems("algorithm: hsh, hash_key: path").size(), 1U);
}

TEST(Pool, points_at_a_key_that_lies_deeper) {
  const auto ends = [](const Lines& lines, const char* end) { return lines.size() == 1 && lines[0].ends_with(end); };
  EXPECT_TRUE(ends(problems("tries_max: 3"), "; did you mean \"retries.tries_max\"?"));
  EXPECT_TRUE(ends(problems("interval: 3s"), "; did you mean \"health.interval\"?"));
  EXPECT_TRUE(ends(problems("weight: 3"), "; did you mean \"servers[].weight\"?"));
  const auto top = load_text(pool_with("keepalive: {}") + "servers: []\n", "t");
  ASSERT_FALSE(top);
  EXPECT_TRUE(to_string(top.error().front()).ends_with("; did you mean \"pools.NAME.servers\"?"));
}

TEST(Servers, may_be_backups_drained_and_limited) {
  const auto options = loaded(file_of("{servers: [{address: 'a:1', backup: true, active_max: 7}, {address: 'b:1', weight: 0}]}")).options;
  const auto& servers = options.pools.at(0).servers;
  EXPECT_TRUE(servers.at(0).backup);
  EXPECT_EQ(servers.at(0).active_max, 7U);
  EXPECT_EQ(servers.at(1).weight, 0U);
  EXPECT_FALSE(servers.at(1).backup);
}

TEST(Servers, that_take_no_traffic_are_warned_of) {
  EXPECT_EQ(warnings(file_of("{servers: [{address: 'a:1', weight: 0}]}")),
            Lines{"t:3:18: pools.api.servers: every server has the weight 0, so that none takes new traffic: give one of them a weight of "
                  "1 or more"});
  EXPECT_EQ(warnings(file_of("{servers: [{address: 'a:1', backup: true}]}")),
            Lines{"t:3:18: pools.api.servers: every server is a backup, which is the same as none: remove \"backup: true\" where it is "
                  "not meant"});
  EXPECT_EQ(warnings(file_of("{servers: [{address: 'a:1', weight: 0}, {address: 'b:1', backup: true}]}")), Lines{});
}

TEST(Health, takes_every_key_of_an_http_check) {
  const HealthOptions health = *pool(
                                    "health: {kind: http, method: HEAD, path: /up, host: app.example.com, headers: {X-A: b, X-C: d}, "
                                    "expect: [200, 204, 300-399], drain_on: 503, interval: 10s, jitter: 12.5%, timeout: 1s, rise: 2, "
                                    "fall: 3, before_traffic: true}")
                                    .health;
  EXPECT_EQ(health.kind, CheckKind::http);
  EXPECT_EQ(health.method, "HEAD");
  EXPECT_EQ(health.path, "/up");
  EXPECT_EQ(health.host, "app.example.com");
  ASSERT_EQ(health.headers.size(), 2U);
  EXPECT_EQ(health.headers[1], (std::pair<std::string, std::string>("X-C", "d")));
  EXPECT_EQ(health.expect, (Ranges{{200, 200}, {204, 204}, {300, 399}}));
  EXPECT_EQ(health.drain_on, (Ranges{{503, 503}}));
  EXPECT_EQ(health.interval, 10s);
  EXPECT_EQ(health.jitter, 0.125);
  EXPECT_EQ(health.timeout, 1s);
  EXPECT_EQ(health.rise, 2U);
  EXPECT_EQ(health.fall, 3U);
  EXPECT_TRUE(health.before_traffic);
  EXPECT_EQ(pool("health: {body: 'all is well'}").health->body, "all is well");
  EXPECT_EQ(pool("health: {expect: 200-299}").health->expect, (Ranges{{200, 299}}));
  EXPECT_FALSE(pool("health: off").health);
}

TEST(Health, of_tcp_has_no_keys_of_http) {
  EXPECT_EQ(pool("health: {kind: tcp, interval: 7s}").health->kind, CheckKind::tcp);
  for (const char* key : {"method: HEAD", "path: /x", "host: a", "headers: {A: b}", "expect: 200", "drain_on: 503", "body: x"}) {
    const Lines lines = problems("health: {kind: tcp, " + std::string(key) + "}");
    ASSERT_EQ(lines.size(), 1U) << key;
    EXPECT_TRUE(lines[0].ends_with(", which counts with kind: http only; remove it, or change kind")) << lines[0];
  }
}

TEST(Servers, may_be_a_service_whose_records_say_the_ports) {
  const std::string text = "listeners: [{bind: 127.0.0.1:8080}]\npools: {a: {servers: [_http._tcp.app.internal, app.internal:80]}}\n";
  const auto loaded = load_text(text, "t");
  ASSERT_TRUE(loaded) << to_string(loaded.error().front());
  const std::vector<ServerOptions>& servers = loaded->options.pools.front().servers;
  EXPECT_EQ(servers[0].host, "_http._tcp.app.internal");
  EXPECT_EQ(servers[0].port, 0);
  EXPECT_EQ(servers[0].id, "_http._tcp.app.internal");
  EXPECT_EQ(servers[1].id, "app.internal:80");
  EXPECT_NE(expand(loaded->options).find("- address: _http._tcp.app.internal\n"), std::string::npos);
}

TEST(Health, refuses_what_cannot_be_asked) {
  EXPECT_EQ(problems("health: {method: get}"),
            Lines{"t:3:44: pools.api.health.method: found \"get\", which is not in capital letters: methods are case-sensitive, write GET "
                  "or HEAD"});
  EXPECT_EQ(problems("health: {method: CONNECT}").size(), 1U);
  EXPECT_EQ(problems("health: {host: '::1'}"),
            Lines{"t:3:42: pools.api.health.host: found \"::1\", which lacks brackets: write \"[::1]:80\""});
  EXPECT_EQ(problems("health: {headers: {host: a}}"),
            Lines{"t:3:46: pools.api.health.headers.host: found the field \"host\", which is set by the key \"host\" of the check: write "
                  "it there"});
  EXPECT_EQ(problems("health: {headers: {Content-Length: 3}}").size(), 1U);
  EXPECT_EQ(problems("health: {method: HEAD, body: x}"), Lines{"t:3:35: pools.api.health: found a body with method: HEAD, whose answers "
                                                               "have none; write method: GET, or remove the body"});
  EXPECT_EQ(problems("health: {jitter: 10}"), Lines{"t:3:44: pools.api.health.jitter: found 10, which has no percent sign: write \"10%\""});
  EXPECT_EQ(problems("health: {jitter: 51%}"),
            Lines{"t:3:44: pools.api.health.jitter: found \"51%\", allowed is a percentage from 0% to 50%"});
}

TEST(Statuses, are_refused_with_the_way_out) {
  EXPECT_EQ(problems("health: {expect: 2xx}"),
            Lines{"t:3:44: pools.api.health.expect: found \"2xx\", which is no number: write \"200-299\""});
  EXPECT_EQ(problems("health: {expect: [200, 299-200]}"),
            Lines{"t:3:50: pools.api.health.expect[1]: found 299-200, which ends before it begins: write \"200-299\""});
  EXPECT_EQ(problems("health: {expect: 101}"), Lines{"t:3:44: pools.api.health.expect: found 101, which is not within 200 to 599; allowed "
                                                     "is a status code from 200 to 599 or a range such as 500-504"});
  EXPECT_EQ(problems("health: {expect: []}"), Lines{"t:3:44: pools.api.health.expect: found an empty list, allowed is a status code from "
                                                    "200 to 599, a range such as 500-504, or a list of them"});
  EXPECT_EQ(problems("retries: {on_statuses: 200}").size(), 1U);
}

TEST(Outliers, take_every_key_or_are_off) {
  const OutlierOptions outliers = *pool(
                                       "outliers: {failures_in_row: 7, breaks_in_row: 2, error_ratio_distance: 25%, requests_min: 50, "
                                       "latency_factor: 2.5, interval: 2s, ejection: 10s, ejection_max: 1m, ejected_share_max: 20%}")
                                       .outliers;
  EXPECT_EQ(outliers.failures_in_row, 7U);
  EXPECT_EQ(outliers.breaks_in_row, 2U);
  EXPECT_EQ(outliers.error_ratio_distance, 0.25);
  EXPECT_EQ(outliers.requests_min, 50U);
  EXPECT_EQ(outliers.latency_factor, 2.5);
  EXPECT_EQ(outliers.interval, 2s);
  EXPECT_EQ(outliers.ejection, 10s);
  EXPECT_EQ(outliers.ejection_max, 1min);
  EXPECT_EQ(outliers.ejected_share_max, 0.2);
  EXPECT_FALSE(pool("outliers: off").outliers);
  EXPECT_EQ(pool("outliers: {latency_factor: off}").outliers->latency_factor, std::nullopt);
}

TEST(Outliers, refuse_the_rest_with_the_way_out) {
  EXPECT_EQ(problems("outliers: false"), Lines{"t:3:37: pools.api.outliers: found \"false\", allowed is a map of what a server is ejected "
                                               "for, or off; did you mean \"off\"?"});
  EXPECT_EQ(problems("outliers: true"), Lines{"t:3:37: pools.api.outliers: found \"true\", allowed is a map of what a server is ejected "
                                              "for, or off; write {} for its defaults"});
  EXPECT_EQ(problems("outliers: {latency_factor: of}"),
            Lines{"t:3:54: pools.api.outliers.latency_factor: found \"of\", allowed is a number "
                  "from 1.1 to 1000, or off; did you mean \"off\"?"});
  EXPECT_EQ(problems("outliers: {ejection: 10m}"),
            Lines{"t:3:37: pools.api.outliers: found ejection of 10m and ejection_max of 5m, allowed "
                  "is a first ejection no longer than the longest: raise ejection_max"});
}

TEST(Retries, take_every_key) {
  const RetryOptions retries =
      pool("retries: {tries_max: 2, on: [reset], on_statuses: [502, 503-504], try_timeout: 2s, budget: 5%, budget_floor: 0}").retries;
  EXPECT_EQ(retries.tries_max, 2U);
  EXPECT_FALSE(retries.on_connect);
  EXPECT_TRUE(retries.on_reset);
  EXPECT_FALSE(retries.on_timeout);
  EXPECT_EQ(retries.on_statuses, (Ranges{{502, 502}, {503, 504}}));
  EXPECT_EQ(retries.try_timeout, 2s);
  EXPECT_EQ(retries.budget, 0.05);
  EXPECT_EQ(retries.budget_floor, 0U);
}

TEST(Retries, empty_lists_are_none) {
  const RetryOptions retries = pool("retries: {on: [], on_statuses: []}").retries;
  EXPECT_FALSE(retries.on_connect || retries.on_reset || retries.on_timeout);
  EXPECT_TRUE(retries.on_statuses.empty());
  const RetryOptions one = pool("retries: {on: connect}").retries;
  EXPECT_TRUE(one.on_connect);
  EXPECT_FALSE(one.on_reset || one.on_timeout);
}

TEST(Retries, refuse_the_rest_with_the_nearest) {
  EXPECT_EQ(problems("retries: {on: [timout]}"), Lines{"t:3:42: pools.api.retries.on[0]: found \"timout\", allowed is connect, reset or "
                                                       "timeout; did you mean \"timeout\"?"});
  EXPECT_EQ(problems("retries: {tries_max: 9}"),
            Lines{"t:3:48: pools.api.retries.tries_max: found 9, allowed is a whole number from 1 to 8"});
  EXPECT_EQ(problems("retries: {budget: 0.2}"),
            Lines{"t:3:45: pools.api.retries.budget: found 0.2, which has no percent sign: write \"20%\""});
}

TEST(Hedging, is_off_or_after_a_time) {
  EXPECT_FALSE(pool("hedging: off").hedging);
  EXPECT_EQ(pool("hedging: {}").hedging->after, std::nullopt);
  const HedgeOptions measured = *pool("hedging: {after: p95, after_min: 20ms}").hedging;
  EXPECT_EQ(measured.after, std::nullopt);
  EXPECT_EQ(measured.after_min, 20ms);
  EXPECT_EQ(pool("hedging: {after: 50ms}").hedging->after, Duration(50ms));
  EXPECT_EQ(problems("hedging: {after: 50ms, after_min: 20ms}"),
            Lines{"t:3:50: pools.api.hedging.after_min: found the key \"after_min\", which counts with after: p95 only; remove it, or "
                  "change after"});
  EXPECT_EQ(problems("hedging: {after: p99}"),
            Lines{"t:3:44: pools.api.hedging.after: found \"p99\", which is not a duration; allowed is a duration from 1ms to 1h, or p95; "
                  "did you mean \"p95\"?"});
}

TEST(Concurrency, limits_servers_the_pool_and_the_queue) {
  const QueueOptions queue = pool("concurrency: {per_server_max: 100, total_max: 1000, queue_max: 0, queue_timeout: 2s}").queue;
  EXPECT_EQ(queue.per_server_max, 100U);
  EXPECT_EQ(queue.active_max, 1000U);
  EXPECT_EQ(queue.queue_max, 0U);
  EXPECT_EQ(queue.queue_timeout, 2s);
  EXPECT_EQ(pool("concurrency: {per_server_max: unlimited}").queue.per_server_max, active_unlimited);
  EXPECT_EQ(problems("concurrency: {total_max: 0}"), Lines{"t:3:52: pools.api.concurrency.total_max: found 0, allowed is a whole number "
                                                           "from 1 to 10000000, or unlimited"});
}

TEST(SlowStart, is_a_map_or_its_window_alone) {
  const auto start = pool("slow_start: {window: 30s, floor: 5%, curve: 1.5}").slow_start;
  EXPECT_EQ(start.window, 30s);
  EXPECT_EQ(start.floor, 0.05);
  EXPECT_EQ(start.curve, 1.5);
  EXPECT_EQ(pool("slow_start: 20s").slow_start.window, 20s);
  EXPECT_EQ(pool("slow_start: off").slow_start.window, 0s);
  EXPECT_EQ(problems("slow_start: 20"),
            Lines{"t:3:39: pools.api.slow_start: found 20, which needs a unit: write \"20s\" for seconds, or use ms, us, m or h"});
}

TEST(WhenAllDown, is_to_refuse_or_to_try_all) {
  EXPECT_EQ(pool("when_all_down: refuse").when_all_down, WhenAllDown::refuse);
  EXPECT_EQ(pool("when_all_down: try_all").when_all_down, WhenAllDown::try_all);
}

TEST(Sticky, takes_every_key) {
  const StickyOptions sticky =
      *pool("sticky: {cookie: __Host-node, secret: 0123456789abcdef, max_age: 2h, secure: true, follow_drained: false}").sticky;
  EXPECT_EQ(sticky.cookie, "__Host-node");
  EXPECT_EQ(sticky.secret, "0123456789abcdef");
  EXPECT_EQ(sticky.max_age, Duration(2h));
  EXPECT_TRUE(sticky.secure);
  EXPECT_FALSE(sticky.follow_drained);
  EXPECT_EQ(pool("sticky: {secret: 0123456789abcdef, max_age: session}").sticky->max_age, std::nullopt);
  EXPECT_FALSE(pool("sticky: off").sticky);
}

TEST(Sticky, without_a_secret_is_warned_of) {
  EXPECT_EQ(warnings(pool_with("sticky: {}")),
            Lines{"t:3:35: pools.api.sticky: there is no secret: sessions end with the process and are not shared with other proxies; add "
                  "one of at least 16 random bytes"});
  EXPECT_EQ(warnings(pool_with("sticky: {secret: 0123456789abcdef}")), Lines{});
}

TEST(Sticky, refuses_what_browsers_would_drop_and_shows_no_secret) {
  EXPECT_EQ(problems("sticky: {secret: swordfish}"),
            Lines{"t:3:44: pools.api.sticky.secret: found a text of 9 bytes, allowed is a random text of 16 to 1024 bytes"});
  EXPECT_EQ(
      problems("sticky: {cookie: 'a b'}"),
      Lines{"t:3:44: pools.api.sticky.cookie: found \"a b\", which is not the name of a cookie (RFC 6265 §4.1.1); allowed is the name "
            "of a cookie"});
  EXPECT_EQ(problems("sticky: {cookie: __Secure-a}"), Lines{"t:3:35: pools.api.sticky: found the cookie \"__Secure-a\" without secure: "
                                                            "true, which browsers drop; add it, or choose another name"});
}

TEST(Routes, say_whether_any_request_may_be_repeated) {
  const auto route = [](const std::string& keys) {
    return loaded(pool_with("") + "routes: [{pool: api" + keys + "}]\n").options.routes.at(0);
  };
  EXPECT_FALSE(route("").repeat_any);
  EXPECT_FALSE(route(", repeat: idempotent").repeat_any);
  EXPECT_TRUE(route(", repeat: any").repeat_any);
}

}  // namespace pools_test
}  // namespace steelyard::config
