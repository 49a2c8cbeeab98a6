#include "net/stream.hpp"

#include <utility>

namespace steelyard {

Stream::~Stream() { SY_ASSERT(reader_ == nullptr && writer_ == nullptr); }

void Stream::deliver(Events events) {
  readable_ |= events.readable;
  writable_ |= events.writable;
  peer_ended_ |= events.peer_ended;
  broken_ |= events.broken;
  Readiness::Wait* reader = readable_ ? std::exchange(reader_, nullptr) : nullptr;
  Readiness::Wait* writer = writable_ ? std::exchange(writer_, nullptr) : nullptr;
  if (reader == nullptr && writer == nullptr) {
    if (observer_ == nullptr) return;
    if (events.readable || events.peer_ended || events.broken) return observer_->on_unawaited_event(*this);
    if (events.writable) observer_->on_unawaited_room(*this);
    return;
  }
  // What the first one does may end the other's wait, so the other goes through the ready list.
  if (reader != nullptr && writer != nullptr) writer->complete_later(WaitResult::done);
  if (reader != nullptr) {
    reader->complete(WaitResult::done);
  } else {
    writer->complete(WaitResult::done);
  }
}

void Listener::deliver_ready() {
  ready_ = true;
  if (waiter_ != nullptr) std::exchange(waiter_, nullptr)->complete(WaitResult::done);
}

}  // namespace steelyard
