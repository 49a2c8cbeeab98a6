#include "observe/access_channel.hpp"

#include <sys/eventfd.h>

namespace steelyard {

AccessChannel::AccessChannel(std::size_t ring_bytes, LineStyle style, int wake)
    : ring_(ring_bytes, AccessFormat::line_bytes_max), format_(style), wake_(wake) {}

void AccessChannel::write(const AccessRecord& record) {
  if (!enabled()) return;
  char* const piece = ring_.reserve();
  if (piece == nullptr) {
    dropped_.add();
    return;
  }
  ring_.commit(format_.write(piece, record));
  // The writer looks by itself every few milliseconds. Only a worker that would fill its ring before then wakes it, once.
  if (ring_.half_full() && !wake_asked_.load(std::memory_order_relaxed)) {
    wake_asked_.store(true, std::memory_order_relaxed);
    ::eventfd_write(wake_, 1);
  }
}

}  // namespace steelyard
