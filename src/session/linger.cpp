#include "session/linger.hpp"

namespace steelyard {

Task<void> linger(Stream& stream, Fiber& fiber, Scratch& scratch) {
  stream.shutdown_write();
  fiber.set_deadline(fiber.scheduler().now() + linger_timeout);
  for (;;) {
    const auto got = stream.read(scratch.data());
    if (got && *got == 0) co_return;
    if (!got && got.error().kind != ErrorKind::would_block) co_return;
    // A client that sends without end gets its turns, but no more than its time.
    const WaitResult waited = got ? co_await yield_turn() : co_await stream.readable();
    if (waited != WaitResult::done || fiber.scheduler().now() >= fiber.deadline()) co_return;
  }
}

}  // namespace steelyard
