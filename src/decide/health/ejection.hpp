// Taking a server out for what its answers show: why, in figures and in words; for how long; and how many of a pool may be out at
// once. Pure; who is out since when is kept by whoever ejects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/time.hpp"
#include "decide/health/options.hpp"

namespace steelyard {

// What a try says of its server.
enum class TryVerdict : std::uint8_t {
  good,
  error_status,  // it answered with a status of 500 or above
  broken,        // the connection broke, or no answer came
};

// How a try at a server ended, as far as its health goes.
struct TryResult {
  TryVerdict verdict = TryVerdict::good;
  int status = 0;                       // of the answer; 0 where it is broken
  ErrorKind error = ErrorKind::closed;  // where it is broken: how
};

// Of a try that was answered completely.
constexpr TryResult answered(int status) { return {status >= 500 ? TryVerdict::error_status : TryVerdict::good, status}; }
// Of a try that failed, also after its answer had begun.
constexpr TryResult broken(ErrorKind error) { return {TryVerdict::broken, 0, error}; }
// False where it was not the server that failed: the client went away, somebody ended the try, or this process had no descriptors
// left. Such a try is not counted.
constexpr bool is_servers_fault(const Error& error) {
  return error.side == Side::server && error.kind != ErrorKind::cancelled && error.kind != ErrorKind::resources;
}

// Why a server is to be ejected, with the figures for a sentence.
struct EjectionReason {
  enum class Kind : std::uint8_t {
    failures_in_row,  // `count` of them
    breaks_in_row,    // `count` of them
    probation,        // it failed too soon after an ejection
    error_ratio,      // `own`, the share of `count` answers that failed, is far above `others`, that of the rest of the pool
    latency,          // `own`, in microseconds, is far above `others`, the pool's median
  };
  Kind kind = Kind::failures_in_row;
  std::uint64_t count = 0;
  TryResult last{};  // the failure that was one too many; for failures_in_row, breaks_in_row and probation
  double own = 0;
  double others = 0;
};

// "7 failures in a row, last: answered 500".
[[nodiscard]] std::string in_words(const EjectionReason& reason);

// How long a server is out that was ejected `earlier` times before: twice as long each time, up to ejection_max.
[[nodiscard]] Duration ejection_time(const OutlierOptions& options, std::uint32_t earlier);
// How many of its `ejections` still count for a server that has been back for `since`: it has atoned for the last one when it has been
// back for as long as it was out, and then goes on with the one before.
[[nodiscard]] std::uint32_t ejections_remembered(const OutlierOptions& options, std::uint32_t ejections, Duration since);

// Whether one more of a pool's `servers` may be ejected while `ejected` of them are. One of two or more always may, unless the share
// is 0; the only server never may.
[[nodiscard]] bool may_eject(const OutlierOptions& options, std::size_t ejected, std::size_t servers);

}  // namespace steelyard
