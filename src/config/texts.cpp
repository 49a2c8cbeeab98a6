// See texts.hpp.
#include "config/texts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "decide/route/check.hpp"

namespace steelyard::config {
namespace {

bool is_letter(char c) { return to_lower(c) >= 'a' && to_lower(c) <= 'z'; }
bool is_printable(char c) { return c > ' ' && c < 0x7f; }

std::optional<std::string> check_length(std::string_view text, std::size_t max) {
  if (text.empty()) return "is empty";
  if (text.size() > max) return fmt::format("is longer than {} characters", max);
  return std::nullopt;
}

// Letters, digits and `marks`.
std::optional<std::string> check_characters(std::string_view text, std::string_view marks) {
  const auto wrong =
      std::ranges::find_if(text, [&](char c) { return !is_digit(c) && !is_letter(c) && marks.find(c) == std::string_view::npos; });
  if (wrong == text.end()) return std::nullopt;
  const bool ascii = static_cast<unsigned char>(*wrong) < 0x80;
  return ascii ? fmt::format("has the character {}", quote(std::string_view(&*wrong, 1))) : "has letters that are not ASCII";
}

}  // namespace

bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() &&
         std::ranges::all_of(text, [&](char c) { return is_digit(c) || is_letter(c) || marks.find(c) != std::string_view::npos; });
}

std::optional<std::string> check_name(std::string_view text) {
  if (auto wrong = check_length(text, 64)) return wrong;
  return check_characters(text, "._-");
}

std::optional<std::string> check_server_id(std::string_view text) {
  if (auto wrong = check_length(text, 270)) return wrong;
  return check_characters(text, "._-:[]");  // the last three for the default, which is the address
}

std::optional<std::string> check_known_server_id(std::string_view text) {
  if (auto wrong = check_length(text, 320)) return wrong;
  return check_characters(text, "._-:[]@");
}

std::optional<std::string> check_route_name(std::string_view text) {
  if (auto wrong = check_length(text, 256)) return wrong;
  const bool printable = std::ranges::all_of(text, [](char c) { return is_printable(c) || c == ' '; });
  return printable ? std::nullopt : std::optional<std::string>("has characters that are not printable ASCII");
}

std::optional<std::string> check_label_value(std::string_view text) { return text.empty() ? std::nullopt : check_route_name(text); }

std::optional<std::string> check_file_path(std::string_view text) {
  if (auto wrong = check_length(text, 4095)) return wrong;
  if (std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; })) return "has a control character";
  return std::nullopt;
}

std::optional<std::string> check_host_name(std::string_view text) {
  if (const auto host = parse_host(text)) return std::nullopt;
  const auto with_port = parse_host_port(text);
  if (with_port) return fmt::format("has a port, which does not count here: write \"{}\"", with_port->host);
  return "is not the name of a machine";
}

std::optional<std::string> check_access_log(std::string_view text) {
  if (auto wrong = check_file_path(text)) return wrong;
  // A bare word would be a file of that name in the working directory, and is more likely a misspelt word.
  const bool word = text.find_first_of("/.") == std::string_view::npos && text != "stdout" && text != "off";
  if (word)
    return fmt::format("is neither stdout nor off: write \"./{}\" for a file of that name{}", text, did_you_mean(text, {"stdout", "off"}));
  return std::nullopt;
}

std::optional<std::string> check_health_path(std::string_view text) {
  if (auto wrong = check_length(text, 1024)) return wrong;
  if (text.front() != '/') return R"(does not begin with '/')";
  if (!std::ranges::all_of(text, is_printable)) return "has a space or a character that must be written as %XX";
  if (text.find('#') != std::string_view::npos) return "has a '#', which is never sent to a server";
  return std::nullopt;
}

std::optional<std::string> check_health_method(std::string_view text) {
  if (auto wrong = check_length(text, 64)) return wrong;
  if (!is_token(text)) return "is not a method";
  if (std::ranges::any_of(text, [](char c) { return c >= 'a' && c <= 'z'; }))
    return "is not in capital letters: methods are case-sensitive, write GET or HEAD";
  if (text == "CONNECT") return "asks for a tunnel, which is no check: write GET, HEAD, OPTIONS or POST";
  return std::nullopt;
}

std::optional<std::string> check_health_host(std::string_view text) {
  if (text.empty()) return "is empty: leave it out for the server's own address";
  if (text.find(':') != std::string_view::npos && parse_host(text)) return fmt::format("lacks brackets: write \"[{}]:80\"", text);
  return text == "client" || text == "server" ? std::nullopt : check_route_host(text);
}

std::optional<std::string> check_health_body(std::string_view text) { return check_length(text, 1024); }

std::optional<std::string> check_cookie_name(std::string_view text) {
  if (auto wrong = check_length(text, 128)) return wrong;
  if (!is_token(text)) return "is not the name of a cookie (RFC 6265 §4.1.1)";
  return std::nullopt;
}

std::optional<std::string> check_query_name(std::string_view text) {
  if (auto wrong = check_length(text, 128)) return wrong;
  if (!std::ranges::all_of(text, is_printable) || text.find_first_of("&=#") != std::string_view::npos)
    return "is not the name of a query parameter as a URL has it";
  return std::nullopt;
}

std::optional<std::string> check_decoded_query_name(std::string_view text) {
  if (auto wrong = check_query_name(text)) return wrong;
  if (text.find_first_of("%+;") != std::string_view::npos) return "has a '%', a '+' or a ';': write it as it is when it has been decoded";
  return std::nullopt;
}

std::optional<std::string> check_member_name(std::string_view text) {
  if (auto wrong = check_length(text, 128)) return wrong;
  if (!std::ranges::all_of(text, [](char c) { return is_printable(c) || c == ' '; })) return "has characters that are not printable ASCII";
  return std::nullopt;
}

std::optional<std::string> check_policy_value(std::string_view text) {
  if (auto wrong = check_route_name(text)) return wrong;
  if (text.find(',') != std::string_view::npos) return "has a comma, which separates promises: name one of them";
  return std::nullopt;
}

std::optional<std::string> check_limit_body(std::string_view text) {
  constexpr std::size_t bytes_max = 1024;
  if (text.size() > bytes_max) return fmt::format("has {} bytes, allowed are {}", text.size(), bytes_max);
  return std::nullopt;
}

std::optional<std::string> host_problem(std::string_view text) {
  if (text.empty()) return "the host is empty: leave it out to match every host";
  if (const auto wrong = check_length(text, 255)) return "the host " + *wrong;
  MatchOptions match;
  match.host = text;
  return match_problem(match);
}

std::optional<std::string> path_problem(std::string_view text) {
  if (text.empty()) return "the path is empty: leave it out to match every path";
  if (const auto wrong = check_length(text, match_path_bytes_max)) return "the path " + *wrong;
  MatchOptions match;
  match.path = text;
  return match_problem(match);
}

std::optional<std::string> method_problem(std::string_view text) {
  if (const auto wrong = check_length(text, 64)) return "the method " + *wrong;
  MatchOptions match;
  match.methods.emplace_back(text);
  return match_problem(match);
}

std::optional<std::string> check_field_name(std::string_view text) {
  if (auto wrong = check_length(text, 256)) return wrong;
  if (!is_token(text)) return "is not the name of a header field";
  return std::nullopt;
}

std::optional<std::string> check_field_value(std::string_view text) {
  if (text.size() > 8192) return "is longer than 8192 characters";
  if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos)
    return "has a line break or NUL, which would end the field";
  const bool clean = std::ranges::all_of(text, [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); });
  if (!clean) return "has a control character";
  if (trim(text) != text) return "begins or ends with white space";
  return std::nullopt;
}

std::optional<std::string> check_route_host(std::string_view text) {
  if (text == "client" || text == "server") return std::nullopt;
  if (auto wrong = check_length(text, 255)) return wrong;
  if (text.find("://") != std::string_view::npos || text.find('/') != std::string_view::npos)
    return "is not a host: leave out what stands before and after it";
  if (!parse_host(text) && !parse_host_port(text)) return "is not a host";
  return std::nullopt;
}

std::optional<std::string> check_public_url(std::string_view text) {
  if (auto wrong = check_length(text, 300)) return wrong;
  const std::size_t scheme_bytes = text.starts_with("http://") ? 7 : text.starts_with("https://") ? 8 : 0;
  if (scheme_bytes == 0) return R"(does not begin with "http://" or "https://")";
  const std::string_view rest = text.substr(scheme_bytes);
  const std::size_t end = rest.find_first_of("/?#");
  const std::string_view meant = text.substr(0, end == std::string_view::npos ? end : scheme_bytes + end);
  if (end != std::string_view::npos) {
    const char* const what = rest[end] == '/' ? "a path" : rest[end] == '?' ? "a query" : "a fragment";
    return fmt::format("has {}, which comes from the request: write \"{}\"", what, meant);
  }
  if (rest.find('@') != std::string_view::npos) return "has a user's name, which does not belong into a URL that all clients get";
  const bool bracketed = rest.starts_with('[') && rest.ends_with(']') && IpAddress::parse(rest.substr(1, rest.size() - 2));
  if (bracketed || (rest.find(':') == std::string_view::npos && parse_host(rest))) return std::nullopt;
  if (rest.find(':') == std::string_view::npos || rest.ends_with(']')) return "has no host that there can be";
  const auto with_port = parse_host_port(rest);
  return with_port ? std::nullopt : std::optional(with_port.error());
}

std::optional<std::string> check_token_name(std::string_view text) {
  if (auto wrong = check_length(text, 64)) return wrong;
  if (text == "steelyard_hops") return "has a meaning of its own: it says how often a request was sent back";
  return check_characters(text, "._-");
}

std::optional<std::string> check_edited_name(std::string_view name, EditedSide side) {
  if (auto wrong = check_field_name(name)) return wrong;
  struct Refusal {
    std::string_view name;
    std::string_view reason;
  };
  // Where a message ends and what a connection does belongs to the proxy: an edit would let two parties see different messages.
  constexpr std::string_view framing = "says where a message ends, which the proxy alone decides: remove this edit";
  constexpr std::string_view hop = "belongs to one connection, which the proxy manages itself (RFC 9110 §7.6.1): remove this edit";
  constexpr std::array<Refusal, 9> refused{{{"content-length", framing},
                                            {"transfer-encoding", framing},
                                            {"trailer", framing},
                                            {"connection", hop},
                                            {"keep-alive", hop},
                                            {"proxy-connection", hop},
                                            {"te", hop},
                                            {"upgrade", hop},
                                            {"http2-settings", hop}}};
  for (const Refusal& refusal : refused) {
    if (equals_ignoring_case(name, refusal.name)) return std::string(refusal.reason);
  }
  if (!equals_ignoring_case(name, "host") || side == EditedSide::response) return std::nullopt;
  if (side == EditedSide::health_check) return R"(is set by the key "host" of the check: write it there)";
  return R"(is set by the route's key "host": write host: client, server or a name there)";
}

}  // namespace steelyard::config
