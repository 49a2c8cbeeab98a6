// How one process of the service takes the place of another: what it hands over, and in which order the two stop and begin to accept.
#include <algorithm>
#include <iterator>
#include <utility>

#include "app/service.hpp"
#include "app/status.hpp"
#include "observe/message.hpp"

namespace steelyard {

std::expected<void, std::string> Service::upgrade() {
  if (draining() || !view()) return std::unexpected("not while it starts or drains");
  std::vector<InheritedSocket> sockets = listeners_.sockets();
  std::ranges::move(admin_.sockets(), std::back_inserter(sockets));
  return upgrade_.begin(sockets);
}

ProcessState Service::state() const {
  ProcessState state{.start = metrics_->start(), .metrics = metrics(), .session_secret = session_secret_, .seed = seed_};
  for (const auto& pool : pools_.pools()) state.pools.push_back({pool->name(), pool->knowledge()});
  for (const auto& limit : view()->site->limits) state.limits.push_back({limit->options.name, limit->counts()});
  state.used_tokens = used_tokens_->memory();
  state.registry = directory_.handed_over();
  return state;
}

std::string Service::describe_for_successor(std::optional<int> file) const {
  ProcessState known = state();
  if (file) known.copied_limits = limit_book_.copy_to(*file);
  return to_json(known);
}

// The successor could accept. It begins when nobody here does any more and nothing is changed here, so that who opens one connection after
// the other sees one process after the other; whoever connects meanwhile waits in the sockets, which both have.
void Service::hand_over() {
  // Whoever still asks here is told what the successor counts on from.
  std::map<std::string, Site::Page, std::less<>> pages;
  for (const char* path : {"/__status__", "/__metrics__"}) pages[path] = status_page(*this, path);
  {
    const std::lock_guard lock(view_mutex_);
    last_pages_ = std::move(pages);
  }
  directory_.stop();
  watchdog_.stop();
  admin_.hand_over([this] {
    admin_ended_ = true;
    end_if_handed_over();
  });
  workers_accepting_ = workers_.size();
  for (const auto& worker : workers_) {
    const auto accepted_all = [this] {
      if (workers_accepting_.fetch_sub(1) == 1) control_.post([this] { upgrade_.let_go(); });
    };
    worker->drain_gently(accepted_all, [this] { on_drained(); });
  }
}

// What the process before this one counts at its end goes to the next one by way of this one.
void Service::end_if_handed_over() {
  const bool relays = predecessor_ && predecessor_->alive() && !draining();
  if (workers_left_.load() != 0 || !admin_ended_ || relays) return;
  pools_.stop();
  control_.stop();
}

std::optional<Site::Page> Service::last_page(std::string_view path) const {
  const std::lock_guard lock(view_mutex_);
  const auto found = last_pages_.find(path);
  return found == last_pages_.end() ? std::nullopt : std::optional(found->second);
}

// Everything that may fail has been done. What the other one knows is taken when it accepts no more, so that nothing is missing from it.
void Service::take_over() {
  const auto on_gone = [this] {
    log_message(LogLevel::info, "upgrade: the process before this one has ended");
    for (const auto& pool : pools_.pools()) pool->forget_elsewhere();
    if (upgrade_.handed_over()) end_if_handed_over();
  };
  std::vector<PoolOptions> pools = first_->options.pools;
  pools.push_back(Directory::named_in(predecessor_->state().registry));
  directory_.prepare(pools, [this, on_gone] {
    predecessor_->say_ready(control_, {.accepts_no_more = [this](const ProcessState& earlier) { begin_as(earlier); },
                                       .counts = [this](const ProcessState& earlier) { continue_from(earlier); },
                                       .gone = on_gone});
  });
}

void Service::begin_as(const ProcessState& earlier) {
  directory_.take_over(earlier.registry);
  limit_book_.take_over(predecessor_->file(), earlier.copied_limits);
  begin(std::move(*first_), &earlier);
}

void Service::restore(const ProcessState& earlier) {
  metrics_->continue_from(earlier.metrics, earlier.start);
  for (const ProcessState::KnownPool& known : earlier.pools) {
    if (const auto pool = pools_.find(known.name)) pool->restore(known.servers, moment());
  }
  used_tokens_->add(earlier.used_tokens);
  continue_limits(earlier);
}

void Service::continue_limits(const ProcessState& earlier) {
  const auto now = view();
  for (const ProcessState::KnownLimit& known : earlier.limits) {
    for (const auto& limit : now->site->limits) {
      if (limit->options.name == known.name) limit->continue_from(known.counts);
    }
  }
}

void Service::continue_from(const ProcessState& earlier) {
  metrics_->continue_from(earlier.metrics, earlier.start);
  for (const ProcessState::KnownPool& known : earlier.pools) {
    if (const auto pool = pools_.find(known.name)) pool->continue_from(known.servers);
  }
  used_tokens_->add(earlier.used_tokens);
  continue_limits(earlier);
}

}  // namespace steelyard
