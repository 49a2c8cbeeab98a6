// steelyard limits: what limits on requests have let pass and refused, and whom.
#include <fmt/format.h>

#include <memory>

#include "app/admin_commands.hpp"
#include "app/table.hpp"

namespace steelyard {
namespace {

// What was set about it, in the words of the file.
std::string rule_of(const AdminJson& limit) {
  const std::string kind = text_of(limit, "kind");
  return limit.contains("active_max") ? fmt::format("{} at once", count_of(limit, "active_max"))
                                      : fmt::format("{} {}", text_of(limit, "rate"), kind);
}

void print_limits(const AdminJson& shown) {
  const bool colours = colours_wanted();
  using Align = Table::Align;
  Table table({{"LIMIT"}, {"RULE"}, {"STORE"}, {"PASSED", Align::right}, {"REFUSED", Align::right}, {"KEYS", Align::right}, {""}});
  for (const AdminJson& limit : shown.value("limits", AdminJson::array())) {
    const bool dry = limit.value("dry_run", false);
    const std::uint64_t refused = count_of(limit, dry ? "would_refuse" : "refused");
    table.add({{text_of(limit, "name")},
               {rule_of(limit)},
               {text_of(limit, "store")},
               {spell_count(count_of(limit, "passed"))},
               {spell_count(refused), refused == 0 ? Tone::plain : Tone::warning},
               {spell_count(count_of(limit, "keys"))},
               {dry ? "dry run" : "", Tone::faint}});
  }
  if (table.empty()) return fmt::print("There are no limits. Add some under \"limits\" in the configuration.\n");
  fmt::print("{}", table.text(colours));
  Table keys({{"MOST REFUSED"}, {"LIMIT"}, {"TIMES", Align::right}});
  for (const AdminJson& limit : shown.value("limits", AdminJson::array())) {
    for (const AdminJson& key : limit.value("most_refused", AdminJson::array())) {
      keys.add({{text_of(key, "key")}, {text_of(limit, "name")}, {spell_count(count_of(key, "refused"))}});
    }
  }
  if (!keys.empty()) fmt::print("\n{}", keys.text(colours));
  for (const AdminJson& store : shown.value("stores", AdminJson::array())) {
    const bool answers = text_of(store, "status") == "answers";
    const AdminJson times = store.value("round_trip_ms", AdminJson::object());
    fmt::print("\nstore {}: {}; asked {} times, {} timeouts, {} errors, {} times not asked; a round trip takes {:.2f} ms (p99 {:.2f})\n",
               text_of(store, "name"), toned(text_of(store, "status"), answers ? Tone::good : Tone::bad, colours),
               spell_count(count_of(store, "asked")), count_of(store, "timeouts"), count_of(store, "errors"), count_of(store, "not_asked"),
               times.value("p50", 0.0), times.value("p99", 0.0));
  }
}

}  // namespace

void add_limits(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("limits", "Show what limits on requests have let pass and refused, and whom.");
  const auto arguments = std::make_shared<AdminArguments>();
  add_admin_options(*command, *arguments);
  command->footer("Example:\n  steelyard limits --admin unix:/run/steelyard.sock");
  command->callback([arguments, &exit_code] {
    exit_code = run_admin(*arguments, [&](const AdminClient& client) -> std::expected<void, AdminFailure> {
      const auto limits = call_admin(client, {.path = "/v1/limits"});
      if (!limits) return std::unexpected(limits.error());
      if (arguments->json) {
        print_json(*limits);
      } else {
        print_limits(*limits);
      }
      return {};
    });
  });
}

}  // namespace steelyard
