// A Fiber is one line of coroutines awaiting each other: it has at most one pending operation, one deadline, and can be
// cancelled as a whole with a cause. Whoever starts a fiber owns it and must keep it until it has finished: there are no
// detached coroutines. It lives and dies on one thread.
#pragma once

#include <coroutine>
#include <cstdint>

#include "base/assert.hpp"
#include "base/error.hpp"
#include "base/time.hpp"
#include "runtime/scheduler.hpp"
#include "runtime/timer_wheel.hpp"

namespace steelyard {

class Fiber;
template <typename T>
class Task;

enum class Cause : std::uint8_t { none, client_gone, sibling_done, shutdown };

// How an awaited operation ended.
enum class WaitResult : std::uint8_t { done, timed_out, cancelled };

constexpr ErrorKind error_of(WaitResult result) { return result == WaitResult::timed_out ? ErrorKind::timed_out : ErrorKind::cancelled; }

// The leaf of a fiber while it is suspended. Derived awaitables say how to stop waiting.
class Operation : public ListLink {
 public:
  Operation() = default;
  // Takes the operation out of wherever it waits; it will be resumed with another result. Must not resume anything. May be
  // called more than once.
  virtual void withdraw() = 0;
  // Resumes the awaiting coroutine at once. The operation may be gone afterwards.
  void complete(WaitResult result);
  // The same, after what runs now.
  void complete_later(WaitResult result);
  // The same, after the driver has looked for events.
  void complete_next_turn(WaitResult result);

 protected:
  ~Operation() = default;
  // For await_suspend. False: the fiber is cancelled already, so do not suspend; the result is set.
  bool suspend(Fiber& fiber, std::coroutine_handle<> caller);
  // The same for what must be waited for even by a cancelled fiber.
  void suspend_shielded(Fiber& fiber, std::coroutine_handle<> caller);
  [[nodiscard]] Scheduler& scheduler() const;

  WaitResult result_ = WaitResult::done;

 private:
  friend class Fiber;
  friend class Scheduler;
  Fiber* fiber_ = nullptr;
  std::coroutine_handle<> caller_;
};

class Fiber final : private Timer {
 public:
  // Told when the fiber's root task has returned. May destroy the fiber.
  class Owner {
   public:
    virtual void on_finished(Fiber& fiber) = 0;

   protected:
    ~Owner() = default;
  };

  Fiber(Scheduler& scheduler, Owner& owner) : scheduler_(scheduler), owner_(owner) {}
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  // Runs `root` until it first suspends. Only once.
  void start(Task<void>&& root);
  [[nodiscard]] bool running() const { return root_ != nullptr; }

  // From now on every wait of this fiber ends as cancelled. The first cause stays.
  void cancel(Cause cause);
  // Ends the wait under way, if any, as cancelled; later ones are not touched.
  void interrupt();
  [[nodiscard]] Cause cause() const { return cause_; }

  // The wait under way, or the next ones, end as timed_out at that moment. Setting a later deadline is only an assignment: the
  // timer finds out when it fires.
  void set_deadline(Instant deadline) {
    deadline_ = deadline;
    if (!armed() || deadline < expiry()) arm();
  }
  void clear_deadline() { deadline_ = never; }
  [[nodiscard]] Instant deadline() const { return deadline_; }

  [[nodiscard]] Scheduler& scheduler() const { return scheduler_; }

 private:
  friend class Operation;
  friend struct RootFinished;
  void on_expired() override;
  void arm();
  void finish();

  Scheduler& scheduler_;
  Owner& owner_;
  Operation* pending_ = nullptr;
  std::coroutine_handle<> root_;
  Instant deadline_ = never;
  Cause cause_ = Cause::none;
};

}  // namespace steelyard
