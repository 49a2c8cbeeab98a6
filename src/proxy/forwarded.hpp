// Who the client is and what servers are told about it: X-Forwarded-*, Forwarded (RFC 7239) and Via. Whom to believe is decided
// by the peer's address alone; what others say of themselves is dropped before ours is written.
#pragma once

#include "net/address.hpp"
#include "proxy/options.hpp"
#include "session/head_builder.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

inline constexpr std::string_view via_name = "steelyard";
// A request that has passed this many hops of our name goes in a circle.
inline constexpr int via_hops_max = 8;

enum class Trust : bool { no, yes };
[[nodiscard]] Trust trust_in(const ForwardedOptions& options, const IpAddress& peer);

// Who sent the request, as far as that is known: the peer or, where that is trusted, the last one of those whom it and other trusted
// proxies name that is not one of them. They do so in the field that `style` names (X-Forwarded-For but for `forwarded`): another one
// may be the client's own, passed on by proxies that do not know it. What is no address ends the way back.
[[nodiscard]] IpAddress client_behind(const ForwardedOptions& options, const http::Fields& received, const IpAddress& peer);

// Whether a received field must not go on as it is: write_forwarded() writes it anew, or only a trusted peer may send it. Names that
// some servers take for the same ("X_Forwarded_For") are hop-by-hop for the parser and never get here.
[[nodiscard]] bool drops(const http::Field& field, ForwardedStyle style, Trust peer);

// Writes the fields for a request of `peer` whose own fields are `received`, except those that `edits` replace. `authority` is
// what the client asked for.
void write_forwarded(HeadBuilder& out, ForwardedStyle style, Trust trust, const http::Fields& received, const IpAddress& peer,
                     std::string_view authority, const HeaderEdits& edits = {});

// Our hops in the request's Via fields.
[[nodiscard]] int count_own_hops(const http::Fields& received);

}  // namespace steelyard
