// Both functions gather what the fields say about length and then follow RFC 9112 §6.3, whose numbers stand at the steps.
#include "wire/http1/framing.hpp"

#include <optional>

#include "base/ascii.hpp"
#include "wire/http/characters.hpp"
#include "wire/http1/connection_options.hpp"

namespace steelyard::http1 {

namespace {

using http::BodyKind;
using http::FieldName;
using http::Method;
using http::ParseError;
using http::refuse;

// What the fields say about the length of the body, before anybody asked whether there is one.
struct LengthFields {
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
};

std::expected<LengthFields, ParseError> read_length_fields(const http::Fields& fields, std::uint8_t version_minor);

bool persists(std::uint8_t version_minor, const ConnectionOptions& options) {
  return !options.close && (version_minor != 0 || options.keep_alive);  // RFC 9112 §9.3
}

// RFC 9110 §10.1.1. Nothing but 100-continue was ever defined. It means nothing without a body or in HTTP/1.0.
std::expected<bool, ParseError> read_expectation(const http::RequestHead& head) {
  bool expects_continue = false;
  for (const http::Field& field : head.fields.all()) {
    if (field.id != FieldName::expect) continue;
    if (!equals_ignoring_case(field.value, "100-continue")) return refuse(417, "The expectation is unknown.");
    expects_continue = true;
  }
  return expects_continue && head.body.kind != BodyKind::none && head.version_minor != 0;
}

http::BodyFraming framing_of_length(std::uint64_t length) {
  return length == 0 ? http::BodyFraming{} : http::BodyFraming{BodyKind::length, length};
}

bool never_has_body(int status, Method request_method) {
  return request_method == Method::head || status < 200 || status == 204 || status == 304;
}

// A server that announces a body where none may be has another idea of HTTP; whatever follows on its connection is not to be
// trusted. HEAD and 304 do speak of the body that GET would have had.
bool announces_impossible_body(int status, const LengthFields& lengths) {
  return (status < 200 || status == 204) && (lengths.chunked || lengths.content_length.value_or(0) != 0);
}

// RFC 9110 §8.6: no Content-Length in 1xx and 204.
void drop_content_length(http::Fields& fields) {
  for (http::Field& field : fields.all()) {
    if (field.id == FieldName::content_length) field.hop_by_hop = true;
  }
}

}  // namespace

std::expected<void, ParseError> frame_request(http::RequestHead& head) {
  const auto options = apply_connection_options(head.fields);
  if (!options) return std::unexpected(options.error());
  const auto lengths = read_length_fields(head.fields, head.version_minor);
  if (!lengths) return std::unexpected(lengths.error());

  head.has_content_length = lengths->content_length.has_value();
  if (lengths->chunked) {  // 4
    head.body = {BodyKind::chunked, 0};
  } else {  // 6, and 7: a request without either field has no body
    head.body = framing_of_length(lengths->content_length.value_or(0));
  }
  // RFC 9110 §9.3.8, §9.3.6: TRACE must not have content, and that of CONNECT means nothing: it might be the tunnel's bytes.
  const bool bodiless_method = head.method == Method::trace || head.method == Method::connect;
  if (bodiless_method && (lengths->chunked || head.has_content_length)) return refuse(400, "This method must not have a body.");

  head.keep_alive = persists(head.version_minor, *options);
  const auto expects_continue = read_expectation(head);
  if (!expects_continue) return std::unexpected(expects_continue.error());
  head.expects_continue = *expects_continue;
  // RFC 9110 §7.8: a 1.0 client cannot upgrade. With a body it could, after the body; nobody does, and two ends of a message
  // are one too many.
  const bool may_upgrade = options->upgrade && head.version_minor != 0 && head.body.kind == BodyKind::none;
  head.upgrade = may_upgrade ? upgrade_protocols(head.fields) : std::string_view{};
  return {};
}

std::expected<void, ParseError> frame_response(http::ResponseHead& head, Method request_method) {
  const auto options = apply_connection_options(head.fields);
  if (!options) return std::unexpected(options.error());
  const auto lengths = read_length_fields(head.fields, head.version_minor);
  if (!lengths) return std::unexpected(lengths.error());

  head.has_content_length = lengths->content_length.has_value();
  head.content_length = lengths->content_length.value_or(0);
  head.keep_alive = persists(head.version_minor, *options);
  head.upgrade = {};
  head.body = {};
  if (never_has_body(head.status, request_method)) {  // 1
    if (announces_impossible_body(head.status, *lengths)) head.keep_alive = false;
    if (head.status < 200 || head.status == 204) drop_content_length(head.fields);
  } else if (request_method == Method::connect && head.status < 300) {  // 2
    return refuse(400, "CONNECT was never sent.");
  } else if (lengths->chunked) {  // 4
    head.body = {BodyKind::chunked, 0};
  } else if (lengths->content_length) {  // 6
    head.body = framing_of_length(*lengths->content_length);
  } else {  // 8
    head.body = {BodyKind::until_close, 0};
    head.keep_alive = false;
  }
  if (head.status == 101) {
    // RFC 9110 §15.2.2: the server names the protocol that it switches to. A 101 without it switches to nothing.
    if (options->upgrade && head.version_minor != 0) head.upgrade = upgrade_protocols(head.fields);
    if (head.upgrade.empty()) return refuse(400, "The server switches to no valid protocol.");
    head.keep_alive = false;
  }
  return {};
}

namespace {

// Transfer-Encoding is "chunked", once, or refused: RFC 9112 §6.1 knows other codings and orders of them, which nobody sends
// and two readers decode in two ways.
std::expected<void, ParseError> read_transfer_encoding(std::string_view value, bool& chunked) {
  if (chunked) return refuse(400, "There is more than one Transfer-Encoding field.");
  chunked = equals_ignoring_case(value, "chunked");
  if (chunked) return {};
  bool other_coding = false;
  while (true) {
    const std::size_t comma = value.find(',');
    const std::string_view coding = trim(value.substr(0, comma));
    if (!http::is_token(coding)) return refuse(400, "The Transfer-Encoding field is malformed.");
    other_coding |= !equals_ignoring_case(coding, "chunked");
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  if (other_coding) return refuse(501, "The transfer coding is unknown.");
  return refuse(400, "The body is chunked more than once.");
}

// One number of decimal digits. Lists of equal numbers are refused although RFC 9110 §8.6 lets them pass, and so are leading
// zeros, which some take for octal. Beyond 2^63 - 1 sums of lengths would overflow elsewhere.
std::expected<std::uint64_t, ParseError> read_content_length(std::string_view value) {
  const auto length = parse_unsigned<std::uint64_t>(value);
  if (!length || *length > INT64_MAX || (value.size() > 1 && value.front() == '0'))
    return refuse(400, "The Content-Length is not a valid number.");
  return *length;
}

std::expected<LengthFields, ParseError> read_length_fields(const http::Fields& fields, std::uint8_t version_minor) {
  LengthFields lengths;
  for (const http::Field& field : fields.all()) {
    if (field.id == FieldName::transfer_encoding) {
      // RFC 9112 §6.1: in HTTP/1.0 the framing is to be taken as faulty.
      if (version_minor == 0) return refuse(400, "HTTP/1.0 has no Transfer-Encoding.");
      if (auto read = read_transfer_encoding(field.value, lengths.chunked); !read) return std::unexpected(read.error());
    } else if (field.id == FieldName::content_length) {
      if (lengths.content_length) return refuse(400, "There is more than one Content-Length field.");  // 5
      const auto length = read_content_length(field.value);
      if (!length) return std::unexpected(length.error());
      lengths.content_length = *length;
    }
  }
  // 3: the one that overrides might be the one that somebody else does not see.
  if (lengths.chunked && lengths.content_length) return refuse(400, "Content-Length and Transfer-Encoding contradict each other.");
  return lengths;
}

}  // namespace

}  // namespace steelyard::http1
