// Answers are read whole, in two pieces cut at every byte, and byte for byte; what becomes of them is the same.
#include "load/response_reader.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard::load {
namespace response_reader_test {

using Step = ResponseReader::Step;

struct Reading {
  ServerNames servers;
  ResponseReader::Shared shared{.server_field = "X-Backend", .servers = servers, .head = {}};
  ResponseReader reader{shared};

  Step take(std::string bytes) { return reader.take(bytes); }
  Step read(std::string_view bytes) {
    reader.begin();
    return take(std::string(bytes));
  }
};

// Step of the last byte; every earlier one must leave the answer unfinished.
void expect_done_at_the_last_byte(std::string_view answer, int status, std::uint64_t body_bytes, bool keep_alive) {
  Reading reading;
  const auto check = [&](Step step, std::size_t cut) {
    EXPECT_EQ(step, Step::done) << answer << " cut at " << cut;
    EXPECT_EQ(reading.reader.outcome().status, status);
    EXPECT_EQ(reading.reader.outcome().body_bytes, body_bytes);
    EXPECT_EQ(reading.reader.keep_alive(), keep_alive);
  };
  check(reading.read(answer), 0);
  for (std::size_t cut = 1; cut < answer.size(); ++cut) {
    EXPECT_EQ(reading.read(answer.substr(0, cut)), Step::more) << answer << " cut at " << cut;
    check(reading.take(std::string(answer.substr(cut))), cut);
  }
  reading.reader.begin();
  for (std::size_t i = 0; i + 1 < answer.size(); ++i) EXPECT_EQ(reading.take(std::string(1, answer[i])), Step::more);
  check(reading.take(std::string(1, answer.back())), answer.size());
}

TEST(ResponseReader, reads_a_body_of_known_length) {
  expect_done_at_the_last_byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, true);
}

TEST(ResponseReader, reads_an_empty_body) { expect_done_at_the_last_byte("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 404, 0, true); }

TEST(ResponseReader, reads_a_chunked_body_and_counts_its_payload) {
  expect_done_at_the_last_byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n", 200, 6,
                               true);
}

TEST(ResponseReader, passes_over_interim_answers) {
  expect_done_at_the_last_byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
                               200, 1, true);
}

TEST(ResponseReader, an_answer_without_content_has_no_body_whatever_it_says) {
  expect_done_at_the_last_byte("HTTP/1.1 204 No Content\r\n\r\n", 204, 0, true);
  expect_done_at_the_last_byte("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, 0, true);
}

TEST(ResponseReader, a_server_may_end_the_connection_with_its_answer) {
  expect_done_at_the_last_byte("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", 200, 1, false);
  expect_done_at_the_last_byte("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, 1, false);
}

TEST(ResponseReader, an_answer_to_head_ends_with_its_head) {
  Reading reading;
  reading.shared.method = http::Method::head;
  EXPECT_EQ(reading.read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Step::done);
  EXPECT_TRUE(reading.reader.keep_alive());
}

TEST(ResponseReader, a_body_without_length_ends_with_the_connection) {
  Reading reading;
  EXPECT_EQ(reading.read("HTTP/1.1 200 OK\r\n\r\nhel"), Step::more);
  EXPECT_EQ(reading.take("lo"), Step::more);
  EXPECT_EQ(reading.reader.end(), Step::done);
  EXPECT_EQ(reading.reader.outcome().body_bytes, 5U);
  EXPECT_FALSE(reading.reader.keep_alive());
}

TEST(ResponseReader, the_end_of_the_connection_completes_nothing_else) {
  Reading reading;
  for (const char* const part : {"", "HTTP/1.1 200 OK\r\nContent-Len", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 100 \r\n\r\n"}) {
    EXPECT_EQ(reading.read(part), Step::more) << part;
    EXPECT_EQ(reading.reader.end(), Step::more) << part;
  }
}

TEST(ResponseReader, what_follows_an_answer_unasked_ends_the_connection) {
  for (const char* const answer : {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloX", "HTTP/1.1 204 \r\n\r\nX",
                                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"}) {
    Reading reading;
    EXPECT_EQ(reading.read(answer), Step::done) << answer;
    EXPECT_FALSE(reading.reader.keep_alive()) << answer;
  }
}

TEST(ResponseReader, what_is_no_answer_is_malformed) {
  for (const char* const bytes : {"SSH-2.0-x\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo"}) {
    Reading reading;
    EXPECT_EQ(reading.read(bytes), Step::malformed) << bytes;
  }
}

TEST(ResponseReader, what_is_dropped_counts_as_read) {
  Reading reading;
  EXPECT_EQ(reading.read("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"), Step::more);
  EXPECT_EQ(reading.reader.droppable_bytes(), 95U);
  EXPECT_EQ(reading.reader.dropped(90), Step::more);
  EXPECT_EQ(reading.reader.dropped(5), Step::done);
  EXPECT_EQ(reading.reader.outcome().body_bytes, 100U);
  EXPECT_TRUE(reading.reader.keep_alive());
  EXPECT_EQ(reading.read("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), Step::more);
  EXPECT_EQ(reading.reader.dropped(101), Step::done);
  EXPECT_FALSE(reading.reader.keep_alive());
}

TEST(ResponseReader, heads_and_chunks_may_not_be_dropped) {
  Reading reading;
  EXPECT_EQ(reading.read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"), Step::more);
  EXPECT_EQ(reading.reader.droppable_bytes(), 0U);
  EXPECT_EQ(reading.take("\r\n5\r\nhe"), Step::more);
  EXPECT_EQ(reading.reader.droppable_bytes(), 0U);
}

TEST(ResponseReader, says_which_server_answered) {
  Reading reading;
  const auto server_of = [&](std::string_view fields) {
    EXPECT_EQ(reading.read("HTTP/1.1 204 \r\n" + std::string(fields) + "\r\n"), Step::done);
    return reading.servers.name(reading.reader.outcome().server);
  };
  EXPECT_EQ(server_of("X-Backend: one\r\n"), "one");
  EXPECT_EQ(server_of("A: b\r\nx-backend: two\r\n"), "two");
  EXPECT_EQ(server_of("Server: x\r\n"), "-");
  EXPECT_EQ(server_of("X-Backend: one\r\n"), "one");
  EXPECT_EQ(reading.servers.size(), 3U);
}

}  // namespace response_reader_test
}  // namespace steelyard::load
