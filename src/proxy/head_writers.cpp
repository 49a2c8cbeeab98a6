#include "proxy/head_writers.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "proxy/forwarded.hpp"

namespace steelyard {
namespace {

using http::FieldName;

void write_edits(HeadBuilder& out, const HeaderEdits& edits) {
  for (const HeaderField& field : edits.set) out.field(field.name, field.value);
  for (const HeaderField& field : edits.add) out.field(field.name, field.value);
}

void write_host(HeadBuilder& out, const OutgoingRequest& request) {
  std::string_view host = request.head.authority;
  if (request.route.host == "server" || (request.route.host.empty() && host.empty())) {
    host = request.server.authority;
  } else if (!request.route.host.empty()) {
    host = request.route.host;
  }
  out.field("Host", host);
}

// A gateway counts Max-Forwards down, so that it ends somewhere (RFC 9110 §7.6.2); others ignore it.
void write_max_forwards(HeadBuilder& out, const http::Field& field, http::Method method) {
  const auto hops = parse_unsigned<std::uint64_t>(field.value);
  const bool counts = method == http::Method::options || method == http::Method::trace;
  if (counts && hops && *hops > 0) {
    out.text(field.name).text(": ").number(*hops - 1).text("\r\n");
  } else {
    out.field(field.name, field.value);
  }
}

void write_request_framing(HeadBuilder& out, const http::RequestHead& head) {
  if (head.body.kind == http::BodyKind::chunked) {
    out.text("Transfer-Encoding: chunked\r\n");
  } else if (head.has_content_length) {
    out.text("Content-Length: ").number(head.body.length).text("\r\n");
  }
}

bool written_anew(FieldName id) {
  return id == FieldName::host || id == FieldName::content_length || id == FieldName::transfer_encoding || id == FieldName::x_request_id;
}

// Without the cookie `name`, and behind our `own`, where there is one; the others stay as they are (RFC 6265 §4.2.1).
void write_cookies(HeadBuilder& out, const http::Field& field, std::string_view name, std::string_view own) {
  bool first = own.empty();
  if (!first) out.text(field.name).text(": ").text(own);
  for (std::string_view rest = field.value; !rest.empty();) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view pair = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty() || trim(pair.substr(0, pair.find('='))) == name) continue;
    if (first) out.text(field.name).text(": ");
    out.text(first ? "" : "; ").text(pair);
    first = false;
  }
  if (!first) out.text("\r\n");
}

// Said to whoever may redirect.
bool ends_here(FieldName id, RouteMode mode) { return id == FieldName::x_steelyard_no_redirect && mode == RouteMode::automatic; }

}  // namespace

void write_request_head(HeadBuilder& out, const OutgoingRequest& request) {
  const http::RequestHead& head = request.head;
  out.text(head.method_text).text(" ").text(request.path);
  if (request.query != nullptr) {
    out.text(*request.query);
  } else if (head.has_query) {
    out.text("?").text(head.query);
  }
  out.text(" HTTP/1.1\r\n");
  write_host(out, request);
  const HeaderEdits& edits = request.route.request_headers;
  const Trust trust = request.by_gateway ? Trust::yes : trust_in(request.forwarded, request.client);
  std::string_view own_cookie = request.cookie;
  for (const http::Field& field : head.fields.all()) {
    if (field.hop_by_hop || written_anew(field.id) || ends_here(field.id, request.route.mode) ||
        drops(field, request.forwarded.style, trust) || edits.replace(field.name))
      continue;
    if (!request.without_cookie.empty() && field.id == FieldName::cookie) {
      write_cookies(out, field, request.without_cookie, std::exchange(own_cookie, {}));
    } else if (field.id == FieldName::max_forwards) {
      write_max_forwards(out, field, head.method);
    } else if (field.id != FieldName::expect || (head.expects_continue && request.expect == Expect::passed_on)) {
      out.field(field.name, field.value);
    }
  }
  if (!own_cookie.empty()) out.field("Cookie", own_cookie);
  write_request_framing(out, head);
  if (!head.upgrade.empty()) out.text("Connection: Upgrade\r\n").field("Upgrade", head.upgrade);
  write_forwarded(out, request.forwarded.style, trust, head.fields, request.client, head.authority, edits);
  if (request.forwarded.via && !edits.replace("Via")) {
    out.text(head.version_minor == 0 ? "Via: 1.0 " : "Via: 1.1 ").text(via_name).text("\r\n");
  }
  if (!edits.replace("X-Request-Id")) out.field("X-Request-Id", request.request_id);
  write_edits(out, edits);
  out.end();
}

void write_response_head(HeadBuilder& out, const OutgoingResponse& response) {
  const http::ResponseHead& head = response.head;
  out.text("HTTP/1.1 ").number(static_cast<std::uint64_t>(head.status)).text(" ").text(head.reason).text("\r\n");
  bool has_date = false;
  for (const http::Field& field : head.fields.all()) {
    if (field.hop_by_hop || field.id == FieldName::content_length || field.id == FieldName::transfer_encoding) continue;
    if (response.edits.replace(field.name)) continue;
    has_date |= field.id == FieldName::date;
    out.field(field.name, field.value);
  }
  if (!has_date && head.status >= 200 && !response.edits.replace("Date")) out.field("Date", response.date);
  if (head.status == 101) {
    out.text("Connection: Upgrade\r\n").field("Upgrade", head.upgrade);
  } else if (response.coding == ClientCoding::chunked) {
    out.text("Transfer-Encoding: chunked\r\n");
  } else if (head.has_content_length && response.coding != ClientCoding::until_close && head.status != 204) {  // RFC 9110 §8.6
    out.text("Content-Length: ").number(head.content_length).text("\r\n");
  }
  if (head.status != 101) {
    if (!response.exchange.keep_alive) {
      out.text("Connection: close\r\n");
    } else if (response.exchange.version_minor == 0) {
      out.text("Connection: keep-alive\r\n");
    }
  }
  if (!response.set_cookie.empty()) out.field("Set-Cookie", response.set_cookie);
  out.text(response.limit_fields);
  write_edits(out, response.edits);
  out.end();
}

void write_interim_head(HeadBuilder& out, const http::ResponseHead& head) {
  out.text("HTTP/1.1 ").number(static_cast<std::uint64_t>(head.status)).text(" ").text(head.reason).text("\r\n");
  for (const http::Field& field : head.fields.all()) {
    if (!field.hop_by_hop && field.id != FieldName::content_length && field.id != FieldName::transfer_encoding) {
      out.field(field.name, field.value);
    }
  }
  out.end();
}

}  // namespace steelyard
