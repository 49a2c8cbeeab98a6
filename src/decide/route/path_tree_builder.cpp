#include "decide/route/path_tree_builder.hpp"

namespace steelyard::route {

PathTrees PathTreesBuilder::build(KeyedHash hash) const {
  PathTrees trees(hash);
  std::size_t edges = 0;
  for (const Node& node : nodes_) edges += node.children.size();
  trees.edges_ = FlatTable(edges);
  const auto lay_out = [&](const std::vector<RouteRef>& routes) {
    PathTrees::Routes flat;
    if (routes.empty()) return flat;
    flat = {routes.front(), static_cast<std::uint32_t>(trees.rest_.size()), static_cast<std::uint32_t>(routes.size() - 1)};
    trees.rest_.insert(trees.rest_.end(), routes.begin() + 1, routes.end());
    return flat;
  };
  trees.nodes_.reserve(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const NodeRef any_child = node.any_child == none ? NodeRef{} : reference_to(node.any_child);
    trees.nodes_.push_back({any_child, lay_out(node.ending), lay_out(node.going_on)});
    for (const auto& [segment, child] : node.children) {
      trees.edges_.insert(hash(segment), static_cast<std::uint32_t>(i), reference_to(child).bits());
    }
  }
  return trees;
}

NodeRef PathTreesBuilder::reference_to(std::size_t node) const {
  return {node, !nodes_[node].children.empty(), nodes_[node].any_child != none};
}

std::size_t PathTreesBuilder::add_tree() {
  nodes_.emplace_back();
  return nodes_.size() - 1;
}

void PathTreesBuilder::add(std::size_t root, std::string_view path, RouteRef route) {
  std::size_t node = root;
  if (!path.empty()) {
    for (std::optional<std::string_view> rest = path.substr(1); rest;) {
      const PathCut cut = cut_segment(*rest);
      if (cut.segment == "*" && !cut.rest) {
        nodes_[node].going_on.push_back(route);
        return;
      }
      node = child_for(node, cut.segment);
      rest = cut.rest;
    }
  }
  nodes_[node].ending.push_back(route);
}

std::size_t PathTreesBuilder::child_for(std::size_t node, std::string_view segment) {
  if (segment == "*") {
    if (nodes_[node].any_child == none) {
      const std::size_t created = add_tree();
      nodes_[node].any_child = created;
    }
    return nodes_[node].any_child;
  }
  if (const auto child = nodes_[node].children.find(segment); child != nodes_[node].children.end()) return child->second;
  const std::size_t created = add_tree();
  nodes_[node].children.emplace(segment, created);
  return created;
}

}  // namespace steelyard::route
