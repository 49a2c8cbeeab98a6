// The types that only the tables of pools have: what a hash is made of, status codes, reasons for another try, secrets, where a policy is
// named.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/shapes.hpp"

namespace steelyard::config {

// client, path, or what and its name: `query user`.
struct HashKey {
  using Value = balance::HashKeyOptions;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const;
  std::string words() const { return "client, path, query NAME, header NAME or cookie NAME"; }
};

// Where a request says what it demands: host, or what and its name, `header:X-Policy`.
struct PolicySource {
  using Value = policy::SourceOptions;
  static constexpr std::uint32_t segment_max = 64;

  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const;
  std::string words() const { return "header:NAME, cookie:NAME, query:NAME, segment:NUMBER, host or json:MEMBER"; }
};

// One of a few status codes.
struct StatusChoice {
  using Value = std::uint16_t;
  std::vector<std::uint16_t> statuses;

  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(Value value) const { return value; }
  Json schema() const { return {{"enum", statuses}}; }
  std::string words() const;
};

// A status code, or a range of them: 200, 300-399.
struct Statuses {
  using Value = StatusRange;
  std::uint16_t min;

  void read(const Node& node, StatusRange& value, Reading& reading) const;
  Json write(const StatusRange& value) const;
  Json schema() const;
  std::string words() const { return fmt::format("a status code from {} to 599 or a range such as 500-504", min); }
};
List<Statuses> status_list(std::uint16_t min);

// What a request may be tried again after, as a list of words.
struct RetryCauses {
  using Value = RetryOptions;
  void read(const Node& node, RetryOptions& value, Reading& reading) const;
  Json write(const RetryOptions& value) const;
  Json schema() const;
  std::string words() const;
};

// A text that no message shows.
struct Secret {
  using Value = std::string;
  static constexpr std::size_t length_min = 16;
  static constexpr std::size_t length_max = 1024;

  void read(const Node& node, std::string& value, Reading& reading) const;
  Json write(const std::string& value) const { return value.empty() ? Json(nullptr) : Json(value); }
  Json schema() const { return {{"type", "string"}, {"minLength", length_min}, {"maxLength", length_max}}; }
  std::string words() const { return fmt::format("a random text of {} to {} bytes", length_min, length_max); }
};

// The ports that registered servers may have: 8001, or a range.
struct PortRange {
  using Value = RegistrationOptions;
  void read(const Node& node, RegistrationOptions& value, Reading& reading) const;
  Json write(const RegistrationOptions& value) const;
  Json schema() const;
  std::string words() const { return "a port from 1 to 65535 or a range such as 8000-8999"; }
};

// The fields of a health check's request.
struct CheckFields {
  using Value = std::vector<std::pair<std::string, std::string>>;
  HeaderFields inner{EditedSide::health_check, Single::refused};

  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const { return inner.schema(); }
  std::string words() const { return inner.words(); }
};

}  // namespace steelyard::config
