#include "messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.hpp"
#include "base/prng.hpp"

namespace steelyard::sim {
namespace {

constexpr std::string_view token_extras = "!#$%&'*+-.^_`|~";

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || token_extras.find(c) != std::string_view::npos;
  });
}

// Splits "Name: value"; false where that is not the exact form that a careful sender writes.
bool split_field(std::string_view line, std::string& name, std::string& value) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  for (const char c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  name = line.substr(0, colon);
  std::string_view rest = line.substr(colon + 1);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  value = rest;
  return true;
}

}  // namespace

namespace {

// Eight bytes of a body at a time: `at` is a multiple of eight.
std::uint64_t word_of(std::uint64_t id, Direction direction, std::uint64_t at) {
  return Prng((id * 2 + (direction == Direction::response ? 1 : 0)) * 0x9e3779b97f4a7c15U + at / 8).next();
}

}  // namespace

std::string body_of(std::uint64_t id, Direction direction, std::size_t bytes) {
  std::string body(bytes, 0);
  std::uint64_t word = 0;
  for (std::size_t at = 0; at < bytes; ++at) {
    if (at % 8 == 0) word = word_of(id, direction, at);
    body[at] = static_cast<char>(word >> (8 * (at % 8)));
  }
  return body;
}

bool belongs(std::string_view bytes, std::uint64_t id, Direction direction, std::uint64_t at) {
  std::uint64_t word = word_of(id, direction, at);
  for (const char c : bytes) {
    if (at % 8 == 0) word = word_of(id, direction, at);
    if (c != static_cast<char>(word >> (8 * (at % 8)))) return false;
    ++at;
  }
  return true;
}

std::string chunked(std::string_view body, std::size_t chunk_bytes, std::string_view trailers) {
  std::string coded;
  while (!body.empty()) {
    const std::string_view chunk = body.substr(0, chunk_bytes);
    coded += fmt::format("{:x}\r\n", chunk.size());
    coded.append(chunk).append("\r\n");
    body.remove_prefix(chunk.size());
  }
  return coded.append("0\r\n").append(trailers).append("\r\n");
}

void MessageReader::feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_.append(bytes);
}

MessageReader::Event MessageReader::invalid(std::string problem) {
  problem_ = std::move(problem);
  state_ = State::invalid;
  return {Kind::invalid};
}

MessageReader::Event MessageReader::next(bool bodiless) {
  switch (state_) {
    case State::invalid: return {Kind::invalid};
    case State::complete: state_ = State::head; [[fallthrough]];
    case State::head: {
      const std::size_t end = rest().find("\r\n\r\n");
      if (end == std::string_view::npos) return {};
      const std::string_view head = rest().substr(0, end + 2);
      at_ += end + 4;
      if (!read_head(head, bodiless)) return invalid("head: " + problem_ + ": " + std::string(head));
      return {Kind::head};
    }
    case State::length:
      if (left_ == 0) {
        state_ = State::complete;
        return {Kind::complete};
      }
      return take_body();
    case State::chunk_size: return next_chunk_size();
    case State::chunk:
      if (left_ != 0) return take_body();
      state_ = State::chunk_end;
      [[fallthrough]];
    case State::chunk_end:
      if (rest().size() < 2) return {};
      if (!rest().starts_with("\r\n")) return invalid("a chunk does not end in CRLF");
      at_ += 2;
      state_ = State::chunk_size;
      return next_chunk_size();
    case State::trailer: return next_trailer();
    case State::until_close: left_ = rest().size(); return take_body();
  }
  return {};
}

MessageReader::Event MessageReader::take_body() {
  const std::string_view bytes = rest().substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest().size())));
  if (bytes.empty()) return {};
  at_ += bytes.size();
  left_ -= bytes.size();
  body_bytes_ += bytes.size();
  return {Kind::body, bytes};
}

MessageReader::Event MessageReader::next_chunk_size() {
  const std::size_t end = rest().find("\r\n");
  if (end == std::string_view::npos) return rest().size() > 18 ? invalid("a chunk size without end") : Event{};
  const std::string_view line = rest().substr(0, end);
  const auto [last, error] = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
  if (error != std::errc{} || last != line.data() + line.size() || line.empty()) return invalid("chunk size \"" + std::string(line) + "\"");
  at_ += end + 2;
  state_ = left_ == 0 ? State::trailer : State::chunk;
  return left_ == 0 ? next_trailer() : take_body();
}

MessageReader::Event MessageReader::next_trailer() {
  for (;;) {
    const std::size_t end = rest().find("\r\n");
    if (end == std::string_view::npos) return {};
    const std::string line(rest().substr(0, end));
    at_ += end + 2;
    if (line.empty()) {
      state_ = State::complete;
      return {Kind::complete};
    }
    std::string name;
    std::string value;
    if (!split_field(line, name, value)) return invalid("trailer \"" + line + "\"");
    trailers_ += line + "\r\n";
  }
}

bool MessageReader::read_head(std::string_view head, bool bodiless) {
  fields_.clear();
  trailers_.clear();
  body_bytes_ = 0;
  const std::size_t first_end = head.find("\r\n");
  start_line_ = head.substr(0, first_end);
  head.remove_prefix(first_end + 2);
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    auto& field = fields_.emplace_back();
    if (!split_field(head.substr(0, end), field.first, field.second)) {
      problem_ = "a field is malformed";
      return false;
    }
    head.remove_prefix(end + 2);
  }
  const std::string_view line = start_line_;
  const bool fits = direction_ == Direction::request
                        ? std::ranges::count(line, ' ') == 2 && line.ends_with(" HTTP/1.1")
                        : line.size() >= 12 && line.starts_with("HTTP/1.1 ") && line[9] >= '1' && line[9] <= '5';
  if (!fits) problem_ = "the first line is malformed";
  if (fits && direction_ == Direction::response) std::from_chars(line.data() + 9, line.data() + 12, status_);
  return fits && read_framing(bodiless);
}

bool MessageReader::read_framing(bool bodiless) {
  const auto count = [this](std::string_view name) {
    return std::ranges::count_if(fields_, [name](const auto& field) { return equals_ignoring_case(field.first, name); });
  };
  const std::string* const length = field("content-length");
  const std::string* const coding = field("transfer-encoding");
  const bool ambiguous = count("content-length") > 1 || count("transfer-encoding") > 1 || (length != nullptr && coding != nullptr);
  if (ambiguous) problem_ = "framing is ambiguous";
  if (coding != nullptr && *coding != "chunked") problem_ = "unknown coding";
  if (direction_ == Direction::request) {
    if (count("host") != 1) problem_ = "not one Host";
    if (count("keep-alive") + count("proxy-connection") + count("te") != 0) problem_ = "hop-by-hop field";
  }
  if (!problem_.empty()) return false;
  chunked_ = coding != nullptr;
  left_ = 0;
  if (length != nullptr) {
    const auto parsed = parse_unsigned<std::uint64_t>(*length);
    if (!parsed) {
      problem_ = "bad length";
      return false;
    }
    left_ = *parsed;
  }
  state_ = State::length;
  if (direction_ == Direction::response && (bodiless || status_ < 200 || status_ == 204 || status_ == 304)) {
    left_ = 0;
    if (status_ < 200 && (chunked_ || length != nullptr)) problem_ = "1xx with a length";
    return problem_.empty();
  }
  if (chunked_) {
    state_ = State::chunk_size;
  } else if (length == nullptr && direction_ == Direction::response) {
    state_ = State::until_close;
  }
  return true;
}

const std::string* MessageReader::field(std::string_view name) const {
  const auto found = std::ranges::find_if(fields_, [name](const auto& field) { return equals_ignoring_case(field.first, name); });
  return found == fields_.end() ? nullptr : &found->second;
}

MessageReader::End MessageReader::end() const {
  if (state_ == State::until_close) return End::completes;
  if ((state_ == State::head || state_ == State::complete) && rest().empty()) return End::between;
  return End::cuts;
}

}  // namespace steelyard::sim
