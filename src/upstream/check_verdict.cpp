#include "upstream/check_verdict.hpp"

#include <fmt/format.h>

#include <string_view>

namespace steelyard {
namespace {

std::string_view missed(CheckPhase phase) {
  switch (phase) {
    case CheckPhase::connecting: return "no connection";
    case CheckPhase::sending: return "request not taken";
    case CheckPhase::waiting: return "no answer";
    case CheckPhase::receiving_head: return "head of the answer not complete";
    case CheckPhase::receiving_body: return "body of the answer not complete";
  }
  return {};
}

std::string_view moment(CheckPhase phase) {
  switch (phase) {
    case CheckPhase::connecting: return "";
    case CheckPhase::sending: return " before the request was sent";
    case CheckPhase::waiting: return " without an answer";
    case CheckPhase::receiving_head: return " within the head of the answer";
    case CheckPhase::receiving_body: return " within the body of the answer";
  }
  return {};
}

}  // namespace

CheckVerdict failed_check(const Error& error, CheckPhase phase, Duration timeout) {
  using Kind = CheckVerdict::Kind;
  switch (error.kind) {
    case ErrorKind::resources: return {Kind::none, "this process has no descriptors, memory or ports left"};
    case ErrorKind::refused: return {Kind::unhealthy, "connection refused"};
    case ErrorKind::unreachable: return {Kind::unhealthy, "unreachable"};
    case ErrorKind::timed_out: return {Kind::unhealthy, fmt::format("{} within {} ms", missed(phase), timeout / 1ms)};
    case ErrorKind::reset: return {Kind::unhealthy, fmt::format("connection reset{}", moment(phase))};
    case ErrorKind::closed: return {Kind::unhealthy, fmt::format("connection closed{}", moment(phase))};
    default: return {Kind::unhealthy, fmt::format("network error {}", error.os_code)};
  }
}

}  // namespace steelyard
