// The few socket calls that the relay and the load generator share. Not a library: no errors as values, no TLS, no IPv6. What
// cannot be set up ends the program with one sentence, because a benchmark on half a set-up measures nothing.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace steelyard::bench {

[[noreturn]] inline void give_up(const char* what) {
  std::fprintf(stderr, "cannot %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

inline std::int64_t monotonic_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000L + time.tv_nsec;
}

// Connections live in arrays indexed by descriptor; this is how long those must be.
inline std::size_t descriptors_max() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) give_up("read the limit on open files");
  limit.rlim_cur = limit.rlim_max < 1'000'000 ? limit.rlim_max : 1'000'000;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) give_up("raise the limit on open files");
  return limit.rlim_cur;
}

inline void set_option(int fd, int level, int option, int value = 1) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) give_up("set a socket option");
}

inline sockaddr_in loopback(std::uint16_t port, std::uint32_t address = INADDR_LOOPBACK) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(address);
  return where;
}

// Listens on one loopback address, or on all of them (INADDR_ANY) but on no other device, so that each 127.x.y.z is one more
// server. TCP_NODELAY is inherited by the accepted connections, which saves a call for each.
inline int listen_on_loopback(std::uint16_t port, std::uint32_t address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) give_up("open a socket");
  set_option(fd, SOL_SOCKET, SO_REUSEADDR);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY);
  if (address == INADDR_ANY && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") != 0) give_up("bind to the loopback device");
  const sockaddr_in where = loopback(port, address);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) give_up("bind the port");
  if (listen(fd, 16384) != 0) give_up("listen");
  return fd;
}

// What epoll hands back: which descriptor, what it is to us, and which of its lives. An event that was queued for a descriptor
// closed earlier in the same batch carries an older life than the connection that has taken its number since.
struct Token {
  std::uint32_t fd;
  std::uint16_t role;
  std::uint16_t life;
};

inline void watch(int epoll, Token token, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  static_assert(sizeof token == sizeof event.data.u64);
  std::memcpy(&event.data.u64, &token, sizeof token);
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, static_cast<int>(token.fd), &event) != 0) give_up("watch a descriptor");
}

inline Token token_of(const epoll_event& event) {
  Token token;
  std::memcpy(&token, &event.data.u64, sizeof token);
  return token;
}

constexpr std::uint32_t both_ways = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t something_to_read = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;

}  // namespace steelyard::bench
