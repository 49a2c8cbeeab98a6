// Which route takes a request: an index over all matches of one configuration, built once and immutable, so that every worker may
// read it. Pure. A lookup neither allocates nor throws, and costs the same for ten routes as for thousands: it depends on the
// length of host and path alone. Only routes that share host and path and differ in methods or headers are tried one by one. The
// index is a few flat arrays, because with thousands of routes a lookup costs what it misses in the cache: for "/v1/*" of a host
// that is a slot of the hosts, a slot of the edges and a node.
//
// Several routes may match; the most specific one wins:
// 1. Host: an exact name, then "*.suffix" from the longest suffix to the shortest, then any. The same pattern with a port comes
//    before the one without. "*.example.com" takes one or more labels before ".example.com", never "example.com" itself. A pattern
//    with ":port" matches that port only; an authority without port has the default port of its scheme.
// 2. Path: more segments first ("/v1/*" has one, "/users/*/posts" three, "/*" none, "" comes last). Of as many segments, the one
//    that is literal where the other first has '*'; then the one that ends there before the one that goes on. So an exact path
//    always comes first. '*' takes exactly one segment, which is not empty; at the end it takes the path before it and all below:
//    "/v1/*" takes "/v1", "/v1/" and "/v1/a/b", not "/v10".
// 3. Conditions: more header conditions first, then one with methods before one without.
// 4. The order in the file.
// A route whose methods or headers do not match is no candidate: the next specific one of the host is taken, then that of the next
// specific host.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "decide/route/conditions.hpp"
#include "decide/route/flat_table.hpp"
#include "decide/route/host_pattern.hpp"
#include "decide/route/options.hpp"
#include "decide/route/path_tree.hpp"
#include "decide/route/query.hpp"

namespace steelyard {

class Router {
 public:
  // The matches in the order of the file, each without a match_problem(). `seed` should be secret: it keeps clients from choosing
  // hosts and paths that collide.
  Router(std::span<const MatchOptions> matches, std::uint64_t seed);

  // The position of the route among those that the router was built from.
  [[nodiscard]] std::optional<std::size_t> match(const Query& query) const noexcept;

 private:
  using HostKind = route::HostPattern::Kind;
  struct HostKey {
    HostKind kind = HostKind::any;
    std::string_view name;
  };

  void index_hosts(std::span<const MatchOptions> matches);
  [[nodiscard]] static std::uint32_t scope_of(HostKey key, std::uint16_t port);
  [[nodiscard]] std::optional<std::size_t> match_named(route::Authority authority, const Query& query) const;
  [[nodiscard]] std::optional<std::size_t> match_host(HostKey key, std::uint16_t port, const Query& query) const;

  KeyedHash hash_;
  route::FlatTable hosts_;  // the roots of their trees, by name, wildcards by what follows "*."
  route::PathTrees paths_;
  route::NodeRef any_host_;
  bool names_ports_ = false;                                          // whether any key of hosts_ has a port
  std::bitset<route::host_bytes_max / 2 + 2> wildcard_label_counts_;  // how many labels the wildcards of hosts_ have
  std::vector<route::Conditions> conditions_;                         // of each route; looked at only for those that have any
};

}  // namespace steelyard
