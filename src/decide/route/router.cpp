#include "decide/route/router.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string>
#include <tuple>

#include "decide/route/path_tree_builder.hpp"

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

bool is_conditional(const MatchOptions& match) { return !match.methods.empty() || !match.headers.empty(); }

}  // namespace

std::optional<std::size_t> Router::match(const Query& query) const noexcept {
  if (!hosts_.empty()) {
    std::array<char, route::host_bytes_max> lower;
    const route::Authority authority = route::read_authority(query.host, query.default_port, lower);
    if (!authority.name.empty()) {
      if (const auto found = match_named(authority, query)) return found;
    }
  }
  return paths_.find(any_host_, query, conditions_);
}

std::optional<std::size_t> Router::match_named(route::Authority authority, const Query& query) const {
  if (const auto found = match_host({HostKind::exact, authority.name}, authority.port, query)) return found;
  if (wildcard_label_counts_.none()) return std::nullopt;
  std::string_view suffix = authority.name;
  // Only suffixes of a length that some route has are looked up, so that a host of a hundred labels costs no hundred hashes.
  for (std::size_t labels = label_count(suffix) - 1; labels > 0; --labels) {
    suffix.remove_prefix(suffix.find('.') + 1);
    if (!wildcard_label_counts_.test(labels)) continue;
    if (const auto found = match_host({HostKind::wildcard, suffix}, authority.port, query)) return found;
  }
  return std::nullopt;
}

std::optional<std::size_t> Router::match_host(HostKey key, std::uint16_t port, const Query& query) const {
  const std::uint64_t hash = hash_(key.name);
  if (names_ports_) {
    if (const route::NodeRef root(hosts_.find(hash, scope_of(key, port))); root.exists()) {
      if (const auto found = paths_.find(root, query, conditions_)) return found;
    }
  }
  const route::NodeRef root(hosts_.find(hash, scope_of(key, route::any_port)));
  return root.exists() ? paths_.find(root, query, conditions_) : std::nullopt;
}

// What of a host must agree beside the hash of its name. The length is there because it costs nothing.
std::uint32_t Router::scope_of(HostKey key, std::uint16_t port) {
  return port | (key.kind == HostKind::wildcard ? 1U << 16U : 0U) | static_cast<std::uint32_t>(key.name.size()) << 17U;
}

Router::Router(std::span<const MatchOptions> matches, std::uint64_t seed) : hash_(seed), paths_(hash_) {
  conditions_.reserve(matches.size());
  for (const MatchOptions& match : matches) conditions_.emplace_back(match);
  index_hosts(matches);
}

void Router::index_hosts(std::span<const MatchOptions> matches) {
  route::PathTreesBuilder trees;
  const std::size_t any_host = trees.add_tree();
  std::map<std::tuple<HostKind, std::string, std::uint16_t>, std::size_t> roots;
  for (const std::size_t index : by_conditions(matches)) {
    const route::HostPattern host = route::read_host_pattern(matches[index].host);
    std::size_t root = any_host;
    if (host.kind != HostKind::any) {
      const auto [place, is_new] = roots.try_emplace({host.kind, host.name, host.port}, 0);
      if (is_new) place->second = trees.add_tree();
      root = place->second;
    }
    trees.add(root, matches[index].path, {index, is_conditional(matches[index])});
  }
  paths_ = trees.build(hash_);
  any_host_ = trees.reference_to(any_host);
  hosts_ = route::FlatTable(roots.size());
  for (const auto& [host, root] : roots) {
    const auto& [kind, name, port] = host;
    hosts_.insert(hash_(name), scope_of({kind, name}, port), trees.reference_to(root).bits());
    names_ports_ |= port != route::any_port;
    // More labels than a request's host can have are never looked up.
    const std::size_t labels = label_count(name);
    if (kind == HostKind::wildcard && labels < wildcard_label_counts_.size()) wildcard_label_counts_.set(labels);
  }
}

}  // namespace steelyard
