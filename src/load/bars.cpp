#include "load/bars.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace steelyard::load {
namespace {

constexpr std::size_t bars_max = 16;

// Round bounds within a decade, the finest choice first.
constexpr std::array<std::int64_t, 24> by_tenth{100, 110, 120, 130, 140, 150, 160, 180, 200, 220, 240, 270,
                                                300, 330, 360, 400, 450, 500, 560, 620, 680, 750, 820, 910};
constexpr std::array<std::int64_t, 12> by_fifth{100, 120, 150, 180, 220, 270, 330, 390, 470, 560, 680, 820};
constexpr std::array<std::int64_t, 6> by_half{100, 150, 200, 300, 500, 700};
constexpr std::array<std::int64_t, 3> by_doubling{100, 200, 500};
constexpr std::array<std::int64_t, 1> by_decade{100};
constexpr std::array<std::span<const std::int64_t>, 5> choices{by_tenth, by_fifth, by_half, by_doubling, by_decade};

// The bounds of a choice that enclose [low, high].
std::vector<Duration> bounds_between(std::span<const std::int64_t> choice, Duration low, Duration high) {
  std::vector<Duration> bounds;
  for (std::int64_t scale = 1; scale <= 100'000'000'000; scale *= 10) {
    for (const std::int64_t step : choice) {
      const Duration bound{step * scale};
      if (bound <= low) bounds.clear();
      bounds.push_back(bound);
      if (bound > high) return bounds;
    }
  }
  return bounds;
}

}  // namespace

std::vector<Bar> bars_of(const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return {};
  // A few outliers do not stretch the scale: they share the last row.
  const Duration high = histogram.quantile(0.999);
  std::vector<Duration> bounds;
  for (const auto choice : choices) {
    bounds = bounds_between(choice, histogram.minimum(), high);
    if (bounds.size() <= bars_max) break;
  }
  std::vector<Bar> bars;
  std::uint64_t before = 0;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    const std::uint64_t below = histogram.count_below(bounds[i + 1]);
    bars.push_back({bounds[i], bounds[i + 1], below - before});
    before = below;
  }
  if (before < histogram.count())
    bars.push_back({bounds.empty() ? Duration{0} : bounds.back(), Duration::max(), histogram.count() - before});
  return bars;
}

}  // namespace steelyard::load
