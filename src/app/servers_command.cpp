// steelyard servers: shows the servers of a running proxy and changes them.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "app/admin_commands.hpp"
#include "app/server_rows.hpp"
#include "config/spelling.hpp"
#include "observe/system_time.hpp"
#include "upstream/options.hpp"
#include "wire/http/segment.hpp"

namespace steelyard {
namespace {

using http::Method;

struct ServersArguments {
  AdminArguments admin{};
  std::string pool{};
  std::string id{};
  std::string address{};
  std::string deadline{};
  std::string forced{};
  std::vector<std::string> labels{};
  std::optional<std::uint32_t> weight{};
  std::optional<std::uint32_t> active_max{};
  bool backup = false;
};

using Done = std::expected<void, AdminFailure>;

std::string pool_path(std::string_view pool) { return fmt::format("/v1/pools/{}", http::encode_segment(pool)); }
std::string server_path(const ServersArguments& arguments) {
  return fmt::format("{}/servers/{}", pool_path(arguments.pool), http::encode_segment(arguments.id));
}
std::string name_of(const ServersArguments& arguments) { return fmt::format("{}/{}", arguments.pool, arguments.id); }

std::string in_exchanges(std::uint64_t active) {
  if (active == 0) return "nothing is under way there";
  return active == 1 ? "1 exchange is under way there" : fmt::format("{} exchanges are under way there", active);
}

std::uint64_t active_at(const AdminJson& server) {
  std::uint64_t active = 0;
  for (const ServerRow& row : server_rows("", AdminJson::array({server}))) active += row.active;
  return active;
}

// Asks, and tells what has come of it: as the API does, or in a sentence.
Done change(const AdminClient& client, const ServersArguments& arguments, const AdminRequest& request,
            const std::function<std::string(const AdminJson& server)>& sentence) {
  const auto answer = call_admin(client, request);
  if (!answer) return std::unexpected(answer.error());
  if (arguments.admin.json) {
    print_json(*answer);
  } else {
    fmt::print("{} {}\n", name_of(arguments), sentence(*answer));
  }
  return {};
}

Done list(const AdminClient& client, const ServersArguments& arguments) {
  std::vector<std::string> pools;
  if (arguments.pool.empty()) {
    const auto all = call_admin(client, {.path = "/v1/pools"});
    if (!all) return std::unexpected(all.error());
    for (const AdminJson& pool : *all) pools.push_back(text_of(pool, "name"));
  } else {
    pools.push_back(arguments.pool);
  }
  std::vector<ServerRow> rows;
  AdminJson shown = AdminJson::array();
  for (const std::string& pool : pools) {
    const auto servers = call_admin(client, {.path = pool_path(pool) + "/servers"});
    if (!servers) return std::unexpected(servers.error());
    for (const AdminJson& server : *servers) {
      AdminJson with_pool{{"pool", pool}};
      with_pool.update(server);
      shown.push_back(std::move(with_pool));
    }
    for (ServerRow& row : server_rows(pool, *servers)) rows.push_back(std::move(row));
  }
  if (arguments.admin.json) {
    print_json(shown);
    return {};
  }
  const bool colours = colours_wanted();
  if (!rows.empty()) fmt::print("{}\n", server_table(rows, system_unix_time_us() / 1'000'000, colours));
  for (const std::string& pool : pools) fmt::print("{}", pool_summary(pool, rows, colours));
  return {};
}

Done add(const AdminClient& client, ServersArguments arguments) {
  if (arguments.id.empty()) arguments.id = arguments.address;
  AdminJson body{{"address", arguments.address}};
  if (arguments.weight) body["weight"] = *arguments.weight;
  if (arguments.backup) body["backup"] = true;
  if (arguments.active_max) body["active_max"] = *arguments.active_max;
  for (const std::string& label : arguments.labels) {
    const std::size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos) return std::unexpected(wrong_usage(fmt::format("--label {}: write NAME=VALUE", label)));
    body["labels"][label.substr(0, equals)] = label.substr(equals + 1);
  }
  // One that is there is not to be changed by a slip of the fingers.
  return change(client, arguments,
                {.method = Method::put,
                 .path = server_path(arguments),
                 .body = body.dump(-1, ' ', false, AdminJson::error_handler_t::replace),
                 .fields = "If-None-Match: *\r\n"},
                [&](const AdminJson& server) { return fmt::format("is added, at {}", text_of(server, "address")); });
}

// "?deadline=30s"
std::expected<std::string, AdminFailure> deadline_query(const ServersArguments& arguments) {
  if (arguments.deadline.empty()) return "";
  const auto deadline = config::parse_duration(arguments.deadline);
  if (!deadline) return std::unexpected(wrong_usage(fmt::format("--deadline {} {}", arguments.deadline, deadline.error())));
  return "?deadline=" + config::spell_duration(*deadline);
}

std::string deadline_words(const ServersArguments& arguments) {
  return arguments.deadline.empty() ? "and the pool's drain cuts it" : fmt::format("and is cut after {}", arguments.deadline);
}

Done drain(const AdminClient& client, const ServersArguments& arguments) {
  const auto query = deadline_query(arguments);
  if (!query) return std::unexpected(query.error());
  return change(
      client, arguments, {.method = Method::post, .path = server_path(arguments) + "/drain" + *query}, [&](const AdminJson& server) {
        const std::uint64_t active = active_at(server);
        return fmt::format("gets no new requests; {}{}", in_exchanges(active), active == 0 ? "" : ", " + deadline_words(arguments));
      });
}

Done undrain(const AdminClient& client, const ServersArguments& arguments) {
  return change(client, arguments, {.method = Method::post, .path = server_path(arguments) + "/undrain"},
                [](const AdminJson& /*server*/) { return "takes requests again"; });
}

Done remove(const AdminClient& client, const ServersArguments& arguments) {
  const auto query = deadline_query(arguments);
  if (!query) return std::unexpected(query.error());
  auto answer = call_admin(client, {.method = Method::delete_, .path = server_path(arguments) + *query});
  if (!answer) return std::unexpected(answer.error());
  if (answer->is_null()) *answer = {{"pool", arguments.pool}, {"id", arguments.id}, {"exchanges_active", 0}};
  if (arguments.admin.json) {
    print_json(*answer);
    return {};
  }
  const auto active = answer->value("exchanges_active", std::uint64_t{0});
  fmt::print("{} is removed; {}{}\n", name_of(arguments), in_exchanges(active), active == 0 ? "" : ", " + deadline_words(arguments));
  return {};
}

Done set_weight(const AdminClient& client, const ServersArguments& arguments) {
  return change(
      client, arguments,
      {.method = Method::patch, .path = server_path(arguments), .body = fmt::format("{{\"weight\":{}}}", arguments.weight.value_or(1))},
      [](const AdminJson& server) { return fmt::format("has the weight {}", server.value("weight", 0)); });
}

Done force(const AdminClient& client, const ServersArguments& arguments) {
  return change(client, arguments,
                {.method = Method::patch, .path = server_path(arguments), .body = fmt::format("{{\"forced\":\"{}\"}}", arguments.forced)},
                [](const AdminJson& server) {
                  const std::string forced = text_of(server, "forced");
                  return forced == "none" ? "is as its checks and answers show" : fmt::format("is forced {}", forced);
                });
}

void run_by(CLI::App& command, const std::shared_ptr<ServersArguments>& arguments,
            Done (*work)(const AdminClient&, const ServersArguments&), int& exit_code) {
  add_admin_options(command, arguments->admin);
  command.callback([arguments, work, &exit_code] {
    exit_code = run_admin(arguments->admin, [&](const AdminClient& client) { return work(client, *arguments); });
  });
}

void add_pool_and_id(CLI::App& command, ServersArguments& arguments) {
  command.add_option("POOL", arguments.pool, "Name of the pool")->required();
  command.add_option("ID", arguments.id, "Id of the server, which is its address unless it was given another one")->required();
}

void add_deadline(CLI::App& command, ServersArguments& arguments) {
  command.add_option("--deadline", arguments.deadline,
                     "Cut what is under way there after so long, such as 30s; without it after the pool's drain");
}

void add_list(CLI::App& servers, int& exit_code) {
  auto* command = servers.add_subcommand("list", "Show all servers and how they are; those that are not up come first.");
  const auto arguments = std::make_shared<ServersArguments>();
  command->add_option("--pool", arguments->pool, "Only this pool");
  command->footer("Example:\n  steelyard servers list --pool app\n\nFAILED: tries without a complete answer; 5XX: answers from 500 up.");
  run_by(*command, arguments, list, exit_code);
}

void add_add(CLI::App& servers, int& exit_code) {
  auto* command = servers.add_subcommand("add", "Add a server to a pool.");
  const auto arguments = std::make_shared<ServersArguments>();
  command->add_option("POOL", arguments->pool, "Name of the pool")->required();
  command->add_option("ADDRESS", arguments->address, "HOST:PORT of the server")->required();
  command->add_option("--id", arguments->id, "Its id; without it the address");
  command->add_option("--weight", arguments->weight, "Its share of the load; without it 1")->check(CLI::Range(0U, weight_max));
  command->add_option("--label", arguments->labels, "NAME=VALUE of your own; again for the next one")->allow_extra_args(false);
  command->add_option("--active-max", arguments->active_max, "Exchanges under way there at once");
  command->add_flag("--backup", arguments->backup, "It takes traffic only while no other server can");
  command->footer("Example:\n  steelyard servers add app 10.0.0.9:8001 --weight 2 --label zone=b");
  run_by(*command, arguments, [](const AdminClient& client, const ServersArguments& given) { return add(client, given); }, exit_code);
}

void add_comings_and_goings(CLI::App& servers, int& exit_code) {
  auto arguments = std::make_shared<ServersArguments>();
  auto* command = servers.add_subcommand("drain", "Give a server no new requests.");
  add_pool_and_id(*command, *arguments);
  add_deadline(*command, *arguments);
  command->footer("Example:\n  steelyard servers drain app 10.0.0.9:8001 --deadline 30s");
  run_by(*command, arguments, drain, exit_code);

  arguments = std::make_shared<ServersArguments>();
  command = servers.add_subcommand("undrain", "Give a drained server requests again.");
  add_pool_and_id(*command, *arguments);
  command->footer("Example:\n  steelyard servers undrain app 10.0.0.9:8001");
  run_by(*command, arguments, undrain, exit_code);

  arguments = std::make_shared<ServersArguments>();
  command = servers.add_subcommand("remove", "Remove a server; what is under way there may end.");
  add_pool_and_id(*command, *arguments);
  add_deadline(*command, *arguments);
  command->footer("Example:\n  steelyard servers remove app 10.0.0.9:8001");
  run_by(*command, arguments, remove, exit_code);
}

void add_settings(CLI::App& servers, int& exit_code) {
  auto arguments = std::make_shared<ServersArguments>();
  auto* command = servers.add_subcommand("weight", "Change a server's share of the load.");
  add_pool_and_id(*command, *arguments);
  command->add_option("WEIGHT", arguments->weight, "0 takes no new traffic but that of sticky sessions")
      ->required()
      ->check(CLI::Range(0U, weight_max));
  command->footer("Example:\n  steelyard servers weight app 10.0.0.9:8001 5");
  run_by(*command, arguments, set_weight, exit_code);

  arguments = std::make_shared<ServersArguments>();
  command = servers.add_subcommand("force", "Take a server as up or down, whatever its checks and answers show.");
  add_pool_and_id(*command, *arguments);
  command->add_option("HEALTH", arguments->forced, "up, down, or none: as they show")
      ->required()
      ->check(CLI::IsMember({"up", "down", "none"}));
  command->footer("Example:\n  steelyard servers force app 10.0.0.9:8001 down");
  run_by(*command, arguments, force, exit_code);
}

}  // namespace

void add_servers(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("servers", "Show and change the servers of a running proxy.");
  command->require_subcommand(1);
  add_list(*command, exit_code);
  add_add(*command, exit_code);
  add_comings_and_goings(*command, exit_code);
  add_settings(*command, exit_code);
  command->footer("Example:\n  steelyard servers list\n\nIt asks the admin API, which `admin: {}` in the configuration turns on.");
}

}  // namespace steelyard
