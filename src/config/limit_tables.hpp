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

// So many in such a time: 100/1m; of bytes 10MiB/1s. A unit of bytes is refused by the whole limit, which knows its kind.
struct RateText {
  using Value = limit::Rule;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const { return text_schema(R"(^[0-9]+(\.[0-9]+)?(KiB|MiB|GiB|kB|MB|GB)?/[0-9]*(\.[0-9]+)?(ms|s|m|h)$)"); }
  std::string words() const { return R"(a number and a time such as "100/1m"; of bandwidth a size and a time such as "10MiB/1s")"; }
};

// A number of requests, or of bytes with a unit.
struct BurstText {
  using Value = limit::Rule;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const {
    return {{"anyOf", {{{"type", "integer"}, {"minimum", 1}}, text_schema(R"(^[0-9]+(\.[0-9]+)?(KiB|MiB|GiB|kB|MB|GB)?$)")}}};
  }
  std::string words() const { return "a whole number of at least 1; of bandwidth a size such as 10MiB"; }
};

// redis://user@host:6379/0, with several hosts between commas; rediss is Redis over TLS.
struct RedisUrl {
  using Value = quota::StoreOptions;
  static constexpr std::uint16_t port_default = 6379;
  void read(const Node& node, Value& value, Reading& reading) const;
  Json write(const Value& value) const;
  Json schema() const { return text_schema("^rediss?://"); }
  std::string words() const { return R"(a URL such as "redis://127.0.0.1:6379" or "rediss://user@redis.internal:6380/1")"; }
};

Section<quota::LimitOptions> limit_table();
Section<quota::StoreOptions> store_table();

// The limits that a listener, a route or a pool names.
NonEmpty<List<Text>> limit_names();

// Of the whole file: every limit and store that is named must be there, and be one that can count what it is to count.
void check_limits(const Node& root, const Options& options, Reading& reading);

}  // namespace steelyard::config
