#include "fixtures.hpp"

namespace steelyard::backend {
namespace echo_socket_test {

using test::Client;
using test::Response;
using test::RunningBackend;

constexpr std::string_view opening =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

// A frame masked with zeros: `first` is its first byte.
std::string frame(std::uint8_t first, std::string_view payload) {
  std::string bytes(1, static_cast<char>(first));
  if (payload.size() < 126) {
    bytes += static_cast<char>(0x80 | payload.size());
  } else {
    const bool two = payload.size() <= 0xffff;
    bytes += static_cast<char>(two ? 0xfe : 0xff);
    for (int shift = two ? 8 : 56; shift >= 0; shift -= 8) bytes += static_cast<char>(payload.size() >> shift);
  }
  return bytes + std::string(4, '\0') + std::string(payload);
}

std::string unmasked(std::string bytes) {
  const std::size_t length = static_cast<unsigned char>(bytes[1]) & 0x7fU;
  bytes[1] = static_cast<char>(length);
  bytes.erase(2 + (length == 126 ? 2 : length == 127 ? 8 : 0), 4);
  return bytes;
}

class EchoSocket : public testing::Test {
 protected:
  void open() { ASSERT_EQ(client_.ask("GET", "/ws", opening).status, 101); }
  void expect_echo(const std::string& sent) {
    client_.send(sent);
    const std::string echoed = unmasked(sent);
    EXPECT_TRUE(client_.receive(echoed.size()) == echoed) << echoed.size();
  }

  RunningBackend backend_;
  Client client_{backend_};
};

TEST_F(EchoSocket, accepts_the_handshake_of_the_rfc) {
  const Response answer = client_.ask("GET", "/ws", opening);
  EXPECT_EQ(answer.status, 101);
  EXPECT_EQ(answer.field("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(answer.field("Upgrade"), "websocket");
  EXPECT_EQ(answer.field("Connection"), "Upgrade");
}

TEST_F(EchoSocket, refuses_what_opens_no_websocket) {
  EXPECT_EQ(client_.get("/ws").status, 426);
  EXPECT_EQ(client_.ask("POST", "/ws", opening).status, 426);
  const Response other = client_.ask("GET", "/ws", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n");
  EXPECT_EQ(other.status, 426);
  EXPECT_EQ(other.field("Sec-WebSocket-Version"), "13");
  for (const char* key : {"", "Sec-WebSocket-Key: short\r\n", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"}) {
    const std::string fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + std::string(key);
    EXPECT_EQ(client_.ask("GET", "/ws", fields).status, 400);
  }
  EXPECT_EQ(client_.get("/info").status, 200);
}

TEST_F(EchoSocket, echoes_frames_as_they_came) {
  open();
  expect_echo(frame(0x81, "hello"));
  expect_echo(frame(0x82, ""));
  expect_echo(frame(0x82, std::string(1000, '\xff')));
  for (const auto& [first, payload] : {std::pair(0x01, "first"), std::pair(0x00, "more"), std::pair(0x80, "last")}) {
    expect_echo(frame(static_cast<std::uint8_t>(first), payload));
  }
  expect_echo(frame(0x82, std::string(70'000, 'x')));
}

TEST_F(EchoSocket, answers_a_frame_that_came_with_the_handshake) {
  client_.send("GET /ws HTTP/1.1\r\nHost: x\r\n" + std::string(opening) + "\r\n" + frame(0x81, "early"));
  EXPECT_EQ(client_.receive_response().status, 101);
  EXPECT_EQ(client_.receive(7),
            "\x81\x05"
            "early");
}

TEST_F(EchoSocket, takes_sixteen_mebibytes_and_no_more) {
  open();
  // Sent by another thread: the echo begins only when the frame is whole, but then both sides' buffers are far too small for it.
  const std::string large = frame(0x82, std::string(std::size_t{16} << 20U, 'l'));
  std::thread sender([&] { client_.send(large); });
  const std::string echoed = client_.receive(large.size() - 4);
  sender.join();
  EXPECT_TRUE(echoed == unmasked(large));
  client_.send(frame(0x82, std::string((std::size_t{16} << 20U) + 1, 'l')).substr(0, 100));
  EXPECT_EQ(client_.receive(4).substr(0, 1), "\x88");
}

TEST_F(EchoSocket, answers_pings_and_ignores_pongs) {
  open();
  client_.send(frame(0x8a, "unasked") + frame(0x89, "are you there"));
  EXPECT_EQ(client_.receive(15),
            "\x8a\x0d"
            "are you there");
}

TEST_F(EchoSocket, closes_with_the_code_it_was_given) {
  open();
  client_.send(frame(0x88,
                     "\x03\xe8"
                     "bye"));
  EXPECT_EQ(client_.receive(4), "\x88\x02\x03\xe8");
  EXPECT_TRUE(client_.ended());
}

TEST_F(EchoSocket, says_why_it_fails_a_connection) {
  open();
  client_.send(std::string_view("\x81\x05Hello", 7));
  EXPECT_EQ(client_.receive(4).substr(2), "\x03\xea");
  client_.receive(100);
  EXPECT_TRUE(client_.ended());
}

TEST_F(EchoSocket, survives_a_client_that_leaves_without_a_word) {
  {
    Client other(backend_);
    EXPECT_EQ(other.ask("GET", "/ws", opening).status, 101);
  }
  EXPECT_EQ(client_.get("/info").status, 200);
}

}  // namespace echo_socket_test
}  // namespace steelyard::backend
