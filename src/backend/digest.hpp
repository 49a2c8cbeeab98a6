// What libcrypto computes for the backend, as values: SHA-1 (the WebSocket handshake wants it; it protects nothing), SHA-256 of a
// stream, base64.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace steelyard::backend {

[[nodiscard]] std::array<std::uint8_t, 20> sha1(std::string_view bytes);

class Sha256 {
 public:
  Sha256();
  void add(std::span<const char> bytes);
  // The digest in hexadecimal digits; nothing can be added afterwards.
  [[nodiscard]] std::string finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

[[nodiscard]] std::string to_base64(std::span<const std::uint8_t> bytes);
// The number of bytes that `text` stands for; nothing when it is not base64 with its padding.
[[nodiscard]] std::optional<std::size_t> base64_bytes(std::string_view text);

}  // namespace steelyard::backend
