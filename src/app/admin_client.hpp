// A blocking client of the admin API, for the commands of this binary that ask a running proxy. One connection for each question; it
// knows what an answer is, not what it means. On the command's only thread.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "net/address.hpp"
#include "wire/http/message.hpp"

namespace steelyard {

// Where an admin API is.
struct AdminPlace {
  std::string host{};  // an address or a name
  std::uint16_t port = 0;
  std::string socket_path{};  // of a Unix socket, which is asked instead
  [[nodiscard]] bool on_socket() const { return !socket_path.empty(); }
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const AdminPlace&, const AdminPlace&) = default;
};

// "127.0.0.1:9900", "http://127.0.0.1:9900/", "unix:/run/steelyard.sock". The sentence says what is wrong and what to write.
std::expected<AdminPlace, std::string> parse_admin_place(std::string_view text);

// Why a question has no answer that counts: a word for programs and a sentence for people.
struct AdminFailure {
  std::string code{};
  std::string message{};
  int exit_code = 1;
};

struct AdminRequest {
  http::Method method = http::Method::get;
  std::string path{};
  std::string body{};
  std::string_view type = "application/json";  // of a body
  std::string fields{};                        // further lines of the head, each with its end
};

struct AdminReply {
  int status = 0;
  std::string type{};
  std::string body{};
};

class AdminClient {
 public:
  // Looks the place up, if it is a name. `token` may be empty.
  static std::expected<AdminClient, AdminFailure> open(AdminPlace place, std::string token);

  // Whatever the API answers; nothing within ten seconds is a failure.
  [[nodiscard]] std::expected<AdminReply, AdminFailure> ask(const AdminRequest& request) const;
  // The same for a body that goes on: of an answer 200, `take` is given each part as it comes, and the reply's body is empty. It returns
  // when the other side ends, and fails when the connection breaks or is silent for longer than the API ever is.
  using Take = std::function<void(std::string_view part)>;
  [[nodiscard]] std::expected<AdminReply, AdminFailure> follow(const AdminRequest& request, const Take& take) const;

  [[nodiscard]] const AdminPlace& place() const { return place_; }
  [[nodiscard]] bool has_token() const { return !token_.empty(); }
  // The token can be read on its way.
  [[nodiscard]] bool exposes_token() const { return has_token() && !place_.on_socket() && !address_.ip.is_loopback(); }

 private:
  AdminClient(AdminPlace place, SocketAddress address, std::string token);
  [[nodiscard]] std::string head_of(const AdminRequest& request) const;
  [[nodiscard]] AdminFailure cannot_connect(int os_code) const;
  [[nodiscard]] AdminFailure no_answer(std::string_view why) const;

  AdminPlace place_;
  SocketAddress address_;
  std::string token_;
};

}  // namespace steelyard
