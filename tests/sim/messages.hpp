// What the actors say and how they read it: bodies whose every byte tells which exchange it belongs to, and a strict reader of
// HTTP/1.1 messages that shares no code with src/wire, so that a mistake there is not repeated here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace steelyard::sim {

enum class Direction : std::uint8_t { request, response };

[[nodiscard]] std::string body_of(std::uint64_t id, Direction direction, std::size_t bytes);
// Whether `bytes`, which begin at `at` of a body, are those of that exchange.
[[nodiscard]] bool belongs(std::string_view bytes, std::uint64_t id, Direction direction, std::uint64_t at);
// The chunked coding of `body` in chunks of the given sizes, the last of which repeats.
[[nodiscard]] std::string chunked(std::string_view body, std::size_t chunk_bytes, std::string_view trailers);

// Reads messages of one direction, one after the other.
class MessageReader {
 public:
  enum class Kind : std::uint8_t { more, head, body, complete, invalid };
  struct Event {
    Kind kind = Kind::more;
    std::string_view bytes{};  // of the body; valid until the next call
  };

  explicit MessageReader(Direction direction) : direction_(direction) {}
  void feed(std::string_view bytes);
  // What comes next. `bodiless`: the response answers a HEAD.
  Event next(bool bodiless = false);
  // The stream has ended: whether that completes a message, and whether it cuts one.
  enum class End : std::uint8_t { between, completes, cuts };
  [[nodiscard]] End end() const;

  // Of the message under way or just complete.
  [[nodiscard]] const std::string& start_line() const { return start_line_; }
  [[nodiscard]] const std::string* field(std::string_view name) const;
  [[nodiscard]] const std::string& trailers() const { return trailers_; }
  [[nodiscard]] std::uint64_t body_bytes() const { return body_bytes_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  // Bytes that were fed and belong to what has not been returned yet.
  [[nodiscard]] std::size_t unread_bytes() const { return buffer_.size() - at_; }

 private:
  enum class State : std::uint8_t { head, length, chunk_size, chunk, chunk_end, trailer, until_close, complete, invalid };

  Event invalid(std::string problem);
  bool read_head(std::string_view head, bool bodiless);
  bool read_framing(bool bodiless);
  Event next_chunk_size();
  Event next_trailer();
  Event take_body();
  [[nodiscard]] std::string_view rest() const { return std::string_view(buffer_).substr(at_); }

  Direction direction_;
  State state_ = State::head;
  std::string buffer_;
  std::size_t at_ = 0;
  std::string start_line_;
  std::vector<std::pair<std::string, std::string>> fields_;
  std::string trailers_;
  std::string problem_;
  std::uint64_t left_ = 0;
  std::uint64_t body_bytes_ = 0;
  int status_ = 0;
  bool chunked_ = false;
};

}  // namespace steelyard::sim
