// steelyard upgrade: has a running proxy put the binary that is there now in its place, and waits until that is done or has failed.
#include <fmt/format.h>
#include <poll.h>

#include <memory>

#include "app/admin_commands.hpp"

namespace steelyard {
namespace {

using Done = std::expected<void, AdminFailure>;

// A successor has thirty seconds; the API moves from one process to the other meanwhile.
constexpr int questions_max = 900;
constexpr int look_again_ms = 50;

Done upgrade(const AdminClient& client, const AdminArguments& arguments) {
  const auto before = call_admin(client, {.path = "/v1/status"});
  if (!before) return std::unexpected(before.error());
  const AdminJson pid = before->value("pid", AdminJson());
  const auto begun = call_admin(client, {.method = http::Method::post, .path = "/v1/upgrade"});
  if (!begun) return std::unexpected(begun.error());
  for (int asked = 0; asked < questions_max; ++asked) {
    poll(nullptr, 0, look_again_ms);
    const auto now = call_admin(client, {.path = "/v1/status"});
    if (!now) continue;
    if (now->value("pid", AdminJson()) != pid) {
      if (arguments.json) {
        print_json({{"pid", (*now)["pid"]}, {"version", (*now)["version"]}});
      } else {
        fmt::print("process {} has taken over from {} and runs version {}\n", (*now)["pid"].dump(), pid.dump(),
                   (*now)["version"].get<std::string>());
      }
      return {};
    }
    const std::string state = now->value("upgrade", "under_way");
    if (state != "under_way") {
      return std::unexpected(AdminFailure{"upgrade_failed", fmt::format("{}; process {} goes on as before", state, pid.dump()), 1});
    }
  }
  return std::unexpected(AdminFailure{"upgrade_failed", "it is not known what has come of it: see the proxy's log", 1});
}

}  // namespace

void add_upgrade(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("upgrade", "Have a running proxy replaced by the binary that is there now, without a cut.");
  const auto arguments = std::make_shared<AdminArguments>();
  add_admin_options(*command, *arguments);
  command->footer("Example:\n  install -m 755 steelyard-new /usr/local/bin/steelyard && steelyard upgrade");
  command->callback([arguments, &exit_code] {
    exit_code = run_admin(*arguments, [&](const AdminClient& client) { return upgrade(client, *arguments); });
  });
}

}  // namespace steelyard
