// What a server promises: the values of one label. An immutable value; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decide/policy/options.hpp"

namespace steelyard::policy {

// Requests that demand the same of their servers are of one kind, which is told by a number. Different kinds may share a number, so
// that it may decide about turns, never about who serves whom. no_kind: a request that demands nothing.
using Kind = std::uint64_t;
inline constexpr Kind no_kind = 0;
[[nodiscard]] Kind kind_of(std::string_view value);

class Promises {
 public:
  Promises() = default;  // none
  // `text`: one value or several with commas between them. Blanks around each are dropped, and so are empty ones.
  Promises(std::string_view label, std::string_view text);

  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] const std::vector<std::string>& values() const { return values_; }  // in order of their bytes, each once
  [[nodiscard]] const std::vector<Kind>& kinds() const { return kinds_; }           // of the values, in their order
  // The value that is the same as `value`, byte by byte.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view value) const;
  [[nodiscard]] bool meet(const Demand& demand) const { return demand.label == label_ && find(demand.value).has_value(); }
  [[nodiscard]] bool overlap(const Promises& other) const;
  friend bool operator==(const Promises&, const Promises&) = default;

 private:
  std::string label_{};  // "" where nothing is promised
  std::vector<std::string> values_{};
  std::vector<Kind> kinds_{};
};

}  // namespace steelyard::policy
