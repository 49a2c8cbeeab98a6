// What has happened, for whoever watches the proxy: the last events, in their order, and those who wait for the next one. The log is
// the bounded buffer of every reader: who falls behind its beginning has lost events and is cut off. On the control thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "admin/control.hpp"
#include "runtime/fiber.hpp"
#include "runtime/scheduler.hpp"

namespace steelyard::admin {

class EventLog {
 public:
  static constexpr std::size_t events_max = 1000;
  static constexpr std::size_t bytes_max = 4 * 1024 * 1024;

  // Ids grow by one from `first_id`. Give it the time of the start (Unix, in microseconds), so that an id of an earlier process is known
  // to be older than all of this one.
  EventLog(Scheduler& scheduler, std::uint64_t first_id) : scheduler_(scheduler), next_id_(first_id) {}
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // `type` is a word of ours such as "server_changed"; `data` an object, to which the time is added ("at_unix_ms"). Wakes who waits.
  void publish(std::string_view type, Json data);
  // Ends all streams, in order, when the proxy drains. Nothing is published afterwards.
  void close();
  [[nodiscard]] bool closed() const { return closed_; }

  [[nodiscard]] std::uint64_t last_id() const { return next_id_ - 1; }
  // Events after `id` are gone, or `id` was never given out here.
  [[nodiscard]] bool has_gap_after(std::uint64_t id) const { return id >= next_id_ || id + 1 < next_id_ - events_.size(); }
  // The text of the first event after `id`, as it goes over the wire; "" where there is none yet. Not where there is a gap.
  [[nodiscard]] std::string_view after(std::uint64_t id) const;

  // co_await: done when there is an event after `id`, or the log is closed.
  class Arrival final : public Operation {
   public:
    Arrival(EventLog& log, std::uint64_t id) : log_(log), id_(id) {}
    bool await_ready() noexcept { return log_.closed_ || log_.last_id() != id_; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      if (!suspend(*caller.promise().fiber, caller)) return false;
      log_.waiting_.push_back(place_);
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { place_.unlink(); }

   private:
    friend class EventLog;
    // Its own link says that it is on a ready list.
    struct Place : ListLink {
      explicit Place(Arrival& of) : arrival(of) {}
      Arrival& arrival;
    };
    EventLog& log_;
    std::uint64_t id_;
    Place place_{*this};
  };
  Arrival arrival(std::uint64_t id) { return {*this, id}; }

 private:
  void wake_all();

  Scheduler& scheduler_;
  std::uint64_t next_id_;
  std::deque<std::string> events_;  // the last of them has the id next_id_ - 1
  std::size_t bytes_ = 0;
  bool closed_ = false;
  IntrusiveList<Arrival::Place> waiting_;
};

}  // namespace steelyard::admin
