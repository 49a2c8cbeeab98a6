// A simulated server behind the proxy: reads strictly what reaches it, notes every request that it acts on, and answers in all the
// ways in which servers do, well or badly. Its manners are rates, drawn from the seed.
#pragma once

#include <memory>
#include <vector>

#include "ledger.hpp"
#include "messages.hpp"
#include "talker.hpp"

namespace steelyard::sim {

struct ServerManners {
  double early = 0;         // answers at the head
  double reset_before = 0;  // instead of an answer
  double close_before = 0;
  double reset_inside = 0;  // the answer
  double close_inside = 0;
  double silent = 0;  // never answers
  double deaf = 0;    // stops reading, never answers
  double garbage = 0;
  double interim = 0;
  double close_after = 0;  // the answer
  double close_idle = 0;   // at some moment after it
  double babble_idle = 0;  // says something unasked
  double slow = 0;
  std::size_t body_bytes_max = 2000;
};

class ServerActor final : public Port {
 public:
  // `index`: its place among the servers.
  ServerActor(SimNet& net, Ledger& ledger, const SocketAddress& at, std::size_t index);
  ~ServerActor();

  void open() { net_.open_port(at_, *this); }
  void shut() { net_.close_port(at_); }  // refuses connections; those that are open stay

  ServerManners manners;

 private:
  class Conversation;
  void on_connection(Socket socket, const SocketAddress& from) override;

  SimNet& net_;
  Ledger& ledger_;
  SocketAddress at_;
  const std::size_t index_;
  std::vector<std::unique_ptr<Conversation>> conversations_;
};

}  // namespace steelyard::sim
