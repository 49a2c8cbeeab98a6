// The side of the process that comes: the one whose place it takes, as it is seen from here. First what that hands over is waited for,
// before anything else is begun; later, on the control loop, it is told that this one is ready, says when it accepts no more, and what it
// has counted until it ends. The other side is app/upgrade. On the control thread, owned by the service.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/inherited.hpp"
#include "app/parcel.hpp"
#include "app/process_state.hpp"
#include "net/epoll_loop.hpp"

namespace steelyard {

class Predecessor final : private Pollable {
 public:
  // Who is told what it says.
  struct Host {
    std::function<void(const ProcessState& state)> accepts_no_more;  // once, also where it has died
    std::function<void(const ProcessState& state)> counts;
    std::function<void()> gone;
  };

  // Waits for what it hands over, on this socket to it, which is owned from now on. The sentence says what went wrong.
  static std::expected<std::unique_ptr<Predecessor>, std::string> meet(int socket);
  ~Predecessor();

  // The sockets are the caller's from now on.
  [[nodiscard]] std::vector<InheritedSocket> take_sockets() { return std::move(sockets_); }
  // What it knew when it said so last.
  [[nodiscard]] const ProcessState& state() const { return state_; }
  // What came with that and was too large for it; -1: nothing. While accepts_no_more() is told.
  [[nodiscard]] int file() const { return file_; }
  // This process could accept by now. Tells `host` from the loop's thread only.
  void say_ready(EpollLoop& loop, Host host);
  [[nodiscard]] bool alive() const { return socket_ >= 0; }

 private:
  class Alarm final : public Timer {
   public:
    explicit Alarm(Predecessor& predecessor) : predecessor_(predecessor) {}
    void on_expired() override { predecessor_.begin_to_accept(); }

   private:
    Predecessor& predecessor_;
  };

  explicit Predecessor(int socket) : socket_(socket) {}
  std::expected<void, std::string> receive_all();
  bool take_sockets_of(Parcel& parcel);
  std::expected<ProcessState, std::string> read_state(Parcel& parcel);
  void on_events(std::uint32_t events) override;
  void begin_to_accept();
  void close_file();
  void on_gone();

  int socket_;
  EpollLoop* loop_ = nullptr;
  Host host_;
  std::vector<InheritedSocket> sockets_;
  ProcessState state_;
  int file_ = -1;
  bool accepting_ = false;
  Alarm alarm_{*this};
};

}  // namespace steelyard
