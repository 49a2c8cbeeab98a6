// The tables of a pool, which tables.hpp joins to the rest of the full spelling.
#pragma once

#include "config/section.hpp"
#include "upstream/options.hpp"

namespace steelyard::config {

Section<PoolOptions> pool_table();

// What a pool does about servers and requests that fail: failure_tables.cpp.
Section<HealthOptions> health_table();
Section<OutlierOptions> outliers_table();
Section<RetryOptions> retries_table();
Section<HedgeOptions> hedging_table();

}  // namespace steelyard::config
