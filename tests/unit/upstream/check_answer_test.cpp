// Answers to health checks, whole, in pieces, cut short, and without an end.
#include "upstream/check_answer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/scripted_stream.hpp"

namespace steelyard {
namespace check_answer_test {

using testing_support::ScriptedStream;
using Kind = CheckVerdict::Kind;

HealthOptions plain() { return {}; }
HealthOptions expecting(std::vector<StatusRange> ranges) {
  HealthOptions options;
  options.expect = std::move(ranges);
  return options;
}
HealthOptions draining_on(std::vector<StatusRange> ranges) {
  HealthOptions options;
  options.drain_on = std::move(ranges);
  return options;
}
HealthOptions containing(std::string text) {
  HealthOptions options;
  options.body = std::move(text);
  return options;
}
HealthOptions with_method(HealthOptions options, std::string method) {
  options.method = std::move(method);
  return options;
}

// What comes at the end of the bytes.
enum class Then : std::uint8_t { nothing, end, reset };

struct Example {
  std::string_view situation;
  HealthOptions options;
  std::string answer;
  Then then = Then::nothing;
  Kind kind = Kind::healthy;
  std::string reason = "health check passed";
};

std::string ok(std::string_view fields, std::string_view body) { return fmt::format("HTTP/1.1 200 OK\r\n{}\r\n{}", fields, body); }

const std::vector<Example> statuses{
    {"200", plain(), ok("Content-Length: 0\r\n", "")},
    {"204_is_not_200", plain(), "HTTP/1.1 204 No\r\n\r\n", Then::nothing, Kind::unhealthy, "answered 204 to GET /health, not 200"},
    {"503", plain(), "HTTP/1.1 503 No\r\n\r\n", Then::nothing, Kind::unhealthy, "answered 503 to GET /health, not 200"},
    {"HTTP_1_0", plain(), "HTTP/1.0 200 OK\r\n\r\n"},
    {"before_its_body", plain(), ok("Content-Length: 9\r\n", "")},
    {"in_a_range", expecting({{200, 299}, {304, 304}}), "HTTP/1.1 299 x\r\n\r\n"},
    {"in_a_second_range", expecting({{200, 299}, {304, 304}}), "HTTP/1.1 304 x\r\n\r\n"},
    {"in_none_of_two", expecting({{200, 299}, {304, 304}}), "HTTP/1.1 300 x\r\n\r\n", Then::nothing, Kind::unhealthy,
     "answered 300 to GET /health, not 200-299, 304"},
    {"that_asks_for_a_drain", draining_on({{429, 429}, {503, 503}}), "HTTP/1.1 503 x\r\n\r\n", Then::nothing, Kind::drain,
     "answered 503 to GET /health"},
    {"that_is_expected_and_asks_for_a_drain", draining_on({{200, 200}}), ok("", ""), Then::nothing, Kind::drain,
     "answered 200 to GET /health"},
    {"that_neither_drains_nor_is_expected", draining_on({{429, 429}}), "HTTP/1.1 503 x\r\n\r\n", Then::nothing, Kind::unhealthy,
     "answered 503 to GET /health, not 200"},
    {"to_HEAD", with_method(plain(), "HEAD"), ok("Content-Length: 500\r\n", "")},
    {"to_another_method", with_method(plain(), "OPTIONS"), "HTTP/1.1 405 x\r\n\r\n", Then::nothing, Kind::unhealthy,
     "answered 405 to OPTIONS /health, not 200"},
    {"after_interim_answers", plain(), "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok("", "")},
    {"503_after_an_interim_answer", plain(), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\n\r\n", Then::nothing, Kind::unhealthy,
     "answered 503 to GET /health, not 200"},
    {"101", plain(), "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", Then::nothing, Kind::unhealthy,
     "answered 101 to GET /health, not 200"},
};

const std::vector<Example> bodies{
    {"of_known_length", containing("ready"), ok("Content-Length: 14\r\n", "we are ready!\n")},
    {"that_is_the_text", containing("ready"), ok("Content-Length: 5\r\n", "ready")},
    {"in_chunks_within_the_text", containing("ready"), ok("Transfer-Encoding: chunked\r\n", "3\r\nxre\r\n2\r\nad\r\n2\r\nyx\r\n0\r\n\r\n")},
    {"until_the_end", containing("ready"), ok("", "is ready"), Then::end},
    {"that_repeats_the_beginning_of_the_text", containing("aab"), ok("Content-Length: 6\r\n", "aaaaab")},
    {"before_it_is_complete", containing("ready"), ok("Content-Length: 500\r\n", "ready")},
    {"after_an_interim_answer", containing("ready"), "HTTP/1.1 100 Continue\r\n\r\n" + ok("Content-Length: 5\r\n", "ready")},
    {"without_the_text", containing("ready"), ok("Content-Length: 4\r\n", "read"), Then::nothing, Kind::unhealthy,
     "answered 200 with a body that does not contain \"ready\""},
    {"in_chunks_without_the_text", containing("ready"), ok("Transfer-Encoding: chunked\r\n", "5\r\nreadx\r\n0\r\n\r\n"), Then::nothing,
     Kind::unhealthy, "answered 200 with a body that does not contain \"ready\""},
    {"until_the_end_without_the_text", containing("ready"), ok("", "no"), Then::end, Kind::unhealthy,
     "answered 200 with a body that does not contain \"ready\""},
    {"whose_framing_contains_the_text", containing("5\r\n"), ok("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), Then::nothing,
     Kind::unhealthy, "answered 200 with a body that does not contain \"5\r\n\""},
    {"whose_head_contains_the_text", containing("ready"), ok("State: ready\r\nContent-Length: 2\r\n", "no"), Then::nothing, Kind::unhealthy,
     "answered 200 with a body that does not contain \"ready\""},
    {"with_the_text_beyond_its_end", containing("ready"), ok("Content-Length: 2\r\n", "noready"), Then::nothing, Kind::unhealthy,
     "answered 200 with a body that does not contain \"ready\""},
    {"that_is_empty", containing("ready"), ok("Content-Length: 0\r\n", ""), Then::nothing, Kind::unhealthy,
     "answered 200 without a body, which does not contain \"ready\""},
    {"of_HEAD", with_method(containing("ready"), "HEAD"), ok("Content-Length: 5\r\n", ""), Then::nothing, Kind::unhealthy,
     "answered 200 without a body, which does not contain \"ready\""},
    {"of_a_wrong_status", containing("ready"), "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nready", Then::nothing, Kind::unhealthy,
     "answered 500 to GET /health, not 200"},
};

const std::vector<Example> failures{
    {"nothing_and_the_end", plain(), "", Then::end, Kind::unhealthy, "connection closed without an answer"},
    {"nothing_and_a_reset", plain(), "", Then::reset, Kind::unhealthy, "connection reset without an answer"},
    {"half_a_head_and_the_end", plain(), "HTTP/1.1 200 OK\r\nConte", Then::end, Kind::unhealthy,
     "connection closed within the head of the answer"},
    {"half_a_head_and_a_reset", plain(), "HTTP/1.1 200 OK\r\nConte", Then::reset, Kind::unhealthy,
     "connection reset within the head of the answer"},
    {"only_an_interim_answer_and_the_end", plain(), "HTTP/1.1 100 Continue\r\n\r\n", Then::end, Kind::unhealthy,
     "connection closed within the head of the answer"},
    {"half_a_body_and_the_end", containing("ready"), ok("Content-Length: 9\r\n", "rea"), Then::end, Kind::unhealthy,
     "connection closed within the body of the answer"},
    {"half_a_body_and_a_reset", containing("ready"), ok("", "rea"), Then::reset, Kind::unhealthy,
     "connection reset within the body of the answer"},
    {"another_protocol", plain(), "SSH-2.0-OpenSSH_9.2\r\n", Then::nothing, Kind::unhealthy,
     "not an HTTP answer: The response does not begin with an HTTP/1 status line."},
    {"a_malformed_chunk", containing("ready"), ok("Transfer-Encoding: chunked\r\n", "zz\r\n"), Then::nothing, Kind::unhealthy, ""},
};

// What a check says of bytes that arrive in pieces which end at `cuts`.
std::optional<CheckVerdict> read_in_pieces(const Example& example, std::vector<std::size_t> cuts) {
  ScriptedStream stream;
  CheckAnswer answer(example.options, stream);
  std::size_t begin = 0;
  cuts.push_back(example.answer.size());
  for (const std::size_t cut : cuts) {
    stream.feed(std::string_view(example.answer).substr(begin, cut - begin));
    begin = cut;
    auto verdict = answer.read();
    if (verdict) return verdict;
  }
  if (example.then == Then::end) stream.end();
  if (example.then == Then::reset) stream.reset();
  return answer.read();
}

void expect_verdict(const Example& example, const std::optional<CheckVerdict>& verdict) {
  ASSERT_TRUE(verdict) << example.situation;
  EXPECT_EQ(verdict->kind, example.kind) << example.situation << ": " << verdict->reason;
  if (!example.reason.empty()) {
    EXPECT_EQ(verdict->reason, example.reason) << example.situation;
  }
}

// Whole, split at every byte, and byte by byte.
void replay(const std::vector<Example>& examples) {
  for (const Example& example : examples) {
    expect_verdict(example, read_in_pieces(example, {}));
    std::vector<std::size_t> every;
    for (std::size_t cut = 1; cut < example.answer.size(); ++cut) {
      expect_verdict(example, read_in_pieces(example, {cut}));
      every.push_back(cut);
    }
    expect_verdict(example, read_in_pieces(example, every));
  }
}

TEST(CheckAnswer, statuses_decide_however_they_arrive) { replay(statuses); }
TEST(CheckAnswer, bodies_are_searched_however_they_arrive) { replay(bodies); }
TEST(CheckAnswer, failures_are_told_in_words) { replay(failures); }

TEST(CheckAnswer, says_nothing_before_there_is_a_verdict) {
  const HealthOptions options = containing("ready");
  ScriptedStream stream;
  CheckAnswer answer(options, stream);
  EXPECT_FALSE(answer.read());
  EXPECT_EQ(answer.phase(), CheckPhase::waiting);
  stream.feed("HTTP/1.1 200 OK\r\nContent-Le");
  EXPECT_FALSE(answer.read());
  EXPECT_EQ(answer.phase(), CheckPhase::receiving_head);
  stream.feed("ngth: 6\r\n\r\nread");
  EXPECT_FALSE(answer.read());
  EXPECT_EQ(answer.phase(), CheckPhase::receiving_body);
  stream.feed("y");
  EXPECT_EQ(answer.read().value().kind, Kind::healthy);
}

TEST(CheckAnswer, the_text_counts_within_the_first_64_KiB_and_not_beyond) {
  const HealthOptions options = containing("ready");
  for (const std::string_view framing : {"", "Content-Length: 200000\r\n"}) {
    const auto verdict_with_text_at = [&](std::size_t at) {
      ScriptedStream stream;
      CheckAnswer answer(options, stream);
      stream.feed(ok(framing, std::string(at, 'x') + "ready" + std::string(50'000, 'x')));
      return answer.read();
    };
    EXPECT_EQ(verdict_with_text_at(64 * 1024 - 5).value().kind, Kind::healthy);
    const auto beyond = verdict_with_text_at(64 * 1024 - 4);
    EXPECT_EQ(beyond.value().kind, Kind::unhealthy);
    EXPECT_EQ(beyond->reason, "answered 200 with a body whose first 64 KiB do not contain \"ready\"");
  }
}

TEST(CheckAnswer, a_body_of_exactly_64_KiB_is_searched_to_its_end) {
  const HealthOptions options = containing("ready");
  ScriptedStream stream;
  CheckAnswer answer(options, stream);
  stream.feed(ok("Content-Length: 65536\r\n", std::string(64 * 1024, 'x')));
  EXPECT_EQ(answer.read().value().reason, "answered 200 with a body that does not contain \"ready\"");
}

// A server that never comes to an end must be done with after a bounded number of bytes, without a deadline's help.
std::size_t bytes_until_a_verdict(const HealthOptions& options, std::string_view begin, std::string_view again, std::string& reason) {
  ScriptedStream stream;
  CheckAnswer answer(options, stream);
  stream.feed(begin);
  for (std::size_t fed = begin.size(); fed < 10'000'000; fed += again.size()) {
    if (const auto verdict = answer.read()) {
      EXPECT_EQ(verdict->kind, Kind::unhealthy);
      reason = verdict->reason;
      return fed;
    }
    stream.feed(again);
  }
  ADD_FAILURE() << "no verdict";
  return 0;
}

TEST(CheckAnswer, an_endless_head_ends_at_a_bound) {
  std::string reason;
  EXPECT_LT(bytes_until_a_verdict(plain(), "HTTP/1.1 200 OK\r\nA: ", std::string(1000, 'x'), reason), 70'000U);
  EXPECT_TRUE(reason.starts_with("not an HTTP answer: ")) << reason;
}

TEST(CheckAnswer, endless_interim_answers_end_at_a_bound) {
  std::string reason;
  EXPECT_LT(bytes_until_a_verdict(plain(), "", "HTTP/1.1 102 Processing\r\n\r\n", reason), 70'000U);
  EXPECT_EQ(reason, "64 KiB of interim answers and no final one");
}

TEST(CheckAnswer, an_endless_body_ends_at_a_bound) {
  std::string reason;
  EXPECT_LT(bytes_until_a_verdict(containing("ready"), ok("", ""), std::string(1000, 'x'), reason), 70'000U);
  EXPECT_EQ(reason, "answered 200 with a body whose first 64 KiB do not contain \"ready\"");
}

TEST(CheckAnswer, an_endless_body_of_tiny_chunks_ends_at_a_bound) {
  std::string reason;
  EXPECT_LT(bytes_until_a_verdict(containing("ready"), ok("Transfer-Encoding: chunked\r\n", ""), "1\r\nx\r\n", reason), 500'000U);
  EXPECT_LT(bytes_until_a_verdict(containing("ready"), ok("Transfer-Encoding: chunked\r\n", ""), "1;a=bcdefghijklm\r\nx\r\n", reason),
            500'000U);
}

TEST(CheckAnswer, an_endless_trailer_ends_at_a_bound) {
  std::string reason;
  EXPECT_LT(bytes_until_a_verdict(containing("ready"), ok("Transfer-Encoding: chunked\r\n", "0\r\n"), "A: b\r\n", reason), 70'000U);
  EXPECT_TRUE(reason.starts_with("body of the answer is malformed: ")) << reason;
}

TEST(CheckAnswer, a_long_text_is_cut_in_the_reason) {
  const HealthOptions options = containing(std::string(500, 'r'));
  ScriptedStream stream;
  CheckAnswer answer(options, stream);
  stream.feed(ok("Content-Length: 1\r\n", "x"));
  EXPECT_LT(answer.read().value().reason.size(), 150U);
}

}  // namespace check_answer_test
}  // namespace steelyard
