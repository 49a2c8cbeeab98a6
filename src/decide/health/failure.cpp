#include "decide/health/failure.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

namespace steelyard {
namespace {

constexpr std::size_t statuses = 600;

std::array<std::string, statuses> name_statuses() {
  std::array<std::string, statuses> names;
  for (std::size_t status = 0; status < statuses; ++status) names[status] = fmt::format("answered {}", status);
  return names;
}

}  // namespace

std::string_view in_words(ErrorKind kind, std::uint16_t status) {
  static const std::array<std::string, statuses> answered = name_statuses();
  switch (kind) {
    case ErrorKind::rejected: return status < statuses ? answered[status] : std::string_view("answered with an unknown status");
    case ErrorKind::refused: return "connection refused";
    case ErrorKind::unreachable: return "unreachable";
    case ErrorKind::timed_out: return "no answer in time";
    case ErrorKind::reset: return "connection reset";
    case ErrorKind::closed: return "connection closed before the answer was complete";
    case ErrorKind::malformed: return "answer is not valid HTTP";
    case ErrorKind::too_large: return "head of the answer is too large";
    case ErrorKind::resources: return "no descriptors, memory or ports left here";
    default: return "network error";
  }
}

}  // namespace steelyard
