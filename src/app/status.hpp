// What the status pages say: /__health__, /__status__, /__metrics__, as JSON.
#pragma once

#include <string>
#include <string_view>

#include "app/service.hpp"
#include "proxy/site.hpp"

namespace steelyard {

Site::Page status_page(Service& service, std::string_view path);

}  // namespace steelyard
