#include "proxy/relay.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "runtime/child.hpp"

namespace steelyard {
namespace {

// Below this a copy through the scratch costs less than the two calls of a splice.
constexpr std::uint64_t splice_bytes_min = 256 * 1024;

// After so much without waiting, others get their turn.
constexpr std::uint64_t turn_bytes_max = 1024 * 1024;

Error wait_failure(WaitResult waited, Side side) { return {error_of(waited), side}; }

void set_idle_deadline(Fiber& fiber, const RelayBounds& bounds) {
  fiber.set_deadline(std::min(fiber.scheduler().now() + bounds.idle_timeout, bounds.total_deadline));
}

// A pipe with what is still in it; never given back with bytes of one exchange inside.
class BorrowedPipe {
 public:
  explicit BorrowedPipe(Pipes& pipes) : pipes_(pipes), pipe_(pipes.take()) {}
  BorrowedPipe(const BorrowedPipe&) = delete;
  BorrowedPipe& operator=(const BorrowedPipe&) = delete;
  ~BorrowedPipe() {
    if (!pipe_.open()) return;
    if (held_bytes == 0) {
      pipes_.give_back(pipe_);
    } else {
      Pipes::close_both(pipe_);
    }
  }
  [[nodiscard]] const Pipes::Pipe& ends() const { return pipe_; }
  std::size_t held_bytes = 0;
  bool more_follows = false;

 private:
  Pipes& pipes_;
  Pipes::Pipe pipe_;
};

// One step of a splice: fills the pipe or empties it. would_block with the side that must be waited for.
Result<void> splice_step(BodyReader& from, StreamWriter& to, BorrowedPipe& pipe, BeforeEnd* before_end) {
  constexpr unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE;
  if (pipe.held_bytes == 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(from.length_left(), Pipes::pipe_bytes));
    const ssize_t got = splice(from.stream().descriptor(), nullptr, pipe.ends().write_end, nullptr, wanted, flags);
    if (got < 0 && errno == EAGAIN) {
      from.stream().exhausted_read();
      return fail(ErrorKind::would_block, Side::server);
    }
    if (got < 0 && errno == EINTR) return {};
    if (got < 0) return fail(errno == ECONNRESET ? ErrorKind::reset : ErrorKind::system, Side::server, Retry::never, errno);
    if (got == 0) return fail(ErrorKind::closed, Side::server);
    pipe.held_bytes = static_cast<std::size_t>(got);
    pipe.more_follows = pipe.held_bytes == wanted;
    from.skip(pipe.held_bytes);
  }
  if (before_end != nullptr && from.done()) before_end->on_last_bytes();
  // More only where it is here already: otherwise the kernel would hold the last segment back for what may come much later.
  const unsigned more = pipe.more_follows && !from.done() ? SPLICE_F_MORE : 0;
  const ssize_t put = splice(pipe.ends().read_end, nullptr, to.stream().descriptor(), nullptr, pipe.held_bytes, flags | more);
  if (put < 0 && errno == EAGAIN) {
    to.stream().exhausted_write();
    return fail(ErrorKind::would_block, Side::client);
  }
  if (put < 0 && errno == EINTR) return {};
  if (put <= 0) return fail(ErrorKind::reset, Side::client, Retry::never, errno);
  pipe.held_bytes -= static_cast<std::size_t>(put);
  to.count_sent(static_cast<std::uint64_t>(put));
  return {};
}

Task<Result<void>> splice_body(BodyReader& from, StreamWriter& to, Pipes& pipes, RelayBounds bounds) {
  Fiber& fiber = co_await this_fiber();
  BorrowedPipe pipe(pipes);
  std::uint64_t turn_bytes = 0;
  while (pipe.ends().open() && (!from.done() || pipe.held_bytes != 0)) {
    const std::uint64_t before = to.sent_bytes();
    const auto step = splice_step(from, to, pipe, bounds.before_end);
    const std::uint64_t sent_bytes = to.sent_bytes() - before;
    turn_bytes += sent_bytes;
    if (!step && step.error().kind != ErrorKind::would_block) co_return step;
    if (bounds.pace != nullptr && sent_bytes != 0) {
      const auto paced = co_await keep_pace(fiber, to, *bounds.pace, sent_bytes, bounds.total_deadline);
      if (!paced) co_return paced;
    }
    WaitResult waited = WaitResult::done;
    if (!step) {
      set_idle_deadline(fiber, bounds);
      turn_bytes = 0;
      if (step.error().side == Side::server) {
        waited = co_await from.stream().readable();
      } else {
        waited = co_await to.stream().writable();
      }
      if (waited != WaitResult::done) co_return std::unexpected(wait_failure(waited, step.error().side));
    } else if (turn_bytes >= turn_bytes_max) {
      turn_bytes = 0;
      waited = co_await yield_turn();
      if (waited != WaitResult::done) co_return fail(ErrorKind::cancelled);
    }
  }
  co_return Result<void>{};
}

bool can_splice(BodyReader& from, StreamWriter& to, Coding coding) {
  return coding == Coding::plain && from.length_left() >= splice_bytes_min && from.stream().descriptor() >= 0 &&
         to.stream().descriptor() >= 0;
}

}  // namespace

Task<Result<void>> keep_pace(Fiber& fiber, StreamWriter& to, Pace& pace, std::uint64_t bytes, Instant total_deadline) {
  Instant now = fiber.scheduler().now();
  const Instant until = now + pace.spend(bytes, now);
  if (until > now && until >= total_deadline) co_return fail(ErrorKind::timed_out);
  while (now < until) {
    to.stream().watch();  // a receiver that goes away ends it
    fiber.set_deadline(until);
    const WaitResult waited = co_await until_deadline();
    if (waited == WaitResult::cancelled) co_return fail(ErrorKind::cancelled);
    now = fiber.scheduler().now();
  }
  co_return Result<void>{};
}

Task<Result<void>> flush(StreamWriter& to, RelayBounds bounds) {
  Fiber& fiber = co_await this_fiber();
  for (;;) {
    const auto flushed = to.flush();
    if (flushed || flushed.error().kind != ErrorKind::would_block) co_return flushed;
    set_idle_deadline(fiber, bounds);
    const WaitResult waited = co_await to.stream().writable();
    if (waited != WaitResult::done) co_return std::unexpected(wait_failure(waited, flushed.error().side));
  }
}

Task<Result<void>> relay_body(BodyReader& from, StreamWriter& to, Coding coding, RelayTools tools, RelayBounds bounds, Exchange* client) {
  Fiber& fiber = co_await this_fiber();
  const Side from_side = client != nullptr ? Side::client : Side::server;
  std::uint64_t turn_bytes = 0;
  if (bounds.pace != nullptr) {
    const auto paced = co_await keep_pace(fiber, to, *bounds.pace, bounds.sent_already, bounds.total_deadline);
    if (!paced) co_return paced;
  }
  for (;;) {
    if (!to.empty()) {
      const auto flushed = co_await flush(to, bounds);
      if (!flushed) co_return flushed;
    }
    if (from.done()) co_return Result<void>{};
    if (client == nullptr && can_splice(from, to, coding)) {
      const auto spliced = co_await splice_body(from, to, tools.pipes, bounds);
      if (!spliced) co_return spliced;
      if (from.done()) continue;  // else there was no pipe: copy
    }
    const auto piece = from.read(tools.scratch.data());
    if (piece) {
      if (from.payload_bytes() > bounds.body_bytes_max) co_return fail(ErrorKind::too_large, from_side);
      if (client != nullptr) client->keep_leftover(piece->leftover);
      std::span<const char> bytes = piece->payload;
      if (coding == Coding::chunked) {
        // An empty payload may have been given no memory; the end of the chunked body needs some.
        const std::span<char> payload = piece->payload.empty() ? tools.scratch.data().first(0) : piece->payload;
        bytes = encode_chunk(payload, from.done() ? Last::yes : Last::no, from.trailers());
      }
      const std::size_t size = bytes.size();
      if (bounds.before_end != nullptr && from.done()) bounds.before_end->on_last_bytes();
      const auto sent = to.send(bytes);
      if (!sent) co_return sent;
      if (bounds.pace != nullptr) {
        const auto paced = co_await keep_pace(fiber, to, *bounds.pace, size, bounds.total_deadline);
        if (!paced) co_return paced;
      }
      turn_bytes += size;
      if (turn_bytes < turn_bytes_max) continue;
      turn_bytes = 0;
      const WaitResult yielded = co_await yield_turn();
      if (yielded != WaitResult::done) co_return fail(ErrorKind::cancelled);
      continue;
    }
    if (piece.error().kind != ErrorKind::would_block) co_return std::unexpected(piece.error());
    set_idle_deadline(fiber, bounds);
    turn_bytes = 0;
    const WaitResult waited = co_await from.stream().readable();
    if (waited != WaitResult::done) co_return std::unexpected(wait_failure(waited, from_side));
  }
}

}  // namespace steelyard
