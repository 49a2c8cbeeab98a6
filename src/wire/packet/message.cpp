#include "wire/packet/message.hpp"

#include <algorithm>
#include <charconv>

#include "base/ascii.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/string_text.hpp"

namespace steelyard::packet {
namespace {

using json::Kind;
using json::Member;
using json::Object;

constexpr std::string_view setup_policy_name = "privPolyId";
constexpr std::string_view data_policy_name = "privPoliId";

constexpr double lease_seconds_min = 0.001;
constexpr double lease_seconds_max = 3.6e9;
constexpr std::uint64_t sha1_digits = 40;

// One of the names that a message consists of.
struct Name {
  std::string_view member;
  std::size_t bytes_max;
  const char* missing;  // nullptr: it may be missing or empty
  const char* wrong;    // not text, empty, too long or with control characters
};

constexpr Name setup_id{"id", id_bytes_max, "A setup message has no id.",
                        "The id of a setup message is not a string or an integer of 1 to 128 bytes without control characters."};
constexpr Name setup_policy{setup_policy_name, policy_bytes_max, "A setup message has no privPolyId (data has privPoliId).",
                            "privPolyId is not a string or an integer of 1 to 256 bytes without control characters."};
constexpr Name data_policy{data_policy_name, policy_bytes_max, "A data message has no privPoliId (setup has privPolyId).",
                           "privPoliId is not a string or an integer of 1 to 256 bytes without control characters."};
constexpr Name source_id{"srcid", id_bytes_max, nullptr,
                         "srcid is not a string or an integer of up to 128 bytes without control characters."};
constexpr Name destination_id{"destid", id_bytes_max, nullptr,
                              "destid is not a string or an integer of up to 128 bytes without control characters."};

bool is_integer(std::string_view number) { return number.find_first_of(".eE") == std::string_view::npos; }

// C0, DEL and C1.
bool has_control(std::string_view utf8) {
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && static_cast<unsigned char>(utf8[i + 1]) < 0xa0)) return true;
  }
  return false;
}

// A string or an integer.
std::optional<std::string> scalar_of(const Object& object, const Member& member) {
  const std::string_view value = object.value(member);
  std::string text;
  if (member.kind == Kind::string) {
    json::unescape(value, text);
  } else if (member.kind == Kind::number && is_integer(value)) {
    text = value == "-0" ? "0" : value;
  } else {
    return std::nullopt;
  }
  return text;
}

// Returns what is wrong, or nullptr.
const char* read_name(const Object& object, const Name& name, std::string& into) {
  const Member* const member = object.find(name.member);
  if (member == nullptr) return name.missing;
  auto text = scalar_of(object, *member);
  if (!text || (text->empty() && name.missing != nullptr) || text->size() > name.bytes_max || has_control(*text)) return name.wrong;
  into = std::move(*text);
  return nullptr;
}

template <typename Number>
std::optional<Number> number_of(const Object& object, const Member& member) {
  const auto text = scalar_of(object, member);
  return text ? parse_unsigned<Number>(*text) : std::nullopt;
}

// Seconds as a number, or a text with or without a unit: 10, 2.5, "10", "10s", "1500ms", "5m", "1h".
std::optional<Duration> duration_of(const Object& object, const Member& member) {
  if (member.kind != Kind::number && member.kind != Kind::string) return std::nullopt;
  const std::string_view text = object.value(member);
  double number = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const double factor = unit.empty() || unit == "s" ? 1 : unit == "ms" ? 0.001 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  const double seconds = number * factor;
  if (seconds < lease_seconds_min || seconds > lease_seconds_max) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

const char* read_extras(const Object& object, Setup& setup) {
  if (object.find("secret") != nullptr) {
    setup.secret = text_of(object, "secret");
    if (!setup.secret || setup.secret->size() > secret_bytes_max) return "secret is not a string of up to 1024 bytes.";
  }
  if (const Member* const lease = object.find("lease")) {
    setup.lease = duration_of(object, *lease);
    if (!setup.lease) return "lease is not a time: write seconds, or a text such as \"10s\".";
  }
  if (const Member* const weight = object.find("weight")) {
    setup.weight = number_of<std::uint32_t>(object, *weight);
    if (!setup.weight) return "weight is not a whole number.";
  }
  return nullptr;
}

std::expected<Message, const char*> parse_setup(const Object& object) {
  Setup setup;
  if (const char* const wrong = read_name(object, setup_id, setup.id)) return std::unexpected(wrong);
  if (const char* const wrong = read_name(object, setup_policy, setup.policy)) return std::unexpected(wrong);
  const Member* const port = object.find("listenport");
  if (port == nullptr) return std::unexpected("A setup message has no listenport.");
  setup.listen_port = number_of<std::uint16_t>(object, *port).value_or(0);
  if (setup.listen_port == 0) return std::unexpected("listenport is not a port from 1 to 65535.");
  if (const char* const wrong = read_extras(object, setup)) return std::unexpected(wrong);
  return setup;
}

std::expected<Message, const char*> parse_data(const Object& object) {
  Data data;
  if (const char* const wrong = read_name(object, data_policy, data.policy)) return std::unexpected(wrong);
  if (const char* const wrong = read_name(object, source_id, data.source)) return std::unexpected(wrong);
  return data;
}

std::expected<Message, const char*> parse_ack(const Object& object) {
  Ack ack;
  if (const char* const wrong = read_name(object, source_id, ack.source)) return std::unexpected(wrong);
  if (const char* const wrong = read_name(object, destination_id, ack.destination)) return std::unexpected(wrong);
  auto payload = text_of(object, "payload");
  if (!payload) return std::unexpected("The payload of an ack message is not a string.");
  ack.payload = std::move(*payload);
  if (const Member* const bytes = object.find("payloadsize")) {
    ack.payload_bytes = number_of<std::uint64_t>(object, *bytes);
    if (!ack.payload_bytes) return std::unexpected("payloadsize is not a whole number.");
  }
  return ack;
}

void write_member(std::string_view name, std::string_view text, std::string& out) {
  out.append(out.empty() ? "{" : ", ");
  json::write_string(name, out);
  out.append(": ");
  json::write_string(text, out);
}

void write_number(std::string_view name, std::uint64_t number, std::string& out) {
  out.append(", ");
  json::write_string(name, out);
  out.append(": ").append(std::to_string(number));
}

}  // namespace

std::optional<std::string> text_of(const Object& object, std::string_view name) {
  const Member* const member = object.find(name);
  if (member == nullptr || member->kind != Kind::string) return std::nullopt;
  return scalar_of(object, *member);
}

std::expected<Message, const char*> parse_message(const Object& object) {
  const Member* const type = object.find("type");
  if (type == nullptr) return std::unexpected("The message has no type.");
  if (object.find(setup_policy_name) != nullptr && object.find(data_policy_name) != nullptr) {
    return std::unexpected("The message has both privPolyId and privPoliId, so that its policy is not certain.");
  }
  const auto value = scalar_of(object, *type);
  if (value == "0") return parse_data(object);
  if (value == "1") return parse_setup(object);
  if (value == "2") return parse_ack(object);
  return std::unexpected("The type of the message is not \"0\" (data), \"1\" (setup) or \"2\" (ack).");
}

std::string to_text(const Setup& setup) {
  std::string text;
  write_member("type", "1", text);
  write_member("id", setup.id, text);
  write_member(setup_policy_name, setup.policy, text);
  write_member("listenport", std::to_string(setup.listen_port), text);
  if (setup.secret) write_member("secret", *setup.secret, text);
  if (setup.lease) write_member("lease", std::to_string(*setup.lease / 1ms) + "ms", text);
  if (setup.weight) write_number("weight", *setup.weight, text);
  return text + "}";
}

std::string to_text(const Data& data, std::string_view payload) {
  std::string text;
  write_member("type", "0", text);
  write_member("srcid", data.source, text);
  write_member(data_policy_name, data.policy, text);
  write_member("payload", payload, text);
  return text + "}";
}

std::string to_text(const Ack& ack) {
  std::string text;
  write_member("type", "2", text);
  write_member("srcid", ack.source, text);
  write_member("destid", ack.destination, text);
  write_number("payloadsize", ack.payload_bytes.value_or(sha1_digits), text);
  write_member("payload", ack.payload, text);
  return text + "}";
}

}  // namespace steelyard::packet
