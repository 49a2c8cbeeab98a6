// See limit_tables.hpp.
#include "config/limit_tables.hpp"

#include "config/ranges.hpp"
#include "decide/limit/check.hpp"

namespace steelyard::config {
namespace {

using limit::Kind;
using quota::LimitOptions;
using quota::RedisOptions;
using KeySource = quota::KeyPart::Source;

using From = policy::SourceOptions::Kind;

const std::vector<NamedKind<From>>& value_sources() {
  static const std::vector<NamedKind<From>> sources{
      {"header", From::header, {"the name of a header field, such as \"header:X-Api-Key\"", check_field_name}},
      {"cookie", From::cookie, {"the name of a cookie, such as \"cookie:session\"", check_cookie_name}},
      {"query", From::query, {"the name of a query parameter, such as \"query:key\"", check_decoded_query_name}},
  };
  return sources;
}

const std::vector<std::pair<std::string, KeySource>>& plain_sources() {
  static const std::vector<std::pair<std::string, KeySource>> sources{
      {"client_ip", KeySource::client}, {"path", KeySource::path}, {"method", KeySource::method}, {"policy", KeySource::policy}};
  return sources;
}

// The time alone may leave out the 1: 100/s.
std::expected<Duration, std::string> parse_period(std::string_view text) {
  const bool bare = !text.empty() && !is_digit(text.front()) && text.front() != '.';
  return parse_duration(bare ? "1" + std::string(text) : text);
}

Section<quota::StoreOptions::Tls> tls_table() {
  using Tls = quota::StoreOptions::Tls;
  const NonEmpty<Text> file{{"a file's path", check_file_path}};
  const Choice<tls::Verify> verify{{{"full", tls::Verify::full}, {"none", tls::Verify::none}}};
  return {"a map with the keys of TLS",
          {
              key<Tls>("ca_file", SY_AT(.ca_file), file, "Certificates of who is trusted, PEM.", "those of the system"),
              key<Tls>("certificate_file", SY_AT(.certificate_file), file, "Our own certificate with its chain, PEM.", "none"),
              key<Tls>("key_file", SY_AT(.key_file), file, "Its private key, PEM.", "none"),
              key<Tls>("server_name", SY_AT(.server_name), NonEmpty<Text>{{"a host name", check_host_name}},
                       "That must be in the server's certificate.", "the host of `url`"),
              key<Tls>("verify", SY_AT(.verify), verify,
                       "Whether the server has to show who it is; none: only where nobody else can be there."),
          }};
}

void check_store(const Node& node, quota::StoreOptions& store, Reading& reading) {
  RedisOptions& redis = store.redis;
  if (redis.tls) {
    *redis.tls = store.tls;
    const auto ip = store.places.empty() ? std::nullopt : IpAddress::parse(store.places.front().host);
    if (redis.tls->server_name.empty() && !ip && !store.places.empty()) redis.tls->server_name = store.places.front().host;
  }
  if (redis.mode == quota::RedisMode::sentinel && node.find("master") == nullptr) {
    report_missing_key(node, "master", "the name by which the Sentinels know the master", reading);
  }
  if (redis.mode == quota::RedisMode::cluster && redis.database != 0) {
    reading.problem(node, "found a database in the URL of a cluster, which has only 0; remove it");
  }
  if (!redis.login.username.empty() && store.password_file.empty()) {
    reading.problem(node, "found a user in the URL without a password; add \"password_file: PATH\"");
  }
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
  if (limit.key.size() > quota::key_parts_max) {
    const Reading::Step step(reading, "key");
    reading.problem(*node.find("key"), fmt::format("found {} parts, allowed are up to {}", limit.key.size(), quota::key_parts_max));
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
    value = {source, {}};
    return;
  }
  if (node.text == "host") {
    value = {KeySource::value, {.kind = From::host}};
    return;
  }
  bool reported = false;
  const auto named = read_named(node, ':', value_sources(), reading, reported);
  if (named) value = {KeySource::value, {.kind = named->first, .name = named->second}};
  if (named || reported) return;
  const std::vector<std::string> all{"client_ip", "path", "method", "host", "policy", "header", "cookie", "query"};
  reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(),
                                    did_you_mean(node.text.substr(0, node.text.find_first_of(": ")), all)));
}

Json KeyPartText::write(const Value& value) const {
  for (const auto& known : value_sources()) {
    if (value.source == KeySource::value && known.kind == value.from.kind) return known.word + ":" + value.from.name;
  }
  if (value.source == KeySource::value) return "host";
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

void BurstText::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const auto burst = parse_size(node.text);
  if (!burst) return reading.refuse(node, burst.error(), words());
  if (*burst == 0) return reading.problem(node, fmt::format("found {}, which lets nothing pass, allowed is {}", found(node), words()));
  value.burst = *burst;
}

Json BurstText::write(const Value& value) const {
  if (value.burst == 0) return nullptr;
  return value.kind == Kind::bandwidth ? Json(spell_size(value.burst)) : Json(value.burst);
}

void RedisUrl::read(const Node& node, Value& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const auto refuse = [&](const std::string& why) {
    reading.problem(node, fmt::format("found {}, which {}; allowed is {}", found(node), why, words()));
  };
  std::string_view rest = node.text;
  const bool over_tls = rest.starts_with("rediss://");
  if (!over_tls && !rest.starts_with("redis://")) return refuse("does not begin with redis:// or rediss://");
  rest.remove_prefix(rest.find("//") + 2);
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    if (user.find(':') != std::string_view::npos) {
      // Not shown again: a message may go anywhere.
      reading.problem(node,
                      "found a URL with a password in it, which everybody reads who may read this file; put it into a file, and name "
                      "that by password_file");
      return;
    }
    value.redis.login.username = user;
    rest.remove_prefix(at + 1);
  }
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view database = rest.substr(slash + 1);
    const auto number = parse_unsigned<std::uint32_t>(database);
    if (!database.empty() && (!number || *number > 65'535)) return refuse("has no number of a database behind its host");
    value.redis.database = number.value_or(0);
    rest = rest.substr(0, slash);
  }
  value.places.clear();
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view one = rest.substr(0, comma);
    const bool has_port = one.rfind(':') != std::string_view::npos && (!one.starts_with('[') || one.find("]:") != std::string_view::npos);
    const auto place = parse_host_port(has_port ? std::string(one) : fmt::format("{}:{}", one, port_default));
    if (!place) return refuse(place.error());
    value.places.push_back({place->host, place->port});
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (value.places.empty()) return refuse("names no host");
  value.redis.tls.reset();
  if (over_tls) value.redis.tls.emplace();
}

Json RedisUrl::write(const Value& value) const {
  std::string text = value.redis.tls ? "rediss://" : "redis://";
  if (!value.redis.login.username.empty()) text += value.redis.login.username + "@";
  for (const auto& place : value.places) text += (&place == value.places.data() ? "" : ",") + spell_host_port(place.host, place.port);
  if (value.redis.database != 0) text += fmt::format("/{}", value.redis.database);
  return text;
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
          only_with(saving, key<LimitOptions>("burst", SY_AT(.rule), BurstText{}, "How much of what was not used is saved up.",
                                              "the number of `rate`")),
          only_with(at_once, key<LimitOptions>("active_max", SY_AT(.rule.count), Count<std::uint64_t>{1, 10'000'000},
                                               "Exchanges under way at once.", "**required**")),
          key<LimitOptions>("ipv4_prefix", SY_AT(.ipv4_prefix), Count<std::uint8_t>{8, 32},
                            "IPv4 addresses that are alike in so many first bits are one client."),
          key<LimitOptions>("ipv6_prefix", SY_AT(.ipv6_prefix), Count<std::uint8_t>{16, 128},
                            "The same of IPv6 addresses; one household has a /64 or more."),
          key<LimitOptions>("exempt", SY_AT(.exempt), networks, "Clients that are not counted."),
          only_with(refusing, key<LimitOptions>("dry_run", SY_AT(.dry_run), Switch{},
                                                "Count and refuse nothing; metrics say what it would "
                                                "have refused.")),
          only_with(refusing, key<LimitOptions>("body", SY_AT(.body), Text{"a text of up to 1024 bytes", check_limit_body},
                                                "What who is refused with 429 reads; JSON where it begins with { or [.")),
          only_with(refusing,
                    key<LimitOptions>("fields", SY_AT(.fields), fields, "Which answers have the fields RateLimit and RateLimit-Policy.")),
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

Section<quota::StoreOptions> store_table() {
  using Store = quota::StoreOptions;
  using quota::RedisMode;
  using quota::WhenUnreachable;
  const NonEmpty<Text> file{{"a file's path", check_file_path}};
  const Choice<RedisMode> mode{{{"single", RedisMode::single}, {"sentinel", RedisMode::sentinel}, {"cluster", RedisMode::cluster}}};
  const Choice<WhenUnreachable> unreachable{
      {{"local", WhenUnreachable::local}, {"allow", WhenUnreachable::allow}, {"refuse", WhenUnreachable::refuse}}};
  const Condition<Store> over_tls{"url", "rediss://HOST", [](const Store& store) { return store.redis.tls.has_value(); }};
  const Condition<Store> sentinels{"mode", "sentinel", [](const Store& store) { return store.redis.mode == RedisMode::sentinel; }};
  return {"a map with the keys of a store",
          {
              required<Store>("url", SY_AT(), RedisUrl{},
                              "Where Redis is, or the Sentinels, or some nodes of a cluster: several hosts stand between commas."),
              key<Store>("mode", SY_AT(.redis.mode), mode, "What is there."),
              only_with(sentinels, key<Store>("master", SY_AT(.redis.master_name), NonEmpty<Text>{{"a name", check_name}},
                                              "The name by which the Sentinels know the master.", "**required**")),
              key<Store>("password_file", SY_AT(.password_file), file, "A file with the password in its first line.", "none"),
              only_with(sentinels,
                        key<Store>("sentinel_password_file", SY_AT(.sentinel_password_file), file, "The same for the Sentinels.", "none")),
              only_with(over_tls, key<Store>("tls", SY_AT(.tls), tls_table(), "How TLS is spoken.")),
              key<Store>("prefix", SY_AT(.redis.prefix), Text{"a text of up to 64 characters", check_route_name}, "Of all keys there."),
              key<Store>("timeout", SY_AT(.redis.timeout), Span{1ms, 10s}, "How long a request waits for an answer at most."),
              key<Store>("connect_timeout", SY_AT(.redis.connect_timeout), Span{1ms, 1min}, "To connect, TLS and login included."),
              key<Store>("when_unreachable", SY_AT(.when_unreachable), unreachable,
                         "What becomes of requests meanwhile: they are counted in this process's memory, pass, or are refused with 503."),
          },
          check_store};
}

}  // namespace steelyard::config
