// One worker's end of the access log: formats records into a ring that the writer thread empties. Owned by the log; write() is for
// the worker's thread, take-side functions are for the writer's.
#pragma once

#include <atomic>
#include <cstdint>

#include "observe/access_format.hpp"
#include "observe/access_record.hpp"
#include "observe/byte_ring.hpp"
#include "observe/counter.hpp"

namespace steelyard {

class AccessChannel {
 public:
  // `wake` is an eventfd that the writer waits on; not owned. A channel of a log that is off has no ring.
  AccessChannel() = default;
  AccessChannel(std::size_t ring_bytes, LineStyle style, int wake);

  // Whether it is worth filling a record.
  [[nodiscard]] bool enabled() const { return ring_.capacity() != 0; }
  void write(const AccessRecord& record);

  [[nodiscard]] ByteRing& ring() { return ring_; }
  // The writer says that it has seen the ring, and may be woken again when it is half full.
  void seen() { wake_asked_.store(false, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.value(); }

 private:
  ByteRing ring_;
  AccessFormat format_{LineStyle::json};
  int wake_ = -1;
  std::atomic<bool> wake_asked_{false};
  Counter dropped_;  // for lack of room
};

}  // namespace steelyard
