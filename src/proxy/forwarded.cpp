#include "proxy/forwarded.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard {
namespace {

using http::FieldName;

constexpr std::string_view scheme = "http";

std::string_view address_text(const IpAddress& ip, std::span<char, IpAddress::text_max> memory) {
  return {memory.data(), ip.write(memory.data())};
}

// All values of one name as one list, then `own` at its end.
void write_list(HeadBuilder& out, std::string_view name, FieldName id, const http::Fields* believed, std::string_view own) {
  out.text(name).text(": ");
  if (believed != nullptr) {
    for (const http::Field& field : believed->all()) {
      if (field.id == id && !field.value.empty()) out.text(field.value).text(", ");
    }
  }
  out.text(own).text("\r\n");
}

void write_first(HeadBuilder& out, std::string_view name, FieldName id, const http::Fields* believed, std::string_view own) {
  const http::Field* const field = believed != nullptr ? believed->find(id) : nullptr;
  out.field(name, field != nullptr ? field->value : own);
}

void write_rfc7239(HeadBuilder& out, const http::Fields* believed, const IpAddress& peer, std::string_view address,
                   std::string_view authority) {
  out.text("Forwarded: ");
  if (believed != nullptr) {
    for (const http::Field& field : believed->all()) {
      if (field.id == FieldName::forwarded && !field.value.empty()) out.text(field.value).text(", ");
    }
  }
  // An IPv6 address needs brackets and thus quotes (RFC 7239 §6); so does a host with a port.
  out.text(peer.is_v6() ? "for=\"[" : "for=").text(address).text(peer.is_v6() ? "]\"" : "");
  if (!authority.empty()) out.text(";host=\"").text(authority).text("\"");
  out.text(";proto=").text(scheme).text("\r\n");
}

// An address as X-Forwarded-For and Forwarded have it, alone or with a port, in brackets or quotes.
std::optional<IpAddress> address_in(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (const auto alone = IpAddress::parse(text)) return alone;
  if (text.starts_with('[') && text.ends_with(']')) return IpAddress::parse(text.substr(1, text.size() - 2));
  const auto with_port = SocketAddress::parse(text);
  return with_port ? std::optional(with_port->ip) : std::nullopt;
}

// The address that one element of the field names; of Forwarded it is the value of `for` (RFC 7239 §4).
std::optional<IpAddress> named_by(FieldName id, std::string_view element) {
  if (id == FieldName::x_forwarded_for) return address_in(element);
  while (!element.empty()) {
    const std::size_t end = std::min(element.find(';'), element.size());
    const std::string_view pair = trim(element.substr(0, end));
    if (pair.size() > 4 && equals_ignoring_case(pair.substr(0, 4), "for=")) return address_in(pair.substr(4));
    element.remove_prefix(std::min(end + 1, element.size()));
  }
  return std::nullopt;
}

// Goes back from `client` over what the fields of that name say, last first.
IpAddress follow_back(const ForwardedOptions& options, const http::Fields& received, FieldName id, IpAddress client) {
  const auto fields = received.all();
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    if (field->id != id) continue;
    std::string_view rest = field->value;
    while (!rest.empty()) {
      const std::size_t comma = rest.rfind(',');
      const auto named = named_by(id, comma == std::string_view::npos ? rest : rest.substr(comma + 1));
      if (!named) return client;
      client = *named;
      if (trust_in(options, client) == Trust::no) return client;
      rest = rest.substr(0, comma == std::string_view::npos ? 0 : comma);
    }
  }
  return client;
}

}  // namespace

IpAddress client_behind(const ForwardedOptions& options, const http::Fields& received, const IpAddress& peer) {
  if (options.trusted_proxies.empty() || trust_in(options, peer) == Trust::no) return peer;
  const bool rfc7239 = options.style == ForwardedStyle::forwarded;
  return follow_back(options, received, rfc7239 ? FieldName::forwarded : FieldName::x_forwarded_for, peer);
}

Trust trust_in(const ForwardedOptions& options, const IpAddress& peer) {
  return std::ranges::any_of(options.trusted_proxies, [&](const Network& network) { return network.contains(peer); }) ? Trust::yes
                                                                                                                      : Trust::no;
}

bool drops(const http::Field& field, ForwardedStyle style, Trust peer) {
  const bool writes_x = style == ForwardedStyle::x_forwarded || style == ForwardedStyle::both;
  const bool writes_rfc7239 = style == ForwardedStyle::forwarded || style == ForwardedStyle::both;
  switch (field.id) {
    case FieldName::forwarded: return peer == Trust::no || writes_rfc7239;
    case FieldName::x_forwarded_for:
    case FieldName::x_forwarded_host:
    case FieldName::x_forwarded_proto: return peer == Trust::no || writes_x;
    case FieldName::x_real_ip: return peer == Trust::no;
    default: return false;
  }
}

void write_forwarded(HeadBuilder& out, ForwardedStyle style, Trust trust, const http::Fields& received, const IpAddress& peer,
                     std::string_view authority, const HeaderEdits& edits) {
  if (style == ForwardedStyle::off) return;
  const http::Fields* const believed = trust == Trust::yes ? &received : nullptr;
  char memory[IpAddress::text_max];
  const std::string_view address = address_text(peer, memory);
  // A configured field takes the place of ours: two of them would leave it to the server which one counts.
  const auto writes = [&](std::string_view name) { return !edits.replace(name); };
  if (style != ForwardedStyle::forwarded) {
    if (writes("X-Forwarded-For")) write_list(out, "X-Forwarded-For", FieldName::x_forwarded_for, believed, address);
    if (writes("X-Forwarded-Proto")) write_first(out, "X-Forwarded-Proto", FieldName::x_forwarded_proto, believed, scheme);
    if (!authority.empty() && writes("X-Forwarded-Host")) {
      write_first(out, "X-Forwarded-Host", FieldName::x_forwarded_host, believed, authority);
    }
  }
  if (style != ForwardedStyle::x_forwarded && writes("Forwarded")) write_rfc7239(out, believed, peer, address, authority);
}

int count_own_hops(const http::Fields& received) {
  int hops = 0;
  for (const http::Field& field : received.all()) {
    if (field.id != FieldName::via) continue;
    for (std::size_t at = field.value.find(via_name); at != std::string_view::npos; at = field.value.find(via_name, at + 1)) ++hops;
  }
  return hops;
}

}  // namespace steelyard
