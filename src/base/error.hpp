// Errors are values. An Error is two words and carries what a proxy must decide from it: which side failed and whether the
// same request may be tried again. It is turned into a status code in one place only, proxy/error_response.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace steelyard {

enum class ErrorKind : std::uint8_t {
  would_block,       // not an error for long: nothing can be done without waiting
  closed,            // the peer ended the stream where more was due
  reset,             // the peer reset the connection
  refused,           // nobody listens there
  unreachable,       // the network says there is no way
  timed_out,         // a deadline passed
  cancelled,         // somebody who may do so ended the operation
  malformed,         // the peer broke its protocol
  too_large,         // a limit on size was hit
  overloaded,        // a limit on number was hit
  out_of_turn,       // no place became free in time
  rejected,          // an answer came that another server is asked for instead of
  resources,         // descriptors, memory or ports of this process or machine
  no_server,         // no server may take the request
  outdated,          // what was decided goes by something that has changed since
  policy_absent,     // the request does not say which policy it demands
  policy_ambiguous,  // it says so in more than one way, or in none that everybody reads alike
  policy_unmet,      // no server promises what it demands; os_code: the status to answer with
  system,            // anything else the system said: see os_code
};

enum class Side : std::uint8_t { local, client, server };

enum class Retry : std::uint8_t {
  never,             // the request may have had an effect
  fresh_connection,  // a reused connection had gone stale: once more on a new one, to the same server
  any,               // the request reached nobody: any server
};

struct Error {
  ErrorKind kind = ErrorKind::system;
  Side side = Side::local;
  Retry retry = Retry::never;
  int os_code = 0;  // errno, where the system gave one; the status, where there is one
};

template <typename T>
using Result = std::expected<T, Error>;

constexpr std::unexpected<Error> fail(ErrorKind kind, Side side = Side::local, Retry retry = Retry::never, int os_code = 0) {
  return std::unexpected(Error{kind, side, retry, os_code});
}

// For what people wrote: a sentence that says what is wrong with it.
inline std::unexpected<std::string> wrong(std::string sentence) { return std::unexpected(std::move(sentence)); }

}  // namespace steelyard
