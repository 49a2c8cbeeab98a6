// Moves a body from one side to the other with constant memory: what the receiver does not take is waited for before more is
// read. Small pieces go through the worker's scratch, long bodies of known length through the kernel alone (splice).
#pragma once

#include <array>
#include <vector>

#include "runtime/task.hpp"
#include "session/body_reader.hpp"
#include "session/exchange.hpp"
#include "session/scratch.hpp"
#include "session/stream_writer.hpp"

namespace steelyard {

// Pipes for splicing, kept for reuse. One set a worker.
class Pipes {
 public:
  static constexpr int pipe_bytes = 1024 * 1024;
  static constexpr std::size_t kept_max = 64;

  struct Pipe {
    int read_end = -1;
    int write_end = -1;
    [[nodiscard]] bool open() const { return read_end >= 0; }
  };

  Pipes() = default;
  Pipes(const Pipes&) = delete;
  Pipes& operator=(const Pipes&) = delete;
  ~Pipes();

  // Not open when there are no descriptors left: then bytes are copied.
  Pipe take();
  // `pipe` must be empty; one that is not is closed instead.
  void give_back(Pipe pipe);
  static void close_both(Pipe pipe);

 private:
  std::vector<Pipe> kept_;
};

enum class Coding : std::uint8_t { plain, chunked };

// How fast a body may go.
class Pace {
 public:
  // So many bytes have been sent: how long to wait before there may be more.
  virtual Duration spend(std::uint64_t bytes, Instant now) = 0;

 protected:
  ~Pace() = default;
};

// Told just before the last bytes of a body are sent: what is done after them, their receiver's next request may overtake.
class BeforeEnd {
 public:
  virtual void on_last_bytes() = 0;

 protected:
  ~BeforeEnd() = default;
};

struct RelayBounds {
  Duration idle_timeout;   // without a byte moving
  Instant total_deadline;  // of the exchange
  std::uint64_t body_bytes_max;
  Pace* pace = nullptr;            // as fast as both sides are
  std::uint64_t sent_already = 0;  // that count for the pace: what went with the head
  BeforeEnd* before_end = nullptr;
};

// What a worker's relays share.
struct RelayTools {
  Scratch& scratch;
  Pipes& pipes;
};

// Relays until the body is complete and sent. Errors say which side failed; too_large when the body exceeds its bound.
// `client` gets what follows a client's body; nullptr when the body comes from a server.
Task<Result<void>> relay_body(BodyReader& from, StreamWriter& to, Coding coding, RelayTools tools, RelayBounds bounds, Exchange* client);

// Sends the tail that a stream did not take at once.
Task<Result<void>> flush(StreamWriter& to, RelayBounds bounds);

struct TunnelBounds {
  Duration idle_timeout;         // without a byte moving, either way
  Duration half_closed_timeout;  // the same, once one side has ended
  Instant total_deadline;
  Pace* pace = nullptr;  // of what the server sends
};

// After so many bytes that went to `to`: waits as long as the pace asks for, with `fiber`, which is this one.
Task<Result<void>> keep_pace(Fiber& fiber, StreamWriter& to, Pace& pace, std::uint64_t bytes, Instant total_deadline);

// Carries bytes both ways until both sides have ended, one has failed, or a bound is reached.
struct TunnelEnd {
  std::uint64_t client_bytes = 0;
  std::uint64_t server_bytes = 0;
  Result<void> result;
};
Task<TunnelEnd> tunnel(Exchange& exchange, Stream& server, StreamWriter& to_server, RelayTools tools, TunnelBounds bounds);

}  // namespace steelyard
