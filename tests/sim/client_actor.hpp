// A simulated client: one connection, a plan of requests drawn from the seed, sent whole or in pieces, one by one or pipelined,
// sometimes broken, sometimes broken off. It checks every response strictly: whose it is, that it is whole, that it is due.
#pragma once

#include <vector>

#include "ledger.hpp"
#include "messages.hpp"
#include "talker.hpp"

namespace steelyard::sim {

struct ClientManners {
  double resets = 0;  // each of these at some moment of the connection
  double half_closes = 0;
  double leaves = 0;
  double malformed = 0;  // the last request of a connection
  double too_large = 0;
  double expects = 0;  // 100-continue
  double slow_reader = 0;
  double slow_sender = 0;
  double stalls = 0;  // stops sending for good
  double http_1_0 = 0;
  double pipelines = 0;
  double stays = 0;  // idle after the last answer, until the proxy closes
  std::size_t requests_max = 4;
  std::size_t body_bytes_max = 3000;
  bool half_close_aborts = false;      // as the proxy is told to take it
  std::size_t too_large_bytes = 0;     // the proxy's limit; 0 where there is none
  std::vector<std::string> demands{};  // one of them under each label, now and then none
  std::vector<std::string> cookies{};  // of sessions
};

class ClientActor {
 public:
  ClientActor(SimNet& net, Ledger& ledger, const ClientManners& manners);

  void start(const SocketAddress& from, const SocketAddress& to);
  [[nodiscard]] bool over() const { return over_; }
  // The proxy has been told to drain: connections may be closed without an answer from now on.
  void expect_drain() { drain_expected_ = true; }
  // What was sent and never answered, for the ledger; at the end of the run.
  void settle();
  [[nodiscard]] std::string where_it_stands() const;

 private:
  struct Planned {
    std::uint64_t id = 0;
    std::string head;
    std::string body;
    std::string method;
    bool expects = false;
    bool http_1_0 = false;
    std::uint64_t begins_at = 0;  // of all that is said
    std::uint64_t ends_at = UINT64_MAX;
  };
  enum class Place : bool { inside, last };

  void plan_request(Place place);
  void plan_demands(Planned& planned);
  void plan_broken(Planned& planned);
  void plan_misdeed();
  void send_next();
  void say_in_pieces(std::string bytes);
  void hear(std::string_view bytes);
  void take_head();
  void take_body(std::string_view bytes);
  void take_complete();
  void take_end();
  void check_closed_without_answer();
  void leave();
  void fail(const std::string& what);
  bool chance(double rate) { return net_.prng.chance(rate); }
  Duration some_time(Duration at_most) { return net_.some_time(at_most); }

  SimNet& net_;
  Ledger& ledger_;
  ClientManners manners_;
  Talker talker_;
  MessageReader reader_{Direction::response};
  std::vector<Planned> planned_;
  std::size_t sent_ = 0;
  std::size_t answered_ = 0;
  std::uint64_t said_ = 0;  // queued in the talker altogether
  std::uint64_t heard_ = 0;
  std::uint64_t consumed_ = 0;  // of that, by complete messages
  bool pipelines_ = false;
  bool slow_sender_ = false;
  bool body_due_ = false;  // held back for 100 Continue
  bool by_server_ = false;
  bool closing_ = false;  // the last response said so
  bool half_closed_ = false;
  bool drain_expected_ = false;
  bool over_ = false;
};

}  // namespace steelyard::sim
