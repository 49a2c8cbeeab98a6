#include "app/admin_call.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "admin/answer.hpp"
#include "admin/token_files.hpp"
#include "app/exit_codes.hpp"
#include "config/load.hpp"
#include "config/reading.hpp"

namespace steelyard {
namespace {

constexpr std::string_view default_place = "127.0.0.1:9900";

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Where a configuration says that the API listens; what listens everywhere is asked on this machine.
AdminPlace place_of(const AdminOptions& options) {
  if (options.on_socket()) return {.socket_path = options.socket_path};
  const IpAddress& ip = options.bind.ip;
  const bool everywhere = ip == IpAddress{} || ip == IpAddress::v6({});
  return {.host = everywhere ? (ip.is_v6() ? "::1" : "127.0.0.1") : ip.to_string(), .port = options.bind.port};
}

std::expected<AdminOptions, AdminFailure> read_configured(const std::string& file) {
  const auto loaded = config::load_file(file);
  if (!loaded) return std::unexpected(wrong_usage(config::to_string(loaded.error().front())));
  if (!loaded->options.admin) {
    return std::unexpected(wrong_usage(fmt::format("{} has no admin API: add `admin: {{}}`, and reload or restart", file)));
  }
  return *loaded->options.admin;
}

AdminFailure not_the_api(const AdminClient& client, std::string_view why) {
  return {"not_admin_api",
          fmt::format("what listens at {} is not the admin API: {}; --admin says where that is", client.place().to_string(), why)};
}

// The library throws where an answer has another shape than the API gives it.
std::expected<void, AdminFailure> open_and_work(const AdminArguments& arguments, const AdminWork& work) {
  const auto client = open_admin(arguments);
  if (!client) return std::unexpected(client.error());
  try {
    return work(*client);
  } catch (const AdminJson::exception& /*error*/) {
    return std::unexpected(not_the_api(*client, "it answered in a shape that is not known here"));
  }
}

std::string token_advice(const AdminClient& client) {
  return client.has_token() ? "" : ". Give the file that holds it: --token-file FILE, --config FILE or STEELYARD_TOKEN_FILE";
}

}  // namespace

AdminFailure wrong_usage(std::string message) { return {"usage", std::move(message), exit_usage}; }

void add_admin_options(CLI::App& command, AdminArguments& arguments) {
  command.add_option("--admin", arguments.place,
                     "Where the admin API is: ADDRESS:PORT or unix:PATH. Without it STEELYARD_ADMIN, then 127.0.0.1:9900");
  command.add_option("--token-file", arguments.token_file,
                     "File with the operator's token in its first line. Without it STEELYARD_TOKEN_FILE");
  command.add_option("--config", arguments.config, "Take both from the admin section of this configuration");
  command.add_flag("--json", arguments.json, "Answer in JSON, for programs");
}

std::expected<AdminClient, AdminFailure> open_admin(const AdminArguments& arguments) {
  std::optional<AdminOptions> configured;
  if (!arguments.config.empty()) {
    auto read = read_configured(arguments.config);
    if (!read) return std::unexpected(read.error());
    configured = std::move(*read);
  }
  const std::string of_environment = from_environment("STEELYARD_ADMIN");
  if (!configured && arguments.place.empty() && of_environment.empty() && !arguments.config_by_default.empty()) {
    if (auto read = read_configured(arguments.config_by_default)) configured = std::move(*read);
  }

  std::string token_file = arguments.token_file;
  if (token_file.empty() && configured) token_file = configured->token_file;
  if (token_file.empty()) token_file = from_environment("STEELYARD_TOKEN_FILE");
  std::string token;
  if (!token_file.empty()) {
    std::string warning;
    auto read = admin::read_token_file(token_file, warning);
    if (!read) return std::unexpected(wrong_usage(read.error()));
    if (!warning.empty()) fmt::print(stderr, "warning: {}\n", warning);
    token = std::move(*read);
  }

  std::expected<AdminPlace, std::string> place = configured ? place_of(*configured) : AdminPlace{};
  if (!arguments.place.empty()) {
    place = parse_admin_place(arguments.place);
  } else if (!configured) {
    place = parse_admin_place(of_environment.empty() ? default_place : of_environment);
  }
  if (!place) return std::unexpected(wrong_usage(place.error()));
  auto client = AdminClient::open(std::move(*place), std::move(token));
  if (client && client->exposes_token()) {
    fmt::print(stderr, "warning: the token goes to {} unencrypted, and who can listen on the way can use it: better by `ssh -L`\n",
               client->place().to_string());
  }
  return client;
}

AdminFailure failure_of(const AdminClient& client, std::string_view path, const AdminReply& reply) {
  const AdminJson body = AdminJson::parse(reply.body, nullptr, false);
  if (!body.is_object() || !body.contains("error") || !body["error"].is_object()) {
    return not_the_api(client, fmt::format("it answered {} to {}", reply.status, path));
  }
  const AdminJson& error = body["error"];
  AdminFailure failure{text_of(error, "code"), text_of(error, "message")};
  if (failure.code == "invalid_configuration") failure.exit_code = exit_usage;
  if (error.contains("problems") && error["problems"].is_array() && !error["problems"].empty()) {
    failure.message.clear();
    for (const AdminJson& problem : error["problems"])
      failure.message += (failure.message.empty() ? "" : "\n") + problem_in_words(problem, text_of(problem, "file"));
  }
  if (reply.status == 401) failure.message += token_advice(client);
  return failure;
}

std::expected<AdminJson, AdminFailure> call_admin(const AdminClient& client, const AdminRequest& request) {
  const auto reply = client.ask(request);
  if (!reply) return std::unexpected(reply.error());
  if (reply->status == 204) return AdminJson(nullptr);
  AdminJson body = AdminJson::parse(reply->body, nullptr, false);
  if (reply->status >= 300 || body.is_discarded()) return std::unexpected(failure_of(client, request.path, *reply));
  return body;
}

int run_admin(const AdminArguments& arguments, const AdminWork& work) {
  const auto done = open_and_work(arguments, work);
  if (done) return 0;
  const AdminFailure& failure = done.error();
  if (arguments.json) {
    fmt::print(stderr, "{}\n", admin::to_text({{"error", {{"code", failure.code}, {"message", failure.message}}}}));
  } else {
    fmt::print(stderr, "steelyard: {}\n", failure.message);
  }
  return failure.exit_code;
}

std::string problem_in_words(const AdminJson& problem, std::string_view file) {
  std::string text(file);
  if (problem.contains("line")) text += fmt::format(":{}:{}", problem.value("line", 0), problem.value("column", 0));
  if (!text.empty()) text += ": ";
  if (const std::string field = text_of(problem, "field"); !field.empty()) text += field + ": ";
  return text + text_of(problem, "message");
}

void print_json(const AdminJson& json) {
  fmt::print("{}\n", admin::to_text(json));
  std::fflush(stdout);
}

bool colours_wanted() { return isatty(STDOUT_FILENO) != 0 && from_environment("NO_COLOR").empty() && from_environment("TERM") != "dumb"; }

std::string text_of(const AdminJson& json, std::string_view key) {
  if (!json.is_object()) return "";
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? config::printable(found->get_ref<const std::string&>()) : "";
}

std::uint64_t count_of(const AdminJson& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<std::uint64_t>() : 0;
}

}  // namespace steelyard
