// WebSocket frames: the outcome does not depend on how the bytes arrive, control frames are whole and short, texts are UTF-8, and
// a frame that is written again is read again as the same.
#include <string>
#include <vector>

#include "backend/websocket.hpp"
#include "fuzz.hpp"

namespace steelyard::backend {
namespace {

using fuzz::demand;

constexpr std::size_t payload_bytes_max = 4096;

struct Received {
  websocket::Opcode opcode;
  websocket::Fragment fragment;
  std::string payload;
  friend bool operator==(const Received&, const Received&) = default;
};

struct Decoded {
  std::vector<Received> frames;
  std::uint16_t refused = 0;
};

Decoded decode(std::string_view bytes, std::size_t step) {
  Decoded decoded;
  websocket::FrameDecoder decoder(payload_bytes_max);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view next = bytes.substr(at, step);
    const std::vector<char> buffer(next.begin(), next.end());
    const auto taken = decoder.decode({buffer.data(), buffer.size()});
    if (!taken) {
      decoded.refused = taken.error().code;
      return decoded;
    }
    demand(taken->consumed <= buffer.size() && (taken->frame || taken->consumed == buffer.size()), "bytes are left only behind a frame");
    if (taken->frame) decoded.frames.push_back({taken->frame->opcode, taken->frame->fragment, std::string(taken->frame->payload)});
    at += taken->consumed;
  }
  return decoded;
}

// The frames as a client would send them: masked with zeros.
std::string encode(const std::vector<Received>& frames) {
  std::string bytes;
  for (const Received& frame : frames) {
    std::array<char, websocket::head_bytes_max> head;
    const std::size_t size = websocket::write_head(head, {frame.opcode, frame.fragment, frame.payload});
    head[1] = static_cast<char>(head[1] | '\x80');
    bytes.append(head.data(), size).append(4, '\0').append(frame.payload);
  }
  return bytes;
}

void check(const std::vector<Received>& frames) {
  std::string text;
  bool is_text = false;
  for (const Received& frame : frames) {
    demand(frame.payload.size() <= payload_bytes_max, "frames are bounded");
    if (websocket::is_control(frame.opcode)) {
      demand(frame.fragment == websocket::Fragment::last && frame.payload.size() <= 125, "control frames are whole and short");
      continue;
    }
    if (frame.opcode != websocket::Opcode::continuation) {
      is_text = frame.opcode == websocket::Opcode::text;
      text.clear();
    }
    text += frame.payload;
    if (is_text && frame.fragment == websocket::Fragment::last) demand(is_utf8(text), "texts are UTF-8");
  }
}

}  // namespace
}  // namespace steelyard::backend

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard::backend;
  const std::string_view bytes = steelyard::fuzz::view_of(data, size);
  const Decoded whole = decode(bytes, size + 1);
  check(whole.frames);
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, size / 2 + 1}) {
    const Decoded pieces = decode(bytes, step);
    steelyard::fuzz::demand(pieces.refused == whole.refused && pieces.frames == whole.frames, "pieces are decoded as the whole is");
  }
  const Decoded again = decode(encode(whole.frames), size + 1);
  steelyard::fuzz::demand(again.refused == 0 && again.frames == whole.frames, "what was read can be written");
  return 0;
}
