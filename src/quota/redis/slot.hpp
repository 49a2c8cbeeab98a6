// Which of a Cluster's slots a key belongs to: CRC16 (XMODEM) of the key, or of what stands between its first '{' and the '}' behind it.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace steelyard::quota {

inline constexpr std::uint16_t slot_count = 16'384;

namespace crc16 {

inline constexpr std::array<std::uint16_t, 256> table = [] {
  constexpr unsigned polynomial = 0x1021;
  std::array<std::uint16_t, 256> made{};
  for (unsigned byte = 0; byte < made.size(); ++byte) {
    unsigned rest = byte << 8U;
    for (int bit = 0; bit < 8; ++bit) rest = (rest & 0x8000U) != 0 ? (rest << 1U) ^ polynomial : rest << 1U;
    made[byte] = static_cast<std::uint16_t>(rest);
  }
  return made;
}();

constexpr std::uint16_t of(std::string_view bytes) {
  unsigned rest = 0;
  for (const char c : bytes) rest = (rest << 8U & 0xffffU) ^ table[(rest >> 8U) ^ static_cast<unsigned char>(c)];
  return static_cast<std::uint16_t>(rest);
}

}  // namespace crc16

constexpr std::uint16_t slot_of(std::string_view key) {
  const std::size_t open = key.find('{');
  const std::size_t close = open == std::string_view::npos ? open : key.find('}', open);
  if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  return crc16::of(key) % slot_count;
}

}  // namespace steelyard::quota
