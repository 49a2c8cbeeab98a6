// A machine with one state for each place between two bytes of the grammar, so that it resumes anywhere. What it is in is one bit for
// each level.
#include "wire/json/scanner.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "base/assert.hpp"
#include "wire/http/characters.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::json {
namespace {

constexpr std::uint32_t depth_possible = 64;

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
// ASCII within a string.
constexpr bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

}  // namespace

ObjectScanner::ObjectScanner(const ScanLimits& limits) : limits_(limits) { SY_ASSERT(limits.depth_max <= depth_possible); }

void ObjectScanner::reset() {
  std::vector<Member> members = std::move(members_);
  members.clear();
  *this = ObjectScanner(limits_);
  members_ = std::move(members);
}

std::expected<std::size_t, Refusal> ObjectScanner::feed(std::string_view bytes) {
  while (at_ < bytes.size() && state_ != State::done && state_ != State::refused) {
    if (state_ == State::string) skip_plain(bytes);
    if (at_ == bytes.size()) break;
    if (const char* const reason = take(bytes, bytes[at_])) {
      refusal_ = {reason, at_};
      state_ = State::refused;
      break;
    }
    ++at_;
  }
  if (state_ == State::refused) return std::unexpected(refusal_);
  return state_ == State::done ? at_ : 0;
}

const char* ObjectScanner::take(std::string_view bytes, char c) {
  switch (state_) {
    case State::string: return take_in_string(bytes, c);
    case State::escape: return take_escape(c);
    case State::hex: return take_hex_digit(c);
    case State::low_surrogate: state_ = State::low_surrogate_u; return c == '\\' ? nullptr : "An escaped surrogate has no second half.";
    case State::low_surrogate_u: state_ = State::hex; return c == 'u' ? nullptr : "An escaped surrogate has no second half.";
    case State::minus:
    case State::zero:
    case State::integer:
    case State::point:
    case State::fraction:
    case State::exponent:
    case State::exponent_sign:
    case State::exponent_digits: {
      const char* const reason = take_in_number(c);
      // What ends a number is not part of it.
      return reason == nullptr && state_ == State::after_value ? take_between(c) : reason;
    }
    case State::literal: return take_in_literal(c);
    default: return take_between(c);
  }
}

const char* ObjectScanner::take_between(char c) {
  if (is_blank(c)) return nullptr;
  switch (state_) {
    case State::start: return c == '{' ? open(0) : "It does not begin with an object.";
    case State::first_name:
      if (c == '}') return close(0);
      [[fallthrough]];
    case State::name: return take_name_begin(c);
    case State::colon: state_ = State::value; return c == ':' ? nullptr : "A name is not followed by a colon.";
    case State::first_value:
      if (c == ']') return close(1);
      [[fallthrough]];
    case State::value: return take_value_begin(c);
    default: return take_after_value(c);
  }
}

const char* ObjectScanner::take_name_begin(char c) {
  if (c != '"') return "A name in double quotes was expected.";
  if (depth_ == 1 && members_.size() == limits_.members_max) return "The object has too many members.";
  in_name_ = true;
  begin_string();
  return nullptr;
}

const char* ObjectScanner::take_value_begin(char c) {
  if (depth_ == 1) member_.value.begin = at_;
  switch (c) {
    case '"': begin_string(); return nullptr;
    case '{': return open(0);
    case '[': return open(1);
    case 't': begin_literal(Kind::boolean, "rue"); return nullptr;
    case 'f': begin_literal(Kind::boolean, "alse"); return nullptr;
    case 'n': begin_literal(Kind::null, "ull"); return nullptr;
    default: break;
  }
  if (c != '-' && !is_digit(c)) return "A value was expected.";
  if (depth_ == 1) member_.kind = Kind::number;
  number_begin_ = at_;
  state_ = c == '-' ? State::minus : c == '0' ? State::zero : State::integer;
  return nullptr;
}

const char* ObjectScanner::take_after_value(char c) {
  const bool in_array = (arrays_ & 1U) != 0;
  if (c == '}') return close(0);
  if (c == ']') return close(1);
  if (c != ',') return in_array ? "A comma or ] was expected." : "A comma or } was expected.";
  state_ = in_array ? State::value : State::name;
  return nullptr;
}

const char* ObjectScanner::open(std::uint64_t is_array) {
  if (depth_ == 1) member_.kind = is_array != 0 ? Kind::array : Kind::object;
  if (++depth_ > limits_.depth_max) return "It is nested too deeply.";
  arrays_ = arrays_ << 1U | is_array;
  state_ = is_array != 0 ? State::first_value : State::first_name;
  return nullptr;
}

const char* ObjectScanner::close(std::uint64_t is_array) {
  if ((arrays_ & 1U) != is_array) return is_array != 0 ? "An object is closed with ]." : "An array is closed with }.";
  arrays_ >>= 1U;
  if (--depth_ > 0) return end_value(at_ + 1);
  state_ = State::done;
  return nullptr;
}

// `end`: behind its last byte.
const char* ObjectScanner::end_value(std::size_t end) {
  state_ = State::after_value;
  if (depth_ != 1) return nullptr;
  member_.value.end = end;
  members_.push_back(member_);
  return nullptr;
}

void ObjectScanner::begin_string() {
  state_ = State::string;
  if (depth_ != 1) return;
  (in_name_ ? member_.name : member_.value).begin = at_ + 1;
  if (!in_name_) member_.kind = Kind::string;
}

// Nearly all bytes are these.
void ObjectScanner::skip_plain(std::string_view bytes) {
  if (!utf8_.complete()) return;
  while (at_ < bytes.size() && is_plain(bytes[at_])) ++at_;
}

const char* ObjectScanner::take_in_string(std::string_view bytes, char c) {
  if (!utf8_.complete() || static_cast<unsigned char>(c) >= 0x80) {
    return utf8_.feed({&c, 1}) ? nullptr : "A string is not UTF-8.";
  }
  if (static_cast<unsigned char>(c) < 0x20) return "A string has a control character that is not escaped.";
  if (c == '"') return end_string(bytes);
  if (c == '\\') state_ = State::escape;
  return nullptr;
}

// Names are compared with each other as they are, which costs at most members_max / 2 looks at a byte of a name.
const char* ObjectScanner::end_string(std::string_view bytes) {
  if (!in_name_) return end_value(at_);
  in_name_ = false;
  state_ = State::colon;
  if (depth_ != 1) return nullptr;
  member_.name.end = at_;
  for (const Member& earlier : members_) {
    if (same_text(earlier.name.in(bytes), member_.name.in(bytes))) return "A name stands twice in the object.";
  }
  return nullptr;
}

const char* ObjectScanner::take_escape(char c) {
  if (c == 'u') {
    state_ = State::hex;
    return nullptr;
  }
  state_ = State::string;
  return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos ? nullptr : "A string has an escape that does not exist.";
}

const char* ObjectScanner::take_hex_digit(char c) {
  const int digit = http::hex_value(c);
  if (digit < 0) return "A string has an escape that does not exist.";
  unit_ = unit_ << 4U | static_cast<std::uint32_t>(digit);
  if (++hex_digits_ < 4) return nullptr;
  const std::uint32_t unit = std::exchange(unit_, 0);
  hex_digits_ = 0;
  const bool low = unit >= 0xdc00 && unit <= 0xdfff;
  if (std::exchange(low_expected_, false) != low) {
    return low ? "An escaped surrogate has no first half." : "An escaped surrogate has no second half.";
  }
  low_expected_ = unit >= 0xd800 && unit <= 0xdbff;
  state_ = low_expected_ ? State::low_surrogate : State::string;
  return nullptr;
}

// number = [ minus ] int [ frac ] [ exp ] (RFC 8259 §6). Ends in after_value at the first byte that is not part of it.
const char* ObjectScanner::take_in_number(char c) {
  const bool more = at_ - number_begin_ < limits_.number_bytes_max;
  const bool digit = is_digit(c);
  const bool sign_or_digit = digit || c == '+' || c == '-';
  const State was = state_;
  if (was == State::minus && digit) {
    state_ = c == '0' ? State::zero : State::integer;
  } else if ((was == State::point || was == State::fraction) && digit) {
    state_ = State::fraction;
  } else if (was == State::exponent && sign_or_digit) {
    state_ = digit ? State::exponent_digits : State::exponent_sign;
  } else if ((was == State::exponent_sign || was == State::exponent_digits) && digit) {
    state_ = State::exponent_digits;
  } else if (was == State::minus || was == State::point || was == State::exponent || was == State::exponent_sign) {
    return "A number is not complete.";
  } else if (was == State::zero && digit) {
    return "A number has a leading zero.";
  } else if ((was == State::zero || was == State::integer) && c == '.') {
    state_ = State::point;
  } else if (was != State::exponent_digits && (c == 'e' || c == 'E')) {
    state_ = State::exponent;
  } else if (was != State::integer || !digit) {
    return end_value(at_);
  }
  return more ? nullptr : "A number is too long.";
}

void ObjectScanner::begin_literal(Kind kind, const char* rest) {
  if (depth_ == 1) member_.kind = kind;
  literal_rest_ = rest;
  state_ = State::literal;
}

const char* ObjectScanner::take_in_literal(char c) {
  if (c != *literal_rest_) return "A value was expected.";
  return *++literal_rest_ == '\0' ? end_value(at_ + 1) : nullptr;
}

}  // namespace steelyard::json
