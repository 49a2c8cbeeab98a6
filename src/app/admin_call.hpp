// What every command that asks a running proxy has in common: which proxy and with which token, the API's answers as JSON, and how
// failures are told. On the command's only thread.
#pragma once

#include <CLI/CLI.hpp>
#include <expected>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "app/admin_client.hpp"

namespace steelyard {

using AdminJson = nlohmann::ordered_json;

// As they were typed.
struct AdminArguments {
  std::string place{};
  std::string token_file{};
  std::string config{};
  bool json = false;
  std::string config_by_default{};  // looked at where nothing else says where the API is; may be invalid
};

void add_admin_options(CLI::App& command, AdminArguments& arguments);

// In this order: what is typed, the configuration's `admin`, the environment, 127.0.0.1:9900. Warns on stderr of what is unsafe.
std::expected<AdminClient, AdminFailure> open_admin(const AdminArguments& arguments);

// The answer's body, or null where it has none. What the API refuses is a failure with its own words.
std::expected<AdminJson, AdminFailure> call_admin(const AdminClient& client, const AdminRequest& request);
AdminFailure failure_of(const AdminClient& client, std::string_view path, const AdminReply& reply);

// Of what was typed.
AdminFailure wrong_usage(std::string message);

// One of the problems of a configuration: "file:line:column: key: message".
std::string problem_in_words(const AdminJson& problem, std::string_view file);

// Opens the client and does the work; a failure is told on stderr, as JSON where the command speaks that. Returns the exit code.
using AdminWork = std::function<std::expected<void, AdminFailure>(const AdminClient& client)>;
int run_admin(const AdminArguments& arguments, const AdminWork& work);

// On one line of stdout, at once.
void print_json(const AdminJson& json);

// On terminals alone.
[[nodiscard]] bool colours_wanted();
// The text of a key, on one line and without control characters: names may come from anywhere. "" where it is no text.
[[nodiscard]] std::string text_of(const AdminJson& json, std::string_view key);
// 0 where it is no whole number.
[[nodiscard]] std::uint64_t count_of(const AdminJson& json, std::string_view key);

}  // namespace steelyard
