// What a server has to do for clients that were sent straight to it by a redirect: whoever guards it there reports how much of that is
// under way and how many have arrived, and what has been sent since then counts as if it were there already. Workers count what they
// send, without a lock; all else is the control thread's. Owned by Server, to whose `load.active` Pool adds each change that is returned
// here.
//
// What never arrives cannot be told from what is still on its way, except by time: nobody arrives after the lifetime. So what was missing
// all through the last lifetime, which is the least of sent - arrived that was seen in it, is taken for lost. That also forgives a report
// that counts what others have sent, and one that begins to count anew.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.hpp"

namespace steelyard {

// By a server's own count.
struct LoadReport {
  std::uint32_t load = 0;     // exchanges under way there that it was sent by redirects
  std::uint64_t arrived = 0;  // since it was started, in all
  std::string run{};          // names that start: another one counts from 0
  friend bool operator==(const LoadReport&, const LoadReport&) = default;
};

class RemoteWork {
 public:
  // A lifetime is looked at in so many steps, so that the memory has a bound.
  static constexpr int steps = 32;

  // From any thread. Only a server that reports has remote work: of another, nobody would know when it ends.
  [[nodiscard]] bool counts() const { return counts_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const {
    const std::int64_t settled = settled_.load(std::memory_order_acquire);
    const std::int64_t work = sent_.load(std::memory_order_acquire) - settled;
    return work > 0 ? work : 0;
  }
  [[nodiscard]] std::uint64_t redirects() const { return redirects_.load(std::memory_order_relaxed); }

  // One more is sent, and may arrive within `lifetime`. True: it counts as remote work from now on, and is in `load.active` already.
  bool send(Duration lifetime);

  // On the control thread: what would be reported now if all that is on its way had arrived; nothing of a server that does not report.
  [[nodiscard]] std::optional<LoadReport> known() const;

  // On the control thread, one after the other. Each returns by how much the remote work has changed.
  std::int64_t report(const LoadReport& report, Instant now);
  // Without news: what can no longer arrive is lost.
  std::int64_t drop_lost(Instant now);
  // The server is gone, and whatever was still counted for it since.
  std::int64_t end();

 private:
  struct Sample {
    Instant since;
    Instant until;
    std::int64_t missing = 0;
  };

  std::int64_t settle(Instant now);
  void remember(Instant now, std::int64_t missing, Duration lifetime);

  alignas(64) std::atomic<std::int64_t> sent_{0};  // while it counts
  std::atomic<std::uint64_t> redirects_{0};        // in all
  std::atomic<std::int64_t> settled_{0};           // of those sent, what is no remote work any more; less than 0: there is more than that
  std::atomic<std::int64_t> lifetime_ns_{0};       // the longest that anything was sent with
  std::atomic<bool> counts_{false};
  // The control thread's own.
  std::optional<LoadReport> last_;
  std::deque<Sample> samples_;  // of the last lifetime; what is missing grows from one to the next
};

}  // namespace steelyard
