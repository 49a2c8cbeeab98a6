#include "upstream/name_lookup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/ascii.hpp"
#include "upstream/hosts_file.hpp"
#include "upstream/options.hpp"

namespace steelyard {
namespace {

std::string_view without_final_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool is_localhost(std::string_view name) {
  constexpr std::string_view suffix = ".localhost";
  return equals_ignoring_case(name, suffix.substr(1)) ||
         (name.size() > suffix.size() && equals_ignoring_case(name.substr(name.size() - suffix.size()), suffix));
}

// Of what is known of a name, that which counts.
std::vector<IpAddress> choose(std::vector<IpAddress> addresses, NameFamily family) {
  if (family == NameFamily::both) return addresses;
  const bool has_v4 = std::ranges::any_of(addresses, [](const IpAddress& ip) { return !ip.is_v6(); });
  const bool v6 = family == NameFamily::ipv6 || (family == NameFamily::ipv4_else_ipv6 && !has_v4);
  std::erase_if(addresses, [v6](const IpAddress& ip) { return ip.is_v6() != v6; });
  return addresses;
}

// Nobody is reached under it alone: unspecified, which would lead to this machine itself, multicast, broadcast.
bool is_no_servers_address(const IpAddress& ip) {
  const auto& bytes = ip.bytes();
  const bool all_zero = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
  if (ip.is_v6()) return all_zero || bytes[0] == 0xff;
  return all_zero || (bytes[0] >= 224 && bytes[0] < 240) ||
         std::ranges::all_of(bytes.begin(), bytes.begin() + 4, [](std::uint8_t byte) { return byte == 255; });
}

// SRV weights go to 65535, and 0 takes a little traffic there (RFC 2782), none here.
std::uint32_t scaled_weight(std::uint32_t weight, std::uint32_t largest) {
  if (largest > weight_max) weight = weight * weight_max / largest;
  return std::max(weight, 1U);
}

}  // namespace

bool is_service_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  return name.starts_with('_') && dot != std::string_view::npos && name.substr(dot + 1).starts_with('_') &&
         name.find('.', dot + 1) != std::string_view::npos;
}

AddressLookup::AddressLookup(DnsChannel& channel, const ResolveOptions& options, std::string host, NameFamily family)
    : channel_(channel), options_(options), host_(std::move(host)), family_(family) {}

void AddressLookup::start(Done done) {
  done_ = std::move(done);
  const std::string_view name = without_final_dot(host_);
  std::vector<IpAddress> fixed;
  if (const auto address = IpAddress::parse(name)) fixed = {*address};
  if (is_localhost(name)) fixed = {*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::1")};
  const bool is_fixed = !fixed.empty();
  auto local = choose(is_fixed ? std::move(fixed) : read_hosts_entries(options_.hosts, name), family_);
  if (!local.empty()) return finish({.status = DnsStatus::found, .records = std::move(local)});
  if (is_fixed) return finish({.status = DnsStatus::none, .reason = "it is an address of the other family"});
  ask(family_ == NameFamily::ipv6 ? AddressKind::ipv6 : AddressKind::ipv4);
}

void AddressLookup::ask(AddressKind kind) {
  question_ = channel_.ask_addresses(host_, kind, [this, kind](DnsAnswer<IpAddress> answer) { take(kind, std::move(answer)); });
}

// IPv4 first, then IPv6 where that matters. One after the other, so that an answer that was merely lost never passes for "none": a
// name's servers would change their family by it.
void AddressLookup::take(AddressKind kind, DnsAnswer<IpAddress> answer) {
  if (kind == AddressKind::ipv4) {
    const bool known = answer.status != DnsStatus::failed;
    const bool ask_more = family_ == NameFamily::both ? known : family_ == NameFamily::ipv4_else_ipv6 && answer.status == DnsStatus::none;
    if (!ask_more) return finish(std::move(answer));
    ipv4_ = std::move(answer);
    return ask(AddressKind::ipv6);
  }
  if (family_ == NameFamily::ipv6 || answer.status == DnsStatus::failed) return finish(std::move(answer));
  if (answer.status == DnsStatus::none && ipv4_.status == DnsStatus::none) {
    if (answer.reason != ipv4_.reason) answer.reason = "the name has neither an IPv4 nor an IPv6 address";
    return finish(std::move(answer));
  }
  // A family without addresses adds no TTL either: its is Duration::max().
  ipv4_.status = DnsStatus::found;
  ipv4_.ttl = std::min(ipv4_.ttl, answer.ttl);
  ipv4_.records.insert(ipv4_.records.end(), answer.records.begin(), answer.records.end());
  finish(std::move(ipv4_));
}

void AddressLookup::finish(DnsAnswer<IpAddress> answer) {
  const Done done = std::move(done_);
  done(std::move(answer));
}

NameLookup::NameLookup(DnsChannel& channel, const ResolveOptions& options, const WatchedName& name)
    : channel_(channel), options_(options), name_(name), is_service_(is_service_name(name.name)) {}

void NameLookup::run(Done done) {
  done_ = std::move(done);
  outcome_ = {};
  targets_.clear();
  if (is_service_) {
    question_ = channel_.ask_services(name_.name, [this](DnsAnswer<ServiceTarget> answer) { take_services(std::move(answer)); });
    return;
  }
  // A host is a service with one target.
  targets_.push_back({.service = {.host = name_.name, .port = name_.port, .priority = 0, .weight = 1}, .lookup = nullptr, .answer = {}});
  look_up_targets();
}

void NameLookup::take_services(DnsAnswer<ServiceTarget> answer) {
  outcome_.ttl = answer.ttl;
  outcome_.problem = std::move(answer.reason);
  auto& services = answer.records;
  std::ranges::sort(services, {}, [](const ServiceTarget& target) { return std::tie(target.priority, target.host, target.port); });
  if (services.size() > options_.addresses_max) {
    services.resize(options_.addresses_max);
    outcome_.warning = fmt::format("it has more than {} targets, and only the first {} by priority and name are used",
                                   options_.addresses_max, options_.addresses_max);
  }
  for (ServiceTarget& service : services) targets_.push_back({.service = std::move(service), .lookup = nullptr, .answer = {}});
  look_up_targets();
}

// All at once: a DNS server that does not know one of them holds up none of the others.
void NameLookup::look_up_targets() {
  under_way_ = targets_.size() + 1;
  for (Target& target : targets_) {
    // A target's name is complete (RFC 2782); a host's is as it was written.
    std::string host = target.service.host + (is_service_ ? "." : "");
    target.lookup = std::make_unique<AddressLookup>(channel_, options_, std::move(host), name_.family);
    target.lookup->start([this, &target](DnsAnswer<IpAddress> answer) {
      target.answer = std::move(answer);
      target_done();
    });
  }
  target_done();
}

void NameLookup::target_done() {
  if (--under_way_ > 0) return;
  LookupOutcome outcome = make_outcome();
  const Done done = std::move(done_);
  done(std::move(outcome));
}

LookupOutcome NameLookup::make_outcome() {
  std::uint32_t weight_largest = 0;
  std::uint16_t priority_first = UINT16_MAX;
  for (const Target& target : targets_) {
    weight_largest = std::max<std::uint32_t>(weight_largest, target.service.weight);
    priority_first = std::min(priority_first, target.service.priority);
  }
  std::map<std::string, std::vector<IpAddress>> known;
  for (Target& target : targets_) {
    const ServiceTarget& service = target.service;
    if (target.answer.status == DnsStatus::failed) target.answer.records = known_[service.host];
    if (target.answer.status != DnsStatus::found && outcome_.problem.empty()) outcome_.problem = describe_failure(target);
    outcome_.ttl = std::min(outcome_.ttl, target.answer.ttl);
    known[service.host] = target.answer.records;
    for (const IpAddress& ip : target.answer.records) {
      if (is_no_servers_address(ip)) {
        outcome_.warning = fmt::format("its address {} cannot be a server's and is left out", ip.to_string());
        continue;
      }
      outcome_.servers.push_back({.address = {ip, service.port},
                                  .weight = scaled_weight(service.weight, weight_largest),
                                  .backup = service.priority != priority_first});
    }
  }
  if (!targets_.empty()) known_ = std::move(known);
  return std::move(outcome_);
}

std::string NameLookup::describe_failure(const Target& target) const {
  return is_service_ ? fmt::format("its target {}: {}", target.service.host, target.answer.reason) : target.answer.reason;
}

}  // namespace steelyard
