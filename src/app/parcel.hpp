// How two processes of this program talk while one takes the other's place: parcels over a socket between them (SOCK_SEQPACKET), each of
// a word, a text and descriptors (SCM_RIGHTS). A long text travels as a file in memory. Knows nothing of what is handed over; that is for
// app/upgrade, the process that goes, and app/predecessor, the one that comes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace steelyard {

inline constexpr std::size_t parcel_descriptors_max = 250;  // the kernel takes 253 (SCM_MAX_FD)

struct Parcel {
  std::string word;  // what it is
  std::string text;  // up to some ten kilobytes
  std::vector<int> descriptors{};
};

// The words, in the order in which they are said.
namespace parcel_word {
inline constexpr std::string_view sockets = "sockets";  // the old process: some of the listening sockets
inline constexpr std::string_view state = "state";      // the old one: what it knows; all that is needed to begin is there
inline constexpr std::string_view ready = "ready";      // the new one: it is able to accept
inline constexpr std::string_view yours = "yours";      // the old one: it accepts no more
inline constexpr std::string_view counts = "counts";    // the old one: what it has counted by now, until it ends
}  // namespace parcel_word

// would_block where the socket is full and does not block. The descriptors stay the caller's.
Result<void> send_parcel(int socket, const Parcel& parcel);
// would_block; closed when the other process has gone; malformed. The descriptors are the caller's.
Result<Parcel> receive_parcel(int socket);

// A file in memory with that text; the caller owns the descriptor.
Result<int> make_memory_file(std::string_view text);
Result<std::string> read_memory_file(int descriptor);

}  // namespace steelyard
