// One request and its final response, as the proxy works on it. A session makes it when a request's head is complete (or was
// refused), hands it to the ExchangeHandler, and goes on when that is done with it. Nothing here says which HTTP version the
// client speaks, except `version_minor`, which decides how a body without a length may be sent.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "net/address.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"
#include "session/body_reader.hpp"
#include "session/stream_writer.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

class Exchange {
 public:
  // Parses the head again when another one has used the worker's memory for heads since; so it can be asked for at any time,
  // but what it returns is valid only until the next co_await. The texts in it live as long as the exchange.
  virtual const http::RequestHead& head() = 0;
  // Keeps bytes that were received beyond the end of the request's body: they begin the next request.
  virtual void keep_leftover(std::span<const char> bytes) = 0;
  // What was received beyond the request's body, for a connection that changes its protocol. Valid until the exchange ends.
  virtual std::span<const char> take_leftover() = 0;

  // Facts of the head that are needed later, too. The views live as long as the exchange.
  http::Method method = http::Method::other;
  std::uint8_t version_minor = 1;
  std::string_view method_text;
  std::string_view target;
  std::string_view authority;
  std::string_view path;
  std::string_view user_agent;
  bool wants_json = false;     // by Accept: for answers that the proxy makes itself
  std::uint32_t listener = 0;  // by which it came, as the Frontend numbers them
  bool status_pages = false;   // whether the listener answers /__health__ and its like itself

  void* context = nullptr;  // what the handler has of it, for the handler

  SocketAddress client;
  Fiber& fiber;
  Instant start;

  // Why the session itself refuses the request: to be answered, then the connection ends.
  std::optional<http::ParseError> refusal;

  // The request's body: what had arrived with the head, decoded, and the rest.
  BodyReader body;
  std::span<char> body_start;

  // The way to the client.
  StreamWriter response;
  const bool& draining;           // the session ends after this exchange: to be said in the response's head
  bool keep_alive = true;         // whether the connection may serve another request afterwards
  bool broken_off = false;        // the response could not be completed: the client must be able to tell
  bool response_started = false;  // a byte of the final response has been sent

 protected:
  Exchange(Fiber& owner, Stream& stream, http::BodyFraming framing, const bool& draining_flag)
      : fiber(owner),
        start(owner.scheduler().now()),
        body(stream, framing, Side::client),
        response(stream, Side::client),
        draining(draining_flag) {}
  ~Exchange() = default;
};

class ExchangeHandler {
 public:
  // Answers the exchange and records it. The response is complete when it returns, or broken_off is set.
  virtual Task<void> serve(Exchange& exchange) = 0;

 protected:
  ~ExchangeHandler() = default;
};

}  // namespace steelyard
