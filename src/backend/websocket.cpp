#include "backend/websocket.hpp"

#include <algorithm>

namespace steelyard::backend::websocket {
namespace {

constexpr std::size_t control_payload_max = 125;
constexpr std::size_t mask_bytes = 4;

std::unexpected<Refusal> refuse(const char* reason, std::uint16_t code = code_protocol_error) {
  return std::unexpected(Refusal{code, reason});
}

// Codes that may stand in a frame (RFC 6455 §7.4): 1004 to 1006 and 1015 are reserved, beyond 1014 the protocol defines none.
bool may_be_sent(unsigned code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

std::expected<void, Refusal> check_close(std::string_view payload) {
  if (payload.empty()) return {};
  if (payload.size() == 1) return refuse("A Close frame has half a code.");
  const unsigned code = static_cast<unsigned>(static_cast<std::uint8_t>(payload[0])) << 8U | static_cast<std::uint8_t>(payload[1]);
  if (!may_be_sent(code)) return refuse("A Close frame has a code that may not be sent.");
  if (!is_utf8(payload.substr(2))) return refuse("The reason of a Close frame is not UTF-8.", code_not_utf8);
  return {};
}

void append_big_endian(char* out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}

}  // namespace

std::expected<FrameDecoder::Step, Refusal> FrameDecoder::decode(std::string_view bytes) {
  std::size_t consumed = 0;
  while (head_have_ < head_need_) {
    if (consumed == bytes.size()) return Step{consumed, std::nullopt};
    head_[head_have_++] = static_cast<std::uint8_t>(bytes[consumed++]);
    if (head_have_ == 2) {
      if (const auto taken = take_first_two(); !taken) return std::unexpected(taken.error());
    }
    if (head_have_ == head_need_) {
      if (const auto taken = take_length(); !taken) return std::unexpected(taken.error());
      payload_.clear();
    }
  }
  const auto due = static_cast<std::size_t>(std::min<std::uint64_t>(payload_bytes_ - payload_.size(), bytes.size() - consumed));
  take_payload(bytes.substr(consumed, due));
  consumed += due;
  if (payload_.size() < payload_bytes_) return Step{consumed, std::nullopt};
  if (const auto finished = finish_frame(); !finished) return std::unexpected(finished.error());
  return Step{consumed, Frame{opcode_, fragment_, payload_}};
}

// What the first two bytes decide: everything but the length of a long frame and the mask (RFC 6455 §5.2, §5.4, §5.5).
std::expected<void, Refusal> FrameDecoder::take_first_two() {
  if ((head_[0] & 0x70U) != 0) return refuse("A reserved bit is set though no extension was agreed on.");
  const unsigned code = head_[0] & 0x0fU;
  if (code > 10 || (code > 2 && code < 8)) return refuse("A frame has an unknown opcode.");
  if ((head_[1] & 0x80U) == 0) return refuse("A client's frame is not masked.");  // §5.1
  opcode_ = static_cast<Opcode>(code);
  fragment_ = (head_[0] & 0x80U) != 0 ? Fragment::last : Fragment::more;
  const unsigned length = head_[1] & 0x7fU;
  if (is_control(opcode_)) {
    if (fragment_ == Fragment::more) return refuse("A control frame is fragmented.");
    if (length > control_payload_max) return refuse("A control frame is longer than 125 bytes.");
  } else if (opcode_ == Opcode::continuation && !in_message_) {
    return refuse("A continuation continues nothing.");
  } else if (opcode_ != Opcode::continuation && in_message_) {
    return refuse("A message begins inside another one.");
  }
  head_need_ = 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + mask_bytes;
  return {};
}

std::expected<void, Refusal> FrameDecoder::take_length() {
  const unsigned length = head_[1] & 0x7fU;
  payload_bytes_ = length;
  if (length >= 126) {
    payload_bytes_ = 0;
    for (std::size_t i = 2; i < head_need_ - mask_bytes; ++i) payload_bytes_ = payload_bytes_ << 8U | head_[i];
    // One spelling for each length (RFC 6455 §5.2).
    const bool shortest = length == 126 ? payload_bytes_ > 125 : payload_bytes_ > 0xffff;
    if (!shortest || payload_bytes_ >> 63U != 0) return refuse("A length is not in its shortest form.");
  }
  if (payload_bytes_ > payload_bytes_max_) return refuse("A frame is longer than allowed.", code_too_big);
  return {};
}

void FrameDecoder::take_payload(std::string_view masked) {
  const std::uint8_t* const mask = head_.data() + head_need_ - mask_bytes;
  std::size_t at = payload_.size();
  payload_.append(masked);
  for (; at < payload_.size(); ++at) payload_[at] = static_cast<char>(static_cast<std::uint8_t>(payload_[at]) ^ mask[at % mask_bytes]);
}

// What a whole frame means for the message that it belongs to, and for the next frame.
std::expected<void, Refusal> FrameDecoder::finish_frame() {
  head_have_ = 0;
  head_need_ = 2;
  if (opcode_ == Opcode::close) return check_close(payload_);
  if (is_control(opcode_)) return {};
  if (opcode_ != Opcode::continuation) {
    is_text_ = opcode_ == Opcode::text;
    utf8_ = {};
  }
  in_message_ = fragment_ == Fragment::more;
  // A character may lie across fragments, not across messages (RFC 6455 §5.6, §8.1).
  if (is_text_ && (!utf8_.feed(payload_) || (!in_message_ && !utf8_.complete()))) return refuse("A text is not UTF-8.", code_not_utf8);
  return {};
}

std::size_t write_head(std::span<char, head_bytes_max> out, const Frame& frame) {
  out[0] = static_cast<char>((frame.fragment == Fragment::last ? 0x80U : 0U) | static_cast<unsigned>(frame.opcode));
  const std::size_t length = frame.payload.size();
  if (length < 126) {
    out[1] = static_cast<char>(length);
    return 2;
  }
  const std::size_t extra = length <= 0xffff ? 2 : 8;
  out[1] = static_cast<char>(extra == 2 ? 126 : 127);
  append_big_endian(out.data() + 2, length, extra);
  return 2 + extra;
}

void append_frame(std::string& out, const Frame& frame) {
  std::array<char, head_bytes_max> head;
  out.append(head.data(), write_head(head, frame));
  out.append(frame.payload);
}

void append_close(std::string& out, std::uint16_t code, std::string_view reason) {
  char payload[control_payload_max];
  append_big_endian(payload, code, 2);
  const std::size_t size = reason.substr(0, control_payload_max - 2).copy(payload + 2, control_payload_max - 2);
  append_frame(out, {Opcode::close, Fragment::last, {payload, size + 2}});
}

}  // namespace steelyard::backend::websocket
