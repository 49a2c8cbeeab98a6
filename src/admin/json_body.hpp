// The JSON of a request's body as the tree that the tables of config/ read, so that a server is described with the same keys, checks
// and sentences in a file and in a request. Refuses what no request needs and what could be abused: deep nesting, many values, names
// that are there twice. No exception leaves it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/document.hpp"

namespace steelyard::admin {

inline constexpr std::size_t json_depth_max = 64;
inline constexpr std::size_t json_values_max = 2000;

// The sentence says what is wrong, with line and column where it is no JSON.
std::expected<config::Node, std::string> parse_json(std::string_view text);

}  // namespace steelyard::admin
