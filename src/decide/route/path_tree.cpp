#include "decide/route/path_tree.hpp"

#include "base/assert.hpp"

namespace steelyard::route {

struct PathTrees::Search {
  const Query& query;
  std::span<const Conditions> conditions;
  std::optional<std::size_t> best;
  int best_depth = -1;

  bool take(RouteRef route, int depth) {
    if (route.conditional() && !conditions[route.number()].accept(query)) return false;
    best = route.number();
    best_depth = depth;
    return true;
  }
};

std::optional<std::size_t> PathTrees::find(NodeRef root, const Query& query, std::span<const Conditions> conditions) const {
  Search search{query, conditions, std::nullopt};
  // "*" of OPTIONS and an empty path are in no tree.
  if (query.path.starts_with('/')) walk(root, 0, query.path.substr(1), search);
  if (!search.best) consider(nodes_[root.place()].ending, 0, search);
  return search.best;
}

// Recurses once for each segment that the routes of a configuration have, never for what a client sends beyond that. Reads the
// node itself last, and only where it can still be better than what was found below it.
void PathTrees::walk(NodeRef at, int depth, std::optional<std::string_view> rest, Search& search) const {
  if (!rest) {
    if (depth > search.best_depth) consider(nodes_[at.place()].ending, depth, search);
  } else if (!at.is_leaf()) {
    const PathCut cut = cut_segment(*rest);
    if (at.has_edges()) {
      const NodeRef child(edges_.find(hash_(cut.segment), at.place()));
      if (child.exists()) walk(child, depth + 1, cut.rest, search);
    }
    if (at.has_any_child() && !cut.segment.empty()) walk(nodes_[at.place()].any_child, depth + 1, cut.rest, search);
  }
  if (depth > search.best_depth) consider(nodes_[at.place()].going_on, depth, search);
}

// Called for a depth greater than that of the best route so far. Of routes at the same depth the one met first stays: the walk
// comes by in the order of preference.
void PathTrees::consider(const Routes& routes, int depth, Search& search) const {
  if (!routes.first.exists() || search.take(routes.first, depth)) return;
  for (const RouteRef route : std::span(rest_).subspan(routes.rest_begin, routes.rest_size)) {
    if (search.take(route, depth)) return;
  }
}

PathCut cut_segment(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

RouteRef::RouteRef(std::size_t number, bool conditional)
    : bits_(static_cast<std::uint32_t>(number) | (conditional ? conditional_bit : 0U)) {
  SY_ASSERT(number < conditional_bit - 1);
}

NodeRef::NodeRef(std::size_t place, bool has_edges, bool has_any_child)
    : bits_(static_cast<std::uint32_t>(place) | (has_edges ? edges_bit : 0U) | (has_any_child ? any_child_bit : 0U)) {
  SY_ASSERT(place < any_child_bit - 1);
}

}  // namespace steelyard::route
