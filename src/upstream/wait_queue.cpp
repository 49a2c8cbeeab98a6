#include "upstream/wait_queue.hpp"

#include <algorithm>

namespace steelyard {

WaitQueue::Line* WaitQueue::find_line(policy::Kind kind) {
  if (kind == policy::no_kind) return &plain_;
  const auto found = lines_.find(kind);
  return found == lines_.end() ? nullptr : &found->second;
}

bool WaitQueue::comes_first(policy::Kind kind) {
  const std::lock_guard lock(mutex_);
  const Line* const line = find_line(kind);
  return line != nullptr && line->first != 0;
}

// One more or less; less is the same as more modulo 2^32.
void WaitQueue::add_first(Line& line, std::uint32_t change) {
  line.first += change;
  first_.fetch_add(change);
}

WaitQueue::Entry WaitQueue::enter(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t max = max_.load(std::memory_order_relaxed);
  Line* line = find_line(ticket.kind_);
  if (max == 0 || (line != nullptr && line->size >= max)) return Entry::full;
  if (line == nullptr) line = &lines_[ticket.kind_];
  size_.fetch_add(1);
  ++line->size;
  const bool first = line->first == 0;
  if (ticket.takes_ == Ticket::Takes::any_place) add_first(*line, 1);
  ticket.line_ = line;
  ticket.number_ = ++entered_;
  ticket.seen_ = first ? freed_ : freed_ - 1;
  line->waiting.push_back(ticket);
  return first ? Entry::first : Entry::behind_others;
}

void WaitQueue::reenter(Ticket& ticket) {
  Wake next;
  {
    const std::lock_guard lock(mutex_);
    Line& line = *ticket.line_;
    ticket.unlink();
    if (ticket.granted_ && ticket.takes_ == Ticket::Takes::some_places) add_first(line, -1U);
    ticket.granted_ = ticket.has_turn_ = false;
    line.waiting.insert_before_first(ticket, [&](const Ticket& other) { return other.number_ > ticket.number_; });
    // What became free after it had looked, and nobody else was told of.
    next = std::exchange(line.missed, false) ? grant_line(line) : grant(next_after(ticket));
  }
  if (next) (*next)();
}

void WaitQueue::leave(Ticket& ticket) {
  if (ticket.line_ == nullptr) return;
  Wake in_line;
  Wake in_pool;
  {
    const std::lock_guard lock(mutex_);
    Line& line = *ticket.line_;
    ticket.unlink();
    size_.fetch_sub(1);
    --line.size;
    if (ticket.granted_ || ticket.takes_ == Ticket::Takes::any_place) add_first(line, -1U);
    if (ticket.granted_) {
      if (!ticket.used_ || std::exchange(line.missed, false)) in_line = grant_line(line);
      in_pool = grant(next_for_pool());
    }
    if (line.size == 0 && ticket.kind_ != policy::no_kind) lines_.erase(ticket.kind_);
  }
  if (in_line) (*in_line)();
  if (in_pool) (*in_pool)();
}

WaitQueue::Wake WaitQueue::grant(Ticket* ticket) {
  if (ticket == nullptr) return nullptr;
  ticket->unlink();
  ticket->granted_ = true;
  ticket->seen_ = freed_;
  if (ticket->takes_ == Ticket::Takes::some_places) add_first(*ticket->line_, 1);
  ticket->worker_.granted_.push_back(*ticket);
  return ticket->worker_.wake_;
}

WaitQueue::Wake WaitQueue::grant_line(Line& line) {
  if (line.waiting.empty()) line.missed = line.size != 0;
  return grant(line.waiting.front());
}

// The oldest at the head of a line that has not looked since a place in the pool became free, while there is one.
WaitQueue::Ticket* WaitQueue::next_for_pool() {
  const std::uint32_t active_max = active_max_.load(std::memory_order_relaxed);
  if (lines_.empty() || active_max == UINT32_MAX || active_.load() >= active_max) return nullptr;
  Ticket* next = nullptr;
  for_each_line([&](Line& line) {
    Ticket* const head = line.waiting.front();
    if (head != nullptr && head->seen_ != freed_ && (next == nullptr || head->number_ < next->number_)) next = head;
  });
  return next;
}

// Who may have more luck than this one, which found no place: in its own line, who would take more places; in others, who waits for
// other servers.
WaitQueue::Ticket* WaitQueue::next_after(Ticket& ticket) {
  if (ticket.takes_ == Ticket::Takes::any_place) return next_for_pool();
  Ticket* next = nullptr;
  ticket.line_->waiting.for_each([&](Ticket& other) {
    if (next == nullptr && (other.takes_ == Ticket::Takes::any_place || other.number_ > ticket.number_)) next = &other;
  });
  return next != nullptr ? next : next_for_pool();
}

void WaitQueue::on_place_free(std::span<const policy::Kind> kinds) {
  Wake next;
  bool one_line = false;
  {
    const std::lock_guard lock(mutex_);
    one_line = lines_.empty();
    if (one_line) next = grant_line(plain_);
  }
  if (next) (*next)();
  if (one_line) return;
  static constexpr policy::Kind plain[] = {policy::no_kind};
  wake(grant_heads(kinds.empty() ? std::span(plain) : kinds));
}

// In the order in which they came, because the place is one.
std::vector<WaitQueue::Wake> WaitQueue::grant_heads(std::span<const policy::Kind> kinds) {
  const std::lock_guard lock(mutex_);
  ++freed_;
  std::vector<Ticket*> heads;
  if (Ticket* const head = next_for_pool()) heads.push_back(head);
  for (const policy::Kind kind : kinds) {
    Line* const line = find_line(kind);
    if (line == nullptr) continue;
    Ticket* const head = line->waiting.front();
    if (head == nullptr) line->missed = line->size != 0;
    if (head != nullptr && (heads.empty() || head != heads.front())) heads.push_back(head);
  }
  std::ranges::sort(heads, {}, [](const Ticket* head) { return head->number_; });
  std::vector<Wake> wakes;
  for (Ticket* const head : heads) wakes.push_back(grant(head));
  return wakes;
}

void WaitQueue::wake(const std::vector<Wake>& wakes) {
  for (const Wake& each : wakes) (*each)();
}

void WaitQueue::grant_each() {
  std::vector<policy::Kind> kinds{policy::no_kind};
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [kind, line] : lines_) kinds.push_back(kind);
  }
  wake(grant_heads(kinds));
}

WaitQueue::Ticket* WaitQueue::oldest() {
  Ticket* oldest = nullptr;
  for_each_line([&](Line& line) {
    Ticket* const head = line.waiting.front();
    if (head != nullptr && (oldest == nullptr || head->number_ < oldest->number_)) oldest = head;
  });
  return oldest;
}

void WaitQueue::grant_all() {
  for (std::uint32_t left = size(); left > 0; --left) {
    Wake next;
    {
      const std::lock_guard lock(mutex_);
      next = grant(oldest());
    }
    if (!next) return;
    (*next)();
  }
}

void WaitQueue::deliver(Worker& worker) {
  for (;;) {
    Ticket* mine = nullptr;
    {
      const std::lock_guard lock(mutex_);
      mine = worker.granted_.pop_front();
    }
    if (mine == nullptr) return;
    mine->has_turn_ = true;
    if (mine->waiting_ != nullptr) std::exchange(mine->waiting_, nullptr)->complete_later(WaitResult::done);
  }
}

}  // namespace steelyard
