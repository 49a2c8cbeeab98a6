// One worker's worth of the real code, put together as app/ does it, over a simulated network: a listener, a site with one pool,
// connections, proxy and frontend; health checks where the settings ask for them. The listener is one of packets where they say so.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/http_proxy.hpp"
#include "proxy/packet_proxy.hpp"
#include "session/frontend.hpp"
#include "sim_stream.hpp"
#include "upstream/outlier_detector.hpp"
#include "upstream/prober.hpp"

namespace steelyard::sim {

struct Settings {
  TimeoutOptions timeouts{};
  HttpOptions http{};
  ConnectionOptions connections{};
  PoolOptions pool{.algorithm = Algorithm::round_robin};  // name and servers are filled in
  std::size_t servers = 2;
  std::vector<std::uint32_t> weights{};  // by server; 1 where there is none
  struct Traits {
    std::map<std::string, std::string> labels{};
    bool backup = false;
  };
  std::vector<Traits> traits{};  // by server, as far as they have any
  std::optional<PacketOptions> packets{};
  bool has_log = false;
};

inline SocketAddress server_address(std::size_t index) { return {IpAddress::v4(0x0a000001U + static_cast<std::uint32_t>(index)), 80}; }
inline SocketAddress client_address(std::size_t index) { return {IpAddress::v4(0x0a020001U + static_cast<std::uint32_t>(index)), 40'000}; }
inline SocketAddress proxy_address() { return {IpAddress::v4(0x0a010001U), 8080}; }

class SimProxy final : private PacketRegistrar {
 public:
  SimProxy(SimNet& net, const Settings& settings, std::uint64_t seed);
  ~SimProxy();

  // Goes on with other servers, weights and another algorithm, and with a new site, as after a reload. `weights`: by server; those of 0
  // are not in the pool at all.
  void reload(const Settings& settings, Algorithm algorithm, const std::vector<std::uint32_t>& weights);
  void start_probes(std::uint64_t seed);
  void stop_probes();
  // Begins to drain; drained() tells when all has ended.
  void drain();
  [[nodiscard]] bool drained() const { return drained_; }
  // Cuts what is under way at servers that have been removed, as after Pool::drain.
  void cut_leaving();
  // Calls `visit` with each line that the access log has got since the last time.
  void take_lines(const std::function<void(std::string_view line)>& visit);
  // Lets go of the connections that are kept to servers.
  void close_idle() { connections_.close_idle(); }

  [[nodiscard]] WorkerMetrics& metrics() { return metrics_; }
  [[nodiscard]] Pool& pool() { return *pool_; }
  // Also those that were removed and are not gone yet.
  [[nodiscard]] std::vector<std::shared_ptr<Server>> all_servers() const;
  [[nodiscard]] Server& server(std::size_t index) { return *pool_->servers()[index]; }
  [[nodiscard]] ServerMetrics& metrics_of(std::size_t index) { return server(index).shard(0).metrics; }
  [[nodiscard]] std::uint64_t hits(Limit limit) const { return metrics_.limits[static_cast<std::size_t>(limit)].value(); }
  // What of the gauges is not back at zero, in words; empty when all is.
  [[nodiscard]] std::string what_is_left() const;

 private:
  void announce(PacketAnnouncement announcement, std::function<void(std::string refusal)> done) override;
  [[nodiscard]] std::shared_ptr<const Site> make_site(const Settings& settings) const;

  SimNet& net_;
  const std::uint64_t seed_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<const Site> site_;
  Scratch scratch_;
  WorkerMetrics metrics_;
  SimConnector connector_;
  Connections connections_;
  SiteViews views_;
  AccessChannel log_;
  HttpProxy proxy_;
  PacketProxy packets_;
  ConnectionLimits limits_;
  Frontend frontend_;
  OutlierDetector detector_;
  std::unique_ptr<Prober> prober_;
  bool drained_ = false;
};

}  // namespace steelyard::sim
