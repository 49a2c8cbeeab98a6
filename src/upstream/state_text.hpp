// What outlives a restart as text, and back: one line of JSON with a version and the SHA-256 of what follows them.
//
//   {"version":1,"sha256":"…","state":{"pools":[{"added":[…],"changed":[…],"name":"app"}],"revision":7}}
//
// The digest is over the bytes as they stand, so that whatever a disk or an editor has done to them is noticed; it is no signature.
// SHA-256 rather than a CRC because a library for it is linked anyway. Pure; state_file.hpp has the file.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "upstream/registry_types.hpp"

namespace steelyard {

inline constexpr std::size_t state_bytes_max = std::size_t{64} * 1024 * 1024;

[[nodiscard]] std::string spell_state(const RegistryState& state);
// What stands after "state" in its frame: version, checksum and end.
[[nodiscard]] std::string frame_state(std::string_view content);
// The state, or what is wrong with the text, as the end of "the file …". Nothing escapes, whatever the text is.
[[nodiscard]] std::expected<RegistryState, std::string> parse_state(std::string_view text);

}  // namespace steelyard
