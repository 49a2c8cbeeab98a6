#include "decide/balance/estimate.hpp"

#include <algorithm>

namespace steelyard::balance {
namespace {

constexpr float weight_of_new = 0.1F;

}  // namespace

void Estimate::on_answer(Duration latency, std::uint32_t /*active*/, Instant now) {
  const auto sample = static_cast<std::uint32_t>(std::clamp<std::int64_t>(latency / 1us, 1, UINT32_MAX));
  const std::uint32_t old = latency_us();
  const float smoothed = old == 0 ? static_cast<float>(sample)
                                  : static_cast<float>(old) + weight_of_new * (static_cast<float>(sample) - static_cast<float>(old));
  latency_us_.store(static_cast<std::uint32_t>(smoothed), std::memory_order_relaxed);
  failures_.store(failures() * (1 - weight_of_new), std::memory_order_relaxed);
  updated_ns_.store(now.ns, std::memory_order_relaxed);
}

void Estimate::on_failure(Instant now) {
  failures_.store(failures() + weight_of_new * (1 - failures()), std::memory_order_relaxed);
  updated_ns_.store(now.ns, std::memory_order_relaxed);
}

}  // namespace steelyard::balance
