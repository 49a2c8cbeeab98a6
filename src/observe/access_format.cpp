#include "observe/access_format.hpp"

#include <algorithm>

#include "observe/line_text.hpp"

namespace steelyard {

namespace {

// The longest a text may be; what is longer is cut.
constexpr std::size_t word_bytes_max = 32;  // method, protocol
constexpr std::size_t name_bytes_max = 128;
constexpr std::size_t host_bytes_max = 256;
constexpr std::size_t agent_bytes_max = 256;
constexpr std::size_t target_bytes_max = 1024;
constexpr std::size_t id_bytes_max = 64;  // of a server, in the list of failed tries
constexpr std::size_t sentence_bytes_max = 64;
constexpr std::size_t failed_tries_bytes_max = failed_tries_max * (id_bytes_max + sentence_bytes_max);
constexpr std::size_t policy_bytes_max = 256;  // what a label holds is never cut
constexpr std::size_t also_bytes_max = policy_also_max * (id_bytes_max + policy_bytes_max);
constexpr std::size_t texts_bytes_max = 4 * word_bytes_max + 6 * name_bytes_max + host_bytes_max + agent_bytes_max + target_bytes_max +
                                        failed_tries_bytes_max + 2 * policy_bytes_max + also_bytes_max;
constexpr std::size_t rest_bytes_max = 1024;  // keys, numbers, time, colours
static_assert(texts_bytes_max * escape_factor + (15 + 2 * failed_tries_max + 2 * policy_also_max) * cut_mark_bytes + rest_bytes_max <=
              AccessFormat::line_bytes_max);

std::int64_t second_of(std::int64_t unix_us) { return unix_us / 1'000'000 - (unix_us % 1'000'000 < 0 ? 1 : 0); }

// `key` comes with all that stands before the value.
char* put_text(char* at, std::string_view key, std::string_view value, std::size_t bytes_max) {
  at = put(at, key);
  at = put_escaped(at, value, bytes_max);
  *at++ = '"';
  return at;
}
char* put_text_if_any(char* at, std::string_view key, std::string_view value, std::size_t bytes_max) {
  return value.empty() ? at : put_text(at, key, value, bytes_max);
}

// [{"server":"10.0.0.5:8001","failure":"connection refused"}]
char* put_failed_tries(char* at, std::span<const FailedTry> tries) {
  if (tries.empty()) return at;
  at = put(at, R"(,"failed_tries":[)");
  for (const FailedTry& failed : tries) {
    if (&failed != tries.data()) *at++ = ',';
    at = put_text(at, R"({"server":")", failed.server, id_bytes_max);
    *(at = put_text(at, R"(,"failure":")", failed.failure, sentence_bytes_max))++ = '}';
  }
  *at++ = ']';
  return at;
}

// {"label":"privacy","demanded":"222","met_by":"222","also":[{"server":"b","met_by":"222"}]}
char* put_policy(char* at, const AccessRecord& record) {
  if (record.policy_label.empty()) return at;
  at = put_text(at, R"(,"policy":{"label":")", record.policy_label, name_bytes_max);
  at = put_text_if_any(at, R"(,"demanded":")", record.policy, policy_bytes_max);
  at = put_text_if_any(at, R"(,"met_by":")", record.policy_met, policy_bytes_max);
  if (!record.policy_also.empty()) {
    at = put(at, R"(,"also":[)");
    for (const PolicyMet& met : record.policy_also.first(std::min(record.policy_also.size(), policy_also_max))) {
      if (&met != record.policy_also.data()) *at++ = ',';
      at = put_text(at, R"({"server":")", met.server, id_bytes_max);
      *(at = put_text(at, R"(,"met_by":")", met.promise, policy_bytes_max))++ = '}';
    }
    *at++ = ']';
  }
  *at++ = '}';
  return at;
}

char* put_field(char* at, std::string_view key, std::uint64_t value) { return put_number(put(at, key), value); }

char* put_right_aligned(char* at, std::uint64_t number, std::size_t width) {
  char digits[20];
  const auto length = static_cast<std::size_t>(put_number(digits, number) - digits);
  for (std::size_t i = length; i < width; ++i) *at++ = ' ';
  return put(at, {digits, length});
}

std::string_view colour_of(std::uint16_t status) {
  if (status >= 500 || status == 0) return "\x1b[31m";
  if (status >= 400) return "\x1b[33m";
  if (status >= 300) return "\x1b[36m";
  return "\x1b[32m";
}
constexpr std::string_view colour_end = "\x1b[0m";

}  // namespace

std::size_t AccessFormat::write(char* out, const AccessRecord& record) {
  char* end = style_ == LineStyle::json ? write_json(out, record) : write_human(out, record);
  *end++ = '\n';
  return static_cast<std::size_t>(end - out);
}

// Texts that are unknown and times that did not happen are left out; everything else is in every line.
char* AccessFormat::write_json(char* at, const AccessRecord& record) {
  at = put(at, R"({"time":")");
  at = put(at, second_text(second_of(record.unix_us)));
  at = put(put_fraction(at, record.unix_us, 6), R"(Z","client":")");
  at += record.client.write(at);
  at = put_field(at, R"(","client_port":)", record.client_port);
  at = put_text(at, R"(,"method":")", record.method, word_bytes_max);
  at = put_text(at, R"(,"host":")", record.host, host_bytes_max);
  at = put_text(at, R"(,"target":")", record.target, target_bytes_max);
  at = put_text(at, R"(,"protocol":")", record.protocol, word_bytes_max);
  at = put_field(at, R"(,"status":)", record.status);
  at = put(put(put(at, R"(,"outcome":")"), name(record.outcome)), R"(")");
  at = put_field(at, R"(,"request_bytes":)", record.request_bytes);
  at = put_field(at, R"(,"response_bytes":)", record.response_bytes);
  at = put_milliseconds(put(at, R"(,"duration_ms":)"), record.duration);
  if (record.queue_time.count() > 0) at = put_milliseconds(put(at, R"(,"queue_ms":)"), record.queue_time);
  if (record.connect_time.count() > 0) at = put_milliseconds(put(at, R"(,"connect_ms":)"), record.connect_time);
  if (record.first_byte_time.count() > 0) at = put_milliseconds(put(at, R"(,"first_byte_ms":)"), record.first_byte_time);
  at = put_field(at, R"(,"tries":)", record.tries);
  at = put_text_if_any(at, R"(,"route":")", record.route, name_bytes_max);
  at = put_text_if_any(at, R"(,"pool":")", record.pool, name_bytes_max);
  at = put_text_if_any(at, R"(,"server":")", record.server, name_bytes_max);
  at = put_text_if_any(at, R"(,"algorithm":")", record.algorithm, word_bytes_max);
  at = put_text_if_any(at, R"(,"choice":")", record.choice, word_bytes_max);
  at = put_failed_tries(at, record.failed_tries);
  at = put_policy(at, record);
  at = put_text_if_any(at, R"(,"limit":")", record.limit, name_bytes_max);
  at = put_text_if_any(at, R"(,"request_id":")", record.request_id, name_bytes_max);
  at = put_text_if_any(at, R"(,"user_agent":")", record.user_agent, agent_bytes_max);
  at = put_text_if_any(at, R"(,"failure":")", record.failure, name_bytes_max);
  *at++ = '}';
  return at;
}

// What has a width comes first, in columns; what has none comes last.
//   2026-11-21 03:17:09.123  200  GET          1.234 ms       1234 B  127.0.0.1        example.com/path  → api/10.0.0.5:8001
char* AccessFormat::write_human(char* at, const AccessRecord& record) {
  at = put(at, second_text(second_of(record.unix_us)));
  at = put(put_fraction(at, record.unix_us, 3), "  ");
  if (style_ == LineStyle::coloured) at = put(at, colour_of(record.status));
  at = record.status == 0 ? put(at, "---") : put_right_aligned(at, record.status, 3);
  if (style_ == LineStyle::coloured) at = put(at, colour_end);
  at = put(at, "  ");
  const char* column = at;
  at = pad(put_escaped(at, record.method, word_bytes_max), column, 7);
  const std::uint64_t us = static_cast<std::uint64_t>(std::max<std::int64_t>(record.duration.count(), 0)) / 1000;
  at = put_right_aligned(put(at, "  "), us / 1000, 5);
  at = put(put_fraction(at, static_cast<std::int64_t>(us % 1000 * 1000), 3), " ms  ");
  at = put(put_right_aligned(at, record.response_bytes, 9), " B  ");
  column = at;
  at += record.client.write(at);
  at = put(pad(at, column, 15), "  ");
  at = put_escaped(at, record.host, host_bytes_max);
  at = put_escaped(at, record.target, target_bytes_max);
  if (!record.server.empty()) {
    at = put_escaped(put(at, "  → "), record.pool, name_bytes_max);
    at = put_escaped(put(at, "/"), record.server, name_bytes_max);
  }
  if (!record.policy.empty()) {
    at = put_escaped(put(at, "  "), record.policy_label, name_bytes_max);
    at = put_escaped(put(at, "="), record.policy, policy_bytes_max);
  }
  if (record.tries > 1) at = put(put_field(at, "  (", record.tries), " tries)");
  if (record.outcome != Outcome::complete) at = put(put(at, "  "), name(record.outcome));
  if (!record.failure.empty()) at = put_escaped(put(at, ": "), record.failure, name_bytes_max);
  return at;
}

const char* AccessFormat::second_text(std::int64_t unix_s) {
  if (unix_s != second_) {
    second_ = unix_s;
    *put_date_and_time(second_text_.data(), unix_s, style_ == LineStyle::json ? 'T' : ' ') = 0;
  }
  return second_text_.data();
}

}  // namespace steelyard
