// Names are told apart by their length first, so that at most three comparisons remain.
#include "wire/http/field_name.hpp"

#include <algorithm>
#include <array>

namespace steelyard::http {

namespace {

// Setting the bit 0x20 maps upper to lower case and leaves digits and '-' alone. No other token character becomes a letter or '-'.
template <std::size_t N>
bool same(std::string_view name, const char (&lower)[N]) {
  unsigned difference = 0;
  for (std::size_t i = 0; i + 1 < N; ++i) difference |= static_cast<unsigned>((name[i] | 0x20) ^ lower[i]);
  return difference == 0;
}

}  // namespace

FieldName classify(std::string_view name) {
  switch (name.size()) {
    case 2: return same(name, "te") ? FieldName::te : FieldName::other;
    case 3: return same(name, "via") ? FieldName::via : FieldName::other;
    case 4:
      if (same(name, "host")) return FieldName::host;
      return same(name, "date") ? FieldName::date : FieldName::other;
    case 5: return same(name, "proxy") ? FieldName::proxy : FieldName::other;
    case 6:
      if (same(name, "accept")) return FieldName::accept;
      if (same(name, "cookie")) return FieldName::cookie;
      if (same(name, "server")) return FieldName::server;
      return same(name, "expect") ? FieldName::expect : FieldName::other;
    case 7:
      if (same(name, "upgrade")) return FieldName::upgrade;
      return same(name, "trailer") ? FieldName::trailer : FieldName::other;
    case 9:
      if (same(name, "forwarded")) return FieldName::forwarded;
      return same(name, "x-real-ip") ? FieldName::x_real_ip : FieldName::other;
    case 10:
      if (same(name, "connection")) return FieldName::connection;
      if (same(name, "user-agent")) return FieldName::user_agent;
      return same(name, "keep-alive") ? FieldName::keep_alive : FieldName::other;
    case 12:
      if (same(name, "content-type")) return FieldName::content_type;
      if (same(name, "x-request-id")) return FieldName::x_request_id;
      return same(name, "max-forwards") ? FieldName::max_forwards : FieldName::other;
    case 14:
      if (same(name, "content-length")) return FieldName::content_length;
      return same(name, "http2-settings") ? FieldName::http2_settings : FieldName::other;
    case 15: return same(name, "x-forwarded-for") ? FieldName::x_forwarded_for : FieldName::other;
    case 16:
      if (same(name, "x-forwarded-host")) return FieldName::x_forwarded_host;
      return same(name, "proxy-connection") ? FieldName::proxy_connection : FieldName::other;
    case 17:
      if (same(name, "transfer-encoding")) return FieldName::transfer_encoding;
      return same(name, "x-forwarded-proto") ? FieldName::x_forwarded_proto : FieldName::other;
    case 18: return same(name, "proxy-authenticate") ? FieldName::proxy_authenticate : FieldName::other;
    case 19: return same(name, "proxy-authorization") ? FieldName::proxy_authorization : FieldName::other;
    case 23: return same(name, "x-steelyard-no-redirect") ? FieldName::x_steelyard_no_redirect : FieldName::other;
    default: return FieldName::other;
  }
}

bool is_alias_of_known(std::string_view name) {
  std::array<char, 24> dashed{};  // longer than every known name
  if (name.size() > dashed.size()) return false;
  std::ranges::replace_copy(name, dashed.begin(), '_', '-');
  return classify({dashed.data(), name.size()}) != FieldName::other;
}

}  // namespace steelyard::http
