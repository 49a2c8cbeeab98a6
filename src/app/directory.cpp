#include "app/directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "observe/message.hpp"

namespace steelyard {
namespace {

// Changes that servers make themselves, leases and what is to be saved are looked at so often.
constexpr Duration look_again_interval = 50ms;
// A start or a reload waits so long for names that nobody knows.
constexpr Duration patience = 3s;

// An address, or this machine, which is never asked for (RFC 6761 §6.3).
std::optional<SocketAddress> literal(const ServerOptions& server) {
  if (server.host == "localhost") return SocketAddress{IpAddress::v4(0x7f000001U), server.port};
  const auto ip = IpAddress::parse(server.host);
  return ip ? std::optional(SocketAddress{*ip, server.port}) : std::nullopt;
}

std::string key_of(const ServerOptions& server) { return fmt::format("{}:{}", server.host, server.port); }

// A name has a server at each of its addresses, whose id says which.
PoolServer found_server(const WantedServer& wanted, const ResolvedServer& found) {
  PoolServer server{wanted.options, found.address, wanted.drained, wanted.forced};
  server.options.id = fmt::format("{}@{}", wanted.options.id,
                                  found.address.port == wanted.options.port ? found.address.ip.to_string() : found.address.to_string());
  server.options.weight = std::min(wanted.options.weight * found.weight, weight_max);
  server.options.backup = wanted.options.backup || found.backup;
  return server;
}

}  // namespace

Directory::Directory(EpollLoop& loop, ResolveOptions resolve, std::uint64_t seed, Listener listener)
    : loop_(loop),
      scheduler_(loop.scheduler()),
      listener_(std::move(listener)),
      family_(resolve.family),
      resolver_(loop, std::move(resolve), seed),
      fiber_(scheduler_, *this) {}

void Directory::prepare(std::span<const PoolOptions> pools, std::function<void()> then) {
  if (waiting_) log_message(LogLevel::info, "a newer configuration has come while names were looked up: the one before is dropped");
  waiting_ = Waiting{{}, scheduler_.now() + patience, std::move(then)};
  for (const PoolOptions& pool : pools) {
    for (const ServerOptions& server : pool.servers) {
      if (literal(server)) continue;
      watch(server);
      waiting_->names.insert(key_of(server));
    }
  }
  go_on_if_known();
}

void Directory::configure(std::vector<PoolOptions> pools) {
  pools_ = std::move(pools);
  for (const std::string& sentence : registry_.configure(pools_)) log_message(LogLevel::warning, "{}", sentence);
  if (const auto handed = std::exchange(taken_over_, std::nullopt)) {
    for (const std::string& sentence : registry_.restore(*handed, moment())) log_message(LogLevel::warning, "{}", sentence);
    has_taken_over_ = true;
  }
  watch_names();
}

void Directory::take_over(std::string_view handed_over) {
  auto state = parse_state(handed_over);
  if (!state) return log_message(LogLevel::warning, "what was changed at run time {}: what is saved counts", state.error());
  taken_over_ = std::move(*state);
}

PoolOptions Directory::named_in(std::string_view handed_over) {
  PoolOptions pool;
  const auto state = parse_state(handed_over);
  if (!state) return pool;
  for (const auto& [name, changes] : state->pools) {
    for (const auto& [id, added] : changes.added) pool.servers.push_back(added.options);
  }
  return pool;
}

void Directory::keep_in(const std::string& path) {
  if (path.empty()) return;
  file_.emplace(path);
  if (has_taken_over_) return;  // which is what was saved, or younger
  auto saved = file_->read(moment().unix_s);
  if (!saved) {
    log_message(LogLevel::error, "{}", saved.error().message);
    if (!saved.error().set_aside) {
      log_message(LogLevel::error, "changes made at run time are not saved, so that {} stays as it is until that is mended", path);
      file_.reset();
    }
  } else if (*saved) {
    for (const std::string& sentence : registry_.restore(**saved, moment())) log_message(LogLevel::warning, "{}", sentence);
    saved_revision_ = registry_.revision();
  }
  watch_names();
}

void Directory::stop() {
  fiber_.cancel(Cause::shutdown);
  waiting_.reset();
  saved_revision_ = 0;  // leases are as old as the last save: once more
  save();
}

std::vector<WantedPool> Directory::pools() const {
  std::vector<WantedPool> wanted;
  for (const PoolOptions& pool : pools_) wanted.push_back({pool, servers(pool.name)});
  return wanted;
}

std::vector<PoolServer> Directory::servers(std::string_view pool) const {
  std::vector<PoolServer> servers;
  for (const WantedServer& wanted : registry_.servers(pool)) {
    if (const auto address = literal(wanted.options)) {
      const auto report = wanted.lease ? wanted.lease->report : std::nullopt;
      servers.push_back({wanted.options, *address, wanted.drained, wanted.forced, report});
      continue;
    }
    const auto name = names_.find(key_of(wanted.options));
    if (name == names_.end()) continue;
    for (const ResolvedServer& found : name->second.watch->report().servers) servers.push_back(found_server(wanted, found));
  }
  return servers;
}

std::string Directory::problem_with(const ServerOptions& server) const {
  const auto name = names_.find(key_of(server));
  return name == names_.end() ? "" : name->second.watch->report().problem;
}

void Directory::changed(std::string_view pool, When when) {
  const bool is_first = changed_.empty();
  changed_.emplace(pool);
  if (when == When::soon) {
    if (is_first) loop_.post([this] { tell_changes(); });
    return;
  }
  watch_names();
  save();
  listener_.on_change(std::exchange(changed_, {}));
}

void Directory::tell_changes() {
  if (changed_.empty()) return;
  watch_names();
  listener_.on_change(std::exchange(changed_, {}));
}

void Directory::watch(const ServerOptions& server) {
  const std::string key = key_of(server);
  if (names_.contains(key)) return;
  Name& name = names_[key];
  name.watch = resolver_.watch({server.host, server.port, family_}, [this, key](const NameReport& report) { on_report(key, report); });
}

// Those that somebody needs, and no others.
void Directory::watch_names() {
  std::set<std::string> needed = waiting_ ? waiting_->names : std::set<std::string>{};
  for (const PoolOptions& pool : pools_) {
    for (const WantedServer& server : registry_.servers(pool.name)) {
      if (literal(server.options)) continue;
      needed.insert(key_of(server.options));
      watch(server.options);
    }
  }
  std::erase_if(names_, [&](const auto& name) { return !needed.contains(name.first); });
}

void Directory::on_report(const std::string& key, const NameReport& report) {
  Name& name = names_.find(key)->second;
  const std::string problem = std::exchange(name.problem, report.problem);
  const std::string warning = std::exchange(name.warning, report.warning);
  if (report.problem.empty() && !problem.empty()) log_message(LogLevel::info, "server {}: its name is found again", key);
  if (!report.problem.empty() && report.problem != problem) {
    log_message(LogLevel::warning, "server {}: its name could not be looked up: {}; {}", key, report.problem,
                report.servers.empty() ? "it has no address until that succeeds" : "the addresses that are known stay");
  }
  if (!report.warning.empty() && report.warning != warning) log_message(LogLevel::warning, "server {}: {}", key, report.warning);
  if (report.servers_changed) {
    for (const PoolOptions& pool : pools_) {
      const auto servers = registry_.servers(pool.name);
      const bool has_it = std::ranges::any_of(servers, [&](const WantedServer& server) { return key_of(server.options) == key; });
      if (has_it) changed_.insert(pool.name);
    }
    // Its watch tells of this, and must not be destroyed meanwhile by whoever is told.
    if (!changed_.empty()) listener_.on_change(std::exchange(changed_, {}));
  }
  go_on_if_known();
}

void Directory::go_on_if_known() {
  if (!waiting_) return;
  const bool known = std::ranges::all_of(waiting_->names, [&](const std::string& key) {
    const NameReport& report = names_.find(key)->second.watch->report();
    return !report.servers.empty() || !report.problem.empty();
  });
  if (!known && scheduler_.now() < waiting_->until) return;
  const auto then = std::move(waiting_->then);
  waiting_.reset();
  then();
}

void Directory::expire_leases() {
  if (scheduler_.now() < registry_.next_expiry()) return;
  const auto expired = registry_.expire(moment(), listener_.is_gone);
  for (const Registry::Expired& each : expired) changed_.insert(each.pool);
  // Nobody is told that a server is gone before it is.
  tell_changes();
  for (const Registry::Expired& each : expired) listener_.on_expired(each);
}

// A failure is told once, and tried again as long as it lasts.
void Directory::save() {
  if (!file_ || registry_.revision() == saved_revision_) return;
  const std::uint64_t revision = registry_.revision();
  const auto written = file_->write(registry_.state(moment()));
  if (!written) {
    if (!std::exchange(cannot_save_, true)) log_message(LogLevel::error, "{}", written.error());
    return;
  }
  if (std::exchange(cannot_save_, false)) log_message(LogLevel::info, "changes made at run time are saved again");
  saved_revision_ = revision;
}

Task<void> Directory::run() {
  while (fiber_.cause() == Cause::none) {
    fiber_.set_deadline(scheduler_.now() + look_again_interval);
    co_await until_deadline();
    if (fiber_.cause() != Cause::none) co_return;
    expire_leases();
    tell_changes();
    save();
    go_on_if_known();
  }
}

Moment Directory::moment() const { return {scheduler_.now(), scheduler_.unix_us() / 1'000'000}; }

}  // namespace steelyard
