#include "load/client.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "load/generator.hpp"
#include "runtime/child.hpp"

namespace steelyard::load {
namespace {

// A request for which nobody listened is followed by the next one a little later, or a closed loop would do nothing but connect.
constexpr Duration pause_after_refusal = 10ms;
// Where the server has said that it will close, it is given so long to do so first: then no port rests here for a minute.
constexpr Duration wait_for_close = 100ms;
// After so much without waiting, others get their turn.
constexpr std::uint64_t turn_bytes_max = 1024 * 1024;

Failure failure_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::refused: return Failure::refused;
    case ErrorKind::unreachable: return Failure::unreachable;
    case ErrorKind::reset: return Failure::reset;
    case ErrorKind::timed_out: return Failure::timeout;
    case ErrorKind::closed: return Failure::closed;
    case ErrorKind::cancelled: return Failure::abandoned;
    case ErrorKind::resources: return Failure::local;
    default: return Failure::unreachable;
  }
}

Failure failure_of(WaitResult result) { return result == WaitResult::timed_out ? Failure::timeout : Failure::abandoned; }

// Nothing has come since the last answer, the end included.
bool is_silent(Stream& stream) {
  if (stream.peer_ended() || stream.broken()) return false;
  return !stream.is_readable() || stream.quiet();
}

}  // namespace

Client::Client(Generator& generator) : generator_(generator), fiber_(generator.scheduler(), *this), reader_(generator.responses()) {}

void Client::on_finished(Fiber& /*fiber*/) {
  stream_.reset();
  generator_.client_finished();
}

Task<void> Client::run() {
  const bool keeps_alive = generator_.options().request.keep_alive == KeepAlive::on;
  Instant now = monotonic_now();
  while (fiber_.cause() == Cause::none) {
    const std::optional<Ticket> ticket = generator_.take(now);
    if (!ticket) {
      if (generator_.over()) break;
      fiber_.clear_deadline();
      co_await generator_.wait_for_work();
      now = monotonic_now();
      continue;
    }
    std::string_view request = generator_.requests().usual();
    if (!ticket->target.empty()) {
      generator_.requests().write(ticket->target, request_);
      request = request_;
    }
    fiber_.set_deadline(ticket->due + generator_.options().timeout);
    reader_.begin();
    const Failure failure = co_await exchange(request);
    now = monotonic_now();
    Outcome outcome = reader_.outcome();
    outcome.failure = failure;
    generator_.settle(*ticket, outcome, now);
    if (failure == Failure::none && reader_.keep_alive() && all_sent_ && keeps_alive) continue;
    co_await settle_connection(failure);
    now = monotonic_now();
  }
}

Task<Failure> Client::exchange(std::string_view request) {
  // A server may close a kept connection between requests; that is no error.
  if (stream_ != nullptr && !is_silent(*stream_)) stream_.reset();
  if (stream_ == nullptr) {
    const Failure failure = co_await connect();
    if (failure != Failure::none) co_return failure;
  }
  const auto sent = stream_->write(request);
  // Where the server hung up, what it had said before is still to be read.
  all_sent_ = sent && *sent == request.size();
  if (all_sent_ || (!sent && sent.error().kind != ErrorKind::would_block)) {
    const Failure failure = co_await receive();
    co_return failure;
  }
  const Failure failure = co_await send_and_receive(request.substr(sent.value_or(0)));
  co_return failure;
}

Task<Failure> Client::connect() {
  auto connecting = generator_.connector().connect(generator_.options().address);
  if (!connecting) co_return generator_.connect_failed(failure_of(connecting.error()));
  stream_ = std::move(*connecting);
  const WaitResult waited = co_await stream_->writable();
  if (waited != WaitResult::done) co_return generator_.connect_failed(failure_of(waited));
  const auto connected = stream_->connect_result();
  if (!connected) co_return generator_.connect_failed(failure_of(connected.error()));
  generator_.connected();
  co_return Failure::none;
}

// A body that does not fit the socket at once. The server may answer before it has read it all.
Task<Failure> Client::send_and_receive(std::string_view rest) {
  Child sender(generator_.scheduler());
  sender.start(send_rest(rest));
  const Failure failure = co_await receive();
  sender.cancel(Cause::sibling_done);
  co_await sender.join();
  co_return failure;
}

Task<void> Client::send_rest(std::string_view rest) {
  while (!rest.empty()) {
    const WaitResult waited = co_await stream_->writable();
    if (waited != WaitResult::done) co_return;
    const auto sent = stream_->write(rest);
    if (sent) {
      rest.remove_prefix(*sent);
    } else if (sent.error().kind != ErrorKind::would_block) {
      co_return;
    }
  }
  all_sent_ = true;
}

Task<Failure> Client::receive() {
  for (;;) {
    const WaitResult waited = co_await stream_->readable();
    if (waited != WaitResult::done) co_return failure_of(waited);
    const auto got = read_some();
    if (!got) co_return failure_of(got.error());
    if (*got == ResponseReader::Step::done) co_return Failure::none;
    if (*got == ResponseReader::Step::malformed) co_return Failure::malformed;
    if (!stream_->is_readable()) continue;
    // Neither events nor the deadline reach who never waits.
    co_await yield_turn();
    if (generator_.scheduler().now() >= fiber_.deadline()) co_return Failure::timeout;
  }
}

Result<ResponseReader::Step> Client::read_some() {
  std::uint64_t turn_bytes = 0;
  while (stream_->is_readable() && turn_bytes < turn_bytes_max) {
    const std::uint64_t droppable = reader_.droppable_bytes();
    const auto memory = generator_.scratch();
    const auto got = droppable > 0 ? drop_unread(droppable) : stream_->read(memory);
    if (!got && got.error().kind == ErrorKind::would_block) break;
    if (!got) return std::unexpected(got.error());
    if (*got == 0) {
      if (reader_.end() == ResponseReader::Step::done) return ResponseReader::Step::done;
      return fail(ErrorKind::closed);
    }
    turn_bytes += *got;
    const auto step = droppable > 0 ? reader_.dropped(*got) : reader_.take(memory.first(*got));
    if (step != ResponseReader::Step::more) return step;
  }
  return ResponseReader::Step::more;
}

// Takes bytes off the socket without copying them anywhere (tcp(7), MSG_TRUNC), and one more than are due: if that comes, the server
// says what it was not asked for; if not, the socket is known to be empty.
Result<std::size_t> Client::drop_unread(std::uint64_t bytes) {
  const auto wanted = static_cast<std::size_t>(std::min(bytes, turn_bytes_max)) + 1;
  ssize_t got = 0;
  do {
    got = recv(stream_->descriptor(), nullptr, wanted, MSG_TRUNC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN) {
      stream_->exhausted_read();
      return fail(ErrorKind::would_block);
    }
    return fail(errno == ECONNRESET || errno == EPIPE ? ErrorKind::reset : ErrorKind::system);
  }
  // Once the peer has ended its stream no further event will come, so then only the 0 at the end tells.
  if (static_cast<std::size_t>(got) < wanted && !stream_->peer_ended()) stream_->exhausted_read();
  return static_cast<std::size_t>(got);
}

Task<void> Client::settle_connection(Failure failure) {
  const bool paused = (failure == Failure::refused || failure == Failure::unreachable || failure == Failure::local) &&
                      generator_.options().loop == Loop::closed;
  if (failure == Failure::none && !reader_.keep_alive() && !stream_->peer_ended()) {
    fiber_.set_deadline(generator_.scheduler().now() + wait_for_close);
    co_await stream_->readable();
  }
  // What is cut off is reset: a port that waits for the last packets of a connection is not free for another one.
  if (stream_ != nullptr && !stream_->peer_ended()) stream_->reset_on_close();
  stream_.reset();
  if (paused) {
    fiber_.set_deadline(generator_.scheduler().now() + pause_after_refusal);
    co_await until_deadline();
  }
}

}  // namespace steelyard::load
