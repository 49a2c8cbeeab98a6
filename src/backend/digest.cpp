#include "backend/digest.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include "base/assert.hpp"

namespace steelyard::backend {

std::array<std::uint8_t, 20> sha1(std::string_view bytes) {
  std::array<std::uint8_t, 20> digest{};
  SY_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha1(), nullptr) == 1);
  return digest;
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) { SY_ASSERT(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }

void Sha256::add(std::span<const char> bytes) { SY_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1); }

std::string Sha256::finish() {
  std::array<std::uint8_t, 32> digest{};
  SY_ASSERT(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
  std::string digits;
  digits.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) fmt::format_to(std::back_inserter(digits), "{:02x}", byte);
  return digits;
}

std::string to_base64(std::span<const std::uint8_t> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '\0');
  // EVP_EncodeBlock ends its text with a NUL, for which a string has room.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  return text;
}

std::optional<std::size_t> base64_bytes(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.front() == ' ') return std::nullopt;
  std::string decoded(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // EVP_DecodeBlock counts the padding as bytes.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  return static_cast<std::size_t>(size) - padding;
}

}  // namespace steelyard::backend
