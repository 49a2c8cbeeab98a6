#include "decide/route/path_tree.hpp"

namespace steelyard::route {
namespace {

struct Cut {
  std::string_view segment;
  std::optional<std::string_view> rest;  // nullopt: that was the last segment
};

Cut cut_segment(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

struct PathTree::Search {
  const Query& query;
  std::span<const Conditions> conditions;
  std::optional<std::size_t> best;
  int best_depth = -1;

  // Of routes at the same depth the one met first stays: the walk comes by in the order of preference.
  void consider(const Routes& routes, int depth) {
    if (depth <= best_depth) return;
    for (const std::size_t route : routes) {
      if (!conditions[route].accept(query)) continue;
      best = route;
      best_depth = depth;
      return;
    }
  }
};

std::optional<std::size_t> PathTree::find(const Query& query, std::span<const Conditions> conditions) const {
  Search search{query, conditions, std::nullopt};
  // "*" of OPTIONS and an empty path are in no tree.
  if (query.path.starts_with('/')) walk(nodes_.front(), 0, query.path.substr(1), search);
  if (!search.best) search.consider(any_path_, 0);
  return search.best;
}

// Recurses once for each segment that the routes of a configuration have, never for what a client sends beyond that.
void PathTree::walk(const Node& node, int depth, std::optional<std::string_view> rest, Search& search) const {
  if (rest) {
    const Cut cut = cut_segment(*rest);
    if (const auto child = node.children.find(cut.segment); child != node.children.end()) {
      walk(nodes_[child->second], depth + 1, cut.rest, search);
    }
    if (node.any_child != none && !cut.segment.empty()) walk(nodes_[node.any_child], depth + 1, cut.rest, search);
  } else {
    search.consider(node.ending, depth);
  }
  search.consider(node.going_on, depth);
}

void PathTree::add(std::string_view path, std::size_t route) {
  if (path.empty()) {
    any_path_.push_back(route);
    return;
  }
  std::uint32_t node = 0;
  for (std::optional<std::string_view> rest = path.substr(1); rest;) {
    const Cut cut = cut_segment(*rest);
    if (cut.segment == "*" && !cut.rest) {
      nodes_[node].going_on.push_back(route);
      return;
    }
    node = child_for(node, cut.segment);
    rest = cut.rest;
  }
  nodes_[node].ending.push_back(route);
}

std::uint32_t PathTree::child_for(std::uint32_t node, std::string_view segment) {
  if (segment == "*") {
    if (nodes_[node].any_child == none) {
      const std::uint32_t created = new_node();
      nodes_[node].any_child = created;
    }
    return nodes_[node].any_child;
  }
  if (const auto child = nodes_[node].children.find(segment); child != nodes_[node].children.end()) return child->second;
  const std::uint32_t created = new_node();
  nodes_[node].children.emplace(segment, created);
  return created;
}

std::uint32_t PathTree::new_node() {
  nodes_.push_back({.children = decltype(Node::children)(0, hash_)});
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

}  // namespace steelyard::route
