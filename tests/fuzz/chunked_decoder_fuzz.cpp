// The chunked coding: the outcome does not depend on how the bytes arrive, no payload appears that was not there, and the
// trailers that come out are fields.
#include <string>

#include "fuzz.hpp"
#include "wire/http1/chunked_decoder.hpp"
#include "wire/http1/field_line.hpp"
#include "wire/http1/trailer_fields.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

struct Decoded {
  std::string payload;
  std::string trailers;
  std::size_t consumed = 0;
  bool done = false;
  const char* refused = nullptr;
};

Decoded decode(std::string_view bytes, std::size_t step) {
  Decoded decoded;
  http1::ChunkedDecoder decoder;
  while (decoded.consumed < bytes.size() && !decoded.done) {
    const std::string_view next = bytes.substr(decoded.consumed, step);
    std::vector<char> buffer(next.begin(), next.end());
    const auto taken = decoder.decode(buffer);
    if (!taken) {
      Decoded nothing;
      nothing.refused = taken.error().reason;
      return nothing;
    }
    demand(taken->payload <= taken->consumed && taken->consumed <= buffer.size(), "no payload out of nothing");
    demand(taken->done || taken->consumed == buffer.size(), "bytes are left only at the end of the body");
    decoded.payload.append(buffer.data(), taken->payload);
    decoded.consumed += taken->consumed;
    decoded.done = taken->done;
  }
  if (decoded.done) decoded.trailers = decoder.trailers();
  return decoded;
}

void check_trailers(std::string_view trailers) {
  demand(trailers.size() <= http1::trailer_bytes_max + std::size_t{3} * http1::trailer_count_max, "trailers are bounded");
  while (!trailers.empty()) {
    const std::size_t end = trailers.find("\r\n");
    demand(end != std::string_view::npos, "trailers are whole lines");
    const std::string_view line = trailers.substr(0, end);
    demand(http::all_of(line, http::value_char), "trailers have no control characters");
    const auto field = http1::parse_field_line(line);
    demand(field && http1::may_be_trailer(*field), "trailers are fields that may be trailers");
    trailers.remove_prefix(end + 2);
  }
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  const std::string_view bytes = fuzz::view_of(data, size);
  const Decoded whole = decode(bytes, size + 1);
  check_trailers(whole.trailers);
  for (const std::size_t step : {std::size_t{1}, std::size_t{5}, size / 2 + 1}) {
    const Decoded pieces = decode(bytes, step);
    demand(pieces.refused == whole.refused && pieces.done == whole.done, "pieces are decoded as the whole is");
    demand(pieces.consumed == whole.consumed && pieces.payload == whole.payload && pieces.trailers == whole.trailers, "to the same");
  }
  return 0;
}
