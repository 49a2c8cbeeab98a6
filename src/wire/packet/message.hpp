// The messages between clients, a packet proxy and its servers, as values: what a scanned JSON object says, and objects as they are sent.
// A server announces itself with a setup message, a client sends data, and a server answers data with an ack. There is no framing: a
// message ends where its object does. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.hpp"
#include "wire/json/object.hpp"

namespace steelyard::packet {

inline constexpr std::size_t id_bytes_max = 128;
inline constexpr std::size_t policy_bytes_max = 256;
inline constexpr std::size_t secret_bytes_max = 1024;

// Type "1", of a server that wants to be sent data. `lease`, `weight` and `secret` are this project's own; who does not know them passes
// over them.
struct Setup {
  std::string id{};               // not empty, nor is the policy
  std::string policy{};           // "privPolyId", spelled so in setup only
  std::uint16_t listen_port = 0;  // 1 to 65535; the address is the one that the message comes from
  std::optional<std::string> secret{};
  std::optional<Duration> lease{};  // how long it is to be kept without a word; 1 ms to 1000000 h
  std::optional<std::uint32_t> weight{};
  friend bool operator==(const Setup&, const Setup&) = default;
};

// Type "0". Whatever else the object holds, "payload" above all, is for the server.
struct Data {
  std::string source{};  // "srcid"; "" where there is none
  std::string policy{};  // "privPoliId", spelled so in data only; not empty
  friend bool operator==(const Data&, const Data&) = default;
};

// Type "2".
struct Ack {
  std::string source{};                          // "srcid", of the server
  std::string destination{};                     // "destid", the data's source
  std::string payload{};                         // the SHA-1 of the data's payload, in lower-case hexadecimal digits
  std::optional<std::uint64_t> payload_bytes{};  // "payloadsize"
  friend bool operator==(const Ack&, const Ack&) = default;
};

using Message = std::variant<Data, Setup, Ack>;

// What an object of the scanner says, or a sentence of why it is no message. Ids and policies are strings or integers, of which the digits
// count; they have no control characters and are bounded as above. Unknown members are passed over.
std::expected<Message, const char*> parse_message(const json::Object& object);

// The text of a member that is a string, without escapes; nothing where there is none or it is none.
std::optional<std::string> text_of(const json::Object& object, std::string_view name);

// As Python's json.dumps writes them, in the order of the original programs. Texts must be UTF-8.
std::string to_text(const Setup& setup);
std::string to_text(const Data& data, std::string_view payload);
// `payload_bytes` is 40 where it is not set.
std::string to_text(const Ack& ack);

}  // namespace steelyard::packet
