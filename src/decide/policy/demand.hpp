// Reads out of a request which policy it demands. Where two readers could see two values there is none: what guards data must not
// depend on which of them somebody else believes. Pure. The values are not judged here; servers promise what they like.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "decide/policy/options.hpp"
#include "wire/http/message.hpp"

namespace steelyard::policy {

struct Reading {
  enum class Kind : std::uint8_t { found, absent, ambiguous };
  Kind kind = Kind::absent;
  std::string_view value{};  // found: in the request or in the memory that was given; never empty
  const char* reason = "";   // ambiguous: a sentence for whoever sent the request
};

// `path` is normalised; `memory` is for what has to be decoded. A head says nothing of Kind::none and Kind::json: absent.
[[nodiscard]] Reading read_head(const SourceOptions& from, const http::RequestHead& head, std::string_view path, std::string& memory);

// The same for Kind::json: `body` is the whole of it, an object (RFC 8259) whose member `name` is a text or a whole number. Absent where
// there is no body, or an object without that member; everything else is refused.
[[nodiscard]] Reading read_json_body(std::string_view name, std::string_view body, std::string& memory);

}  // namespace steelyard::policy
