// Response heads: the first byte chooses the method of the request, the rest is what the server says. The outcome does not
// depend on how the bytes arrive, views lie inside the input, and no body is seen where none may be.
#include <memory>

#include "fuzz.hpp"
#include "wire/http/characters.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

void check(const http::ResponseHead& head, http::Method method, std::string_view bytes) {
  for (const http::Field& field : head.fields.all()) {
    demand(fuzz::lies_inside(field.name, bytes) && fuzz::lies_inside(field.value, bytes), "fields lie inside the input");
    demand(http::is_token(field.name) && http::all_of(field.value, http::value_char), "fields are clean");
  }
  demand(fuzz::lies_inside(head.reason, bytes) && fuzz::lies_inside(head.upgrade, bytes), "views lie inside the input");
  demand(http::all_of(head.reason, http::value_char), "the reason has no control characters");
  demand(head.status >= 100 && head.status <= 599, "the status is one");
  const bool bodiless = method == http::Method::head || head.status < 200 || head.status == 204 || head.status == 304;
  demand(!bodiless || head.body.kind == http::BodyKind::none, "no body where none may be");
  demand(head.body.kind != http::BodyKind::until_close || !head.keep_alive, "a body until the end leaves no connection");
  demand((head.status == 101) == !head.upgrade.empty(), "a protocol is named exactly by 101");
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  if (size == 0 || size > 4096) return 0;
  static auto whole = std::make_unique<http::ResponseHead>();
  static auto pieces = std::make_unique<http::ResponseHead>();
  const http::Method method = data[0] == 'H' ? http::Method::head : http::Method::get;
  const http::HeadLimits limits{.request_line_bytes_max = 200, .head_bytes_max = 1000, .field_count_max = 20};
  const std::string_view bytes = fuzz::view_of(data + 1, size - 1);
  std::vector<char> buffer;
  http1::ScanState scan;
  const auto taken = fuzz::parse_in_steps(bytes, size, buffer,
                                          [&](std::string_view seen) { return http1::parse_response(seen, scan, limits, method, *whole); });
  if (taken && *taken != 0) check(*whole, method, {buffer.data(), *taken});
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}}) {
    std::vector<char> other_buffer;
    http1::ScanState other_scan;
    const auto other = fuzz::parse_in_steps(
        bytes, step, other_buffer, [&](std::string_view seen) { return http1::parse_response(seen, other_scan, limits, method, *pieces); });
    fuzz::demand(other.has_value() == taken.has_value(), "pieces are accepted as the whole is");
    if (!taken) {
      fuzz::demand(other.error().reason == taken.error().reason, "with the same reason");
      continue;
    }
    fuzz::demand(*other == *taken, "with the same length");
    if (*taken != 0) check(*pieces, method, {other_buffer.data(), other_buffer.size()});
  }
  return 0;
}
