// A simulated network and clock, driven by one seed: connections with latency, bounded windows, short reads and writes, resets,
// refused and hanging connects. It implements the interfaces of net/stream.hpp, so the real session, upstream and proxy code runs
// over it, and drives a Scheduler as the epoll loop does. Nothing here is real time: a step goes to the next thing that happens.
// The same seed gives the same run, byte by byte. One thread.
#pragma once

#include <fmt/format.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/prng.hpp"
#include "net/stream.hpp"
#include "runtime/scheduler.hpp"

namespace steelyard::sim {

// How often what goes wrong, and how narrow the network is.
struct Faults {
  double short_read = 0;
  double short_write = 0;
  double reset = 0;      // of a connection at some moment, by nobody's wish
  double refused = 0;    // connects of the proxy
  double hang = 0;       // connects of the proxy that nobody ever answers
  double exhausted = 0;  // connect or accept fails for want of descriptors
  std::size_t window_min = 64 * 1024;
  std::size_t window_max = 64 * 1024;
  Duration latency_max = 1ms;
};

class SimNet;
class Socket;

struct Happened {
  bool readable = false;
  bool writable = false;
  bool peer_ended = false;
  bool broken = false;
};

// Who holds a socket and is told of its events, which never come from within a call to the socket. It may destroy the socket.
class SocketOwner {
 public:
  virtual void on_events(Happened happened) = 0;

 protected:
  ~SocketOwner() = default;
};

// Who accepts connections at an address.
class Port {
 public:
  virtual void on_connection(Socket socket, const SocketAddress& from) = 0;

 protected:
  ~Port() = default;
};

// What one end of a connection has received and how it stands.
struct End {
  SocketOwner* owner = nullptr;
  std::string inbox;
  std::size_t on_the_way = 0;  // to this end
  std::size_t window = 0;      // inbox and on_the_way together
  Duration latency{0};         // to this end
  Instant last_arrival;
  std::uint64_t sent_bytes = 0;
  std::uint64_t arrived_bytes = 0;
  std::uint64_t arrived_at_shut = UINT64_MAX;  // how many had arrived when this end closed its own direction
  std::uint32_t epoch = 0;                     // what was sent in an earlier one is lost
  bool ended = false;                          // the peer's end of stream has arrived
  bool reset = false;
  bool closed = false;
  bool write_shut = false;
  bool starved = false;  // waits for room to write
};

struct Link {
  std::uint32_t id = 0;
  SimNet* net = nullptr;
  std::array<End, 2> ends;  // 0 is the one that connected
  bool established = false;
  bool disturbed = false;  // the network itself reset it
  ErrorKind connect_error = ErrorKind::would_block;
};

class Socket {
 public:
  Socket() = default;
  Socket(std::shared_ptr<Link> link, int side) : link_(std::move(link)), side_(side) {}
  Socket(Socket&& other) noexcept : link_(std::exchange(other.link_, nullptr)), side_(other.side_) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }

  // From now on `owner` is told; what has happened before is told first.
  void attach(SocketOwner* owner);
  Result<std::size_t> read(std::span<char> into);
  Result<std::size_t> write(std::span<const char> bytes);
  void shutdown_write();
  void close();  // in order, where nothing is left unread
  void reset();  // at once; what is on the way may be lost
  // Ends both directions; the owner hears of it as of any event. What has arrived can still be read.
  void break_off();
  [[nodiscard]] Result<void> connect_result() const;
  // Nothing has arrived that was not read.
  [[nodiscard]] bool quiet() const { return mine().inbox.empty() && !mine().ended && !mine().reset; }
  [[nodiscard]] bool open() const { return link_ != nullptr; }
  [[nodiscard]] std::uint32_t id() const { return link_->id; }
  [[nodiscard]] bool disturbed() const { return link_->disturbed; }
  // How much of what was sent had reached the other side when it closed its direction.
  [[nodiscard]] std::uint64_t peer_closed_after() const { return other().arrived_at_shut; }
  // What the other side ever wrote, arrived or not.
  [[nodiscard]] std::uint64_t peer_sent_bytes() const { return link_->ends[1 - side_].sent_bytes; }

 private:
  [[nodiscard]] End& mine() const { return link_->ends[side_]; }
  [[nodiscard]] End& other() const { return link_->ends[1 - side_]; }

  std::shared_ptr<Link> link_;
  int side_ = 0;
};

class SimNet {
 public:
  enum class Trace : bool { off, on };

  SimNet(std::uint64_t seed, Trace trace);
  ~SimNet();
  SimNet(const SimNet&) = delete;
  SimNet& operator=(const SimNet&) = delete;

  Faults faults;
  Prng prng;

  [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
  [[nodiscard]] Instant now() const { return scheduler_.now(); }
  void after(Duration delay, std::function<void()> what);
  [[nodiscard]] Duration some_time(Duration at_most);
  // Goes to the next event or timer. False when nothing will ever happen again.
  bool step();
  void run_for(Duration time);

  // Starts to connect; the owner hears of it. `faults` apply to the proxy's connects only.
  enum class Dialler : bool { actor, proxy };
  Socket connect(const SocketAddress& from, const SocketAddress& to, Dialler dialler);
  void open_port(const SocketAddress& at, Port& port) { ports_[at] = &port; }
  void close_port(const SocketAddress& at) { ports_.erase(at); }

  // Every event is noted: the hash over all notes tells two runs apart.
  template <typename... Arguments>
  void note(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    take_note(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_hash_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  // The last notes, for whoever looks into a failure.
  [[nodiscard]] std::string last_notes() const;

  // Streams in the hands of the code under test.
  int streams_alive = 0;

 private:
  friend class Socket;
  Instant arrival(End& to);
  void tell(const std::shared_ptr<Link>& link, int side, Happened happened);
  void tell_after(Duration delay, const std::shared_ptr<Link>& link, int side, Happened happened);
  void send(const std::shared_ptr<Link>& link, int to, std::string bytes);
  void send_end(const std::shared_ptr<Link>& link, int to);
  void send_reset(const std::shared_ptr<Link>& link, int to);
  void establish(const std::shared_ptr<Link>& link, const SocketAddress& from, const SocketAddress& to);
  void refuse(const std::shared_ptr<Link>& link);
  void take_note(std::string text);

  Scheduler scheduler_;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> events_;  // by time, then in their order
  std::map<SocketAddress, Port*> ports_;
  std::deque<std::string> notes_;
  std::uint64_t event_count_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325U;
  std::uint32_t link_count_ = 0;
  Trace trace_;
};

}  // namespace steelyard::sim
