#include "proxy/limit_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "observe/message.hpp"

namespace steelyard {
namespace {

using limit::Kind;
using quota::FieldsOn;
using quota::KeyPart;

std::uint64_t whole_seconds(Duration duration) { return static_cast<std::uint64_t>((duration + 1s - 1ns) / 1s); }

// Values that people should not see in full.
bool may_be_secret(const KeyPart& part) {
  using Kind = policy::SourceOptions::Kind;
  const Kind kind = part.from.kind;
  return part.source == KeyPart::Source::value && (kind == Kind::header || kind == Kind::cookie || kind == Kind::query);
}

}  // namespace

Task<bool> LimitGate::pass(const Site::LimitList& listener, const Site::LimitList& route, Instant deadline) {
  for (const Site::LimitList* const list : {&listener, &route}) {
    for (const quota::Limit* const limit : *list) {
      if (refused_ == nullptr && !knows(limit)) ask_memory(*limit);
    }
  }
  for (std::size_t store = 0; store < in_use_.store_count(); ++store) {
    const bool asks = std::ranges::any_of(all(), [store](const One& one) { return one.state == State::ask && one.limit->store == store; });
    if (asks && refused_ == nullptr) co_await ask_store(store, deadline);
  }
  const Fiber& fiber = co_await this_fiber();
  const bool cancelled = fiber.cause() != Cause::none;
  if (refused_ != nullptr || cancelled) give_back();
  if (refused_ != nullptr && !cancelled) note_refusal();
  co_return refused_ == nullptr && !cancelled;
}

bool LimitGate::knows(const quota::Limit* limit) const {
  return std::ranges::any_of(all(), [limit](const One& one) { return one.limit == limit; });
}

void LimitGate::ask_memory(const quota::Limit& limit) {
  One& one = all_[size_++] = {.limit = &limit, .at = now_};
  if (!limit.options.exempt.empty() && limit.exempts(subject_.client())) {
    limit.counters(worker_).exempt.add();
    return;
  }
  quota::KeyText key;
  write_key(limit, key);
  one.hash = limit.memory.table->hash(key.view());
  if (limit.options.rule.kind == Kind::bandwidth) {
    one.state = State::paced;
  } else if (limit.store == quota::Limit::no_store) {
    count_here(one);
  } else if (const auto known = limit.memory.leases->take(one.hash, now_)) {
    one.verdict = *known;
    one.state = State::leased;
    judge(one);
  } else {
    one.state = State::ask;
  }
}

void LimitGate::count_here(One& one) {
  one.verdict = one.limit->memory.table->take(one.limit->options.rule, one.hash, now_);
  one.state = one.verdict.counted ? State::counted : State::not_counted;
  judge(one);
}

// What `one` was told: it may refuse, unless that is only tried out.
void LimitGate::judge(One& one) {
  if (one.verdict.allowed) return;
  one.state = State::not_counted;
  if (one.limit->options.dry_run) {
    one.limit->counters(worker_).would_refuse.add();
  } else {
    refused_ = &one;
  }
}

void LimitGate::write_key(const quota::Limit& limit, quota::KeyText& key, KeyFor whom) const {
  for (const KeyPart& part : limit.options.key) {
    if (part.source == KeyPart::Source::client) {
      key.add(subject_.client(), limit.options);
    } else if (const auto value = subject_.value(part); !value) {
      key.add_instead(subject_.client(), limit.options);
    } else if (whom == KeyFor::people && may_be_secret(part)) {
      key.add_veiled(*value);
    } else {
      key.add(*value);
    }
  }
}

Task<void> LimitGate::ask_store(std::size_t store, Instant deadline) {
  std::vector<One*> asking;
  for (One& one : all()) {
    if (one.state == State::ask && one.limit->store == store) asking.push_back(&one);
  }
  std::vector<std::string> keys;
  for (const One* const one : asking) {
    quota::KeyText key;
    write_key(*one->limit, key);
    keys.emplace_back(key.view());
  }
  std::vector<quota::Asked> asked;
  for (std::size_t i = 0; i < asking.size(); ++i) {
    const quota::LimitOptions& options = asking[i]->limit->options;
    const bool leases = options.lease != 0 && leasing(*asking[i]).insert(asking[i]->hash).second;
    asked.push_back({{.rule = &options.rule, .limit = options.name, .key = keys[i], .lease = leases ? options.lease : 0}});
  }
  Fiber& fiber = co_await this_fiber();
  fiber.set_deadline(deadline);
  co_await in_use_.store(store).take(asked);
  for (std::size_t i = 0; i < asking.size(); ++i) {
    if (asked[i].demand.lease != 0) leasing(*asking[i]).erase(asking[i]->hash);
    take_answer(*asking[i], asked[i].answer);
  }
}

void LimitGate::take_answer(One& one, const std::expected<quota::Grant, quota::Unavailable>& answer) {
  const quota::Limit& limit = *one.limit;
  if (!answer) {
    one.state = State::not_counted;
    limit.counters(worker_).unreachable.add();
    if (limit.when_unreachable == quota::WhenUnreachable::local) count_here(one);
    if (limit.when_unreachable == quota::WhenUnreachable::refuse && !limit.options.dry_run) {
      refused_ = &one;
      unreachable_ = true;
    }
    return;
  }
  const Instant now = scheduler_.now();
  one.grant = *answer;
  one.verdict = answer->verdict;
  one.state = State::stored;
  quota::LeaseTable& leases = *limit.memory.leases;
  if (one.verdict.allowed && answer->granted != 0) leases.grant(one.hash, now, answer->granted, now + answer->good_for);
  if (!one.verdict.allowed) {
    // What was leased for others that came at the same time is good for this one, too.
    leases.refuse(one.hash, now, one.verdict.retry_after);
    if (const auto leased = leases.take(one.hash, now); leased && leased->allowed) {
      one.verdict = *leased;
      one.state = State::leased;
      one.at = now;
    }
  }
  judge(one);
}

void LimitGate::give_back() const {
  for (const One& one : all()) {
    const quota::LimitOptions& options = one.limit->options;
    const quota::LimitMemory& memory = one.limit->memory;
    if (one.state == State::counted) memory.table->give_back(options.rule, one.hash, one.at);
    if (one.state == State::leased) memory.leases->give_back(one.hash, one.at, one.verdict);
    if (one.state != State::stored) continue;
    quota::KeyText key;
    write_key(*one.limit, key);
    in_use_.store(one.limit->store).give_back({.rule = &options.rule, .limit = options.name, .key = key.view()}, one.grant, 1);
  }
}

void LimitGate::note_refusal() const {
  const quota::Limit& limit = *refused_->limit;
  limit.counters(worker_).refused.add();
  quota::KeyText key;
  write_key(limit, key, KeyFor::people);
  limit.memory.refused_keys->add(key.view(), refused_->hash);
  if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "the limit {} refuses {}", limit.options.name, key.view());
}

void LimitGate::keep(std::unique_ptr<LimitUse>& use) const {
  bool says_so = false;
  for (const One& one : all()) {
    const quota::LimitOptions& options = one.limit->options;
    quota::LimitCounters& counters = one.limit->counters(worker_);
    const bool lasts = one.state == State::paced || (one.state == State::counted && options.rule.kind == Kind::concurrent);
    if (lasts && !use) use = std::make_unique<LimitUse>();
    if (one.state == State::paced) {
      use->pace(*one.limit, one.hash, counters);
    } else if (one.state != State::not_counted) {
      counters.passed.add();
      if (lasts) use->hold(*one.limit, one.hash);
      says_so |= options.fields == FieldsOn::always && !options.dry_run;
    }
  }
  if (!says_so) return;
  if (!use) use = std::make_unique<LimitUse>();
  use->fields = fields(FieldsOn::always);
}

std::uint64_t LimitGate::retry_after_s() const { return std::max<std::uint64_t>(whole_seconds(refused_->verdict.retry_after), 1); }

// As draft-ietf-httpapi-ratelimit-headers-10 has them: what is allowed, and what is left of it.
std::string LimitGate::fields(FieldsOn on) const {
  std::string policies;
  std::string rest;
  for (const One& one : all()) {
    const quota::LimitOptions& options = one.limit->options;
    const bool shown = options.fields == FieldsOn::always || options.fields == on;
    const bool asked = one.state != State::ask && one.state != State::paced && (one.state != State::not_counted || &one == refused_);
    if (!shown || !asked || options.dry_run) continue;
    const char* const comma = policies.empty() ? "" : ", ";
    const std::string window =
        options.rule.kind == Kind::concurrent ? ";qu=\"concurrent-requests\"" : fmt::format(";w={}", whole_seconds(options.rule.period));
    policies += fmt::format("{}\"{}\";q={}{}", comma, options.name, options.rule.count, window);
    // What was taken for a request that another limit refuses has been given back.
    const std::uint64_t remaining = one.verdict.remaining + (refused_ != nullptr && &one != refused_ ? 1 : 0);
    rest += fmt::format("{}\"{}\";r={};t={}", comma, options.name, remaining, whole_seconds(one.verdict.reset));
  }
  return policies.empty() ? "" : fmt::format("RateLimit-Policy: {}\r\nRateLimit: {}\r\n", policies, rest);
}

}  // namespace steelyard
