// The client side of packets: sends the packets of a file to a proxy over one connection, one after the other, and checks that each
// answer is the SHA-1 of its payload. One thread, one loop of its own.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "net/address.hpp"

namespace steelyard::backend {

struct OutgoingPacket {
  std::string text{};  // as it is sent
  std::string source{};
  std::string policy{};
  std::string payload{};
};

// The data packets that a text consists of, one JSON object after the other, in the spelling of Python's json.dumps. Where `source` is not
// empty, they come from that one instead. The sentence says which packet is wrong, in what line and how.
std::expected<std::vector<OutgoingPacket>, std::string> read_packets(std::string_view text, std::string_view source = {});

struct PacketClientOptions {
  SocketAddress proxy{};
  std::vector<OutgoingPacket> packets{};
  std::uint64_t count = 1;  // how often all of them are sent
  Duration timeout = 10s;   // for each answer, and for connecting
};

// Prints a line for each answer. Returns the exit code: 1 where an answer is missing or wrong, having said on stderr which and why.
int run_packet_client(const PacketClientOptions& options);

}  // namespace steelyard::backend
