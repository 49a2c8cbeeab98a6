#include "upstream/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/ascii.hpp"
#include "upstream/check_answer.hpp"

namespace steelyard {
namespace {

// Of the timer that ends a check. Beyond that it was this process that did not run (a machine that was paused, or has too much to do),
// and the answer may have come in time; to believe such timeouts would take out all servers at once.
constexpr Duration lateness_max = 100ms;

// A request without content says so where its method gives content a meaning (RFC 9110 §8.6).
bool announces_no_content(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

std::string build_request(const HealthOptions& options, std::string_view authority) {
  if (options.kind == CheckKind::tcp) return {};
  std::string request = fmt::format("{} {} HTTP/1.1\r\n", options.method, options.path);
  const auto add = [&](std::string_view name, std::string_view value) { request += fmt::format("{}: {}\r\n", name, value); };
  const auto add_default = [&](std::string_view name, std::string_view value) {
    const auto has_name = [name](const auto& header) { return equals_ignoring_case(header.first, name); };
    if (std::ranges::none_of(options.headers, has_name)) add(name, value);
  };
  add_default("Host", options.host.empty() ? authority : options.host);
  add_default("User-Agent", "steelyard-health");
  add_default("Connection", "close");
  if (announces_no_content(options.method)) add_default("Content-Length", "0");
  for (const auto& [name, value] : options.headers) add(name, value);
  return request + "\r\n";
}

}  // namespace

ServerCheck::ServerCheck(const HealthOptions& options, const Server& server)
    : options_(options), address_(server.address), request_(build_request(options, server.authority)) {}

Task<CheckVerdict> ServerCheck::run(Connector& connector) const {
  Fiber& fiber = co_await this_fiber();
  const Instant deadline = fiber.scheduler().now() + options_.timeout;
  fiber.set_deadline(deadline);
  const auto failed = [&](const Error& error, CheckPhase phase) {
    const Duration late = fiber.scheduler().now() - deadline;
    if (error.kind != ErrorKind::timed_out || late <= lateness_max) return failed_check(error, phase, options_.timeout);
    return CheckVerdict{CheckVerdict::Kind::none, fmt::format("this process was held up for {} ms", late / 1ms)};
  };
  auto stream = connector.connect(address_);
  if (!stream) co_return failed(stream.error(), CheckPhase::connecting);
  const WaitResult opened = co_await (*stream)->writable();
  const auto connected = opened == WaitResult::done ? (*stream)->connect_result() : fail(error_of(opened));
  if (!connected) co_return failed(connected.error(), CheckPhase::connecting);
  if (options_.kind == CheckKind::tcp) co_return CheckVerdict{CheckVerdict::Kind::healthy, "connection accepted"};
  const auto sent = co_await send(**stream);
  if (!sent) co_return failed(sent.error(), CheckPhase::sending);
  CheckAnswer answer(options_, **stream);
  for (;;) {
    auto verdict = answer.read();
    if (verdict) co_return std::move(*verdict);
    const WaitResult arrived = co_await (*stream)->readable();
    if (arrived != WaitResult::done) co_return failed({error_of(arrived)}, answer.phase());
  }
}

Task<Result<void>> ServerCheck::send(Stream& stream) const {
  std::string_view left = request_;
  while (!left.empty()) {
    const auto sent = stream.write(left);
    if (!sent && sent.error().kind != ErrorKind::would_block) co_return std::unexpected(sent.error());
    left.remove_prefix(sent.value_or(0));
    if (left.empty()) break;
    const WaitResult room = co_await stream.writable();
    if (room != WaitResult::done) co_return fail(error_of(room));
  }
  co_return Result<void>{};
}

}  // namespace steelyard
