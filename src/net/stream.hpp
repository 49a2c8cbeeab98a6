// A byte stream and a listening socket as the rest of the program sees them: real sockets (epoll_net) and simulated ones (the
// simulator in tests/) implement them.
//
// The interface is readiness-shaped: `co_await stream.readable()`, then read() into a buffer that the caller need only have at
// that moment. So an idle connection holds no buffer, and all connections of a worker share one hot one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/error.hpp"
#include "net/address.hpp"
#include "runtime/fiber.hpp"

namespace steelyard {

class Stream;

// Told of events that nobody waits for: a client that goes away while its answer is being made, a server that closes a pooled
// connection. What lies between a stream and its user, as TLS does, waits for nothing and lives by these alone.
class StreamObserver {
 public:
  virtual void on_unawaited_event(Stream& stream) = 0;
  // It is worth trying to write, and nothing else has happened.
  virtual void on_unawaited_room(Stream& /*stream*/) {}

 protected:
  ~StreamObserver() = default;
};

// Common to everything that can be ready: the flags, and the one operation that may wait for each of them.
class Readiness {
 public:
  class Wait final : public Operation {
   public:
    Wait(bool& ready, Wait*& place) : ready_(ready), place_(place) {}
    bool await_ready() noexcept { return ready_; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      SY_ASSERT(place_ == nullptr);
      if (!suspend(*caller.promise().fiber, caller)) return false;
      place_ = this;
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override {
      if (place_ == this) place_ = nullptr;
    }

   private:
    bool& ready_;
    Wait*& place_;
  };
};

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream();

  // Neither blocks. read(): 0 is the peer's end of stream; would_block when there is nothing. write(): as much as fits, at least
  // one byte, else would_block. Errors are reset, closed or system; Side is for the caller to add.
  virtual Result<std::size_t> read(std::span<char> into) = 0;
  virtual Result<std::size_t> write(std::span<const char> bytes) = 0;
  // Sends the end of stream; reading goes on.
  virtual void shutdown_write() = 0;
  // The destructor will reset the connection instead of closing it in order: the peer must not take what it got as complete.
  virtual void reset_on_close() = 0;
  // Ends it both ways at once, for who reads and writes it as for the other side.
  virtual void break_off() = 0;
  // Why a connect failed; success when connected. Meaningful once writable.
  virtual Result<void> connect_result() = 0;
  // Asks the system whether anything has arrived, the end included, that no event has told of yet. False when it has.
  [[nodiscard]] virtual bool quiet() = 0;
  // The descriptor, for moving bytes inside the kernel; -1 when there is none.
  [[nodiscard]] virtual int descriptor() const { return -1; }

  // co_await: done when read() or write() is worth trying (also at the end of the stream and after an error).
  Readiness::Wait readable() {
    if (!readable_) watch();
    return {readable_, reader_};
  }
  Readiness::Wait writable() {
    if (!writable_) watch();
    return {writable_, writer_};
  }
  // From now on events are delivered. Waiting does it by itself; who wants to be told of the other side's end without waiting
  // must ask. A connection that is served at once and closed never needs to.
  void watch() {
    if (watched_) return;
    watched_ = true;
    begin_events();
  }
  [[nodiscard]] bool watched() const { return watched_; }

  // For who moves bytes by the descriptor and was told EAGAIN: the next readable() or writable() really waits.
  void exhausted_read() { readable_ = false; }
  void exhausted_write() { writable_ = false; }

  [[nodiscard]] bool is_readable() const { return readable_; }
  // The other side has reset the connection or is gone altogether: nothing sent will arrive.
  [[nodiscard]] bool broken() const { return broken_; }
  // The other side has ended its stream, which may not have been read to its end yet.
  [[nodiscard]] bool peer_ended() const { return peer_ended_; }

  void observe(StreamObserver* observer) { observer_ = observer; }

 protected:
  // Sets the flags and resumes whoever waited. The stream may be destroyed when it returns.
  struct Events {
    bool readable = false;
    bool writable = false;
    bool peer_ended = false;
    bool broken = false;
  };
  void deliver(Events events);
  // Called once, before the first event may be missed.
  virtual void begin_events() {}
  // A new connection: worth trying both ways before the first event.
  void set_ready() { readable_ = writable_ = true; }

 private:
  bool watched_ = false;
  bool readable_ = false;
  bool writable_ = false;
  bool peer_ended_ = false;
  bool broken_ = false;
  Readiness::Wait* reader_ = nullptr;
  Readiness::Wait* writer_ = nullptr;
  StreamObserver* observer_ = nullptr;
};

struct Accepted {
  std::unique_ptr<Stream> stream;
  SocketAddress peer;
};

class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  virtual ~Listener() = default;

  // would_block when nobody waits; resources when descriptors or memory have run out.
  virtual Result<Accepted> accept() = 0;
  [[nodiscard]] virtual SocketAddress local_address() const = 0;
  Readiness::Wait acceptable() { return {ready_, waiter_}; }

 protected:
  void deliver_ready();
  bool ready_ = false;
  Readiness::Wait* waiter_ = nullptr;
};

// Where streams to servers come from.
class Connector {
 public:
  virtual ~Connector() = default;
  // Starts connecting; the stream becomes writable when that is decided, then ask connect_result().
  virtual Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) = 0;
  virtual Scheduler& scheduler() = 0;
  // Runs `work` on this thread, soon. From any thread.
  virtual void post(std::function<void()> work) = 0;
};

}  // namespace steelyard
