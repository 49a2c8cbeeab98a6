// A worker's views of the pools that a Site leads to, shared with those of other Sites that have the same pools. An exchange goes by the
// view that it began under for as long as it lasts, so that nothing it points at goes away, whatever is used since. Everything here
// belongs to one worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/prng.hpp"
#include "proxy/site.hpp"
#include "quota/redis/store.hpp"
#include "upstream/pool_view.hpp"

namespace steelyard {

class SiteViews;

struct SiteView {
  // A pool and the worker's view of it.
  struct PoolInView {
    PoolInView(std::shared_ptr<Pool> of, Connector& connector, std::uint32_t worker, std::uint64_t seed)
        : pool(std::move(of)), view(*pool, connector, worker, seed) {}
    const std::shared_ptr<Pool> pool;
    PoolView view;
  };
  std::shared_ptr<const Site> site;
  std::vector<std::shared_ptr<PoolInView>> pools;          // in the Site's order
  std::vector<std::shared_ptr<quota::RedisStore>> stores;  // likewise
  std::uint32_t users = 1;
};

// Keeps the view that was the newest when this was made.
class SiteUse {
 public:
  explicit SiteUse(SiteViews& views);
  SiteUse(const SiteUse&) = delete;
  SiteUse& operator=(const SiteUse&) = delete;
  ~SiteUse();

  [[nodiscard]] const Site& site() const { return *view_.site; }
  [[nodiscard]] PoolView& pool(std::size_t position) const { return view_.pools[position]->view; }
  [[nodiscard]] quota::RedisStore& store(std::size_t position) const { return *view_.stores[position]; }
  [[nodiscard]] std::size_t store_count() const { return view_.stores.size(); }

 private:
  SiteView& view_;
};

// The newest one. Outlives all uses.
class SiteViews {
 public:
  // `worker`: its place among the workers.
  SiteViews(std::shared_ptr<const Site> site, Connector& connector, std::uint32_t worker, std::uint64_t seed);
  SiteViews(const SiteViews&) = delete;
  SiteViews& operator=(const SiteViews&) = delete;
  ~SiteViews();

  // What exchanges that begin from now on go by.
  void use(std::shared_ptr<const Site> site);
  [[nodiscard]] const Site& newest() const { return *newest_->site; }
  // Its place among the workers.
  [[nodiscard]] std::uint32_t worker() const { return worker_; }
  // Ends what is said to stores of limits; to be called once no exchange is left, and the loop has to go on until it is true.
  [[nodiscard]] bool stop_stores();

 private:
  friend class SiteUse;
  Connector& connector_;
  const std::uint32_t worker_;
  Prng prng_;
  [[nodiscard]] std::shared_ptr<quota::RedisStore> open(const Site::Store& store);
  // Nobody uses it any more.
  struct EndingStore {
    std::shared_ptr<std::vector<quota::RedisCounters>> counters;  // which it writes to its end
    std::unique_ptr<quota::RedisStore> store;
  };
  std::vector<EndingStore> ending_stores_;
  SiteView* newest_ = nullptr;  // counted as a user of it
};

}  // namespace steelyard
