// A stream without a network: the test says what arrives and how much may leave, and sees what was sent, also after the stream is
// gone. Keeps to what real streams do: a short read exhausts, a short write too, and an event resumes who waits.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/stream.hpp"

namespace steelyard::testing_support {

class ScriptedStream final : public Stream {
 public:
  struct Record {
    std::string sent;
    bool ended = false;  // shutdown_write() was called
    bool reset_on_close = false;
    bool destroyed = false;
  };

  ScriptedStream() { set_ready(); }
  enum class Start : bool { connecting };
  explicit ScriptedStream(Start /*connecting*/) {}
  ~ScriptedStream() override { record_->destroyed = true; }

  [[nodiscard]] std::shared_ptr<Record> record() const { return record_; }
  std::size_t room = std::numeric_limits<std::size_t>::max();  // what write() takes until more is made
  std::size_t reads = 0;                                       // calls that would be system calls

  // What the other side does. The stream may be gone when these return.
  void feed(std::string_view bytes) {
    incoming_ += bytes;
    deliver({.readable = true});
  }
  void feed_and_end(std::string_view bytes) {
    incoming_ += bytes;
    end();
  }
  void end() {
    ended_ = true;
    deliver({.readable = true, .peer_ended = true});
  }
  void reset() {
    failure_ = ErrorKind::reset;
    deliver({.readable = true, .writable = true, .peer_ended = true, .broken = true});
  }
  void make_room(std::size_t bytes) {
    room += bytes;
    deliver({.writable = true});
  }
  void connect() { deliver({.writable = true}); }
  void fail_to_connect(ErrorKind kind) {
    failure_ = kind;
    deliver({.readable = true, .writable = true, .peer_ended = true, .broken = true});
  }
  // Arrives without an event, as what comes between the last event and a read.
  void slip_in(std::string_view bytes) { incoming_ += bytes; }

  [[nodiscard]] bool quiet() override { return incoming_.empty() && !ended_ && !failure_; }
  Result<std::size_t> read(std::span<char> into) override {
    if (!is_readable()) return fail(ErrorKind::would_block);
    ++reads;
    if (incoming_.empty() && failure_) return fail(*failure_);
    if (incoming_.empty() && ended_) return 0;
    const std::size_t count = std::min(into.size(), incoming_.size());
    if (count < into.size() && !ended_ && !failure_) exhausted_read();
    if (count == 0) return fail(ErrorKind::would_block);
    std::memcpy(into.data(), incoming_.data(), count);
    incoming_.erase(0, count);
    return count;
  }
  Result<std::size_t> write(std::span<const char> bytes) override {
    if (failure_) return fail(*failure_);
    const std::size_t count = std::min(room, bytes.size());
    if (count < bytes.size()) exhausted_write();
    if (count == 0 && !bytes.empty()) return fail(ErrorKind::would_block);
    room -= room == std::numeric_limits<std::size_t>::max() ? 0 : count;
    record_->sent.append(bytes.data(), count);
    return count;
  }
  void shutdown_write() override { record_->ended = true; }
  void reset_on_close() override { record_->reset_on_close = true; }
  Result<void> connect_result() override {
    if (failure_) return fail(*failure_);
    return {};
  }

 private:
  std::shared_ptr<Record> record_ = std::make_shared<Record>();
  std::string incoming_;
  bool ended_ = false;
  std::optional<ErrorKind> failure_;
};

}  // namespace steelyard::testing_support
