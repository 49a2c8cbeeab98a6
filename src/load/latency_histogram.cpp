#include "load/latency_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace steelyard::load {

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
  minimum_ns_ = std::min(minimum_ns_, other.minimum_ns_);
  maximum_ns_ = std::max(maximum_ns_, other.maximum_ns_);
}

Duration LatencyHistogram::mean() const {
  return Duration{count_ == 0 ? 0 : static_cast<std::int64_t>(sum_ns_ / static_cast<double>(count_))};
}

Duration LatencyHistogram::quantile(double fraction) const {
  if (count_ == 0) return Duration{0};
  const double wanted = std::ceil(fraction * static_cast<double>(count_));
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  if (rank == count_) return maximum();
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while ((seen += buckets_[bucket]) < rank) ++bucket;
  const std::uint64_t middle = (lower_bound(bucket) + lower_bound(bucket + 1) - 1) / 2;
  return Duration{static_cast<std::int64_t>(std::clamp(middle, minimum_ns_, maximum_ns_))};
}

std::uint64_t LatencyHistogram::count_below(Duration value) const {
  if (value > maximum()) return count_;
  const std::size_t end = value.count() <= 0 ? 0 : bucket_of(static_cast<std::uint64_t>(value.count()));
  return std::accumulate(buckets_.begin(), buckets_.begin() + static_cast<std::ptrdiff_t>(end), std::uint64_t{0});
}

}  // namespace steelyard::load
