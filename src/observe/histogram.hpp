// A histogram of durations in microseconds with a fixed number of buckets: exact below 64 µs, above that 32 buckets for each
// doubling, so that no value is reported more than 1.6 % off. Reaches to 2^32 µs (71 minutes); longer ones fall into the last
// bucket, but minimum, maximum and sum stay exact. One thread records; any thread takes copies, which can be merged.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.hpp"
#include "observe/counter.hpp"

namespace steelyard {

namespace histogram_buckets {

inline constexpr unsigned linear_bits = 6;  // the first 64 buckets are one microsecond wide
inline constexpr unsigned value_bits = 32;
inline constexpr std::uint64_t per_octave = std::uint64_t{1} << (linear_bits - 1);
inline constexpr std::size_t count = (std::size_t{1} << linear_bits) + (value_bits - linear_bits) * per_octave;

constexpr std::size_t index(std::uint64_t us) {
  if (us >> linear_bits == 0) return us;
  if (us >> value_bits != 0) return count - 1;
  const unsigned shift = static_cast<unsigned>(std::bit_width(us)) - linear_bits;
  return shift * per_octave + (us >> shift);
}
constexpr std::uint64_t lower_bound(std::size_t index) {
  if (index < per_octave * 2) return index;
  const std::uint64_t shift = index / per_octave - 1;
  return (index - shift * per_octave) << shift;
}

}  // namespace histogram_buckets

// A copy of a histogram, or the sum of several.
class HistogramSnapshot {
 public:
  void merge(const HistogramSnapshot& other);
  // As if these had been recorded; for the copy of another process. `add` for each bucket with any, by a duration that falls into it.
  void add(std::uint64_t us, std::uint64_t count);
  void set_extremes(std::uint64_t minimum_us, std::uint64_t maximum_us, std::uint64_t sum_us);
  [[nodiscard]] std::span<const std::uint64_t> buckets() const { return buckets_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // All of these are 0 when nothing was recorded.
  [[nodiscard]] Duration minimum() const;
  [[nodiscard]] Duration maximum() const;
  [[nodiscard]] Duration average() const;
  [[nodiscard]] Duration sum() const;
  // The value that the fraction (0 to 1) of the records does not exceed, by nearest rank.
  [[nodiscard]] Duration quantile(double fraction) const;

 private:
  friend class Histogram;
  std::array<std::uint64_t, histogram_buckets::count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_us_ = 0;
  std::uint64_t minimum_us_ = UINT64_MAX;
  std::uint64_t maximum_us_ = 0;
};

class Histogram {
 public:
  Histogram() { minimum_us_.set(INT64_MAX); }
  void record(Duration duration) {
    const std::int64_t us = duration.count() > 0 ? duration.count() / 1000 : 0;
    buckets_[histogram_buckets::index(static_cast<std::uint64_t>(us))].add();
    sum_us_.add(static_cast<std::uint64_t>(us));
    if (us < minimum_us_.value()) [[unlikely]]
      minimum_us_.set(us);
    if (us > maximum_us_.value()) [[unlikely]]
      maximum_us_.set(us);
  }
  [[nodiscard]] HistogramSnapshot snapshot() const;

 private:
  std::array<Counter, histogram_buckets::count> buckets_;
  Counter sum_us_;
  Gauge minimum_us_;
  Gauge maximum_us_;
};

}  // namespace steelyard
