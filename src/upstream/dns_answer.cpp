#include "upstream/dns_answer.hpp"

#include <ares.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "net/sockaddr.hpp"

namespace steelyard {
namespace {

// Values with the highest bit set count as 0 (RFC 2181 §8).
Duration ttl_of(std::uint32_t seconds) { return seconds > INT32_MAX ? Duration{0} : std::chrono::seconds(seconds); }

template <typename Record>
DnsAnswer<Record> nothing(DnsStatus status, std::string reason) {
  return {.status = status, .reason = std::move(reason)};
}

template <typename Record>
DnsAnswer<Record> nothing(int status, std::string_view kind) {
  switch (status) {
    case ARES_ENOTFOUND: return nothing<Record>(DnsStatus::none, "there is no such name");
    case ARES_ENODATA: return nothing<Record>(DnsStatus::none, fmt::format("the name has no {}", kind));
    case ARES_ETIMEOUT: return nothing<Record>(DnsStatus::failed, "no DNS server answered in time");
    // c-ares goes on to the next server after SERVFAIL and REFUSED, and at the end no longer knows why.
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED: return nothing<Record>(DnsStatus::failed, "no DNS server could be reached or gave an answer (SERVFAIL, REFUSED)");
    case ARES_EBADRESP: return nothing<Record>(DnsStatus::failed, "the DNS server's answer is malformed");
    case ARES_EBADNAME: return nothing<Record>(DnsStatus::failed, "this cannot be a name in DNS");
    case ARES_EDESTRUCTION: return nothing<Record>(DnsStatus::failed, "the system's DNS servers have changed meanwhile");
    default: return nothing<Record>(DnsStatus::failed, fmt::format("the lookup failed: {}", ares_strerror(status)));
  }
}

std::optional<IpAddress> ip_of(const ares_addrinfo_node& node) {
  sockaddr_storage storage{};
  if (node.ai_addrlen > sizeof storage) return std::nullopt;
  std::memcpy(&storage, node.ai_addr, node.ai_addrlen);
  if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return std::nullopt;
  return from_sockaddr(storage).ip;
}

// A message in network order. Reading beyond its end gives nothing, from then on.
class Reader {
 public:
  explicit Reader(std::span<const unsigned char> message) : left_(message) {}

  [[nodiscard]] bool broken() const { return broken_; }
  std::uint32_t number(std::size_t bytes) {
    std::uint32_t value = 0;
    for (const unsigned char byte : take(bytes)) value = value << 8U | byte;
    return value;
  }
  void skip(std::size_t bytes) { take(bytes); }
  // Labels, ended by an empty one or by a pointer (RFC 1035 §4.1.4).
  void skip_name() {
    while (!broken_) {
      const std::uint32_t length = number(1);
      if (length >= 0xc0) skip(1);
      if (length == 0 || length >= 0xc0) return;
      skip(length);
    }
  }

 private:
  std::span<const unsigned char> take(std::size_t bytes) {
    broken_ = broken_ || bytes > left_.size();
    if (broken_) return {};
    const auto taken = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return taken;
  }

  std::span<const unsigned char> left_;
  bool broken_ = false;
};

}  // namespace

DnsAnswer<IpAddress> read_addresses(int status, const ares_addrinfo* found, std::string_view kind) {
  if (status != ARES_SUCCESS || found == nullptr) return nothing<IpAddress>(status, kind);
  DnsAnswer<IpAddress> answer{.status = DnsStatus::found};
  for (const auto* node = found->nodes; node != nullptr; node = node->ai_next) {
    const auto ip = ip_of(*node);
    if (ip) answer.records.push_back(*ip);
    answer.ttl = std::min(answer.ttl, ttl_of(static_cast<std::uint32_t>(node->ai_ttl)));
  }
  for (const auto* alias = found->cnames; alias != nullptr; alias = alias->next) {
    answer.ttl = std::min(answer.ttl, ttl_of(static_cast<std::uint32_t>(alias->ttl)));
  }
  if (answer.records.empty()) return nothing<IpAddress>(ARES_ENODATA, kind);
  return answer;
}

DnsAnswer<ServiceTarget> read_services(int status, std::span<const unsigned char> message) {
  ares_srv_reply* list = nullptr;
  if (status == ARES_SUCCESS) status = ares_parse_srv_reply(message.data(), static_cast<int>(message.size()), &list);
  const std::unique_ptr<ares_srv_reply, void (*)(void*)> owner(list, &ares_free_data);
  if (status != ARES_SUCCESS) return nothing<ServiceTarget>(status, "SRV record");
  DnsAnswer<ServiceTarget> answer{.status = DnsStatus::found, .ttl = shortest_ttl(message).value_or(Duration{0})};
  for (const auto* record = list; record != nullptr; record = record->next) {
    std::string host = record->host;
    if (host.ends_with('.')) host.pop_back();
    // The root as target: the service is decidedly not there (RFC 2782). Nobody listens on port 0.
    if (!host.empty() && record->port != 0) answer.records.push_back({std::move(host), record->port, record->priority, record->weight});
  }
  if (answer.records.empty()) return nothing<ServiceTarget>(DnsStatus::none, "the name's SRV records name no target");
  return answer;
}

std::optional<Duration> shortest_ttl(std::span<const unsigned char> message) {
  Reader reader(message);
  reader.skip(4);
  const std::uint32_t questions = reader.number(2);
  const std::uint32_t answers = reader.number(2);
  reader.skip(4);
  for (std::uint32_t i = 0; i < questions && !reader.broken(); ++i) {
    reader.skip_name();
    reader.skip(4);
  }
  std::optional<Duration> shortest;
  for (std::uint32_t i = 0; i < answers && !reader.broken(); ++i) {
    reader.skip_name();
    reader.skip(4);
    const Duration ttl = ttl_of(reader.number(4));
    reader.skip(reader.number(2));
    shortest = std::min(shortest.value_or(ttl), ttl);
  }
  if (reader.broken()) return std::nullopt;
  return shortest;
}

}  // namespace steelyard
