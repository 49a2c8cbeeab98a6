// The options are few and usually one; the search for the fields that they name is bounded by options_max × fields.
#include "wire/http1/connection_options.hpp"

#include <array>

#include "base/ascii.hpp"
#include "wire/http/characters.hpp"
#include "wire/http/field_name.hpp"

namespace steelyard::http1 {

namespace {

using http::FieldName;
using http::ParseError;

constexpr std::uint32_t options_max = 64;  // in all Connection fields of a message, empty list elements included

// What never leaves this hop. Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding and Upgrade by RFC 9110 §7.6.1;
// HTTP2-Settings belongs to an upgrade that is never offered (RFC 9113 §3.1 retired it). Proxy-Authenticate and
// Proxy-Authorization are between a client and the proxy in front of it, which is us (RFC 9110 §11.7). Proxy is no field at
// all, but CGI makes HTTP_PROXY of it ("httpoxy"). Trailer stays: trailers are forwarded, and it announces them.
constexpr bool ends_here(FieldName id) {
  switch (id) {
    case FieldName::connection:
    case FieldName::http2_settings:
    case FieldName::keep_alive:
    case FieldName::proxy:
    case FieldName::proxy_authenticate:
    case FieldName::proxy_authorization:
    case FieldName::proxy_connection:
    case FieldName::te:
    case FieldName::transfer_encoding:
    case FieldName::upgrade: return true;
    default: return false;
  }
}

constexpr auto ends_here_table = [] {
  std::array<bool, 256> table{};
  for (unsigned id = 0; id <= static_cast<unsigned>(FieldName::x_request_id); ++id) table[id] = ends_here(static_cast<FieldName>(id));
  return table;
}();

// Calls `visit` with each element of a comma-separated list, trimmed, empty ones too; stops when it returns false.
template <typename Visit>
bool for_each_element(std::string_view list, Visit visit) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (!visit(trim(list.substr(0, comma)))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

// A field is nominated: strip it. Clients may so remove their own X-Forwarded-For or Authorization, never ours: ours are
// added after. Host and framing are for every recipient, and a message without them is another message: refused.
std::expected<void, ParseError> nominate(std::string_view name, http::Fields& fields) {
  const FieldName id = http::classify(name);
  if (id == FieldName::host || id == FieldName::content_length || id == FieldName::transfer_encoding) {
    return std::unexpected(ParseError{400, "The Connection field names a field that every recipient needs."});
  }
  for (http::Field& field : fields.all()) {
    if (equals_ignoring_case(field.name, name)) field.hop_by_hop = true;
  }
  return {};
}

std::expected<void, ParseError> apply_option(std::string_view option, ConnectionOptions& options, http::Fields& fields) {
  if (option.empty()) return {};  // RFC 9110 §5.6.1: empty list elements are ignored
  if (equals_ignoring_case(option, "keep-alive")) {
    options.keep_alive = true;
  } else if (equals_ignoring_case(option, "close")) {
    options.close = true;
  } else if (equals_ignoring_case(option, "upgrade")) {
    options.upgrade = true;
  } else if (http::is_token(option)) {
    return nominate(option, fields);
  } else {
    return std::unexpected(ParseError{400, "The Connection field is malformed."});
  }
  return {};
}

// protocol-name ["/" protocol-version] (RFC 9110 §7.8), of those that may be offered.
bool may_be_offered(std::string_view protocol) {
  const std::size_t slash = protocol.find('/');
  const std::string_view name = protocol.substr(0, slash);
  if (!http::is_token(name) || (slash != std::string_view::npos && !http::is_token(protocol.substr(slash + 1)))) return false;
  return !equals_ignoring_case(name, "h2c") && !equals_ignoring_case(name, "h2") && !equals_ignoring_case(name, "tls") &&
         !equals_ignoring_case(name, "http");
}

}  // namespace

std::expected<ConnectionOptions, ParseError> apply_connection_options(http::Fields& fields) {
  ConnectionOptions options;
  std::uint32_t count = 0;
  for (http::Field& field : fields.all()) {
    field.hop_by_hop |= ends_here_table[static_cast<std::uint8_t>(field.id)];
    if (field.id != FieldName::connection) continue;
    std::expected<void, ParseError> applied;
    for_each_element(field.value, [&](std::string_view option) {
      if (++count > options_max) {
        applied = std::unexpected(ParseError{400, "The Connection field has too many options."});
      } else {
        applied = apply_option(option, options, fields);
      }
      return applied.has_value();
    });
    if (!applied) return std::unexpected(applied.error());
  }
  return options;
}

std::string_view upgrade_protocols(const http::Fields& fields) {
  const http::Field* upgrade = nullptr;
  for (const http::Field& field : fields.all()) {
    if (field.id != FieldName::upgrade) continue;
    if (upgrade != nullptr) return {};  // two fields are one list in pieces; nobody sends that
    upgrade = &field;
  }
  // One element that may not be offered spoils all: to forward the others the list would have to be rewritten.
  return upgrade != nullptr && for_each_element(upgrade->value, may_be_offered) ? upgrade->value : std::string_view{};
}

}  // namespace steelyard::http1
