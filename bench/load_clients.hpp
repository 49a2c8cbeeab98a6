// The clients: connections to the proxy under test that ask, wait for the whole answer, count it and ask again. In the open
// loop requests are due at fixed times, and latency counts from when a request was due rather than from when a free
// connection was found for it, so that a stall is charged to every request that it delayed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "histogram.hpp"
#include "load_options.hpp"
#include "sockets.hpp"

namespace steelyard::bench {

struct Tally {
  Histogram latency;
  std::uint64_t errors = 0;
  std::uint64_t bytes = 0;
};

class Clients {
 public:
  Clients(int epoll, std::size_t descriptors, const LoadOptions& options);

  // Opens some of the connections that are still missing; true while some are.
  bool open_some();
  void send_due(std::int64_t now_ns);
  void on_event(int fd, std::uint16_t life, std::uint32_t events);
  void start_counting() { counting_ = true; }
  void ask_no_more();

  const Tally& tally() const { return tally_; }
  std::uint64_t opened() const { return opened_; }
  std::size_t parked() const { return parked_; }
  std::size_t in_flight() const { return in_flight_; }

 private:
  enum class Phase : std::uint8_t { closed, connecting, free, head, body, parked };
  struct Client {
    Phase phase = Phase::closed;
    std::uint16_t life = 0;
    std::uint16_t target = 0;
    bool ends = false;          // this response is the last on its connection
    std::int64_t since_ns = 0;  // what latency counts from
    std::uint64_t body_left = 0;
    std::uint64_t received = 0;
    std::string part_of_head;  // nearly always empty: heads come in one piece
  };
  enum class Then { go_on, wait };

  void open(std::uint16_t target);
  void reopen(int fd);
  void fail(int fd);
  void next(int fd, std::int64_t now_ns);
  void send_request(int fd, std::int64_t since_ns);
  void read(int fd, std::uint32_t events);
  Then read_head(int fd);
  Then read_body(int fd, std::uint32_t events);
  void read_unasked(int fd);
  void complete(int fd);
  bool one_request_each() const { return options_.kind == Connections::closed_by_proxy || options_.kind == Connections::closed_by_us; }

  int epoll_;
  const LoadOptions& options_;
  std::vector<Client> clients_;  // by descriptor
  std::vector<int> free_;        // open loop: connections without a request
  std::vector<std::string> requests_;
  std::size_t next_request_ = 0;
  std::vector<char> buffer_;
  Tally tally_;
  bool counting_ = false;
  std::uint64_t opened_ = 0;
  std::size_t parked_ = 0;
  std::size_t in_flight_ = 0;
  bool asking_ = true;
  std::uint32_t next_source_ = 0;
  std::int64_t first_due_ns_ = 0;
  std::uint64_t sent_when_due_ = 0;
};

}  // namespace steelyard::bench
