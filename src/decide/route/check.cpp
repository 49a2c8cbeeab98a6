#include "decide/route/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "base/ascii.hpp"
#include "decide/route/host_pattern.hpp"
#include "net/address.hpp"

namespace steelyard {
namespace {

using Problem = std::optional<std::string>;

constexpr bool is_letter(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }

// RFC 9110 §5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").contains(c); });
}

Problem name_problem(std::string_view host, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > 253) return fmt::format("host '{}' has {} characters; a name has at most 253", host, name.size());
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::string_view label = name.substr(begin, name.find('.', begin) - begin);
    if (label.empty()) return fmt::format("host '{}' has an empty label; write it like 'api.example.com'", host);
    if (label.contains('*')) return fmt::format("host '{}': '*' stands only for whole labels at the front, as in '*.example.com'", host);
    if (label.size() > 63) return fmt::format("host '{}' has a label of {} characters; at most 63 are allowed", host, label.size());
    for (const char c : label) {
      if (static_cast<unsigned char>(c) >= 0x80) return fmt::format("host '{}' is not ASCII; write it in its 'xn--' spelling", host);
      if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') return fmt::format("host '{}' has '{}', which no host name has", host, c);
    }
    begin += label.size() + 1;
  }
  return std::nullopt;
}

Problem host_problem(std::string_view host) {
  if (host.empty()) return std::nullopt;
  if (host == "*") return "host '*': leave 'host' out to match every host";
  if (host.contains('/')) return fmt::format("host '{}' has a '/'; a host is without scheme and path, like 'api.example.com'", host);
  const route::HostAndPort parts = route::split_port(host);
  if (!parts.port.empty()) {
    const auto port = parse_unsigned<std::uint16_t>(parts.port.substr(1));
    if (!port || *port == 0) return fmt::format("host '{}': the port is a number from 1 to 65535", host);
  }
  if (parts.host.starts_with('[')) {
    const bool closed = parts.host.size() > 2 && parts.host.ends_with(']');
    const auto ip = closed ? IpAddress::parse(parts.host.substr(1, parts.host.size() - 2)) : std::nullopt;
    if (!ip || !ip->is_v6()) return fmt::format("host '{}' has no IPv6 address in its brackets", host);
    // Hosts are compared as text, and this is the text that clients send.
    const std::string usual = "[" + ip->to_string() + "]";
    return equals_ignoring_case(usual, parts.host) ? Problem{} : fmt::format("host '{}': write the address as '{}'", host, usual);
  }
  if (parts.host.contains(':')) return fmt::format("host '{}': an IPv6 address stands in brackets, like '[::1]'", host);
  return name_problem(host, parts.host.starts_with("*.") ? parts.host.substr(2) : parts.host);
}

Problem segment_problem(std::string_view path, std::string_view segment) {
  if (segment == "**") return fmt::format("path '{}': '**' is unknown; '/*' at the end takes everything below", path);
  if (segment != "*" && segment.contains('*')) {
    return fmt::format("path '{}': '*' stands for a whole segment, '{}' cannot be matched", path, segment);
  }
  if (segment == "." || segment == "..") return fmt::format("path '{}' has a '{}' segment, which no request keeps", path, segment);
  return std::nullopt;
}

Problem path_problem(std::string_view path) {
  if (path.empty()) return std::nullopt;
  if (path == "*") return "path '*': leave 'path' out to match every path";
  if (!path.starts_with('/')) return fmt::format("path '{}' must begin with '/'", path);
  if (path.size() > match_path_bytes_max)
    return fmt::format("a path of {} characters; at most {} are allowed", path.size(), match_path_bytes_max);
  for (const char c : path) {
    if (c == '?' || c == '#') return fmt::format("path '{}' has '{}'; routes match the path alone, without query and fragment", path, c);
    if (c <= ' ' || c >= '\x7f') return fmt::format("path '{}': write what is not visible ASCII percent-encoded, like '%20'", path);
  }
  std::size_t segments = 0;
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::string_view segment = path.substr(begin, path.find('/', begin) - begin);
    if (const Problem problem = segment_problem(path, segment)) return problem;
    begin += segment.size() + 1;
    ++segments;
  }
  if (segments > match_path_segments_max)
    return fmt::format("a path of {} segments; at most {} are allowed", segments, match_path_segments_max);
  return std::nullopt;
}

Problem method_problem(std::string_view method) {
  if (!is_token(method)) return fmt::format("'{}' is no method", method);
  for (const char* known : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"}) {
    if (method != known && equals_ignoring_case(method, known))
      return fmt::format("methods are case-sensitive: write '{}', not '{}'", known, method);
  }
  return std::nullopt;
}

Problem header_problem(const HeaderMatch& header) {
  if (!is_token(header.name)) return fmt::format("'{}' is no name of a header field", header.name);
  if (trim(header.value).size() != header.value.size()) {
    return fmt::format("header '{}': the value begins or ends with white space, which no request keeps", header.name);
  }
  const bool printable = std::ranges::all_of(header.value, [](char c) { return c == '\t' || (c >= ' ' && c != '\x7f') || c < 0; });
  return printable ? Problem{} : fmt::format("header '{}': the value has a control character", header.name);
}

// Everything that decides what a match takes, in one spelling.
using Meaning = std::tuple<route::HostPattern::Kind, std::string, std::uint16_t, std::string, std::vector<std::string>,
                           std::vector<std::pair<std::string, std::string>>>;

template <typename T>
void sort_unique(std::vector<T>& list) {
  std::ranges::sort(list);
  list.erase(std::ranges::unique(list).begin(), list.end());
}

Meaning meaning_of(const MatchOptions& match) {
  const route::HostPattern host = route::read_host_pattern(match.host);
  std::vector<std::string> methods = match.methods;
  sort_unique(methods);
  std::vector<std::pair<std::string, std::string>> headers;
  for (const HeaderMatch& header : match.headers) headers.emplace_back(to_lower(header.name), header.value);
  sort_unique(headers);
  return {host.kind, host.name, host.port, match.path, std::move(methods), std::move(headers)};
}

}  // namespace

std::optional<std::string> match_problem(const MatchOptions& match) {
  if (const Problem problem = host_problem(match.host)) return problem;
  if (const Problem problem = path_problem(match.path)) return problem;
  for (const std::string& method : match.methods) {
    if (const Problem problem = method_problem(method)) return problem;
  }
  for (const HeaderMatch& header : match.headers) {
    if (const Problem problem = header_problem(header)) return problem;
  }
  return std::nullopt;
}

std::vector<DuplicateMatch> duplicates(std::span<const MatchOptions> matches) {
  std::vector<DuplicateMatch> found;
  std::map<Meaning, std::size_t> seen;
  for (std::size_t i = 0; i < matches.size(); ++i) {
    const auto [place, is_new] = seen.try_emplace(meaning_of(matches[i]), i);
    if (!is_new) found.push_back({place->second, i});
  }
  return found;
}

}  // namespace steelyard
