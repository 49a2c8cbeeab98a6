// What a request demands of its server: whatever was found is what servers of either habit see, those that take the first of two
// parameters or fields of one name and those that take the last.
#include <optional>
#include <string>

#include "base/ascii.hpp"
#include "decide/policy/demand.hpp"
#include "fuzz.hpp"
#include "wire/http/characters.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

using fuzz::demand;
using policy::Reading;
using Kind = policy::SourceOptions::Kind;

struct Both {
  std::optional<std::string> first{};
  std::optional<std::string> last{};
  void see(const std::string& value) {
    if (!first) first = value;
    last = value;
  }
};

// As forgiving servers do it: what is no escape stands for itself.
std::string decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && http::hex_value(text[i + 1]) >= 0 && http::hex_value(text[i + 2]) >= 0;
    if (escape) {
      decoded += static_cast<char>(http::hex_value(text[i + 1]) * 16 + http::hex_value(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

Both in_query(std::string_view query, std::string_view name) {
  Both seen;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (decode(pair.substr(0, equals)) == name) seen.see(equals == std::string_view::npos ? "" : decode(pair.substr(equals + 1)));
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return seen;
}

Both in_fields(const http::RequestHead& head, std::string_view name) {
  Both seen;
  for (const http::Field& field : head.fields.all()) {
    if (equals_ignoring_case(field.name, name)) seen.see(std::string(field.value));
  }
  return seen;
}

void check(const Reading& reading, const std::optional<Both>& seen) {
  if (reading.kind == Reading::Kind::ambiguous) return demand(*reading.reason != '\0', "a refusal has a reason");
  if (reading.kind == Reading::Kind::absent) return demand(!seen || !seen->first, "what others see is not absent");
  demand(!reading.value.empty(), "what is found is not empty");
  for (const char c : reading.value) demand(static_cast<unsigned char>(c) >= ' ' && c != 0x7f, "nor has it control characters");
  if (!seen) return;
  demand(seen->first == reading.value && seen->last == reading.value, "all readers see the same");
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  const std::string_view bytes = fuzz::view_of(data, size);
  std::string memory;
  check(policy::read_json_body("p", bytes, memory), std::nullopt);
  http1::ScanState scan;
  http::RequestHead head;
  const auto parsed = http1::parse_request(bytes, scan, {}, head);
  if (!parsed || *parsed == 0) return 0;
  check(policy::read_head({.kind = Kind::query, .name = "p"}, head, head.path, memory), in_query(head.query, "p"));
  check(policy::read_head({.kind = Kind::header, .name = "X-P"}, head, head.path, memory), in_fields(head, "X-P"));
  for (const Kind kind : {Kind::cookie, Kind::host, Kind::segment}) {
    check(policy::read_head({.kind = kind, .name = "p", .segment = 2}, head, head.path, memory), std::nullopt);
  }
  return 0;
}
