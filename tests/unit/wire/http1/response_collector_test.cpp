// Every answer is collected the same in one piece and byte by byte.
#include "wire/http1/response_collector.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard::http1 {
namespace response_collector_test {

using Step = ResponseCollector::Step;

constexpr std::size_t body_max = 100;

struct Collected {
  Step step = Step::more;
  int status = 0;
  std::string type;
  std::string body;
  friend bool operator==(const Collected&, const Collected&) = default;
};

Collected collect(std::string text, std::size_t piece_bytes, http::Method method) {
  ResponseCollector collector(method, body_max);
  Step step = Step::more;
  for (std::size_t at = 0; at < text.size() && step == Step::more; at += piece_bytes) {
    step = collector.take(std::span(text).subspan(at, std::min(piece_bytes, text.size() - at)));
  }
  if (step == Step::more) step = collector.end();
  return {step, collector.status(), collector.content_type(), collector.body()};
}

Collected collect(const std::string& text, http::Method method = http::Method::get) {
  const Collected whole = collect(text, text.size(), method);
  const Collected bytewise = collect(text, 1, method);
  EXPECT_EQ(bytewise.step, whole.step);
  if (whole.step == Step::done) EXPECT_EQ(bytewise, whole);
  return whole;
}

TEST(ResponseCollector, body_of_known_length) {
  const Collected got = collect("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(got, (Collected{Step::done, 200, "application/json", "hello"}));
}

TEST(ResponseCollector, chunked_body) {
  const Collected got = collect("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(got, (Collected{Step::done, 201, "", "abcde"}));
}

TEST(ResponseCollector, body_until_the_end_of_the_stream) {
  EXPECT_EQ(collect("HTTP/1.0 200 OK\r\n\r\nhello"), (Collected{Step::done, 200, "", "hello"}));
}

TEST(ResponseCollector, answers_without_a_body) {
  EXPECT_EQ(collect("HTTP/1.1 204 No Content\r\n\r\n").step, Step::done);
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", http::Method::head), (Collected{Step::done, 200, "", ""}));
}

TEST(ResponseCollector, passes_over_interim_answers) {
  const std::string interim = "HTTP/1.1 103 Early Hints\r\nContent-Type: text/x\r\n\r\n";
  EXPECT_EQ(collect("HTTP/1.1 100 Continue\r\n\r\n" + interim + "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"),
            (Collected{Step::done, 404, "", "x"}));
}

TEST(ResponseCollector, refuses_what_is_no_http) {
  EXPECT_EQ(collect("220 mail.example ESMTP\r\n").step, Step::malformed);
  EXPECT_EQ(collect("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").step, Step::malformed);
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").step, Step::malformed);
}

TEST(ResponseCollector, tells_an_answer_that_ends_too_early) {
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\n").step, Step::malformed);
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell").step, Step::malformed);
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").step, Step::malformed);
}

TEST(ResponseCollector, takes_no_body_beyond_its_bound) {
  const std::string body(body_max, 'x');
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + body).step, Step::done);
  EXPECT_EQ(collect("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + body + "y").step, Step::too_large);
  EXPECT_EQ(collect("HTTP/1.0 200 OK\r\n\r\n" + body + "y").step, Step::too_large);
}

TEST(ResponseCollector, takes_no_head_without_end) {
  std::string endless;
  for (int i = 0; i < 10'000; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(collect(endless, endless.size(), http::Method::get).step, Step::too_large);
}

TEST(ResponseCollector, gives_a_long_body_in_parts) {
  ResponseCollector collector(http::Method::get, body_max);
  std::string head = "HTTP/1.0 200 OK\r\n\r\n";
  EXPECT_EQ(collector.take(head), Step::more);
  for (int i = 0; i < 5; ++i) {
    std::string part(body_max - 1, static_cast<char>('a' + i));
    EXPECT_EQ(collector.take(part), Step::more);
    EXPECT_EQ(collector.take_body(), part);
  }
  EXPECT_EQ(collector.take_body(), "");
}

}  // namespace response_collector_test
}  // namespace steelyard::http1
