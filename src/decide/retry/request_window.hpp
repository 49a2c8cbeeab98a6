// How many requests there were in the last ten seconds and how many of them were sent a second time, so that retries can be kept
// to a share of the requests (as the retry budgets of Finagle do). Written by one worker, read by all; time is an argument.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace steelyard::retry {

struct Recent {
  std::uint64_t requests = 0;
  std::uint64_t retries = 0;
};

class RequestWindow {
 public:
  static constexpr std::int64_t seconds = 10;

  void add_request(std::int64_t second) { add(bucket(second).requests); }
  void add_retry(std::int64_t second) { add(bucket(second).retries); }

  // Adds what this window has counted in the ten seconds that end with `second`.
  void add_to(Recent& recent, std::int64_t second) const {
    for (const Bucket& bucket : buckets_) {
      const std::int64_t age = second - bucket.second.load(std::memory_order_relaxed);
      if (age < 0 || age >= seconds) continue;
      recent.requests += bucket.requests.load(std::memory_order_relaxed);
      recent.retries += bucket.retries.load(std::memory_order_relaxed);
    }
  }

 private:
  struct Bucket {
    std::atomic<std::int64_t> second{-seconds};
    std::atomic<std::uint32_t> requests{0};
    std::atomic<std::uint32_t> retries{0};
  };

  static void add(std::atomic<std::uint32_t>& count) { count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  Bucket& bucket(std::int64_t second) {
    Bucket& bucket = buckets_[static_cast<std::size_t>(second % seconds)];
    if (bucket.second.load(std::memory_order_relaxed) != second) {
      bucket.requests.store(0, std::memory_order_relaxed);
      bucket.retries.store(0, std::memory_order_relaxed);
      bucket.second.store(second, std::memory_order_relaxed);
    }
    return bucket;
  }

  std::array<Bucket, seconds> buckets_;
};

// Whether one more retry keeps to `share` of the requests; `floor` of them are allowed however few requests there were.
constexpr bool within_budget(const Recent& recent, double share, std::uint64_t floor) {
  return recent.retries < floor || static_cast<double>(recent.retries + 1) <= share * static_cast<double>(recent.requests);
}

}  // namespace steelyard::retry
