// A keyed hash of bytes (SipHash-1-3, after Aumasson and Bernstein 2012): whoever does not know the seed cannot choose keys that
// collide, so it may index what comes from a network. The same seed gives the same hash in every process. Not a signature.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/prng.hpp"

namespace steelyard {

class KeyedHash {
 public:
  explicit constexpr KeyedHash(std::uint64_t seed) {
    Prng stretch(seed);
    key0_ = stretch.next();
    key1_ = stretch.next();
  }

  std::uint64_t operator()(std::string_view bytes) const {
    State state{key0_ ^ 0x736f6d6570736575U, key1_ ^ 0x646f72616e646f6dU, key0_ ^ 0x6c7967656e657261U, key1_ ^ 0x7465646279746573U};
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) state.absorb(load(at, 8));
    // The length in the last word keeps "a" and "a\0" apart.
    state.absorb(load(at, left) | static_cast<std::uint64_t>(bytes.size()) << 56U);
    state.v2 ^= 0xffU;
    for (int round = 0; round < 3; ++round) state.mix();
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
  }

 private:
  struct State {
    std::uint64_t v0, v1, v2, v3;

    void absorb(std::uint64_t word) {
      v3 ^= word;
      mix();
      v0 ^= word;
    }
    void mix() {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  };

  // Little-endian, as on every machine that this runs on; another one would only hash differently.
  static std::uint64_t load(const char* from, std::size_t size) {
    std::uint64_t word = 0;
    if (size != 0) std::memcpy(&word, from, size);
    return word;
  }

  std::uint64_t key0_;
  std::uint64_t key1_;
};

}  // namespace steelyard
