// Whether a request may come at all, by the limits that its listener, its route and its pool name. All of them must let it pass, and what
// one refuses uses up nothing of the others. Those that are counted in memory are asked first, for they cost nothing; what needs a store is
// asked in one round trip. Bandwidth refuses nobody: it slows the response down (limit_use.cpp).
#include <algorithm>
#include <string>
#include <vector>

#include "decide/policy/demand.hpp"
#include "observe/message.hpp"
#include "proxy/forwarded.hpp"
#include "proxy/http_proxy.hpp"
#include "wire/http/cookie.hpp"

namespace steelyard {
namespace {

using limit::Kind;
using quota::FieldsOn;
using quota::KeyPart;
using State = Counting::State;

std::uint64_t whole_seconds(Duration duration) { return static_cast<std::uint64_t>((duration + 1s - 1ns) / 1s); }

std::optional<std::string_view> find_field(const http::Fields& fields, std::string_view name) {
  for (const http::Field& field : fields.all()) {
    if (equals_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

// What `one` was told: it may refuse the request, unless that is only tried out.
void judge(Counting& counting, Counting::One& one, std::uint32_t worker) {
  if (one.verdict.allowed) return;
  one.state = State::not_counted;
  if (one.limit->options.dry_run) {
    one.limit->counters(worker).would_refuse.add();
  } else {
    counting.refused_by = &one;
  }
}

// RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-10 has them: what is allowed, and what is left of it.
void write_fields(std::string& out, const Counting& counting, FieldsOn least) {
  std::string policies;
  std::string rest;
  for (const Counting::One& one : counting.limits()) {
    const quota::LimitOptions& options = one.limit->options;
    const bool shown = options.fields == FieldsOn::always || options.fields == least;
    if (!shown || options.rule.kind == Kind::bandwidth || one.state == State::open || one.state == State::ask || options.dry_run) continue;
    const char* const comma = policies.empty() ? "" : ", ";
    const std::string window =
        options.rule.kind == Kind::concurrent ? ";qu=\"concurrent-requests\"" : fmt::format(";w={}", whole_seconds(options.rule.period));
    policies += fmt::format("{}\"{}\";q={}{}", comma, options.name, options.rule.count, window);
    rest += fmt::format("{}\"{}\";r={};t={}", comma, options.name, one.verdict.remaining, whole_seconds(one.verdict.reset));
  }
  if (!policies.empty()) out += fmt::format("RateLimit-Policy: {}\r\nRateLimit: {}\r\n", policies, rest);
}

// In memory, at once: what was taken for a request that another limit refuses.
void give_back(const Counting& counting) {
  for (const Counting::One& one : counting.limits()) {
    const quota::LimitMemory& memory = one.limit->memory;
    if (one.state == State::counted) memory.table->give_back(one.limit->options.rule, one.hash, counting.now);
    if (one.state == State::leased) memory.leases->give_back(one.hash, counting.now, one.verdict);
  }
}

}  // namespace

bool HttpProxy::is_limited(const Trip& trip) {
  const bool by_route = trip.route != nullptr && trip.route->limits != 0;
  return by_route || !trip.site().limits_of_listener(trip.exchange.listener).empty();
}

Task<bool> HttpProxy::pass_limits(Trip& trip) {
  Counting counting;
  counting.now = scheduler_.now();
  ask_memory(trip, counting);
  const bool asks = std::ranges::any_of(counting.limits(), [](const auto& one) { return one.state == State::ask; });
  if (asks && counting.refused_by == nullptr) co_await ask_stores(trip, counting);
  if (trip.exchange.fiber.cause() != Cause::none) {
    give_back(counting);
    trip.outcome = Outcome::client_gone;
    trip.failure = "the client went away";
    trip.exchange.broken_off = true;
    co_return false;
  }
  if (counting.refused_by == nullptr) {
    keep_for_later(trip, counting);
    co_return true;
  }
  give_back(counting);
  give_back_stored(trip, counting);
  co_await refuse_over_limit(trip, counting);
  co_return false;
}

void HttpProxy::ask_memory(Trip& trip, Counting& counting) {
  const Site& site = trip.site();
  const IpAddress client = client_behind(site.forwarded, trip.exchange.head().fields, trip.exchange.client.ip);
  for (const Site::LimitList* const list : {&site.limits_of_listener(trip.exchange.listener), &site.limits_of(trip.route)}) {
    for (const quota::Limit* const limit : *list) {
      if (counting.refused_by != nullptr) return;
      if (std::ranges::any_of(counting.limits(), [limit](const auto& one) { return one.limit == limit; })) continue;
      Counting::One& one = counting.all[counting.size++] = {.limit = limit, .state = State::not_counted};
      if (limit->exempts(client)) {
        limit->counters(views_.worker()).exempt.add();
        continue;
      }
      quota::KeyText key;
      write_key(trip, *limit, key);
      one.hash = limit->memory.table->hash(key.view());
      if (limit->options.rule.kind == Kind::bandwidth) {
        one.state = State::paced;
        continue;
      }
      if (limit->store == quota::Limit::no_store) {
        count_here(counting, one);
      } else if (const auto known = limit->memory.leases->take(one.hash, counting.now)) {
        one.verdict = *known;
        one.state = State::leased;
        judge(counting, one, views_.worker());
      } else {
        one.state = State::ask;
      }
    }
  }
}

void HttpProxy::count_here(Counting& counting, Counting::One& one) {
  one.verdict = one.limit->memory.table->take(one.limit->options.rule, one.hash, counting.now);
  one.state = one.verdict.counted ? State::counted : State::not_counted;
  judge(counting, one, views_.worker());
}

// What has no such field, cookie, parameter or policy counts by its client.
void HttpProxy::write_key(Trip& trip, const quota::Limit& limit, quota::KeyText& key, KeyFor whom) {
  Exchange& exchange = trip.exchange;
  const http::RequestHead& head = exchange.head();
  const std::string_view path = trip.path.empty() ? head.path : trip.path.view();
  std::string memory;
  for (const KeyPart& part : limit.options.key) {
    std::optional<std::string_view> value;
    const bool secret =
        part.source == KeyPart::Source::header || part.source == KeyPart::Source::cookie || part.source == KeyPart::Source::query;
    switch (part.source) {
      case KeyPart::Source::client: break;
      case KeyPart::Source::path: value = path; break;
      case KeyPart::Source::method: value = head.method_text; break;
      case KeyPart::Source::host: value = head.authority; break;
      case KeyPart::Source::header: value = find_field(head.fields, part.name); break;
      case KeyPart::Source::cookie: value = http::find_cookie(head.fields, part.name); break;
      case KeyPart::Source::query: value = http::find_parameter(head.query, part.name); break;
      case KeyPart::Source::policy:
        if (trip.pool == nullptr || !trip.pool->options().policy) break;
        if (const policy::PolicyOptions& policy = *trip.pool->options().policy; policy.from.kind != policy::SourceOptions::Kind::json) {
          const policy::Reading reading = policy::read_head(policy.from, head, path, memory);
          if (reading.kind == policy::Reading::Kind::found) value = reading.value;
          if (reading.kind == policy::Reading::Kind::absent && !policy.value_if_absent.empty()) value = policy.value_if_absent;
        }
        break;
    }
    if (value && secret && whom == KeyFor::people) {
      key.add_veiled(*value);
    } else if (value) {
      key.add(*value);
    } else {
      const IpAddress client = client_behind(trip.site().forwarded, head.fields, exchange.client.ip);
      part.source == KeyPart::Source::client ? key.add(client, limit.options) : key.add_instead(client, limit.options);
    }
  }
}

// Store after store, each with all that it has to say in one round trip.
Task<void> HttpProxy::ask_stores(Trip& trip, Counting& counting) {
  for (std::size_t store = 0; store < trip.in_use.store_count() && counting.refused_by == nullptr; ++store) {
    std::vector<Counting::One*> asking;
    for (Counting::One& one : counting.limits()) {
      if (one.state == State::ask && one.limit->store == store) asking.push_back(&one);
    }
    if (asking.empty()) continue;
    std::vector<std::string> keys;
    std::vector<quota::Asked> asked;
    for (const Counting::One* const one : asking) {
      quota::KeyText key;
      write_key(trip, *one->limit, key);
      keys.emplace_back(key.view());
    }
    for (std::size_t i = 0; i < asking.size(); ++i) {
      const quota::LimitOptions& options = asking[i]->limit->options;
      asked.push_back({{.rule = &options.rule, .limit = options.name, .key = keys[i], .lease = options.lease}});
    }
    trip.exchange.fiber.set_deadline(trip.total_deadline);
    co_await trip.in_use.store(store).take(asked);
    for (std::size_t i = 0; i < asking.size(); ++i) take_answer(counting, *asking[i], asked[i].answer);
  }
}

void HttpProxy::take_answer(Counting& counting, Counting::One& one, const std::expected<quota::Grant, quota::Unavailable>& answer) {
  const Instant now = scheduler_.now();
  quota::LeaseTable& leases = *one.limit->memory.leases;
  if (!answer) {
    one.state = State::not_counted;
    one.limit->counters(views_.worker()).unreachable.add();
    if (one.limit->when_unreachable == quota::WhenUnreachable::local) count_here(counting, one);
    if (one.limit->when_unreachable == quota::WhenUnreachable::refuse && !one.limit->options.dry_run) {
      counting.refused_by = &one;
      counting.unreachable = true;
    }
    return;
  }
  one.grant = *answer;
  one.verdict = answer->verdict;
  one.state = State::stored;
  if (!one.verdict.allowed) leases.refuse(one.hash, now, one.verdict.retry_after);
  if (one.verdict.allowed && answer->granted != 0) leases.grant(one.hash, now, answer->granted, now + answer->good_for);
  judge(counting, one, views_.worker());
}

void HttpProxy::give_back_stored(Trip& trip, const Counting& counting) {
  for (const Counting::One& one : counting.limits()) {
    if (one.state != State::stored) continue;
    quota::KeyText key;
    write_key(trip, *one.limit, key);
    const quota::LimitOptions& options = one.limit->options;
    trip.in_use.store(one.limit->store).give_back({.rule = &options.rule, .limit = options.name, .key = key.view()}, one.grant, 1);
  }
}

// It passes.
void HttpProxy::keep_for_later(Trip& trip, const Counting& counting) {
  const auto use = [&trip]() -> LimitUse& {
    if (!trip.limits) trip.limits = std::make_unique<LimitUse>();
    return *trip.limits;
  };
  bool says_so = false;
  for (const Counting::One& one : counting.limits()) {
    const quota::LimitOptions& options = one.limit->options;
    quota::LimitCounters& counters = one.limit->counters(views_.worker());
    if (one.state == State::paced) {
      use().pace(*one.limit, one.hash, counters);
      continue;
    }
    if (one.state == State::not_counted) continue;
    counters.passed.add();
    if (options.rule.kind == Kind::concurrent) use().hold(*one.limit, one.hash);
    says_so |= options.fields == FieldsOn::always;
  }
  if (says_so) write_fields(use().fields, counting, FieldsOn::always);
}

Task<void> HttpProxy::refuse_over_limit(Trip& trip, const Counting& counting) {
  const quota::Limit& limit = *counting.refused_by->limit;
  limit.counters(views_.worker()).refused.add();
  quota::KeyText key;
  write_key(trip, limit, key, KeyFor::people);
  limit.memory.refused_keys->add(key.view(), counting.refused_by->hash);
  if (message_enabled(LogLevel::debug)) {
    log_message(LogLevel::debug, "request {}: the limit {} refuses {}", trip.request_id, limit.options.name, key.view());
  }
  if (!trip.limits) trip.limits = std::make_unique<LimitUse>();
  trip.limits->refused_by = &limit;
  if (counting.unreachable) {
    co_await answer(trip, {503, "a limit on requests cannot be counted: its store does not answer (stores.NAME.when_unreachable)", true});
    co_return;
  }
  Exchange& exchange = trip.exchange;
  if (!exchange.body.done() || exchange.draining) exchange.keep_alive = false;
  std::string fields;
  write_fields(fields, counting, FieldsOn::refused);
  HeadBuilder out(scratch_.head());
  trip.response_bytes =
      write_over_limit(out, {.limit = limit.options,
                             .retry_after_s = std::max<std::uint64_t>(whole_seconds(counting.refused_by->verdict.retry_after), 1),
                             .fields = fields,
                             .exchange = exchange,
                             .request_id = trip.request_id,
                             .date = date()});
  trip.status = 429;
  trip.outcome = Outcome::refused;
  trip.failure = "over a limit on requests";
  exchange.response_started = true;
  auto sent = exchange.response.send(out.view());
  if (sent && !exchange.response.empty()) sent = co_await flush(exchange.response, bounds(trip));
  if (!sent) exchange.broken_off = true;
}

}  // namespace steelyard
