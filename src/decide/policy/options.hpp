// What may be set about policies: a request names a value, and only servers that promise it may have the request. Filled by config/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace steelyard::policy {

// Where a request says what it demands. Packets always say it in themselves.
struct SourceOptions {
  enum class Kind : std::uint8_t {
    none,  // only packets are to come here
    header,
    cookie,
    query,
    segment,  // of the path
    host,     // without its port, in lower case
    json,     // a member of the object that the body is
  };
  Kind kind = Kind::none;
  std::string name{};         // of the field, the cookie, the parameter or the member
  std::uint32_t segment = 0;  // counted from 1
  friend bool operator==(const SourceOptions&, const SourceOptions&) = default;
};

struct PolicyOptions {
  std::string label{};  // of servers; its value is one promise, or several with commas between them
  SourceOptions from{};
  std::string value_if_absent{};                // what a request demands that says nothing; "": it is refused
  std::uint16_t unmet_status = 421;             // where no server promises what is demanded: 421 or 503
  std::uint64_t body_bytes_max = 64ULL * 1024;  // of a body that is read to find the demand
  friend bool operator==(const PolicyOptions&, const PolicyOptions&) = default;
};

// What one request demands: that its server promises `value` under `label`. The texts live as long as the exchange.
struct Demand {
  std::string_view label;
  std::string_view value;
};

}  // namespace steelyard::policy
