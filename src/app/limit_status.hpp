// What limits and their stores have counted, as JSON for people and programs: the status page, the admin API. From any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/time.hpp"
#include "proxy/site.hpp"

namespace steelyard {

enum class Detail : std::uint8_t { some, all };  // all: on the control thread alone

nlohmann::ordered_json describe(const quota::Limit& limit, Instant now, Detail detail);
nlohmann::ordered_json describe(const Site::Store& store);

}  // namespace steelyard
