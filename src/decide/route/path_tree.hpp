// The paths of all routes as trees of segments, one tree for each host, all in a few flat arrays that are built once and then only
// read: a lookup touches one slot of the edges for each segment and one node where it ends, and nothing else where a route has no
// conditions. A node finds its children by a keyed hash and has one child more for '*'. One walk over the path meets every route
// that matches it, the literal way first; the deepest one is kept. The walk visits a node at most once and goes no deeper than the
// longest path of a route, however long the path of the request is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "decide/route/conditions.hpp"
#include "decide/route/flat_table.hpp"
#include "decide/route/query.hpp"

namespace steelyard::route {

// A route in the trees: its number, and whether it has conditions to be looked at.
class RouteRef {
 public:
  RouteRef() = default;
  RouteRef(std::size_t number, bool conditional);

  [[nodiscard]] bool exists() const { return bits_ != none; }
  [[nodiscard]] std::size_t number() const { return bits_ & ~conditional_bit; }
  [[nodiscard]] bool conditional() const { return (bits_ & conditional_bit) != 0; }

 private:
  static constexpr std::uint32_t none = UINT32_MAX;
  static constexpr std::uint32_t conditional_bit = 1U << 31U;
  std::uint32_t bits_ = none;
};

// A node, together with what decides whether the walk must go on from it: a leaf is not read to learn that it is one.
class NodeRef {
 public:
  NodeRef() = default;
  NodeRef(std::size_t place, bool has_edges, bool has_any_child);
  // From bits(), as a FlatTable keeps them.
  explicit NodeRef(std::uint32_t bits) : bits_(bits) {}

  [[nodiscard]] bool exists() const { return bits_ != FlatTable::absent; }
  [[nodiscard]] std::uint32_t place() const { return bits_ & ~(edges_bit | any_child_bit); }
  [[nodiscard]] bool has_edges() const { return (bits_ & edges_bit) != 0; }
  [[nodiscard]] bool has_any_child() const { return (bits_ & any_child_bit) != 0; }
  [[nodiscard]] bool is_leaf() const { return (bits_ & (edges_bit | any_child_bit)) == 0; }
  [[nodiscard]] std::uint32_t bits() const { return bits_; }

 private:
  static constexpr std::uint32_t edges_bit = 1U << 31U;
  static constexpr std::uint32_t any_child_bit = 1U << 30U;
  std::uint32_t bits_ = FlatTable::absent;
};

class PathTrees {
 public:
  // Without a tree. Those with trees are made by a PathTreesBuilder.
  explicit PathTrees(KeyedHash hash) : hash_(hash) {}

  // The best route of that tree for the path whose conditions, found by its number, accept the query.
  [[nodiscard]] std::optional<std::size_t> find(NodeRef root, const Query& query, std::span<const Conditions> conditions) const;

 private:
  friend class PathTreesBuilder;
  // Routes of the same path, in the order in which they are tried. Nearly always there is one at most.
  struct Routes {
    RouteRef first;
    std::uint32_t rest_begin = 0;  // in rest_
    std::uint32_t rest_size = 0;
  };
  struct alignas(32) Node {
    NodeRef any_child;  // for '*'
    Routes ending;      // the path ends here; of a root, where none does, the routes of any path
    Routes going_on;    // "/*": here and everything below
  };
  static_assert(sizeof(Node) == 32);
  struct Search;

  void walk(NodeRef at, int depth, std::optional<std::string_view> rest, Search& search) const;
  void consider(const Routes& routes, int depth, Search& search) const;

  KeyedHash hash_;
  FlatTable edges_;  // by the segment, and by the node that it leads from as the scope
  std::vector<Node> nodes_;
  std::vector<RouteRef> rest_;
};

struct PathCut {
  std::string_view segment;
  std::optional<std::string_view> rest;  // nullopt: that was the last segment
};
PathCut cut_segment(std::string_view path);

}  // namespace steelyard::route
