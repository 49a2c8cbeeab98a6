#include "upstream/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/ascii.hpp"
#include "upstream/check_answer.hpp"

namespace steelyard {
namespace {

using Kind = CheckVerdict::Kind;

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
  fiber.set_deadline(fiber.scheduler().now() + options_.timeout);
  auto stream = connector.connect(address_);
  if (!stream) co_return failed_check(stream.error(), CheckPhase::connecting, options_.timeout);
  const WaitResult opened = co_await (*stream)->writable();
  const auto connected = opened == WaitResult::done ? (*stream)->connect_result() : fail(error_of(opened));
  if (!connected) co_return failed_check(connected.error(), CheckPhase::connecting, options_.timeout);
  if (options_.kind == CheckKind::tcp) co_return CheckVerdict{Kind::healthy, "connection accepted"};
  const auto sent = co_await send(**stream);
  if (!sent) co_return failed_check(sent.error(), CheckPhase::sending, options_.timeout);
  CheckAnswer answer(options_, **stream);
  for (;;) {
    auto verdict = answer.read();
    if (verdict) co_return std::move(*verdict);
    const WaitResult arrived = co_await (*stream)->readable();
    if (arrived != WaitResult::done) co_return failed_check({error_of(arrived)}, answer.phase(), options_.timeout);
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
