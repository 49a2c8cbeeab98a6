// The routes that take their time, or the request's body.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backend/digest.hpp"
#include "backend/pattern.hpp"
#include "backend/range.hpp"
#include "backend/routes.hpp"
#include "base/ascii.hpp"
#include "wire/http/status.hpp"
#include "wire/utf8.hpp"

namespace steelyard::backend {
namespace {

constexpr std::uint64_t short_bytes_max = 64 * 1024;
constexpr std::uint64_t echo_bytes_max = 1024 * 1024;
constexpr std::uint64_t delay_ms_max = 3'600'000;
constexpr std::uint64_t events_max = 3600;

// "1000", "64k", "1m": powers of 1024, up to 1 TiB.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::string_view units = "kmgt";
  unsigned shift = 0;
  if (!text.empty()) {
    const std::size_t unit = units.find(to_lower(text.back()));
    if (unit != std::string_view::npos) {
      shift = static_cast<unsigned>(10 * (unit + 1));
      text.remove_suffix(1);
    }
  }
  constexpr std::uint64_t size_max = std::uint64_t{1} << 40U;
  const auto number = parse_unsigned<std::uint64_t>(text);
  if (!number || *number > size_max >> shift) return std::nullopt;
  return *number << shift;
}

// Of a body of so many bytes; nothing: all of it. What it was like before is not known here, so nobody can go on by If-Range.
std::optional<Range> asked_part(Exchange& exchange, std::uint64_t size) {
  if (exchange.method != http::Method::get) return std::nullopt;
  std::optional<std::string_view> range;
  for (const http::Field& field : exchange.head().fields.all()) {
    if (equals_ignoring_case(field.name, "If-Range")) return std::nullopt;
    if (equals_ignoring_case(field.name, "Range")) range = field.value;
  }
  return range ? parse_range(*range, size) : std::nullopt;
}

class Collect final : public BodySink {
 public:
  bool take(std::span<const char> bytes) override {
    if (text.size() + bytes.size() > echo_bytes_max) return false;
    text.append(bytes.data(), bytes.size());
    return true;
  }
  std::string text;
};

class Hash final : public BodySink {
 public:
  bool take(std::span<const char> bytes) override {
    digest.add(bytes);
    return true;
  }
  Sha256 digest;
};

}  // namespace

Task<void> Routes::send_bytes(Exchange& exchange, std::string_view argument) {
  const bool read = co_await answers_.discard_body(exchange);
  if (!read) co_return;
  const auto count = parse_size(argument);
  if (!count) {
    const Answer answer = problem(400, "/bytes/N takes a size, e.g. 1000, 64k or 1m, up to 1t");
    co_await answers_.send(exchange, answer);
    co_return;
  }
  if (!exchange.body.done()) exchange.keep_alive = false;
  if (const auto part = asked_part(exchange, *count)) {
    co_await send_part(exchange, *part, *count);
    co_return;
  }
  const std::uint64_t in_one = *count <= short_bytes_max && exchange.method != http::Method::head ? *count : 0;
  const std::span<char> pattern{pattern_.get() + pattern_front_bytes, pattern_bytes};
  // The head directly in front of the body, so that both leave in one send and nothing is made anew but the head.
  char memory[pattern_front_bytes];
  HeadBuilder head(memory);
  answers_.write_head(head, exchange, {.type = "application/octet-stream", .length = *count, .fields = "Accept-Ranges: bytes\r\n"});
  const std::size_t head_bytes = head.view().copy(pattern.data() - head.view().size(), pattern_front_bytes);
  exchange.response_started = true;
  if (!exchange.response.send(std::span<const char>(pattern.data() - head_bytes, head_bytes + in_one))) exchange.broken_off = true;
  const bool flushed = co_await answers_.flush(exchange);
  if (flushed && exchange.method != http::Method::head) co_await send_pattern(exchange, in_one, *count);
}

Task<void> Routes::send_part(Exchange& exchange, Range part, std::uint64_t size) {
  if (part.count == 0) {
    const std::string fields = fmt::format("Content-Range: bytes */{}\r\n", size);
    Answer answer = problem(416, fmt::format("there are {} bytes, and none of them is in the range that was asked for", size));
    answer.fields = fields;
    co_await answers_.send(exchange, answer);
    co_return;
  }
  const std::uint64_t end = part.first + part.count;
  const std::string fields = fmt::format("Accept-Ranges: bytes\r\nContent-Range: bytes {}-{}/{}\r\n", part.first, end - 1, size);
  HeadBuilder head(answers_.scratch().head());
  answers_.write_head(head, exchange, {.status = 206, .type = "application/octet-stream", .length = part.count, .fields = fields});
  exchange.response_started = true;
  if (!exchange.response.send(head.view())) exchange.broken_off = true;
  const bool flushed = co_await answers_.flush(exchange);
  if (flushed) co_await send_pattern(exchange, part.first, end);
}

// The bytes from `position` on, up to `end`.
Task<void> Routes::send_pattern(Exchange& exchange, std::uint64_t position, std::uint64_t end) {
  const std::span<const char> pattern{pattern_.get() + pattern_front_bytes, pattern_bytes};
  while (position < end) {
    const std::size_t from = position % pattern_bytes;
    const auto piece = pattern.subspan(from, static_cast<std::size_t>(std::min<std::uint64_t>(pattern_bytes - from, end - position)));
    const bool taken = co_await answers_.send_all(exchange, piece);
    if (!taken) co_return;
    position += piece.size();
  }
}

Task<void> Routes::delay(Exchange& exchange, std::string_view argument) {
  const bool read = co_await answers_.discard_body(exchange);
  if (!read) co_return;
  const auto ms = parse_unsigned<std::uint64_t>(argument);
  if (!ms || *ms > delay_ms_max) {
    const Answer answer = problem(400, "/delay/MS takes milliseconds, up to 3600000");
    co_await answers_.send(exchange, answer);
    co_return;
  }
  const bool waited = co_await answers_.pause(exchange, answers_.now() + std::chrono::milliseconds(*ms));
  if (!waited) co_return;
  const Answer answer{.body = fmt::format("{{\"name\":{},\"delay_ms\":{}}}\n", name_json_, *ms)};
  co_await answers_.send(exchange, answer);
}

Task<void> Routes::status(Exchange& exchange, std::string_view argument) {
  const bool read = co_await answers_.discard_body(exchange);
  if (!read) co_return;
  const auto wanted = parse_unsigned<std::uint16_t>(argument);
  Answer answer;
  if (!wanted || *wanted < 100 || *wanted > 599 || *wanted == 101) {
    answer = problem(400, "/status/N takes a status from 100 to 599, but not 101, which /ws answers with");
  } else if (*wanted < 200) {
    // An interim answer answers nothing; the final one follows. HTTP/1.0 knows none (RFC 9110 §15.2).
    const std::string interim = fmt::format("HTTP/1.1 {} {}\r\n\r\n", *wanted, http::reason_phrase(*wanted));
    if (exchange.version_minor > 0 && !exchange.response.send(std::string_view(interim))) exchange.broken_off = true;
    answer.body = fmt::format("{{\"interim\":{},\"status\":200}}\n", *wanted);
  } else {
    answer.status = *wanted;
    // 205 has a length, of 0 (RFC 9110 §15.3.6).
    if (*wanted != 205) answer.body = fmt::format("{{\"status\":{},\"reason\":\"{}\"}}\n", *wanted, http::reason_phrase(*wanted));
  }
  if (!exchange.broken_off) co_await answers_.send(exchange, answer);
}

Task<void> Routes::stream_events(Exchange& exchange, std::string_view argument) {
  const bool read = co_await answers_.discard_body(exchange);
  if (!read) co_return;
  const bool endless = exchange.path == "/stream";
  const auto wanted = endless ? events_max : parse_unsigned<std::uint64_t>(argument);
  if (!wanted || *wanted > events_max) {
    const Answer answer = problem(400, "/stream/N takes a number of events, up to 3600");
    co_await answers_.send(exchange, answer);
    co_return;
  }
  const BodyCoding coding = exchange.version_minor == 0 ? BodyCoding::until_close : BodyCoding::chunked;
  if (coding == BodyCoding::until_close || !exchange.body.done()) exchange.keep_alive = false;
  HeadBuilder head(answers_.scratch().head());
  answers_.write_head(head, exchange, {.type = "text/event-stream", .coding = coding, .fields = "Cache-Control: no-store\r\n"});
  exchange.response_started = true;
  if (!exchange.response.send(head.view())) exchange.broken_off = true;
  if (exchange.method == http::Method::head) co_return;
  // Each at its time from the start, so that slow steps do not add up.
  const Instant begun = answers_.now();
  for (std::uint64_t n = 1; n <= *wanted && !exchange.broken_off; ++n) {
    const std::string event = fmt::format("id: {}\ndata: {{\"event\":{},\"of\":{},\"name\":{}}}\n\n", n, n, *wanted, name_json_);
    const std::string piece = coding == BodyCoding::chunked ? fmt::format("{:x}\r\n{}\r\n", event.size(), event) : event;
    const bool sent = co_await answers_.send_all(exchange, piece);
    if (sent && n < *wanted) co_await answers_.pause(exchange, begun + facts_.stream_interval * static_cast<std::int64_t>(n));
  }
  if (coding == BodyCoding::chunked && !exchange.broken_off) co_await answers_.send_all(exchange, std::string_view("0\r\n\r\n"));
}

Task<void> Routes::echo(Exchange& exchange, std::string_view /*argument*/) {
  Answer answer;
  if (exchange.head().body.kind == http::BodyKind::length && exchange.head().body.length > echo_bytes_max) {
    answer = problem(413, "/echo takes a body of up to 1 MiB");
  } else {
    Collect body;
    const bool read = co_await answers_.read_body(exchange, body);
    if (!read) co_return;
    answer.body = describe(exchange, body.text);
  }
  co_await answers_.send(exchange, answer);
}

std::string Routes::describe(Exchange& exchange, std::string_view body) {
  const http::RequestHead& head = exchange.head();
  nlohmann::ordered_json json;
  json["name"] = facts_.name;
  json["method"] = head.method_text;
  json["path"] = head.path;
  json["query"] = head.query;
  json["version"] = head.version_minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
  json["client"] = exchange.client.to_string();
  // Pairs and not an object: a name may come more than once, and the order counts.
  nlohmann::ordered_json& headers = json["headers"] = nlohmann::ordered_json::array();
  for (const http::Field& field : head.fields.all()) headers.push_back({field.name, field.value});
  json["body_bytes"] = body.size();
  if (is_utf8(body)) {
    json["body"] = body;
  } else {
    json["body_base64"] = to_base64({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Task<void> Routes::upload(Exchange& exchange, std::string_view /*argument*/) {
  Hash body;
  const bool read = co_await answers_.read_body(exchange, body);
  if (!read) co_return;
  const Answer answer{.body = fmt::format("{{\"bytes\":{},\"sha256\":\"{}\"}}\n", exchange.body.payload_bytes(), body.digest.finish())};
  co_await answers_.send(exchange, answer);
}

}  // namespace steelyard::backend
