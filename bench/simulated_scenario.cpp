#include "simulated_scenario.hpp"

#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/ascii.hpp"
#include "sockets.hpp"

namespace steelyard::bench {
namespace {

[[noreturn]] void reject(const std::string& word) {
  std::fprintf(stderr, "the scenario cannot be read at \"%s\"\n", word.c_str());
  std::exit(1);
}

template <typename Number>
void set(Number& field, std::string_view text, const std::string& word) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), field);
  if (error != std::errc{} || end != text.data() + text.size() || field < 0) reject(word);
}

void place(PlacedServer& server, const std::string& word) {
  const std::size_t colon = word.rfind(':');
  in_addr address{};
  if (colon == std::string::npos || inet_pton(AF_INET, word.substr(0, colon).c_str(), &address) != 1) reject(word);
  server.address = ntohl(address.s_addr);
  set(server.port, std::string_view(word).substr(colon + 1), word);
}

void describe(ServerBehaviour& behaviour, const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string key = word.substr(0, equals);
  const std::string_view value = equals == std::string::npos ? std::string_view{} : std::string_view(word).substr(equals + 1);
  if (key == "slots") return set(behaviour.slots, value, word);
  if (key == "speed") return set(behaviour.speed, value, word);
  if (key == "delay_us") return set(behaviour.delay_us, value, word);
  if (key == "stall_us") return set(behaviour.stall_us, value, word);
  if (key == "stall_period_us") return set(behaviour.stall_period_us, value, word);
  if (key == "fail_us") return set(behaviour.fail_us, value, word);
  if (key == "restart_at_us") return set(behaviour.restart_at_us, value, word);
  if (key == "restart_us") return set(behaviour.restart_us, value, word);
  if (key == "warm_factor") return set(behaviour.warm_factor, value, word);
  if (key == "warm_us") return set(behaviour.warm_us, value, word);
  reject(word);
}

}  // namespace

std::vector<PlacedServer> read_scenario(const std::string& path) {
  std::ifstream file(path);
  if (!file) give_up("read the scenario");
  std::vector<PlacedServer> servers;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word)) continue;
    PlacedServer server{};
    place(server, word);
    while (words >> word) describe(server.behaviour, word);
    const ServerBehaviour& like = server.behaviour;
    const bool never_awake = like.stall_us > 0 && like.stall_period_us <= like.stall_us;
    if (like.slots == 0 || like.speed <= 0 || never_awake) reject(line);
    servers.push_back(server);
  }
  return servers;
}

}  // namespace steelyard::bench
