#include "load/dispatcher.hpp"

#include <utility>

namespace steelyard::load {

Dispatcher::Dispatcher(const Limits& limits, std::unique_ptr<Schedule> schedule) : limits_(limits), schedule_(std::move(schedule)) {
  if (schedule_ != nullptr) look_ahead();
}

std::optional<Ticket> Dispatcher::take(Instant now) {
  if (over_) return std::nullopt;
  if (schedule_ == nullptr) {
    Ticket ticket{.due = now, .target = {}};
    if (!admit(ticket)) return std::nullopt;
    return ticket;
  }
  if (upcoming_.due > now) return std::nullopt;
  std::optional<Ticket> ticket(std::move(upcoming_));
  look_ahead();
  return ticket;
}

bool Dispatcher::admit(Ticket& ticket) {
  over_ = ticket.due >= limits_.end || counted_ == limits_.counted_max;
  if (over_) return false;
  ticket.counted = ticket.due >= limits_.count_from;
  ticket.number = counted_;
  if (ticket.counted) ++counted_;
  return true;
}

void Dispatcher::look_ahead() {
  auto due = schedule_->next();
  if (!due) {
    over_ = true;
    return;
  }
  upcoming_ = {.due = limits_.start + due->at, .target = std::move(due->target)};
  admit(upcoming_);
}

}  // namespace steelyard::load
