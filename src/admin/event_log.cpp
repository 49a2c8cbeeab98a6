#include "admin/event_log.hpp"

#include <fmt/format.h>

#include "admin/answer.hpp"

namespace steelyard::admin {

void EventLog::publish(std::string_view type, Json data) {
  if (closed_) return;
  if (data.is_object()) data["at_unix_ms"] = scheduler_.unix_us() / 1000;
  events_.push_back(fmt::format("event: {}\nid: {}\ndata: {}\n\n", type, next_id_++, to_text(data)));
  bytes_ += events_.back().size();
  while (events_.size() > events_max || (bytes_ > bytes_max && events_.size() > 1)) {
    bytes_ -= events_.front().size();
    events_.pop_front();
  }
  wake_all();
}

void EventLog::close() {
  closed_ = true;
  wake_all();
}

std::string_view EventLog::after(std::uint64_t id) const {
  const std::uint64_t back = next_id_ - 1 - id;  // from the end
  return back == 0 || back > events_.size() ? std::string_view{} : events_[events_.size() - back];
}

void EventLog::wake_all() {
  while (Arrival::Place* const place = waiting_.pop_front()) place->arrival.complete_later(WaitResult::done);
}

}  // namespace steelyard::admin
