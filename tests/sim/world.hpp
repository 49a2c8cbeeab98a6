// One simulated run: a seed decides which faults there are and how often, then clients come, are served by the real code and
// servers that behave as badly, and everything is checked: while it runs, when the faults have stopped, and after draining.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client_actor.hpp"
#include "server_actor.hpp"
#include "sim_proxy.hpp"

namespace steelyard::sim {

struct RunOutcome {
  std::vector<std::string> violations;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  std::size_t requests = 0;
  std::size_t answered_by_server = 0;
  std::string last_notes;
};

[[nodiscard]] RunOutcome run_world(std::uint64_t seed, Canary canary = Canary::none, SimNet::Trace trace = SimNet::Trace::off);

class World {
 public:
  World(std::uint64_t seed, Canary canary, SimNet::Trace trace);
  RunOutcome run();

 private:
  void draw_faults();
  void draw_settings();
  void draw_policies();
  void draw_promises(const std::vector<std::uint32_t>& weights);
  void reload();
  void admit_clients(std::size_t count, Duration within);
  void let_clients_finish(Duration at_most);
  void check_step();
  void check_requests();
  void stop_faults();
  void check_recovery();
  void check_drain();

  SimNet net_;
  Prng draw_;           // decides about the run; the net's own decides within it
  Prng draw_policies_;  // about policies, so that runs without any stay as they are
  bool has_policies_ = false;
  Ledger ledger_;
  Settings settings_;
  ServerManners server_manners_;
  ClientManners client_manners_;
  bool calm_ = false;  // nothing goes wrong by itself, so everything must succeed
  bool drains_early_ = false;
  std::uint64_t faults_end_ = UINT64_MAX;  // the first request after them
  std::size_t client_count_ = 0;
  std::vector<std::unique_ptr<ServerActor>> servers_;
  std::vector<std::unique_ptr<ClientActor>> clients_;
  std::unique_ptr<SimProxy> proxy_;
};

}  // namespace steelyard::sim
