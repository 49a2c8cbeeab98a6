// Closing a connection on which a client may still be sending.
#pragma once

#include "net/stream.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "session/scratch.hpp"

namespace steelyard {

inline constexpr Duration linger_timeout = 1s;

// Ends our side and reads what the client still sends, for so long at most, so that closing does not reset the connection before the
// client has read the answer (RFC 9112 §9.6).
Task<void> linger(Stream& stream, Fiber& fiber, Scratch& scratch);

}  // namespace steelyard
