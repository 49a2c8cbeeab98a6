#include "backend/routes.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "backend/pattern.hpp"
#include "base/ascii.hpp"

namespace steelyard::backend {
namespace {

constexpr std::uint64_t divisors_of_max = 1'000'000'000'000;

std::string to_text(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

Routes::Routes(Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, RouteFacts facts)
    : metrics_(metrics),
      answers_(scheduler, scratch, TimeoutOptions{}, facts.name),
      facts_(std::move(facts)),
      name_json_(nlohmann::json(facts_.name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)),
      start_(scheduler.now()),
      pattern_(make_pattern()) {}

Task<void> Routes::serve(Exchange& exchange) {
  metrics_.requests.add();
  ++active_;
  co_await answer(exchange);
  --active_;
}

Task<void> Routes::answer(Exchange& exchange) {
  if (exchange.refusal) {
    const Answer answer = problem(exchange.refusal->status, exchange.refusal->reason);
    co_await answers_.send(exchange, answer);
    co_return;
  }
  const Route* const route = find(exchange.path);
  if (route != nullptr && route->work != nullptr) {
    co_await (this->*route->work)(exchange, exchange.path.substr(route->path.size()));
    co_return;
  }
  const bool read = co_await answers_.discard_body(exchange);
  if (!read) co_return;
  const Answer answer = route == nullptr ? list_routes(exchange) : (this->*route->page)(exchange, exchange.path.substr(route->path.size()));
  co_await answers_.send(exchange, answer);
}

const std::span<const Routes::Route> Routes::table = [] {
  static constexpr Route routes[] = {
      {"/", Match::exact, &Routes::welcome, nullptr, "who answers"},
      {"/info", Match::exact, &Routes::info, nullptr, "the same in short: name, port, uptime, requests"},
      {"/health", Match::exact, &Routes::health, nullptr, "200, or 503 after /fail"},
      {"/fail", Match::exact, &Routes::toggle_health, nullptr, "turns /health over and answers as it does then"},
      {"/bytes/", Match::below, nullptr, &Routes::send_bytes, "/bytes/N: N bytes, or a range of them; also 64k, 1m, 2g, up to 1t"},
      {"/echo", Match::exact, nullptr, &Routes::echo, "the request as JSON; also /echo/anything; a body up to 1 MiB"},
      {"/echo/", Match::below, nullptr, &Routes::echo, ""},
      {"/delay/", Match::below, nullptr, &Routes::delay, "/delay/MS: answers after so many milliseconds, up to an hour"},
      {"/cpu/", Match::below, &Routes::count_divisors, nullptr, "/cpu/N: counts the divisors of N, up to 10^12"},
      {"/stream", Match::exact, nullptr, &Routes::stream_events, "an event each second, for an hour"},
      {"/stream/", Match::below, nullptr, &Routes::stream_events, "/stream/N: N events, one each second"},
      {"/status/", Match::below, nullptr, &Routes::status, "/status/N: an answer with that status; 1xx comes before a 200"},
      {"/upload", Match::exact, nullptr, &Routes::upload, "counts and hashes a body of any size"},
      {"/ws", Match::exact, nullptr, &Routes::echo_socket, "a WebSocket that echoes"},
  };
  return std::span<const Route>(routes);
}();

const Routes::Route* Routes::find(std::string_view path) {
  for (const Route& route : table) {
    if (route.match == Match::exact ? path == route.path : path.starts_with(route.path)) return &route;
  }
  return nullptr;
}

Answer Routes::welcome(Exchange& /*exchange*/, std::string_view /*argument*/) {
  constexpr std::string_view message = "Hello from a Steelyard demo server. Ask for /routes to see what else it answers.";
  return {.body = fmt::format("{{\"message\":\"{}\",\"name\":{},\"host\":\"{}\",\"port\":{},\"pid\":{},\"uptime_seconds\":{:.3f},"
                              "\"requests\":{}}}\n",
                              message, name_json_, facts_.address.ip.to_string(), facts_.address.port, getpid(), uptime_seconds(),
                              metrics_.requests.value())};
}

Answer Routes::info(Exchange& /*exchange*/, std::string_view /*argument*/) {
  return {.body = fmt::format("{{\"name\":{},\"port\":{},\"uptime_seconds\":{:.3f},\"requests\":{}}}\n", name_json_, facts_.address.port,
                              uptime_seconds(), metrics_.requests.value())};
}

Answer Routes::health(Exchange& /*exchange*/, std::string_view /*argument*/) {
  if (healthy_) return {.body = "{\"status\":\"healthy\"}\n"};
  return {.status = 503, .body = "{\"status\":\"unhealthy\"}\n"};
}

Answer Routes::toggle_health(Exchange& exchange, std::string_view argument) {
  healthy_ = !healthy_;
  return health(exchange, argument);
}

Answer Routes::count_divisors(Exchange& /*exchange*/, std::string_view argument) {
  const auto number = parse_unsigned<std::uint64_t>(argument);
  if (!number || *number == 0 || *number > divisors_of_max) return problem(400, "/cpu/N takes a number from 1 to 1000000000000");
  std::uint64_t divisors = 0;
  for (std::uint64_t small = 1; small * small <= *number; ++small) {
    if (*number % small == 0) divisors += small * small == *number ? 1 : 2;
  }
  return {.body = fmt::format("{{\"n\":{},\"divisors\":{}}}\n", *number, divisors)};
}

Answer Routes::list_routes(Exchange& exchange) {
  nlohmann::ordered_json json;
  if (exchange.path != "/routes") json["error"] = "there is nothing at " + std::string(exchange.path);
  nlohmann::ordered_json& routes = json["routes"];
  for (const Route& route : table) {
    if (!route.help.empty()) routes[std::string(route.path)] = route.help;
  }
  return {.status = exchange.path == "/routes" ? 200 : 404, .body = to_text(json)};
}

double Routes::uptime_seconds() const { return std::chrono::duration<double>(answers_.now() - start_).count(); }

}  // namespace steelyard::backend
