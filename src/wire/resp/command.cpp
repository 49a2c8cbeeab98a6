#include "wire/resp/command.hpp"

#include <fmt/format.h>

#include <iterator>

namespace steelyard::resp {

void write_command(std::span<const std::string_view> words, std::string& out) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out.append(word);
    out.append("\r\n");
  }
}

}  // namespace steelyard::resp
