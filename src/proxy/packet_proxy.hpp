// The product for packets: takes a client's JSON message to a server that promises its policy and the answer back. A sibling of
// HttpProxy, which shares its pools, its choice and its record. One for each worker, owned by it.
//
// A packet is sent to one server after the other only as long as none can have acted on it, unless the listener says that servers
// recognise repetitions; and never to one that does not promise its policy.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "observe/access_channel.hpp"
#include "observe/metrics.hpp"
#include "proxy/error_response.hpp"
#include "proxy/http_proxy.hpp"
#include "proxy/limit_use.hpp"
#include "proxy/packet_registrar.hpp"
#include "proxy/site_view.hpp"
#include "session/packet_exchange.hpp"
#include "session/scratch.hpp"
#include "upstream/connections.hpp"

namespace steelyard {

class PacketProxy final : public PacketHandler {
 public:
  // `registrar` and `log` may be nullptr; without a registrar nobody can register.
  PacketProxy(SiteViews& views, Connections& connections, Connector& connector, Scratch& scratch, WorkerMetrics& metrics,
              AccessChannel* log, PacketRegistrar* registrar);

  Task<void> serve(PacketExchange& exchange) override;
  // As HttpProxy has them.
  static void cut(const PacketExchange& exchange, const Server& server);
  [[nodiscard]] static ExchangeView describe(const PacketExchange& exchange, Instant now);

 private:
  static constexpr std::size_t tries_max = 8;
  enum class Freshness : std::uint8_t { reuse, fresh };

  // A packet on its way.
  struct Trip {
    Trip(PacketExchange& of, SiteViews& views);
    Trip(const Trip&) = delete;
    Trip& operator=(const Trip&) = delete;
    ~Trip() { exchange.context = nullptr; }

    PacketExchange& exchange;
    const SiteUse in_use;  // before the place, which points into it
    const Site::PacketListener* listener = nullptr;
    PoolView* pool = nullptr;
    std::string policy_label;  // of the pool, when its server was chosen
    Instant total_deadline = never;
    std::unique_ptr<LimitUse> limits;
    Place place;
    ServerConnectionPtr connection;
    std::string request;  // the packet as it goes out
    std::size_t failed_count = 0;
    std::array<std::shared_ptr<Server>, tries_max> failed_servers{};
    std::array<std::string_view, tries_max> failures{};
    Instant try_start;
    std::uint32_t active = 0;  // exchanges under way at the server when the try began
    bool connected = false;
    bool cut = false;  // by the deadline of a server that was to go
    // For the record.
    std::uint8_t tries = 0;
    std::uint16_t status = 0;
    Outcome outcome = Outcome::complete;
    std::string failure;
    std::size_t answer_bytes = 0;
    Duration queue_time{0};
    Duration connect_time{0};
    Duration first_byte_time{0};

    [[nodiscard]] const Site& site() const { return in_use.site(); }
    [[nodiscard]] Server& server() const { return *place.server(); }
    [[nodiscard]] const PacketOptions& options() const { return listener->options; }
  };

  // The phases, in their order.
  class Counted;
  Task<bool> pass_limits(Trip& trip);
  Task<Result<void>> serve_message(Trip& trip);
  Task<Result<void>> forward(Trip& trip);
  Task<Result<void>> take_place(Trip& trip);
  Task<Result<void>> wait_for_place(Trip& trip, PickRequest request);
  bool goes_on(Trip& trip, const Error& error) const;
  Task<void> announce(Trip& trip);
  Task<void> refuse(Trip& trip, int status, std::string reason);
  void settle(Trip& trip, const Result<void>& result) const;
  void record(const Trip& trip);

  // A try at one server (packet_try.cpp).
  Task<Result<void>> try_server(Trip& trip, Freshness freshness);
  Task<Result<void>> connect(Trip& trip, Freshness freshness);
  Task<Result<void>> ask(Trip& trip, StreamWriter& to_server);
  Task<Result<void>> pass_answer(Trip& trip, std::string_view object);
  void report(const Trip& trip, const Result<void>& result) const;
  [[nodiscard]] Answer answer_for(const Error& error) const;
  [[nodiscard]] Moment moment() const { return {scheduler_.now(), scheduler_.unix_us() / 1'000'000}; }

  SiteViews& views_;
  Connections& connections_;
  Connector& connector_;
  Scheduler& scheduler_;
  Scratch& scratch_;
  WorkerMetrics& metrics_;
  AccessChannel* log_;
  PacketRegistrar* registrar_;
  std::string text_;  // of an answer being made; not kept over a wait
};

}  // namespace steelyard
