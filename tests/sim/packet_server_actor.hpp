// A simulated server of packets behind the proxy: reads strictly what reaches it, notes every packet of which it gets a byte, and answers
// in all the ways in which servers do, well or badly. Its manners are rates, drawn from the seed.
#pragma once

#include <memory>
#include <vector>

#include "packet_book.hpp"
#include "talker.hpp"

namespace steelyard::sim {

struct PacketServerManners {
  double early = 0;         // answers before it has the whole packet
  double reset_before = 0;  // instead of an answer
  double close_before = 0;
  double reset_inside = 0;  // the answer
  double close_inside = 0;
  double silent = 0;  // never answers
  double deaf = 0;    // stops reading, never answers
  double garbage = 0;
  double too_large = 0;
  double twice = 0;
  double close_after = 0;  // the answer
  double close_idle = 0;   // at some moment after it
  double babble_idle = 0;  // says something unasked
  double slow = 0;
  Duration slow_max = 2s;
  std::size_t answer_bytes_max = 200;
  std::size_t packet_bytes_max = 64 * 1024;  // as the proxy has it
};

class PacketServerActor final : public Port {
 public:
  // `index`: its place among the servers.
  PacketServerActor(SimNet& net, PacketBook& book, const SocketAddress& at, std::size_t index);
  ~PacketServerActor();

  void open() { net_.open_port(at_, *this); }
  void shut() { net_.close_port(at_); }  // refuses connections; those that are open stay
  // Ends like a process that is killed.
  void crash();

  PacketServerManners manners;

 private:
  class Conversation;
  void on_connection(Socket socket, const SocketAddress& from) override;

  SimNet& net_;
  PacketBook& book_;
  SocketAddress at_;
  const std::size_t index_;
  std::vector<std::unique_ptr<Conversation>> conversations_;
};

}  // namespace steelyard::sim
