// What the command line of `steelyard load` means, and what is said where it means nothing.
#include "app/load_arguments.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace steelyard {
namespace load_arguments_test {

std::string refusal(const LoadArguments& arguments) {
  const auto plan = plan_load(arguments, 1);
  EXPECT_FALSE(plan.has_value());
  return plan ? "" : plan.error();
}

TEST(LoadArguments, mean_a_thousand_requests_over_ten_connections_by_default) {
  const auto plan = plan_load({}, 1);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->url, "http://localhost:8080/");
  EXPECT_EQ(plan->host, "localhost");
  EXPECT_EQ(plan->port, 8080);
  EXPECT_EQ(plan->options.loop, load::Loop::closed);
  EXPECT_EQ(plan->options.requests_max, 1000U);
  EXPECT_EQ(plan->options.connections, 10U);
  EXPECT_EQ(plan->options.request.method, "GET");
  EXPECT_EQ(plan->options.seed, 1U);
}

TEST(LoadArguments, a_duration_takes_the_place_of_the_usual_number) {
  EXPECT_EQ(plan_load({.duration = "1.5s"}, 1)->options.requests_max, 0U);
  EXPECT_EQ(plan_load({.duration = "1.5s"}, 1)->options.duration, 1500ms);
  EXPECT_EQ(plan_load({.requests = 5, .duration = "1s"}, 1)->options.requests_max, 5U);
}

TEST(LoadArguments, a_rate_makes_the_loop_open) {
  const auto plan = plan_load({.rate = 100, .arrivals = "even", .seed = 7}, 1);
  EXPECT_EQ(plan->options.loop, load::Loop::open);
  EXPECT_EQ(plan->options.spacing, load::Spacing::even);
  EXPECT_EQ(plan->options.connections, 1000U);
  EXPECT_EQ(plan->options.seed, 7U);
  EXPECT_EQ(plan_load({.rate = 100}, 1)->options.spacing, load::Spacing::poisson);
}

TEST(LoadArguments, the_path_follows_that_of_the_url) {
  const auto target = [](std::string url, std::string path) {
    return plan_load({.url = std::move(url), .path = std::move(path)}, 1)->options.request.target;
  };
  EXPECT_EQ(target("http://a", "/x?y"), "/x?y");
  EXPECT_EQ(target("http://a/", "/x"), "/x");
  EXPECT_EQ(target("http://a/b", "/x"), "/b/x");
  EXPECT_EQ(target("http://a/b/", ""), "/b/");
}

TEST(LoadArguments, a_body_makes_the_method_post) {
  EXPECT_EQ(plan_load({.body = "x"}, 1)->options.request.method, "POST");
  EXPECT_EQ(plan_load({.method = "PUT", .body = "x"}, 1)->options.request.method, "PUT");
}

TEST(LoadArguments, a_body_may_be_in_a_file) {
  const std::string file = testing::TempDir() + "body-" + std::to_string(getpid());
  std::ofstream(file, std::ios::binary) << std::string_view("a\0b\n", 4);
  EXPECT_EQ(plan_load({.body = "@" + file}, 1)->options.request.body, std::string("a\0b\n", 4));
  unlink(file.c_str());
  EXPECT_NE(refusal({.body = "@" + file}).find(file), std::string::npos);
}

TEST(LoadArguments, contradictions_are_refused_by_name) {
  EXPECT_NE(refusal({.arrivals = "even"}).find("needs --rate"), std::string::npos);
  EXPECT_NE(refusal({.rate = 1, .replay = "x"}).find("--replay"), std::string::npos);
  EXPECT_NE(refusal({.replay = "x", .ramp = "1s"}).find("--ramp"), std::string::npos);
  EXPECT_NE(refusal({.url = "http://a/?b", .path = "/c"}).find("query"), std::string::npos);
  EXPECT_NE(refusal({.concurrency = 2, .threads = 3}).find("--threads 3"), std::string::npos);
}

TEST(LoadArguments, wrong_values_are_refused_with_what_to_write) {
  EXPECT_NE(refusal({.url = "https://a/"}).find("plain http"), std::string::npos);
  EXPECT_NE(refusal({.duration = "10"}).find("10s"), std::string::npos);
  EXPECT_NE(refusal({.duration = "0s"}).find("at least"), std::string::npos);
  EXPECT_NE(refusal({.timeout = "fast"}).find("--timeout"), std::string::npos);
  EXPECT_NE(refusal({.path = "x"}).find("begins with /"), std::string::npos);
  EXPECT_NE(refusal({.path = "/a b"}).find("%20"), std::string::npos);
  EXPECT_NE(refusal({.method = "GE T"}).find("--method"), std::string::npos);
  EXPECT_NE(refusal({.method = "CONNECT"}).find("tunnel"), std::string::npos);
  EXPECT_NE(refusal({.replay = "/nowhere/at/all"}).find("/nowhere/at/all"), std::string::npos);
}

TEST(LoadArguments, a_field_is_a_name_and_a_value_and_says_nothing_of_length) {
  EXPECT_EQ(plan_load({.fields = {"X: a", "Y:"}}, 1)->options.request.fields.size(), 2U);
  for (const char* const field : {"X", "X y: a", "X: a\r\nY: b", ": a", " X: a"}) {
    EXPECT_NE(refusal({.fields = {field}}).find("Name: value"), std::string::npos) << field;
  }
  EXPECT_NE(refusal({.fields = {"content-length: 5"}}).find("leave it out"), std::string::npos);
  EXPECT_NE(refusal({.fields = {"Transfer-Encoding: chunked"}}).find("leave it out"), std::string::npos);
}

}  // namespace load_arguments_test
}  // namespace steelyard
