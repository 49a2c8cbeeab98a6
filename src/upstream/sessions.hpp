// Sticky sessions: the cookie that leads a client back to its server. Its value is a keyed digest of the pool and the server, so
// that nobody can make one up or learn an address from it, and the same secret gives the same values in every process and after
// every reload. Immutable.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "upstream/options.hpp"
#include "upstream/server.hpp"

namespace steelyard {

class Sessions {
 public:
  // `secret` is options.secret or, where that is empty, one of this process.
  Sessions(const StickyOptions& options, std::string_view secret, std::string_view pool, std::span<const std::unique_ptr<Server>> servers);

  [[nodiscard]] const std::string& cookie() const { return cookie_; }
  // Whom a cookie's value names; nullptr where it names nobody of this pool.
  [[nodiscard]] Server* server_of(std::string_view value) const;
  // The Set-Cookie field's value that leads back to `server`.
  [[nodiscard]] std::string_view set_cookie(const Server& server) const;

 private:
  std::string cookie_;
  std::unordered_map<std::string, Server*> servers_;
  std::unordered_map<const Server*, std::string> fields_;
};

}  // namespace steelyard
