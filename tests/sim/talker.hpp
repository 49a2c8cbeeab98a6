// An actor outside of the code under test that holds one end of a connection: sends what it is given piece by piece, at its pace,
// and receives at its pace. What it says and what it makes of what it hears is up to whoever sets the callbacks.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "sim_net.hpp"

namespace steelyard::sim {

class Talker final : private SocketOwner {
 public:
  // How much is read at once, and how long until the next time.
  struct ReadPace {
    std::size_t bytes_max = 1024 * 1024;
    Duration gap{0};
  };

  explicit Talker(SimNet& net) : net_(net) {}
  ~Talker() = default;

  // Called at any time from events of the network. The talker must outlive them, which its world sees to.
  std::function<void(std::string_view bytes)> on_bytes = [](std::string_view) {};
  std::function<void()> on_end = [] {};  // once: the peer has ended or reset the connection, or nobody listens; see was_reset()
  std::function<void()> on_connected = [] {};

  void connect(const SocketAddress& from, const SocketAddress& to);
  void take(Socket socket);
  // Sends `bytes` `delay` after what was said before has been sent.
  void say(std::string bytes, Duration delay = Duration{0});
  void end();    // of our stream, at once
  void close();  // in order, once all has been said
  void cut();    // a reset, now
  void stop_reading() { reading_ = false; }
  void set_pace(ReadPace pace) { pace_ = pace; }

  [[nodiscard]] bool open() const { return socket_.open(); }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool was_ended() const { return ended_; }  // in order or not
  [[nodiscard]] bool was_reset() const { return was_reset_; }
  [[nodiscard]] bool disturbed() const { return disturbed_ || (socket_.open() && socket_.disturbed()); }
  [[nodiscard]] bool all_said() const { return pieces_.empty(); }
  [[nodiscard]] std::uint64_t said_bytes() const { return said_bytes_; }
  [[nodiscard]] std::uint64_t peer_closed_after() const { return socket_.open() ? socket_.peer_closed_after() : UINT64_MAX; }
  // What the peer has sent altogether, also what was lost on the way.
  [[nodiscard]] std::uint64_t peer_sent_bytes() const { return socket_.open() ? socket_.peer_sent_bytes() : peer_sent_bytes_; }

  // For scenarios.
  std::string heard;
  Instant ended_at = never;
  Instant first_heard_at = never;

 private:
  struct Piece {
    std::string bytes;
    Duration delay;
  };

  void on_events(Happened happened) override;
  void pump();
  void hear();
  void finish();
  void let_go();

  SimNet& net_;
  Socket socket_;
  std::deque<Piece> pieces_;
  ReadPace pace_;
  std::uint64_t said_bytes_ = 0;
  std::uint64_t peer_sent_bytes_ = 0;
  bool connected_ = false;
  bool reading_ = true;
  bool hearing_later_ = false;
  bool pumping_later_ = false;
  bool piece_begun_ = false;
  bool end_after_all_ = false;
  bool ended_ = false;
  bool was_reset_ = false;
  bool disturbed_ = false;
};

}  // namespace steelyard::sim
