#include "upstream/remote_work.hpp"

#include <algorithm>

namespace steelyard {

bool RemoteWork::send(Duration lifetime) {
  redirects_.fetch_add(1, std::memory_order_relaxed);
  if (!counts()) return false;
  std::int64_t longest = lifetime_ns_.load(std::memory_order_relaxed);
  while (longest < lifetime.count() && !lifetime_ns_.compare_exchange_weak(longest, lifetime.count(), std::memory_order_relaxed)) {
  }
  // Whoever sees it here sees it in `load.active`, too.
  sent_.fetch_add(1, std::memory_order_release);
  return true;
}

std::optional<LoadReport> RemoteWork::known() const {
  if (!last_) return std::nullopt;
  return LoadReport{.load = static_cast<std::uint32_t>(value()), .arrived = last_->arrived, .run = last_->run};
}

std::int64_t RemoteWork::report(const LoadReport& report, Instant now) {
  if (!last_ || last_->run != report.run) samples_.clear();
  last_ = report;
  counts_.store(true, std::memory_order_relaxed);
  return settle(now);
}

std::int64_t RemoteWork::drop_lost(Instant now) {
  if (counts()) return settle(now);
  // What was counted just as the server went.
  return sent_.load(std::memory_order_acquire) == settled_.load(std::memory_order_relaxed) ? 0 : end();
}

std::int64_t RemoteWork::end() {
  counts_.store(false, std::memory_order_relaxed);
  last_.reset();
  samples_.clear();
  const std::int64_t sent = sent_.load(std::memory_order_acquire);
  return settled_.exchange(sent, std::memory_order_acq_rel) - sent;
}

std::int64_t RemoteWork::settle(Instant now) {
  const std::int64_t sent = sent_.load(std::memory_order_acquire);
  const Duration lifetime{lifetime_ns_.load(std::memory_order_relaxed)};
  // Modulo 2^64: only differences between samples of one run count.
  const auto missing = static_cast<std::int64_t>(static_cast<std::uint64_t>(sent) - last_->arrived);
  remember(now, missing, lifetime);
  const std::int64_t on_their_way = missing - samples_.front().missing;
  const std::int64_t settled = sent - (std::int64_t{last_->load} + on_their_way);
  return settled_.exchange(settled, std::memory_order_acq_rel) - settled;
}

// The first sample is the least of what was missing within the last lifetime: until the next one it may have been as little as in it.
void RemoteWork::remember(Instant now, std::int64_t missing, Duration lifetime) {
  if (!samples_.empty()) samples_.back().until = now;
  while (!samples_.empty() && samples_.back().missing >= missing) samples_.pop_back();
  // Of those in one step the least will do.
  if (samples_.empty() || now - samples_.back().since >= lifetime / steps) samples_.push_back({now, now, missing});
  while (samples_.size() > 1 && now - samples_.front().until >= lifetime) samples_.pop_front();
}

}  // namespace steelyard
