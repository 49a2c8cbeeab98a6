// Files with the keys of tokens, as JWK Sets (decide/token/key_set.hpp). Read at the start, with each reload and by commands, at once:
// they are local and small.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "decide/token/key_set.hpp"

namespace steelyard {

// The sentence says which file is wrong and what to do. `warning` is set where others may read a file with secrets, else stays as it is.
std::expected<token::KeySet, std::string> read_key_file(const std::string& path, std::string& warning);

enum class KeyFile : std::uint8_t { secret, open };  // readable by its owner alone, or by everybody
// A new file: one that is there already is left as it is, and an error.
std::expected<void, std::string> write_key_file(const std::string& path, std::string_view text, KeyFile kind);

}  // namespace steelyard
