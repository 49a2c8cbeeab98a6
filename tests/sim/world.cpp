#include "world.hpp"

#include <algorithm>

namespace steelyard::sim {
RunOutcome run_world(std::uint64_t seed, Canary canary, SimNet::Trace trace) {
  World world(seed, canary, trace);
  return world.run();
}

World::World(std::uint64_t seed, Canary canary, SimNet::Trace trace)
    : net_(seed, trace), draw_(seed ^ 0x5ca1ab1eU), draw_policies_(seed ^ 0x90117c1eU) {
  ledger_.canary = canary;
  draw_faults();
  draw_settings();
  draw_policies();
  for (std::size_t i = 0; i < settings_.servers; ++i) {
    servers_.push_back(std::make_unique<ServerActor>(net_, ledger_, server_address(i), i));
    servers_.back()->manners = server_manners_;
  }
  proxy_ = std::make_unique<SimProxy>(net_, settings_, draw_.next());
  if (!settings_.pool.sticky) return;
  for (std::size_t i = 0; i < settings_.servers; ++i) {
    const std::string_view cookie = proxy_->pool().members()->sessions->set_cookie(proxy_->server(i));
    client_manners_.cookies.emplace_back(cookie.substr(0, cookie.find(';')));
  }
}

RunOutcome World::run() {
  if (settings_.pool.health) proxy_->start_probes(draw_.next());
  admit_clients(client_count_, 3s);
  // Whatever goes on, a reload makes nothing of it fail.
  for (std::size_t left = draw_.chance(0.4) ? 1 + draw_.below(20) : 0; left > 0; --left) {
    net_.after(net_.some_time(4s), [this] { reload(); });
  }
  if (drains_early_) {
    net_.after(net_.some_time(3s), [this] {
      for (const auto& client : clients_) client->expect_drain();
      proxy_->drain();
    });
  }
  let_clients_finish(600s);
  check_requests();
  stop_faults();
  if (!drains_early_) check_recovery();
  check_drain();
  RunOutcome outcome{.violations = ledger_.violations(),
                     .trace_hash = net_.trace_hash(),
                     .steps = net_.steps(),
                     .requests = ledger_.requests().size(),
                     .last_notes = net_.last_notes()};
  for (const RequestRecord& request : ledger_.requests()) outcome.answered_by_server += request.answered_by_server ? 1 : 0;
  return outcome;
}

void World::reload() {
  std::vector<std::uint32_t> weights;
  for (std::size_t i = 0; i < settings_.servers; ++i) weights.push_back(static_cast<std::uint32_t>(draw_.below(4)));
  weights[draw_.below(weights.size())] = 1;  // somebody must be there
  if (has_policies_) draw_promises(weights);
  proxy_->reload(settings_, static_cast<Algorithm>(draw_.below(7)), weights);
}

// Swarm testing (Groce et al., 2012): each run has only some of the faults, at rates of its own, so that rare ones meet.
void World::draw_faults() {
  const auto rate = [this](double at_most) { return draw_.chance(0.4) ? at_most * static_cast<double>(draw_.below(1000)) / 1000 : 0.0; };
  Faults& faults = net_.faults;
  faults.latency_max = Duration(static_cast<std::int64_t>(10'000 + draw_.below(20'000'000)));
  faults.window_min = draw_.chance(0.3) ? 300 : 16 * 1024;
  faults.window_max = faults.window_min + draw_.below(100'000);
  faults.short_read = rate(0.5);
  faults.short_write = rate(0.5);
  ClientManners& client = client_manners_;
  client.expects = rate(0.6);
  client.slow_reader = rate(0.5);
  client.slow_sender = rate(0.5);
  client.http_1_0 = rate(0.5);
  client.pipelines = rate(0.8);
  client.stays = rate(0.3);
  client.requests_max = 1 + draw_.below(6);
  // Long bodies through narrow windows would only take long.
  const std::size_t long_body_bytes = faults.window_min < 1000 ? 10'000 : 150'000;
  client.body_bytes_max = draw_.chance(0.2) ? long_body_bytes : 3000;
  ServerManners& server = server_manners_;
  server.interim = rate(0.3);
  server.slow = rate(0.3);
  server.close_after = rate(0.3);
  server.body_bytes_max = draw_.chance(0.2) ? long_body_bytes : 2000;
  client_count_ = 4 + draw_.below(30);
  calm_ = draw_.chance(0.2);
  if (calm_) return;
  faults.reset = rate(0.2);
  faults.refused = rate(0.3);
  faults.hang = rate(0.2);
  faults.exhausted = rate(0.1);
  client.resets = rate(0.3);
  client.half_closes = rate(0.3);
  client.leaves = rate(0.3);
  client.stalls = rate(0.2);
  client.malformed = rate(0.3);
  client.too_large = rate(0.5);
  server.early = rate(0.3);
  server.reset_before = rate(0.2);
  server.close_before = rate(0.2);
  server.reset_inside = rate(0.2);
  server.close_inside = rate(0.2);
  server.silent = rate(0.1);
  server.deaf = rate(0.1);
  server.garbage = rate(0.1);
  server.close_idle = rate(0.5);
  server.babble_idle = rate(0.2);
  drains_early_ = draw_.chance(0.2);
}

void World::draw_settings() {
  settings_.servers = 1 + draw_.below(4);
  settings_.pool.algorithm = static_cast<Algorithm>(draw_.below(7));
  settings_.pool.retries.tries_max = 1 + static_cast<std::uint32_t>(draw_.below(4));
  settings_.pool.keepalive.idle_timeout = draw_.chance(0.5) ? 1s : 55s;
  settings_.pool.keepalive.idle_connections_max = draw_.chance(0.3) ? 1 : 1024;
  if (draw_.chance(0.3)) settings_.pool.retries.try_timeout = 1s;
  if (draw_.chance(0.3)) settings_.pool.hedging = HedgeOptions{.after = 30ms, .after_min = 1ms};
  if (draw_.chance(0.2)) settings_.pool.outliers.reset();
  if (draw_.chance(0.3)) settings_.pool.queue = {.per_server_max = 2, .active_max = 5, .queue_max = 1000, .queue_timeout = 1000s};
  TimeoutOptions& timeouts = settings_.timeouts;
  timeouts.idle = 20s;
  timeouts.first_byte = draw_.chance(0.5) ? 5s : 60s;
  timeouts.body_idle = draw_.chance(0.5) ? 5s : 30s;
  if (calm_) return;
  if (draw_.chance(0.3)) settings_.pool.health = HealthOptions{.interval = 2s, .fall = 2};
  if (draw_.chance(0.3)) settings_.connections.connections_max = 3;
  if (draw_.chance(0.2)) settings_.connections.connections_per_client_max = 2;
  if (draw_.chance(0.3)) settings_.http.requests_per_connection_max = 2;
  if (draw_.chance(0.4)) settings_.http.body_bytes_max = client_manners_.too_large_bytes = 1500;
  if (draw_.chance(0.3)) timeouts.total = 10s;
  if (draw_.chance(0.2)) settings_.http.client_half_close = HalfClose::abort;
  client_manners_.half_close_aborts = settings_.http.client_half_close == HalfClose::abort;
}

// In half of the runs requests demand what not every server promises.
void World::draw_policies() {
  if (!draw_policies_.chance(0.5)) return;
  has_policies_ = true;
  settings_.servers = 2 + draw_policies_.below(5);
  client_manners_.demands = {"gold", "gold", "silver", "silver", "iron", "nobody's"};
  if (draw_policies_.chance(0.4)) settings_.pool.sticky = StickyOptions{.secret = "0123456789abcdef", .max_age = {}};
  if (draw_policies_.chance(0.3)) settings_.pool.when_all_down = WhenAllDown::try_all;
  if (draw_policies_.chance(0.3)) {
    QueueOptions& queue = settings_.pool.queue = {.queue_max = 1000, .queue_timeout = 1000s};
    if (draw_policies_.chance(0.7)) queue.per_server_max = 1 + static_cast<std::uint32_t>(draw_policies_.below(2));
    if (draw_policies_.chance(0.5)) queue.active_max = 1 + static_cast<std::uint32_t>(draw_policies_.below(4));
  }
  settings_.traits.resize(settings_.servers);
  for (Settings::Traits& traits : settings_.traits) traits.backup = draw_policies_.chance(0.2);
  draw_promises(std::vector<std::uint32_t>(settings_.servers, 1));
}

// Other labels and, now and then, another policy or none. What is true is told to the servers, the labels to the proxy.
void World::draw_promises(const std::vector<std::uint32_t>& weights) {
  constexpr std::string_view values[] = {"gold", "silver", "iron"};
  const bool begins = ledger_.promises.empty();
  PromiseBook::Age age = begins ? PromiseBook::Age{} : ledger_.promises.now();
  age.begins = net_.now();
  if (begins || draw_policies_.chance(0.2)) {
    age.has_policy = begins || draw_policies_.chance(0.8);
    age.label = draw_policies_.below(labels_in_use.size());
    age.value_if_absent = draw_policies_.chance(0.5) ? "gold" : "";
  }
  age.servers.resize(settings_.servers);
  for (std::size_t i = 0; i < settings_.servers; ++i) {
    age.servers[i].in_pool = weights[i] != 0;
    for (std::size_t label = 0; label < labels_in_use.size(); ++label) {
      if (!begins && !draw_policies_.chance(0.3)) continue;
      age.servers[i].values[label].clear();
      std::string text;
      for (const std::string_view value : values) {
        if (draw_policies_.chance(0.5)) continue;
        age.servers[i].values[label].emplace_back(value);
        text += fmt::format("{}{}", text.empty() ? "" : draw_policies_.chance(0.5) ? "," : " , ", value);
      }
      const std::size_t told_of = ledger_.canary == Canary::mislabel ? (i + 1) % settings_.servers : i;
      settings_.traits[told_of].labels[std::string(labels_in_use[label].label)] = text;
    }
  }
  settings_.pool.policy.reset();
  if (age.has_policy) {
    policy::PolicyOptions& options = settings_.pool.policy.emplace();
    options.label = labels_in_use[age.label].label;
    options.from = {.kind = policy::SourceOptions::Kind::header, .name = std::string(labels_in_use[age.label].field)};
    options.value_if_absent = age.value_if_absent;
  }
  ledger_.promises.begin(std::move(age));
}

void World::admit_clients(std::size_t count, Duration within) {
  for (std::size_t i = 0; i < count; ++i) {
    clients_.push_back(std::make_unique<ClientActor>(net_, ledger_, client_manners_));
    ClientActor* const client = clients_.back().get();
    net_.after(net_.some_time(within), [client, from = client_address(draw_.below(8))] { client->start(from, proxy_address()); });
  }
}

void World::let_clients_finish(Duration at_most) {
  bool late = false;
  const Instant limit = net_.now() + at_most;
  const auto all_over = [this] { return std::ranges::all_of(clients_, [](const auto& client) { return client->over(); }); };
  while (!all_over() && ledger_.violations().size() < violations_max) {
    if (!net_.step() || net_.steps() > steps_max || net_.now() > limit) {
      late = true;
      break;
    }
    check_step();
  }
  if (!late) return;
  for (const auto& client : clients_) {
    if (client->over()) continue;
    ledger_.violation("after {} s and {} steps a client still {}", at_most / 1s, net_.steps(), client->where_it_stands());
  }
}

void World::check_step() {
  const auto active = proxy_->metrics().exchanges_active.value();
  const auto connections = proxy_->metrics().client_connections.value();
  std::int64_t by_servers = 0;
  for (const auto& server : proxy_->all_servers()) {
    const std::uint32_t at_server = server->load.active.load();
    by_servers += at_server;
    if (at_server > settings_.pool.queue.per_server_max) ledger_.violation("{} exchanges at server {}", at_server, server->id);
  }
  const std::int64_t tries_at_once = settings_.pool.hedging ? 2 : 1;
  if (by_servers > settings_.pool.queue.active_max) ledger_.violation("{} exchanges in the pool", by_servers);
  if (active < 0 || active > connections || by_servers > tries_at_once * active ||
      by_servers > tries_at_once * settings_.connections.connections_max) {
    ledger_.violation("{} exchanges active, {} of them at servers, over {} connections", active, by_servers, connections);
  }
}

void World::check_requests() {
  for (const auto& client : clients_) client->settle();
  for (std::uint64_t id = 0; id < ledger_.requests().size(); ++id) {
    const RequestRecord& request = *ledger_.find(id);
    if (request.completed != 0 && !request.fully_sent) ledger_.violation("request {} came complete, but was never sent whole", id);
    if (request.answered_by_server && request.acted_on == 0) ledger_.violation("request {} was answered by nobody", id);
    const std::uint32_t tries_max = settings_.pool.retries.tries_max + 1;
    if (request.acted_on > (settings_.pool.hedging ? 2 * tries_max : tries_max))
      ledger_.violation("request {} was acted on {} times", id, request.acted_on);
    const bool deserves = request.kind == RequestRecord::Kind::valid && request.begun && request.fully_sent && !request.connection_closed;
    const bool met = ledger_.promises.always_met_since(request.begun_at, request.demands);
    if (calm_ && id < faults_end_ && deserves && met && !request.answered_by_server) {
      ledger_.violation("nothing went wrong, but {} {} got {}", request.method, id, request.status);
    }
  }
}

void World::stop_faults() {
  faults_end_ = ledger_.requests().size();
  net_.faults = Faults{};
  client_manners_ = ClientManners{.requests_max = client_manners_.requests_max,
                                  .too_large_bytes = client_manners_.too_large_bytes,
                                  .demands = client_manners_.demands,
                                  .cookies = client_manners_.cookies};
  for (const auto& server : servers_) server->manners = ServerManners{};
}

// When nothing goes wrong any more, every request succeeds.
void World::check_recovery() {
  net_.run_for(settings_.pool.health ? 60s : 5s);
  if (settings_.connections.connections_max < 10 || settings_.connections.connections_per_client_max < 10) {
    for (int i = 0; i < 3; ++i) {
      admit_clients(1, 1s);
      let_clients_finish(100s);
      net_.run_for(2s);  // the proxy may still linger on the connection
    }
  } else {
    admit_clients(6, 1s);
    let_clients_finish(100s);
  }
  check_requests();
  for (std::uint64_t id = faults_end_; id < ledger_.requests().size(); ++id) {
    const RequestRecord& request = *ledger_.find(id);
    if (!ledger_.promises.always_met_since(request.begun_at, request.demands)) continue;
    if (request.begun && !request.answered_by_server && !request.connection_closed) {
      ledger_.violation("the faults have stopped, but {} {} got {}", request.method, id, request.status);
    }
  }
}

void World::check_drain() {
  proxy_->stop_probes();
  proxy_->drain();  // changes nothing where it was begun before
  const Instant limit = net_.now() + settings_.timeouts.drain + 2s;
  while (!proxy_->drained() && net_.now() < limit && net_.steps() < 2 * steps_max && net_.step()) {
  }
  if (!proxy_->drained()) ledger_.violation("draining has not ended within timeouts.drain");
  proxy_->close_idle();
  while (net_.scheduler().has_ready()) net_.scheduler().run_ready();
  if (const std::string left = proxy_->what_is_left(); !left.empty()) ledger_.violation("when all is over, {}", left);
}

}  // namespace steelyard::sim
