// See pool_shapes.hpp.
#include "config/pool_shapes.hpp"

namespace steelyard::config {
namespace {

using Source = balance::HashKeyOptions::Source;

const std::vector<NamedKind<Source>>& named_sources() {
  static const std::vector<NamedKind<Source>> sources{
      {"query", Source::query, {"the name of a query parameter, such as \"query user\"", check_query_name}},
      {"header", Source::header, {"the name of a header field, such as \"header X-User\"", check_field_name}},
      {"cookie", Source::cookie, {"the name of a cookie, such as \"cookie session\"", check_cookie_name}},
  };
  return sources;
}

using PolicyKind = policy::SourceOptions::Kind;

const std::vector<NamedKind<PolicyKind>>& policy_sources() {
  static const std::vector<NamedKind<PolicyKind>> sources{
      {"header", PolicyKind::header, {"the name of a header field, such as \"header:X-Privacy-Policy\"", check_field_name}},
      {"cookie", PolicyKind::cookie, {"the name of a cookie, such as \"cookie:policy\"", check_cookie_name}},
      {"query", PolicyKind::query, {"the name of a query parameter, such as \"query:policy\"", check_decoded_query_name}},
      {"json", PolicyKind::json, {"the name of a member, such as \"json:policy\"", check_member_name}},
  };
  return sources;
}

enum class Cause : std::uint8_t { connect, reset, timeout };

List<Choice<Cause>> cause_list() {
  const Choice<Cause> cause{{{"connect", Cause::connect}, {"reset", Cause::reset}, {"timeout", Cause::timeout}}};
  return {cause, "a list of connect, reset and timeout; [] for none", Single::allowed};
}

}  // namespace

void HashKey::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  if (node.text == "client" || node.text == "path") {
    value = {node.text == "client" ? Source::client : Source::path, ""};
    return;
  }
  bool reported = false;
  const auto named = read_named(node, ' ', named_sources(), reading, reported);
  if (named) value = {named->first, named->second};
  if (named || reported) return;
  const std::string word = node.text.substr(0, node.text.find(' '));
  reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(),
                                    did_you_mean(word, {"client", "path", "query", "header", "cookie"})));
}

Json HashKey::write(const Value& value) const {
  for (const auto& known : named_sources()) {
    if (known.kind == value.source) return known.word + " " + value.name;
  }
  return value.source == Source::path ? "path" : "client";
}

Json HashKey::schema() const { return text_schema(R"(^(client|path|(query|header|cookie) +[^ ]+)$)"); }

void PolicySource::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  if (node.text == "host") {
    value = {.kind = PolicyKind::host};
    return;
  }
  const std::size_t colon = std::min(node.text.find(':'), node.text.size());
  const std::string word = node.text.substr(0, colon);
  const std::string name(trim(std::string_view(node.text).substr(std::min(colon + 1, node.text.size()))));
  if (word == "segment") {
    const auto number = parse_unsigned<std::uint32_t>(name);
    if (!number || *number == 0 || *number > segment_max) {
      reading.problem(node, fmt::format("found {}, allowed is a number from 1 to {}, such as \"segment:1\" for the 222 of /222/orders",
                                        found(node), segment_max));
      return;
    }
    value = {.kind = PolicyKind::segment, .segment = *number};
    return;
  }
  bool reported = false;
  const auto named = read_named(node, ':', policy_sources(), reading, reported);
  if (named) value = {.kind = named->first, .name = named->second};
  if (named || reported) return;
  const std::string hint = did_you_mean(word.substr(0, word.find(' ')), {"header", "cookie", "query", "segment", "host", "json"});
  reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), hint));
}

Json PolicySource::write(const Value& value) const {
  for (const auto& known : policy_sources()) {
    if (known.kind == value.kind) return known.word + ":" + value.name;
  }
  if (value.kind == PolicyKind::segment) return fmt::format("segment:{}", value.segment);
  return value.kind == PolicyKind::host ? Json("host") : Json(nullptr);
}

Json PolicySource::schema() const { return text_schema(R"(^(host|segment:[0-9]+|(header|cookie|query|json):.+)$)"); }

void StatusChoice::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::refused, words(), reading)) return;
  const auto status = parse_unsigned<std::uint16_t>(node.text);
  if (status && std::ranges::find(statuses, *status) != statuses.end()) {
    value = *status;
  } else {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
  }
}

std::string StatusChoice::words() const {
  std::vector<std::string> spelled;
  for (const std::uint16_t status : statuses) spelled.push_back(fmt::format("{}", status));
  return any_of(spelled);
}

void Statuses::read(const Node& node, StatusRange& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const auto range = parse_statuses(node.text, min);
  if (range) {
    value = *range;
  } else {
    reading.refuse(node, range.error(), words());
  }
}

// One code is a number, as most people write it.
Json Statuses::write(const StatusRange& value) const { return value.first == value.last ? Json(value.first) : Json(spell_statuses(value)); }

Json Statuses::schema() const {
  const Json code{{"type", "integer"}, {"minimum", min}, {"maximum", 599}};
  return {{"anyOf", {code, text_schema("^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$")}}};
}

List<Statuses> status_list(std::uint16_t min) {
  return {{min}, fmt::format("a status code from {} to 599, a range such as 500-504, or a list of them", min), Single::allowed};
}

void RetryCauses::read(const Node& node, RetryOptions& value, Reading& reading) const {
  std::vector<Cause> causes;
  cause_list().read(node, causes, reading);
  const auto has = [&](Cause cause) { return std::ranges::find(causes, cause) != causes.end(); };
  value.on_connect = has(Cause::connect);
  value.on_reset = has(Cause::reset);
  value.on_timeout = has(Cause::timeout);
}

Json RetryCauses::write(const RetryOptions& value) const {
  std::vector<Cause> causes;
  if (value.on_connect) causes.push_back(Cause::connect);
  if (value.on_reset) causes.push_back(Cause::reset);
  if (value.on_timeout) causes.push_back(Cause::timeout);
  return cause_list().write(causes);
}

Json RetryCauses::schema() const { return cause_list().schema(); }

std::string RetryCauses::words() const { return cause_list().words(); }

void Secret::read(const Node& node, std::string& value, Reading& reading) const {
  if (node.kind != NodeKind::scalar) {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
  } else if (node.text.size() < length_min || node.text.size() > length_max) {
    reading.problem(node, fmt::format("found a text of {} bytes, allowed is {}", node.text.size(), words()));
  } else {
    value = node.text;
  }
}

void PortRange::read(const Node& node, RegistrationOptions& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const std::string_view text = node.text;
  const std::size_t dash = text.find('-');
  const auto first = parse_unsigned<std::uint16_t>(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_unsigned<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last == 0) {
    reading.refuse(node, "is neither a port nor a range of them", words());
  } else if (*first > *last) {
    reading.refuse(node, fmt::format("ends before it begins: write \"{}-{}\"", *last, *first), words());
  } else {
    value.port_min = *first;
    value.port_max = *last;
  }
}

Json PortRange::write(const RegistrationOptions& value) const {
  return value.port_min == value.port_max ? fmt::format("{}", value.port_min) : fmt::format("{}-{}", value.port_min, value.port_max);
}

Json PortRange::schema() const {
  const Json port{{"type", "integer"}, {"minimum", 1}, {"maximum", 65535}};
  return {{"anyOf", {port, text_schema("^[0-9]{1,5}(-[0-9]{1,5})?$")}}};
}

void CheckFields::read(const Node& node, Value& value, Reading& reading) const {
  std::vector<HeaderField> fields;
  inner.read(node, fields, reading);
  for (HeaderField& field : fields) value.emplace_back(std::move(field.name), std::move(field.value));
}

Json CheckFields::write(const Value& value) const {
  std::vector<HeaderField> fields;
  for (const auto& [name, text] : value) fields.push_back({name, text});
  return inner.write(fields);
}

}  // namespace steelyard::config
