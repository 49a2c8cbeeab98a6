#include "decide/token/key.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>

#include "base/error.hpp"

namespace steelyard::token {
namespace {

constexpr std::size_t mac_bytes = 32;
constexpr std::size_t ed25519_signature_bytes = 64;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::expected<void, std::string> check_id(std::string_view id) {
  if (id.empty() || id.size() > Key::id_bytes_max) {
    return wrong(fmt::format("has a kid of {} characters, allowed are 1 to {}", id.size(), Key::id_bytes_max));
  }
  const bool visible = std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f; });
  if (!visible) return wrong("has a kid with a blank or a character that is not visible ASCII");
  return {};
}

std::expected<void, std::string> check_ed25519(std::string_view id, std::string_view bytes) {
  if (const auto checked = check_id(id); !checked) return checked;
  if (bytes.size() == Key::ed25519_bytes) return {};
  return wrong(fmt::format("has {} bytes, those of Ed25519 have {}", bytes.size(), Key::ed25519_bytes));
}

struct Free {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, Free>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free>;

constexpr const char* no_crypto = "cannot be used: libcrypto does not have its algorithm, or there is no memory";

}  // namespace

std::string_view name_of(Algorithm algorithm) { return algorithm == Algorithm::hs256 ? "HS256" : "EdDSA"; }

std::expected<Key, std::string> Key::from_secret(std::string_view id, std::string_view secret) {
  if (const auto checked = check_id(id); !checked) return wrong(checked.error());
  if (secret.size() < secret_bytes_min || secret.size() > secret_bytes_max) {
    return wrong(fmt::format("has a secret of {} bytes, HS256 takes {} to {}", secret.size(), secret_bytes_min, secret_bytes_max));
  }
  const std::unique_ptr<EVP_MAC, Free> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  MacContext context(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
  std::string digest = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), digest.size()),
                                   OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_init(context.get(), bytes_of(secret), secret.size(), parameters) != 1) return wrong(no_crypto);
  Key key;
  key.id_ = id;
  key.can_sign_ = true;
  key.mac_ = std::shared_ptr<EVP_MAC_CTX>(std::move(context));
  return key;
}

std::expected<Key, std::string> Key::from_private(std::string_view id, std::string_view private_bytes) {
  if (const auto checked = check_ed25519(id, private_bytes); !checked) return wrong(checked.error());
  Key key;
  key.id_ = id;
  key.can_sign_ = true;
  key.pair_ = {EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(private_bytes), private_bytes.size()), Free{}};
  key.public_bytes_.resize(ed25519_bytes);
  std::size_t size = ed25519_bytes;
  if (!key.pair_ || EVP_PKEY_get_raw_public_key(key.pair_.get(), bytes_of(key.public_bytes_), &size) != 1) return wrong(no_crypto);
  return key;
}

std::expected<Key, std::string> Key::from_public(std::string_view id, std::string_view public_bytes) {
  if (const auto checked = check_ed25519(id, public_bytes); !checked) return wrong(checked.error());
  Key key;
  key.id_ = id;
  key.pair_ = {EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(public_bytes), public_bytes.size()), Free{}};
  key.public_bytes_ = public_bytes;
  if (!key.pair_) return wrong(no_crypto);
  return key;
}

// Each thread keeps a context of the key that it used last: making one takes longer than using it. It owns that key's own, so that no
// other key can come to its address.
std::string Key::mac_of(std::string_view text) const {
  struct Kept {
    std::shared_ptr<EVP_MAC_CTX> key;
    MacContext context;
  };
  thread_local Kept kept;
  if (kept.key != mac_) kept = {mac_, MacContext(EVP_MAC_CTX_dup(mac_.get()))};
  EVP_MAC_CTX* const context = kept.context.get();
  std::string mac(mac_bytes, '\0');
  std::size_t size = 0;
  const bool done = context != nullptr && EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&
                    EVP_MAC_update(context, bytes_of(text), text.size()) == 1 &&
                    EVP_MAC_final(context, bytes_of(mac), &size, mac.size()) == 1 && size == mac_bytes;
  return done ? mac : std::string();
}

std::string Key::sign(std::string_view text) const {
  if (mac_) return mac_of(text);
  if (!can_sign_) return {};
  const DigestContext context(EVP_MD_CTX_new());
  std::string signature(ed25519_signature_bytes, '\0');
  std::size_t size = signature.size();
  const bool done = context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pair_.get()) == 1 &&
                    EVP_DigestSign(context.get(), bytes_of(signature), &size, bytes_of(text), text.size()) == 1 &&
                    size == ed25519_signature_bytes;
  return done ? signature : std::string();
}

bool Key::signed_by_this(std::string_view text, std::string_view signature) const {
  if (mac_) {
    const std::string mac = mac_of(text);
    return mac.size() == mac_bytes && signature.size() == mac_bytes && CRYPTO_memcmp(mac.data(), signature.data(), mac_bytes) == 0;
  }
  if (signature.size() != ed25519_signature_bytes) return false;
  const DigestContext context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pair_.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(text), text.size()) == 1;
}

}  // namespace steelyard::token
