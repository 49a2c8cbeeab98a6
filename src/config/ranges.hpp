// The ranges that several tables share.
#pragma once

#include "config/types.hpp"
#include "session/options.hpp"

namespace steelyard::config {

inline const Word<Duration> forever{"unlimited", Duration::max()};
inline const Word<std::uint64_t> without_limit{"unlimited", unlimited};
inline const Word<std::uint32_t> without_limit_32{"unlimited", UINT32_MAX};

inline Span timeout() { return {1ms, 720h}; }
inline Span timeout_or_forever() { return {1ms, 720h, forever}; }
inline Size<std::uint64_t> body_size() { return {0, 1ULL << 40U, without_limit}; }
// Exchanges under way.
inline Count<std::uint32_t> concurrency() { return {1, 10'000'000, without_limit_32}; }
inline Count<std::uint32_t> count(std::uint32_t min, std::uint32_t max) { return {min, max}; }

}  // namespace steelyard::config
