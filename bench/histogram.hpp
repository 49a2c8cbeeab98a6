// Latencies counted in buckets of about one and a half per cent of their value, so that recording one is an increment and a
// percentile needs no sorting. Unit of the buckets: a tenth of a microsecond.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace steelyard::bench {

class Histogram {
 public:
  void record(std::int64_t latency_ns) {
    sum_ns_ += latency_ns;
    max_ns_ = std::max(max_ns_, latency_ns);
    ++count_;
    ++buckets_[bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(latency_ns, 0)) / ns_per_unit)];
  }

  double percentile_us(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      seen += buckets_[bucket];
      if (seen > wanted) return static_cast<double>(lower_bound_of(bucket)) * ns_per_unit / 1e3;
    }
    return max_us();
  }

  std::uint64_t count() const { return count_; }
  double max_us() const { return static_cast<double>(max_ns_) / 1e3; }
  double mean_us() const { return count_ == 0 ? 0 : static_cast<double>(sum_ns_) / 1e3 / static_cast<double>(count_); }

 private:
  static constexpr std::uint64_t ns_per_unit = 100;
  static constexpr std::size_t precision_bits = 6;
  static constexpr std::uint64_t linear_below = 1 << precision_bits;

  // Below 64 units each has a bucket; above, each power of two is cut into 64.
  static std::size_t bucket_of(std::uint64_t units) {
    if (units < linear_below) return units;
    const std::size_t shift = static_cast<std::size_t>(std::bit_width(units)) - 1 - precision_bits;
    return std::min<std::size_t>((shift + 1) * linear_below + ((units >> shift) - linear_below), bucket_count - 1);
  }

  static std::uint64_t lower_bound_of(std::size_t bucket) {
    if (bucket < linear_below) return bucket;
    return (linear_below + bucket % linear_below) << (bucket / linear_below - 1);
  }

  static constexpr std::size_t bucket_count = 48 * linear_below;
  std::array<std::uint32_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
  std::int64_t sum_ns_ = 0;
  std::int64_t max_ns_ = 0;
};

}  // namespace steelyard::bench
