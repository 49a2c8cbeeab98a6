#include "app/plan_text.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "app/table.hpp"
#include "config/reading.hpp"

namespace steelyard {
namespace {

struct Counts {
  std::size_t added = 0;
  std::size_t removed = 0;
  std::size_t changed = 0;
};

const AdminJson& member(const AdminJson& json, std::string_view key) {
  static const AdminJson nothing;
  const auto found = json.find(key);
  return found == json.end() ? nothing : *found;
}

std::string text(const AdminJson& json) { return json.is_string() ? config::printable(json.get_ref<const std::string&>()) : json.dump(); }

std::string joined(const AdminJson& texts) {
  std::string all;
  for (const AdminJson& each : texts) all += (all.empty() ? "" : ", ") + text(each);
  return all;
}

class Lines {
 public:
  explicit Lines(bool colours) : colours_(colours) {}

  // `prefix` is what stands before each name: "pool ", "server app/".
  void add_part(std::string_view prefix, const AdminJson& part) {
    for (const AdminJson& name : member(part, "added")) line("+", Tone::good, fmt::format("{}{}", prefix, text(name)), counts_.added);
    for (const AdminJson& name : member(part, "removed")) line("-", Tone::bad, fmt::format("{}{}", prefix, text(name)), counts_.removed);
    for (const AdminJson& each : member(part, "changed")) {
      const std::string keys = joined(member(each, "keys"));
      add_changed(fmt::format("{}{}{}{}", prefix, text_of(each, "name"), keys.empty() ? "" : ": ", keys));
    }
  }
  void add_changed(const std::string& what) { line("~", Tone::warning, what, counts_.changed); }

  [[nodiscard]] const std::string& text_so_far() const { return text_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  void line(std::string_view sign, Tone tone, std::string_view what, std::size_t& count) {
    text_ += toned(fmt::format("{} {}", sign, what), tone, colours_) + "\n";
    ++count;
  }

  bool colours_;
  std::string text_;
  Counts counts_;
};

std::uint64_t active_at_removed(const AdminJson& part) {
  const AdminJson& active = member(part, "exchanges_at_removed");
  return active.is_number_integer() ? active.get<std::uint64_t>() : 0;
}

}  // namespace

std::string plan_text(const AdminJson& plan, bool colours) {
  Lines lines(colours);
  lines.add_part("listener ", member(plan, "listeners"));
  lines.add_part("route ", member(plan, "routes"));
  lines.add_part("pool ", member(plan, "pools"));
  std::uint64_t active = active_at_removed(member(plan, "pools"));
  for (const auto& [pool, part] : member(plan, "servers").items()) {
    lines.add_part(fmt::format("server {}/", config::printable(pool)), part);
    active += active_at_removed(part);
  }
  for (const AdminJson& key : member(plan, "keys")) lines.add_changed(text(key));
  const Counts& counts = lines.counts();
  if (counts.added + counts.removed + counts.changed == 0) return "nothing changes\n";
  std::string all = lines.text_so_far();
  all += fmt::format("{} added, {} removed, {} changed\n", counts.added, counts.removed, counts.changed);
  if (active > 0) all += fmt::format("exchanges under way at servers that go: {}, which have the pool's drain to end\n", active);
  if (const AdminJson& late = member(plan, "at_restart"); !late.empty()) {
    all += toned(fmt::format("with the next start only: {}", joined(late)), Tone::warning, colours) + "\n";
  }
  return all;
}

}  // namespace steelyard
