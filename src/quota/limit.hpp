// A limit as a configuration has it, and what has been counted under its name, which outlives configurations. Limits are immutable and
// shared by all workers; what is counted is shared without locks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "observe/counter.hpp"
#include "quota/lease_table.hpp"
#include "quota/local_table.hpp"
#include "quota/options.hpp"
#include "quota/top_keys.hpp"

namespace steelyard::quota {

// What one worker has counted under one limit.
struct alignas(64) LimitCounters {
  Counter passed;
  Counter refused;
  Counter would_refuse;  // in a dry run
  Counter exempt;
  Counter unreachable;  // decided without the store, which could not be asked
  Counter waited_us;    // of bandwidth
  // Of tables that are gone.
  Counter evicted;
  Counter uncounted;
};

// The sum of them.
struct LimitCounts {
  std::uint64_t passed = 0;
  std::uint64_t refused = 0;
  std::uint64_t would_refuse = 0;
  std::uint64_t exempt = 0;
  std::uint64_t unreachable = 0;
  std::uint64_t waited_us = 0;
  std::uint64_t evicted = 0;
  std::uint64_t uncounted = 0;
};

// What stays when the configuration changes.
struct LimitMemory {
  std::shared_ptr<LocalTable> table;
  std::shared_ptr<LeaseTable> leases;  // nullptr where there is no store
  std::shared_ptr<TopKeys> refused_keys;
  std::shared_ptr<std::vector<LimitCounters>> counters;  // of each worker, and of the processes before this one
  // Keys for which a lease is on its way, of each worker: who comes meanwhile takes none of its own.
  std::shared_ptr<std::vector<std::unordered_set<std::uint64_t>>> leasing;
};

struct Limit {
  static constexpr std::size_t no_store = SIZE_MAX;

  LimitOptions options;
  LimitMemory memory;
  std::size_t store = no_store;  // position among the stores
  WhenUnreachable when_unreachable = WhenUnreachable::local;

  [[nodiscard]] bool exempts(const IpAddress& client) const {
    return std::ranges::any_of(options.exempt, [&](const Network& network) { return network.contains(client); });
  }
  [[nodiscard]] LimitCounters& counters(std::uint32_t worker) const { return (*memory.counters)[worker]; }
  [[nodiscard]] LimitCounts counts() const;
  // These were counted before this process; again when more of them are known. On the control thread.
  void continue_from(const LimitCounts& earlier) const;
};

// What was counted under a limit's name, as another process has copied it.
struct CopiedLimit {
  std::string name;
  std::string meaning;  // for a limit of which this is another text it means nothing
  std::uint64_t offset = 0;
};

// Which memory belongs to which name. On the control thread.
class LimitBook {
 public:
  LimitBook(std::uint32_t worker_count, std::uint64_t seed) : worker_count_(worker_count), seed_(seed) {}

  // The limits of a configuration. What has been counted stays where it means the same; counters always do.
  [[nodiscard]] std::vector<std::shared_ptr<const Limit>> configure(const std::vector<LimitOptions>& limits,
                                                                    const std::vector<StoreOptions>& stores);

  // Puts what is counted in memory into the file, which is empty, for another process with the same seed. Not what is under way, which is
  // under way here.
  [[nodiscard]] std::vector<CopiedLimit> copy_to(int file) const;
  // Before the first configure(), which goes on with what is in the file then; the descriptor stays the caller's.
  void take_over(int file, std::vector<CopiedLimit> copied);

 private:
  struct Known {
    LimitOptions options;
    LimitMemory memory;
  };
  [[nodiscard]] LimitMemory memory_for(const LimitOptions& options, const Known* known) const;
  [[nodiscard]] std::shared_ptr<LocalTable> table_for(const LimitOptions& options) const;

  const std::uint32_t worker_count_;
  const std::uint64_t seed_;
  std::map<std::string, Known> known_;
  int copied_in_ = -1;
  std::vector<CopiedLimit> copied_;
};

}  // namespace steelyard::quota
