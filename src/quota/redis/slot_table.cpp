#include "quota/redis/slot_table.hpp"

#include <fmt/format.h>

#include "quota/redis/slot.hpp"

namespace steelyard::quota {
namespace {

using resp::Reply;

constexpr const char* malformed = "its table of slots is malformed";

std::expected<SocketAddress, std::string> read_node(const Reply& node, const SocketAddress& asked) {
  if (node.kind != Reply::Kind::array || node.items.size() < 2) return std::unexpected(malformed);
  const std::string& host = node.items[0].text;
  const std::int64_t port = node.items[1].integer;
  if (port < 1 || port > UINT16_MAX) return std::unexpected(malformed);
  const auto ip = host.empty() ? std::optional(asked.ip) : IpAddress::parse(host);
  if (!ip)
    return std::unexpected(fmt::format("its table of slots names '{}', which is no IP address: it must not announce hostnames", host));
  return SocketAddress{*ip, static_cast<std::uint16_t>(port)};
}

bool is_slot(const Reply& reply) { return reply.kind == Reply::Kind::integer && reply.integer >= 0 && reply.integer < slot_count; }

}  // namespace

std::expected<std::vector<SlotRange>, std::string> read_slot_table(const Reply& reply, const SocketAddress& asked) {
  if (reply.kind != Reply::Kind::array) return std::unexpected(malformed);
  if (reply.items.empty()) return std::unexpected("it has no slots yet");
  std::vector<SlotRange> ranges;
  for (const Reply& row : reply.items) {
    if (row.items.size() < 3 || !is_slot(row.items[0]) || !is_slot(row.items[1])) return std::unexpected(malformed);
    const auto master = read_node(row.items[2], asked);
    if (!master) return std::unexpected(master.error());
    ranges.push_back({static_cast<std::uint16_t>(row.items[0].integer), static_cast<std::uint16_t>(row.items[1].integer), *master});
    if (ranges.back().first > ranges.back().last) return std::unexpected(malformed);
  }
  return ranges;
}

}  // namespace steelyard::quota
