#include "quota/key.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace steelyard::quota {
namespace {

constexpr std::size_t digest_bytes = 16;                                            // of 32: nobody finds two values alike in these
constexpr std::size_t kept_bytes = KeyText::part_bytes_max - 2 * digest_bytes - 1;  // of the value itself, for people

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

void KeyText::put(std::string_view text) {
  SY_ASSERT(size_ + text.size() <= text_.size());
  std::memcpy(text_.data() + size_, text.data(), text.size());
  size_ += text.size();
}

void KeyText::add(std::string_view value) {
  if (size_ != 0) put({&separator, 1});
  const bool plain = std::ranges::none_of(value, [](char c) { return c == separator || c == instead || c == hashed; });
  if (plain && value.size() <= part_bytes_max) return put(value);
  constexpr std::string_view digits = "0123456789abcdef";
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(value.data()), value.size(), digest);
  if (plain) put(value.substr(0, kept_bytes));
  put({&hashed, 1});
  for (std::size_t i = 0; i < digest_bytes; ++i) {
    const char pair[2]{digits[digest[i] >> 4U], digits[digest[i] & 0xfU]};
    put({pair, 2});
  }
}

// Nobody else's value looks like this.
void KeyText::add_instead(const IpAddress& client, const LimitOptions& options) {
  const std::size_t before = size_;
  add(client, options);
  const std::size_t at = before == 0 ? 0 : before + 1;
  std::memmove(text_.data() + at + 1, text_.data() + at, size_ - at);
  text_[at] = instead;
  ++size_;
}

void KeyText::add_veiled(std::string_view value) {
  constexpr std::size_t shown_bytes = 4;
  constexpr std::size_t bytes_min = 12;  // of which so many say little
  if (size_ != 0) put({&separator, 1});
  if (value.size() >= bytes_min && is_printable(value.substr(0, shown_bytes))) put(value.substr(0, shown_bytes));
  put("...");
}

void KeyText::add(const IpAddress& client, const LimitOptions& options) {
  const unsigned bits = client.is_v6() ? options.ipv6_prefix : options.ipv4_prefix;
  const bool whole = bits == (client.is_v6() ? 128U : 32U);
  if (!whole) return add(Network::around(client, bits).to_string());
  char memory[IpAddress::text_max];
  add({memory, client.write(memory)});
}

}  // namespace steelyard::quota
