// The admin API's side towards HTTP: an exchange in, an answer out. It decides nothing itself: who may is access.hpp, what there is
// endpoints.hpp, what is done Control. One for the process, on the control thread, behind a Frontend of its own; so a slow or hostile
// client costs the workers nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "admin/access.hpp"
#include "admin/answer.hpp"
#include "admin/control.hpp"
#include "admin/endpoints.hpp"
#include "admin/event_log.hpp"
#include "observe/metrics.hpp"
#include "session/exchange.hpp"
#include "session/frontend.hpp"
#include "session/scratch.hpp"
#include "wire/http/date.hpp"

namespace steelyard::admin {

inline constexpr ConnectionOptions connection_options{.connections_max = 256};
inline constexpr std::size_t body_bytes_max = 1024 * 1024;
inline constexpr std::uint32_t streams_max = 64;
inline constexpr Duration heartbeat = 15s;

// The limits and timeouts of the frontend that serves it; those of the configuration are for clients of the proxy.
void configure(Frontend& frontend);

class Api final : public ExchangeHandler {
 public:
  Api(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, Control& control, EventLog& events, Access access);

  // After a reload. Streams that are open stay.
  void set_access(Access access) { access_ = std::move(access); }
  [[nodiscard]] std::uint32_t streams() const { return streams_; }

  Task<void> serve(Exchange& exchange) override;

 private:
  // What of a request's head counts. The views live as long as the exchange.
  struct Request {
    Asked asked;
    Conditions conditions;
    std::optional<std::string_view> content_type;
    std::optional<std::string_view> last_event_id;
    std::string_view query;
    std::string_view repeated;  // a field that may be there once only, and is not
    bool has_body = false;
    std::uint64_t body_bytes = 0;  // where it says so
  };
  // What may be done.
  struct Admitted {
    const Endpoint* endpoint = nullptr;
    Caller caller;
    std::string pool;
    std::string id;
    std::optional<Duration> deadline;
  };

  static Request read_request(const http::RequestHead& head);
  std::expected<Admitted, Answer> admit(const Exchange& exchange, const Request& request) const;
  Answer perform(const Exchange& exchange, const Request& request, const Admitted& admitted, std::string_view body) const;
  Task<Result<void>> receive_body(Exchange& exchange, std::string& body);

  Task<void> send(Exchange& exchange, const Answer& answer);
  Task<void> flush(Exchange& exchange);
  Task<WaitResult> wait_to_send(Exchange& exchange);

  // A stream of events (event_stream.cpp).
  Task<void> stream_events(Exchange& exchange, const Request& request);
  Task<void> pass_events(Exchange& exchange, std::uint64_t last_id, Coding coding);
  void send_piece(Exchange& exchange, std::string_view text, Coding coding) const;

  [[nodiscard]] std::string_view date() { return date_.at(scheduler_.unix_us()); }

  Scheduler& scheduler_;
  Scratch& scratch_;
  WorkerMetrics& metrics_;
  Control& control_;
  EventLog& events_;
  Access access_;
  std::uint32_t streams_ = 0;
  http::DateText date_;
};

}  // namespace steelyard::admin
