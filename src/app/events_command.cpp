// steelyard events: what happens in a running proxy, as it happens, also after the proxy has been away for a while.
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <memory>
#include <optional>

#include "app/admin_commands.hpp"
#include "app/event_reader.hpp"

namespace steelyard {
namespace {

constexpr int try_again_ms = 1000;  // before it is tried again

struct EventsArguments {
  AdminArguments admin{};
  std::optional<std::uint64_t> after{};
};

// One stream after another, each from where the last one ended.
class Follower {
 public:
  Follower(const AdminClient& client, const EventsArguments& arguments)
      : client_(client), json_(arguments.admin.json), last_id_(arguments.after ? fmt::format("{}", *arguments.after) : "") {}

  // Ends only where it never begins.
  AdminFailure run() {
    for (;;) {
      const AdminFailure ended = follow();
      if (!connected_once_) return ended;
      if (connected_) fmt::print(stderr, "the stream has ended ({}); trying to resume\n", ended.message);
      connected_ = false;
      poll(nullptr, 0, try_again_ms);
    }
  }

 private:
  AdminFailure follow() {
    AdminRequest request{.path = "/v1/events"};
    if (!last_id_.empty()) request.fields = fmt::format("Last-Event-ID: {}\r\n", last_id_);
    EventReader reader;
    const auto reply = client_.follow(request, [&](std::string_view part) {
      if (!connected_) fmt::print(stderr, "following the events of {}; Ctrl-C ends\n", client_.place().to_string());
      connected_ = connected_once_ = true;
      for (const AdminEvent& event : reader.take(part)) show(event);
    });
    if (!reply) return reply.error();
    if (reply->status != 200) return failure_of(client_, request.path, *reply);
    return connected_ ? AdminFailure{"ended", "the proxy ended it"} : failure_of(client_, request.path, *reply);
  }

  void show(const AdminEvent& event) {
    if (!event.id.empty()) last_id_ = event.id;
    if (json_) return print_json(event_json(event));
    fmt::print("{}\n", event_line(event));
    std::fflush(stdout);
  }

  const AdminClient& client_;
  bool json_;
  std::string last_id_;
  bool connected_ = false;
  bool connected_once_ = false;
};

}  // namespace

void add_events(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("events", "Follow what happens in a running proxy, one line for each event.");
  const auto arguments = std::make_shared<EventsArguments>();
  command->add_option("--after", arguments->after, "Begin behind the event with this id, such as events_last_id of `status --json`");
  add_admin_options(*command, arguments->admin);
  command->footer(
      "Example:\n  steelyard events --json | jq 'select(.event == \"server_state\")'\n\nA proxy that is restarted is followed again.");
  command->callback([arguments, &exit_code] {
    exit_code = run_admin(arguments->admin, [&](const AdminClient& client) -> std::expected<void, AdminFailure> {
      return std::unexpected(Follower(client, *arguments).run());
    });
  });
}

}  // namespace steelyard
