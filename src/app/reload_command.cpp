// steelyard reload, and steelyard check FILE --against-running: both show the plan.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "app/admin_commands.hpp"
#include "app/plan_text.hpp"

namespace steelyard {
namespace {

using Done = std::expected<void, AdminFailure>;

std::expected<std::string, AdminFailure> read_configuration(const std::string& file) {
  std::ifstream input(file, std::ios::binary);
  std::ostringstream text;
  text << input.rdbuf();
  if (!input) return std::unexpected(AdminFailure{"usage", fmt::format("cannot read {}: {}", file, std::strerror(errno)), 2});
  return std::move(text).str();
}

// How many there have been, so that one that has to wait is known from one that is done.
std::uint64_t reloads_of(const AdminClient& client) {
  const auto status = call_admin(client, {.path = "/v1/status"});
  return status && status->contains("reloads") ? (*status)["reloads"].get<std::uint64_t>() : 0;
}

Done reload(const AdminClient& client, const AdminArguments& arguments) {
  const std::uint64_t before = reloads_of(client);
  const auto plan = call_admin(client, {.method = http::Method::post, .path = "/v1/reload"});
  if (!plan) return std::unexpected(plan.error());
  if (arguments.json) {
    print_json(*plan);
    return {};
  }
  fmt::print("{}", plan_text(*plan, colours_wanted()));
  if (reloads_of(client) > before) {
    fmt::print("reloaded\n");
  } else {
    fmt::print("names of servers are being looked up first: `steelyard events` tells when the configuration is in use, or why not\n");
  }
  return {};
}

// The proxy knows the text by the name of its own file.
AdminFailure renamed(AdminFailure failure, const std::string& file, const AdminReply& reply) {
  const AdminJson body = AdminJson::parse(reply.body, nullptr, false);
  const AdminJson problems = body.is_object() ? body.value("/error/problems"_json_pointer, AdminJson::array()) : AdminJson::array();
  if (problems.empty()) return failure;
  failure.message.clear();
  for (const AdminJson& problem : problems) failure.message += "\n" + problem_in_words(problem, file);
  failure.message = fmt::format("problems in {}: {}{}", file, problems.size(), failure.message);
  return failure;
}

}  // namespace

int check_against_running(const std::string& file, const AdminArguments& arguments) {
  return run_admin(arguments, [&](const AdminClient& client) -> Done {
    const auto text = read_configuration(file);
    if (!text) return std::unexpected(text.error());
    if (text->empty()) return std::unexpected(AdminFailure{"usage", fmt::format("{} is empty", file), 2});
    const auto reply = client.ask({.method = http::Method::post, .path = "/v1/check", .body = *text, .type = "application/yaml"});
    if (!reply) return std::unexpected(reply.error());
    const AdminJson plan = AdminJson::parse(reply->body, nullptr, false);
    if (reply->status != 200 || !plan.is_object()) return std::unexpected(renamed(failure_of(client, "/v1/check", *reply), file, *reply));
    if (arguments.json) {
      print_json(plan);
    } else {
      fmt::print("{} beside what runs at {}:\n{}", file, client.place().to_string(), plan_text(plan, colours_wanted()));
    }
    return {};
  });
}

void add_reload(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("reload", "Have a running proxy read its configuration again, and show what that changes.");
  const auto arguments = std::make_shared<AdminArguments>();
  add_admin_options(*command, *arguments);
  command->footer("Example:\n  steelyard reload\n\nTo see what it would change: steelyard check steelyard.yaml --against-running");
  command->callback([arguments, &exit_code] {
    exit_code = run_admin(*arguments, [&](const AdminClient& client) { return reload(client, *arguments); });
  });
}

}  // namespace steelyard
