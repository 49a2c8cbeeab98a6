// The leases of one pool by when they run out, and what becomes of those that do. Knows ids and times, not servers. Each operation
// takes the logarithm of their number, apart from a look at all that are overdue, once in overdue_interval. Owned by Registry.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace steelyard {

class LeaseBook {
 public:
  static constexpr Duration overdue_interval = 1s;  // how often overdue ones are looked at again
  static constexpr std::size_t judged_min = 3;      // fewer servers say nothing about the network between them and us

  // Begins or renews. `length` is also for how long it counts, once it has ended, as one that went lately.
  void renew(const std::string& id, Duration length, Instant expires);
  // Ends one that did not run out: its server has left. One that there is not: nothing.
  void end(std::string_view id);
  // Those that run and those that are overdue.
  [[nodiscard]] std::size_t size() const { return entries_.size() - ended_; }

  struct Verdict {
    std::string id;
    bool kept = false;  // overdue from now on; else it has ended
  };
  using Gone = std::function<bool(const std::string& id)>;
  // What has run out by `now`. When the heartbeats of all stop, their leases still run out one after another; so those that have
  // ended lately count as well. Where more than `share_max` of all has run out in that sense, none ends but those that `gone` knows to
  // be gone; they do not count any more, since what took them was not the network. Each verdict is given once.
  std::vector<Verdict> expire(Instant now, double share_max, const Gone& gone);
  // When expire() may have something to do.
  [[nodiscard]] Instant next() const;

 private:
  enum class Phase : std::uint8_t { running, overdue, ended };
  struct Entry {
    Phase phase = Phase::running;
    Instant at;  // when it runs out; of an ended one, when it is forgotten
    Duration length{0};
  };

  std::vector<std::string> take_due(Instant now);
  [[nodiscard]] bool too_many(std::size_t due, double share_max) const;
  std::vector<Verdict> end_all(const std::vector<std::string>& due, Instant now);

  std::map<std::string, Entry, std::less<>> entries_;
  std::set<std::pair<Instant, std::string>> times_;  // of those that run and those that have ended
  std::set<std::string> overdue_;
  std::size_t ended_ = 0;
  Instant ask_again_ = never;
};

}  // namespace steelyard
