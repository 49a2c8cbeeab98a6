// What a request is counted by, as one text: the values of the key's parts, with a control character between them, which none of them can
// have. Long values are shortened, by a hash, so that a key has a bound and different values stay different.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "net/address.hpp"
#include "quota/options.hpp"

namespace steelyard::quota {

class KeyText {
 public:
  static constexpr std::size_t part_bytes_max = 96;
  static constexpr char separator = '\x1f';
  static constexpr char hashed = '\x1d';   // before the hash of a value that is too long, or has one of these characters
  static constexpr char instead = '\x1e';  // before a client that stands for a value that is not there

  void add(std::string_view value);
  void add(const IpAddress& client, const LimitOptions& options);
  void add_instead(const IpAddress& client, const LimitOptions& options);
  // What may be a secret: people see how it begins.
  void add_veiled(std::string_view value);
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

 private:
  void put(std::string_view text);

  std::array<char, key_parts_max*(part_bytes_max + 2)> text_;
  std::size_t size_ = 0;
};

}  // namespace steelyard::quota
