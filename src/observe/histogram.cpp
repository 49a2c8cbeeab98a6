#include "observe/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace steelyard {

namespace {

Duration microseconds(std::uint64_t us) { return std::chrono::microseconds{static_cast<std::int64_t>(us)}; }

}  // namespace

Duration HistogramSnapshot::quantile(double fraction) const {
  if (count_ == 0) return Duration{0};
  const double wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1);
  std::uint64_t passed = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    passed += buckets_[i];
    if (passed < rank) continue;
    if (i == buckets_.size() - 1) return microseconds(maximum_us_);
    // The middle of the bucket, but nothing beyond what was seen.
    const std::uint64_t middle = (histogram_buckets::lower_bound(i) + histogram_buckets::lower_bound(i + 1) - 1) / 2;
    return microseconds(std::max(std::min(middle, maximum_us_), std::min(minimum_us_, maximum_us_)));
  }
  return microseconds(maximum_us_);
}

void HistogramSnapshot::merge(const HistogramSnapshot& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_us_ += other.sum_us_;
  minimum_us_ = std::min(minimum_us_, other.minimum_us_);
  maximum_us_ = std::max(maximum_us_, other.maximum_us_);
}

void HistogramSnapshot::add(std::uint64_t us, std::uint64_t count) {
  buckets_[histogram_buckets::index(us)] += count;
  count_ += count;
}

void HistogramSnapshot::set_extremes(std::uint64_t minimum_us, std::uint64_t maximum_us, std::uint64_t sum_us) {
  minimum_us_ = minimum_us;
  maximum_us_ = maximum_us;
  sum_us_ = sum_us;
}

Duration HistogramSnapshot::minimum() const { return microseconds(count_ == 0 ? 0 : minimum_us_); }
Duration HistogramSnapshot::maximum() const { return microseconds(maximum_us_); }
Duration HistogramSnapshot::average() const { return microseconds(count_ == 0 ? 0 : sum_us_ / count_); }
Duration HistogramSnapshot::sum() const { return microseconds(sum_us_); }

HistogramSnapshot Histogram::snapshot() const {
  HistogramSnapshot copy;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    copy.buckets_[i] = buckets_[i].value();
    copy.count_ += copy.buckets_[i];
  }
  copy.sum_us_ = sum_us_.value();
  copy.minimum_us_ = static_cast<std::uint64_t>(minimum_us_.value());
  copy.maximum_us_ = static_cast<std::uint64_t>(maximum_us_.value());
  return copy;
}

}  // namespace steelyard
