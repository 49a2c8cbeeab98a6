// Grows the trees of paths from the routes of a configuration and then lays them out flat. Lives as long as the building of a
// Router; what requests are looked up in is PathTrees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "decide/route/path_tree.hpp"

namespace steelyard::route {

class PathTreesBuilder {
 public:
  // Returns the place of its root.
  std::size_t add_tree();

  // Routes of the same path are tried in the order in which they were added.
  void add(std::size_t root, std::string_view path, RouteRef route);

  [[nodiscard]] PathTrees build(KeyedHash hash) const;
  // Of a node in what build() returns, once all routes are added.
  [[nodiscard]] NodeRef reference_to(std::size_t node) const;

 private:
  static constexpr std::size_t none = SIZE_MAX;
  struct Node {
    std::map<std::string, std::size_t, std::less<>> children;
    std::size_t any_child = none;
    std::vector<RouteRef> ending;
    std::vector<RouteRef> going_on;
  };

  std::size_t child_for(std::size_t node, std::string_view segment);

  std::vector<Node> nodes_;
};

}  // namespace steelyard::route
