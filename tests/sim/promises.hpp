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
  // Whether the pool went without a policy, or by one that `server` met, at some time since `from`. What a request demands that says
  // nothing is found out once: it may have been served by who promised later what was the default when it came.
  [[nodiscard]] bool allowed_since(Instant from, std::size_t server, const Demands& demands) const {
    const std::size_t first = age_at(from);
    for (std::size_t read = first; read < ages_.size(); ++read) {
      for (std::size_t served = read; served < ages_.size(); ++served) {
        if (ages_[served].label == ages_[read].label && allows(ages_[served], server, demands, ages_[read].value_if_absent)) return true;
      }
    }
    return ages_.empty();
  }
  // Whether there was somebody for it at all times since `from`.
  [[nodiscard]] bool always_met_since(Instant from, const Demands& demands) const {
    for (std::size_t i = age_at(from); i < ages_.size(); ++i) {
      if (!is_met(ages_[i], demands)) return false;
    }
    return true;
  }

 private:
  // That in which the moment is, or which it begins or ends.
  [[nodiscard]] std::size_t age_at(Instant moment) const {
    std::size_t i = ages_.size();
    while (i > 0 && !(ages_[i - 1].begins < moment)) --i;
    return i > 0 ? i - 1 : 0;
  }
  static bool allows(const Age& age, std::size_t server, const Demands& demands, const std::string& value_if_absent) {
    const OfServer& its = age.servers[server];
    if (!its.in_pool) return false;
    const std::string& said = demands[age.label];
    return !age.has_policy || std::ranges::count(its.values[age.label], said.empty() ? value_if_absent : said) != 0;
  }
  static bool is_met(const Age& age, const Demands& demands) {
    for (std::size_t i = 0; i < age.servers.size(); ++i) {
      if (allows(age, i, demands, age.value_if_absent)) return true;
    }
    return false;
  }

  std::vector<Age> ages_;
};

}  // namespace steelyard::sim
