#include "proxy/site_view.hpp"

#include <unordered_map>
#include <utility>

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

SiteViews::~SiteViews() { release(*newest_); }

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
  view->site = std::move(site);
  if (newest_ != nullptr) release(*newest_);
  newest_ = view.release();
}

}  // namespace steelyard
