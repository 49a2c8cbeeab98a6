// What a Redis sends: replies and refusals do not depend on how the bytes arrive, everything is bounded, and redirects lie inside.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "wire/resp/command.hpp"
#include "wire/resp/reply_reader.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

constexpr resp::ReplyLimits limits{.bytes_max = 4096, .line_bytes_max = 128, .items_max = 64};

struct Read {
  std::vector<resp::Reply> replies;
  bool refused = false;
  friend bool operator==(const Read&, const Read&) = default;
};

Read read(std::string_view bytes, std::size_t step) {
  Read read;
  resp::ReplyReader reader(limits);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    const std::vector<char> piece(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(step, bytes.size())));
    reader.feed({piece.data(), piece.size()});
    for (;;) {
      auto reply = reader.next();
      read.refused = !reply;
      if (!reply || !*reply) break;
      read.replies.push_back(std::move(**reply));
    }
  }
  return read;
}

std::size_t count(const resp::Reply& reply) {
  std::size_t items = 1;
  for (const resp::Reply& item : reply.items) items += count(item);
  return items;
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
  for (const resp::Reply& reply : whole.replies) {
    demand(count(reply) <= limits.items_max && reply.text.size() <= limits.bytes_max, "a reply is bounded");
    demand(fuzz::lies_inside(resp::error_code(reply.text), reply.text), "a code lies inside its error");
    const auto redirect = resp::parse_redirect(reply.text);
    demand(!redirect || (redirect->slot < 16'384 && redirect->port != 0), "a redirect leads somewhere");
    demand(!redirect || fuzz::lies_inside(redirect->host, reply.text), "its host lies inside");
  }
  // As an argument the same bytes are one text.
  if (size + 32 > limits.bytes_max) return 0;
  const Read argument = read(resp::command({text}), size + 64);
  demand(argument.replies.size() == 1 && argument.replies[0].items.at(0).text == text, "an argument arrives as it is");
  return 0;
}
