// Counts what the whole executable allocates, so that a lookup that allocates is seen.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "decide/allocations.hpp"
#include "decide/route/router.hpp"

namespace steelyard {
std::atomic<std::size_t> allocations{0};
}

void* operator new(std::size_t size) {
  ++steelyard::allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace steelyard {
namespace router_allocation_test {

TEST(RouterAllocation, lookup_does_none) {
  const std::vector<MatchOptions> matches{
      {.host = "*.a-rather-long-domain-name.example.com", .path = "/a-rather-long-first-segment/*/a-rather-long-last-segment"},
      {.path = "/a-rather-long-first-segment/*", .methods = {"POST"}, .headers = {{"X-Rather-Long-Name", "1"}}}};
  const Router router(matches, 1);
  const http::Field field{"x-rather-long-name", "1"};
  const Query query{.host = "One.Two.A-Rather-Long-Domain-Name.Example.com.:80",
                    .path = "/a-rather-long-first-segment/in-between-them/a-rather-long-last-segment",
                    .method = "POST",
                    .fields = {&field, 1}};
  const Query other{.host = "a-rather-long-host-of-nobody.example.org", .path = query.path, .method = "POST", .fields = query.fields};
  const std::size_t before = allocations;
  const auto found = router.match(query);
  const auto found_other = router.match(other);
  EXPECT_EQ(allocations, before);
  EXPECT_GT(before, 0U);
  EXPECT_EQ(found, 0U);
  EXPECT_EQ(found_other, 1U);
}

}  // namespace router_allocation_test
}  // namespace steelyard
