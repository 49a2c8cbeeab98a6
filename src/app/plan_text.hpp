// A plan of the admin API, what a configuration changes of another, as text for people. Pure.
#pragma once

#include <string>

#include "app/admin_call.hpp"

namespace steelyard {

// A line for each change (+ added, - removed, ~ changed with its keys), then what that means for what is under way and for what
// waits for a restart. "nothing changes\n" where there is none.
[[nodiscard]] std::string plan_text(const AdminJson& plan, bool colours);

}  // namespace steelyard
