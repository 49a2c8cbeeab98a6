// /ws: the handshake (RFC 6455 §4.2), then every frame comes back as it came. The connection belongs to the exchange until it ends.
#include "backend/digest.hpp"
#include "backend/routes.hpp"
#include "backend/websocket.hpp"
#include "base/ascii.hpp"

namespace steelyard::backend {
namespace {

constexpr std::uint64_t frame_bytes_max = 16 * 1024 * 1024;
// What is kept of a large frame's reply for the next one.
constexpr std::size_t reply_bytes_kept = 64 * 1024;

// The value of a field that may come once only; empty otherwise.
std::string_view only_value(const http::RequestHead& head, std::string_view name) {
  std::string_view value;
  int count = 0;
  for (const http::Field& field : head.fields.all()) {
    if (!equals_ignoring_case(field.name, name)) continue;
    value = field.value;
    ++count;
  }
  return count == 1 ? value : std::string_view{};
}

// Nothing, or why the request does not open a WebSocket.
std::optional<Answer> refuse_handshake(const Exchange& exchange, const http::RequestHead& head) {
  if (exchange.method != http::Method::get || !equals_ignoring_case(head.upgrade, "websocket")) {
    Answer answer = problem(426, "/ws speaks WebSocket: GET it with Upgrade: websocket");
    answer.fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    return answer;
  }
  if (head.body.kind != http::BodyKind::none) return problem(400, "the opening of a WebSocket has no body");
  if (only_value(head, "Sec-WebSocket-Version") != "13") {
    Answer answer = problem(426, "only version 13 of the WebSocket protocol is spoken here");
    answer.fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    return answer;
  }
  if (base64_bytes(only_value(head, "Sec-WebSocket-Key")) != 16) return problem(400, "Sec-WebSocket-Key is not 16 bytes in base64");
  return std::nullopt;
}

std::string accept_fields(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  return "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + to_base64(sha1(text)) + "\r\n";
}

// What goes back for what has arrived; a Close frame is the last thing that does.
class Echo {
 public:
  void take(std::string_view bytes) {
    while (!bytes.empty() && !closed_) {
      const auto step = decoder_.decode(bytes);
      if (!step) {
        websocket::append_close(reply, step.error().code, step.error().reason);
        closed_ = true;
        return;
      }
      bytes.remove_prefix(step->consumed);
      if (step->frame) answer(*step->frame);
    }
  }
  [[nodiscard]] bool closed() const { return closed_; }

  std::string reply;

 private:
  void answer(websocket::Frame frame) {
    if (frame.opcode == websocket::Opcode::pong) return;
    if (frame.opcode == websocket::Opcode::ping) frame.opcode = websocket::Opcode::pong;
    if (frame.opcode == websocket::Opcode::close) {
      frame.payload = frame.payload.substr(0, 2);  // the code alone (RFC 6455 §5.5.1)
      closed_ = true;
    }
    websocket::append_frame(reply, frame);
  }

  websocket::FrameDecoder decoder_{frame_bytes_max};
  bool closed_ = false;
};

}  // namespace

Task<void> Routes::echo_socket(Exchange& exchange, std::string_view /*argument*/) {
  const std::optional<Answer> refused = refuse_handshake(exchange, exchange.head());
  if (refused) {
    const bool read = co_await answers_.discard_body(exchange);
    if (read) co_await answers_.send(exchange, *refused);
    co_return;
  }
  const std::string fields = accept_fields(only_value(exchange.head(), "Sec-WebSocket-Key"));
  exchange.keep_alive = false;
  HeadBuilder head(answers_.scratch().head());
  answers_.write_head(head, exchange, {.status = 101, .coding = BodyCoding::none, .fields = fields});
  exchange.response_started = true;
  Echo echo;
  echo.reply = head.view();
  const std::span<const char> early = exchange.take_leftover();
  echo.take({early.data(), early.size()});
  Stream& stream = exchange.body.stream();
  for (;;) {
    const bool sent = co_await answers_.send_all(exchange, echo.reply);
    if (!sent || echo.closed()) co_return;
    echo.reply.clear();
    if (echo.reply.capacity() > reply_bytes_kept) echo.reply.shrink_to_fit();
    const auto got = stream.read(answers_.scratch().data());
    WaitResult waited = WaitResult::done;
    if (got && *got == 0) co_return;  // gone without a word
    if (got) {
      echo.take({answers_.scratch().data().data(), *got});
      waited = co_await yield_turn();
    } else if (got.error().kind == ErrorKind::would_block) {
      exchange.fiber.set_deadline(answers_.now() + answers_.timeouts().tunnel_idle);
      waited = co_await stream.readable();
    } else {
      exchange.broken_off = true;
    }
    if (waited == WaitResult::cancelled || exchange.broken_off) exchange.broken_off = true;
    if (waited != WaitResult::done || exchange.broken_off) co_return;
  }
}

}  // namespace steelyard::backend
