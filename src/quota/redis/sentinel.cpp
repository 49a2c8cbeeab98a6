#include "quota/redis/sentinel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "wire/resp/command.hpp"

namespace steelyard::quota {
namespace {

// Sentinel announces names where it is told to (resolve-hostnames, announce-hostnames); those are not looked up here.
Link::Outcome<SocketAddress> read_address(const resp::Reply& reply, const std::string& master) {
  if (reply.kind == resp::Reply::Kind::nil) return std::unexpected(fmt::format("knows no master '{}'", master));
  if (reply.kind != resp::Reply::Kind::array || reply.items.size() != 2)
    return std::unexpected("answered what is no address: is it a Sentinel?");
  const auto ip = IpAddress::parse(reply.items[0].text);
  const auto port = parse_unsigned<std::uint16_t>(reply.items[1].text);
  if (!ip) return std::unexpected(fmt::format("says '{}', which is no IP address: it must not announce hostnames", reply.items[0].text));
  if (!port || *port == 0) return std::unexpected(fmt::format("says port '{}'", reply.items[1].text));
  return SocketAddress{*ip, *port};
}

}  // namespace

Task<Link::Outcome<SocketAddress>> SentinelLocator::locate() {
  const auto& sentinels = setting_.options.addresses;
  Fiber& fiber = co_await this_fiber();
  const Instant deadline = fiber.deadline();
  std::string problem;
  for (std::size_t i = 0; i < sentinels.size() && fiber.cause() == Cause::none; ++i) {
    const std::size_t index = (first_ + i) % sentinels.size();
    // One that hangs must leave time for the others.
    const Instant now = fiber.scheduler().now();
    const auto left = static_cast<std::int64_t>(sentinels.size() - i);
    fiber.set_deadline(now + std::max(deadline - now, Duration{0}) / (left + 1));
    auto found = co_await ask(sentinels[index]);
    fiber.set_deadline(deadline);
    if (found) {
      first_ = index;
      co_return found;
    }
    problem = fmt::format("Sentinel {} {}", sentinels[index].to_string(), found.error());
  }
  co_return std::unexpected(problem);
}

Task<Link::Outcome<SocketAddress>> SentinelLocator::ask(const SocketAddress& sentinel) {
  const RedisOptions& options = setting_.options;
  Link link(setting_);
  const auto opened = co_await link.open(sentinel, options.sentinel_login);
  if (!opened) co_return std::unexpected(fmt::format("cannot be asked: {}", opened.error()));
  const auto reply = co_await link.ask(resp::command({"SENTINEL", "get-master-addr-by-name", options.master_name}));
  if (!reply) co_return std::unexpected(fmt::format("cannot be asked: {}", reply.error()));
  co_return read_address(*reply, options.master_name);
}

std::string SentinelLocator::name() const { return fmt::format("redis master {}", setting_.options.master_name); }

}  // namespace steelyard::quota
