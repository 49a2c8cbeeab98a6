#include "admin/bodies.hpp"

#include <algorithm>

#include "admin/json_body.hpp"
#include "config/ranges.hpp"
#include "config/shapes.hpp"

namespace steelyard::admin {
namespace {

using config::Count;
using config::key;
using config::Labels;
using config::Node;
using config::NodeKind;
using config::Optional;
using config::Reading;
using config::Section;
using config::Span;
using config::Switch;

// A value in whose place null may stand: the default again.
template <typename Inner>
struct OrNull {
  using Value = std::optional<typename Inner::Value>;
  Inner inner;

  void read(const Node& node, Value& value, Reading& reading) const {
    if (node.kind == NodeKind::null) {
      value.reset();
    } else {
      inner.read(node, value.emplace(), reading);
    }
  }
  Json write(const Value& value) const { return value ? inner.write(*value) : Json(nullptr); }
  Json schema() const { return {{"anyOf", {inner.schema(), {{"type", "null"}}}}}; }
  std::string words() const { return inner.words() + ", or null"; }
};

Count<std::uint32_t> active_max() { return {1, config::concurrency().max}; }
Optional<Count<std::uint32_t>> load() { return {config::count(0, 1'000'000'000)}; }
Optional<Count<std::uint64_t>> arrived() { return {{0, 1ULL << 53U}}; }
Optional<config::Text> run() { return {{"a name of letters, digits and . _ -", config::check_name}}; }

config::Text public_url_or_none() {
  return {config::public_url().described + R"(, or "")",
          [](std::string_view text) { return text.empty() ? std::nullopt : config::check_public_url(text); }};
}

constexpr const char* arrived_meaning = "Clients that have arrived there by redirects since it was started; with `load` and `run`.";
constexpr const char* run_meaning = "Names that start, from which `arrived` counts; then `load` counts what came by redirects alone.";

template <typename Body>
std::expected<Body, Answer> read(const Section<Body>& table, std::string_view text) {
  const auto root = parse_json(text);
  if (!root) return std::unexpected(answer_problem(400, "malformed_json", root.error()));
  Body body{};
  Reading reading("");
  table.read(*root, body, reading);
  if (!reading.problems().empty()) return std::unexpected(answer_problems("invalid", reading.problems()));
  return body;
}

template <typename Body>
std::expected<Body, Answer> read_required(const Section<Body>& table, std::string_view text, std::string_view example) {
  if (!text.empty()) return read(table, text);
  return std::unexpected(answer_problem(400, "body_missing", fmt::format("the request has no body: send {}", example)));
}

template <typename Body>
std::expected<Body, Answer> read_optional(const Section<Body>& table, std::string_view text) {
  return text.empty() ? Body{} : read(table, text);
}

std::string_view word_of(Origin origin) {
  switch (origin) {
    case Origin::configuration: return "configuration";
    case Origin::admin: return "admin";
    case Origin::registration: return "registration";
  }
  return "";
}

config::Choice<ForcedHealth> forced_words() {
  return {{{"none", ForcedHealth::none}, {"up", ForcedHealth::up}, {"down", ForcedHealth::down}}};
}

std::string spell_ms(Duration duration) {
  return config::spell_duration(std::chrono::duration_cast<std::chrono::milliseconds>(std::max(duration, Duration{0})));
}

}  // namespace

const Section<ServerBody>& server_table() {
  static const Section<ServerBody> table{
      "an object with the keys of a server",
      {
          config::required<ServerBody>("address", SY_AT(.server), config::ServerAddress{},
                                       "Where it is; cannot be changed. A server that registers itself gives an IP address."),
          key<ServerBody>("weight", SY_AT(.server.weight), config::count(0, weight_max), "Its share of the pool's load."),
          key<ServerBody>("backup", SY_AT(.server.backup), Switch{}, "Whether it takes traffic only while no other server can."),
          key<ServerBody>("active_max", SY_AT(.server.active_max), OrNull<Count<std::uint32_t>>{active_max()},
                          "Exchanges under way here; null: the pool's concurrency.per_server_max."),
          key<ServerBody>("labels", SY_AT(.server.labels), Labels{}, "Names and values of your own."),
          key<ServerBody>("lease", SY_AT(.lease), Optional<Span>{{1ms, 720h}}, "It registers, for so long unless it is renewed."),
          key<ServerBody>("public_url", SY_AT(.server.public_url), config::NonEmpty<config::Text>{config::public_url()},
                          "Where clients are sent that are to ask it themselves."),
          key<ServerBody>("load", SY_AT(.report.load), load(), "Exchanges under way by its own count; of a server that registers."),
          key<ServerBody>("arrived", SY_AT(.report.arrived), arrived(), arrived_meaning),
          key<ServerBody>("run", SY_AT(.report.run), run(), run_meaning),
      }};
  return table;
}

const Section<ServerChange>& change_table() {
  static const Section<ServerChange> table{
      "an object with what is to be changed of a server",
      {
          key<ServerChange>("weight", SY_AT(.weight), Optional<Count<std::uint32_t>>{config::count(0, weight_max)},
                            "Its share of the pool's load."),
          key<ServerChange>("backup", SY_AT(.backup), Optional<Switch>{}, "Whether it takes traffic only while no other server can."),
          key<ServerChange>("active_max", SY_AT(.active_max), Optional<OrNull<Count<std::uint32_t>>>{{active_max()}},
                            "Exchanges under way here; null: the pool's concurrency.per_server_max."),
          key<ServerChange>("labels", SY_AT(.labels), Optional<Labels>{}, "Names and values of your own, instead of those that it has."),
          key<ServerChange>("public_url", SY_AT(.public_url), Optional<config::Text>{public_url_or_none()},
                            "Where clients are sent that are to ask it themselves; \"\": http:// and its address."),
          key<ServerChange>("drained", SY_AT(.drained), Optional<Switch>{}, "Whether it gets no new traffic."),
          key<ServerChange>("forced", SY_AT(.forced), Optional<config::Choice<ForcedHealth>>{forced_words()},
                            "Its health, whatever checks and tries show; none: as they show."),
      }};
  return table;
}

const Section<DeadlineBody>& deadline_table() {
  static const Section<DeadlineBody> table{
      "an object with the key deadline",
      {key<DeadlineBody>("deadline", SY_AT(.deadline), Optional<Span>{{0s, 720h}},
                         "For what is under way there, instead of the pool's drain; 0s cuts it at once.")}};
  return table;
}

const Section<RenewalBody>& renewal_table() {
  static const Section<RenewalBody> table{
      "an object with the keys load, arrived and run",
      {
          key<RenewalBody>("load", SY_AT(.report.load), load(), "Exchanges under way by the server's own count."),
          key<RenewalBody>("arrived", SY_AT(.report.arrived), arrived(), arrived_meaning),
          key<RenewalBody>("run", SY_AT(.report.run), run(), run_meaning),
      }};
  return table;
}

const Section<EmptyBody>& empty_table() {
  static const Section<EmptyBody> table{"{} or no body at all", {}};
  return table;
}

std::expected<ServerBody, Answer> read_server(std::string_view text) {
  return read_required(server_table(), text, R"({"address": "10.0.0.5:8001"})");
}
std::expected<ServerChange, Answer> read_change(std::string_view text) { return read_required(change_table(), text, R"({"weight": 2})"); }
std::expected<DeadlineBody, Answer> read_deadline(std::string_view text) { return read_optional(deadline_table(), text); }
std::expected<RenewalBody, Answer> read_renewal(std::string_view text) { return read_optional(renewal_table(), text); }
std::expected<EmptyBody, Answer> read_nothing(std::string_view text) { return read_optional(empty_table(), text); }

std::expected<std::optional<LoadReport>, Answer> whole_report(const ReportBody& report) {
  if (!report.arrived && !report.run) return std::nullopt;
  if (report.load && report.arrived && report.run) return LoadReport{*report.load, *report.arrived, *report.run};
  const char* const missing = !report.load ? "load" : !report.arrived ? "arrived" : "run";
  return std::unexpected(answer_problem(
      422, "invalid", fmt::format("{} is missing: load, arrived and run are told together, or load alone", missing), missing));
}

Json represent(const WantedServer& server, Instant now) {
  Json shown{{"id", server.options.id}};
  for (const auto& [name, value] : server_table().write({server.options, std::nullopt, {}}).items()) shown[name] = value;
  if (!server.options.active_max) shown["active_max"] = nullptr;
  shown["origin"] = word_of(server.origin);
  shown["drained"] = server.drained;
  shown["forced"] = forced_words().write(server.forced);
  shown["lease"] = nullptr;
  if (const auto& lease = server.lease) {
    shown["lease"] = {{"length", lease->lasting ? Json(nullptr) : Json(spell_ms(lease->length))},
                      {"expires_in", lease->lasting ? Json(nullptr) : Json(spell_ms(lease->expires - now))},
                      {"owner", lease->owner},
                      {"overdue", lease->overdue},
                      {"load", lease->load ? Json(*lease->load) : Json(nullptr)}};
  }
  shown["revision"] = server.revision;
  return shown;
}

}  // namespace steelyard::admin
