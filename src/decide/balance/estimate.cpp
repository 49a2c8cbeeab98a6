#include "decide/balance/estimate.hpp"

#include <cmath>

namespace steelyard::balance {
namespace {

// Of services whose times are distributed exponentially, the estimate is then within 1.25 times the truth for 19 servers of 20.
constexpr float answers_max = 64;
// Fewer may all have been lucky or unlucky: some of many equal servers would look slow at every start.
constexpr float answers_to_know = 8;
// What an old estimate still counts for against a new answer: one lucky answer does not make a slow server fast.
constexpr float answers_min = 3;
// A share of failures moves more slowly than a server fails in a row, which is what ejects it.
constexpr float failure_gain = 1.0F / 32;

}  // namespace

void Estimate::on_answer(Duration latency, std::uint32_t /*active*/, Instant now) {
  const float sample = std::max(static_cast<float>(latency.count()) * 1e-3F, 1.0F);
  const float age = in_memories(silence(now));
  const float old_answers = answers_.load(std::memory_order_relaxed);
  const float old = latency_us_.load(std::memory_order_relaxed);
  const float rests_on = std::max(old_answers / (1 + age), std::min(old_answers, answers_min));
  const float smoothed = old_answers == 0 ? sample : old * std::exp2(std::log2(sample / old) / (rests_on + 1));

  const float peak = peak_us_.load(std::memory_order_relaxed);
  peak_us_.store(sample > peak ? sample : sample + (peak - sample) * std::exp2(-age), std::memory_order_relaxed);
  failures_.store(failures(now) * (1 - failure_gain), std::memory_order_relaxed);
  latency_us_.store(smoothed, std::memory_order_relaxed);
  answers_.store(std::min(rests_on + 1, answers_max - 1), std::memory_order_relaxed);
  if (rests_on + 1 >= answers_to_know) known_.store(true, std::memory_order_relaxed);
  updated_ns_.store(now.ns, std::memory_order_relaxed);
}

void Estimate::on_failure(Instant now) {
  const float share = failures(now);
  failures_.store(share + failure_gain * (1 - share), std::memory_order_relaxed);
  peak_us_.store(peak_us(now), std::memory_order_relaxed);
  updated_ns_.store(now.ns, std::memory_order_relaxed);
}

void Estimate::forget(Instant now) {
  known_.store(false, std::memory_order_relaxed);
  latency_us_.store(0, std::memory_order_relaxed);
  answers_.store(0, std::memory_order_relaxed);
  peak_us_.store(0, std::memory_order_relaxed);
  failures_.store(0, std::memory_order_relaxed);
  updated_ns_.store(now.ns, std::memory_order_relaxed);
}

Estimate::Values Estimate::values() const {
  return {latency_us_.load(std::memory_order_relaxed), answers_.load(std::memory_order_relaxed),
          known_.load(std::memory_order_relaxed),      peak_us_.load(std::memory_order_relaxed),
          failures_.load(std::memory_order_relaxed),   Instant{updated_ns_.load(std::memory_order_relaxed)}};
}

void Estimate::restore(const Values& values) {
  latency_us_.store(values.latency_us, std::memory_order_relaxed);
  answers_.store(values.answers, std::memory_order_relaxed);
  known_.store(values.known, std::memory_order_relaxed);
  peak_us_.store(values.peak_us, std::memory_order_relaxed);
  failures_.store(values.failures, std::memory_order_relaxed);
  updated_ns_.store(values.updated.ns, std::memory_order_relaxed);
}

}  // namespace steelyard::balance
