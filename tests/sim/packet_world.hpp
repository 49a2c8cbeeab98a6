// One simulated run of a packet listener: a seed decides which faults there are and how often, then clients come, are served by the real
// code and servers that behave as badly, labels and options are reloaded, and everything is checked: while it runs, when the faults have
// stopped, and after draining.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "packet_client.hpp"
#include "packet_server_actor.hpp"
#include "sim_proxy.hpp"

namespace steelyard::sim {

struct PacketOutcome {
  std::vector<std::string> violations;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  std::size_t packets = 0;  // sent
  std::size_t answered = 0;
  std::size_t strays = 0;
  std::string last_notes;
};

[[nodiscard]] PacketOutcome run_packet_world(std::uint64_t seed, PacketCanary canary = PacketCanary::none,
                                             SimNet::Trace trace = SimNet::Trace::off);

class PacketWorld {
 public:
  PacketWorld(std::uint64_t seed, PacketCanary canary, SimNet::Trace trace);
  PacketOutcome run();

 private:
  void draw_network();
  void draw_clients();
  void draw_servers();
  void draw_settings();
  void draw_options();
  void draw_promises(const std::vector<std::uint32_t>& weights);
  void plan_events();
  void reload();
  void admit_clients(std::size_t count, Duration within);
  void let_clients_finish(Duration at_most);
  void read_log();
  void check_step();
  void check_packets();
  void check_packet(std::uint64_t id);
  void stop_faults();
  void check_recovery();
  void check_drain();
  double rate(double at_most) { return draw_.chance(0.4) ? at_most * static_cast<double>(draw_.below(1000)) / 1000 : 0.0; }

  SimNet net_;
  Prng draw_;  // decides about the run; the net's own decides within it
  PacketBook book_;
  Settings settings_;
  PacketServerManners server_manners_;
  PacketClientManners client_manners_;
  bool calm_ = false;  // nothing goes wrong by itself, so everything must succeed
  bool faults_are_over_ = false;
  bool drains_early_ = false;
  bool over_limit_ = false;                // connections may be
  std::uint64_t faults_end_ = UINT64_MAX;  // the first packet after them
  std::uint64_t lines_ = 0;                // of the access log
  std::vector<std::unique_ptr<PacketServerActor>> servers_;
  std::vector<std::unique_ptr<PacketClient>> clients_;
  std::unique_ptr<SimProxy> proxy_;
};

}  // namespace steelyard::sim
