// The side of the process that goes: it starts its successor from the file that its own binary came from, which may be a newer one by
// now, hands it the listening sockets and what it knows, and goes on as before until the successor is ready; where that never becomes
// ready, as if nothing had happened. The other side is app/predecessor. Never waits; on the control thread, owned by the service.
#pragma once

#include <sys/types.h>

#include <deque>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/inherited.hpp"
#include "app/parcel.hpp"
#include "net/epoll_loop.hpp"

namespace steelyard {

class Upgrade final : private Pollable {
 public:
  // The service.
  struct Host {
    // What it knows now, as a document; where there is a file, with what is too large for that in there. The file is not kept.
    std::function<std::string(std::optional<int> file)> describe;
    std::function<void()> successor_ready;                   // it is to stop accepting, and then to call let_go()
    std::function<void(std::string_view)> say;               // how it stands, for the service manager
    std::function<void(std::string_view why)> on_failure{};  // no successor has come; this process goes on
  };
  // From its start to "ready".
  static constexpr Duration ready_timeout = 30s;

  Upgrade(EpollLoop& loop, Invocation invocation, Host host, Duration timeout = ready_timeout);
  ~Upgrade();

  // Starts the successor. The sockets stay the caller's. The sentence says why that is not possible.
  std::expected<void, std::string> begin(const std::vector<InheritedSocket>& sockets);
  // Nothing is accepted here any more: from now on the successor does.
  void let_go();
  // The last word, for when nothing more will be counted. It may wait a little.
  void finish();
  // SIGCHLD has come.
  void on_child_signal();
  // Ends a successor that is not ready.
  void abandon();

  [[nodiscard]] bool under_way() const { return state_ != State::idle; }
  // Why the last successor did not take over; empty: none has failed since the last one began.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] bool handed_over() const { return state_ == State::ready || state_ == State::accepting; }

 private:
  // idle → starting → ready → accepting; back to idle where it fails before it is ready, by way of ending where it has to be killed.
  enum class State : std::uint8_t { idle, starting, ending, ready, accepting };
  class Alarm final : public Timer {
   public:
    explicit Alarm(Upgrade& upgrade) : upgrade_(upgrade) {}
    void on_expired() override { upgrade_.on_alarm(); }

   private:
    Upgrade& upgrade_;
  };

  std::expected<void, std::string> spawn(int socket);
  void post(std::string_view word, std::string text, std::vector<int> descriptors = {});
  enum class WithFile : bool { no, yes };
  void post_document(std::string_view word, WithFile with_file = WithFile::no);
  void flush();
  void on_events(std::uint32_t events) override;
  void on_alarm();
  void on_ended(int status);
  void end_child(std::string_view why);
  void close_socket();

  struct Outgoing {
    Parcel parcel;
    bool owns_descriptors = false;
  };

  EpollLoop& loop_;
  const Invocation invocation_;
  const Host host_;
  const Duration timeout_;
  State state_ = State::idle;
  pid_t child_ = -1;
  std::string failure_;
  int socket_ = -1;
  std::deque<Outgoing> outgoing_;
  Alarm alarm_{*this};
};

}  // namespace steelyard
