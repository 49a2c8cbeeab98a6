#include "upstream/sessions.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <string>

#include "base/assert.hpp"

namespace steelyard {
namespace {

constexpr std::size_t value_bytes = 16;  // of the digest's 32: enough against guessing

std::string value_for(std::string_view secret, std::string_view pool, std::string_view server) {
  std::string named(pool);
  named.push_back('\0');  // in no name, so that "a" + "bc" and "ab" + "c" stay apart
  named.append(server);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const unsigned char* const done = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                                         reinterpret_cast<const unsigned char*>(named.data()), named.size(), digest.data(), &size);
  SY_ASSERT(done != nullptr && size >= value_bytes);
  std::string value;
  for (std::size_t i = 0; i < value_bytes; ++i) value += fmt::format("{:02x}", digest[i]);
  return value;
}

}  // namespace

Sessions::Sessions(const StickyOptions& options, std::string_view secret, std::string_view pool,
                   std::span<const std::unique_ptr<Server>> servers)
    : cookie_(options.cookie) {
  for (const auto& server : servers) {
    const std::string value = value_for(secret, pool, server->id);
    std::string field = fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie_, value);
    if (options.secure) field += "; Secure";
    if (options.max_age) field += fmt::format("; Max-Age={}", *options.max_age / 1s);
    servers_.emplace(value, server.get());
    fields_.emplace(server.get(), std::move(field));
  }
}

Server* Sessions::server_of(std::string_view value) const {
  if (value.size() != 2 * value_bytes) return nullptr;
  const auto found = servers_.find(std::string(value));
  return found == servers_.end() ? nullptr : found->second;
}

std::string_view Sessions::set_cookie(const Server& server) const {
  const auto found = fields_.find(&server);
  return found == fields_.end() ? std::string_view{} : found->second;
}

}  // namespace steelyard
