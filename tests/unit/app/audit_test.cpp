// What an access log shows of policies, line by line.
#include "app/audit.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace steelyard {
namespace audit_test {

Audit::Findings audited(const std::vector<std::string>& lines, const std::vector<std::string>& required = {}) {
  Audit audit(required);
  audit.begin_file("log");
  for (const std::string& line : lines) audit.add(line);
  return audit.findings();
}

// A record of an exchange with server "a" of pool "app".
std::string served(const std::string& more = "") {
  return R"({"time":"x","status":200,"pool":"app","server":"a","request_id":"r1")" + more + "}";
}
std::string with_policy(const std::string& members) { return served(",\"policy\":{\"label\":\"privacy\"" + members + "}"); }
const std::string good = with_policy(R"(,"demanded":"222","met_by":"222")");
const std::string refused = R"({"status":421,"pool":"app","policy":{"label":"privacy","demanded":"999"}})";

TEST(Audit, finds_nothing_where_every_promise_is_what_was_demanded) {
  const auto found = audited({good, refused, good, R"({"status":404})", ""});
  EXPECT_EQ(found.exchanges, 4U);
  EXPECT_EQ(found.served, 2U);
  EXPECT_EQ(found.with_policy, 2U);
  EXPECT_EQ(found.violations, 0U);
  EXPECT_EQ(found.unreadable, 0U);
}

TEST(Audit, says_where_another_promise_was_taken_and_by_whom) {
  const auto found = audited({good, with_policy(R"(,"demanded":"222","met_by":"111")")});
  ASSERT_EQ(found.violations, 1U);
  const Audit::Violation& violation = found.first_violations.at(0);
  EXPECT_EQ(violation.at.file, "log");
  EXPECT_EQ(violation.at.number, 2U);
  EXPECT_EQ(violation.pool, "app");
  EXPECT_EQ(violation.server, "a");
  EXPECT_EQ(violation.request_id, "r1");
  EXPECT_EQ(violation.demanded, "222");
  EXPECT_EQ(violation.promised, "111");
}

TEST(Audit, finds_a_server_that_promised_nothing_or_was_asked_for_nothing) {
  EXPECT_EQ(audited({with_policy(R"(,"demanded":"222")")}).violations, 1U);
  EXPECT_EQ(audited({with_policy(R"(,"met_by":"222")")}).violations, 1U);
  EXPECT_EQ(audited({with_policy("")}).violations, 1U);
}

TEST(Audit, looks_at_the_servers_of_other_tries_too) {
  const auto also = [](const std::string& list) { return with_policy(R"(,"demanded":"222","met_by":"222","also":)" + list); };
  EXPECT_EQ(audited({also(R"([{"server":"b","met_by":"222"},{"server":"c","met_by":"222"}])")}).violations, 0U);
  EXPECT_EQ(audited({also("[]")}).violations, 0U);
  const auto found = audited({also(R"([{"server":"b","met_by":"222"} , {"server":"c","met_by":"111"}])")});
  ASSERT_EQ(found.violations, 1U);
  EXPECT_EQ(found.first_violations.at(0).server, "c");
  EXPECT_EQ(found.first_violations.at(0).promised, "111");
  EXPECT_EQ(audited({also(R"([{"server":"b"}])")}).violations, 1U);
}

TEST(Audit, finds_exchanges_without_a_policy_in_a_pool_that_has_one_wherever_they_stand) {
  EXPECT_EQ(audited({served(), served()}).violations, 0U) << "nothing says that the pool has a policy";
  const auto found = audited({served(), good, served(), R"({"status":200,"pool":"other","server":"a"})"});
  ASSERT_EQ(found.violations, 2U);
  EXPECT_EQ(found.first_violations.at(0).at.number, 1U);
  EXPECT_EQ(found.first_violations.at(1).at.number, 3U);
}

TEST(Audit, takes_the_word_of_who_says_that_a_pool_must_have_a_policy) {
  EXPECT_EQ(audited({served()}, {"app"}).violations, 1U);
  EXPECT_EQ(audited({R"({"status":200,"pool":"\u0061pp","server":"a"})"}, {"app"}).violations, 1U);
  EXPECT_EQ(audited({served()}, {"other"}).violations, 0U);
  EXPECT_EQ(audited({served()}, {"other"}).pools_missed, std::vector<std::string>{"other"});
  EXPECT_EQ(audited({good}, {"app"}).pools_missed, std::vector<std::string>{});
}

TEST(Audit, compares_texts_and_not_their_spelling) {
  EXPECT_EQ(audited({with_policy(R"(,"demanded":"\u0032","met_by":"2")")}).violations, 0U);
}

TEST(Audit, counts_what_is_no_record_and_does_not_take_it_for_a_good_one) {
  for (const char* line :
       {"x", "{", "[]", R"({"status":200)", R"({"status":200} x)", "{}", R"({"status":"200"})", R"({"status":200,"server":7})",
        R"({"status":200,"policy":"222"})", R"({"status":200,"server":"a","server":"b"})", R"({"status":200,"s\u0065rver":"a"})",
        R"({"status":200,"policy":{"demanded":222}})", R"({"status":200,"policy":{"demanded":"1","demanded":"1"}})",
        R"({"status":200,"policy":{"also":[1]}})"}) {
    const auto found = audited({good, line});
    EXPECT_EQ(found.unreadable, 1U) << line;
    EXPECT_EQ(found.exchanges, 1U) << line;
    ASSERT_EQ(found.first_unreadable.size(), 1U);
    EXPECT_EQ(found.first_unreadable[0].at.number, 2U);
  }
}

TEST(Audit, describes_the_first_ones_and_counts_all) {
  std::vector<std::string> lines;
  for (int i = 0; i < 100; ++i) {
    lines.push_back(with_policy(R"(,"demanded":"1","met_by":"2")"));
    lines.push_back(served());
    lines.emplace_back("x");
  }
  const auto found = audited(lines);
  EXPECT_EQ(found.violations, 200U);
  EXPECT_EQ(found.unreadable, 100U);
  ASSERT_EQ(found.first_violations.size(), Audit::described_max);
  EXPECT_EQ(found.first_violations[0].at.number, 1U);
  EXPECT_EQ(found.first_violations[1].at.number, 2U);
  EXPECT_EQ(found.first_unreadable.size(), Audit::described_max);
}

TEST(Audit, keeps_no_more_pools_in_mind_than_it_may) {
  Audit audit({});
  audit.begin_file("log");
  for (std::size_t i = 0; i < Audit::pools_max + 5; ++i) audit.add(fmt::format(R"({{"status":200,"pool":"p{}","server":"a"}})", i));
  EXPECT_EQ(audit.findings().unreadable, 5U);
}

}  // namespace audit_test
}  // namespace steelyard
