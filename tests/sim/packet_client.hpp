// A simulated client of packets: one connection, a plan of packets drawn from the seed, sent whole or in pieces, one by one or several at
// once, sometimes no packets at all, sometimes broken off. It checks every answer: whose it is, and that it is due.
#pragma once

#include <string>
#include <vector>

#include "packet_book.hpp"
#include "talker.hpp"

namespace steelyard::sim {

struct PacketClientManners {
  double resets = 0;  // each of these at some moment of the connection
  double half_closes = 0;
  double leaves = 0;
  double stalls = 0;   // stops sending for good
  double misread = 0;  // the last packet of a connection: garbage, too large, an ack
  double setups = 0;
  double slow_reader = 0;
  double slow_sender = 0;
  double pipelines = 0;
  double stays = 0;  // idle after the last answer, until the proxy closes
  std::size_t packets_max = 4;
  std::size_t payload_bytes_max = 200;
  std::size_t packet_bytes_max = 64 * 1024;  // as the proxy has it
  bool half_close_aborts = false;
  std::vector<std::string> policies{};
};

class PacketClient {
 public:
  PacketClient(SimNet& net, PacketBook& book, const PacketClientManners& manners);

  void start(const SocketAddress& from, const SocketAddress& to);
  [[nodiscard]] bool over() const { return over_; }
  // The proxy has been told to drain: connections may be closed without an answer from now on.
  void expect_drain() { drain_expected_ = true; }
  // What was sent, for the book; at the end of the run.
  void settle();
  [[nodiscard]] std::string where_it_stands() const;

 private:
  struct Planned {
    std::uint64_t id = 0;
    std::string text;
    bool mute = false;            // gets no answer
    std::uint64_t begins_at = 0;  // of all that is said
    std::uint64_t ends_at = UINT64_MAX;
  };

  void plan_packet(bool last);
  void plan_misread(Planned& planned, PacketRecord& record);
  void plan_misdeed();
  void send_next();
  void say_in_pieces(std::string bytes);
  void hear(std::string_view bytes);
  void take_object(const std::string& text);
  void take_end();
  void go_on();
  void leave();
  void fail(const std::string& what);
  bool chance(double rate) { return net_.prng.chance(rate); }
  Duration some_time(Duration at_most) { return net_.some_time(at_most); }

  SimNet& net_;
  PacketBook& book_;
  PacketClientManners manners_;
  Talker talker_;
  std::string heard_;
  std::vector<Planned> planned_;
  std::size_t sent_ = 0;
  std::size_t answered_ = 0;
  std::uint64_t said_ = 0;  // queued in the talker altogether
  bool pipelines_ = false;
  bool slow_sender_ = false;
  bool stalled_ = false;
  bool refused_ = false;  // nothing may follow
  bool half_closed_ = false;
  bool drain_expected_ = false;
  bool over_ = false;
};

}  // namespace steelyard::sim
