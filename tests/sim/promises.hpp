// What the simulated servers have promised, and which promise the proxy was told to go by, over the time of a run. Shares nothing with
// what the proxy makes of it: whether a request may have reached a server is decided here by the fields that reached the server.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace steelyard::sim {

// Each label, and the field in which a request says what it demands under it.
struct LabelInUse {
  std::string_view label;
  std::string_view field;
};
inline constexpr std::array labels_in_use{LabelInUse{"tier", "X-Tier"}, LabelInUse{"zone", "X-Zone"}};

// By label; "" where the request says nothing.
using Demands = std::array<std::string, labels_in_use.size()>;

class PromiseBook {
 public:
  struct OfServer {
    bool in_pool = true;
    std::array<std::vector<std::string>, labels_in_use.size()> values;  // by label
  };
  // From one reload to the next.
  struct Age {
    Instant begins;
    bool has_policy = false;
    std::size_t label = 0;
    std::string value_if_absent{};
    std::vector<OfServer> servers{};
  };

  void begin(Age age) { ages_.push_back(std::move(age)); }
  [[nodiscard]] bool empty() const { return ages_.empty(); }
  [[nodiscard]] const Age& now() const { return ages_.back(); }
  // Whether the pool went without a policy, or by one that `server` met, at some time since `from`.
  [[nodiscard]] bool allowed_since(Instant from, std::size_t server, const Demands& demands) const {
    for (std::size_t i = ages_.size(); i-- > 0;) {
      if (allows(ages_[i], server, demands)) return true;
      if (ages_[i].begins < from) return false;
    }
    return ages_.empty();
  }
  // Whether there was somebody for it at all times since `from`.
  [[nodiscard]] bool always_met_since(Instant from, const Demands& demands) const {
    for (std::size_t i = ages_.size(); i-- > 0;) {
      if (!is_met(ages_[i], demands)) return false;
      if (ages_[i].begins < from) return true;
    }
    return true;
  }

 private:
  static bool allows(const Age& age, std::size_t server, const Demands& demands) {
    const OfServer& its = age.servers[server];
    if (!its.in_pool) return false;
    const std::string& said = demands[age.label];
    return !age.has_policy || std::ranges::count(its.values[age.label], said.empty() ? age.value_if_absent : said) != 0;
  }
  static bool is_met(const Age& age, const Demands& demands) {
    for (std::size_t i = 0; i < age.servers.size(); ++i) {
      if (allows(age, i, demands)) return true;
    }
    return false;
  }

  std::vector<Age> ages_;
};

}  // namespace steelyard::sim
