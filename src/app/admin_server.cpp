#include "app/admin_server.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "observe/message.hpp"

namespace steelyard {
namespace {

bool same_place(const std::optional<AdminOptions>& one, const std::optional<AdminOptions>& other) {
  return one && other && one->socket_path == other->socket_path && (one->on_socket() || one->bind == other->bind);
}

std::string where_of(const AdminOptions& options) { return options.on_socket() ? "unix:" + options.socket_path : options.bind.to_string(); }

// Tells its socket from those of listeners.
std::string mark_of(const AdminOptions& options) { return "admin " + where_of(options); }

std::expected<int, std::string> bind_to(const AdminOptions& options) {
  const auto failed = [&](int os_code) {
    const char* const cure = os_code == EADDRINUSE
                                 ? "another program, perhaps another steelyard, listens there: stop it or change admin.bind"
                             : os_code == EACCES ? "check the directory's permissions"
                                                 : "change admin.bind";
    return std::unexpected(fmt::format("the admin API cannot listen on {}: {}; {}", where_of(options), std::strerror(os_code), cure));
  };
  if (!options.on_socket()) {
    if (const auto taken = exclusive_bind_error(options.bind)) return failed(*taken);
  }
  const auto descriptor = options.on_socket() ? listen_on_path(options.socket_path) : listen_on(options.bind);
  if (!descriptor) return failed(descriptor.error().os_code);
  return *descriptor;
}

}  // namespace

AdminServer::AdminServer(EpollLoop& loop, admin::Control& control)
    : loop_(loop),
      events_(loop.scheduler(), static_cast<std::uint64_t>(loop.scheduler().unix_us())),
      api_(loop.scheduler(), scratch_, metrics_, control, events_, admin::Access(admin::Reach::network, {}, {})),
      frontend_(loop.scheduler(), scratch_, metrics_, api_, limits_) {
  admin::configure(frontend_);
}

std::expected<AdminServer::Prepared, std::string> AdminServer::prepare(const std::optional<AdminOptions>& options,
                                                                       const std::vector<PoolOptions>& pools) const {
  Prepared prepared{.options = options, .access = std::nullopt};
  if (!options) return prepared;
  auto access = admin::load_access(*options, pools);
  if (!access) return std::unexpected(access.error());
  prepared.access = std::move(*access);
  if (same_place(options, options_)) return prepared;
  const bool there = inherited_ && inherited_->bind == mark_of(*options);
  const auto descriptor = there ? std::expected<int, std::string>(inherited_->descriptor) : bind_to(*options);
  if (!descriptor) return std::unexpected(descriptor.error());
  prepared.descriptor = *descriptor;
  return prepared;
}

void AdminServer::discard(Prepared& prepared) {
  if (prepared.descriptor >= 0) close(std::exchange(prepared.descriptor, -1));
}

void AdminServer::adopt(Prepared prepared) {
  if (prepared.access) {
    for (const std::string& warning : prepared.access->warnings) log_message(LogLevel::warning, "{}", warning);
    api_.set_access(std::move(prepared.access->access));
  }
  if (!same_place(prepared.options, options_)) {
    if (options_) frontend_.stop_listening(listener_);
    if (prepared.descriptor >= 0) frontend_.listen(make_listener(loop_, prepared.descriptor), {}, ++listener_);
    descriptor_ = prepared.descriptor;
  }
  if (inherited_ && inherited_->descriptor != descriptor_) close(inherited_->descriptor);
  inherited_.reset();
  options_ = std::move(prepared.options);
  where_ = options_ ? where_of(*options_) : "";
}

void AdminServer::inherit(std::vector<InheritedSocket>& sockets) {
  const auto found = std::ranges::find_if(sockets, [](const InheritedSocket& socket) { return socket.bind.starts_with("admin "); });
  if (found == sockets.end()) return;
  inherited_ = *found;
  sockets.erase(found);
}

std::vector<InheritedSocket> AdminServer::sockets() const {
  if (!options_ || descriptor_ < 0) return {};
  return {{.bind = mark_of(*options_), .descriptor = descriptor_}};
}

void AdminServer::stop(std::function<void()> done) {
  events_.close();
  frontend_.drain(std::move(done));
}

void AdminServer::hand_over(std::function<void()> done) {
  frontend_.leave_waiting();
  stop(std::move(done));
  // Streams end by themselves in this turn. A request that is still to come in full must not change anything here any more.
  loop_.post([this] { frontend_.abort(); });
}

}  // namespace steelyard
