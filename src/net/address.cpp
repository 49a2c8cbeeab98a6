#include "net/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "base/ascii.hpp"
#include "base/hash.hpp"

namespace steelyard {
namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Decimal without leading zeros, so that a number has one spelling.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return parse_unsigned<Number>(text);
}

// True when every bit from `prefix_bits` on is 0.
bool ends_in_zeros(const std::array<std::uint8_t, 16>& bytes, unsigned prefix_bits) {
  for (unsigned bit = prefix_bits; bit < 128; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1U) != 0) return false;
  }
  return true;
}

char* write_v4(const std::array<std::uint8_t, 16>& bytes, char* out) {
  for (unsigned i = 0; i < 4; ++i) {
    if (i != 0) *out++ = '.';
    out = std::to_chars(out, out + 3, bytes[i]).ptr;
  }
  return out;
}

struct Run {
  unsigned begin = 0;
  unsigned length = 0;
};

// The run of zero groups that "::" stands for: the longest, the first of equals, never a single group (RFC 5952 §4.2).
Run longest_zero_run(const std::array<unsigned, 8>& groups) {
  Run longest;
  Run current;
  for (unsigned i = 0; i < 8; ++i) {
    current = groups[i] != 0 ? Run{i + 1, 0} : Run{current.begin, current.length + 1};
    if (current.length > longest.length) longest = current;
  }
  return longest.length > 1 ? longest : Run{8, 0};
}

char* write_v6(const std::array<std::uint8_t, 16>& bytes, char* out) {
  std::array<unsigned, 8> groups{};
  for (unsigned i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes[2 * i] << 8U) | bytes[2 * i + 1];
  const Run zeros = longest_zero_run(groups);
  for (unsigned i = 0; i < 8;) {
    if (i == zeros.begin) {
      *out++ = ':';
      *out++ = ':';
      i += zeros.length;
      continue;
    }
    if (i != 0 && i != zeros.begin + zeros.length) *out++ = ':';
    out = std::to_chars(out, out + 4, groups[i], 16).ptr;
    ++i;
  }
  return out;
}

}  // namespace

// inet_pton takes exactly the strict spellings: no octal, no hexadecimal, no missing parts, no zone.
std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, text_max> terminated{};
  if (text.size() >= terminated.size() || text.contains('\0')) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  std::array<std::uint8_t, 16> bytes{};
  if (text.contains(':')) {
    if (inet_pton(AF_INET6, terminated.data(), bytes.data()) != 1) return std::nullopt;
    return v6(bytes);
  }
  IpAddress ip;
  if (inet_pton(AF_INET, terminated.data(), ip.bytes_.data()) != 1) return std::nullopt;
  return ip;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress ip;
  for (unsigned i = 0; i < 4; ++i) ip.bytes_[i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return ip;
}

// An IPv4-mapped address (RFC 4291 §2.5.5.2) names the same host as the IPv4 address in it. One value for both, so that no rule
// written for one spelling is passed by in the other.
IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress ip;
  if (std::ranges::equal(mapped_prefix, std::span(bytes).first(12))) {
    std::copy(bytes.begin() + 12, bytes.end(), ip.bytes_.begin());
    return ip;
  }
  ip.bytes_ = bytes;
  ip.v6_ = true;
  return ip;
}

bool IpAddress::is_loopback() const {
  if (!v6_) return bytes_[0] == 127;
  return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.begin() + 15, [](std::uint8_t byte) { return byte == 0; });
}

std::size_t IpAddress::write(char* out) const {
  return static_cast<std::size_t>((v6_ ? write_v6(bytes_, out) : write_v4(bytes_, out)) - out);
}

std::string IpAddress::to_string() const {
  std::array<char, text_max> text{};
  return {text.data(), write(text.data())};
}

std::uint64_t IpAddress::hash(std::uint64_t seed) const {
  return KeyedHash(seed)({reinterpret_cast<const char*>(bytes_.data()), v6_ ? 16U : 4U});
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Brackets are for IPv6 and only they keep its colons apart from the one before the port.
  if (!port || bracketed != host.contains(':')) return std::nullopt;
  const auto ip = IpAddress::parse(host);
  if (!ip) return std::nullopt;
  return SocketAddress{*ip, *port};
}

std::string SocketAddress::to_string() const {
  const std::string host = ip.is_v6() ? "[" + ip.to_string() + "]" : ip.to_string();
  return host + ":" + std::to_string(port);
}

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto base = IpAddress::parse(text.substr(0, slash));
  if (!base) return std::nullopt;
  Network network;
  network.base_ = *base;
  network.prefix_bits_ = base->is_v6() ? 128 : 32;
  if (slash == std::string_view::npos) return network;

  auto prefix_bits = parse_number<unsigned>(text.substr(slash + 1));
  if (!prefix_bits) return std::nullopt;
  const bool mapped = !base->is_v6() && text.contains(':');
  if (mapped && *prefix_bits < 96) return std::nullopt;
  if (mapped) *prefix_bits -= 96;
  if (*prefix_bits > network.prefix_bits_ || !ends_in_zeros(base->bytes(), *prefix_bits)) return std::nullopt;
  network.prefix_bits_ = *prefix_bits;
  return network;
}

Network Network::around(const IpAddress& ip, unsigned prefix_bits) {
  auto bytes = ip.bytes();
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = prefix_bits > 8 * i ? std::min(prefix_bits - 8 * i, 8U) : 0;
    bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  Network network;
  if (ip.is_v6()) {
    network.base_ = IpAddress::v6(bytes);
  } else {
    network.base_ = IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24U | static_cast<std::uint32_t>(bytes[1]) << 16U |
                                  static_cast<std::uint32_t>(bytes[2]) << 8U | bytes[3]);
  }
  network.prefix_bits_ = prefix_bits;
  return network;
}

bool Network::contains(const IpAddress& ip) const {
  if (ip.is_v6() != base_.is_v6()) return false;
  const unsigned whole = prefix_bits_ / 8;
  if (!std::equal(ip.bytes().begin(), ip.bytes().begin() + whole, base_.bytes().begin())) return false;
  const unsigned rest = prefix_bits_ % 8;
  return rest == 0 || (ip.bytes()[whole] ^ base_.bytes()[whole]) >> (8 - rest) == 0;
}

bool Network::contains(const Network& other) const { return prefix_bits_ <= other.prefix_bits_ && contains(other.base_); }

std::string Network::to_string() const { return base_.to_string() + "/" + std::to_string(prefix_bits_); }

}  // namespace steelyard
