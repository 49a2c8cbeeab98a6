// What the backend answers to which path. Pages are made at once from the request; the others take their time, or the request's body,
// or the connection. One for each backend, on its loop's thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "backend/answers.hpp"
#include "backend/range.hpp"
#include "net/address.hpp"
#include "observe/metrics.hpp"
#include "session/exchange.hpp"

namespace steelyard::backend {

struct RouteFacts {
  std::string name;
  SocketAddress address;
  Duration stream_interval = 1s;
};

class Routes final : public ExchangeHandler {
 public:
  Routes(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, RouteFacts facts);

  Task<void> serve(Exchange& exchange) override;
  [[nodiscard]] const TimeoutOptions& timeouts() const { return answers_.timeouts(); }
  // Exchanges under way.
  [[nodiscard]] std::uint32_t active() const { return active_; }

 private:
  enum class Match : std::uint8_t { exact, below };  // below: what follows is the argument
  using Page = Answer (Routes::*)(Exchange& exchange, std::string_view argument);
  using Work = Task<void> (Routes::*)(Exchange& exchange, std::string_view argument);
  struct Route {
    std::string_view path;
    Match match;
    Page page;
    Work work;              // where there is no page
    std::string_view help;  // empty for another spelling of the route before
  };
  static const std::span<const Route> table;
  static const Route* find(std::string_view path);
  Task<void> answer(Exchange& exchange);

  // Pages (routes.cpp).
  Answer welcome(Exchange& exchange, std::string_view argument);
  Answer info(Exchange& exchange, std::string_view argument);
  Answer health(Exchange& exchange, std::string_view argument);
  Answer toggle_health(Exchange& exchange, std::string_view argument);
  Answer count_divisors(Exchange& exchange, std::string_view argument);
  Answer list_routes(Exchange& exchange);

  // Work (work.cpp, echo_socket.cpp).
  Task<void> send_bytes(Exchange& exchange, std::string_view argument);
  Task<void> send_part(Exchange& exchange, Range part, std::uint64_t size);
  Task<void> send_pattern(Exchange& exchange, std::uint64_t position, std::uint64_t end);
  Task<void> delay(Exchange& exchange, std::string_view argument);
  Task<void> status(Exchange& exchange, std::string_view argument);
  Task<void> stream_events(Exchange& exchange, std::string_view argument);
  Task<void> echo(Exchange& exchange, std::string_view argument);
  Task<void> upload(Exchange& exchange, std::string_view argument);
  Task<void> echo_socket(Exchange& exchange, std::string_view argument);

  [[nodiscard]] std::string describe(Exchange& exchange, std::string_view body);
  [[nodiscard]] double uptime_seconds() const;

  WorkerMetrics& metrics_;
  Answers answers_;
  RouteFacts facts_;
  std::string name_json_;
  Instant start_;
  bool healthy_ = true;
  std::uint32_t active_ = 0;
  std::unique_ptr<char[]> pattern_;  // what bodies are made of, with room before it for a head
};

}  // namespace steelyard::backend
