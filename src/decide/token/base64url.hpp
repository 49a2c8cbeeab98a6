// Base64url without padding (RFC 7515 §2), the spelling of everything in a token and of the bytes in its keys. Strict: each text of bytes
// has one spelling, so that a token cannot be spelt anew. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace steelyard::token {

void append_base64url(std::string_view bytes, std::string& out);
[[nodiscard]] std::string to_base64url(std::string_view bytes);

// Nothing where `text` has any other character, padding and blanks included, a length that no bytes give, or bits that are not 0 behind
// the last byte (RFC 4648 §3.5).
[[nodiscard]] std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace steelyard::token
