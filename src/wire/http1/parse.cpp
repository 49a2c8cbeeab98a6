// One pass from line to line. Where a head arrives in pieces, each line is judged when it is complete, and once the last one
// is, the whole head is read again into `out`: its bytes may have moved in between. A head is thus read twice at most.
#include "wire/http1/parse.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "wire/http/authority.hpp"
#include "wire/http/characters.hpp"
#include "wire/http1/field_line.hpp"
#include "wire/http1/framing.hpp"
#include "wire/http1/request_line.hpp"

namespace steelyard::http1 {

namespace {

using http::ParseError;
using http::refuse;

// The line that begins at scan.line_start and ends in CRLF before `limit`, or nullptr data while it is not complete. Moves
// `scan` behind it.
std::expected<std::string_view, ParseError> take_line(std::string_view bytes, ScanState& scan, std::size_t limit, ParseError too_long) {
  const char* const end = bytes.data() + std::min(bytes.size(), limit);
  const char* at = http::find_control(bytes.data() + scan.offset, end);
  if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') [[likely]] {
    const std::string_view line{bytes.data() + scan.line_start, at};
    scan.offset = scan.line_start = static_cast<std::size_t>(at + 2 - bytes.data());
    return line;
  }
  scan.offset = static_cast<std::size_t>(at - bytes.data());
  if (at == end || (*at == '\r' && at + 1 == end)) {
    if (bytes.size() >= limit) return std::unexpected(too_long);
    return std::string_view{};
  }
  return refuse(400, describe_control(*at));
}

std::size_t start_line_limit(const ScanState& scan, const http::HeadLimits& limits) {
  return std::min<std::size_t>(scan.line_start + limits.request_line_bytes_max + 2, limits.head_bytes_max);
}

// Takes field lines up to the empty line that ends the head. Returns where it ends, 0 while it is not complete.
std::expected<std::size_t, ParseError> take_fields(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                   http::Fields& fields) {
  constexpr ParseError too_long{431, "The header section is too long.", ParseError::Bound::head_bytes};
  constexpr ParseError too_many{431, "There are too many header fields.", ParseError::Bound::field_count};
  fields.clear();
  while (true) {
    const auto line = take_line(bytes, scan, limits.head_bytes_max, too_long);
    if (!line) return std::unexpected(line.error());
    if (line->data() == nullptr) return 0;
    if (line->empty()) return scan.offset;
    const auto field = parse_field_line(*line);
    if (!field) return std::unexpected(field.error());
    if (++scan.field_count > limits.field_count_max || !fields.push_back(*field)) return std::unexpected(too_many);
  }
}

// Other protocols are told at their first byte, not when their talk becomes too long. CR may begin an empty line.
bool may_begin_request(std::string_view bytes, const ScanState& scan) {
  return scan.line_start >= bytes.size() || bytes[scan.line_start] == '\r' || http::is(bytes[scan.line_start], http::token_char);
}

// The first line of a request; nullptr data while it is not complete. One empty line before it is skipped, which some clients
// send after a body (RFC 9112 §2.2); more would be a way to keep us busy.
std::expected<std::string_view, ParseError> take_request_line(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits) {
  constexpr ParseError too_long{414, "The request line is too long.", ParseError::Bound::request_line_bytes};
  for (;;) {
    if (!may_begin_request(bytes, scan)) return refuse(400, "The request line does not begin with a method.");
    const bool first = scan.line_start == 0;
    const auto line = take_line(bytes, scan, start_line_limit(scan, limits), too_long);
    const bool skip = first && line && line->data() != nullptr && line->empty();
    if (!skip) return line;
  }
}

// Which host the request is for (RFC 9112 §3.2). One Host field, required since HTTP/1.1, and no second opinion in the target.
std::expected<void, ParseError> settle_authority(http::RequestHead& head) {
  const http::Field* host = nullptr;
  for (const http::Field& field : head.fields.all()) {
    if (field.id != http::FieldName::host) continue;
    if (host != nullptr) return refuse(400, "There is more than one Host field.");
    host = &field;
  }
  if (host == nullptr) {
    if (head.version_minor != 0) return refuse(400, "There is no Host field.");
    return {};
  }
  if (!http::is_authority(host->value)) return refuse(400, "The Host field names no valid host.");
  // RFC 9112 §3.2.2 has a proxy ignore Host where the target says more; a server behind that does not would see another host.
  if (!head.authority.empty() && !equals_ignoring_case(head.authority, host->value)) {
    return refuse(400, "Target and Host field name different hosts.");
  }
  if (head.authority.empty()) head.authority = host->value;
  return {};
}

// HTTP-version SP status-code [ SP reason ] (RFC 9112 §4). The second space may be missing where there is no reason: many
// servers leave it out, and nothing can be mistaken for it.
std::expected<void, ParseError> parse_status_line(std::string_view line, http::ResponseHead& out) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || !is_digit(line[7]) || line[8] != ' ') {
    return refuse(400, "The response does not begin with an HTTP/1 status line.");
  }
  out.version_minor = line[7] == '0' ? 0 : 1;
  const auto status = parse_unsigned<std::uint16_t>(line.substr(9, 3));
  if (!status || *status < 100 || *status > 599) return refuse(400, "The status code is none (RFC 9110 §15).");
  if (line.size() > 12 && line[12] != ' ') return refuse(400, "The status code is not followed by a space.");
  out.status = *status;
  out.reason = line.substr(std::min<std::size_t>(line.size(), 13));
  return {};
}

std::expected<std::string_view, ParseError> take_status_line(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits) {
  constexpr std::string_view beginning = "HTTP/1.";
  if (!beginning.starts_with(bytes.substr(0, beginning.size()))) {
    return refuse(400, "The response does not begin with an HTTP/1 status line.");
  }
  return take_line(bytes, scan, start_line_limit(scan, limits), {431, "The status line is too long."});
}

}  // namespace

std::expected<std::size_t, ParseError> parse_request(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                     http::RequestHead& out) {
  const bool resumed = scan.offset != 0;
  if (!scan.request_line_seen) {
    const auto line = take_request_line(bytes, scan, limits);
    if (!line) return std::unexpected(line.error());
    if (line->data() == nullptr) return 0;
    if (auto parsed = parse_request_line(*line, out); !parsed) return std::unexpected(parsed.error());
    scan.request_line_seen = true;
  }
  const auto head_bytes = take_fields(bytes, scan, limits, out.fields);
  if (!head_bytes || *head_bytes == 0) return head_bytes;
  if (resumed) {
    ScanState whole;
    return parse_request(bytes, whole, limits, out);
  }
  if (auto settled = settle_authority(out); !settled) return std::unexpected(settled.error());
  if (auto framed = frame_request(out); !framed) return std::unexpected(framed.error());
  return head_bytes;
}

std::expected<std::size_t, ParseError> parse_response(std::string_view bytes, ScanState& scan, const http::HeadLimits& limits,
                                                      http::Method method, http::ResponseHead& out) {
  const bool resumed = scan.offset != 0;
  if (!scan.request_line_seen) {
    const auto line = take_status_line(bytes, scan, limits);
    if (!line) return std::unexpected(line.error());
    if (line->data() == nullptr) return 0;
    if (auto parsed = parse_status_line(*line, out); !parsed) return std::unexpected(parsed.error());
    scan.request_line_seen = true;
  }
  const auto head_bytes = take_fields(bytes, scan, limits, out.fields);
  if (!head_bytes || *head_bytes == 0) return head_bytes;
  if (resumed) {
    ScanState whole;
    return parse_response(bytes, whole, limits, method, out);
  }
  if (auto framed = frame_response(out, method); !framed) return std::unexpected(framed.error());
  return head_bytes;
}

}  // namespace steelyard::http1
