// Addresses as values: an IP address (4 or 6, IPv4-mapped ones are made IPv4), address and port, and a network in CIDR form.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace steelyard {

class IpAddress {
 public:
  constexpr IpAddress() = default;  // 0.0.0.0
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  // The strict spellings only: dotted quad without leading zeros, RFC 4291 text without zone. No names, no "127.1", no hex.
  static std::optional<IpAddress> parse(std::string_view text);
  static constexpr std::size_t text_max = 46;

  [[nodiscard]] bool is_v6() const { return v6_; }
  [[nodiscard]] static IpAddress loopback() { return v4(0x7f000001); }
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_unspecified() const { return bytes_ == std::array<std::uint8_t, 16>{}; }
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }  // IPv4 in the first four
  [[nodiscard]] std::string to_string() const;
  // Writes the text without allocating; `out` has room for text_max characters. Returns the length.
  std::size_t write(char* out) const;
  // The same in every process for the same seed. A table that clients can fill takes a secret seed.
  [[nodiscard]] std::uint64_t hash(std::uint64_t seed = 0) const;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v6_ = false;
};

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  // "127.0.0.1:8080", "[::1]:8080".
  static std::optional<SocketAddress> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
};

class Network {
 public:
  // "10.0.0.0/8", "fd00::/8", or one address. Bits beyond the prefix must be 0.
  static std::optional<Network> parse(std::string_view text);
  // Of that length, where `ip` is. At most 32 bits, of IPv6 128.
  static Network around(const IpAddress& ip, unsigned prefix_bits);
  [[nodiscard]] bool contains(const IpAddress& ip) const;
  [[nodiscard]] bool contains(const Network& other) const;  // all of it
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Network&, const Network&) = default;

 private:
  IpAddress base_;
  unsigned prefix_bits_ = 0;
};

}  // namespace steelyard
