// A second line of work beside the current one, for as long as a block: started, then joined or cancelled and joined before
// the block ends. The child's frame may refer to anything in the block.
#pragma once

#include "runtime/fiber.hpp"
#include "runtime/task.hpp"

namespace steelyard {

class Child final : private Fiber::Owner {
 public:
  explicit Child(Scheduler& scheduler) : fiber_(scheduler, *this) {}

  void start(Task<void>&& work) { fiber_.start(std::move(work)); }
  [[nodiscard]] bool running() const { return fiber_.running(); }
  [[nodiscard]] Fiber& fiber() { return fiber_; }
  void cancel(Cause cause) { fiber_.cancel(cause); }

  // Waits for the child's end. When the waiting fiber is cancelled already, or is cancelled or its deadline passes meanwhile, the
  // child is cancelled, and still waited for.
  Task<void> join() {
    Fiber& joining = co_await this_fiber();
    while (fiber_.running()) {
      if (joining.cause() != Cause::none) fiber_.cancel(Cause::sibling_done);
      const WaitResult result = co_await Ended{*this};
      if (result != WaitResult::done) fiber_.cancel(Cause::sibling_done);
    }
  }

 private:
  struct Ended final : Operation {
    explicit Ended(Child& awaited) : child(awaited) {}
    bool await_ready() noexcept { return !child.running(); }
    template <typename CallerPromise>
    void await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      child.joiner_ = this;
      suspend_shielded(*caller.promise().fiber, caller);
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { child.joiner_ = nullptr; }
    Child& child;
  };

  void on_finished(Fiber& /*fiber*/) override {
    if (joiner_ != nullptr) std::exchange(joiner_, nullptr)->complete_later(WaitResult::done);
  }

  Fiber fiber_;
  Ended* joiner_ = nullptr;
};

}  // namespace steelyard
