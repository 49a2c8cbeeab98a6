// What a whole file must keep to about limits on requests and their stores: check_limits of limit_tables.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/limit_tables.hpp"

namespace steelyard::config {
namespace {

// Every limit that is named must be there, and be one that can count what comes by that way.
class LimitNames {
 public:
  LimitNames(const Options& options, Reading& reading) : options_(options), reading_(reading) {
    for (const quota::LimitOptions& limit : options.limits) names_.push_back(limit.name);
  }

  void check(const Node& owner, const std::vector<std::string>& wanted, const PoolOptions* pool) {
    const Node* const node = owner.find("limits");
    if (node == nullptr) return;
    const Reading::Step step(reading_, "limits");
    if (wanted.size() > quota::limits_max) {
      reading_.problem(*node, fmt::format("found {} limits, allowed are up to {}", wanted.size(), quota::limits_max));
    }
    for (const std::string& name : wanted) {
      used_.insert(name);
      const auto limit = std::ranges::find(options_.limits, name, &quota::LimitOptions::name);
      if (limit != options_.limits.end()) {
        check_policy(*node, *limit, pool);
      } else if (names_.empty()) {
        reading_.problem(*node,
                         fmt::format("found the limit {}, but there are no limits; add \"limits: {{{}: {{rate: 100/1m}}}}\" at the top "
                                     "level",
                                     quote(name), name));
      } else {
        reading_.problem(*node, fmt::format("found the limit {}, which does not exist; allowed is {}{}", quote(name), any_of(names_),
                                            did_you_mean(name, names_)));
      }
    }
  }
  [[nodiscard]] bool used(const std::string& name) const { return used_.contains(name); }

 private:
  void check_policy(const Node& node, const quota::LimitOptions& limit, const PoolOptions* pool) {
    const bool by_policy =
        std::ranges::any_of(limit.key, [](const quota::KeyPart& part) { return part.source == quota::KeyPart::Source::policy; });
    if (!by_policy || pool == nullptr) return;
    if (!pool->policy) {
      reading_.warn(node, fmt::format("the limit {} counts by policy, but the pool {} has none, so it counts by client", quote(limit.name),
                                      quote(pool->name)));
    } else if (pool->policy->from.kind == policy::SourceOptions::Kind::json) {
      reading_.problem(node,
                       fmt::format("found the limit {}, which counts by policy, but requests for the pool {} name theirs in the body, "
                                   "which has not been read when limits are asked; name it in a field, or count by something else",
                                   quote(limit.name), quote(pool->name)));
    }
  }

  const Options& options_;
  Reading& reading_;
  std::vector<std::string> names_;
  std::set<std::string> used_;
};

void check_limit_stores(const Node& root, const Options& options, const LimitNames& names, Reading& reading) {
  const Node* const limits = root.find("limits");
  std::vector<std::string> stores;
  for (const quota::StoreOptions& store : options.stores) stores.push_back(store.name);
  const Reading::Step in(reading, "limits");
  for (std::size_t i = 0; limits != nullptr && i < options.limits.size() && i < limits->entries.size(); ++i) {
    const quota::LimitOptions& limit = options.limits[i];
    const Entry& entry = limits->entries[i];
    const Reading::Step step(reading, limit.name);
    if (!names.used(limit.name)) {
      reading.warn(
          entry.key,
          fmt::format("nothing names this limit, so it limits nothing: add \"limits: {}\" to a listener, a route or a pool", limit.name));
    }
    const Node* const store = entry.value.find("store");
    if (store == nullptr || limit.store.empty() || std::ranges::find(stores, limit.store) != stores.end()) continue;
    const Reading::Step deeper(reading, "store");
    if (stores.empty()) {
      reading.problem(*store, fmt::format("found the store {}, but there are no stores; add \"stores: {{{}: {{url: "
                                          "'redis://127.0.0.1:6379'}}}}\" at the top level",
                                          quote(limit.store), limit.store));
    } else {
      reading.problem(*store, fmt::format("found the store {}, which does not exist; allowed is {}{}", quote(limit.store), any_of(stores),
                                          did_you_mean(limit.store, stores)));
    }
  }
}

}  // namespace

void check_limits(const Node& root, const Options& options, Reading& reading) {
  LimitNames names(options, reading);
  const Node* const listeners = root.find("listeners");
  for (std::size_t i = 0; listeners != nullptr && i < options.listeners.size() && i < listeners->items.size(); ++i) {
    const Reading::Step in(reading, "listeners");
    const Reading::Step step(reading, i);
    names.check(listeners->items[i], options.listeners[i].limits, options.find_pool(options.listeners[i].packet.pool));
  }
  const Node* const routes = root.find("routes");
  for (std::size_t i = 0; routes != nullptr && i < options.routes.size() && i < routes->items.size(); ++i) {
    const Reading::Step in(reading, "routes");
    const Reading::Step step(reading, i);
    names.check(routes->items[i], options.routes[i].limits, options.find_pool(options.routes[i].pool));
  }
  const Node* const pools = root.find("pools");
  for (std::size_t i = 0; pools != nullptr && i < options.pools.size() && i < pools->entries.size(); ++i) {
    const Reading::Step in(reading, "pools");
    const Reading::Step step(reading, options.pools[i].name);
    names.check(pools->entries[i].value, options.pools[i].limits, &options.pools[i]);
  }
  check_limit_stores(root, options, names, reading);
}

}  // namespace steelyard::config
