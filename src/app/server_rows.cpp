#include "app/server_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "config/spelling.hpp"

namespace steelyard {
namespace {

constexpr std::size_t named_max = 5;  // of the servers that are not up, in a summary

template <typename Number>
Number number_of(const AdminJson& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<Number>() : Number{};
}

bool is_true(const AdminJson& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

struct StateTone {
  std::string_view state;
  Tone tone;
  bool up;
};

// An operator's own doing is no alarm.
constexpr StateTone state_tones[] = {
    {"healthy", Tone::good, true},      {"warming", Tone::good, true},         {"unknown", Tone::warning, true},
    {"forced up", Tone::warning, true}, {"drained", Tone::warning, false},     {"draining", Tone::warning, false},
    {"joining", Tone::warning, false},  {"forced down", Tone::warning, false}, {"unchecked", Tone::warning, false},
};

void judge(ServerRow& row) {
  const auto found = std::ranges::find(state_tones, row.state, &StateTone::state);
  row.tone = found == std::end(state_tones) ? Tone::bad : found->tone;
  row.up = found != std::end(state_tones) && found->up;
}

std::string origin_of(const AdminJson& server) {
  const std::string origin = text_of(server, "origin");
  if (origin == "configuration") return "config";
  const auto lease = server.find("lease");
  if (lease == server.end() || !lease->is_object()) return origin;
  if (is_true(*lease, "overdue")) return "lease overdue";
  const auto left = config::parse_duration(text_of(*lease, "expires_in"));
  return left ? "lease " + spell_age(*left) : "registered";
}

ServerRow row_of(const ServerRow& wanted, const AdminJson& state) {
  ServerRow row = wanted;
  row.id = text_of(state, "id");
  row.address = text_of(state, "address");
  row.state = text_of(state, "health");
  row.reason = text_of(state, "reason");
  row.since_unix_s = number_of<std::int64_t>(state, "since_unix_seconds");
  row.active = number_of<std::uint64_t>(state, "active");
  row.remote = number_of<std::uint64_t>(state, "remote");
  row.requests = number_of<std::uint64_t>(state, "requests");
  row.failures = number_of<std::uint64_t>(state, "failures");
  row.error_statuses = number_of<std::uint64_t>(state, "error_statuses");
  row.latency_ms = number_of<double>(state, "latency_ms");
  judge(row);
  return row;
}

// In the order in which they are shown.
enum class Urgency : std::uint8_t { broken, held, none };
Urgency urgency_of(const ServerRow& row) {
  if (row.up) return Urgency::none;
  return row.tone == Tone::bad ? Urgency::broken : Urgency::held;
}

std::string spell_latency(double ms) {
  if (ms <= 0) return "-";
  if (ms < 10) return fmt::format("{:.2f}ms", ms);
  return ms < 10'000 ? fmt::format("{:.0f}ms", ms) : fmt::format("{:.1f}s", ms / 1000);
}

void add(Table& table, const ServerRow& row, std::int64_t now_unix_s) {
  const auto since = row.since_unix_s == 0 ? "-" : spell_age(std::chrono::seconds(now_unix_s - row.since_unix_s));
  table.add({{row.pool},
             {row.id},
             {row.address == row.id ? "" : row.address},
             {row.state, row.tone},
             {since},
             {fmt::format("{}", row.weight)},
             {row.remote == 0 ? spell_count(row.active) : fmt::format("{} ({} remote)", spell_count(row.active), spell_count(row.remote))},
             {spell_count(row.requests)},
             {spell_count(row.failures)},
             {spell_count(row.error_statuses)},
             {spell_latency(row.latency_ms)},
             {row.origin}},
            row.up ? "" : row.reason);
}

}  // namespace

std::vector<ServerRow> server_rows(std::string_view pool, const AdminJson& servers) {
  std::vector<ServerRow> rows;
  if (!servers.is_array()) return rows;
  for (const AdminJson& server : servers) {
    ServerRow wanted{.pool = std::string(pool),
                     .id = text_of(server, "id"),
                     .address = text_of(server, "address"),
                     .reason = text_of(server, "name_problem"),
                     .origin = origin_of(server),
                     .weight = number_of<std::uint64_t>(server, "weight")};
    const auto states = server.find("states");
    if (states != server.end() && states->is_array() && !states->empty()) {
      for (const AdminJson& state : *states) {
        rows.push_back(row_of(wanted, state));
        // Of several reasons the API tells the firmest; this one will still be there when that is over.
        if (is_true(server, "drained") && rows.back().state != "drained") rows.back().reason += "; drained, too";
      }
      continue;
    }
    wanted.state = wanted.reason.empty() ? "joining" : "no address";
    judge(wanted);
    rows.push_back(std::move(wanted));
  }
  return rows;
}

std::string server_table(std::span<const ServerRow> rows, std::int64_t now_unix_s, bool colours) {
  using Align = Table::Align;
  Table table({{"POOL"},
               {"ID"},
               {"ADDRESS"},
               {"STATE"},
               {"SINCE", Align::right},
               {"WEIGHT", Align::right},
               {"ACTIVE", Align::right},
               {"REQUESTS", Align::right},
               {"FAILED", Align::right},
               {"5XX", Align::right},
               {"LATENCY", Align::right},
               {"ORIGIN"}});
  for (const Urgency urgency : {Urgency::broken, Urgency::held, Urgency::none}) {
    for (const ServerRow& row : rows) {
      if (urgency_of(row) == urgency) add(table, row, now_unix_s);
    }
  }
  return table.text(colours);
}

std::string pool_summary(std::string_view pool, std::span<const ServerRow> rows, bool colours) {
  std::size_t servers = 0;
  std::size_t down = 0;
  std::string names;
  for (const ServerRow& row : rows) {
    if (row.pool != pool) continue;
    ++servers;
    if (row.up) continue;
    if (++down <= named_max) names += fmt::format("{}{} ({})", down == 1 ? "" : ", ", row.id, row.state);
  }
  if (down > named_max) names += fmt::format(" and {} more", down - named_max);
  const Tone tone = down == 0 ? Tone::good : down < servers ? Tone::warning : Tone::bad;
  const std::string count = servers == 0 ? "no servers" : fmt::format("{} of {} up", servers - down, servers);
  return fmt::format("{}: {}{}{}\n", pool, toned(count, servers == 0 ? Tone::bad : tone, colours), down == 0 ? "" : "; not up: ", names);
}

}  // namespace steelyard
