#include "fixtures.hpp"

namespace steelyard::backend {
namespace routes_test {

using test::Client;
using test::Response;
using test::RunningBackend;

class BackendPages : public testing::Test {
 protected:
  RunningBackend backend_{{.name = "blue \"1\"", .stream_interval = 1ms}};
  Client client_{backend_};
};

TEST_F(BackendPages, info_says_who_answers_and_how_often) {
  client_.get("/info");
  const Response answer = client_.get("/info");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("Content-Type"), "application/json");
  EXPECT_EQ(answer.field("X-Backend"), "blue \"1\"");
  EXPECT_TRUE(answer.field("Date").has_value());
  const auto json = answer.json();
  EXPECT_EQ(json["name"], "blue \"1\"");
  EXPECT_EQ(json["port"], backend_.port());
  EXPECT_EQ(json["requests"], 2);
  EXPECT_GE(json["uptime_seconds"], 0.0);
  EXPECT_EQ(json.size(), 4U);
}

TEST_F(BackendPages, the_first_page_is_friendly) {
  const auto json = client_.get("/").json();
  EXPECT_TRUE(json["message"].is_string());
  EXPECT_EQ(json["name"], "blue \"1\"");
  EXPECT_EQ(json["host"], "127.0.0.1");
  EXPECT_EQ(json["pid"], getpid());
}

TEST_F(BackendPages, fail_turns_health_over_and_back) {
  EXPECT_EQ(client_.get("/health").json()["status"], "healthy");
  const Response failed = client_.ask("POST", "/fail");
  EXPECT_EQ(failed.status, 503);
  const Response unhealthy = client_.get("/health");
  EXPECT_EQ(unhealthy.status, 503);
  EXPECT_EQ(unhealthy.json()["status"], "unhealthy");
  EXPECT_EQ(client_.get("/fail").status, 200);
  EXPECT_EQ(client_.get("/health").status, 200);
}

TEST_F(BackendPages, an_unknown_path_gets_the_list_of_known_ones) {
  const Response answer = client_.get("/nowhere");
  EXPECT_EQ(answer.status, 404);
  for (const char* path : {"/info", "/echo", "/bytes/", "/stream", "/ws", "/upload"}) {
    EXPECT_TRUE(answer.json()["routes"].contains(path)) << path;
  }
  EXPECT_EQ(client_.get("/routes").status, 200);
}

TEST_F(BackendPages, head_gets_the_head_alone) {
  for (const char* path : {"/info", "/bytes/100", "/bytes/1m", "/stream/3", "/echo", "/nowhere"}) {
    const Response head = client_.ask("HEAD", path);
    EXPECT_GE(head.status, 200) << path;
  }
  EXPECT_EQ(client_.ask("HEAD", "/bytes/1m").field("Content-Length"), "1048576");
  EXPECT_EQ(client_.get("/health").status, 200) << "the connection is where it should be";
}

TEST_F(BackendPages, cpu_counts_divisors) {
  const std::pair<const char*, int> known[] = {{"1", 1}, {"2", 2}, {"12", 6}, {"36", 9}, {"720720", 240}, {"999999000000", 3136}};
  for (const auto& [n, divisors] : known) EXPECT_EQ(client_.get(std::string("/cpu/") + n).json()["divisors"], divisors) << n;
}

TEST_F(BackendPages, what_makes_no_sense_is_refused) {
  for (const char* path :
       {"/cpu/0", "/cpu/1000000000001", "/cpu/x", "/bytes/", "/bytes/-1", "/bytes/many", "/bytes/2t", "/bytes/k", "/delay/x",
        "/delay/3600001", "/status/99", "/status/600", "/status/101", "/status/2000000", "/stream/x", "/stream/3601"}) {
    const Response answer = client_.get(path);
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_TRUE(answer.json().contains("error")) << path;
  }
}

TEST_F(BackendPages, status_answers_with_any_final_status) {
  for (const int status : {200, 201, 204, 205, 299, 301, 304, 404, 418, 500, 503, 599}) {
    const Response answer = client_.get("/status/" + std::to_string(status));
    EXPECT_EQ(answer.status, status);
    EXPECT_TRUE(answer.complete);
    const bool bodiless = status == 204 || status == 304;
    EXPECT_EQ(answer.field("Content-Length").has_value(), !bodiless) << status;
    EXPECT_EQ(answer.body.empty(), bodiless || status == 205) << status;
  }
}

TEST_F(BackendPages, an_interim_status_comes_before_a_final_one) {
  EXPECT_EQ(client_.get("/status/103").status, 103);
  EXPECT_EQ(client_.receive_response().json()["interim"], 103);
  client_.send("GET /status/103 HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client_.receive_response().status, 200) << "HTTP/1.0 knows no interim answers";
}

TEST_F(BackendPages, a_malformed_request_is_told_why) {
  client_.send("GET / HTTP/1.1\r\nHost : x\r\n\r\n");
  const Response answer = client_.receive_response();
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.field("Connection"), "close");
  EXPECT_TRUE(client_.ended());
}

TEST_F(BackendPages, pipelined_requests_are_answered_in_order) {
  client_.send(
      "GET /bytes/3 HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
      "GET /status/418 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client_.receive_response().body, "012");
  EXPECT_EQ(client_.receive_response().json()["body"], "hi");
  EXPECT_EQ(client_.receive_response().status, 418);
}

TEST_F(BackendPages, old_clients_keep_their_connection_when_they_ask_to) {
  client_.send("GET /info HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client_.receive_response().field("Connection"), "keep-alive");
  client_.send("GET /stream/2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const Response events = client_.receive_response();
  EXPECT_FALSE(events.field("Transfer-Encoding").has_value());
  EXPECT_NE(events.body.find("id: 2\n"), std::string::npos);
  EXPECT_TRUE(client_.ended());
}

TEST_F(BackendPages, a_delay_comes_before_its_answer) {
  EXPECT_EQ(client_.get("/delay/0").json()["delay_ms"], 0);
  EXPECT_EQ(client_.get("/delay/20").json()["delay_ms"], 20);
}

TEST_F(BackendPages, events_come_one_by_one_and_end) {
  const Response events = client_.get("/stream/3");
  EXPECT_TRUE(events.complete);
  EXPECT_EQ(events.field("Content-Type"), "text/event-stream");
  EXPECT_TRUE(events.body.starts_with("id: 1\ndata: {\"event\":1,\"of\":3,"));
  EXPECT_NE(events.body.find("\n\nid: 3\ndata: "), std::string::npos);
  EXPECT_EQ(events.body.find("id: 4"), std::string::npos);
  EXPECT_EQ(client_.get("/stream/0").body, "");
}

}  // namespace routes_test
}  // namespace steelyard::backend
