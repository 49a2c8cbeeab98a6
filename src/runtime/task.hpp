// Task<T>: a lazy coroutine that must be awaited where it is made. It cannot be moved or stored, so the lifetime of what it
// refers to is the lifetime of the awaiting expression. It carries the Fiber it runs in to what it awaits.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "runtime/block_pool.hpp"
#include "runtime/fiber.hpp"

namespace steelyard {

struct PromiseBase {
  Fiber* fiber = nullptr;
  std::coroutine_handle<> caller;

  static void* operator new(std::size_t bytes) { return take_block(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { give_block(block, bytes); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  // Nothing in a task throws; what a library throws must be caught where it is called.
  void unhandled_exception() noexcept { std::terminate(); }
};

// At the end of a task its caller goes on; a root task has none and ends its fiber.
struct RootFinished {
  static void finish(Fiber& fiber) { fiber.finish(); }
};

struct FinalAwaiter {
  bool await_ready() noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
    if (ended.promise().caller) return ended.promise().caller;
    RootFinished::finish(*ended.promise().fiber);
    return std::noop_coroutine();
  }
  void await_resume() noexcept {}
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  FinalAwaiter final_suspend() noexcept { return {}; }
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  FinalAwaiter final_suspend() noexcept { return {}; }
  void return_void() {}
};

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = Promise<T>;

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() noexcept { return false; }
  template <typename CallerPromise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
    handle_.promise().fiber = caller.promise().fiber;
    handle_.promise().caller = caller;
    return handle_;
  }
  T await_resume() noexcept {
    if constexpr (!std::is_void_v<T>) return std::move(*handle_.promise().value);
  }

 private:
  friend class Fiber;
  std::coroutine_handle<> begin(Fiber& fiber) {
    handle_.promise().fiber = &fiber;
    return std::exchange(handle_, nullptr);
  }

  std::coroutine_handle<promise_type> handle_;
};

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() { return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this)); }

// The fiber that the awaiting coroutine runs in: `Fiber& fiber = co_await this_fiber();`
struct ThisFiber {
  Fiber* fiber = nullptr;
  bool await_ready() noexcept { return false; }
  template <typename CallerPromise>
  bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
    fiber = caller.promise().fiber;
    return false;
  }
  Fiber& await_resume() noexcept { return *fiber; }
};
inline ThisFiber this_fiber() { return {}; }

// Waits until the fiber's deadline or its cancellation, whichever comes first.
class UntilDeadline final : public Operation {
 public:
  bool await_ready() noexcept { return false; }
  template <typename CallerPromise>
  bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
    return suspend(*caller.promise().fiber, caller);
  }
  WaitResult await_resume() noexcept { return result_; }
  void withdraw() override {}
};
inline UntilDeadline until_deadline() { return {}; }

// Lets the others of this thread run, those too whose events or timers have not been looked at yet: for loops that could go on
// for long without waiting.
class Yield final : public Operation {
 public:
  bool await_ready() noexcept { return false; }
  template <typename CallerPromise>
  bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
    if (!suspend(*caller.promise().fiber, caller)) return false;
    complete_next_turn(WaitResult::done);
    return true;
  }
  WaitResult await_resume() noexcept { return result_; }
  void withdraw() override {}
};
inline Yield yield_turn() { return {}; }

}  // namespace steelyard
