#include "packet_world.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::sim {
namespace {

constexpr Duration drained_servers_max = 500ms;  // until what is under way at a removed server is cut

// The text of a member of a line of the log; nothing where there is none.
std::string_view member_of(std::string_view line, std::string_view name) {
  const std::string before = fmt::format("\"{}\":", name);
  const std::size_t at = line.find(before);
  if (at == std::string_view::npos) return {};
  std::string_view rest = line.substr(at + before.size());
  const bool quoted = rest.starts_with('"');
  if (quoted) rest.remove_prefix(1);
  return rest.substr(0, rest.find_first_of(quoted ? "\"" : ",}"));
}

}  // namespace

PacketOutcome run_packet_world(std::uint64_t seed, PacketCanary canary, SimNet::Trace trace) {
  PacketWorld world(seed, canary, trace);
  return world.run();
}

PacketWorld::PacketWorld(std::uint64_t seed, PacketCanary canary, SimNet::Trace trace) : net_(seed, trace), draw_(seed ^ 0xbacce75U) {
  book_.canary = canary;
  calm_ = draw_.chance(0.2);
  draw_network();
  draw_clients();
  draw_settings();
  draw_servers();
  for (std::size_t i = 0; i < settings_.servers; ++i) {
    servers_.push_back(std::make_unique<PacketServerActor>(net_, book_, server_address(i), i));
    servers_.back()->manners = server_manners_;
  }
  proxy_ = std::make_unique<SimProxy>(net_, settings_, draw_.next());
}

PacketOutcome PacketWorld::run() {
  if (settings_.pool.health) proxy_->start_probes(draw_.next());
  admit_clients(4 + draw_.below(40), 3s);
  plan_events();
  let_clients_finish(900s);
  stop_faults();
  check_packets();
  if (!drains_early_) check_recovery();
  check_drain();
  PacketOutcome outcome{.violations = book_.violations(),
                        .trace_hash = net_.trace_hash(),
                        .steps = net_.steps(),
                        .strays = book_.strays,
                        .last_notes = net_.last_notes()};
  for (const PacketRecord& packet : book_.packets()) {
    outcome.packets += packet.begun ? 1 : 0;
    outcome.answered += packet.answered ? 1 : 0;
  }
  return outcome;
}

void PacketWorld::plan_events() {
  // Whatever goes on, a reload makes nothing of it fail.
  for (std::size_t left = draw_.chance(0.6) ? 1 + draw_.below(20) : 0; left > 0; --left) {
    net_.after(net_.some_time(4s), [this] {
      if (!faults_are_over_) reload();
    });
  }
  for (std::size_t left = !calm_ && draw_.chance(0.3) ? 1 + draw_.below(6) : 0; left > 0; --left) {
    PacketServerActor& server = *servers_[draw_.below(servers_.size())];
    const Duration when = net_.some_time(4s);
    net_.after(when, [&server, cuts = draw_.chance(0.5)] { cuts ? server.crash() : server.shut(); });
    net_.after(when + net_.some_time(3s), [&server] { server.open(); });
  }
  drains_early_ = !calm_ && draw_.chance(0.2);
  if (!drains_early_) return;
  net_.after(net_.some_time(3s), [this] {
    for (const auto& client : clients_) client->expect_drain();
    proxy_->drain();
  });
}

void PacketWorld::reload() {
  std::vector<std::uint32_t> weights;
  for (std::size_t i = 0; i < settings_.servers; ++i) weights.push_back(static_cast<std::uint32_t>(draw_.below(4)));
  weights[draw_.below(weights.size())] = 1;  // somebody must be there
  draw_promises(weights);
  if (draw_.chance(0.5)) draw_options();
  net_.note("reload");
  proxy_->reload(settings_, draw_.chance(0.7) ? Algorithm::round_robin : static_cast<Algorithm>(draw_.below(7)), weights);
  if (calm_ || draw_.chance(0.5)) return;
  net_.after(net_.some_time(drained_servers_max), [this] { proxy_->cut_leaving(); });
}

// Swarm testing (Groce et al., 2012): each run has only some of the faults, at rates of its own, so that rare ones meet.
void PacketWorld::draw_network() {
  Faults& faults = net_.faults;
  faults.latency_max = Duration(static_cast<std::int64_t>(10'000 + draw_.below(20'000'000)));
  faults.window_min = draw_.chance(0.3) ? 300 : 16 * 1024;
  faults.window_max = faults.window_min + draw_.below(100'000);
  faults.short_read = rate(0.5);
  faults.short_write = rate(0.5);
  if (calm_) return;
  faults.reset = rate(0.2);
  faults.refused = rate(0.3);
  faults.hang = rate(0.2);
  faults.exhausted = rate(0.1);
}

void PacketWorld::draw_clients() {
  PacketClientManners& client = client_manners_;
  client.policies = {"gold", "gold", "silver", "silver", "iron"};
  client.slow_reader = rate(0.5);
  client.slow_sender = rate(0.5);
  client.pipelines = rate(1.0);
  client.stays = rate(0.3);
  client.setups = rate(0.3);
  client.packets_max = 1 + draw_.below(draw_.chance(0.1) ? 60 : 6);
  if (draw_.chance(0.3)) client.payload_bytes_max = 8000;
  if (calm_) return;
  client.policies.emplace_back("nobody's");
  client.resets = rate(0.3);
  client.half_closes = rate(0.3);
  client.leaves = rate(0.3);
  client.stalls = rate(0.2);
  client.misread = rate(0.5);
}

void PacketWorld::draw_servers() {
  PacketServerManners& server = server_manners_;
  server.packet_bytes_max = settings_.packets->bytes_max;
  server.slow = rate(0.3);
  server.early = rate(0.3);
  if (draw_.chance(0.3)) server.answer_bytes_max = 8000;
  if (calm_) {
    server.early = 0;
    return;
  }
  server.close_after = rate(0.3);
  server.reset_before = rate(0.2);
  server.close_before = rate(0.2);
  server.reset_inside = rate(0.2);
  server.close_inside = rate(0.2);
  server.silent = rate(0.1);
  server.deaf = rate(0.1);
  server.garbage = rate(0.1);
  server.too_large = rate(0.1);
  server.twice = rate(0.2);
  server.close_idle = rate(0.5);
  server.babble_idle = rate(0.2);
}

void PacketWorld::draw_settings() {
  settings_.has_log = true;
  settings_.servers = 1 + draw_.below(6);
  PoolOptions& pool = settings_.pool;
  pool.retries.tries_max = 1 + static_cast<std::uint32_t>(draw_.below(4));
  pool.keepalive.idle_timeout = draw_.chance(0.5) ? 1s : 55s;
  pool.keepalive.idle_connections_max = draw_.chance(0.3) ? 1 : 1024;
  if (draw_.chance(0.2)) pool.outliers.reset();
  if (draw_.chance(0.3)) pool.when_all_down = WhenAllDown::try_all;
  TimeoutOptions& timeouts = settings_.timeouts;
  timeouts.idle = 20s;
  timeouts.first_byte = draw_.chance(0.5) ? 5s : 60s;
  timeouts.body_idle = draw_.chance(0.5) ? 5s : 30s;
  settings_.packets = PacketOptions{.pool = "pool", .bytes_max = 20'000};
  client_manners_.packet_bytes_max = settings_.packets->bytes_max;
  draw_options();
  settings_.traits.resize(settings_.servers);
  for (Settings::Traits& traits : settings_.traits) traits.backup = draw_.chance(0.2);
  draw_promises(std::vector<std::uint32_t>(settings_.servers, 1));
  if (calm_) return;
  if (draw_.chance(0.3)) pool.health = HealthOptions{.kind = CheckKind::tcp, .interval = 2s, .fall = 2};
  if (draw_.chance(0.2)) settings_.connections.connections_max = 3;
  if (draw_.chance(0.2)) settings_.connections.connections_per_client_max = 2;
  over_limit_ = settings_.connections.connections_max == 3 || settings_.connections.connections_per_client_max == 2;
  if (draw_.chance(0.3)) timeouts.total = 10s;
  if (draw_.chance(0.2)) settings_.http.client_half_close = HalfClose::abort;
  client_manners_.half_close_aborts = settings_.http.client_half_close == HalfClose::abort;
}

// What a reload may change of the listener and of what its pool allows at once.
void PacketWorld::draw_options() {
  PacketOptions& options = *settings_.packets;
  options.keeps_servers = draw_.chance(0.5);
  options.repeat_any = draw_.chance(0.4);
  options.says_why = draw_.chance(0.5);
  options.registration = draw_.chance(0.5) ? PacketRegistration::open : PacketRegistration::off;
  QueueOptions& queue = settings_.pool.queue = {.queue_max = 1000, .queue_timeout = 1000s};
  if (draw_.chance(0.3)) queue.per_server_max = 1 + static_cast<std::uint32_t>(draw_.below(3));
  if (draw_.chance(0.3)) queue.active_max = 1 + static_cast<std::uint32_t>(draw_.below(5));
  if (!calm_ && draw_.chance(0.3)) queue.queue_max = static_cast<std::uint32_t>(draw_.below(4));
  if (!calm_ && draw_.chance(0.3)) queue.queue_timeout = 1s;
  book_.ages.push_back({net_.now(), options});
}

// Other labels and, now and then, another policy or none. What is true is told to the servers, the labels to the proxy.
void PacketWorld::draw_promises(const std::vector<std::uint32_t>& weights) {
  constexpr std::string_view values[] = {"gold", "silver", "iron"};
  const bool begins = book_.promises.empty();
  PromiseBook::Age age = begins ? PromiseBook::Age{} : book_.promises.now();
  age.begins = net_.now();
  age.has_policy = true;
  if (begins || draw_.chance(0.2)) age.label = draw_.below(labels_in_use.size());
  const bool none = !begins && !calm_ && draw_.chance(0.1);
  age.servers.resize(settings_.servers);
  for (std::size_t i = 0; i < settings_.servers; ++i) {
    // Packets go nowhere where there is no policy.
    age.servers[i].in_pool = weights[i] != 0 && !none;
    for (std::size_t label = 0; label < labels_in_use.size(); ++label) {
      if (!begins && !draw_.chance(0.3)) continue;
      age.servers[i].values[label].clear();
      std::string text;
      for (const std::string_view value : values) {
        if (draw_.chance(0.5)) continue;
        age.servers[i].values[label].emplace_back(value);
        text += fmt::format("{}{}", text.empty() ? "" : draw_.chance(0.5) ? "," : " , ", value);
      }
      const std::size_t told_of = book_.canary == PacketCanary::mislabel ? (i + 1) % settings_.servers : i;
      settings_.traits[told_of].labels[std::string(labels_in_use[label].label)] = text;
    }
  }
  settings_.pool.policy.reset();
  if (!none) settings_.pool.policy.emplace().label = labels_in_use[age.label].label;
  book_.promises.begin(std::move(age));
}

void PacketWorld::admit_clients(std::size_t count, Duration within) {
  for (std::size_t i = 0; i < count; ++i) {
    clients_.push_back(std::make_unique<PacketClient>(net_, book_, client_manners_));
    PacketClient* const client = clients_.back().get();
    net_.after(net_.some_time(within), [client, from = client_address(draw_.below(8))] { client->start(from, proxy_address()); });
  }
}

void PacketWorld::let_clients_finish(Duration at_most) {
  bool late = false;
  const Instant limit = net_.now() + at_most;
  const auto all_over = [this] { return std::ranges::all_of(clients_, [](const auto& client) { return client->over(); }); };
  while (!all_over() && book_.violations().size() < violations_max) {
    if (!net_.step() || net_.steps() > steps_max || net_.now() > limit) {
      late = true;
      break;
    }
    check_step();
  }
  if (!late) return;
  for (const auto& client : clients_) {
    if (client->over()) continue;
    book_.violation("after {} s and {} steps a client still {}", at_most / 1s, net_.steps(), client->where_it_stands());
  }
}

void PacketWorld::read_log() {
  proxy_->take_lines([this](std::string_view line) {
    ++lines_;
    const auto id = parse_unsigned<std::uint64_t>(member_of(line, "request_id"));
    if (!id) return;
    PacketRecord* const packet = book_.find(*id);
    if (packet == nullptr) return book_.violation("the log has a packet that nobody sent: {}", line);
    if (book_.canary == PacketCanary::forget_line && *id % 7 == 0) return;
    ++packet->lines;
    packet->status = parse_unsigned<int>(member_of(line, "status")).value_or(0);
    packet->failure = member_of(line, "failure");
  });
}

void PacketWorld::check_step() {
  read_log();
  const auto active = proxy_->metrics().exchanges_active.value();
  const auto connections = proxy_->metrics().client_connections.value();
  std::int64_t by_servers = 0;
  for (const auto& server : proxy_->all_servers()) by_servers += server->load.active.load();
  if (active < 0 || active > connections || by_servers > active) {
    book_.violation("{} exchanges active, {} of them at servers, over {} connections", active, by_servers, connections);
  }
}

// What does not depend on how a packet's client has fared.
void PacketWorld::check_packets() {
  // Whoever has been given up by its client is given up by the proxy, in the end.
  net_.run_for(settings_.timeouts.first_byte + settings_.timeouts.body_idle);
  read_log();
  for (const auto& client : clients_) client->settle();
  for (std::uint64_t id = 0; id < book_.packets().size(); ++id) check_packet(id);
  const WorkerMetrics& metrics = proxy_->metrics();
  const std::uint64_t counted = metrics.packets.value() + metrics.packet_setups.value() + metrics.packet_setups_refused.value();
  const auto under_way = static_cast<std::uint64_t>(metrics.exchanges_active.value());
  if (counted != lines_) book_.violation("{} packets counted, {} lines in the log, {} under way", counted, lines_, under_way);
}

void PacketWorld::check_packet(std::uint64_t id) {
  const PacketRecord& packet = *book_.find(id);
  if (packet.lines > 1) book_.violation("{} has {} lines in the log", id, packet.lines);
  if (packet.lines == 0 && (packet.answered || !packet.reached.empty())) book_.violation("{} reached a server without a line", id);
  if (packet.answered && packet.status != 200) book_.violation("{} was answered, and the log says {}", id, packet.status);
  if (packet.status == 200 && packet.reached.empty() && book_.strays == 0) book_.violation("{} was answered by nobody", id);
  const bool valid = packet.kind == PacketRecord::Kind::valid;
  if (valid && packet.closed_on && !over_limit_ && packet.lines == 0) book_.violation("{} was closed on without a line", id);
  const bool may_repeat = book_.ever_since(packet.begun_at, [](const PacketOptions& options) { return options.repeat_any; });
  const std::size_t reach_max = may_repeat ? settings_.pool.retries.tries_max + 1 : 1;
  if (packet.reached.size() > reach_max) book_.violation("bytes of {} reached {} servers", id, packet.reached.size());
  const bool undisturbed = valid && packet.begun && packet.fully_sent && (packet.closed_on || packet.answered || packet.lines != 0);
  const bool met = book_.promises.always_met_since(packet.begun_at, demands_of(packet.policy));
  if ((calm_ || id >= faults_end_) && undisturbed && met && !packet.answered) {
    book_.violation("nothing went wrong, but {} got no answer: {} {}", id, packet.status, packet.failure);
  }
}

void PacketWorld::stop_faults() {
  faults_are_over_ = true;
  faults_end_ = book_.packets().size();
  const Duration latency_max = net_.faults.latency_max;
  net_.faults = Faults{};
  net_.faults.latency_max = std::max(latency_max, net_.faults.latency_max);
  client_manners_ = PacketClientManners{
      .packets_max = client_manners_.packets_max, .packet_bytes_max = client_manners_.packet_bytes_max, .policies = {"gold", "iron"}};
  for (const auto& server : servers_) server->manners = PacketServerManners{};
  for (const auto& server : servers_) server->open();
  if (drains_early_) return;
  const std::vector<std::uint32_t> weights(settings_.servers, 1);
  draw_promises(weights);
  settings_.pool.queue = {.queue_max = 1000, .queue_timeout = 1000s};
  proxy_->reload(settings_, Algorithm::round_robin, weights);
}

// When nothing goes wrong any more, every packet is answered.
void PacketWorld::check_recovery() {
  // Connections that servers have spoiled before are not kept any longer.
  net_.run_for(settings_.pool.health ? 90s : 60s);
  const int rounds = over_limit_ ? 3 : 1;
  for (int i = 0; i < rounds; ++i) {
    admit_clients(over_limit_ ? 1 : 6, 1s);
    let_clients_finish(100s);
    net_.run_for(2s);  // the proxy may still linger on the connection
  }
  check_packets();
}

void PacketWorld::check_drain() {
  proxy_->stop_probes();
  if (book_.canary == PacketCanary::keep_place) proxy_->server(0).load.active.fetch_add(1);
  proxy_->drain();  // changes nothing where it was begun before
  const Instant limit = net_.now() + settings_.timeouts.drain + 2s;
  while (!proxy_->drained() && net_.now() < limit && net_.steps() < 2 * steps_max && net_.step()) {
  }
  if (!proxy_->drained()) book_.violation("draining has not ended within timeouts.drain");
  proxy_->close_idle();
  while (net_.scheduler().has_ready()) net_.scheduler().run_ready();
  read_log();
  if (const std::string left = proxy_->what_is_left(); !left.empty()) book_.violation("when all is over, {}", left);
}

}  // namespace steelyard::sim
