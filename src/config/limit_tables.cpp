// See limit_tables.hpp.
#include "config/limit_tables.hpp"

#include "config/ranges.hpp"

namespace steelyard::config {
namespace {

using limit::Kind;
using quota::LimitOptions;
using Source = quota::KeyPart::Source;

struct NamedSource {
  std::string word;
  Source source;
  Text name;  // of what
};

const std::vector<NamedSource>& named_sources() {
  static const std::vector<NamedSource> sources{
      {"header", Source::header, {"the name of a header field, such as \"header:X-Api-Key\"", check_field_name}},
      {"cookie", Source::cookie, {"the name of a cookie, such as \"cookie:session\"", check_cookie_name}},
      {"query", Source::query, {"the name of a query parameter, such as \"query:key\"", check_query_name}},
  };
  return sources;
}

const std::vector<std::pair<std::string, Source>>& plain_sources() {
  static const std::vector<std::pair<std::string, Source>> sources{{"client_ip", Source::client},
                                                                   {"path", Source::path},
                                                                   {"method", Source::method},
                                                                   {"host", Source::host},
                                                                   {"policy", Source::policy}};
  return sources;
}

// The time alone may leave out the 1: 100/s.
std::expected<Duration, std::string> parse_period(std::string_view text) {
  const bool bare = !text.empty() && !is_digit(text.front()) && text.front() != '.';
  return parse_duration(bare ? "1" + std::string(text) : text);
}

// Names what counts for this kind only.
void check_limit(const Node& node, LimitOptions& limit, Reading& reading) {
  limit::Rule& rule = limit.rule;
  const Node* const rate = node.find("rate");
  if (rule.kind == Kind::concurrent) {
    if (node.find("active_max") == nullptr) report_missing_key(node, "active_max", "a whole number from 1 to 10000000", reading);
  } else if (rate == nullptr) {
    report_missing_key(node, "rate", RateText{}.words(), reading);
  } else if (rule.count != 0 && rule.kind != Kind::bandwidth && rate->text.find('B') != std::string::npos) {
    const Reading::Step step(reading, "rate");
    reading.problem(*rate, fmt::format("found {}, which is a number of bytes, allowed is that with kind: bandwidth only; of requests write "
                                       "\"100/1m\"",
                                       found(*rate)));
  }
  const bool saves_up = rule.kind == Kind::token_bucket || rule.kind == Kind::bandwidth;
  if (saves_up && rule.burst == 0) rule.burst = rule.count;
  if (const auto wrong = limit::problem(rule); wrong && rule.count != 0) {
    const Reading::Step step(reading, "rate");
    reading.problem(rate == nullptr ? node : *rate, fmt::format("found a limit that {}", *wrong));
  }
  const bool in_memory_only = rule.kind == Kind::concurrent || rule.kind == Kind::bandwidth;
  if (const Node* const store = node.find("store"); store != nullptr && in_memory_only && !limit.store.empty()) {
    const Reading::Step step(reading, "store");
    reading.problem(*store, fmt::format("found a store for kind: {}, which is counted in each process alone; remove it, or choose "
                                        "token_bucket, fixed_window or sliding_window",
                                        name(rule.kind)));
  }
}

}  // namespace

void KeyPartText::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  for (const auto& [word, source] : plain_sources()) {
    if (word != node.text) continue;
    value = {source, ""};
    return;
  }
  const std::size_t colon = std::min(node.text.find(':'), node.text.size());
  const std::string word = node.text.substr(0, colon);
  const std::string name(trim(std::string_view(node.text).substr(std::min(colon + 1, node.text.size()))));
  for (const NamedSource& known : named_sources()) {
    if (known.word != word) continue;
    if (const auto wrong = known.name.check(name)) {
      const std::string why = name.empty() ? "lacks the name" : fmt::format("names {}, which {}", quote(name), *wrong);
      reading.problem(node, fmt::format("found {}, which {}; allowed is {}", found(node), why, known.name.words()));
      return;
    }
    value = {known.source, name};
    return;
  }
  const std::vector<std::string> all{"client_ip", "path", "method", "host", "policy", "header", "cookie", "query"};
  reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), did_you_mean(word.substr(0, word.find(' ')), all)));
}

Json KeyPartText::write(const Value& value) const {
  for (const NamedSource& known : named_sources()) {
    if (known.source == value.source) return known.word + ":" + value.name;
  }
  for (const auto& [word, source] : plain_sources()) {
    if (source == value.source) return word;
  }
  return nullptr;
}

Json KeyPartText::schema() const { return text_schema(R"(^(client_ip|path|method|host|policy|(header|cookie|query): *[^ ]+)$)"); }

void RateText::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const std::size_t slash = node.text.find('/');
  if (slash == std::string::npos) {
    reading.problem(node, fmt::format("found {}, which does not say in what time, allowed is {}", found(node), words()));
    return;
  }
  const auto count = parse_size(trim(std::string_view(node.text).substr(0, slash)));
  const auto period = parse_period(trim(std::string_view(node.text).substr(slash + 1)));
  if (!count) return reading.refuse(node, count.error(), words());
  if (!period) return reading.refuse(node, period.error(), words());
  if (*count == 0 || period->count() == 0) {
    reading.problem(node, fmt::format("found {}, which lets nothing pass, allowed is {}", found(node), words()));
    return;
  }
  value.count = *count;
  value.period = *period;
}

Json RateText::write(const Value& value) const {
  if (value.period.count() == 0) return nullptr;
  const std::string count = value.kind == Kind::bandwidth ? spell_size(value.count) : fmt::format("{}", value.count);
  return count + "/" + spell_duration(value.period);
}

NonEmpty<List<Text>> limit_names() {
  return {{{"the name of a limit", check_name}, "the name of a limit, or a list of them", Single::allowed}};
}

Section<LimitOptions> limit_table() {
  const Choice<Kind> kind{{{"token_bucket", Kind::token_bucket},
                           {"fixed_window", Kind::fixed_window},
                           {"sliding_window", Kind::sliding_window},
                           {"concurrent", Kind::concurrent},
                           {"bandwidth", Kind::bandwidth}}};
  const Choice<quota::FieldsOn> fields{
      {{"refused", quota::FieldsOn::refused}, {"always", quota::FieldsOn::always}, {"off", quota::FieldsOn::off}}};
  const Condition<LimitOptions> at_once{"kind", "concurrent",
                                        [](const LimitOptions& limit) { return limit.rule.kind == Kind::concurrent; }};
  const Condition<LimitOptions> saving{"kind", "token_bucket or bandwidth", [](const LimitOptions& limit) {
                                         return limit.rule.kind == Kind::token_bucket || limit.rule.kind == Kind::bandwidth;
                                       }};
  const Condition<LimitOptions> in_time{"kind", "token_bucket, fixed_window, sliding_window or bandwidth",
                                        [](const LimitOptions& limit) { return limit.rule.kind != Kind::concurrent; }};
  const Condition<LimitOptions> refusing{"kind", "token_bucket, fixed_window, sliding_window or concurrent",
                                         [](const LimitOptions& limit) { return limit.rule.kind != Kind::bandwidth; }};
  const Condition<LimitOptions> stored{"store", "NAME", [](const LimitOptions& limit) { return !limit.store.empty(); }};
  const NonEmpty<List<KeyPartText>> keys{{{}, "what requests are counted by, or a list of it", Single::allowed}};
  const List<TrustedNetwork> networks{{}, "a list of networks such as [10.0.0.0/8, 192.168.1.7]"};
  return {
      "a map with the keys of a limit",
      {
          key<LimitOptions>("key", SY_AT(.key), keys,
                            "What requests are counted by; several together: by each combination. A request without it counts by its "
                            "client's address."),
          key<LimitOptions>("kind", SY_AT(.rule.kind), kind, "How is counted."),
          only_with(in_time, key<LimitOptions>("rate", SY_AT(.rule), RateText{}, "How many in what time.", "**required**")),
          only_with(saving, key<LimitOptions>("burst", SY_AT(.rule.burst), Size<std::uint64_t>{1, 1ULL << 40U},
                                              "How much of what was not used is saved up.", "the number of `rate`")),
          only_with(at_once, key<LimitOptions>("active_max", SY_AT(.rule.count), Count<std::uint64_t>{1, 10'000'000},
                                               "Exchanges under way at once.", "**required**")),
          key<LimitOptions>("ipv4_prefix", SY_AT(.ipv4_prefix), Count<std::uint8_t>{8, 32},
                            "IPv4 addresses that are alike in so many first bits are one client."),
          key<LimitOptions>("ipv6_prefix", SY_AT(.ipv6_prefix), Count<std::uint8_t>{16, 128},
                            "The same of IPv6 addresses; one household has a /64 or more."),
          key<LimitOptions>("exempt", SY_AT(.exempt), networks, "Clients that are not counted."),
          only_with(refusing, key<LimitOptions>("dry_run", SY_AT(.dry_run), Switch{}, "Count and refuse nothing; metrics say what it would "
                                                                                      "have refused.")),
          only_with(refusing, key<LimitOptions>("body", SY_AT(.body), Text{"a text of up to 1024 bytes", check_limit_body},
                                                "What who is refused with 429 reads; JSON where it begins with { or [.")),
          only_with(refusing, key<LimitOptions>("fields", SY_AT(.fields), fields,
                                                "Which answers have the fields RateLimit and RateLimit-Policy.")),
          key<LimitOptions>("keys_max", SY_AT(.keys_max), count(1'000, 100'000'000),
                            "So many are counted at once in memory, 32 bytes each; of more, those that would be over first are forgotten."),
          key<LimitOptions>("store", SY_AT(.store), NonEmpty<Text>{{"the name of a store", check_name}},
                            "Where is counted, for all processes together; one of `stores`.", "this process's memory"),
          only_with(stored, key<LimitOptions>("lease", SY_AT(.lease), count(0, 100'000),
                                              "So many requests are taken from the store at a time, and spent without asking it; 0: one by "
                                              "one.")),
      },
      check_limit};
}

}  // namespace steelyard::config
