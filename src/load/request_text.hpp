// The bytes of a run's requests: the same but for their targets. Pure.
#pragma once

#include <string>
#include <string_view>

#include "load/options.hpp"

namespace steelyard::load {

class RequestText {
 public:
  explicit RequestText(const RequestOptions& options);

  // Of the command line's target.
  [[nodiscard]] std::string_view usual() const { return usual_; }
  // Of another target, in `out`.
  void write(std::string_view target, std::string& out) const;

 private:
  std::string before_target_;
  std::string after_target_;
  std::string usual_;
};

}  // namespace steelyard::load
