// What `steelyard load` is given by hand: URLs, and lines of a file to replay. What is accepted can stand in a request as it is.
#include <string>

#include "fuzz.hpp"
#include "load/replay.hpp"
#include "load/url.hpp"
#include "wire/http/authority.hpp"
#include "wire/http/characters.hpp"

namespace steelyard {
namespace {

using fuzz::demand;

void check_target(std::string_view target) {
  demand(target.starts_with('/'), "a target begins with a slash");
  demand(http::all_of(target, http::path_char | http::query_char), "a target needs no encoding");
}

}  // namespace
}  // namespace steelyard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard;
  const std::string_view text = fuzz::view_of(data, size);
  if (const auto url = load::parse_url(text)) {
    check_target(url->target);
    fuzz::demand(!url->host.empty() && url->port != 0, "a URL names host and port");
    fuzz::demand(http::is_authority(url->authority), "an authority is valid");
    const auto again = load::parse_url("http://" + url->authority + url->target);
    fuzz::demand(again && again->host == url->host && again->port == url->port && again->target == url->target,
                 "written out it is the same");
  } else {
    fuzz::demand(!url.error().empty(), "a refusal has a reason");
  }
  if (const auto due = load::parse_replay_line(text)) {
    check_target(due->target);
    fuzz::demand(due->at.count() >= 0, "nothing is due before the start");
  } else {
    fuzz::demand(!due.error().empty(), "a refusal has a reason");
  }
  return 0;
}
