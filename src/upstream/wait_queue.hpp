// Requests that wait for a place, because the pool or all of its servers have as many exchanges under way as they may. First come,
// first served over all workers: while anybody waits, nobody else takes a place. Only those that would not take just any place,
// because a server has failed them, are overtaken. Shared by all workers, under a lock that is reached only where a limit is.
//
// Requests that demand different things of their servers wait in different lines, each of which is as above: they wait for other
// servers. What is true of one line says nothing of the others, so that none of them is held up, kept waiting or filled by another.
// Where the pool as a whole has a limit, too, its places go round the lines in the order in which those at their heads came.
//
// An exchange that ends gives one waiting request of each line that its server serves its turn: it may try again to take a place. A
// turn that is not used is passed on. The fiber that waits is woken on its own thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/intrusive_list.hpp"
#include "decide/policy/promises.hpp"
#include "runtime/fiber.hpp"

namespace steelyard {

class WaitQueue {
  struct Line;

 public:
  class Worker;

  // One request's place in the queue, for as long as it lives. Made and destroyed on its worker's thread.
  class Ticket : public ListLink {
   public:
    enum class Takes : std::uint8_t { any_place, some_places };
    Ticket(WaitQueue& queue, Worker& worker, Takes takes, policy::Kind kind = policy::no_kind)
        : queue_(queue), worker_(worker), takes_(takes), kind_(kind) {}
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
    const policy::Kind kind_;
    Turn* waiting_ = nullptr;
    Line* line_ = nullptr;  // nullptr: not entered
    std::uint64_t number_ = 0;
    std::uint64_t seen_ = 0;  // of the pool's places that became free, those before its last turn
    bool granted_ = false;    // under the queue's lock
    bool has_turn_ = false;   // the worker has been told
    bool used_ = false;
  };

  // Where the fibers of one worker wait. `wake` is called from any thread, maybe just after this has ended, and leads to deliver() on
  // the worker's own, soon.
  using Wake = std::shared_ptr<const std::function<void()>>;
  class Worker {
   public:
    explicit Worker(Wake wake) : wake_(std::move(wake)) {}

   private:
    friend class WaitQueue;
    const Wake wake_;
    IntrusiveList<Ticket> granted_;  // that it has not been told of yet; under the queue's lock
  };

  // `active`: the exchanges under way that count against the limit of the pool as a whole.
  explicit WaitQueue(const std::atomic<std::uint32_t>& active) : active_(active) {}
  // How many may wait in one line from now on, and how many exchanges may be under way in the whole pool.
  void set_limits(std::uint32_t max, std::uint32_t active_max) {
    max_.store(max, std::memory_order_relaxed);
    active_max_.store(active_max, std::memory_order_relaxed);
  }

  // Somebody waits, or has a turn that is not used yet.
  [[nodiscard]] bool busy() const { return size_.load() != 0; }
  // Nobody else who demands the same may take a place.
  [[nodiscard]] bool comes_first(const std::optional<policy::Demand>& demand) {
    return first_.load() != 0 && (!demand || comes_first(policy::kind_of(demand->value)));
  }
  [[nodiscard]] std::uint32_t size() const { return size_.load(std::memory_order_relaxed); }
  enum class Entry : std::uint8_t { full, first, behind_others };
  // Who overtakes nobody has to try once more: a place may have become free just before.
  Entry enter(Ticket& ticket);
  // The turn led to nothing: waits again, before all that came later.
  void reenter(Ticket& ticket);
  // One exchange has ended at a server that serves these kinds of requests; none: all requests that demand nothing.
  void on_place_free(std::span<const policy::Kind> kinds);
  // A server may be there that can take one request.
  void grant_each();
  // Servers have come back.
  void grant_all();
  // On the worker's thread, after wake().
  void deliver(Worker& worker);

 private:
  struct Line {
    IntrusiveList<Ticket> waiting;  // by their numbers, without those that have a turn
    std::uint32_t size = 0;
    std::uint32_t first = 0;  // of these, those that take any place or have a turn
    bool missed = false;      // a place became free while all that were here had a turn
  };

  [[nodiscard]] bool comes_first(policy::Kind kind);
  void leave(Ticket& ticket);
  [[nodiscard]] std::vector<Wake> grant_heads(std::span<const policy::Kind> kinds);
  static void wake(const std::vector<Wake>& wakes);
  // The rest is called with the lock, and what it returns without.
  [[nodiscard]] Wake grant(Ticket* ticket);
  [[nodiscard]] Wake grant_line(Line& line);
  [[nodiscard]] Ticket* next_for_pool();
  [[nodiscard]] Ticket* next_after(Ticket& ticket);
  [[nodiscard]] Ticket* oldest();
  void add_first(Line& line, std::uint32_t change);
  Line* find_line(policy::Kind kind);
  template <typename Visit>
  void for_each_line(const Visit& visit) {
    visit(plain_);
    for (auto& [kind, line] : lines_) visit(line);
  }

  const std::atomic<std::uint32_t>& active_;
  std::atomic<std::uint32_t> max_{0};
  std::atomic<std::uint32_t> active_max_{UINT32_MAX};
  std::atomic<std::uint32_t> size_{0};
  std::atomic<std::uint32_t> first_{0};  // over all lines
  std::mutex mutex_;
  Line plain_;                                    // of those that demand nothing
  std::unordered_map<policy::Kind, Line> lines_;  // of the others: those where somebody is
  std::uint64_t entered_ = 0;
  std::uint64_t freed_ = 0;  // places of a pool that has a limit as a whole and more lines than one
};

}  // namespace steelyard
