// Scans one object in every way in which its bytes can arrive in two pieces, and byte by byte, and demands the same outcome. Each call
// gets a buffer of its own that ends where the bytes end, so that a sanitizer sees reads beyond.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/json/scanner.hpp"

namespace steelyard::json {

struct ScannedMember {
  std::string name;
  std::string value;
  Kind kind = Kind::null;
  friend bool operator==(const ScannedMember&, const ScannedMember&) = default;
};

struct Scanned {
  std::size_t consumed = 0;  // 0: not complete, or refused
  std::string refused;       // the sentence; "": not refused
  std::size_t offset = 0;    // looked at, or of what is refused
  std::vector<ScannedMember> members;
  friend bool operator==(const Scanned&, const Scanned&) = default;
};

inline Scanned scan_in_pieces(std::string_view bytes, const std::vector<std::size_t>& ends, const ScanLimits& limits) {
  Scanned scanned;
  ObjectScanner scanner(limits);
  for (const std::size_t end : ends) {
    const std::vector<char> buffer(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(end));
    const std::string_view seen{buffer.data(), buffer.size()};
    const auto taken = scanner.feed(seen);
    scanned.offset = scanner.offset();
    if (!taken) {
      EXPECT_EQ(taken.error().offset, scanner.offset());
      scanned.refused = taken.error().reason;
      return scanned;
    }
    if (*taken == 0) continue;
    scanned.consumed = *taken;
    const Object object = scanner.object(seen);
    for (const Member& member : object.members) {
      scanned.members.push_back({std::string(object.name(member)), std::string(object.value(member)), member.kind});
    }
    return scanned;
  }
  return scanned;
}

inline Scanned scan(std::string_view bytes, const ScanLimits& limits = {}) {
  Scanned whole = scan_in_pieces(bytes, {bytes.size()}, limits);
  std::vector<std::size_t> every;
  for (std::size_t split = 1; split <= bytes.size(); ++split) {
    EXPECT_EQ(scan_in_pieces(bytes, {split, bytes.size()}, limits), whole) << "split at " << split << " of " << bytes;
    every.push_back(split);
  }
  EXPECT_EQ(scan_in_pieces(bytes, every, limits), whole) << "byte by byte: " << bytes;
  return whole;
}

}  // namespace steelyard::json
