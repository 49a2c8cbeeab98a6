// The servers behind the proxy under test: any port, any address of the loopback device, and bodies whose size the last
// component of the path names (/0 /64 /1k /4k /16k /64k /256k /1m). They live in the load generator's own loop, because one
// process that is busy with both costs less than two that wake each other.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace steelyard::bench {

class Backend {
 public:
  Backend(int epoll, std::size_t descriptors);

  void listen(std::uint16_t port);
  void accept_some(int listener);
  void on_event(int fd, std::uint16_t life, std::uint32_t events);

 private:
  struct Connection {
    bool open = false;
    bool ends = false;  // closed after the response, as the request has asked
    std::uint16_t life = 0;
    std::string_view unsent;  // of a prepared response
    std::string unparsed;     // bytes of a request that is not whole yet; nearly always empty
  };
  struct Response {
    std::string_view name;
    std::size_t body_bytes;
    std::string kept;
    std::string last;
  };
  enum class Then { go_on, stop };

  void read(int fd, std::uint32_t events);
  Then answer(int fd, std::string_view bytes);
  Then answer_each(int fd, std::string_view bytes);
  Then flush(int fd);
  void forget(int fd);
  const Response& response_for(std::string_view head) const;

  int epoll_;
  std::vector<Connection> connections_;  // by descriptor
  std::array<Response, 8> responses_;
  std::array<char, 16384> buffer_;
};

}  // namespace steelyard::bench
