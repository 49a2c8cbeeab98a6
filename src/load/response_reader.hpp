// One answer after another as they come off a connection: where each begins and ends, its status, and who it says it is from. Bodies
// are counted and forgotten. Strict, by the codecs of wire/; knows no sockets. One for each connection.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "load/tally.hpp"
#include "runtime/buffer.hpp"
#include "wire/http/message.hpp"
#include "wire/http1/chunked_decoder.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard::load {

class ResponseReader {
 public:
  // What the readers of one thread share. A head is too large for each connection to have its own, and not kept.
  struct Shared {
    http::Method method = http::Method::get;  // of the requests: head has answers without bodies
    std::string_view server_field;            // names the server; empty for none
    ServerNames& servers;
    http::ResponseHead head;
  };
  explicit ResponseReader(Shared& shared) : shared_(shared) {}

  // Before each answer.
  void begin();
  enum class Step : std::uint8_t { more, done, malformed };
  // Takes the bytes that came next; they may be moved about. Not after anything but `more`.
  Step take(std::span<char> bytes);
  // The server has ended its stream. done: that was how the body ends.
  [[nodiscard]] Step end() const { return place_ == Place::until_close ? Step::done : Step::more; }

  // So many of the next bytes are body and need not be seen: whoever can drop them unread does, and says so.
  [[nodiscard]] std::uint64_t droppable_bytes() const;
  Step dropped(std::uint64_t bytes);

  // Of the answer, once it is done. Before that, body_bytes is what has come of it.
  [[nodiscard]] const Outcome& outcome() const { return outcome_; }
  // Another request may follow on the connection.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  // Something of the answer has come.
  [[nodiscard]] bool begun() const { return place_ != Place::head || !partial_head_.empty(); }

 private:
  enum class Place : std::uint8_t { head, length, chunked, until_close, done };

  Step take_head(std::span<char> bytes);
  Step take_body(std::span<char> bytes);
  void note_head();

  Shared& shared_;
  Place place_ = Place::done;
  bool keep_alive_ = false;
  Outcome outcome_;
  std::uint64_t length_left_ = 0;
  http1::ScanState scan_;
  Buffer partial_head_;
  std::optional<http1::ChunkedDecoder> decoder_;
};

}  // namespace steelyard::load
