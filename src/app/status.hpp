// What the status pages say: /__health__, /__status__, /__metrics__, as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "app/service.hpp"
#include "proxy/site.hpp"

namespace steelyard {

// What /__status__ says of the parts of a service, for others to show, too.
[[nodiscard]] nlohmann::ordered_json describe(const Server& server);
[[nodiscard]] nlohmann::ordered_json describe(const Pool& pool);
[[nodiscard]] nlohmann::ordered_json describe(const Service& service);

Site::Page status_page(Service& service, std::string_view path);

}  // namespace steelyard
