// Commands to Redis as bytes: an array of length-prefixed strings, so that what is inside an argument is never read as anything else.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace steelyard::resp {

// Appends one command; `words` are its name and arguments, any bytes.
void write_command(std::span<const std::string_view> words, std::string& out);
inline void write_command(std::initializer_list<std::string_view> words, std::string& out) {
  write_command(std::span(words.begin(), words.size()), out);
}
inline std::string command(std::initializer_list<std::string_view> words) {
  std::string out;
  write_command(words, out);
  return out;
}

}  // namespace steelyard::resp
