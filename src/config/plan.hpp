// What one configuration changes of another, by name: to be read before it is done. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/options.hpp"

namespace steelyard::config {

struct Plan {
  // Something that both have and that differs.
  struct Changed {
    std::string name;
    std::vector<std::string> keys;  // "health.interval"
  };
  struct Part {
    std::vector<std::string> added;
    std::vector<std::string> removed;
    std::vector<Changed> changed;
    std::size_t unchanged = 0;
    [[nodiscard]] bool empty() const { return added.empty() && removed.empty() && changed.empty(); }
  };

  Part listeners;  // by address
  Part routes;
  Part pools;                           // what is said of the pools themselves
  std::map<std::string, Part> servers;  // of the pools that both have and whose servers differ; by pool
  std::vector<std::string> keys;        // of all other parts: "timeouts.idle"
  std::vector<std::string> at_restart;  // of these, those that take effect with the next start only
  [[nodiscard]] bool empty() const { return listeners.empty() && routes.empty() && pools.empty() && servers.empty() && keys.empty(); }
};

[[nodiscard]] Plan compare(const Options& before, const Options& after);

}  // namespace steelyard::config
