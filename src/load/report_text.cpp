#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <span>
#include <string_view>

#include "load/bars.hpp"
#include "load/figures.hpp"
#include "load/report.hpp"

namespace steelyard::load {
namespace {

constexpr std::size_t bar_width = 40;
constexpr std::size_t servers_shown_max = 20;

class Page {
 public:
  template <typename... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    text_ += '\n';
  }
  void section(std::string_view title) { line("\n{}", title); }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

std::string describe_loop(const RunOptions& options) {
  const char* const kept = options.request.keep_alive == KeepAlive::off ? ", each for one request" : "";
  if (options.loop == Loop::closed) {
    return fmt::format("closed loop, {} connection{}{}", options.connections, options.connections == 1 ? "" : "s", kept);
  }
  const std::string pace = !options.replay.empty()
                               ? "times of " + options.replay
                               : fmt::format("{:g} requests/s, {}", options.rate, options.spacing == Spacing::even ? "evenly" : "Poisson");
  return fmt::format("open loop, {}, up to {} connection{}{}", pace, options.connections, options.connections == 1 ? "" : "s", kept);
}

void add_totals(Page& page, const Findings& findings) {
  const Tally& tally = findings.tally;
  const double seconds = std::max(std::chrono::duration<double>(findings.elapsed).count(), 1e-9);
  const auto per_second = [&](std::uint64_t count) { return tally.total() == 0 ? 0.0 : static_cast<double>(count) / seconds; };
  page.line("\n  requests     {:>12}   {:.1f} answers/s over {}", spell_count(tally.total()), per_second(tally.answered()),
            spell_time(findings.elapsed));
  page.line("  succeeded    {:>12}   {}", spell_count(tally.succeeded()), spell_share(tally.succeeded(), tally.total()));
  page.line("  bodies       {:>12}   {}/s", spell_bytes(static_cast<double>(tally.body_bytes)), spell_bytes(per_second(tally.body_bytes)));
  page.line("  connections  {:>12}   opened", spell_count(tally.connections_opened));
  if (tally.abandoned > 0) page.line("  abandoned    {:>12}   under way at the end; not counted", spell_count(tally.abandoned));
}

void add_answers(Page& page, const Tally& tally) {
  page.section("Answers and errors");
  for (std::size_t status = 0; status < tally.statuses.size(); ++status) {
    const std::uint64_t count = tally.statuses[status];
    if (count > 0) page.line("  {:<12} {:>12}   {}", status, spell_count(count), spell_share(count, tally.total()));
  }
  for (std::size_t i = 0; i < failure_count; ++i) {
    const std::uint64_t count = tally.failures[i];
    if (count > 0) page.line("  {:<12} {:>12}   {}", name(static_cast<Failure>(i)), spell_count(count), spell_share(count, tally.total()));
  }
}

void add_latency(Page& page, const Findings& findings) {
  const LatencyHistogram& latency = findings.tally.latency;
  if (latency.count() == 0) return;
  const bool open = findings.options.loop == Loop::open;
  page.section(open ? "Latency of answers, from when each request was due" : "Latency of answers");
  page.line("  min    {:>10}", spell_time(latency.minimum()));
  page.line("  mean   {:>10}", spell_time(latency.mean()));
  for (const auto& [label, fraction] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}) {
    page.line("  {:<6} {:>10}", label, spell_time(latency.quantile(fraction)));
  }
  page.line("  max    {:>10}", spell_time(latency.maximum()));
  const LatencyHistogram& lateness = findings.tally.lateness;
  if (!open) return;
  page.line("  {} of the requests waited for a connection; the others were sent late by {} (p50), {} (p99)",
            spell_share(findings.tally.queued, findings.tally.queued + lateness.count()), spell_time(lateness.quantile(0.5)),
            spell_time(lateness.quantile(0.99)));
}

void add_histogram(Page& page, const LatencyHistogram& latency) {
  const std::vector<Bar> bars = bars_of(latency);
  if (bars.empty()) return;
  page.section("Histogram");
  const std::uint64_t highest = std::ranges::max_element(bars, {}, &Bar::count)->count;
  for (const Bar& bar : bars) {
    const std::size_t width = (bar.count * bar_width + highest - 1) / highest;
    std::string marks;
    for (std::size_t i = 0; i < width; ++i) marks += "█";
    const std::string to = bar.to == Duration::max() ? "and more" : "to " + spell_time(bar.to);
    page.line("  {:>8} {:<11} {:>12}  {}", spell_time(bar.from), to, spell_count(bar.count), marks);
  }
}

void add_servers(Page& page, const Findings& findings) {
  const auto& servers = findings.tally.servers;
  if (servers.empty() || (servers.size() == 1 && servers.begin()->first == "-")) return;
  page.section(fmt::format("Servers, by {}", findings.options.server_field));
  std::vector<std::pair<std::string, std::uint64_t>> sorted(servers.begin(), servers.end());
  const std::size_t shown = std::min(sorted.size(), servers_shown_max);
  // By name, which is how people look for one; only where not all are shown, the busiest come first.
  if (shown < sorted.size()) std::ranges::sort(sorted, std::greater{}, &std::pair<std::string, std::uint64_t>::second);
  for (const auto& [server, answers] : std::span(sorted).first(shown)) {
    page.line("  {:<24} {:>12}   {}", server == "-" ? "(not named)" : server, spell_count(answers),
              spell_share(answers, findings.tally.answered()));
  }
  if (shown < sorted.size()) page.line("  and {} more; all are in the file of --output", sorted.size() - shown);
}

}  // namespace

std::string to_text(const Findings& findings) {
  Page page;
  page.line("{} {}: {}{}", findings.options.request.method, findings.url, describe_loop(findings.options),
            findings.ended_early ? "; ended early" : "");
  add_totals(page, findings);
  add_answers(page, findings.tally);
  add_latency(page, findings);
  add_histogram(page, findings.tally.latency);
  add_servers(page, findings);
  return std::move(page).text();
}

}  // namespace steelyard::load
