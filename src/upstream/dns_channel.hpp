// Questions to DNS servers over an event loop: c-ares speaks the protocol, over UDP and where an answer is truncated over TCP, and
// this gives it events and time. It neither remembers answers nor repeats questions beyond `tries`. Owned by the resolver, on the
// control thread. The process must ignore SIGPIPE, which c-ares' writes to a TCP connection may raise.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/epoll_loop.hpp"
#include "runtime/timer_wheel.hpp"
#include "upstream/dns_answer.hpp"
#include "upstream/resolve_options.hpp"

struct ares_channeldata;

namespace steelyard {

enum class AddressKind : std::uint8_t { ipv4, ipv6 };

// One question under way. Whoever destroys it is told nothing any more.
class DnsQuestion {
 public:
  virtual ~DnsQuestion() = default;

 private:
  friend class DnsChannel;
  virtual void deliver() = 0;
};

class DnsChannel final : private Pollable, private Timer {
 public:
  // What an answer is given to, never from within the call that asks. It may ask again, but not destroy the channel.
  template <typename Record>
  using Done = std::function<void(DnsAnswer<Record>)>;
  using QuestionHandle = std::shared_ptr<DnsQuestion>;

  // `loop` and `options` outlive it. Opens no socket yet. Reads resolv_conf, where no servers are given, now and with the next question
  // after it has changed.
  DnsChannel(EpollLoop& loop, const ResolveOptions& options);
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  // A name with a dot at its end is complete; any other may be completed as resolv_conf says.
  [[nodiscard]] QuestionHandle ask_addresses(const std::string& name, AddressKind kind, Done<IpAddress> done);
  [[nodiscard]] QuestionHandle ask_services(const std::string& name, Done<ServiceTarget> done);

 private:
  template <typename Record>
  class Asked;
  template <typename Record>
  struct Pending;
  // Which state of a file was read.
  struct Stamp {
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t modified_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  static Stamp stamp_of(const std::string& file);
  static void on_socket(void* self, int socket, int readable, int writable);
  [[nodiscard]] ares_channeldata* open();
  void reopen_if_changed();
  void on_events(std::uint32_t events) override;
  void on_expired() override { process(); }
  void process();
  [[nodiscard]] bool serve_ready_sockets();
  void deliver();
  void arm_timer();

  EpollLoop& loop_;
  const ResolveOptions& options_;
  // Its sockets, level-triggered and only for what c-ares waits for: it does not always read a socket to its end, as the loop's
  // edge-triggered events want it. To the loop all of them are one descriptor.
  int sockets_ = -1;
  ares_channeldata* channel_ = nullptr;
  Stamp resolv_conf_;
  std::vector<std::weak_ptr<DnsQuestion>> answered_;
  bool delivering_ = false;
};

}  // namespace steelyard
