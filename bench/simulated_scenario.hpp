// The file that says which servers there are and what each is like. One line for each: `ADDRESS:PORT key=value …`, where the keys
// are the fields of ServerBehaviour and those that are left out keep its defaults. What cannot be read ends the program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulated_server.hpp"

namespace steelyard::bench {

struct PlacedServer {
  std::uint32_t address;  // in the machine's byte order
  std::uint16_t port;
  ServerBehaviour behaviour;
};

std::vector<PlacedServer> read_scenario(const std::string& path);

}  // namespace steelyard::bench
