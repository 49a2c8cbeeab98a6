#include "app/process_state.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/ascii.hpp"
#include "decide/token/base64url.hpp"

namespace steelyard {
namespace {

using Snapshot = MetricsSnapshot;

constexpr std::pair<const char*, std::uint64_t Snapshot::*> process_counters[] = {
    {"requests", &Snapshot::requests},
    {"errors", &Snapshot::errors},
    {"request_bytes", &Snapshot::request_bytes},
    {"response_bytes", &Snapshot::response_bytes},
    {"client_connections_accepted", &Snapshot::client_connections_accepted},
    {"server_connections_opened", &Snapshot::server_connections_opened},
    {"server_connections_reused", &Snapshot::server_connections_reused},
    {"server_connections_failed", &Snapshot::server_connections_failed},
    {"retries", &Snapshot::retries},
    {"failovers", &Snapshot::failovers},
    {"hedges", &Snapshot::hedges},
    {"hedges_wasted", &Snapshot::hedges_wasted},
    {"queued", &Snapshot::queued},
    {"tunnels", &Snapshot::tunnels},
    {"redirects", &Snapshot::redirects},
    {"guard_admitted", &Snapshot::guard_admitted},
    {"guard_carried", &Snapshot::guard_carried},
    {"guard_denied", &Snapshot::guard_denied},
    {"guard_absent", &Snapshot::guard_absent},
    {"policy_absent", &Snapshot::policy_absent},
    {"policy_ambiguous", &Snapshot::policy_ambiguous},
    {"policy_unmet", &Snapshot::policy_unmet},
    {"packets", &Snapshot::packets},
    {"packet_setups", &Snapshot::packet_setups},
    {"packet_setups_refused", &Snapshot::packet_setups_refused},
    {"log_lines_dropped", &Snapshot::log_lines_dropped},
    {"reloads", &Snapshot::reloads},
    {"reloads_refused", &Snapshot::reloads_refused},
};
constexpr std::pair<const char*, std::uint64_t ServerCounts::*> server_counters[] = {
    {"requests", &ServerCounts::requests},
    {"failures", &ServerCounts::failures},
    {"error_statuses", &ServerCounts::error_statuses},
    {"connections_opened", &ServerCounts::connections_opened},
    {"connections_reused", &ServerCounts::connections_reused},
    {"redirects", &ServerCounts::redirects},
};
constexpr std::pair<const char*, std::uint64_t quota::LimitCounts::*> limit_counters[] = {
    {"passed", &quota::LimitCounts::passed},
    {"refused", &quota::LimitCounts::refused},
    {"would_refuse", &quota::LimitCounts::would_refuse},
    {"exempt", &quota::LimitCounts::exempt},
    {"unreachable", &quota::LimitCounts::unreachable},
    {"waited_us", &quota::LimitCounts::waited_us},
    {"evicted", &quota::LimitCounts::evicted},
    {"uncounted", &quota::LimitCounts::uncounted},
};
constexpr std::pair<const char*, Hold> holds[] = {
    {"unhealthy", Hold::unhealthy}, {"draining", Hold::draining}, {"ejected", Hold::ejected}, {"unreachable", Hold::unreachable}};
constexpr std::pair<const char*, Health> healths[] = {{"healthy", Health::healthy}, {"unhealthy", Health::unhealthy}};

template <typename Value>
void read(const nlohmann::json& from, const char* key, Value& into) {
  if (const auto found = from.find(key); found != from.end()) found->get_to(into);
}
void read(const nlohmann::json& from, const char* key, Instant& into) { read(from, key, into.ns); }

// A bucket is known by the shortest time that falls into it.
nlohmann::json histogram_json(const HistogramSnapshot& times) {
  nlohmann::json buckets = nlohmann::json::array();
  for (std::size_t i = 0; i < times.buckets().size(); ++i) {
    if (times.buckets()[i] != 0) buckets.push_back({histogram_buckets::lower_bound(i), times.buckets()[i]});
  }
  return {
      {"minimum_us", times.minimum() / 1us}, {"maximum_us", times.maximum() / 1us}, {"sum_us", times.sum() / 1us}, {"buckets", buckets}};
}

HistogramSnapshot read_histogram(const nlohmann::json& from) {
  HistogramSnapshot times;
  for (const nlohmann::json& bucket : from.at("buckets")) times.add(bucket.at(0).get<std::uint64_t>(), bucket.at(1).get<std::uint64_t>());
  if (times.count() != 0) times.set_extremes(from.at("minimum_us"), from.at("maximum_us"), from.at("sum_us"));
  return times;
}

nlohmann::json metrics_document(const Snapshot& metrics) {
  nlohmann::json page;
  for (const auto& [key, counter] : process_counters) page[key] = metrics.*counter;
  for (std::size_t i = 0; i < limit_count; ++i) page["limits"][name(static_cast<Limit>(i))] = metrics.limits[i];
  page["statuses"] = nlohmann::json::object();
  for (const auto& [status, count] : metrics.statuses) page["statuses"][std::to_string(status)] = count;
  page["response_times"] = histogram_json(metrics.response_times);
  return page;
}

Snapshot read_metrics(const nlohmann::json& from) {
  Snapshot metrics;
  for (const auto& [key, counter] : process_counters) read(from, key, metrics.*counter);
  for (std::size_t i = 0; i < limit_count; ++i) {
    read(from.at("limits"), std::string(name(static_cast<Limit>(i))).c_str(), metrics.limits[i]);
  }
  for (const auto& [status, count] : from.at("statuses").items()) {
    if (const auto number = parse_unsigned<std::uint16_t>(status)) metrics.statuses[*number] = count;
  }
  metrics.response_times = read_histogram(from.at("response_times"));
  return metrics;
}

nlohmann::json server_json(const ServerKnowledge& server) {
  nlohmann::json held = nlohmann::json::array();
  for (const auto& [hold, note] : server.holds) {
    for (const auto& [key, value] : holds) {
      if (value == hold) held.push_back({{"hold", key}, {"reason", note.reason}, {"since", note.since_unix_s}});
    }
  }
  const balance::Estimate::Values& estimate = server.estimate;
  nlohmann::json page{{"id", server.id},
                      {"address", server.address.to_string()},
                      {"holds", held},
                      {"reason", server.well.reason},
                      {"since", server.well.since_unix_s},
                      {"ejections", server.ejections},
                      {"ejections_remembered", server.ejections_remembered},
                      {"ejection_ended", server.ejection_ended.ns},
                      {"warm_since", server.warm_since_ns},
                      {"estimate",
                       {{"latency_us", estimate.latency_us},
                        {"answers", estimate.answers},
                        {"known", estimate.known},
                        {"peak_us", estimate.peak_us},
                        {"failures", estimate.failures},
                        {"updated", estimate.updated.ns}}}};
  for (const auto& [key, value] : healths) {
    if (value == server.health) page["health"] = key;
  }
  if (server.pause) {
    page["pause"] = {{"began", server.pause->began.ns}, {"ends", server.pause->ends.ns}, {"length", server.pause->length.count()}};
  }
  page["active"] = server.active;
  if (server.remote) {
    page["remote"] = {{"load", server.remote->load}, {"arrived", server.remote->arrived}, {"run", server.remote->run}};
  }
  for (const auto& [key, counter] : server_counters) page["counts"][key] = server.counts.*counter;
  return page;
}

ServerKnowledge read_server(const nlohmann::json& from) {
  ServerKnowledge server;
  read(from, "id", server.id);
  server.address = SocketAddress::parse(from.at("address").get<std::string>()).value_or(SocketAddress{});
  for (const auto& [key, value] : healths) {
    if (from.value("health", "") == key) server.health = value;
  }
  for (const nlohmann::json& held : from.at("holds")) {
    for (const auto& [key, value] : holds) {
      if (held.at("hold") == key) server.holds.push_back({value, {held.at("reason"), held.at("since")}});
    }
  }
  read(from, "reason", server.well.reason);
  read(from, "since", server.well.since_unix_s);
  read(from, "ejections", server.ejections);
  read(from, "ejections_remembered", server.ejections_remembered);
  read(from, "ejection_ended", server.ejection_ended);
  read(from, "warm_since", server.warm_since_ns);
  const nlohmann::json& estimate = from.at("estimate");
  read(estimate, "latency_us", server.estimate.latency_us);
  read(estimate, "answers", server.estimate.answers);
  read(estimate, "known", server.estimate.known);
  read(estimate, "peak_us", server.estimate.peak_us);
  read(estimate, "failures", server.estimate.failures);
  read(estimate, "updated", server.estimate.updated);
  if (const auto pause = from.find("pause"); pause != from.end()) {
    server.pause = {Instant{pause->at("began")}, Instant{pause->at("ends")}, Duration{pause->at("length").get<std::int64_t>()}};
  }
  read(from, "active", server.active);
  if (const auto remote = from.find("remote"); remote != from.end()) {
    server.remote = {remote->at("load"), remote->at("arrived"), remote->at("run")};
  }
  for (const auto& [key, counter] : server_counters) read(from.at("counts"), key, server.counts.*counter);
  return server;
}

// All ids that end in one second are one text: there may be a million of them.
nlohmann::json used_tokens_json(const UsedTokens::Memory& used) {
  nlohmann::json page = nlohmann::json::object();
  for (const auto& [expires_s, ids] : used.ids) {
    std::string bytes;
    for (const token::Id& id : ids) bytes.append(id.begin(), id.end());
    page[std::to_string(expires_s)] = token::to_base64url(bytes);
  }
  return {{"forgotten", used.forgotten_s}, {"ids", std::move(page)}};
}

UsedTokens::Memory read_used_tokens(const nlohmann::json& from) {
  UsedTokens::Memory used;
  read(from, "forgotten", used.forgotten_s);
  for (const auto& [key, text] : from.value("ids", nlohmann::json::object()).items()) {
    const auto expires_s = parse_unsigned<std::uint64_t>(key);
    const auto bytes = token::decode_base64url(text.get<std::string>());
    if (!expires_s || !bytes) continue;
    auto& ids = used.ids[static_cast<std::int64_t>(*expires_s)];
    for (std::size_t at = 0; at + sizeof(token::Id) <= bytes->size(); at += sizeof(token::Id)) {
      std::memcpy(ids.emplace_back().data(), bytes->data() + at, sizeof(token::Id));
    }
  }
  return used;
}

}  // namespace

std::string to_json(const ProcessState& state) {
  nlohmann::json pools = nlohmann::json::object();
  for (const ProcessState::KnownPool& pool : state.pools) {
    nlohmann::json servers = nlohmann::json::array();
    for (const ServerKnowledge& server : pool.servers) servers.push_back(server_json(server));
    pools[pool.name] = std::move(servers);
  }
  nlohmann::json limits = nlohmann::json::object();
  for (const ProcessState::KnownLimit& limit : state.limits) {
    for (const auto& [key, counter] : limit_counters) limits[limit.name][key] = limit.counts.*counter;
  }
  nlohmann::json copied = nlohmann::json::array();
  for (const quota::CopiedLimit& limit : state.copied_limits) {
    copied.push_back({{"name", limit.name}, {"meaning", limit.meaning}, {"offset", limit.offset}});
  }
  const nlohmann::json document{{"start", state.start.ns},
                                {"metrics", metrics_document(state.metrics)},
                                {"session_secret", state.session_secret},
                                {"seed", state.seed},
                                {"pools", std::move(pools)},
                                {"limits", std::move(limits)},
                                {"used_tokens", used_tokens_json(state.used_tokens)},
                                {"copied_limits", std::move(copied)},
                                {"registry", state.registry}};
  // A reason may quote what a server has sent.
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::expected<ProcessState, std::string> read_process_state(std::string_view json) {
  try {
    const nlohmann::json document = nlohmann::json::parse(json);
    ProcessState state;
    read(document, "start", state.start);
    state.metrics = read_metrics(document.at("metrics"));
    read(document, "session_secret", state.session_secret);
    read(document, "seed", state.seed);
    for (const auto& [pool, servers] : document.at("pools").items()) {
      state.pools.push_back({pool, {}});
      for (const nlohmann::json& server : servers) state.pools.back().servers.push_back(read_server(server));
    }
    for (const auto& [name, counts] : document.value("limits", nlohmann::json::object()).items()) {
      state.limits.push_back({name, {}});
      for (const auto& [key, counter] : limit_counters) read(counts, key, state.limits.back().counts.*counter);
    }
    for (const nlohmann::json& copied : document.value("copied_limits", nlohmann::json::array())) {
      state.copied_limits.push_back({copied.at("name"), copied.at("meaning"), copied.at("offset")});
    }
    state.used_tokens = read_used_tokens(document.value("used_tokens", nlohmann::json::object()));
    read(document, "registry", state.registry);
    return state;
  } catch (const nlohmann::json::exception& problem) {
    return std::unexpected(fmt::format("what the process before this one knew cannot be read: {}", problem.what()));
  }
}

}  // namespace steelyard
