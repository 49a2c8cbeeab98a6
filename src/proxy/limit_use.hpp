// A request and the limits that it is counted by: what each of them said, and what has to be done for it later. Belongs to one exchange,
// on its worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "decide/limit/rule.hpp"
#include "proxy/relay.hpp"
#include "quota/key.hpp"
#include "quota/limit.hpp"
#include "quota/redis/store.hpp"
#include "runtime/block_pool.hpp"

namespace steelyard {

// While it is being decided.
struct Counting {
  enum class State : std::uint8_t {
    open,     // not asked yet
    ask,      // its store must be asked
    counted,  // in memory: may be given back there
    leased,   // out of what was taken from the store ahead
    stored,   // in the store
    paced,    // by bandwidth, while its response is sent
    not_counted,
  };
  struct One {
    const quota::Limit* limit = nullptr;
    std::uint64_t hash = 0;
    State state = State::open;
    limit::Verdict verdict;
    quota::Grant grant;
  };
  static constexpr std::size_t most = 3 * quota::limits_max;  // of listener, route and pool

  Instant now;
  std::array<One, most> all;
  std::size_t size = 0;
  const One* refused_by = nullptr;
  bool unreachable = false;  // it refuses because its store cannot be asked

  [[nodiscard]] std::span<One> limits() { return std::span(all).first(size); }
  [[nodiscard]] std::span<const One> limits() const { return std::span(all).first(size); }
};

// What lasts as long as the exchange.
class LimitUse final : public PoolAllocated, public Pace {
 public:
  LimitUse() = default;
  LimitUse(const LimitUse&) = delete;
  LimitUse& operator=(const LimitUse&) = delete;
  // Ends what counts as under way.
  ~LimitUse();

  void hold(const quota::Limit& limit, std::uint64_t hash) { held_.push_back({&limit, hash}); }
  void pace(const quota::Limit& limit, std::uint64_t hash, quota::LimitCounters& counters) { paced_.push_back({&limit, hash, &counters}); }
  [[nodiscard]] bool paces() const { return !paced_.empty(); }
  Duration spend(std::uint64_t bytes, Instant now) override;

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
