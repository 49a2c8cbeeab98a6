// What may be said of limits on requests and their stores: what it means, what is refused, and with which words.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/load.hpp"

namespace steelyard::config {
namespace limits_test {

using Lines = std::vector<std::string>;

std::string file_of(const std::string& route, const std::string& rest) {
  return "listeners: [{bind: 127.0.0.1:80}]\npools: {api: {servers: ['a:1']}}\nroutes: [{pool: api" + route + "}]\n" + rest;
}
// A limit with `keys`, all in line 4; the keys begin in column 15.
std::string limit_with(const std::string& keys) { return file_of(", limits: a", "limits: {a: { " + keys + "}}\n"); }
std::string store_with(const std::string& keys) {
  return file_of(", limits: a", "limits: {a: {rate: 1/s, store: s}}\nstores: {s: { " + keys + "}}\n");
}

Loaded loaded(const std::string& text) {
  auto loaded = load_text(text, "t");
  if (loaded) return std::move(*loaded);
  ADD_FAILURE() << to_string(loaded.error().front()) << "\n" << text;
  return {};
}

// As the file says it; written out in full it must mean the same.
Options options(const std::string& text) {
  const Options options = loaded(text).options;
  const std::string full = expand(options);
  EXPECT_EQ(expand(loaded(full).options), full);
  return options;
}
quota::LimitOptions limit(const std::string& keys) {
  const Options all = options(limit_with(keys));
  return all.limits.empty() ? quota::LimitOptions{} : all.limits.front();
}
quota::StoreOptions store(const std::string& keys) {
  const Options all = options(store_with(keys));
  return all.stores.empty() ? quota::StoreOptions{} : all.stores.front();
}

Lines problems(const std::string& text) {
  Lines lines;
  if (const auto loaded = load_text(text, "t"); !loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(to_string(problem));
  }
  return lines;
}
Lines warnings(const std::string& text) {
  Lines lines;
  for (const Problem& warning : loaded(text).warnings) lines.push_back(to_string(warning));
  return lines;
}

TEST(Limits, count_by_client_in_memory_unless_they_say_otherwise) {
  const quota::LimitOptions read = limit("rate: 100/1m");
  EXPECT_EQ(read.name, "a");
  EXPECT_EQ(read.rule, (limit::Rule{limit::Kind::token_bucket, 100, 60s, 100}));
  EXPECT_EQ(read.key, std::vector<quota::KeyPart>{{}});
  EXPECT_TRUE(read.store.empty());
  EXPECT_EQ(read.body, "Rate limit exceeded");
}

TEST(Limits, have_rates_in_several_spellings) {
  EXPECT_EQ(limit("rate: 5/s").rule.period, 1s);
  EXPECT_EQ(limit("rate: 5/250ms").rule.period, 250ms);
  EXPECT_EQ(limit("rate: 5/1.5h").rule.period, 90min);
  EXPECT_EQ(limit("rate: 100/1m, burst: 7").rule.burst, 7U);
  EXPECT_EQ(limit("kind: fixed_window, rate: 5/1m").rule, (limit::Rule{limit::Kind::fixed_window, 5, 60s, 0}));
  EXPECT_EQ(limit("rate: 10MiB/1s, kind: bandwidth").rule, (limit::Rule{limit::Kind::bandwidth, 10U << 20U, 1s, 10U << 20U}));
  EXPECT_EQ(limit("kind: concurrent, active_max: 3").rule, (limit::Rule{limit::Kind::concurrent, 3, 0s, 0}));
}

TEST(Limits, count_by_what_a_request_has) {
  using Source = quota::KeyPart::Source;
  const auto key = limit("rate: 1/s, key: [client_ip, 'header:X-Key', host, policy, path, method, 'query:k', 'cookie: c']").key;
  ASSERT_EQ(key.size(), 8U);
  EXPECT_EQ(key[0].source, Source::client);
  EXPECT_EQ(key[1].from, (policy::SourceOptions{policy::SourceOptions::Kind::header, "X-Key"}));
  EXPECT_EQ(key[2].from.kind, policy::SourceOptions::Kind::host);
  EXPECT_EQ(key[3].source, Source::policy);
  EXPECT_EQ(key[7].from, (policy::SourceOptions{policy::SourceOptions::Kind::cookie, "c"}));
}

TEST(Limits, refuse_what_lets_nothing_pass_or_cannot_be_counted) {
  EXPECT_EQ(problems(limit_with("burst: 1")),
            Lines{"t:4:13: limits.a: \"rate\" is missing, allowed is a number and a time such as \"100/1m\"; of bandwidth a size and a "
                  "time such as \"10MiB/1s\": add it"});
  EXPECT_EQ(problems(limit_with("rate: 0/1m")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 100")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 100/m5")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 100/90")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 5/40000h")).size(), 1U) << "longer than can be counted";
  EXPECT_EQ(problems(limit_with("rate: 1MiB/1s")),
            Lines{"t:4:21: limits.a.rate: found \"1MiB/1s\", which is a number of bytes, allowed is that with kind: bandwidth only; of "
                  "requests write \"100/1m\""});
  EXPECT_EQ(problems(limit_with("kind: concurrent")),
            Lines{"t:4:13: limits.a: \"active_max\" is missing, allowed is a whole number from 1 to 10000000: add it"});
  EXPECT_EQ(problems(limit_with("kind: concurrent, active_max: 1, rate: 1/s")).size(), 1U);
  EXPECT_EQ(problems(limit_with("kind: fixed_window, rate: 1/s, burst: 5")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 1/s, lease: 5")).size(), 1U) << "there is no store";
}

TEST(Limits, refuse_keys_that_are_none) {
  EXPECT_EQ(
      problems(limit_with("rate: 1/s, key: client_pi")),
      Lines{"t:4:31: limits.a.key: found \"client_pi\", allowed is client_ip, path, method, host, policy, header:NAME, cookie:NAME or "
            "query:NAME; did you mean \"client_ip\"?"});
  EXPECT_EQ(problems(limit_with("rate: 1/s, key: 'header:'")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 1/s, key: []")).size(), 1U);
  EXPECT_EQ(problems(limit_with("rate: 1/s, key: [path, path, path, path, path, path, path, path, path]")).size(), 1U);
}

TEST(Limits, are_named_where_they_count) {
  EXPECT_EQ(options(file_of(", limits: [a, b]", "limits: {a: {rate: 1/s}, b: {rate: 1/s}}\n")).routes.front().limits,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(problems(file_of(", limits: per-clinet", "limits: {per-client: {rate: 1/s}}\n")),
            Lines{"t:3:30: routes[0].limits: found the limit \"per-clinet\", which does not exist; allowed is per-client; did you mean "
                  "\"per-client\"?"});
  EXPECT_EQ(
      problems(file_of(", limits: a", "")),
      Lines{"t:3:30: routes[0].limits: found the limit \"a\", but there are no limits; add \"limits: {a: {rate: 100/1m}}\" at the top "
            "level"});
  EXPECT_EQ(warnings(file_of("", "limits: {a: {rate: 1/s}}\n")),
            Lines{"t:4:10: limits.a: nothing names this limit, so it limits nothing: add \"limits: a\" to a listener, a route or a pool"});
  EXPECT_EQ(problems(file_of(", limits: [a, a, a, a, a, a, a, a, a]", "limits: {a: {rate: 1/s}}\n")).size(), 1U);
}

TEST(Limits, by_policy_need_one_that_is_known_in_time) {
  const auto file = [](const std::string& policy) {
    return "listeners: [{bind: 127.0.0.1:80}]\npools: {api: {servers: [{address: 'a:1', labels: {p: x}}]" + policy +
           "}}\nroutes: [{pool: api, limits: a}]\nlimits: {a: {rate: 1/s, key: policy}}\n";
  };
  EXPECT_EQ(warnings(file("")).size(), 1U) << "it counts by client";
  EXPECT_TRUE(warnings(file(", policy: {label: p, from: 'header:P'}")).empty());
  EXPECT_EQ(problems(file(", policy: {label: p, from: 'json:p'}")).size(), 1U);
}

TEST(Stores, have_a_url) {
  const quota::StoreOptions read = store("url: 'redis://me@[::1],redis.internal:7000/3', password_file: /p");
  EXPECT_EQ(read.places, (std::vector<quota::StoreOptions::Place>{{"::1", 6379}, {"redis.internal", 7000}}));
  EXPECT_EQ(read.redis.login.username, "me");
  EXPECT_EQ(read.redis.database, 3U);
  EXPECT_FALSE(read.redis.tls);
  EXPECT_EQ(read.when_unreachable, quota::WhenUnreachable::local);
  EXPECT_EQ(store("url: 'rediss://redis.internal'").redis.tls->server_name, "redis.internal");
  EXPECT_EQ(store("url: 'rediss://127.0.0.1'").redis.tls->server_name, "") << "its address has to be in the certificate";
}

TEST(Stores, refuse_urls_that_are_none_and_show_no_password) {
  for (const char* const url : {"127.0.0.1:6379", "http://a", "redis://", "redis://a/x", "redis://a:0", "redis://a/70000"}) {
    EXPECT_EQ(problems(store_with("url: '" + std::string(url) + "'")).size(), 1U) << url;
  }
  const Lines secret = problems(store_with("url: 'redis://:hunter2@a'"));
  ASSERT_EQ(secret.size(), 1U);
  EXPECT_EQ(secret.front().find("hunter2"), std::string::npos);
}

TEST(Stores, refuse_what_does_not_go_together) {
  EXPECT_EQ(problems(store_with("mode: sentinel, url: 'redis://a'")).size(), 1U) << "which master?";
  EXPECT_EQ(problems(store_with("mode: cluster, url: 'redis://a/1'")).size(), 1U);
  EXPECT_EQ(problems(store_with("url: 'redis://me@a'")).size(), 1U) << "a user without a password";
  EXPECT_EQ(problems(store_with("url: 'redis://a', tls: {verify: none}")).size(), 1U);
  EXPECT_EQ(problems(store_with("url: 'redis://a', master: m")).size(), 1U);
  EXPECT_EQ(problems(file_of(", limits: a", "limits: {a: {rate: 1/s, store: s}}\n")).size(), 1U) << "there is none";
  EXPECT_EQ(problems(file_of(", limits: a", "limits: {a: {kind: concurrent, active_max: 1, store: s}}\nstores: {s: {url: 'redis://a'}}\n"))
                .size(),
            1U);
}

}  // namespace limits_test
}  // namespace steelyard::config
