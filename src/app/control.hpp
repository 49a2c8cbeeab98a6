// What the admin API shows and changes of a running service. On the control thread, owned by the service.
#pragma once

#include <functional>

#include "admin/control.hpp"
#include "app/directory.hpp"
#include "config/plan.hpp"
#include "upstream/pool_set.hpp"

namespace steelyard {

class Service;

class Control final : public admin::Control {
 public:
  using Json = admin::Json;

  Control(Service& service, Directory& directory, PoolSet& pools) : service_(service), directory_(directory), pools_(pools) {}

  [[nodiscard]] Json status() const override;
  [[nodiscard]] Json pools() const override;
  [[nodiscard]] Json listeners() const override;
  [[nodiscard]] Json routes() const override;
  [[nodiscard]] Json exchanges() const override;
  [[nodiscard]] Json limits() const override;
  [[nodiscard]] std::string configuration() const override;
  [[nodiscard]] std::expected<Json, Refusal> pool(std::string_view pool) const override;
  [[nodiscard]] std::expected<Json, Refusal> servers(std::string_view pool) const override;
  [[nodiscard]] std::expected<Json, Refusal> server(std::string_view pool, std::string_view id) const override;

  std::expected<Applied, Refusal> put_server(std::string_view pool, ServerOptions server, const Precondition& precondition) override;
  std::expected<Applied, Refusal> change_server(std::string_view pool, std::string_view id, const ServerChange& change,
                                                const Precondition& precondition) override;
  std::expected<admin::Departure, Refusal> remove_server(std::string_view pool, std::string_view id, const Precondition& precondition,
                                                         std::optional<Duration> deadline) override;
  std::expected<admin::Departure, Refusal> drain_server(std::string_view pool, std::string_view id,
                                                        std::optional<Duration> deadline) override;
  std::expected<Applied, Refusal> undrain_server(std::string_view pool, std::string_view id) override;

  std::expected<Applied, Refusal> announce(std::string_view pool, ServerOptions server, std::optional<Duration> lease,
                                           std::string_view owner, std::optional<std::uint32_t> load) override;
  std::expected<Applied, Refusal> renew(std::string_view pool, std::string_view id, std::string_view owner,
                                        std::optional<std::uint32_t> load) override;
  void report(std::string_view pool, std::string_view id, const LoadReport& report) override;
  std::expected<admin::Departure, Refusal> leave(std::string_view pool, std::string_view id, std::string_view owner) override;

  std::expected<void, std::string> upgrade() override;
  std::expected<Json, admin::Problems> reload() override;
  [[nodiscard]] std::expected<Json, admin::Problems> check(std::optional<std::string_view> text) const override;

 private:
  [[nodiscard]] Json describe(std::string_view pool, const WantedServer& wanted) const;
  std::expected<Applied, Refusal> settle(std::string_view pool, std::string_view id, std::expected<Applied, Refusal> applied,
                                         Directory::When when);
  admin::Departure depart(std::string_view pool, std::string_view id, const Applied& applied, std::optional<Duration> deadline);
  [[nodiscard]] Moment moment() const;

  Service& service_;
  Directory& directory_;
  PoolSet& pools_;
};

}  // namespace steelyard
