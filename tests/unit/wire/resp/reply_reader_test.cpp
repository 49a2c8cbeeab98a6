// Replies in pieces of every size, and bytes that are none or would be too much.
#include "wire/resp/reply_reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace steelyard::resp {
namespace reply_reader_test {

using Kind = Reply::Kind;

struct Outcome {
  std::vector<Reply> replies;
  std::string refused;  // the words may differ with the pieces
  friend bool operator==(const Outcome& a, const Outcome& b) { return a.replies == b.replies && a.refused.empty() == b.refused.empty(); }
};

Outcome read(const std::vector<std::string_view>& pieces, const ReplyLimits& limits = {}) {
  ReplyReader reader(limits);
  Outcome outcome;
  for (const std::string_view piece : pieces) {
    reader.feed(piece);
    for (;;) {
      auto reply = reader.next();
      if (!reply) outcome.refused = reply.error();
      if (!reply || !*reply) break;
      outcome.replies.push_back(std::move(**reply));
    }
  }
  return outcome;
}

// Whole, in two pieces cut everywhere, and byte by byte.
Outcome read_in_every_way(std::string_view bytes, const ReplyLimits& limits = {}) {
  const Outcome whole = read({bytes}, limits);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    const Outcome cut_once = read({bytes.substr(0, cut), bytes.substr(cut)}, limits);
    EXPECT_EQ(cut_once, whole) << "cut at " << cut;
  }
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  EXPECT_EQ(read(single, limits), whole);
  return whole;
}

Reply integer(std::int64_t value) { return {.kind = Kind::integer, .integer = value}; }
Reply text(std::string value) { return {.kind = Kind::text, .text = std::move(value)}; }
Reply array(std::vector<Reply> items) { return {.kind = Kind::array, .items = std::move(items)}; }

TEST(ReplyReader, reads_every_kind_of_reply) {
  using namespace std::string_literals;
  const std::string bytes = "+OK\r\n-ERR no\r\n:-42\r\n$6\r\na\r\nb\0\xff\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"s;
  const Outcome outcome = read_in_every_way(bytes);
  EXPECT_EQ(outcome.refused, "");
  const std::vector<Reply> expected = {{.kind = Kind::status, .text = "OK"},
                                       {.kind = Kind::error, .text = "ERR no"},
                                       integer(-42),
                                       text(std::string("a\r\nb\0\xff", 6)),
                                       text(""),
                                       {},
                                       {},
                                       array({})};
  EXPECT_EQ(outcome.replies, expected);
}

TEST(ReplyReader, reads_arrays_within_arrays) {
  const Outcome outcome = read_in_every_way("*3\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n*2\r\n+a\r\n:9223372036854775807\r\n:7\r\n");
  ASSERT_EQ(outcome.replies.size(), 2U);
  EXPECT_EQ(outcome.replies[0],
            array({array({integer(1), array({text("x")})}), Reply{}, array({{.kind = Kind::status, .text = "a"}, integer(INT64_MAX)})}));
  EXPECT_EQ(outcome.replies[1], integer(7));
}

TEST(ReplyReader, an_array_of_arrays_that_grow_keeps_what_it_had) {
  std::string bytes = "*500\r\n";
  for (int i = 0; i < 500; ++i) bytes += "*2\r\n:" + std::to_string(i) + "\r\n$3\r\nabc\r\n";
  const Outcome outcome = read({bytes});
  ASSERT_EQ(outcome.replies.size(), 1U);
  ASSERT_EQ(outcome.replies[0].items.size(), 500U);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(outcome.replies[0].items[static_cast<std::size_t>(i)], array({integer(i), text("abc")}));
}

TEST(ReplyReader, refuses_what_is_no_reply) {
  for (const char* bytes : {"$-5\r\n", "$x\r\n", "*-2\r\n", "*x\r\n", ":1x\r\n", ":\r\n", ":99999999999999999999\r\n", "hello\r\n", "\r\n",
                            ">2\r\n+invalidate\r\n*0\r\n", "%1\r\n+a\r\n+b\r\n", "HTTP/1.1 400 Bad Request\r\n", "*4294967297\r\n",
                            "$111111111111111111111111111111111111111111\r\n"}) {
    const Outcome outcome = read_in_every_way(bytes);
    EXPECT_NE(outcome.refused, "") << bytes;
    EXPECT_TRUE(outcome.replies.empty()) << bytes;
  }
}

TEST(ReplyReader, what_came_before_the_first_wrong_byte_counts_and_nothing_behind_it) {
  const Outcome outcome = read_in_every_way("+OK\r\n$-5\r\n+OK\r\n");
  EXPECT_EQ(outcome.replies.size(), 1U);
  EXPECT_NE(outcome.refused, "");
}

TEST(ReplyReader, an_array_that_is_announced_too_large_is_refused_at_once) {
  EXPECT_EQ(read_in_every_way("*1000000000\r\n").refused, "an array is too large");
  EXPECT_EQ(read_in_every_way("*2\r\n:1\r\n*65537\r\n").refused, "an array is too large");
}

TEST(ReplyReader, many_small_arrays_are_too_much_together) {
  const ReplyLimits limits{.items_max = 100};
  std::string bytes = "*20\r\n";
  for (int i = 0; i < 20; ++i) bytes += "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n";
  EXPECT_EQ(read({bytes}, limits).refused, "a reply has too many items");
  bytes = "*99\r\n";
  for (int i = 0; i < 99; ++i) bytes += ":1\r\n";
  EXPECT_EQ(read({bytes, bytes}, limits).replies.size(), 2U);
}

TEST(ReplyReader, a_text_costs_nothing_before_it_arrives_and_is_refused_beyond_the_limit) {
  const ReplyLimits limits{.bytes_max = 100'000};
  ReplyReader reader(limits);
  reader.feed("$536870913\r\n");
  auto reply = reader.next();
  ASSERT_TRUE(reply && !*reply);
  const std::string piece(16'384, 'x');
  std::size_t fed = 0;
  while (reply && fed < 1'000'000) {
    reader.feed(piece);
    fed += piece.size();
    reply = reader.next();
  }
  EXPECT_FALSE(reply);
  EXPECT_LE(fed, 100'000 + piece.size());
}

TEST(ReplyReader, a_reply_may_be_as_large_as_the_limit_and_not_larger) {
  const ReplyLimits limits{.bytes_max = 20};
  EXPECT_EQ(read_in_every_way("$13\r\n1234567890123\r\n", limits).replies.size(), 1U);
  EXPECT_EQ(read_in_every_way("$14\r\n12345678901234\r\n", limits).refused, "a reply is too large");
  EXPECT_EQ(read_in_every_way("*3\r\n+1234\r\n+1234\r\n+12\r\n", limits).refused, "a reply is too large");
  // The limit is of each.
  EXPECT_EQ(read_in_every_way("$13\r\n1234567890123\r\n$13\r\n1234567890123\r\n+OK\r\n", limits).replies.size(), 3U);
}

TEST(ReplyReader, a_line_that_does_not_end_is_refused) {
  for (const std::string begin : {"+", "-", ":", "$", "*", "*1\r\n+"}) {
    ReplyReader reader;
    reader.feed(begin);
    auto reply = reader.next();
    std::size_t fed = 0;
    for (; reply && fed < 100'000; fed += 64) {
      reader.feed(std::string(64, '1'));
      reply = reader.next();
    }
    EXPECT_FALSE(reply) << begin;
    EXPECT_LE(fed, 8192U + 128U) << begin;
  }
}

TEST(ReplyReader, arrays_nest_seven_deep_and_no_deeper) {
  std::string bytes;
  for (int i = 0; i < 7; ++i) bytes += "*1\r\n";
  EXPECT_EQ(read_in_every_way(bytes + ":1\r\n").replies.size(), 1U);
  EXPECT_NE(read_in_every_way(bytes + "*1\r\n*1\r\n:1\r\n").refused, "");
  std::string endless;
  for (int i = 0; i < 10'000; ++i) endless += "*1\r\n";
  EXPECT_NE(read({endless}).refused, "");
}

}  // namespace reply_reader_test
}  // namespace steelyard::resp
