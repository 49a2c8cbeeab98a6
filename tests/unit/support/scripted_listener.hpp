// A listener whose connections a test makes.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "net/stream.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard::testing_support {

class ScriptedListener final : public Listener {
 public:
  struct Queue {
    std::deque<std::unique_ptr<Stream>> waiting;
    std::optional<ErrorKind> failure;
    int attempts = 0;
    bool closed = false;
    ScriptedListener* listener = nullptr;
    // The returned stream is gone with its session.
    ScriptedStream* connect() {
      auto stream = std::make_unique<ScriptedStream>();
      ScriptedStream* const raw = stream.get();
      waiting.push_back(std::move(stream));
      listener->deliver_ready();
      return raw;
    }
  };
  explicit ScriptedListener(Queue& queue) : queue_(queue) { queue_.listener = this; }
  ~ScriptedListener() override { queue_.closed = true; }
  Result<Accepted> accept() override {
    ++queue_.attempts;
    if (queue_.failure) return fail(*queue_.failure);
    if (queue_.waiting.empty()) {
      ready_ = false;
      return fail(ErrorKind::would_block);
    }
    Accepted accepted{std::move(queue_.waiting.front()), *SocketAddress::parse("192.0.2.1:1000")};
    queue_.waiting.pop_front();
    return accepted;
  }
  [[nodiscard]] SocketAddress local_address() const override { return {}; }

 private:
  Queue& queue_;
};

}  // namespace steelyard::testing_support
