#include "runtime/fiber.hpp"

#include "runtime/task.hpp"

namespace steelyard {

bool Operation::suspend(Fiber& fiber, std::coroutine_handle<> caller) {
  if (fiber.cause_ != Cause::none) {
    result_ = WaitResult::cancelled;
    return false;
  }
  // A deadline that has passed already, in an earlier wait or between waits, ends this one too.
  if (fiber.deadline_ != never && !fiber.armed()) fiber.arm();
  suspend_shielded(fiber, caller);
  return true;
}

void Operation::suspend_shielded(Fiber& fiber, std::coroutine_handle<> caller) {
  SY_ASSERT(fiber.pending_ == nullptr);
  fiber_ = &fiber;
  caller_ = caller;
  fiber.pending_ = this;
}

Scheduler& Operation::scheduler() const { return fiber_->scheduler_; }

void Operation::complete(WaitResult result) {
  unlink();
  fiber_->pending_ = nullptr;
  result_ = result;
  caller_.resume();
}

void Operation::complete_later(WaitResult result) {
  result_ = result;
  if (!linked()) fiber_->scheduler_.make_ready(*this);
}

void Operation::complete_next_turn(WaitResult result) {
  result_ = result;
  fiber_->scheduler_.make_ready_next_turn(*this);
}

Fiber::~Fiber() { SY_ASSERT(root_ == nullptr); }

void Fiber::start(Task<void>&& root) {
  SY_ASSERT(root_ == nullptr);
  root_ = root.begin(*this);
  root_.resume();
}

void Fiber::finish() {
  root_.destroy();
  root_ = nullptr;
  disarm();
  owner_.on_finished(*this);
}

void Fiber::cancel(Cause cause) {
  if (cause_ != Cause::none) return;
  cause_ = cause;
  interrupt();
}

void Fiber::interrupt() {
  if (pending_ == nullptr) return;
  pending_->withdraw();
  pending_->complete_later(WaitResult::cancelled);
}

void Fiber::arm() {
  if (deadline_ != never) scheduler_.timers().arm(*this, deadline_);
}

void Fiber::on_expired() {
  if (scheduler_.now() < deadline_) return arm();
  // Nothing pending: the next wait will see that the deadline has passed. On a ready list: how the wait ended is decided.
  if (pending_ == nullptr || pending_->linked()) return;
  pending_->withdraw();
  pending_->complete_later(WaitResult::timed_out);
}

Scheduler::Scheduler(Instant now) : now_(now), timers_(now) {}
Scheduler::~Scheduler() = default;

void Scheduler::advance(Instant now) {
  if (now > now_) now_ = now;
  timers_.advance(now_);
}

void Scheduler::make_ready(Operation& operation) { ready_.push_back(operation); }

void Scheduler::make_ready_next_turn(Operation& operation) { next_turn_.push_back(operation); }

void Scheduler::run_ready() {
  ready_.take_all(next_turn_);
  run_woken();
}

void Scheduler::run_woken() {
  while (Operation* operation = ready_.pop_front()) operation->complete(operation->result_);
}

}  // namespace steelyard
