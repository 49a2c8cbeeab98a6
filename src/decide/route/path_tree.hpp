// The paths of all routes of one host, as a tree of segments: each node finds its children by a keyed hash and has one child more
// for '*'. One walk over the path meets every route that matches it, the literal way first; the deepest one is kept. The walk
// visits a node at most once and goes no deeper than the longest path of a route, however long the path of the request is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"
#include "decide/route/conditions.hpp"
#include "decide/route/query.hpp"

namespace steelyard::route {

class PathTree {
 public:
  explicit PathTree(KeyedHash hash) : hash_{hash} { new_node(); }

  // Routes of the same path are tried in the order in which they were added.
  void add(std::string_view path, std::size_t route);

  // The best route for the path whose conditions, found by its number, accept the query.
  [[nodiscard]] std::optional<std::size_t> find(const Query& query, std::span<const Conditions> conditions) const;

 private:
  struct SegmentHash {
    using is_transparent = void;
    KeyedHash hash;
    std::size_t operator()(std::string_view segment) const { return hash(segment); }
  };
  using Routes = std::vector<std::size_t>;
  struct Node {
    std::unordered_map<std::string, std::uint32_t, SegmentHash, std::equal_to<>> children;
    std::uint32_t any_child = none;  // for '*'
    Routes ending{};                 // the path ends here
    Routes going_on{};               // "/*": here and everything below
  };
  struct Search;
  static constexpr std::uint32_t none = UINT32_MAX;

  std::uint32_t new_node();
  std::uint32_t child_for(std::uint32_t node, std::string_view segment);
  void walk(const Node& node, int depth, std::optional<std::string_view> rest, Search& search) const;

  SegmentHash hash_;
  std::vector<Node> nodes_;  // the first is the root
  Routes any_path_;
};

}  // namespace steelyard::route
