// One question to the admin API of a proxy and its answer, over a connection of its own. Errors are part of the answer. On the
// backend's loop, in the fiber of whoever asks.
#pragma once

#include <string>
#include <string_view>

#include "net/address.hpp"
#include "net/epoll_net.hpp"
#include "runtime/task.hpp"
#include "wire/http/message.hpp"

namespace steelyard::backend {

// Where the API is, and what it is shown.
struct ApiPlace {
  SocketAddress address;
  std::string socket_path{};  // of a Unix socket, which is asked instead
  std::string token{};        // "": none
  [[nodiscard]] std::string to_string() const;
};

struct ApiRequest {
  http::Method method = http::Method::get;
  std::string_view method_text;
  std::string path;
  std::string body{};  // JSON
};

struct ApiAnswer {
  int status = 0;         // 0: there is none, and `message` says why
  std::string code{};     // of what was refused
  std::string message{};  // the same in a sentence
  [[nodiscard]] bool good() const { return status >= 200 && status < 300; }
};

// Ends by the fiber's deadline, too.
Task<ApiAnswer> call_api(EpollConnector& connector, const ApiPlace& place, const ApiRequest& request);

}  // namespace steelyard::backend
