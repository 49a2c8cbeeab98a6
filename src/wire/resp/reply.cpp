#include "wire/resp/reply.hpp"

#include "base/ascii.hpp"

namespace steelyard::resp {
namespace {

constexpr std::uint16_t slots = 16'384;

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

// The first word of `text`, which is taken off.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = first_word(text);
  text.remove_prefix(word.size() < text.size() ? word.size() + 1 : word.size());
  return word;
}

}  // namespace

std::string_view error_code(std::string_view error) {
  const std::string_view code = first_word(error);
  const std::size_t inside = error.find(" -");
  if (code != "ERR" || !error.starts_with("ERR Error running script") || inside == std::string_view::npos) return code;
  return first_word(error.substr(inside + 2));
}

std::optional<Redirect> parse_redirect(std::string_view error) {
  Redirect redirect;
  const std::string_view code = take_word(error);
  if (code != "MOVED" && code != "ASK") return std::nullopt;
  redirect.kind = code == "ASK" ? Redirect::Kind::ask : Redirect::Kind::moved;
  const auto slot = parse_unsigned<std::uint16_t>(take_word(error));
  // An IPv6 address comes without brackets; Redis 7 may add metadata behind a comma or a blank.
  const std::string_view place = first_word(error.substr(0, error.find(',')));
  const std::size_t colon = place.rfind(':');
  if (!slot || *slot >= slots || colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_unsigned<std::uint16_t>(place.substr(colon + 1));
  if (!port || *port == 0) return std::nullopt;
  redirect.slot = *slot;
  redirect.host = place.substr(0, colon);
  redirect.port = *port;
  return redirect;
}

}  // namespace steelyard::resp
