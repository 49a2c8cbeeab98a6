// What limits have counted, as it goes on in another process.
#include "quota/limit.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>

namespace steelyard::quota {
namespace limit_test {

using limit::Kind;

constexpr std::uint64_t seed = 7;
constexpr Instant now{1'000'000'000'000};

// In memory, as processes hand it over.
struct File {
  File() : descriptor(memfd_create("test", MFD_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(descriptor); }
  int descriptor;
};

LimitOptions five(std::string name) {
  LimitOptions options;
  options.name = std::move(name);
  options.rule = {.kind = Kind::fixed_window, .count = 5, .period = 60s, .burst = 5};
  return options;
}

std::uint64_t left(const Limit& limit, std::string_view key) {
  const LocalTable& table = *limit.memory.table;
  return table.look(limit.options.rule, table.hash(key), now).remaining;
}

void count(const Limit& limit, std::string_view key, int times) {
  LocalTable& table = *limit.memory.table;
  for (int i = 0; i < times; ++i) table.take(limit.options.rule, table.hash(key), now);
}

// What is left for "client" where a limit has counted three, and another process has this one instead.
std::uint64_t left_after(const LimitOptions& before, const LimitOptions& after) {
  const File file;
  std::vector<CopiedLimit> copied;
  {
    LimitBook book(1, seed);
    count(*book.configure({before}, {}).at(0), "client", 3);
    copied = book.copy_to(file.descriptor);
  }
  LimitBook book(1, seed);
  book.take_over(file.descriptor, copied);
  return left(*book.configure({after}, {}).at(0), "client");
}

TEST(LimitBookTest, what_was_counted_goes_on_in_another_process) {
  const File file;
  LimitBook book(1, seed);
  const auto before = book.configure({five("a"), five("b"), five("c")}, {});
  for (int i = 0; i < 1000; ++i) count(*before[0], std::to_string(i), i % 5);
  count(*before[2], "client", 5);
  const auto copied = book.copy_to(file.descriptor);
  EXPECT_EQ(copied.size(), 3U);

  LimitBook other(4, seed);
  other.take_over(file.descriptor, copied);
  const auto after = other.configure({five("c"), five("a"), five("new")}, {});
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(left(*after[1], std::to_string(i)), 5U - static_cast<unsigned>(i % 5));
  EXPECT_EQ(left(*after[0], "client"), 0U);
  EXPECT_EQ(left(*after[2], "client"), 5U);

  count(*after[1], "0", 5);
  EXPECT_EQ(left(*before[0], "0"), 5U) << "each counts for itself from now on";
  EXPECT_EQ(left(*after[1], "0"), 0U);
}

TEST(LimitBookTest, a_third_process_goes_on_with_what_two_have_counted) {
  LimitBook first(1, seed);
  LimitBook second(1, seed);
  LimitBook third(1, seed);
  count(*first.configure({five("a")}, {}).at(0), "client", 1);
  {
    const File file;
    second.take_over(file.descriptor, first.copy_to(file.descriptor));
    count(*second.configure({five("a")}, {}).at(0), "client", 1);
  }
  const File file;
  third.take_over(file.descriptor, second.copy_to(file.descriptor));
  EXPECT_EQ(left(*third.configure({five("a")}, {}).at(0), "client"), 3U);
}

TEST(LimitBookTest, what_means_something_else_begins_anew) {
  const LimitOptions before = five("a");
  EXPECT_EQ(left_after(before, before), 2U);
  const auto changed = [&](const std::function<void(LimitOptions&)>& change) {
    LimitOptions after = before;
    change(after);
    return left_after(before, after);
  };
  EXPECT_EQ(changed([](LimitOptions& after) { after.rule.count = 4; }), 1U) << "of another rate it is the same";
  EXPECT_EQ(changed([](LimitOptions& after) { after.name = "b"; }), 5U);
  EXPECT_EQ(changed([](LimitOptions& after) { after.rule.kind = Kind::token_bucket; }), 5U);
  EXPECT_EQ(changed([](LimitOptions& after) { after.ipv6_prefix = 56; }), 5U);
  EXPECT_EQ(changed([](LimitOptions& after) { after.keys_max /= 2; }), 5U);
  EXPECT_EQ(changed([](LimitOptions& after) { after.key = {{.source = KeyPart::Source::path}}; }), 5U);
}

TEST(LimitBookTest, what_is_under_way_there_does_not_count_here) {
  LimitOptions at_once = five("a");
  at_once.rule.kind = Kind::concurrent;
  EXPECT_EQ(left_after(at_once, at_once), 5U);
}

TEST(LimitBookTest, a_file_that_is_too_short_or_none_at_all_is_not_read) {
  LimitBook book(1, seed);
  (void)book.configure({five("a")}, {});
  const File file;
  auto copied = book.copy_to(file.descriptor);
  copied.at(0).offset = std::uint64_t{1} << 62U;
  for (const int descriptor : {file.descriptor, -1}) {
    LimitBook other(1, seed);
    other.take_over(descriptor, copied);
    EXPECT_EQ(left(*other.configure({five("a")}, {}).at(0), "client"), 5U);
  }
}

}  // namespace limit_test
}  // namespace steelyard::quota
