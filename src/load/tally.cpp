#include "load/tally.hpp"

#include <algorithm>
#include <numeric>

namespace steelyard::load {

std::string_view name(Failure failure) {
  switch (failure) {
    case Failure::none: return "none";
    case Failure::refused: return "refused";
    case Failure::unreachable: return "unreachable";
    case Failure::reset: return "reset";
    case Failure::timeout: return "timeout";
    case Failure::closed: return "closed";
    case Failure::malformed: return "malformed";
    case Failure::local: return "local";
    case Failure::abandoned: return "abandoned";
  }
  return "";
}

std::uint32_t ServerNames::number_of(std::string_view name) {
  name = name.substr(0, name_bytes_max);
  const auto known = numbers_.find(name);
  if (known != numbers_.end()) return known->second;
  if (names_.size() >= names_max) {
    if (names_.size() == names_max) names_.emplace_back("others");
    return names_max;
  }
  const auto number = static_cast<std::uint32_t>(names_.size());
  names_.emplace_back(name);
  numbers_.emplace(name, number);
  return number;
}

void Tally::count(const Outcome& outcome, Duration latency_of_answer, Instant end) {
  last_end = std::max(last_end, end);
  body_bytes += outcome.body_bytes;
  if (outcome.failure != Failure::none) {
    ++failures[static_cast<std::size_t>(outcome.failure)];
    return;
  }
  latency.record(latency_of_answer);
  ++statuses[static_cast<std::size_t>(outcome.status)];
  if (by_number_.size() <= outcome.server) by_number_.resize(outcome.server + 1);
  ++by_number_[outcome.server];
}

void Tally::name_servers(const ServerNames& names) {
  for (std::uint32_t number = 0; number < by_number_.size(); ++number) {
    if (by_number_[number] != 0) servers[names.name(number)] += by_number_[number];
  }
  by_number_.clear();
}

void Tally::merge(const Tally& other) {
  latency.merge(other.latency);
  lateness.merge(other.lateness);
  std::ranges::transform(statuses, other.statuses, statuses.begin(), std::plus{});
  std::ranges::transform(failures, other.failures, failures.begin(), std::plus{});
  for (const auto& [server, answers] : other.servers) servers[server] += answers;
  body_bytes += other.body_bytes;
  queued += other.queued;
  abandoned += other.abandoned;
  connections_opened += other.connections_opened;
  last_end = std::max(last_end, other.last_end);
}

std::uint64_t Tally::failed() const { return std::accumulate(failures.begin(), failures.end(), std::uint64_t{0}); }

std::uint64_t Tally::succeeded() const { return std::accumulate(statuses.begin(), statuses.begin() + 400, std::uint64_t{0}); }

}  // namespace steelyard::load
