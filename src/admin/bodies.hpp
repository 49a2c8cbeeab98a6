// What stands in the bodies of requests and how a server is shown: tables of keys, read and checked as those of the configuration are.
// Pure.
#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "admin/answer.hpp"
#include "config/section.hpp"
#include "upstream/registry.hpp"

namespace steelyard::admin {

// What a server says of what it has to do, as it was sent: of `load` alone, nobody knows what it counts.
struct ReportBody {
  std::optional<std::uint32_t> load;
  std::optional<std::uint64_t> arrived;
  std::optional<std::string> run;
};
struct ServerBody {
  ServerOptions server;           // its id comes from the path
  std::optional<Duration> lease;  // it registers, and has to renew
  ReportBody report;
};
struct DeadlineBody {
  std::optional<Duration> deadline;
};
struct RenewalBody {
  ReportBody report;
};
struct EmptyBody {};

const config::Section<ServerBody>& server_table();
const config::Section<ServerChange>& change_table();
const config::Section<DeadlineBody>& deadline_table();
const config::Section<RenewalBody>& renewal_table();
const config::Section<EmptyBody>& empty_table();

// Each answers with what is wrong, all of it.
std::expected<ServerBody, Answer> read_server(std::string_view text);
std::expected<ServerChange, Answer> read_change(std::string_view text);
// These may be empty.
std::expected<DeadlineBody, Answer> read_deadline(std::string_view text);
std::expected<RenewalBody, Answer> read_renewal(std::string_view text);
std::expected<EmptyBody, Answer> read_nothing(std::string_view text);

// What the registry's pool is told of it: nothing where arrivals are not counted, an answer where the report is not whole.
std::expected<std::optional<LoadReport>, Answer> whole_report(const ReportBody& report);

// A server with the keys that it is put with, and what is known of it besides.
[[nodiscard]] Json represent(const WantedServer& server, Instant now);

}  // namespace steelyard::admin
