#include "upstream/lease_book.hpp"

#include <algorithm>

namespace steelyard {

void LeaseBook::renew(const std::string& id, Duration length, Instant expires) {
  end(id);
  entries_[id] = {Phase::running, expires, length};
  times_.emplace(expires, id);
}

void LeaseBook::end(std::string_view id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const Entry& entry = found->second;
  if (entry.phase == Phase::overdue) {
    overdue_.erase(found->first);
  } else {
    times_.erase({entry.at, found->first});
  }
  if (entry.phase == Phase::ended) --ended_;
  entries_.erase(found);
}

std::vector<LeaseBook::Verdict> LeaseBook::expire(Instant now, double share_max, const Gone& gone) {
  const std::vector<std::string> due = take_due(now);
  const bool asks = !overdue_.empty() && now >= ask_again_;
  if (due.empty() && !asks) return {};
  if (!too_many(due.size(), share_max)) return end_all(due, now);

  std::vector<Verdict> verdicts;
  std::vector<std::string> asked;
  if (asks) asked.assign(overdue_.begin(), overdue_.end());
  for (const std::string& id : due) {
    const bool is_gone = gone && gone(id);
    verdicts.push_back({id, !is_gone});
    if (is_gone) {
      end(id);
      continue;
    }
    if (overdue_.empty()) ask_again_ = now + overdue_interval;
    entries_[id].phase = Phase::overdue;
    overdue_.insert(id);
  }
  for (const std::string& id : asked) {
    if (!gone || !gone(id)) continue;
    end(id);
    verdicts.push_back({id});
  }
  if (asks) ask_again_ = now + overdue_interval;
  return verdicts;
}

Instant LeaseBook::next() const {
  const Instant first = times_.empty() ? never : times_.begin()->first;
  return overdue_.empty() ? first : std::min(first, ask_again_);
}

// Those that run out; forgets those that ended long enough ago. What is returned is in no order of time until it is judged.
std::vector<std::string> LeaseBook::take_due(Instant now) {
  std::vector<std::string> due;
  while (!times_.empty() && times_.begin()->first <= now) {
    const std::string id = times_.begin()->second;
    times_.erase(times_.begin());
    if (entries_[id].phase == Phase::running) {
      due.push_back(id);
    } else {
      entries_.erase(id);
      --ended_;
    }
  }
  return due;
}

bool LeaseBook::too_many(std::size_t due, double share_max) const {
  const std::size_t all = entries_.size();
  const std::size_t out = due + overdue_.size() + ended_;
  return all >= judged_min && static_cast<double>(out) > share_max * static_cast<double>(all);
}

std::vector<LeaseBook::Verdict> LeaseBook::end_all(const std::vector<std::string>& due, Instant now) {
  std::vector<Verdict> verdicts;
  for (const std::string& id : overdue_) verdicts.push_back({id});
  for (const std::string& id : due) verdicts.push_back({id});
  overdue_.clear();
  for (const Verdict& verdict : verdicts) {
    Entry& entry = entries_[verdict.id];
    entry.phase = Phase::ended;
    entry.at = now + entry.length;
    times_.emplace(entry.at, verdict.id);
    ++ended_;
  }
  return verdicts;
}

}  // namespace steelyard
