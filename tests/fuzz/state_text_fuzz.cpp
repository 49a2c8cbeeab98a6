// The state file, as it stands and as content that fits its checksum: what is read can be written and read again and means the same,
// and the registry takes it.
#include "fuzz.hpp"
#include "upstream/registry.hpp"
#include "upstream/state_text.hpp"

namespace {

using namespace steelyard;

void check(std::string_view text) {
  const auto state = parse_state(text);
  if (!state) {
    fuzz::demand(!state.error().empty(), "a refusal has a reason");
    return;
  }
  const auto again = parse_state(spell_state(*state));
  fuzz::demand(again && *again == *state, "what was written again means the same");

  PoolOptions pool;
  pool.name = "app";
  pool.registration.emplace().networks = {*Network::parse("10.0.0.0/8")};
  pool.servers = {{.id = "a", .host = "10.0.0.1", .port = 80}};
  Registry registry;
  registry.configure({&pool, 1});
  const Moment at{Instant{1'000'000'000}, 1'700'000'000};
  for (const std::string& sentence : registry.restore(*state, at)) fuzz::demand(!sentence.empty(), "what is dropped is told");
  for (const WantedServer& server : registry.servers("app")) {
    fuzz::demand(registry.server("app", server.options.id).has_value(), "who is listed is found");
    fuzz::demand(!server.lease || server.lease->runs(at.now), "a lease runs after a restart");
  }
  registry.expire({Instant{4'000'000'000'000}, 1'700'004'000}, {});
  fuzz::demand(registry.revision() >= state->revision, "revisions grow");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text = fuzz::view_of(bytes, size);
  check(text);
  check(frame_state(text));
  return 0;
}
