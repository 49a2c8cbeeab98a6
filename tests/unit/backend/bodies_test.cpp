#include "backend/digest.hpp"
#include "fixtures.hpp"

namespace steelyard::backend {
namespace bodies_test {

using test::Client;
using test::Response;
using test::RunningBackend;

constexpr std::string_view row = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy";

bool is_pattern(std::string_view body) {
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != row[i % row.size()]) return false;
  }
  return true;
}

class BackendBodies : public testing::Test {
 protected:
  RunningBackend backend_;
  Client client_{backend_};
};

TEST_F(BackendBodies, bytes_sends_exactly_what_was_asked_for) {
  const std::pair<const char*, std::size_t> sizes[] = {
      {"0", 0},         {"1", 1},        {"1000", 1000},     {"1k", 1024},       {"64k", 65536},
      {"65537", 65537}, {"1M", 1048576}, {"249856", 249856}, {"249857", 249857}, {"3000001", 3000001}};
  for (const auto& [text, size] : sizes) {
    const Response answer = client_.get(std::string("/bytes/") + text);
    EXPECT_TRUE(answer.complete && answer.body.size() == size) << text;
    EXPECT_TRUE(is_pattern(answer.body)) << text;
  }
}

TEST_F(BackendBodies, an_endless_body_does_not_keep_others_waiting) {
  Client greedy(backend_);
  greedy.send("GET /bytes/1t HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(is_pattern(greedy.receive_response(Client::Body::none).complete ? greedy.receive(5'000'000) : "x"));
  EXPECT_EQ(client_.get("/info").status, 200);
}

TEST_F(BackendBodies, echo_tells_what_it_got_in_order) {
  const Response answer = client_.ask("PUT", "/echo/a%20b?x=1&y", "X-One: 1\r\nx-two: \xff\r\nX-One: 2\r\n", "gr\xc3\xbc\xc3\x9f");
  const auto json = answer.json();
  EXPECT_EQ(json["method"], "PUT");
  EXPECT_EQ(json["path"], "/echo/a%20b");
  EXPECT_EQ(json["query"], "x=1&y");
  EXPECT_EQ(json["body"], "gr\xc3\xbc\xc3\x9f");
  const auto headers =
      nlohmann::json::array({{"Host", "here"}, {"X-One", "1"}, {"x-two", "\xef\xbf\xbd"}, {"X-One", "2"}, {"Content-Length", "6"}});
  EXPECT_EQ(json["headers"], headers);
}

TEST_F(BackendBodies, echo_gives_what_is_no_text_in_base64) {
  const auto json = client_.ask("POST", "/echo", {}, std::string_view("\0\xff\x01", 3)).json();
  EXPECT_EQ(json["body_base64"], "AP8B");
  EXPECT_FALSE(json.contains("body"));
}

TEST_F(BackendBodies, echo_takes_a_mebibyte_and_no_more) {
  const std::string allowed(1024 * 1024, 'a');
  EXPECT_EQ(client_.ask("POST", "/echo", {}, allowed).json()["body"], allowed);
  EXPECT_EQ(client_.get("/info").status, 200);
  client_.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
  const Response refused = client_.receive_response();
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(refused.field("Connection"), "close");
}

TEST_F(BackendBodies, echo_refuses_chunks_beyond_a_mebibyte) {
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'c') + "\r\n";
  std::string request = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 17; ++i) request += chunk;
  client_.send(request);
  EXPECT_EQ(client_.receive_response().status, 413);
  EXPECT_TRUE(client_.ended());
}

TEST_F(BackendBodies, upload_counts_and_hashes) {
  EXPECT_EQ(client_.ask("POST", "/upload", {}, "abc").json(),
            (nlohmann::json{{"bytes", 3}, {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}));
  EXPECT_EQ(client_.get("/upload").json()["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  std::string large(5'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 % 251);
  Sha256 expected;
  expected.add(large);
  const auto json = client_.ask("PUT", "/upload", {}, large).json();
  EXPECT_EQ(json["bytes"], large.size());
  EXPECT_EQ(json["sha256"], expected.finish());
}

TEST_F(BackendBodies, a_chunked_upload_leaves_the_next_request_alone) {
  client_.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  client_.send("2\r\nbc\r\n0\r\n\r\nGET /status/418 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client_.receive_response().json()["bytes"], 3);
  EXPECT_EQ(client_.receive_response().status, 418);
}

TEST_F(BackendBodies, a_malformed_chunk_is_refused) {
  client_.send("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  client_.send("1\r\naXX");
  EXPECT_EQ(client_.receive_response().status, 400);
  EXPECT_TRUE(client_.ended());
}

TEST_F(BackendBodies, who_waits_to_be_told_is_told_where_the_body_is_wanted) {
  client_.send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client_.receive_response().status, 100);
  client_.send("abc");
  EXPECT_EQ(client_.receive_response().json()["bytes"], 3);
  client_.send("POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const Response unwanted = client_.receive_response();
  EXPECT_EQ(unwanted.status, 200);
  EXPECT_EQ(unwanted.field("Connection"), "close");
}

TEST_F(BackendBodies, a_body_that_no_page_wants_is_read_and_forgotten) {
  client_.send("POST /bytes/5 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  client_.send(std::string(100'000, 'x') + "GET /status/418 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client_.receive_response().body, "01234");
  EXPECT_EQ(client_.receive_response().status, 418);
}

TEST_F(BackendBodies, a_long_body_that_no_page_wants_is_answered_at_once) {
  client_.send("POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
  const Response answer = client_.receive_response();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("Connection"), "close");
}

TEST(BackendServer, says_that_a_port_is_taken) {
  const RunningBackend first;
  EpollLoop loop;
  BackendServer second(loop, {.port = first.port()});
  const auto started = second.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error(), "cannot listen on 127.0.0.1:" + std::to_string(first.port()) + ": the port is taken; choose another one");
}

TEST(BackendServer, refuses_a_host_or_a_name_that_it_cannot_use) {
  EpollLoop loop;
  EXPECT_FALSE(BackendServer(loop, {.host = "localhost", .port = 0}).start().has_value());
  EXPECT_FALSE(BackendServer(loop, {.port = 0, .name = "a\r\nb"}).start().has_value());
  EXPECT_FALSE(BackendServer(loop, {.port = 0, .name = std::string(201, 'a')}).start().has_value());
}

TEST(BackendServer, ends_a_connection_whose_exchange_ends_while_it_drains) {
  RunningBackend backend({.stream_interval = 20ms, .drain_timeout = 20s});
  Client client(backend);
  client.send("GET /stream/3 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.receive_line().starts_with("HTTP/1.1 200"));
  backend.begin_to_drain();
  EXPECT_TRUE(client.receive(1'000'000).ends_with("0\r\n\r\n"));
  EXPECT_TRUE(client.ended());
  backend.join();
}

TEST(BackendServer, drains_idle_connections_at_once_and_busy_ones_by_force) {
  RunningBackend backend({.drain_timeout = 50ms});
  Client idle(backend);
  Client busy(backend);
  EXPECT_EQ(idle.get("/info").status, 200);
  busy.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(busy.receive_response(Client::Body::none).status, 200);
  busy.receive_line();
  EXPECT_EQ(busy.receive(6), "id: 1\n");
  backend.stop();
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(busy.receive(1'000'000).ends_with("0\r\n\r\n"));
}

}  // namespace bodies_test
}  // namespace steelyard::backend
