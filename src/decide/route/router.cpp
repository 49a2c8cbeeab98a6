#include "decide/route/router.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace steelyard {
namespace {

// The order in which routes of the same host and path are tried.
std::vector<std::size_t> by_conditions(std::span<const MatchOptions> matches) {
  std::vector<std::size_t> order(matches.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto rank = [&](std::size_t i) { return std::tuple(~matches[i].headers.size(), matches[i].methods.empty(), i); };
  std::ranges::sort(order, {}, rank);
  return order;
}

std::size_t label_count(std::string_view name) { return static_cast<std::size_t>(std::ranges::count(name, '.')) + 1; }

}  // namespace

std::optional<std::size_t> Router::match(const Query& query) const noexcept {
  std::array<char, route::host_bytes_max> lower;
  const route::Authority authority = route::read_authority(query.host, query.default_port, lower);
  if (!authority.name.empty()) {
    if (const auto found = match_host(exact_hosts_, {authority.name, authority.port}, query)) return found;
    std::string_view suffix = authority.name;
    // Only suffixes of a length that some route has are looked up, so that a host of a hundred labels costs no hundred hashes.
    for (std::size_t labels = label_count(suffix) - 1; labels > 0; --labels) {
      suffix.remove_prefix(suffix.find('.') + 1);
      if (!wildcard_label_counts_.test(labels)) continue;
      if (const auto found = match_host(wildcard_hosts_, {suffix, authority.port}, query)) return found;
    }
  }
  return any_host_.find(query, conditions_);
}

std::optional<std::size_t> Router::match_host(const HostTable& hosts, HostKey key, const Query& query) const {
  for (const std::uint16_t port : {key.port, route::any_port}) {
    const auto host = hosts.find(HostKey{key.name, port});
    if (host == hosts.end()) continue;
    if (const auto found = host->second.find(query, conditions_)) return found;
  }
  return std::nullopt;
}

Router::Router(std::span<const MatchOptions> matches, std::uint64_t seed)
    : hash_(seed), exact_hosts_(0, HostKeyHash{hash_}), wildcard_hosts_(0, HostKeyHash{hash_}), any_host_(hash_) {
  conditions_.reserve(matches.size());
  for (const MatchOptions& match : matches) conditions_.emplace_back(match);
  for (const std::size_t index : by_conditions(matches)) {
    tree_of(route::read_host_pattern(matches[index].host)).add(matches[index].path, index);
  }
}

route::PathTree& Router::tree_of(const route::HostPattern& pattern) {
  if (pattern.kind == route::HostPattern::Kind::any) return any_host_;
  const bool exact = pattern.kind == route::HostPattern::Kind::exact;
  if (!exact) wildcard_label_counts_.set(label_count(pattern.name));
  return (exact ? exact_hosts_ : wildcard_hosts_).try_emplace(OwnedHostKey{pattern.name, pattern.port}, hash_).first->second;
}

}  // namespace steelyard
