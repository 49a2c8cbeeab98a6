// What may be said of redirects: what it means, what is refused, and with which words.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/plan.hpp"

namespace steelyard::config {
namespace redirect_test {

using Lines = std::vector<std::string>;
using Kind = ClientBinding::Kind;

// The route is in line 2, and its keys begin in column 23.
std::string file_with(const std::string& route, const std::string& server = "'a:1'") {
  return "listeners: [{bind: 127.0.0.1:80}]\nroutes: [{pool: api, " + route + "}]\npools: {api: {servers: [" + server + "]}}\n";
}

Lines problems(const std::string& text) {
  const auto loaded = load_text(text, "t");
  Lines lines;
  if (!loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(to_string(problem));
  }
  return lines;
}

// As the file says it; written out in full it must mean the same.
Options loaded(const std::string& text) {
  auto loaded = load_text(text, "t");
  if (!loaded) {
    ADD_FAILURE() << to_string(loaded.error().front()) << "\n" << text;
    return {};
  }
  EXPECT_TRUE(loaded->warnings.empty());
  const std::string full = expand(loaded->options);
  const auto again = load_text(full, "expanded");
  EXPECT_TRUE(again && expand(again->options) == full && compare(again->options, loaded->options).empty()) << full;
  return std::move(loaded->options);
}
RouteOptions route_of(const std::string& route) {
  const Options options = loaded(file_with(route));
  return options.routes.empty() ? RouteOptions{} : options.routes.front();
}
std::string url_of(const std::string& url) {
  const auto loaded = load_text(file_with("mode: proxy", "{address: 'a:1', public_url: '" + url + "'}"), "t");
  if (loaded) return loaded->options.pools.front().servers.front().public_url;
  const std::string text = to_string(loaded.error().front());
  return text.substr(text.find("which ") == std::string::npos ? 0 : text.find("which "));
}

TEST(Redirects, are_off_by_default) {
  EXPECT_EQ(route_of("repeat: any").mode, RouteMode::proxy);
  const RedirectOptions redirect = route_of("mode: redirect").redirect;
  EXPECT_EQ(redirect.status, 307);
  EXPECT_EQ(redirect.keys, "");
  EXPECT_EQ(redirect.lifetime, 30s);
}

TEST(Redirects, are_read_in_full) {
  const RouteOptions route = route_of(
      "mode: auto, redirect: {status: 308, keys: /etc/keys.json, token_in: cookie, token_name: pass, lifetime: 2m, client: /20, "
      "bind_query: false, auto: {methods: [GET, PROPFIND], body_bytes_min: 10MiB}}");
  EXPECT_EQ(route.mode, RouteMode::automatic);
  const RedirectOptions& redirect = route.redirect;
  EXPECT_EQ(redirect.status, 308);
  EXPECT_EQ(redirect.keys, "/etc/keys.json");
  EXPECT_EQ(redirect.token_in, TokenPlace::cookie);
  EXPECT_EQ(redirect.token_name, "pass");
  EXPECT_EQ(redirect.lifetime, 2min);
  EXPECT_EQ(redirect.client, (ClientBinding{.kind = Kind::prefix, .prefix_v4 = 20}));
  EXPECT_FALSE(redirect.bind_query);
  EXPECT_EQ(redirect.automatic.methods, (std::vector<std::string>{"GET", "PROPFIND"}));
  EXPECT_EQ(redirect.automatic.body_bytes_min, 10U << 20U);
  EXPECT_EQ(route_of("mode: redirect, redirect: {keys: k, client: none}").redirect.client.kind, Kind::none);
  EXPECT_EQ(route_of("mode: redirect, redirect: {keys: k, client: exact}").redirect.client.kind, Kind::exact);
  EXPECT_TRUE(route_of("mode: auto, redirect: {auto: {methods: [], body_bytes_min: never}}").redirect.automatic.methods.empty());
}

TEST(Redirects, keys_without_effect_are_refused) {
  EXPECT_EQ(problems(file_with("redirect: {status: 308}")),
            Lines{"t:2:22: routes[0].redirect: found the key \"redirect\", which counts with mode: redirect or auto only; remove it, or "
                  "change mode"});
  EXPECT_EQ(problems(file_with("mode: redirect, redirect: {token_name: x}")),
            Lines{"t:2:49: routes[0].redirect.token_name: found the key \"token_name\", which counts with keys: FILE only; remove it, or "
                  "change keys"});
}

TEST(Redirects, values_that_cannot_be_are_refused) {
  EXPECT_EQ(problems(file_with("mode: redirects")),
            Lines{"t:2:28: routes[0].mode: found \"redirects\", allowed is proxy, redirect or auto; did you mean \"redirect\"?"});
  EXPECT_EQ(problems(file_with("mode: redirect, redirect: {status: 302}")),
            Lines{"t:2:57: routes[0].redirect.status: found 302, allowed is 307 or 308"});
  EXPECT_EQ(
      problems(file_with("mode: redirect, redirect: {keys: k, client: /32}")),
      Lines{"t:2:66: routes[0].redirect.client: found \"/32\", allowed is exact, none, or a prefix from \"/8\" to \"/31\"; \"/32\" is "
            "written exact"});
  EXPECT_EQ(problems(file_with("mode: redirect, redirect: {keys: k, token_name: steelyard_hops}")),
            Lines{"t:2:70: routes[0].redirect.token_name: found \"steelyard_hops\", which has a meaning of its own: it says how often a "
                  "request was sent back; allowed is a name of up to 64 letters, digits and . _ -"});
}

TEST(Guards, know_whole_seconds_only) {
  EXPECT_EQ(problems(file_with("guard: {keys: k, server: a, skew: 900ms}")),
            Lines{"t:2:56: routes[0].guard.skew: found \"900ms\", allowed is a duration from 0s to 5m in whole seconds"});
}

TEST(Guards, that_are_on_are_told_what_they_need) {
  EXPECT_EQ(problems(file_with("guard: on")), Lines{"t:2:29: routes[0].guard: found \"on\", allowed is a map with the keys of a guard, or "
                                                    "off; write {keys: ..., server: ...}"});
  EXPECT_EQ(problems(file_with("guard: ")), Lines{"t:2:29: routes[0].guard: found nothing, allowed is a map with the keys of a guard; "
                                                  "write {keys: ..., server: ...}, or remove it"});
}

TEST(PublicUrls, are_schemes_with_hosts_and_perhaps_ports) {
  for (const char* url :
       {"http://a.example.com", "https://a.example.com:8443", "http://10.0.0.5", "http://[fd00::7]:80", "https://[::1]"}) {
    EXPECT_EQ(url_of(url), url);
  }
}

TEST(PublicUrls, are_refused_with_what_is_too_much_or_missing) {
  EXPECT_TRUE(url_of("a.example.com").starts_with("which does not begin with \"http://\" or \"https://\""));
  EXPECT_TRUE(url_of("ftp://a").starts_with("which does not begin with"));
  EXPECT_TRUE(url_of("http://a/").starts_with("which has a path, which comes from the request: write \"http://a\""));
  EXPECT_TRUE(url_of("https://a:1/x?y").starts_with("which has a path, which comes from the request: write \"https://a:1\""));
  EXPECT_TRUE(url_of("http://a?x").starts_with("which has a query"));
  EXPECT_TRUE(url_of("http://a#x").starts_with("which has a fragment"));
  EXPECT_TRUE(url_of("http://me@a").starts_with("which has a user's name"));
  EXPECT_TRUE(url_of("http://").starts_with("which has no host"));
  EXPECT_TRUE(url_of("http://a b").starts_with("which has no host"));
  EXPECT_TRUE(url_of("http://a:0").starts_with("which has the port 0"));
  EXPECT_TRUE(url_of("http://a:80:80").starts_with("which has more than one ':'"));
}

}  // namespace redirect_test
}  // namespace steelyard::config
