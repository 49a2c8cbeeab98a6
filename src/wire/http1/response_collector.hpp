// One answer, collected whole in memory: for small clients of APIs, such as the command line. Not for the request path, which never
// holds a body. Strict, by the parsers beside it; knows no sockets. One for each answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "wire/http/message.hpp"
#include "wire/http1/chunked_decoder.hpp"

namespace steelyard::http1 {

class ResponseCollector {
 public:
  // `method` is that of the request. A body beyond `body_bytes_max` is not taken.
  ResponseCollector(http::Method method, std::size_t body_bytes_max) : method_(method), body_bytes_max_(body_bytes_max) {}

  enum class Step : std::uint8_t { more, done, malformed, too_large };
  // Takes the bytes that came next; they may be moved about. Not after anything but `more`.
  Step take(std::span<char> bytes);
  // The server has ended its stream; malformed: too early.
  [[nodiscard]] Step end() const { return place_ == Place::until_close ? Step::done : Step::malformed; }

  // 0 while the head is not complete.
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& content_type() const { return content_type_; }
  // Something has come.
  [[nodiscard]] bool begun() const { return begun_; }
  [[nodiscard]] const std::string& body() const { return body_; }
  // What of the body has come since the last call: for one that goes on for long.
  [[nodiscard]] std::string take_body() { return std::exchange(body_, {}); }

 private:
  enum class Place : std::uint8_t { head, length, chunked, until_close, done };

  Step take_head(std::span<char> bytes);
  void note_head(const http::ResponseHead& head);
  Step take_body_bytes(std::span<char> bytes);
  Step append(std::span<const char> payload);

  http::Method method_;
  std::size_t body_bytes_max_;
  Place place_ = Place::head;
  bool begun_ = false;
  int status_ = 0;
  std::string content_type_;
  std::string head_;  // while it is not complete, with interim answers before it
  std::string body_;
  std::uint64_t length_left_ = 0;
  std::optional<ChunkedDecoder> decoder_;
};

}  // namespace steelyard::http1
