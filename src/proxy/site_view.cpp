#include "proxy/site_view.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/assert.hpp"

namespace steelyard {
namespace {

void release(SiteView& view) {
  if (--view.users == 0) delete &view;
}

}  // namespace

SiteUse::SiteUse(SiteViews& views) : view_(*views.newest_) { ++view_.users; }

SiteUse::~SiteUse() { release(view_); }

SiteViews::SiteViews(std::shared_ptr<const Site> site, Connector& connector, std::uint32_t worker, std::uint64_t seed)
    : connector_(connector), worker_(worker), prng_(seed) {
  use(std::move(site));
}

SiteViews::~SiteViews() {
  release(*newest_);
  SY_ASSERT(std::ranges::none_of(ending_stores_, [](const EndingStore& ending) { return ending.store->running(); }));
}

// Whoever uses it last hands it back, to be destroyed when it has ended.
std::shared_ptr<quota::RedisStore> SiteViews::open(const Site::Store& store) {
  auto opened = std::make_unique<quota::RedisStore>(connector_, store.options, store.tls, (*store.counters)[worker_], prng_.next());
  opened->start();
  return {opened.release(), [this, counters = store.counters](quota::RedisStore* last) {
            last->stop();
            ending_stores_.push_back({counters, std::unique_ptr<quota::RedisStore>(last)});
          }};
}

bool SiteViews::stop_stores() {
  for (const auto& store : newest_->stores) store->stop();
  std::erase_if(ending_stores_, [](const EndingStore& ending) { return !ending.store->running(); });
  return ending_stores_.empty() && std::ranges::none_of(newest_->stores, [](const auto& store) { return store->running(); });
}

void SiteViews::use(std::shared_ptr<const Site> site) {
  auto view = std::make_unique<SiteView>();
  std::unordered_map<const Pool*, std::shared_ptr<SiteView::PoolInView>> known;
  if (newest_ != nullptr) {
    for (const auto& pool : newest_->pools) known.emplace(pool->pool.get(), pool);
  }
  for (const auto& pool : site->pools) {
    const auto found = known.find(pool.get());
    view->pools.push_back(found != known.end() ? found->second
                                               : std::make_shared<SiteView::PoolInView>(pool, connector_, worker_, prng_.next()));
    view->pools.back()->view.refresh();
  }
  for (std::size_t i = 0; i < site->stores.size(); ++i) {
    const Site::Store& store = site->stores[i];
    std::shared_ptr<quota::RedisStore> same;
    for (std::size_t k = 0; newest_ != nullptr && k < newest_->stores.size(); ++k) {
      if (newest_->site->stores[k].version == store.version) same = newest_->stores[k];
    }
    view->stores.push_back(same ? std::move(same) : open(store));
  }
  std::erase_if(ending_stores_, [](const EndingStore& ending) { return !ending.store->running(); });
  view->site = std::move(site);
  if (newest_ != nullptr) release(*newest_);
  newest_ = view.release();
}

}  // namespace steelyard
