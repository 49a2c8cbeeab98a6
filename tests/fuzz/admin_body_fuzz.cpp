// Bodies and paths of requests to the admin API: nothing escapes, a refusal says something as valid JSON and stays short, what is
// accepted means the same when it is shown and read again, and no path leads to a name that no configuration could have.
#include <string>

#include "admin/bodies.hpp"
#include "admin/endpoints.hpp"
#include "admin/json_body.hpp"
#include "config/texts.hpp"
#include "fuzz.hpp"

namespace steelyard::admin {
namespace {

using fuzz::demand;

constexpr std::size_t answer_bytes_max = 256 * 1024;

void check_refusal(const Answer& answer) {
  demand(answer.status >= 400 && answer.status < 500, "a refusal is the client's");
  demand(answer.body.size() < answer_bytes_max, "a refusal is short");
  const Json body = Json::parse(answer.body, nullptr, false);
  demand(!body.is_discarded() && !body["error"]["message"].get<std::string>().empty(), "a refusal says something");
}

// Returns whether there was a value.
template <typename Value>
bool check(const std::expected<Value, Answer>& read) {
  if (!read) check_refusal(read.error());
  return read.has_value();
}

void check_server(const ServerBody& body) {
  demand(!body.server.host.empty() && body.server.port != 0, "a server has an address");
  demand(body.server.weight <= weight_max, "a weight is bounded");
  const std::string shown = to_text(server_table().write(body));
  const auto again = read_server(shown);
  demand(again.has_value(), "what is shown can be read");
  demand(to_text(server_table().write(*again)) == shown, "what is shown means the same");
}

}  // namespace
}  // namespace steelyard::admin

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace steelyard::admin;
  using steelyard::fuzz::demand;
  const std::string_view text = steelyard::fuzz::view_of(data, size);
  if (const auto body = read_server(text); check(body)) check_server(*body);
  check(read_change(text));
  check(read_deadline(text));
  check(read_renewal(text));
  check(read_nothing(text));
  if (const auto found = find_endpoint(steelyard::http::Method::put, text); check(found)) {
    demand(!steelyard::config::check_name(found->pool) && !steelyard::config::check_server_id(found->id), "a path has names that may be");
  }
  return 0;
}
