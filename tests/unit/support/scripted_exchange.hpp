// An exchange without a session: a head that the test makes, and what was handed over beyond the body.
#pragma once

#include <string>

#include "session/exchange.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard::testing_support {

class ScriptedExchange final : public Exchange {
 public:
  ScriptedExchange(Fiber& owner, Stream& stream, http::BodyFraming framing) : Exchange(owner, stream, framing, is_draining) {}

  const http::RequestHead& head() override { return request; }
  void keep_leftover(std::span<const char> bytes) override { leftover.append(bytes.data(), bytes.size()); }
  std::span<const char> take_leftover() override { return leftover; }

  bool is_draining = false;
  http::RequestHead request;
  std::string leftover;
};

}  // namespace steelyard::testing_support
