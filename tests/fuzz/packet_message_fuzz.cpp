// Packets: the outcome does not depend on how the bytes arrive, an object is where it is said to be, its canonical form is one, bounded
// and read as the same message, and what is written can be read.
#include <string>
#include <variant>
#include <vector>

#include "fuzz.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/scanner.hpp"
#include "wire/json/string_text.hpp"
#include "wire/packet/message.hpp"
#include "wire/utf8.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

struct Read {
  std::size_t consumed = 0;
  std::size_t offset = 0;
  std::string refused;
  std::vector<std::string> members;
  std::string wrong;
  packet::Message message;
  friend bool operator==(const Read&, const Read&) = default;
};

Read read(std::string_view bytes, std::size_t step) {
  Read read;
  json::ObjectScanner scanner;
  std::vector<char> buffer;
  const auto taken = fuzz::parse_in_steps(bytes, step, buffer, [&](std::string_view seen) { return scanner.feed(seen); });
  read.offset = scanner.offset();
  demand(read.offset <= bytes.size(), "nothing is looked at beyond the end");
  if (!taken) {
    demand(taken.error().offset == read.offset && read.offset < bytes.size(), "a refusal is of a byte");
    read.refused = taken.error().reason;
    return read;
  }
  read.consumed = *taken;
  if (*taken == 0) return read;
  demand(*taken == read.offset && bytes[*taken - 1] == '}', "an object ends with its brace");
  const json::Object object = scanner.object({buffer.data(), buffer.size()});
  for (const json::Member& member : object.members) {
    demand(fuzz::lies_inside(object.value(member), object.text) && fuzz::lies_inside(object.name(member), object.text),
           "members lie inside");
    std::string name;
    json::unescape(object.name(member), name);
    demand(is_utf8(name) && name.size() <= object.name(member).size(), "names are UTF-8");
    demand(object.find(name) == &member, "each member is found by its name");
    read.members.push_back(name + ": " + std::string(object.value(member)));
  }
  auto message = packet::parse_message(object);
  if (message) {
    read.message = std::move(*message);
  } else {
    read.wrong = message.error();
  }
  return read;
}

std::string canonical(std::string_view text) {
  std::string out;
  json::write_canonical(text, out);
  return out;
}

void check_canonical(std::string_view object, const Read& whole) {
  const std::string once = canonical(object);
  demand(once.size() <= json::canonical_growth_max * object.size(), "the canonical form is bounded");
  for (const char c : once) demand(c >= ' ' && c <= '~', "it is printable ASCII");
  demand(canonical(once) == once, "and its own canonical form");
  const Read again = read(once, once.size() + 1);
  demand(again.consumed == once.size() && again.members.size() == whole.members.size(), "it is an object of as many members");
  demand(again.wrong == whole.wrong && again.message == whole.message, "and the same message");
}

void check_written(const packet::Message& message) {
  const auto* const setup = std::get_if<packet::Setup>(&message);
  const auto* const data = std::get_if<packet::Data>(&message);
  const std::string text = setup != nullptr  ? packet::to_text(*setup)
                           : data != nullptr ? packet::to_text(*data, "x")
                                             : packet::to_text(std::get<packet::Ack>(message));
  const Read again = read(text, text.size() + 1);
  demand(again.consumed == text.size() && again.wrong.empty() && again.message.index() == message.index(), "what is written can be read");
  demand(canonical(text) == text, "what is written is canonical");
  if (data != nullptr) demand(again.message == message, "as what it was");
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace steelyard;
  const std::string_view text = fuzz::view_of(bytes, size);
  const Read whole = read(text, size + 1);
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, size / 2 + 1}) {
    demand(read(text, step) == whole, "pieces are read as the whole is");
  }
  if (whole.consumed == 0) return 0;
  check_canonical(text.substr(0, whole.consumed), whole);
  if (whole.wrong.empty()) check_written(whole.message);
  return 0;
}
