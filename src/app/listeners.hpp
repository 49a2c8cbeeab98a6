// The listening sockets of the process: which there are, and what a new configuration makes of them. Each worker has a socket of its own
// on each address (SO_REUSEPORT). On the control thread, owned by the service.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "app/worker.hpp"
#include "proxy/options.hpp"

namespace steelyard {

class Listeners {
 public:
  struct Open {
    ListenerOptions options;
    SocketAddress address;  // with the port that port 0 became
    std::uint32_t id = 0;
    std::vector<int> descriptors;  // of each worker, until they have taken them over
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

  // Binds what is new; changes nothing when that fails. The sentence says what failed and what to do. A listener that stays is known by
  // its configured address.
  std::expected<Change, std::string> prepare(const std::vector<ListenerOptions>& wanted);
  // Lets go of what was prepared.
  void discard(Change change);
  // From now on it is so. The sockets are still to be handed over.
  void adopt(Change change) { open_ = std::move(change.open); }

  [[nodiscard]] const std::vector<Open>& open() const { return open_; }
  // The socket of one worker, which is the worker's from now on; nothing where it was handed over before.
  [[nodiscard]] std::vector<ListeningSocket> hand_over(std::uint32_t worker);

 private:
  const std::uint32_t workers_;
  std::uint32_t last_id_ = 0;
  std::vector<Open> open_;
};

}  // namespace steelyard
