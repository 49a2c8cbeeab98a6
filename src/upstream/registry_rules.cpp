#include "upstream/registry_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"

namespace steelyard {
namespace {

Refusal invalid(std::string field, std::string message) { return {Refusal::Kind::invalid, std::move(field), std::move(message)}; }

// The character at the front of `text` (RFC 3629 §4) and its length, which is 0 where there is none.
struct Character {
  char32_t code = 0;
  std::size_t length = 0;
};
Character first_character(std::string_view text) {
  constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  char32_t code = lead & (0x7fU >> length);
  for (const char c : text.substr(1, length - 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0U) != 0x80) return {};
    code = code << 6U | (byte & 0x3fU);
  }
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < smallest[length] || code > 0x10ffff || surrogate) return {};
  return {code, length};
}

// UTF-8 without control characters.
bool is_plain_text(std::string_view text) {
  while (!text.empty()) {
    const Character c = first_character(text);
    if (c.length == 0 || c.code < 0x20 || (c.code >= 0x7f && c.code <= 0x9f)) return false;
    text.remove_prefix(c.length);
  }
  return true;
}

// What a resolver can be asked for. A last part of digits is no name but an address gone wrong: "127.1", "10.0.0.256".
bool is_host_name(std::string_view host) {
  const bool known = std::ranges::all_of(
      host, [](char c) { return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') || c == '.' || c == '-' || c == '_'; });
  if (!known || host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  std::string_view last = host;
  if (last.ends_with('.')) last.remove_suffix(1);
  last.remove_prefix(last.rfind('.') + 1);
  return !last.empty() && !std::ranges::all_of(last, is_digit);
}

std::optional<Refusal> check_labels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > labels_max) {
    return invalid("labels",
                   fmt::format("found {} labels, allowed are {}: leave out those that nobody asks for", labels.size(), labels_max));
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > label_key_bytes_max) {
      return invalid("labels", fmt::format("found a label whose name, {}, has {} bytes, allowed are 1 to {}: give it another name",
                                           quoted(key), key.size(), label_key_bytes_max));
    }
    if (value.size() > label_value_bytes_max) {
      return invalid("labels", fmt::format("found {} bytes as the value of the label {}, allowed are {}: shorten it", value.size(),
                                           quoted(key), label_value_bytes_max));
    }
    if (!is_plain_text(key) || !is_plain_text(value)) {
      return invalid("labels",
                     fmt::format("found control characters, or bytes that are not UTF-8, in the label {}: send plain text", quoted(key)));
    }
  }
  return std::nullopt;
}

struct Special {
  Network network;
  std::string_view words;
};

// Who is there depends on who asks.
const Special* local_range(const IpAddress& ip) {
  static const std::array<Special, 4> ranges{{{*Network::parse("127.0.0.0/8"), "a loopback address"},
                                              {*Network::parse("::1"), "a loopback address"},
                                              {*Network::parse("169.254.0.0/16"), "a link-local address"},
                                              {*Network::parse("fe80::/10"), "a link-local address"}}};
  const auto found = std::ranges::find_if(ranges, [&](const Special& range) { return range.network.contains(ip); });
  return found == ranges.end() ? nullptr : found;
}

const Special* no_server_range(const IpAddress& ip) {
  static const std::array<Special, 5> ranges{{{*Network::parse("0.0.0.0"), "the unspecified address"},
                                              {*Network::parse("::"), "the unspecified address"},
                                              {*Network::parse("224.0.0.0/4"), "a multicast address"},
                                              {*Network::parse("ff00::/8"), "a multicast address"},
                                              {*Network::parse("255.255.255.255"), "the broadcast address"}}};
  const auto found = std::ranges::find_if(ranges, [&](const Special& range) { return range.network.contains(ip); });
  return found == ranges.end() ? nullptr : found;
}

std::string in_words(const std::vector<Network>& networks) {
  constexpr std::size_t shown_max = 8;
  std::string words;
  for (std::size_t i = 0; i < std::min(networks.size(), shown_max); ++i) words += (i == 0 ? "" : ", ") + networks[i].to_string();
  if (networks.size() > shown_max) words += fmt::format(" and {} more", networks.size() - shown_max);
  return networks.empty() ? "none" : words;
}

}  // namespace

std::optional<Refusal> check_id(std::string_view id) {
  if (id.empty() || id.size() > server_id_length_max) {
    return invalid("id", fmt::format("found an id of {} characters, allowed are 1 to {}: choose another", id.size(), server_id_length_max));
  }
  if (id == "." || id == "..") {
    return invalid("id", fmt::format("found the id {}, which a path does not keep: choose another", quoted(id)));
  }
  const bool plain = std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f && !std::string_view(R"(/?#%"\)").contains(c); });
  if (plain) return std::nullopt;
  return invalid(
      "id",
      fmt::format(R"(found the id {}, allowed are visible ASCII characters without / ? # % " \ and spaces: choose another)", quoted(id)));
}

std::optional<Refusal> check_settings(const ServerOptions& server) {
  if (server.weight > weight_max) {
    return invalid("weight", fmt::format("found the weight {}, allowed are 0 to {}: weights are relative, so divide all of the pool's by "
                                         "the same number",
                                         server.weight, weight_max));
  }
  if (server.active_max == 0) {
    return invalid("active_max", "found active_max 0, allowed is 1 or more: to give a server no traffic, drain it or set its weight to 0");
  }
  return check_labels(server.labels);
}

std::optional<Refusal> check_address(ServerOptions& server) {
  if (server.port == 0) return invalid("address", "found the port 0, allowed are 1 to 65535: give the port that the server listens on");
  if (const auto ip = IpAddress::parse(server.host)) {
    server.host = ip->to_string();
    return std::nullopt;
  }
  if (is_host_name(server.host)) return std::nullopt;
  return invalid("address", fmt::format("found the host {}, allowed is an IPv4 or IPv6 address (without brackets and zone) or a name",
                                        quoted(server.host)));
}

std::optional<Refusal> check_registered_address(const RegistrationOptions& registration, const ServerOptions& server) {
  const auto ip = IpAddress::parse(server.host);
  if (!ip) {
    return invalid("address", fmt::format("found the host {}, allowed is an IP address only: a server that announces itself says where it "
                                          "is, and no name is looked up for it",
                                          quoted(server.host)));
  }
  const auto refuse = [](std::string message) { return Refusal{Refusal::Kind::not_allowed, "address", std::move(message)}; };
  if (const Special* const range = no_server_range(*ip)) {
    return refuse(
        fmt::format("{} is {}, at which no server can be: announce the address at which this proxy reaches it", server.host, range->words));
  }
  const Special* const local = local_range(*ip);
  const auto allows = [&](const Network& network) { return network.contains(*ip) && (!local || local->network.contains(network)); };
  if (std::ranges::none_of(registration.networks, allows)) {
    const std::string advice = local ? fmt::format("it is {}, which counts only where registration.networks has a network within {}",
                                                   local->words, local->network.to_string())
                                     : "announce an address inside one of them, or add its network to registration.networks";
    return refuse(fmt::format("{} is in no network from which this pool takes registrations ({}): {}", server.host,
                              in_words(registration.networks), advice));
  }
  if (server.port < registration.port_min || server.port > registration.port_max) {
    return refuse(
        fmt::format("the port {} is not one of those that this pool takes registrations for ({} to {}): listen on one of them, "
                    "or change registration.ports",
                    server.port, registration.port_min, registration.port_max));
  }
  return std::nullopt;
}

std::expected<Duration, Refusal> check_lease(const RegistrationOptions& registration, std::optional<Duration> asked) {
  const Duration lease = asked.value_or(std::clamp(registration.lease, registration.lease_min, registration.lease_max));
  if (lease >= registration.lease_min && lease <= registration.lease_max) return lease;
  return std::unexpected(
      invalid("lease", fmt::format("found a lease of {}, allowed are {} to {}: ask for one between, or for none to get {}", in_words(lease),
                                   in_words(registration.lease_min), in_words(registration.lease_max), in_words(registration.lease))));
}

std::string in_words(Duration duration) {
  if (duration % 1s == Duration{0}) return fmt::format("{} s", duration / 1s);
  if (duration % 1ms == Duration{0}) return fmt::format("{} ms", duration / 1ms);
  return fmt::format("{} ns", duration.count());
}

std::string quoted(std::string_view text) {
  constexpr std::size_t shown_max = 64;
  std::string shown = "\"";
  for (const char c : text.substr(0, shown_max)) shown += c >= ' ' && c < 0x7f && c != '"' ? c : '?';
  return shown + (text.size() > shown_max ? "…\"" : "\"");
}

std::string address_of(const ServerOptions& server) {
  return fmt::format(fmt::runtime(server.host.contains(':') ? "[{}]:{}" : "{}:{}"), server.host, server.port);
}

}  // namespace steelyard
