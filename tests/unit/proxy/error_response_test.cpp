// Failures as status codes, and the answers that carry them.
#include "proxy/error_response.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "support/line.hpp"
#include "support/scripted_exchange.hpp"
#include "wire/http/status.hpp"

namespace steelyard {
namespace error_response_test {

using testing_support::at_ms;
using testing_support::Line;
using testing_support::ScriptedExchange;
using testing_support::ScriptedStream;

int status_of(ErrorKind kind, Side side) { return answer_to({kind, side}).status; }

TEST(AnswerTo, a_server_that_fails_is_a_bad_gateway_and_one_that_is_slow_a_timeout) {
  for (const ErrorKind kind : {ErrorKind::refused, ErrorKind::unreachable, ErrorKind::reset, ErrorKind::closed, ErrorKind::malformed,
                               ErrorKind::too_large, ErrorKind::system}) {
    EXPECT_EQ(status_of(kind, Side::server), 502);
  }
  EXPECT_EQ(status_of(ErrorKind::timed_out, Side::server), 504);
}

TEST(AnswerTo, a_client_that_fails_is_told_what_it_did) {
  EXPECT_EQ(status_of(ErrorKind::timed_out, Side::client), 408);
  EXPECT_EQ(status_of(ErrorKind::too_large, Side::client), 413);
  EXPECT_EQ(status_of(ErrorKind::malformed, Side::client), 400);
  EXPECT_EQ(status_of(ErrorKind::closed, Side::client), 400);
}

TEST(AnswerTo, what_runs_out_here_is_unavailable_for_a_second_whomever_it_was_for) {
  for (const Side side : {Side::local, Side::client, Side::server}) {
    EXPECT_EQ(status_of(ErrorKind::resources, side), 503);
    EXPECT_TRUE(answer_to({ErrorKind::resources, side}).retry_after);
  }
  EXPECT_EQ(status_of(ErrorKind::no_server, Side::local), 503);
  EXPECT_EQ(status_of(ErrorKind::timed_out, Side::local), 504);
}

TEST(AnswerTo, what_no_server_may_be_given_says_why) {
  EXPECT_EQ(status_of(ErrorKind::policy_absent, Side::local), 421);
  EXPECT_EQ(status_of(ErrorKind::policy_ambiguous, Side::local), 400);
  EXPECT_EQ(status_of(ErrorKind::outdated, Side::local), 503);
  const Answer misdirected = answer_to({ErrorKind::policy_unmet, Side::local, Retry::never, 421});
  EXPECT_EQ(misdirected.status, 421);
  EXPECT_FALSE(misdirected.retry_after);
  EXPECT_TRUE(answer_to({ErrorKind::policy_unmet, Side::local, Retry::never, 503}).retry_after);
  EXPECT_EQ(http::reason_phrase(421), "Misdirected Request");
}

struct WriteAnswerTest : ::testing::Test {
  Scheduler scheduler{at_ms(0)};
  Line line{scheduler};
  ScriptedStream stream;
  ScriptedExchange exchange{line.fiber, stream, {}};
  std::string written(const Answer& answer) {
    char memory[4096];
    HeadBuilder out(memory);
    write_answer(out, answer, exchange, "id-1", "Sat, 21 Nov 2026 04:00:00 GMT");
    EXPECT_FALSE(out.overflowed());
    return std::string(out.view());
  }
  static bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
  static std::string body_of(const std::string& text) { return text.substr(text.find("\r\n\r\n") + 4); }
};

TEST_F(WriteAnswerTest, plain_text_with_a_length_that_is_right) {
  const std::string text = written({502, "the server refused the connection"});
  EXPECT_TRUE(text.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
  EXPECT_TRUE(has(text, "\r\nX-Request-Id: id-1\r\n"));
  EXPECT_TRUE(has(text, "\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n"));
  EXPECT_TRUE(has(text, "\r\nContent-Length: " + std::to_string(body_of(text).size()) + "\r\n"));
  EXPECT_TRUE(has(body_of(text), "the server refused the connection"));
  EXPECT_FALSE(has(text, "Connection:"));
  EXPECT_FALSE(has(text, "Retry-After"));
}

TEST_F(WriteAnswerTest, json_for_who_wants_it_is_valid_whatever_the_reason_holds) {
  exchange.wants_json = true;
  const std::string text = written({400, R"(a "quoted" \ reason)"});
  EXPECT_TRUE(has(text, "\r\nContent-Type: application/json\r\n"));
  EXPECT_TRUE(has(text, "\r\nContent-Length: " + std::to_string(body_of(text).size()) + "\r\n"));
  const auto json = nlohmann::json::parse(body_of(text));
  EXPECT_EQ(json["status"], 400);
  EXPECT_EQ(json["message"], R"(a "quoted" \ reason)");
  EXPECT_EQ(json["request_id"], "id-1");
}

TEST_F(WriteAnswerTest, head_gets_the_length_but_no_body) {
  exchange.method = http::Method::head;
  const std::string text = written({404, "no route"});
  EXPECT_EQ(body_of(text), "");
  EXPECT_FALSE(has(text, "Content-Length: 0\r\n"));
}

TEST_F(WriteAnswerTest, says_whether_the_connection_lives_on) {
  exchange.keep_alive = false;
  EXPECT_TRUE(has(written({400, "x"}), "\r\nConnection: close\r\n"));
  exchange.keep_alive = true;
  exchange.version_minor = 0;
  EXPECT_TRUE(has(written({400, "x"}), "\r\nConnection: keep-alive\r\n"));
}

TEST_F(WriteAnswerTest, names_what_is_allowed_and_when_to_come_back) {
  EXPECT_TRUE(has(written({405, "x"}), "\r\nAllow: GET, HEAD\r\n"));
  EXPECT_TRUE(has(written({503, "x", true}), "\r\nRetry-After: 1\r\n"));
}

TEST(ReasonPhrase, every_status_that_is_answered_has_its_phrase) {
  for (const int status : {200, 307, 308, 400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505, 508}) {
    EXPECT_FALSE(http::reason_phrase(status).empty()) << status;
  }
}

}  // namespace error_response_test
}  // namespace steelyard
