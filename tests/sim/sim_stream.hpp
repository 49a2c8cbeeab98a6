// The ends of simulated connections that the code under test holds: Stream, Listener and Connector over a SimNet, with the edges of
// the epoll ones: a short read means that nothing is left for now.
#pragma once

#include <deque>
#include <memory>

#include "sim_net.hpp"

namespace steelyard::sim {

class SimStream final : public Stream, private SocketOwner {
 public:
  enum class Start : bool { connecting, connected };

  SimStream(SimNet& net, Socket socket, Start start) : net_(net), socket_(std::move(socket)) {
    ++net_.streams_alive;
    if (start == Start::connected) set_ready();
  }
  ~SimStream() override {
    --net_.streams_alive;
    if (reset_on_close_) socket_.reset();
  }

  Result<std::size_t> read(std::span<char> into) override {
    if (!is_readable()) return fail(ErrorKind::would_block);
    const auto got = socket_.read(into);
    if (!got && got.error().kind == ErrorKind::would_block) exhausted_read();
    if (got && *got < into.size() && !peer_ended()) exhausted_read();
    return got;
  }
  Result<std::size_t> write(std::span<const char> bytes) override {
    const auto sent = socket_.write(bytes);
    if (!sent && sent.error().kind == ErrorKind::would_block) exhausted_write();
    if (sent && *sent < bytes.size()) exhausted_write();
    return sent;
  }
  void shutdown_write() override { socket_.shutdown_write(); }
  void reset_on_close() override { reset_on_close_ = true; }
  void break_off() override { socket_.break_off(); }
  Result<void> connect_result() override { return socket_.connect_result(); }
  [[nodiscard]] bool quiet() override { return socket_.quiet(); }

 private:
  void begin_events() override { socket_.attach(this); }
  void on_events(Happened happened) override {
    deliver({.readable = happened.readable, .writable = happened.writable, .peer_ended = happened.peer_ended, .broken = happened.broken});
  }

  SimNet& net_;
  Socket socket_;
  bool reset_on_close_ = false;
};

class SimListener final : public Listener, private Port {
 public:
  SimListener(SimNet& net, const SocketAddress& at) : net_(net), at_(at) { net_.open_port(at_, *this); }
  ~SimListener() override { net_.close_port(at_); }

  Result<Accepted> accept() override {
    if (waiting_.empty()) {
      ready_ = false;
      return fail(ErrorKind::would_block);
    }
    if (net_.prng.chance(net_.faults.exhausted)) return fail(ErrorKind::resources);
    Accepted accepted{std::make_unique<SimStream>(net_, std::move(waiting_.front().first), SimStream::Start::connected),
                      waiting_.front().second};
    waiting_.pop_front();
    return accepted;
  }
  [[nodiscard]] SocketAddress local_address() const override { return at_; }

 private:
  void on_connection(Socket socket, const SocketAddress& from) override {
    waiting_.emplace_back(std::move(socket), from);
    net_.after(Duration{0}, [this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) deliver_ready();
    });
  }

  SimNet& net_;
  SocketAddress at_;
  std::deque<std::pair<Socket, SocketAddress>> waiting_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

class SimConnector final : public Connector {
 public:
  SimConnector(SimNet& net, const SocketAddress& from) : net_(net), from_(from) {}

  Result<std::unique_ptr<Stream>> connect(const SocketAddress& to) override {
    if (net_.prng.chance(net_.faults.exhausted)) return fail(ErrorKind::resources);
    return std::make_unique<SimStream>(net_, net_.connect(from_, to, SimNet::Dialler::proxy), SimStream::Start::connecting);
  }
  Scheduler& scheduler() override { return net_.scheduler(); }
  void post(std::function<void()> work) override { net_.after(Duration{0}, std::move(work)); }

 private:
  SimNet& net_;
  SocketAddress from_;
};

}  // namespace steelyard::sim
