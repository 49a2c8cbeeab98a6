// steelyard status: how a running proxy is, on one screen.
#include <fmt/format.h>

#include <memory>

#include "app/admin_commands.hpp"
#include "app/server_rows.hpp"
#include "observe/system_time.hpp"

namespace steelyard {
namespace {

std::string in_one_line(const AdminJson& texts) {
  std::string all;
  for (const AdminJson& text : texts) all += (all.empty() ? "" : ", ") + (text.is_string() ? text.get<std::string>() : text.dump());
  return all;
}

// The status holds living servers only, which is what there is to see here.
std::vector<ServerRow> rows_of(const AdminJson& pool) {
  AdminJson servers = AdminJson::array();
  for (const AdminJson& server : pool.value("servers", AdminJson::array())) {
    servers.push_back({{"weight", server.value("weight", 0)}, {"states", AdminJson::array({server})}});
  }
  return server_rows(text_of(pool, "name"), servers);
}

void print_status(const AdminJson& status) {
  const bool colours = colours_wanted();
  const bool running = text_of(status, "status") == "running";
  const double uptime_s = status.value("uptime_seconds", 0.0);
  fmt::print("steelyard {} is {} for {}, on {} threads; listens on {}\n", text_of(status, "version"),
             toned(text_of(status, "status"), running ? Tone::good : Tone::warning, colours),
             spell_age(std::chrono::seconds(static_cast<std::int64_t>(uptime_s))), count_of(status, "workers"),
             in_one_line(status.value("listeners", AdminJson::array())));
  const AdminJson connections = status.value("connections", AdminJson::object());
  fmt::print("exchanges under way: {}; connections: {} of clients ({} idle), {} to servers ({} idle); reloads: {}\n\n",
             count_of(status, "exchanges_active"), count_of(connections, "clients"), count_of(connections, "clients_idle"),
             count_of(connections, "servers"), count_of(connections, "servers_idle"), count_of(status, "reloads"));
  std::vector<ServerRow> down;
  for (const AdminJson& pool : status.value("pools", AdminJson::array())) {
    const std::vector<ServerRow> rows = rows_of(pool);
    fmt::print("{}", pool_summary(text_of(pool, "name"), rows, colours));
    if (const std::uint64_t queued = count_of(pool, "queued"); queued > 0) fmt::print("  {} requests wait for a free place\n", queued);
    for (const ServerRow& row : rows) {
      if (!row.up) down.push_back(row);
    }
  }
  if (!down.empty()) fmt::print("\n{}", server_table(down, system_unix_time_us() / 1'000'000, colours));
}

}  // namespace

void add_status(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("status", "Show how a running proxy is, and which servers are not up.");
  const auto arguments = std::make_shared<AdminArguments>();
  add_admin_options(*command, *arguments);
  command->footer("Example:\n  steelyard status --admin unix:/run/steelyard.sock");
  command->callback([arguments, &exit_code] {
    exit_code = run_admin(*arguments, [&](const AdminClient& client) -> std::expected<void, AdminFailure> {
      const auto status = call_admin(client, {.path = "/v1/status"});
      if (!status) return std::unexpected(status.error());
      if (arguments->json) {
        print_json(*status);
      } else {
        print_status(*status);
      }
      return {};
    });
  });
}

}  // namespace steelyard
