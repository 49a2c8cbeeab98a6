#include "upstream/hosts_file.hpp"

#include <cstdio>
#include <memory>
#include <optional>

#include "base/ascii.hpp"

namespace steelyard {
namespace {

constexpr std::size_t read_max = std::size_t{1} << 20U;

// Takes the next word off `line`; "" at its end.
std::string_view next_word(std::string_view& line) {
  line = trim(line);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::vector<IpAddress> hosts_entries(std::string_view text, std::string_view name) {
  std::vector<IpAddress> addresses;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_first_of("#\r"));
    const std::optional<IpAddress> address = IpAddress::parse(next_word(line));
    if (!address) continue;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
      if (!equals_ignoring_case(word, name)) continue;
      addresses.push_back(*address);
      break;
    }
  }
  return addresses;
}

std::vector<IpAddress> read_hosts_entries(const std::string& file, std::string_view name) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(std::fopen(file.c_str(), "re"), &std::fclose);
  if (!opened) return {};
  std::string text(read_max, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), opened.get()));
  return hosts_entries(text, name);
}

}  // namespace steelyard
