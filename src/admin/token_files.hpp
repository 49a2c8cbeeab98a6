// Tokens as they come from files, which are read at the start and with each reload. On the control thread, at once: token files are
// local and small.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "admin/access.hpp"
#include "config/options.hpp"

namespace steelyard::admin {

inline constexpr std::size_t token_length_min = 16;
inline constexpr std::size_t token_length_max = 1024;

struct LoadedAccess {
  Access access;
  std::vector<std::string> warnings;  // a file that others may read
};

// The operator's token and those of the pools that have a registration with one. The sentence says which file is wrong and what to do.
std::expected<LoadedAccess, std::string> load_access(const AdminOptions& admin, const std::vector<PoolOptions>& pools);

// The first line without white space around it. `warning` stays as it is where nothing is to be said.
std::expected<std::string, std::string> read_token_file(const std::string& path, std::string& warning);

}  // namespace steelyard::admin
