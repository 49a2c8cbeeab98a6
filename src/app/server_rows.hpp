// The servers of a running proxy as its admin API shows them, in the words and the order in which an operator looks at them. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/admin_call.hpp"
#include "app/table.hpp"

namespace steelyard {

// One address of one server: a name may have several, or none yet.
struct ServerRow {
  std::string pool{};
  std::string id{};
  std::string address{};
  std::string state{};
  std::string reason{};
  std::string origin{};  // "config", "admin", "lease 12s"
  Tone tone = Tone::plain;
  bool up = false;  // it takes traffic
  std::int64_t since_unix_s = 0;
  std::uint64_t weight = 0;
  std::uint64_t active = 0;
  std::uint64_t remote = 0;  // of these, what clients do there themselves
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;
  std::uint64_t error_statuses = 0;
  double latency_ms = 0;
};

// `servers` is what the API answers for the pool.
std::vector<ServerRow> server_rows(std::string_view pool, const AdminJson& servers);
// Those that take no traffic first, with why; otherwise in the given order.
std::string server_table(std::span<const ServerRow> rows, std::int64_t now_unix_s, bool colours);
// "app: 198 of 200 up; not up: 10.0.0.7:8001 (unhealthy), …"
std::string pool_summary(std::string_view pool, std::span<const ServerRow> rows, bool colours);

}  // namespace steelyard
