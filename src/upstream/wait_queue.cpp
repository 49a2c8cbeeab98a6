#include "upstream/wait_queue.hpp"

namespace steelyard {

WaitQueue::Entry WaitQueue::enter(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  if (size_.load(std::memory_order_relaxed) >= max_) return Entry::full;
  size_.fetch_add(1);
  const bool first = first_.load() == 0;
  if (ticket.takes_ == Ticket::Takes::any_place) first_.fetch_add(1);
  ticket.entered_ = true;
  waiting_.push_back(ticket);
  return first ? Entry::first : Entry::behind_others;
}

void WaitQueue::reenter(Ticket& ticket) {
  const std::lock_guard lock(mutex_);
  ticket.unlink();
  if (ticket.granted_ && ticket.takes_ == Ticket::Takes::some_places) first_.fetch_sub(1);
  ticket.granted_ = ticket.has_turn_ = false;
  waiting_.push_front(ticket);
}

void WaitQueue::leave(Ticket& ticket) {
  if (!ticket.entered_) return;
  Worker* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    ticket.unlink();
    size_.fetch_sub(1);
    if (ticket.granted_ || ticket.takes_ == Ticket::Takes::any_place) first_.fetch_sub(1);
    if (ticket.granted_ && !ticket.used_) next = grant_front();
  }
  if (next != nullptr) next->wake();
}

WaitQueue::Worker* WaitQueue::grant_front() {
  Ticket* const first = waiting_.pop_front();
  if (first == nullptr) return nullptr;
  first->granted_ = true;
  if (first->takes_ == Ticket::Takes::some_places) first_.fetch_add(1);
  first->worker_.granted_.push_back(*first);
  return &first->worker_;
}

void WaitQueue::grant_one() {
  Worker* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    next = grant_front();
  }
  if (next != nullptr) next->wake();
}

void WaitQueue::grant_all() {
  for (std::uint32_t left = size(); left > 0; --left) grant_one();
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
