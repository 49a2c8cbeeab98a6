// What the admin API shows and changes, as whoever runs the proxy gives it. Implemented by app/; called on the control thread alone,
// never from within another call. Every call answers at once: what takes longer (draining, resolving) goes on afterwards and is told
// of by events.
#pragma once

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "config/load.hpp"
#include "upstream/registry.hpp"

namespace steelyard::admin {

using Json = nlohmann::ordered_json;
using Problems = std::vector<config::Problem>;

// A change after which a server may still have exchanges to end.
struct Departure {
  Applied applied;
  std::uint32_t exchanges_active = 0;  // under way there now
};

class Control {
 public:
  virtual ~Control() = default;

  [[nodiscard]] virtual Json status() const = 0;
  [[nodiscard]] virtual Json pools() const = 0;
  [[nodiscard]] virtual Json listeners() const = 0;
  [[nodiscard]] virtual Json routes() const = 0;
  [[nodiscard]] virtual Json exchanges() const = 0;  // under way
  [[nodiscard]] virtual Json limits() const = 0;     // on requests, and their stores
  // What runs, in full, as YAML. Whoever may ask for it may read the API: secrets are left out.
  [[nodiscard]] virtual std::string configuration() const = 0;
  [[nodiscard]] virtual std::expected<Json, Refusal> pool(std::string_view pool) const = 0;
  [[nodiscard]] virtual std::expected<Json, Refusal> servers(std::string_view pool) const = 0;
  // represent() of admin/bodies.hpp and what else is known of it. The number "revision" becomes its ETag.
  [[nodiscard]] virtual std::expected<Json, Refusal> server(std::string_view pool, std::string_view id) const = 0;

  // By an operator. `deadline`: for the exchanges under way, instead of the pool's drain.
  virtual std::expected<Applied, Refusal> put_server(std::string_view pool, ServerOptions server, const Precondition& precondition) = 0;
  virtual std::expected<Applied, Refusal> change_server(std::string_view pool, std::string_view id, const ServerChange& change,
                                                        const Precondition& precondition) = 0;
  virtual std::expected<Departure, Refusal> remove_server(std::string_view pool, std::string_view id, const Precondition& precondition,
                                                          std::optional<Duration> deadline) = 0;
  virtual std::expected<Departure, Refusal> drain_server(std::string_view pool, std::string_view id, std::optional<Duration> deadline) = 0;
  virtual std::expected<Applied, Refusal> undrain_server(std::string_view pool, std::string_view id) = 0;

  // By a server itself, or an operator in its place: `owner` is owner_name() of admin/access.hpp.
  virtual std::expected<Applied, Refusal> announce(std::string_view pool, ServerOptions server, std::optional<Duration> lease,
                                                   std::string_view owner, std::optional<std::uint32_t> load) = 0;
  virtual std::expected<Applied, Refusal> renew(std::string_view pool, std::string_view id, std::string_view owner,
                                                std::optional<std::uint32_t> load) = 0;
  // What a server with a lease says of what it was sent by redirects.
  virtual void report(std::string_view pool, std::string_view id, const LoadReport& report) = 0;
  virtual std::expected<Departure, Refusal> leave(std::string_view pool, std::string_view id, std::string_view owner) = 0;

  // Begins to put the binary that is there now in the place of this process; status() tells of it. The sentence says why not.
  virtual std::expected<void, std::string> upgrade() = 0;

  // Both give the plan: what the configuration changes. reload() has begun to do so, check() only looks. check() takes the text of a
  // configuration, or what is in the file now.
  virtual std::expected<Json, Problems> reload() = 0;
  [[nodiscard]] virtual std::expected<Json, Problems> check(std::optional<std::string_view> text) const = 0;
};

}  // namespace steelyard::admin
