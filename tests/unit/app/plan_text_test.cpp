#include "app/plan_text.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace plan_text_test {

using Names = std::vector<std::string>;

AdminJson changed(const char* name, const Names& keys) { return AdminJson::array({{{"name", name}, {"keys", keys}}}); }

AdminJson part(const Names& added, const Names& removed, const AdminJson& changed = AdminJson::array()) {
  return {{"added", added}, {"removed", removed}, {"changed", changed}, {"unchanged", 1}};
}

TEST(PlanText, a_line_for_each_change) {
  AdminJson servers = AdminJson::object();
  servers["app"] = part({"10.0.0.9:1"}, {"10.0.0.7:1"}, changed("10.0.0.5:1", {"weight", "backup"}));
  servers["app"]["exchanges_at_removed"] = 3;
  AdminJson pools = part({"fresh"}, {"old"});
  pools["exchanges_at_removed"] = 4;
  const AdminJson plan{{"changes", true},
                       {"listeners", part({"127.0.0.1:1"}, {})},
                       {"routes", part({}, {}, changed("api", {}))},
                       {"pools", pools},
                       {"servers", servers},
                       {"keys", Names{"timeouts.idle", "workers"}},
                       {"at_restart", Names{"workers"}}};
  EXPECT_EQ(plan_text(plan, false),
            "+ listener 127.0.0.1:1\n"
            "~ route api\n"
            "+ pool fresh\n"
            "- pool old\n"
            "+ server app/10.0.0.9:1\n"
            "- server app/10.0.0.7:1\n"
            "~ server app/10.0.0.5:1: weight, backup\n"
            "~ timeouts.idle\n"
            "~ workers\n"
            "3 added, 2 removed, 4 changed\n"
            "exchanges under way at servers that go: 7, which have the pool's drain to end\n"
            "with the next start only: workers\n");
}

TEST(PlanText, nothing) {
  EXPECT_EQ(plan_text({{"changes", false}, {"servers", AdminJson::object()}}, false), "nothing changes\n");
  EXPECT_EQ(plan_text(AdminJson::object(), true), "nothing changes\n");
}

}  // namespace plan_text_test
}  // namespace steelyard
