#include "quota/redis/script.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "wire/resp/command.hpp"

namespace steelyard::quota {
namespace {

// Times are whole microseconds. Numbers in Lua are doubles, exact up to 2^53, which is why the level of a bucket is counted in
// (units of time) × tokens, where a token is `period` and `count` drain in each unit: nothing is ever divided before it is kept.
//
// What is kept tells its kind, so that a limit that has become of another kind begins anew; one that has another count or period by now
// goes on from what it has. A clock that has gone back (another Redis after a failover) never makes room and never blocks for longer
// than the rule itself.
constexpr std::string_view script = R"lua(
local op, kind = ARGV[1], ARGV[2]
local count, period, unit, burst = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local cost, lease, mark = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local kept = {}
for word in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do kept[#kept + 1] = tonumber(word) or word end
local known = kept[1] == kind
local longest = 1e15  -- of a time that is told or kept: 31 years

local function keep(lasts, ...)
  local words = {kind}
  for _, number in ipairs({...}) do words[#words + 1] = string.format('%.0f', number) end
  local ms = math.max(1, math.ceil(math.min(lasts, longest) / 1000))
  redis.call('SET', KEYS[1], table.concat(words, ' '), 'PX', string.format('%.0f', ms))
end

local function answer(allowed, room, retry, reset, granted, good_for, at)
  retry, reset = math.min(retry, longest), math.min(reset, longest)
  return {allowed and 1 or 0, math.max(0, room), allowed and 0 or retry, reset, granted, math.min(1000000, good_for), at}
end

if kind == 't' then
  local tick = math.floor(now / unit)
  local level = 0
  if known then
    level = kept[2]
    if kept[3] ~= period then level = math.ceil(level / kept[3] * period) end
    level = math.max(0, level - math.max(0, tick - math.floor(kept[4] / unit)) * count)
  end
  local full = burst * period
  if op == 'give' then
    local drained = math.max(0, math.ceil((now - mark) / unit)) * count
    level = math.max(0, level - math.max(0, cost * period - drained))
    if known then keep(level / count * unit, level, period, tick * unit) end
    return 0
  end
  local allowed = level + cost * period <= full
  local missing = level + cost * period - full
  local granted = 0
  if allowed then
    level = level + cost * period
    granted = math.min(lease, math.floor((full - level) / period))
    level = level + granted * period
    keep(level / count * unit, level, period, tick * unit)
  end
  local room = math.floor((full - level) / period)
  return answer(allowed, room, math.ceil(missing / count * unit), math.ceil(level / count * unit), granted, 1000000, now)
end

if kind == 'f' then
  local taken, begin = 0, now
  if known then
    taken, begin = kept[2], math.min(kept[3], now)
    if taken == 0 or now - begin >= period then taken, begin = 0, now end
  end
  local left = begin + period - now
  if op == 'give' then
    if known and begin == mark then keep(left, math.max(0, taken - cost), begin) end
    return 0
  end
  local allowed = taken + cost <= count
  local granted = 0
  if allowed then
    granted = math.min(lease, count - taken - cost)
    taken = taken + cost + granted
    keep(left, taken, begin)
  end
  return answer(allowed, count - taken, left, taken > 0 and left or 0, granted, left, begin)
end

local width = math.ceil(period / 6)
local slice = math.floor(now / width)
local taken = {0, 0, 0, 0, 0, 0, 0}
if known then
  local age = math.max(0, slice - kept[3])
  for i = 1, 7 do
    local at = kept[2] == width and i + age or 1
    if at <= 7 then taken[at] = taken[at] + kept[3 + i] end
  end
end
local function leaves(i) return (slice + 8 - i) * width - now end
local sum = 0
for i = 1, 7 do sum = sum + taken[i] end
if op == 'give' then
  local at = slice - mark + 1
  if known and kept[2] == width and at >= 1 and at <= 7 then
    taken[at] = math.max(0, taken[at] - cost)
    keep(leaves(1), width, slice, unpack(taken))
  end
  return 0
end
local allowed = sum + cost <= count
local granted, retry, reset = 0, leaves(1), 0
if allowed then
  granted = math.min(lease, count - sum - cost)
  taken[1] = taken[1] + cost + granted
  keep(leaves(1), width, slice, unpack(taken))
end
local freed = 0
for i = 7, 1, -1 do
  if freed < sum + cost - count then retry = leaves(i) end
  freed = freed + taken[i]
  if taken[i] > 0 then reset = leaves(i) end
end
return answer(allowed, count - sum - (allowed and cost + granted or 0), retry, reset, granted, 1000000, slice)
)lua";

// What stays exact when it is added to something as large.
constexpr std::uint64_t number_max = std::uint64_t{1} << 52U;
constexpr std::int64_t time_us_max = std::int64_t{1} << 52U;
constexpr std::size_t reply_items = 7;

std::string hex_digest(const EVP_MD* kind, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  SY_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, kind, nullptr) == 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string_view letter(limit::Kind kind) {
  switch (kind) {
    case limit::Kind::fixed_window: return "f";
    case limit::Kind::sliding_window: return "s";
    default: return "t";
  }
}

struct Numbers {
  std::uint64_t count = 1;
  std::uint64_t period_units = 1;
  std::uint64_t unit_us = 1;
  std::uint64_t burst = 1;
};

// In units of a microsecond, or where a bucket is so large that its level would not be exact, of a millisecond or a second. What is still
// too large is cut, which only makes it stricter.
Numbers numbers_of(const limit::Rule& rule) {
  Numbers numbers;
  const auto period_us = static_cast<std::uint64_t>(std::clamp<std::int64_t>((rule.period.count() + 999) / 1000, 1, time_us_max));
  numbers.period_units = period_us;
  numbers.count = std::clamp<std::uint64_t>(rule.count, 1, number_max);
  numbers.burst = std::clamp<std::uint64_t>(rule.burst, 1, number_max);
  if (rule.kind != limit::Kind::token_bucket) return numbers;
  for (const std::uint64_t unit_us : {1, 1000, 1'000'000}) {
    numbers.unit_us = unit_us;
    numbers.period_units = (period_us + unit_us - 1) / unit_us;
    if (numbers.burst <= number_max / numbers.period_units) return numbers;
  }
  numbers.burst = std::max<std::uint64_t>(number_max / numbers.period_units, 1);
  return numbers;
}

struct Invoked {
  std::string_view operation;
  std::uint64_t cost = 0;
  std::uint64_t lease = 0;
  std::uint64_t mark = 0;
};

void write_invocation(const limit::Rule& rule, std::string_view name, Invocation invocation, const Invoked& invoked, std::string& out) {
  const Numbers numbers = numbers_of(rule);
  const std::array<fmt::format_int, 7> texts{fmt::format_int(numbers.count),
                                             fmt::format_int(numbers.period_units),
                                             fmt::format_int(numbers.unit_us),
                                             fmt::format_int(numbers.burst),
                                             fmt::format_int(std::min(invoked.cost, number_max)),
                                             fmt::format_int(std::min(invoked.lease, number_max)),
                                             fmt::format_int(invoked.mark)};
  const bool by_digest = invocation == Invocation::by_digest;
  std::array<std::string_view, 13> words{
      by_digest ? "EVALSHA" : "EVAL", by_digest ? script_digest() : script, "1", name, invoked.operation, letter(rule.kind)};
  std::ranges::transform(texts, words.begin() + 6, [](const fmt::format_int& text) { return std::string_view(text.data(), text.size()); });
  resp::write_command(words, out);
}

}  // namespace

std::string_view script_text() { return script; }

const std::string& script_digest() {
  static const std::string digest = hex_digest(EVP_sha1(), script);
  return digest;
}

std::string key_name(std::string_view prefix, std::string_view limit, std::string_view key, std::size_t key_bytes_max) {
  if (key.size() <= key_bytes_max && !key.contains('{')) return fmt::format("{}{}:{}", prefix, limit, key);
  return fmt::format("{}{}#{}", prefix, limit, hex_digest(EVP_sha256(), key));
}

void write_take(const Demand& demand, std::string_view name, Invocation invocation, std::string& out) {
  write_invocation(*demand.rule, name, invocation, {.operation = "take", .cost = demand.cost, .lease = demand.lease}, out);
}

void write_give_back(const Demand& demand, std::string_view name, std::uint64_t mark, std::uint64_t tokens, std::string& out) {
  write_invocation(*demand.rule, name, Invocation::by_digest, {.operation = "give", .cost = tokens, .mark = mark}, out);
}

void write_probe(std::string_view prefix, std::string& out) {
  const limit::Rule rule{.kind = limit::Kind::token_bucket, .count = 1, .period = 1s, .burst = 1};
  write_invocation(rule, fmt::format("{}probe", prefix), Invocation::by_text, {.operation = "take"}, out);
}

std::optional<Grant> read_grant(const resp::Reply& reply) {
  if (reply.kind != resp::Reply::Kind::array || reply.items.size() != reply_items) return std::nullopt;
  std::array<std::int64_t, reply_items> numbers{};
  for (std::size_t i = 0; i < reply_items; ++i) {
    numbers[i] = reply.items[i].integer;
    if (reply.items[i].kind != resp::Reply::Kind::integer || numbers[i] < 0 || numbers[i] > time_us_max) return std::nullopt;
  }
  const auto [allowed, remaining, retry_us, reset_us, granted, good_for_us, mark] = numbers;
  if (allowed > 1) return std::nullopt;
  return Grant{.verdict = {.allowed = allowed == 1,
                           .remaining = static_cast<std::uint64_t>(remaining),
                           .retry_after = std::chrono::microseconds(retry_us),
                           .reset = std::chrono::microseconds(reset_us)},
               .granted = static_cast<std::uint64_t>(granted),
               .good_for = std::chrono::microseconds(good_for_us),
               .mark = static_cast<std::uint64_t>(mark)};
}

}  // namespace steelyard::quota
