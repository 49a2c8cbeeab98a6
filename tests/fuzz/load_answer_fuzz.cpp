// Answers as the load generator reads them: the first byte chooses the method, the rest is what the server says until it closes. The
// outcome does not depend on how the bytes arrive, nor on whether bodies are read or dropped.
#include <algorithm>
#include <vector>

#include "fuzz.hpp"
#include "load/response_reader.hpp"

namespace {

using namespace steelyard;
using load::ResponseReader;
using Step = ResponseReader::Step;

struct Result {
  Step step = Step::more;
  load::Outcome outcome;
};

enum class Bodies : std::uint8_t { read, dropped };

Result read_all(ResponseReader::Shared& shared, std::string_view bytes, std::size_t step_bytes, Bodies bodies) {
  ResponseReader reader(shared);
  reader.begin();
  Step step = Step::more;
  for (std::size_t at = 0; at < bytes.size() && step == Step::more;) {
    const std::string_view piece = bytes.substr(at, step_bytes);
    at += piece.size();
    if (bodies == Bodies::dropped && reader.droppable_bytes() > 0) {
      step = reader.dropped(piece.size());
    } else {
      std::vector<char> memory(piece.begin(), piece.end());
      step = reader.take(memory);
    }
  }
  if (step == Step::more) step = reader.end();
  return {step, reader.outcome()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  static load::ServerNames servers;
  static ResponseReader::Shared shared{.server_field = "X-Backend", .servers = servers, .head = {}};
  shared.method = data[0] == 'H' ? http::Method::head : http::Method::get;
  const std::string_view bytes = fuzz::view_of(data + 1, size - 1);
  const Result whole = read_all(shared, bytes, size, Bodies::read);
  fuzz::demand(whole.step != Step::done || (whole.outcome.status >= 101 && whole.outcome.status < 600), "an answer has a final status");
  for (const std::size_t step_bytes : {std::size_t{1}, std::size_t{7}}) {
    for (const Bodies bodies : {Bodies::read, Bodies::dropped}) {
      const Result pieces = read_all(shared, bytes, step_bytes, bodies);
      fuzz::demand(pieces.step == whole.step, "pieces end as the whole does");
      if (whole.step != Step::done) continue;
      fuzz::demand(pieces.outcome.status == whole.outcome.status, "with the same status");
      fuzz::demand(pieces.outcome.server == whole.outcome.server, "and server");
      fuzz::demand(pieces.outcome.body_bytes == whole.outcome.body_bytes, "and as many bytes");
    }
  }
  return 0;
}
