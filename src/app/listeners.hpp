// The listening sockets of the process: which there are, and what a new configuration makes of them. Each worker has a socket of its own
// on each address (SO_REUSEPORT). Those that were there before this process serve the listeners of their addresses. On the control thread,
// owned by the service.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "app/inherited.hpp"
#include "app/worker.hpp"
#include "proxy/options.hpp"

namespace steelyard {

class Listeners {
 public:
  struct Socket {
    int descriptor = -1;
    std::uint32_t worker = 0;  // whose it is to be
    bool taken = false;        // it is the worker's
  };
  struct Open {
    ListenerOptions options;
    SocketAddress address;  // with the port that port 0 became
    std::uint32_t id = 0;
    std::vector<Socket> sockets;  // one for each worker, or more where there were more before
  };
  // What is to be done to get from what there is to what is wanted.
  struct Change {
    std::vector<Open> open;             // all that there will be, in the configured order
    std::vector<std::uint32_t> opened;  // of these, the new ones
    std::vector<Open> closed;
  };

  explicit Listeners(std::uint32_t workers) : workers_(workers) {}
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;
  ~Listeners();

  // Before anything is prepared. The sockets are taken over; those that no listener wants are closed when the first change is adopted.
  void inherit(std::vector<InheritedSocket> sockets) { inherited_ = std::move(sockets); }
  // Binds what is new and not inherited; changes nothing when that fails. The sentence says what failed and what to do. A listener that
  // stays is known by its configured address.
  std::expected<Change, std::string> prepare(const std::vector<ListenerOptions>& wanted);
  // Lets go of what was prepared.
  void discard(Change change);
  // From now on it is so. The sockets are still to be handed over.
  void adopt(Change change);

  [[nodiscard]] const std::vector<Open>& open() const { return open_; }
  // The sockets of one worker, which are the worker's from now on; nothing where they were handed over before.
  [[nodiscard]] std::vector<ListeningSocket> hand_over(std::uint32_t worker);
  // All of them, for another process. They stay the workers'.
  [[nodiscard]] std::vector<InheritedSocket> sockets() const;

 private:
  [[nodiscard]] std::vector<int> take_inherited(const SocketAddress& bind);
  std::expected<void, std::string> open_sockets(Open& listener);

  const std::uint32_t workers_;
  std::uint32_t last_id_ = 0;
  std::vector<Open> open_;
  std::vector<InheritedSocket> inherited_;
};

}  // namespace steelyard
