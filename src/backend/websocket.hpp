// WebSocket frames as a server receives and sends them (RFC 6455 §5): bytes to frames and back, and what a client may not do.
// Pure: no stream, no time. Knows no extensions and joins no fragments.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wire/utf8.hpp"

namespace steelyard::backend::websocket {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

constexpr bool is_control(Opcode opcode) { return (static_cast<std::uint8_t>(opcode) & 8U) != 0; }

enum class Fragment : std::uint8_t { last, more };  // a message in one piece is its last fragment

struct Frame {
  Opcode opcode = Opcode::continuation;
  Fragment fragment = Fragment::last;
  std::string_view payload;  // unmasked
};

// Why a connection fails (RFC 6455 §7.4.1): the code that its Close frame carries, and a static sentence.
struct Refusal {
  std::uint16_t code = 1002;
  const char* reason = "";
};
inline constexpr std::uint16_t code_protocol_error = 1002;
inline constexpr std::uint16_t code_not_utf8 = 1007;
inline constexpr std::uint16_t code_too_big = 1009;

// Takes bytes in pieces of any size. After a refusal it must not be used again.
class FrameDecoder {
 public:
  explicit FrameDecoder(std::uint64_t payload_bytes_max) : payload_bytes_max_(payload_bytes_max) {}

  struct Step {
    std::size_t consumed = 0;
    std::optional<Frame> frame;  // valid until the next decode()
  };
  // Up to the end of one frame, or all of `bytes`.
  std::expected<Step, Refusal> decode(std::string_view bytes);

 private:
  std::expected<void, Refusal> take_first_two();
  std::expected<void, Refusal> take_length();
  std::expected<void, Refusal> finish_frame();
  void take_payload(std::string_view masked);

  std::uint64_t payload_bytes_max_;
  std::array<std::uint8_t, 14> head_{};
  std::size_t head_have_ = 0;
  std::size_t head_need_ = 2;
  std::uint64_t payload_bytes_ = 0;
  std::string payload_;
  Opcode opcode_ = Opcode::continuation;
  Fragment fragment_ = Fragment::last;
  bool in_message_ = false;  // a fragmented one has begun
  bool is_text_ = false;     // that message
  Utf8Check utf8_;
};

inline constexpr std::size_t head_bytes_max = 10;  // of what a server sends
// The head of a frame from a server, which is never masked. Returns its size.
std::size_t write_head(std::span<char, head_bytes_max> out, const Frame& frame);
void append_frame(std::string& out, const Frame& frame);
// A Close frame with that code; `reason` is shortened to what a control frame holds.
void append_close(std::string& out, std::uint16_t code, std::string_view reason);

}  // namespace steelyard::backend::websocket
