// Finds where one JSON object ends in bytes that arrive in pieces (RFC 8259), and validates it strictly on the way: what two readers
// could read differently is refused. It makes no tree; it says where the members of the outermost object lie. Its memory does not grow
// with the object, only with the number of those members. Pure; one for each connection, owned by who reads that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "wire/json/object.hpp"
#include "wire/utf8.hpp"

namespace steelyard::json {

struct ScanLimits {
  std::uint32_t depth_max = 32;         // of objects and arrays within each other, the outermost included; at most 64
  std::uint32_t members_max = 64;       // of the outermost object
  std::uint32_t number_bytes_max = 64;  // of each number
};

struct Refusal {
  const char* reason = nullptr;  // a sentence; static
  std::size_t offset = 0;        // of the byte that decided it
};

class ObjectScanner {
 public:
  explicit ObjectScanner(const ScanLimits& limits = {});

  // `bytes` is everything received since the message began; it may lie elsewhere at each call, and each byte of it is looked at once.
  // Returns how many bytes the object takes, 0 while it is not complete, or why it is refused, which is found at the same byte however
  // the bytes arrive. Blanks before the object belong to it; what follows it is not looked at. The outcome stays until reset().
  //
  // How long an object may be is for the caller to say, who has the bytes.
  std::expected<std::size_t, Refusal> feed(std::string_view bytes);
  // For the next object.
  void reset();

  // Bytes looked at so far.
  [[nodiscard]] std::size_t offset() const { return at_; }
  // Nothing but blanks was seen.
  [[nodiscard]] bool blank() const { return state_ == State::start; }
  // The object, once complete; `bytes` are those that were fed. The members live as long as the scanner is not reset.
  [[nodiscard]] Object object(std::string_view bytes) const { return {bytes.substr(0, at_), members_}; }

 private:
  enum class State : std::uint8_t {
    start,       // blanks, then '{'
    first_name,  // behind '{': a name or '}'
    name,        // behind ',' in an object
    colon,
    first_value,  // behind '[': a value or ']'
    value,
    after_value,  // ',' or what closes
    string,
    escape,         // behind '\'
    hex,            // the digits of \uXXXX
    low_surrogate,  // '\' of the second half of a pair
    low_surrogate_u,
    minus,
    zero,  // a leading one: no digit may follow
    integer,
    point,
    fraction,
    exponent,  // behind 'e'
    exponent_sign,
    exponent_digits,
    literal,
    done,
    refused,
  };

  // Each takes one byte and returns why it is refused, nullptr where it is not.
  const char* take(std::string_view bytes, char c);
  const char* take_between(char c);
  const char* take_name_begin(char c);
  const char* take_value_begin(char c);
  const char* take_after_value(char c);
  const char* take_in_string(std::string_view bytes, char c);
  const char* take_escape(char c);
  const char* take_hex_digit(char c);
  const char* take_in_number(char c);
  const char* take_in_literal(char c);
  const char* open(std::uint64_t is_array);
  const char* close(std::uint64_t is_array);
  const char* end_string(std::string_view bytes);
  void begin_string();
  void begin_literal(Kind kind, const char* rest);
  const char* end_value(std::size_t end);
  void skip_plain(std::string_view bytes);

  ScanLimits limits_;
  State state_ = State::start;
  bool in_name_ = false;
  std::uint8_t hex_digits_ = 0;
  std::uint32_t unit_ = 0;     // of \uXXXX so far
  bool low_expected_ = false;  // the second half of a surrogate pair
  std::uint32_t depth_ = 0;
  std::uint64_t arrays_ = 0;  // one bit for each level, the innermost lowest: whether it is an array
  const char* literal_rest_ = "";
  Utf8Check utf8_;
  std::size_t at_ = 0;
  std::size_t number_begin_ = 0;
  Member member_;  // the one under way
  std::vector<Member> members_;
  Refusal refusal_;
};

}  // namespace steelyard::json
