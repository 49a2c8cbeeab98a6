// The heads that leave the proxy: a request as its server gets it, a response as its client gets it. What belongs to a hop
// stays on its hop; framing is written anew, never copied.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/options.hpp"
#include "session/exchange.hpp"
#include "session/head_builder.hpp"
#include "upstream/server.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

// Whether a client that waits for a word before it sends its body is still waiting (RFC 9110 §10.1.1).
enum class Expect : std::uint8_t { passed_on, met };

struct OutgoingRequest {
  const http::RequestHead& head;
  std::string_view path;  // normalised
  const RouteOptions& route;
  const ForwardedOptions& forwarded;
  const Server& server;
  const IpAddress& client;
  std::string_view request_id;
  Expect expect = Expect::passed_on;
  const std::string* query = nullptr;  // instead of the head's, with its '?'; "": none
  std::string_view without_cookie{};   // of that name, which ends here
  std::string_view cookie{};           // of our own, beside the client's: "name=value"
  bool by_gateway = false;             // who has signed for it, and knows the client
};
void write_request_head(HeadBuilder& out, const OutgoingRequest& request);

// How a body goes to the client.
enum class ClientCoding : std::uint8_t { none, length, chunked, until_close };

struct OutgoingResponse {
  const http::ResponseHead& head;
  const HeaderEdits& edits;
  ClientCoding coding;
  const Exchange& exchange;         // its version and keep_alive
  std::string_view date;            // for a response that has none (RFC 9110 §6.6.1)
  std::string_view set_cookie{};    // of our own, where there is one
  std::string_view limit_fields{};  // complete lines
};
void write_response_head(HeadBuilder& out, const OutgoingResponse& response);
// 1xx: its fields only (RFC 9110 §15.2). 101 is a response like others and names its upgrade.
void write_interim_head(HeadBuilder& out, const http::ResponseHead& head);

}  // namespace steelyard
