// method SP request-target SP HTTP-version, with exactly these two spaces: a line that can be split in two ways is refused.
#include "wire/http1/request_line.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "wire/http/authority.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::http1 {

namespace {

using http::Method;
using http::ParseError;
using http::refuse;
using http::RequestHead;
using http::TargetForm;

constexpr std::size_t method_bytes_max = 32;

// Methods are case-sensitive (RFC 9110 §9.1): "get" is another method than "GET".
Method method_of(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Method::get;
      return text == "PUT" ? Method::put : Method::other;
    case 4:
      if (text == "POST") return Method::post;
      return text == "HEAD" ? Method::head : Method::other;
    case 5:
      if (text == "PATCH") return Method::patch;
      return text == "TRACE" ? Method::trace : Method::other;
    case 6: return text == "DELETE" ? Method::delete_ : Method::other;
    case 7:
      if (text == "OPTIONS") return Method::options;
      return text == "CONNECT" ? Method::connect : Method::other;
    default: return Method::other;
  }
}

// A higher minor version is read as the highest known one (RFC 9110 §2.5), another major version is not spoken here.
std::expected<std::uint8_t, ParseError> parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7])) {
    return refuse(400, "The request line does not end in an HTTP version.");
  }
  if (text[5] != '1') return refuse(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
  return 1;
}

// path [ "?" query ], the path already known to begin as it must.
std::expected<void, ParseError> parse_path_and_query(std::string_view text, RequestHead& out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end && http::is(*at, http::path_char)) ++at;
  out.path = {text.data(), at};
  if (at == end) return {};
  if (*at != '?') return refuse(400, "The target has a character that must be percent-encoded.");
  out.has_query = true;
  out.query = {at + 1, end};
  if (!http::all_of(out.query, http::query_char)) return refuse(400, "The query has a character that must be percent-encoded.");
  return {};
}

std::expected<void, ParseError> parse_absolute_form(RequestHead& out) {
  const std::string_view target = out.target;
  std::size_t scheme_bytes = 0;
  if (equals_ignoring_case(target.substr(0, 7), "http://")) scheme_bytes = 7;
  if (equals_ignoring_case(target.substr(0, 8), "https://")) scheme_bytes = 8;
  if (scheme_bytes == 0) return refuse(400, "The target is neither a path nor an http URI.");
  const std::string_view rest = target.substr(scheme_bytes);
  const std::size_t authority_bytes = std::min(rest.find_first_of("/?"), rest.size());
  out.form = TargetForm::absolute;
  out.authority = rest.substr(0, authority_bytes);
  if (!http::is_authority(out.authority)) return refuse(400, "The target names no valid host.");
  if (auto parsed = parse_path_and_query(rest.substr(authority_bytes), out); !parsed) return parsed;
  if (out.path.empty()) {
    // An empty path is "/" (RFC 9110 §4.2.3), except that OPTIONS without path and query asks about the server as a whole and
    // becomes "*" on its way (RFC 9112 §3.2.4).
    out.path = out.method == Method::options && !out.has_query ? "*" : "/";
  }
  return {};
}

std::expected<void, ParseError> parse_target(RequestHead& out) {
  out.has_query = false;
  out.query = {};
  out.authority = {};
  out.form = TargetForm::origin;
  if (out.method == Method::connect) {  // the only method with this form, and it has no other (RFC 9112 §3.2.3)
    if (!http::is_authority_with_port(out.target)) return refuse(400, "CONNECT needs host:port as its target.");
    out.form = TargetForm::authority;
    out.authority = out.target;
    out.path = {};
    return {};
  }
  if (out.target.front() == '/') return parse_path_and_query(out.target, out);
  if (out.target == "*") {
    if (out.method != Method::options) return refuse(400, "Only OPTIONS may have the target \"*\".");
    out.form = TargetForm::asterisk;
    out.path = out.target;
    return {};
  }
  return parse_absolute_form(out);
}

}  // namespace

std::expected<void, ParseError> parse_request_line(std::string_view line, RequestHead& out) {
  const char* at = line.data();
  const char* const end = at + line.size();
  while (at != end && http::is(*at, http::token_char)) ++at;
  out.method_text = {line.data(), at};
  if (at == end || *at != ' ' || out.method_text.empty()) return refuse(400, "The request line does not begin with a method.");
  if (out.method_text.size() > method_bytes_max) return refuse(501, "The method is unknown.");
  out.method = method_of(out.method_text);

  const std::string_view rest{at + 1, end};
  const std::size_t last_space = rest.rfind(' ');
  if (last_space == std::string_view::npos) return refuse(400, "The request line does not end in an HTTP version.");
  const auto version = parse_version(rest.substr(last_space + 1));
  if (!version) return std::unexpected(version.error());
  out.version_minor = *version;
  out.target = rest.substr(0, last_space);
  if (out.target.empty()) return refuse(400, "The request has no target.");
  return parse_target(out);
}

}  // namespace steelyard::http1
