// The router against a matcher that tries every route in turn and ranks them by the rules of router.hpp, over random routes and
// queries from a small alphabet, so that most queries meet several routes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "base/ascii.hpp"
#include "base/prng.hpp"
#include "decide/route/check.hpp"
#include "decide/route/router.hpp"

namespace steelyard {
namespace router_reference_test {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Greater is more specific; nullopt does not match.
using HostRank = std::tuple<int, std::size_t, bool>;
std::optional<HostRank> rank_host(const std::string& pattern, const std::string& name, const std::string& port) {
  if (pattern.empty()) return HostRank{0, 0, false};
  const auto parts = split(pattern, ':');
  const bool has_port = parts.size() == 2;
  if (has_port && parts[1] != port) return std::nullopt;
  if (parts[0] == name) return HostRank{2, 0, has_port};
  if (!parts[0].starts_with("*.")) return std::nullopt;
  const std::string suffix = parts[0].substr(1);
  if (name.size() <= suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  return HostRank{1, suffix.size(), has_port};
}

// Segments, then one digit a segment (1 literal, 0 '*'), then whether it ends there.
using PathRank = std::tuple<int, std::string, bool>;
std::optional<PathRank> rank_path(const std::string& pattern, const std::string& path) {
  if (pattern.empty()) return PathRank{-1, "", false};
  auto wanted = split(pattern, '/');
  const auto given = split(path, '/');
  const bool goes_on = wanted.back() == "*";
  if (goes_on) wanted.pop_back();
  if (goes_on ? wanted.size() > given.size() : wanted.size() != given.size()) return std::nullopt;
  std::string literal;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "*" ? given[i].empty() : wanted[i] != given[i]) return std::nullopt;
    literal += wanted[i] == "*" ? '0' : '1';
  }
  return PathRank{static_cast<int>(wanted.size()), literal, !goes_on};
}

bool conditions_match(const MatchOptions& match, const Query& query) {
  if (!match.methods.empty() && std::ranges::find(match.methods, query.method) == match.methods.end()) return false;
  for (const auto& header : match.headers) {
    bool found = false;
    for (const auto& field : query.fields)
      found |= to_lower(field.name) == to_lower(header.name) && (header.value.empty() || header.value == field.value);
    if (!found) return false;
  }
  return true;
}

std::optional<std::size_t> reference(const std::vector<MatchOptions>& matches, const Query& query, const std::string& name,
                                     const std::string& port) {
  using Rank = std::tuple<HostRank, PathRank, std::size_t, bool, std::ptrdiff_t>;
  std::optional<Rank> best;
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const auto host = rank_host(matches[i].host, name, port);
    if (!host) continue;
    const auto path = rank_path(matches[i].path, std::string(query.path));
    if (!path || !conditions_match(matches[i], query)) continue;
    const Rank rank{*host, *path, matches[i].headers.size(), !matches[i].methods.empty(), -static_cast<std::ptrdiff_t>(i)};
    if (!best || rank > *best) best = rank;
  }
  if (!best) return std::nullopt;
  return static_cast<std::size_t>(-std::get<4>(*best));
}

// What names and paths are made of; the last segment is one that no route has.
struct Alphabet {
  std::vector<std::string> names;
  std::vector<std::string> segments;
};

const Alphabet small{{"a", "b", "c"}, {"a", "b", "c"}};

Alphabet large() {
  Alphabet alphabet;
  for (int i = 0; i < 100; ++i) alphabet.names.push_back("host" + std::to_string(i));
  for (int i = 0; i < 6; ++i) alphabet.segments.push_back("segment" + std::to_string(i));
  return alphabet;
}

class Random {
 public:
  explicit Random(std::uint64_t seed, Alphabet alphabet = small) : prng_(seed), alphabet_(std::move(alphabet)) {}

  std::string one_of(const std::vector<std::string>& choices) { return choices[prng_.below(choices.size())]; }
  std::string name() {
    std::string name = one_of(alphabet_.names);
    for (auto labels = prng_.below(3); labels > 0; --labels) name += "." + one_of({"a", "b"});
    return name;
  }
  std::string path(const std::vector<std::string>& segments) {
    std::string path;
    for (auto count = prng_.below(5) + 1; count > 0; --count) path += "/" + one_of(segments);
    return path;
  }
  MatchOptions match() {
    MatchOptions match;
    if (prng_.chance(0.8)) {
      match.host = (prng_.chance(0.5) ? "*." : "") + name() + one_of({"", "", ":80", ":81"});
    }
    if (prng_.chance(0.9)) {
      std::vector<std::string> segments(alphabet_.segments.begin(), alphabet_.segments.end() - 1);
      segments.insert(segments.end(), {"*", "*", ""});
      match.path = path(segments);
    }
    if (prng_.chance(0.3)) match.methods.push_back(one_of({"GET", "PUT"}));
    for (auto count = prng_.below(6); count > 3; --count) match.headers.push_back({one_of({"x", "Y"}), one_of({"", "1"})});
    return match;
  }
  std::string requested_path() {
    std::vector<std::string> segments = alphabet_.segments;
    segments.emplace_back();
    return path(segments);
  }
  bool chance(double probability) { return prng_.chance(probability); }
  std::uint64_t next() { return prng_.next(); }

 private:
  Prng prng_;
  Alphabet alphabet_;
};

// Returns how many of the queries a route took.
std::size_t compare(Random& random, std::size_t routes, int queries) {
  std::size_t found = 0;
  std::vector<MatchOptions> matches(routes);
  for (auto& match : matches) match = random.match();
  for (const auto& match : matches) EXPECT_EQ(match_problem(match), std::nullopt);
  const Router router(matches, random.next());
  for (int i = 0; i < queries; ++i) {
    const std::string name = random.name();
    const std::string port = random.one_of({"80", "81", "82"});
    std::string host = name + random.one_of({"", "."}) + (port == "80" && random.chance(0.5) ? "" : ":" + port);
    if (random.chance(0.3))
      std::ranges::transform(host, host.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    const std::string path = random.requested_path();
    const std::string method = random.one_of({"GET", "PUT", "POST"});
    std::vector<http::Field> fields;
    if (random.chance(0.5)) fields.push_back({"X", "1"});
    if (random.chance(0.5)) fields.push_back({"y", "2"});
    const Query query{.host = host, .path = path, .method = method, .fields = fields};
    const auto expected = reference(matches, query, name, port);
    found += expected.has_value();
    EXPECT_EQ(router.match(query), expected) << method << " " << host << path;
  }
  return found;
}

TEST(RouterReference, agrees_with_trying_every_route) {
  std::size_t found = 0;
  for (std::uint64_t round = 0; round < 100 && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    Random random(round);
    const std::size_t routes = random.next() % 60;
    found += compare(random, routes, 100);
  }
  EXPECT_GT(found, 5000U);
}

TEST(RouterReference, agrees_with_trying_every_one_of_thousands_of_routes) {
  for (std::uint64_t round = 0; round < 3 && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    Random random(round, large());
    EXPECT_GT(compare(random, 3000, 60), 45U);
  }
}

// Nothing of one kind of entry: no hosts, no edges, neither.
TEST(RouterReference, agrees_where_a_table_is_empty) {
  for (const bool hosts : {false, true}) {
    for (const bool paths : {false, true}) {
      std::vector<MatchOptions> matches;
      for (const std::string name : {"a", "b", "c"}) {
        matches.push_back({.host = hosts ? name : "", .path = paths ? "/" + name : "", .methods = {"GET"}});
      }
      const Router router(matches, 1);
      for (const std::string name : {"a", "b", "c", "d"}) {
        for (const std::string path : {"/a", "/b", "/c", "/d"}) {
          const Query query{.host = name, .path = path, .method = "GET"};
          EXPECT_EQ(router.match(query), reference(matches, query, name, "80")) << hosts << paths << name << path;
        }
      }
    }
  }
}

TEST(RouterReference, same_path_of_thousands_of_hosts_stays_apart) {
  std::vector<MatchOptions> matches;
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    matches.push_back({.host = "h" + number + ".test", .path = i % 2 == 0 ? "/api/*" : "/api/*/v1"});
  }
  const Router router(matches, 9);
  for (std::size_t i = 0; i < 3000; ++i) {
    const std::string host = "h" + std::to_string(i) + ".test";
    ASSERT_EQ(router.match({.host = host, .path = "/api/x/v1", .method = "GET"}), i);
    ASSERT_EQ(router.match({.host = host, .path = "/api/x", .method = "GET"}), i % 2 == 0 ? std::optional(i) : std::nullopt);
    ASSERT_EQ(router.match({.host = host, .path = "/v1", .method = "GET"}), std::nullopt);
  }
}

TEST(RouterReference, thousands_of_routes_are_all_found) {
  std::vector<MatchOptions> matches;
  for (int i = 0; i < 2000; ++i) {
    const std::string number = std::to_string(i);
    matches.push_back({.host = "h" + number + ".example.com", .path = "/v1/*"});
    matches.push_back({.path = "/exact/" + number});
    matches.push_back({.host = "*.s" + number + ".org", .path = "/p/*/" + number});
  }
  const Router router(matches, 5);
  for (std::size_t i = 0; i < 2000; ++i) {
    const std::string number = std::to_string(i);
    const std::string host = "h" + number + ".example.com";
    const std::string wildcard = "x.y.s" + number + ".org";
    const std::string exact = "/exact/" + number;
    const std::string pattern = "/p/z/" + number;
    ASSERT_EQ(router.match({.host = host, .path = "/v1/a", .method = "GET"}), 3 * i);
    ASSERT_EQ(router.match({.host = host, .path = exact, .method = "GET"}), 3 * i + 1);
    ASSERT_EQ(router.match({.host = wildcard, .path = pattern, .method = "GET"}), 3 * i + 2);
  }
}

}  // namespace router_reference_test
}  // namespace steelyard
