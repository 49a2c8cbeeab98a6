// What commands end with; 0 where all is well.
#pragma once

namespace steelyard {

inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;  // the arguments, or what they name, are wrong

}  // namespace steelyard
