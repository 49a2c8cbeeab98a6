// Requests that wait for a place, because the pool or all of its servers have as many exchanges under way as they may. First come,
// first served over all workers: while anybody waits, nobody else takes a place. Only those that would not take just any place,
// because a server has failed them, are overtaken. Shared by all workers, under a lock that is reached only where a limit is.
//
// An exchange that ends gives one waiting request its turn: it may try again to take a place. A turn that is not used is passed
// on. The fiber that waits is woken on its own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/intrusive_list.hpp"
#include "runtime/fiber.hpp"

namespace steelyard {

class WaitQueue {
 public:
  class Worker;

  // One request's place in the queue, for as long as it lives. Made and destroyed on its worker's thread.
  class Ticket : public ListLink {
   public:
    enum class Takes : std::uint8_t { any_place, some_places };
    Ticket(WaitQueue& queue, Worker& worker, Takes takes) : queue_(queue), worker_(worker), takes_(takes) {}
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    ~Ticket() { queue_.leave(*this); }

    // co_await: done when it is this request's turn.
    class Turn final : public Operation {
     public:
      explicit Turn(Ticket& ticket) : ticket_(ticket) {}
      bool await_ready() noexcept { return ticket_.has_turn_; }
      template <typename CallerPromise>
      bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
        if (!suspend(*caller.promise().fiber, caller)) return false;
        ticket_.waiting_ = this;
        return true;
      }
      WaitResult await_resume() noexcept { return result_; }
      void withdraw() override { ticket_.waiting_ = nullptr; }

     private:
      Ticket& ticket_;
    };
    Turn turn() { return Turn(*this); }
    // The turn led to a place.
    void used() { used_ = true; }

   private:
    friend class WaitQueue;
    WaitQueue& queue_;
    Worker& worker_;
    const Takes takes_;
    Turn* waiting_ = nullptr;
    bool entered_ = false;
    bool granted_ = false;   // under the queue's lock
    bool has_turn_ = false;  // the worker has been told
    bool used_ = false;
  };

  // Where the fibers of one worker wait. wake() is called from any thread and leads to deliver() on the worker's own, soon.
  class Worker {
   public:
    virtual void wake() = 0;

   protected:
    ~Worker() = default;

   private:
    friend class WaitQueue;
    IntrusiveList<Ticket> granted_;  // that it has not been told of yet; under the queue's lock
  };

  explicit WaitQueue(std::uint32_t max) : max_(max) {}

  // Somebody waits, or has a turn that is not used yet.
  [[nodiscard]] bool busy() const { return size_.load() != 0; }
  // Nobody else may take a place.
  [[nodiscard]] bool comes_first() const { return first_.load() != 0; }
  [[nodiscard]] std::uint32_t size() const { return size_.load(std::memory_order_relaxed); }
  enum class Entry : std::uint8_t { full, first, behind_others };
  // Who overtakes nobody has to try once more: a place may have become free just before.
  Entry enter(Ticket& ticket);
  // The turn led to nothing: waits again, before all others.
  void reenter(Ticket& ticket);
  // One exchange has ended.
  void grant_one();
  // Servers have come back.
  void grant_all();
  // On the worker's thread, after wake().
  void deliver(Worker& worker);

 private:
  void leave(Ticket& ticket);
  Worker* grant_front();

  const std::uint32_t max_;
  std::atomic<std::uint32_t> size_{0};
  std::atomic<std::uint32_t> first_{0};  // of these, those that take any place or have a turn
  std::mutex mutex_;
  IntrusiveList<Ticket> waiting_;
};

}  // namespace steelyard
