// Parses one head in every way in which its bytes can arrive in two pieces, and byte by byte, and demands the same outcome.
// Each call gets a buffer of its own that ends where the bytes end, so that a sanitizer sees stale views and reads beyond.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "wire/http1/parse.hpp"

namespace steelyard::http1 {

inline std::vector<char> copy_of(std::string_view bytes) { return {bytes.begin(), bytes.end()}; }
inline std::string_view view_of(const std::vector<char>& bytes) { return {bytes.data(), bytes.size()}; }

template <typename Head>
struct Parsed {
  std::vector<char> bytes;
  std::expected<std::size_t, http::ParseError> taken;
  std::unique_ptr<Head> head = std::make_unique<Head>();

  [[nodiscard]] bool accepted() const { return taken && *taken != 0; }
  [[nodiscard]] int status() const { return taken ? 0 : taken.error().status; }  // 0: not refused
};

inline std::string describe(const http::RequestHead& head) {
  std::string text = std::string(head.method_text) + ' ' + std::string(head.authority) + '|' + std::string(head.path) + '?' +
                     std::string(head.query) + '|' + std::string(head.upgrade) + '|' + std::to_string(static_cast<int>(head.body.kind)) +
                     std::to_string(head.body.length) + std::to_string(head.keep_alive) + std::to_string(head.expects_continue);
  for (const http::Field& field : head.fields.all()) {
    text += '|' + std::string(field.name) + '=' + std::string(field.value) + std::to_string(field.hop_by_hop);
  }
  return text;
}

inline std::string describe(const http::ResponseHead& head) {
  std::string text = std::to_string(head.status) + std::string(head.reason) + '|' + std::string(head.upgrade) + '|' +
                     std::to_string(static_cast<int>(head.body.kind)) + std::to_string(head.body.length) + std::to_string(head.keep_alive);
  for (const http::Field& field : head.fields.all()) {
    text += '|' + std::string(field.name) + '=' + std::string(field.value) + std::to_string(field.hop_by_hop);
  }
  return text;
}

// `parse(bytes, scan, head)` is one call of the parser.
template <typename Head, typename Parse>
Parsed<Head> parse_in_pieces(std::string_view bytes, const std::vector<std::size_t>& ends, Parse parse) {
  Parsed<Head> parsed;
  ScanState scan;
  for (const std::size_t end : ends) {
    parsed.bytes = copy_of(bytes.substr(0, end));
    parsed.taken = parse(view_of(parsed.bytes), scan, *parsed.head);
    if (!parsed.taken || *parsed.taken != 0) break;
  }
  return parsed;
}

template <typename Head, typename Parse>
Parsed<Head> parse_however_split(std::string_view bytes, Parse parse) {
  Parsed<Head> whole = parse_in_pieces<Head>(bytes, {bytes.size()}, parse);
  const auto expect_same = [&](const Parsed<Head>& other, std::size_t split) {
    EXPECT_EQ(other.taken.has_value(), whole.taken.has_value()) << "split at " << split;
    EXPECT_EQ(other.status(), whole.status()) << "split at " << split;
    if (!whole.accepted() || !other.accepted()) return;
    EXPECT_EQ(*other.taken, *whole.taken) << "split at " << split;
    EXPECT_EQ(describe(*other.head), describe(*whole.head)) << "split at " << split;
  };
  std::vector<std::size_t> every;
  for (std::size_t split = 1; split <= bytes.size(); ++split) {
    expect_same(parse_in_pieces<Head>(bytes, {split, bytes.size()}, parse), split);
    every.push_back(split);
  }
  if (!every.empty()) expect_same(parse_in_pieces<Head>(bytes, every, parse), 0);
  return whole;
}

inline Parsed<http::RequestHead> request(std::string_view bytes, const http::HeadLimits& limits = {}) {
  return parse_however_split<http::RequestHead>(
      bytes, [&](std::string_view seen, ScanState& scan, http::RequestHead& head) { return parse_request(seen, scan, limits, head); });
}

inline Parsed<http::ResponseHead> response(std::string_view bytes, http::Method method = http::Method::get) {
  return parse_however_split<http::ResponseHead>(bytes, [&](std::string_view seen, ScanState& scan, http::ResponseHead& head) {
    return parse_response(seen, scan, http::HeadLimits{}, method, head);
  });
}

// A GET with these field lines, each with its end.
inline Parsed<http::RequestHead> get_with(std::string_view field_lines) {
  return request("GET / HTTP/1.1\r\nHost: a.test\r\n" + std::string(field_lines) + "\r\n");
}
inline Parsed<http::RequestHead> post_with(std::string_view field_lines) {
  return request("POST / HTTP/1.1\r\nHost: a.test\r\n" + std::string(field_lines) + "\r\n");
}
inline Parsed<http::ResponseHead> ok_with(std::string_view field_lines, http::Method method = http::Method::get) {
  return response("HTTP/1.1 200 OK\r\n" + std::string(field_lines) + "\r\n", method);
}

template <typename Head>
const http::Field* field_of(const Parsed<Head>& parsed, std::string_view name) {
  for (const http::Field& field : parsed.head->fields.all()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

}  // namespace steelyard::http1
