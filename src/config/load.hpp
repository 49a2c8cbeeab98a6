// From a configuration file to typed options, and back. Every problem of a file is reported at once, each with its place, its
// key's path, what was found and what is allowed. Nothing is applied here and nothing here lives on: app/ calls it at start-up,
// on the control thread. No exception leaves these functions.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.hpp"

namespace steelyard::config {

struct Problem {
  std::string file{};
  int line = 0;  // from 1; 0 when the file as a whole is meant
  int column = 0;
  std::string path{};     // of the key: "pools.api.servers[0].weight"; may be empty
  std::string message{};  // what was found, what is allowed, the nearest spelling, what to do
};

// "file:line:column: path: message", without what is not known
std::string to_string(const Problem& problem);

struct Loaded {
  Options options;
  std::vector<Problem> warnings;  // what works but is probably not meant
};

inline constexpr std::size_t file_bytes_max = 8 * 1024 * 1024;

std::expected<Loaded, std::vector<Problem>> load_file(const std::string& path);
// `name` stands for the file in problems.
std::expected<Loaded, std::vector<Problem>> load_text(std::string_view text, std::string name);

// The full YAML spelling with every default written out: loading it gives the same options.
std::string expand(const Options& options);

// JSON Schema 2020-12 of both spellings, for editors; made from the tables that validate.
std::string schema();

// The tables as Markdown: the body of docs/configuration.md.
std::string reference();

}  // namespace steelyard::config
