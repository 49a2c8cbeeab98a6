// What a Redis answers, as a value (RESP2, the protocol of every Redis unless HELLO asks for another), and what its errors say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace steelyard::resp {

struct Reply {
  enum class Kind : std::uint8_t { nil, integer, status, text, error, array };

  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text{};  // of status, text and error
  std::vector<Reply> items{};

  [[nodiscard]] bool is_error() const { return kind == Kind::error; }
  friend bool operator==(const Reply&, const Reply&) = default;
};

// The code that an error is known by: its first word, and where a script failed before Redis 7 the code inside: "READONLY" of
// "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write…".
[[nodiscard]] std::string_view error_code(std::string_view error);

// "MOVED 3999 127.0.0.1:6381": who has the slot from now on; "ASK 3999 127.0.0.1:6381": who has it for this one command.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
struct Redirect {
  enum class Kind : std::uint8_t { moved, ask };
  Kind kind = Kind::moved;
  std::uint16_t slot = 0;
  std::string_view host{};  // "": the one that answered
  std::uint16_t port = 0;
};
// Nothing for every other error, and for a redirect that says nothing useful.
[[nodiscard]] std::optional<Redirect> parse_redirect(std::string_view error);

}  // namespace steelyard::resp
