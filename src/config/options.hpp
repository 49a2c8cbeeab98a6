// The whole configuration, typed and validated: what the loader makes of a file and what app/ runs.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "observe/options.hpp"
#include "proxy/options.hpp"
#include "quota/options.hpp"
#include "session/options.hpp"
#include "upstream/options.hpp"
#include "upstream/resolve_options.hpp"

namespace steelyard {

// The admin API.
struct AdminOptions {
  SocketAddress bind{IpAddress::v4(0x7f000001), 9900};
  std::string socket_path{};         // of a Unix socket, which is listened on instead of `bind`
  std::string token_file{};          // holds the operator's secret; without it whoever can connect is the operator
  std::vector<std::string> hosts{};  // the machine's names, beside its addresses and localhost
  std::string state_file{};          // where changes outlive restarts; "": nowhere
  [[nodiscard]] bool on_socket() const { return !socket_path.empty(); }
};

struct Options {
  std::uint32_t workers = 0;  // 0: one for each core
  Duration spin{0};           // how long an idle worker polls before it sleeps; lowers the latency of a lone connection
  bool metrics = true;
  LogOptions log;
  HttpOptions http;
  TimeoutOptions timeouts;
  ConnectionOptions connections;
  ForwardedOptions forwarded;
  std::vector<ListenerOptions> listeners;
  std::vector<RouteOptions> routes;
  std::vector<PoolOptions> pools;
  std::vector<quota::LimitOptions> limits;
  std::vector<quota::StoreOptions> stores;
  std::optional<AdminOptions> admin;
  ResolveOptions resolve;

  // nullptr where none has that name.
  [[nodiscard]] const PoolOptions* find_pool(const std::string& name) const {
    const auto found = std::ranges::find(pools, name, &PoolOptions::name);
    return found == pools.end() ? nullptr : &*found;
  }
};

}  // namespace steelyard
