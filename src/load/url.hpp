// What `steelyard load` takes for a URL. Pure; names are resolved elsewhere.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace steelyard::load {

struct Url {
  std::string host;  // an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string authority;  // as written, for Host
  std::string target;     // path and query; "/" where there is none
};

// "http://host:port/path?query"; "host:port/path" means the same. The sentence says what is wrong and what to write.
std::expected<Url, std::string> parse_url(std::string_view text);

}  // namespace steelyard::load
