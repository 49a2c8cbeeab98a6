#include "observe/byte_ring.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/prng.hpp"

namespace steelyard {
namespace byte_ring_test {

bool produce(ByteRing& ring, std::string_view text) {
  char* const piece = ring.reserve();
  if (piece == nullptr) return false;
  std::memcpy(piece, text.data(), text.size());
  ring.commit(text.size());
  return true;
}

std::string consume_all(ByteRing& ring) {
  const auto pieces = ring.readable();
  std::string text(pieces[0]);
  text += pieces[1];
  ring.consume(text.size());
  return text;
}

TEST(ByteRing, shows_nothing_before_commit) {
  ByteRing ring(64, 16);
  ASSERT_NE(ring.reserve(), nullptr);
  EXPECT_EQ(consume_all(ring), "");
}

TEST(ByteRing, gives_bytes_back_in_order_over_many_laps) {
  ByteRing ring(64, 16);
  for (int i = 0; i < 1000; ++i) {
    const std::string text(1 + i % 16, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(produce(ring, text));
    ASSERT_TRUE(produce(ring, "|"));
    ASSERT_EQ(consume_all(ring), text + "|");
  }
}

TEST(ByteRing, refuses_when_the_longest_piece_might_not_fit) {
  ByteRing ring(64, 16);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(produce(ring, std::string(13, 'x')));
  EXPECT_EQ(ring.reserve(), nullptr);
  ring.consume(4);
  EXPECT_NE(ring.reserve(), nullptr);
}

TEST(ByteRing, knows_when_more_than_half_is_waiting) {
  ByteRing ring(64, 16);
  produce(ring, std::string(16, 'x'));
  produce(ring, std::string(16, 'x'));
  EXPECT_FALSE(ring.half_full());
  produce(ring, "x");
  EXPECT_TRUE(ring.half_full());
  ring.consume(1);
  EXPECT_FALSE(ring.half_full());
}

TEST(ByteRing, carries_every_byte_from_thread_to_thread) {
  constexpr std::size_t pieces = 50'000;
  ByteRing ring(4096, 64);
  std::thread producer([&] {
    Prng random(11);
    std::uint8_t next = 0;
    for (std::size_t i = 0; i < pieces; ++i) {
      char* piece = nullptr;
      while ((piece = ring.reserve()) == nullptr) std::this_thread::yield();
      const std::size_t size = 1 + random.below(64);
      for (std::size_t k = 0; k < size; ++k) piece[k] = static_cast<char>(next++);
      ring.commit(size);
    }
  });
  Prng random(11);
  std::size_t expected = 0;
  for (std::size_t i = 0; i < pieces; ++i) expected += 1 + random.below(64);
  std::uint8_t next = 0;
  std::size_t wrong = 0;
  for (std::size_t got = 0; got < expected;) {
    const std::string bytes = consume_all(ring);
    for (const char c : bytes) wrong += static_cast<std::uint8_t>(c) != next++;
    if (bytes.empty()) std::this_thread::yield();
    got += bytes.size();
  }
  producer.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace byte_ring_test
}  // namespace steelyard
