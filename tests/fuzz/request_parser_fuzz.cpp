// Request heads: the outcome does not depend on how the bytes arrive, views lie inside the input, and what is accepted is
// what the model promises.
#include <memory>

#include "fuzz.hpp"
#include "wire/http/authority.hpp"
#include "wire/http/characters.hpp"
#include "wire/http1/framing.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

void check_fields(const http::Fields& fields, std::string_view bytes) {
  for (const http::Field& field : fields.all()) {
    demand(fuzz::lies_inside(field.name, bytes) && fuzz::lies_inside(field.value, bytes), "fields lie inside the input");
    demand(http::is_token(field.name), "field names are tokens");
    demand(http::all_of(field.value, http::value_char), "field values have no control characters");
  }
}

void check(const http::RequestHead& head, std::string_view bytes) {
  check_fields(head.fields, bytes);
  demand(fuzz::lies_inside(head.target, bytes) && fuzz::lies_inside(head.query, bytes), "the target lies inside the input");
  demand(fuzz::lies_inside(head.path, bytes) || head.path == "/" || head.path == "*", "the path lies inside the input");
  demand(fuzz::lies_inside(head.upgrade, bytes), "the protocols lie inside the input");
  demand(http::is_token(head.method_text), "the method is a token");
  demand(http::all_of(head.path, http::path_char) && http::all_of(head.query, http::query_char), "path and query are clean");
  demand(head.authority.empty() ? head.version_minor == 0 : http::is_authority(head.authority), "there is a valid host");
  demand((head.body.kind == http::BodyKind::length) == (head.body.length != 0), "only a length has a length");
  demand(head.body.kind != http::BodyKind::until_close, "requests are never delimited by the end of the stream");
  demand(head.body.kind != http::BodyKind::chunked || (!head.has_content_length && head.version_minor == 1), "one framing");
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  if (size > 4096) return 0;
  static auto whole = std::make_unique<http::RequestHead>();
  static auto pieces = std::make_unique<http::RequestHead>();
  const http::HeadLimits limits{.request_line_bytes_max = 200, .head_bytes_max = 1000, .field_count_max = 20};
  const std::string_view bytes = fuzz::view_of(data, size);
  std::vector<char> buffer;
  http1::ScanState scan;
  const auto taken = fuzz::parse_in_steps(bytes, size + 1, buffer,
                                          [&](std::string_view seen) { return http1::parse_request(seen, scan, limits, *whole); });
  if (taken && *taken != 0) {
    fuzz::demand(*taken <= size && *taken <= limits.head_bytes_max, "a head is no longer than the input and the limit");
    check(*whole, {buffer.data(), *taken});
    const auto kind = whole->body.kind;
    fuzz::demand(http1::frame_request(*whole).has_value() && whole->body.kind == kind, "framing again changes nothing");
  }
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, size / 2 + 1}) {
    std::vector<char> other_buffer;
    http1::ScanState other_scan;
    const auto other = fuzz::parse_in_steps(bytes, step, other_buffer,
                                            [&](std::string_view seen) { return http1::parse_request(seen, other_scan, limits, *pieces); });
    fuzz::demand(other.has_value() == taken.has_value(), "pieces are accepted as the whole is");
    if (!taken) {
      fuzz::demand(other.error().status == taken.error().status && other.error().reason == taken.error().reason, "with the same reason");
    } else {
      fuzz::demand(*other == *taken, "with the same length");
      if (*taken != 0) check(*pieces, {other_buffer.data(), other_buffer.size()});
      fuzz::demand(*taken == 0 || (pieces->fields.size() == whole->fields.size() && pieces->path == whole->path), "and the same meaning");
    }
  }
  return 0;
}
