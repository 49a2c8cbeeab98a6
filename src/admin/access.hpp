// Who may ask the admin API for what. Decides only: tokens come from admin/token_files, the facts from the request. On the control
// thread.
//
// Three questions, in this order. Is the request meant for us, and did no foreign web page have it sent (judge)? A page can make a
// browser send requests to this machine, under a name of its own that it points here, or across sites. Who asks (identify)? And may
// they (allows)?
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace steelyard::admin {

// SHA-256: tokens are compared as these, so that neither their length nor their beginning shows in the time it takes.
using TokenDigest = std::array<std::uint8_t, 32>;
TokenDigest digest_of(std::string_view token);

struct Token {
  std::string pool;  // whose servers may register with it; "": the operator's
  TokenDigest digest{};
};

// Who can connect at all.
enum class Reach : std::uint8_t { unix_socket, loopback, network };

struct Caller {
  enum class Role : std::uint8_t { operator_, registrar };
  Role role = Role::operator_;
  std::string pool;  // of a registrar
};
// The name under which a lease is kept; a pool has one token for registration.
[[nodiscard]] std::string_view owner_name(const Caller& caller);

// What of a request counts here.
struct Asked {
  std::string_view authority;
  std::optional<std::string_view> origin;      // Origin
  std::optional<std::string_view> fetch_site;  // Sec-Fetch-Site
  std::optional<std::string_view> authorization;
};

struct Denied {
  int status = 403;
  const char* code = "";
  std::string message;
};

class Access {
 public:
  // Without an operator's token whoever reaches us from this machine is the operator, and nobody from elsewhere.
  Access(Reach reach, std::vector<std::string> hosts, std::vector<Token> tokens);

  [[nodiscard]] std::optional<Denied> judge(const Asked& asked) const;
  [[nodiscard]] std::expected<Caller, Denied> identify(const Asked& asked) const;

 private:
  [[nodiscard]] bool is_own_host(std::string_view authority) const;

  Reach reach_;
  std::vector<std::string> hosts_;
  std::vector<Token> tokens_;
  bool open_;
};

}  // namespace steelyard::admin
