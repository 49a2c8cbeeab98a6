// What has to be done for a request by limits while it lasts: ended when it ends, slowed down, shown. Belongs to one exchange, on its
// worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "proxy/relay.hpp"
#include "quota/limit.hpp"
#include "runtime/block_pool.hpp"

namespace steelyard {

class LimitUse final : public PoolAllocated, public Pace, public BeforeEnd {
 public:
  LimitUse() = default;
  LimitUse(const LimitUse&) = delete;
  LimitUse& operator=(const LimitUse&) = delete;
  ~LimitUse() { on_last_bytes(); }

  void hold(const quota::Limit& limit, std::uint64_t hash) { held_.push_back({&limit, hash}); }
  void pace(const quota::Limit& limit, std::uint64_t hash, quota::LimitCounters& counters) { paced_.push_back({&limit, hash, &counters}); }
  [[nodiscard]] bool paces() const { return !paced_.empty(); }
  Duration spend(std::uint64_t bytes, Instant now) override;
  // Ends what counts as under way.
  void on_last_bytes() override;

  std::string fields;                        // of the answer, complete lines
  const quota::Limit* refused_by = nullptr;  // for the record

 private:
  struct Held {
    const quota::Limit* limit;
    std::uint64_t hash;
  };
  struct Paced {
    const quota::Limit* limit;
    std::uint64_t hash;
    quota::LimitCounters* counters;
  };
  std::vector<Held> held_;
  std::vector<Paced> paced_;
};

}  // namespace steelyard
