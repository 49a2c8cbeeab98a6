// A second try beside one that takes long: the same request at another server. Whichever answers first is passed on, the other is
// dropped. Only for requests that may be repeated and are complete. Owned by the exchange's try, on its worker's thread.
#pragma once

#include <string_view>

#include "proxy/site.hpp"
#include "runtime/block_pool.hpp"
#include "runtime/child.hpp"
#include "upstream/connections.hpp"
#include "upstream/pool_view.hpp"

namespace steelyard {

class Hedge : public PoolAllocated {
 public:
  // `request` is all that is to be sent, and outlives this. `first` is the fiber of the first try: its wait is interrupted when
  // this one is the first to be answered.
  Hedge(Connections& connections, Scheduler& scheduler, Fiber& first, Place place, std::string_view request)
      : connections_(connections), first_(first), place_(std::move(place)), request_(request), child_(scheduler) {}

  void start(Instant connect_deadline) { child_.start(run(connect_deadline)); }
  // A byte of its answer is there.
  [[nodiscard]] bool answered() const { return answered_; }
  [[nodiscard]] bool running() const { return child_.running(); }
  // Waits until it is answered or has failed.
  Task<void> join() { return child_.join(); }
  void cancel() { child_.cancel(Cause::sibling_done); }

  // Once it is answered.
  [[nodiscard]] ServerConnectionPtr take_connection() { return std::move(connection_); }
  [[nodiscard]] Place take_place() { return std::move(place_); }
  [[nodiscard]] Server& server() const { return *place_.server(); }
  // Why it could not connect; nothing where it could.
  [[nodiscard]] Result<void> connected() const { return connected_; }
  [[nodiscard]] Instant begun() const { return begun_; }

 private:
  Task<void> run(Instant connect_deadline);

  Connections& connections_;
  Fiber& first_;
  Place place_;
  std::string_view request_;
  ServerConnectionPtr connection_;
  Result<void> connected_{};
  Instant begun_;
  bool answered_ = false;
  Child child_;
};

}  // namespace steelyard
