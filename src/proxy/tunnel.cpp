// The tunnel after an upgrade: two relays of plain bytes, one a child of the other, that share one idle timeout.
#include <algorithm>

#include "proxy/relay.hpp"
#include "runtime/child.hpp"

namespace steelyard {
namespace {

struct Shared {
  TunnelBounds bounds;
  Instant last_moved;

  [[nodiscard]] Instant deadline() const { return std::min(last_moved + bounds.idle_timeout, bounds.total_deadline); }
  // One direction has ended. The other may still have something to say, but a peer that has gone without a word must not hold
  // the tunnel as long as a living one may be silent.
  void end_direction() { bounds.idle_timeout = std::min(bounds.idle_timeout, bounds.half_closed_timeout); }
};

// Waits for `readiness` as long as anything moves in the tunnel, in whichever direction.
template <typename MakeWait>
Task<WaitResult> wait_while_active(MakeWait make_wait, Shared& shared) {
  Fiber& fiber = co_await this_fiber();
  for (;;) {
    const Instant deadline = shared.deadline();
    if (fiber.scheduler().now() >= deadline) co_return WaitResult::timed_out;
    fiber.set_deadline(deadline);
    const WaitResult waited = co_await make_wait();
    if (waited != WaitResult::timed_out) co_return waited;
  }
}

Task<Result<std::uint64_t>> carry(Stream& from, StreamWriter& to, Side from_side, Scratch& scratch, Shared& shared) {
  Pace* const pace = from_side == Side::server ? shared.bounds.pace : nullptr;
  Fiber& fiber = co_await this_fiber();
  std::uint64_t moved_bytes = 0;
  for (;;) {
    const auto flushed = to.flush();
    if (!flushed && flushed.error().kind != ErrorKind::would_block) co_return std::unexpected(flushed.error());
    WaitResult waited = WaitResult::done;
    if (!flushed) {
      waited = co_await wait_while_active([&] { return to.stream().writable(); }, shared);
    } else {
      const auto got = from.read(scratch.data());
      if (got && *got == 0) {
        // Half-close goes through: the other direction lives on.
        to.stream().shutdown_write();
        co_return moved_bytes;
      }
      if (got) {
        shared.last_moved = fiber.scheduler().now();
        moved_bytes += *got;
        const auto sent = to.send(scratch.data().first(*got));
        if (!sent) co_return std::unexpected(sent.error());
        if (pace != nullptr) {
          const auto paced = co_await keep_pace(fiber, to, *pace, *got, shared.bounds.total_deadline);
          if (!paced) co_return std::unexpected(paced.error());
          shared.last_moved = fiber.scheduler().now();
        }
        // More may be there already: others get their turn first.
        if (from.is_readable()) waited = co_await yield_turn();
      } else if (got.error().kind == ErrorKind::would_block) {
        waited = co_await wait_while_active([&] { return from.readable(); }, shared);
      } else {
        co_return fail(got.error().kind, from_side, Retry::never, got.error().os_code);
      }
    }
    if (waited != WaitResult::done) co_return fail(error_of(waited), from_side);
  }
}

struct Upward {
  Exchange& exchange;
  StreamWriter& to_server;
  Scratch& scratch;
  Shared& shared;
  Result<std::uint64_t> result = std::uint64_t{0};
};

// The direction from the client, as a child: when it fails, the other direction has no purpose any more.
Task<void> carry_up(Upward& up) {
  up.result = co_await carry(up.exchange.body.stream(), up.to_server, Side::client, up.scratch, up.shared);
  up.shared.end_direction();
  up.exchange.fiber.set_deadline(up.shared.deadline());
  if (!up.result) up.exchange.fiber.interrupt();
}

}  // namespace

Task<TunnelEnd> tunnel(Exchange& exchange, Stream& server, StreamWriter& to_server, RelayTools tools, TunnelBounds bounds) {
  Fiber& fiber = co_await this_fiber();
  Shared shared{bounds, fiber.scheduler().now()};
  Upward up{exchange, to_server, tools.scratch, shared};
  Child upward(fiber.scheduler());
  upward.start(carry_up(up));
  // A client that has failed at once could not interrupt a fiber that was not waiting yet.
  Result<std::uint64_t> down = std::uint64_t{0};
  if (up.result) down = co_await carry(server, exchange.response, Side::server, tools.scratch, shared);
  if (!down) upward.cancel(Cause::sibling_done);
  shared.end_direction();
  if (upward.running()) upward.fiber().set_deadline(shared.deadline());
  // The deadline was that of the direction that has ended; the other one watches its own.
  fiber.clear_deadline();
  co_await upward.join();

  TunnelEnd end;
  end.client_bytes = up.result.value_or(0);
  end.server_bytes = down.value_or(0);
  // The first failure counts; the other direction was only told to stop.
  if (!up.result && up.result.error().kind != ErrorKind::cancelled) {
    end.result = std::unexpected(up.result.error());
  } else if (!down) {
    end.result = std::unexpected(down.error());
  }
  co_return end;
}

}  // namespace steelyard
