// The tree of a YAML or JSON document with the place of every node: text in, values out, no meaning yet. It refuses what a
// configuration never needs and what could be abused: aliases, tags, deep nesting, several documents, bytes that are no text.
// The library's own node type is not used: it forgets duplicate keys and follows aliases.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace steelyard::config {

enum class NodeKind : std::uint8_t { null, scalar, list, map };

struct Entry;

struct Node {
  NodeKind kind = NodeKind::null;
  bool quoted = false;  // a scalar in quotes is text, whatever it looks like
  int line = 1;
  int column = 1;
  std::string text;            // of a scalar
  std::vector<Node> items;     // of a list
  std::vector<Entry> entries;  // of a map, in the order of the file; duplicates are still there

  [[nodiscard]] const Node* find(std::string_view key) const;  // of a map; nullptr when absent
};

struct Entry {
  Node key;  // a scalar
  Node value;
};

inline constexpr std::size_t depth_max = 32;
inline constexpr std::size_t nodes_max = 500'000;

// An empty document is a null node.
std::expected<Node, Problem> parse_document(std::string_view text, const std::string& file);

}  // namespace steelyard::config
