// Where servers go that announce themselves by a packet. Workers ask; the control thread decides.
#pragma once

#include <functional>
#include <string>

#include "net/address.hpp"
#include "proxy/options.hpp"
#include "wire/packet/message.hpp"

namespace steelyard {

struct PacketAnnouncement {
  std::string pool;
  PacketRegistration by = PacketRegistration::off;  // what the listener asks for
  IpAddress address;                                // from which it comes
  packet::Setup setup;
};

class PacketRegistrar {
 public:
  // `done` is called once, on the control thread, when new exchanges find the server in its pool, or with why it is refused: a sentence
  // for people. From any thread.
  virtual void announce(PacketAnnouncement announcement, std::function<void(std::string refusal)> done) = 0;

 protected:
  ~PacketRegistrar() = default;
};

}  // namespace steelyard
