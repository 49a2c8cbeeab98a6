// What a process finds at its start: listening sockets of the one whose place it takes, or of the service manager, and by which command it
// was started. Read once, before anything else; the variables that say so are gone afterwards, because they are not for its children.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace steelyard {

// A listening socket that was there before. Whoever holds it owns the descriptor.
struct InheritedSocket {
  std::string bind;            // the address as it was configured, where port 0 is one; that of the socket, where nobody knows
  std::uint32_t listener = 0;  // those of one listener have one number
  int descriptor = -1;
};

// How this process was started.
struct Invocation {
  std::string binary;                  // the file itself, also where a link led to it; "": unknown
  std::vector<std::string> arguments;  // the program's name first

  static Invocation of(int argc, char** argv);
};

inline constexpr const char* takeover_variable = "STEELYARD_TAKEOVER_FD";

struct Inherited {
  std::optional<int> predecessor;        // the socket to the process whose place this one takes
  std::vector<InheritedSocket> sockets;  // by the socket activation of systemd, sd_listen_fds(3)

  static Inherited take();
};

}  // namespace steelyard
