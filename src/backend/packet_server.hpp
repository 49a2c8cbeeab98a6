// The server side of packets, for demos and tests: announces itself to a proxy, and answers each data packet with the SHA-1 of its
// payload. It refuses data of a policy that it does not promise, which no proxy should send it. One thread, one loop.
#pragma once

#include <cstdint>

#include "base/time.hpp"
#include "net/address.hpp"
#include "wire/packet/message.hpp"

namespace steelyard::backend {

struct PacketServerOptions {
  packet::Setup setup{};   // what it announces; the port is filled in. Its policy may be several, with commas between them
  SocketAddress listen{};  // port 0 takes a free one
  SocketAddress proxy{};
  Duration delay{0};   // before each answer
  bool quiet = false;  // say nothing of the packets
  std::uint64_t seed = 0;
};

// Serves until SIGTERM or SIGINT; what is being answered then is answered, unless a second one comes. Returns the exit code: 1 when it
// could not listen, having said why on stderr.
int run_packet_server(const PacketServerOptions& options);

// Whether `promised`, one policy or several with commas between them and blanks around each, has `policy`.
[[nodiscard]] bool promises(std::string_view promised, std::string_view policy);

}  // namespace steelyard::backend
