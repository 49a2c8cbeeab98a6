// The tables of limits on requests, which tables.hpp joins to the rest of the full spelling.
#pragma once

#include <string>

#include "config/section.hpp"
#include "config/shapes.hpp"
#include "quota/options.hpp"

namespace steelyard::config {

// What requests are counted by: client_ip, path, or what and its name, `header:X-Api-Key`.
struct KeyPartText {
  using Value = quota::KeyPart;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const;
  std::string words() const { return "client_ip, path, method, host, policy, header:NAME, cookie:NAME or query:NAME"; }
};

// So many in such a time: 100/1m; of bytes 10MiB/1s.
struct RateText {
  using Value = limit::Rule;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const { return text_schema(R"(^[0-9]+(\.[0-9]+)?(KiB|MiB|GiB|kB|MB|GB)?/[0-9]*(\.[0-9]+)?(ms|s|m|h)$)"); }
  std::string words() const { return R"(a number and a time such as "100/1m"; of bandwidth a size and a time such as "10MiB/1s")"; }
};

Section<quota::LimitOptions> limit_table();

// The limits that a listener, a route or a pool names.
NonEmpty<List<Text>> limit_names();

}  // namespace steelyard::config
