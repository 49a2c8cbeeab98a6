// Durations counted in buckets that are at most 1/128 of their value wide, after HdrHistogram (Tene): a quantile is within 0.4 % of
// the exact one, whatever the spread. Minimum, maximum and mean are exact. One thread's; copies can be merged.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.hpp"

namespace steelyard::load {

class LatencyHistogram {
 public:
  void record(Duration value) {
    const std::uint64_t ns = value.count() > 0 ? static_cast<std::uint64_t>(value.count()) : 0;
    ++buckets_[bucket_of(ns)];
    ++count_;
    sum_ns_ += static_cast<double>(ns);
    if (ns < minimum_ns_) minimum_ns_ = ns;
    if (ns > maximum_ns_) maximum_ns_ = ns;
  }
  void merge(const LatencyHistogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  // All of these are 0 when nothing was recorded.
  [[nodiscard]] Duration minimum() const { return Duration{count_ == 0 ? 0 : static_cast<std::int64_t>(minimum_ns_)}; }
  [[nodiscard]] Duration maximum() const { return Duration{static_cast<std::int64_t>(maximum_ns_)}; }
  [[nodiscard]] Duration mean() const;
  // The value that the fraction (0 to 1) of the records does not exceed, by nearest rank.
  [[nodiscard]] Duration quantile(double fraction) const;
  // How many records are less than `value`, which is moved by up to 0.8 % to the edge of its bucket.
  [[nodiscard]] std::uint64_t count_below(Duration value) const;

 private:
  static constexpr unsigned precision_bits = 7;
  static constexpr std::uint64_t per_octave = std::uint64_t{1} << precision_bits;
  static constexpr unsigned value_bits = 43;  // 2.4 hours; what is longer falls into the last bucket
  static constexpr std::size_t bucket_count = (value_bits - precision_bits + 1) * per_octave;

  // Below 128 ns each has a bucket of its own; above, each power of two is cut into 128.
  static constexpr std::size_t bucket_of(std::uint64_t ns) {
    if (ns < per_octave) return ns;
    if (ns >> value_bits != 0) return bucket_count - 1;
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - precision_bits;
    return shift * per_octave + (ns >> shift);
  }
  static constexpr std::uint64_t lower_bound(std::size_t bucket) {
    if (bucket < 2 * per_octave) return bucket;
    const std::uint64_t shift = bucket / per_octave - 1;
    return (bucket - shift * per_octave) << shift;
  }

  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(bucket_count);
  std::uint64_t count_ = 0;
  double sum_ns_ = 0;
  std::uint64_t minimum_ns_ = UINT64_MAX;
  std::uint64_t maximum_ns_ = 0;
};

}  // namespace steelyard::load
