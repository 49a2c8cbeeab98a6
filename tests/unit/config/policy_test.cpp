// What may be said of a pool's policy and of the labels that it goes by: what it means, what is refused, and with which words.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/plan.hpp"

namespace steelyard::config {
namespace policy_test {

using Lines = std::vector<std::string>;
using Kind = policy::SourceOptions::Kind;

std::string file_of(const std::string& pool) { return "listeners: [{bind: 127.0.0.1:80}]\npools:\n  api: " + pool + "\n"; }

// A pool of one server that promises something, with this policy, all in line 3; the policy begins in column 70.
std::string file_with(const std::string& policy) {
  return file_of("{servers: [{address: 'a:1', labels: {privacy: '111,222'}}], policy: " + policy + "}");
}

Lines lines_of(const std::vector<Problem>& problems) {
  Lines lines;
  for (const Problem& problem : problems) lines.push_back(to_string(problem));
  return lines;
}

Lines problems(const std::string& text) {
  const auto loaded = load_text(text, "t");
  return loaded ? Lines{} : lines_of(loaded.error());
}

// As the file says it, without a warning; written out in full it must mean the same.
policy::PolicyOptions policy_of(const std::string& policy) {
  const auto loaded = load_text(file_with(policy), "t");
  if (!loaded) {
    ADD_FAILURE() << to_string(loaded.error().front());
    return {};
  }
  EXPECT_EQ(lines_of(loaded->warnings), Lines{});
  const std::string full = expand(loaded->options);
  const auto again = load_text(full, "expanded");
  EXPECT_TRUE(again && again->options.pools.at(0).policy == loaded->options.pools.at(0).policy) << full;
  return *loaded->options.pools.at(0).policy;
}

policy::SourceOptions source(const std::string& from) { return policy_of("{label: privacy, from: '" + from + "'}").from; }

TEST(Policy, is_off_unless_it_is_there) {
  const auto loaded = load_text(file_of("{servers: ['a:1']}"), "t");
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(loaded->options.pools.at(0).policy);
  EXPECT_FALSE(load_text(file_with("off"), "t")->options.pools.at(0).policy);
}

TEST(Policy, takes_every_source) {
  EXPECT_EQ(source("header:X-Privacy-Policy"), (policy::SourceOptions{Kind::header, "X-Privacy-Policy", 0}));
  EXPECT_EQ(source("header: X-Privacy-Policy"), (policy::SourceOptions{Kind::header, "X-Privacy-Policy", 0}));
  EXPECT_EQ(source("cookie:policy"), (policy::SourceOptions{Kind::cookie, "policy", 0}));
  EXPECT_EQ(source("query:policy"), (policy::SourceOptions{Kind::query, "policy", 0}));
  EXPECT_EQ(source("segment:2"), (policy::SourceOptions{Kind::segment, "", 2}));
  EXPECT_EQ(source("host"), (policy::SourceOptions{Kind::host, "", 0}));
  EXPECT_EQ(source("json:privacy policy"), (policy::SourceOptions{Kind::json, "privacy policy", 0}));
}

TEST(Policy, reads_its_other_keys) {
  const policy::PolicyOptions read =
      policy_of("{label: privacy, from: json:p, value_if_absent: 111, unmet_status: 503, body_bytes_max: 1KiB}");
  EXPECT_EQ(read.label, "privacy");
  EXPECT_EQ(read.value_if_absent, "111");
  EXPECT_EQ(read.unmet_status, 503);
  EXPECT_EQ(read.body_bytes_max, 1024U);
  const policy::PolicyOptions defaults = policy_of("{label: privacy, from: json:p}");
  EXPECT_EQ(defaults.value_if_absent, "");
  EXPECT_EQ(defaults.unmet_status, 421);
  EXPECT_EQ(defaults.body_bytes_max, 64U * 1024);
}

TEST(Policy, refuses_sources_that_are_none) {
  const auto refused = [](const std::string& from) { return problems(file_with("{label: privacy, from: '" + from + "'}")).at(0); };
  const std::string at = "t:3:99: pools.api.policy.from: found ";
  EXPECT_EQ(
      refused("headr:X"),
      at + "\"headr:X\", allowed is header:NAME, cookie:NAME, query:NAME, segment:NUMBER, host or json:MEMBER; did you mean \"header\"?");
  EXPECT_EQ(refused("header X-Policy"),
            at + "\"header X-Policy\", allowed is header:NAME, cookie:NAME, query:NAME, segment:NUMBER, host or json:MEMBER; did you mean "
                 "\"header\"?");
  EXPECT_EQ(refused("header:"),
            at + "\"header:\", which lacks the name; allowed is the name of a header field, such as \"header:X-Privacy-Policy\"");
  EXPECT_EQ(refused("cookie:a b"),
            at + "\"cookie:a b\", which names \"a b\", which is not the name of a cookie (RFC 6265 §4.1.1); allowed is "
                 "the name of a cookie, such as \"cookie:policy\"");
  EXPECT_EQ(refused("query:%70olicy"),
            at + "\"query:%70olicy\", which names \"%70olicy\", which has a '%', a '+' or a ';': write it as it is "
                 "when it has been decoded; allowed is the name of a query parameter, such as \"query:policy\"");
  for (const char* segment : {"segment:", "segment:0", "segment:-1", "segment:x", "segment:65", "segment"}) {
    EXPECT_EQ(refused(segment),
              at + "\"" + segment + "\", allowed is a number from 1 to 64, such as \"segment:1\" for the 222 of /222/orders");
  }
}

TEST(Policy, refuses_statuses_values_and_labels_that_are_none) {
  EXPECT_EQ(problems(file_with("{from: host}")),
            Lines{"t:3:76: pools.api.policy: \"label\" is missing, allowed is the name of a label: add it"});
  EXPECT_EQ(problems(file_with("{label: a b, from: host}")),
            Lines{"t:3:84: pools.api.policy.label: found \"a b\", which has the character \" \"; allowed is the name of a label"});
  EXPECT_EQ(problems(file_with("{label: privacy, from: host, unmet_status: 404}")),
            Lines{"t:3:119: pools.api.policy.unmet_status: found 404, allowed is 421 or 503"});
  EXPECT_EQ(problems(file_with("{label: privacy, from: host, value_if_absent: '111,222'}")),
            Lines{"t:3:122: pools.api.policy.value_if_absent: found \"111,222\", which has a comma, which separates promises: name one of "
                  "them; allowed is a value of the label"});
  EXPECT_EQ(problems(file_with("{label: privacy, from: host, value_if_absent: ''}")),
            Lines{"t:3:122: pools.api.policy.value_if_absent: found \"\", which is empty; allowed is a value of the label"});
  EXPECT_EQ(
      problems(file_with("{label: privacy, from: host, body_bytes_max: 1KiB}")),
      Lines{"t:3:105: pools.api.policy.body_bytes_max: found the key \"body_bytes_max\", which counts with from: json:MEMBER only; remove "
            "it, or change from"});
  EXPECT_EQ(problems(file_with("{label: privacy, from: json:p, body_bytes_max: 2MiB}")).size(), 1U);
}

TEST(Policy, needs_a_source_where_a_route_leads_to_its_pool) {
  const std::string wanted =
      " leads HTTP requests here, of which nobody would know what they demand; allowed is header:NAME, cookie:NAME, query:NAME, "
      "segment:NUMBER, host or json:MEMBER: add it";
  EXPECT_EQ(problems(file_with("{label: privacy}")), Lines{"t:3:76: pools.api.policy: \"from\" is missing, and the route \"*\"" + wanted});
  EXPECT_EQ(problems(file_with("{label: privacy}") + "routes: [{pool: api, name: all}]\n"),
            Lines{"t:3:76: pools.api.policy: \"from\" is missing, and the route \"all\"" + wanted});
  EXPECT_EQ(problems(file_with("{label: privacy}") + "  web: {servers: ['b:1']}\nroutes: [{pool: web}]\n"), Lines{});
}

TEST(Policy, warns_of_servers_that_would_get_nothing) {
  const auto loaded =
      load_text(file_of("{servers: ['a:1', {address: 'b:1', labels: {privacy: ' , '}}, {address: 'c:1', labels: {privacy: 1}}], "
                        "policy: {label: privacy, from: host}}"),
                "t");
  ASSERT_TRUE(loaded);
  const std::string why =
      ": its label privacy promises nothing, so the pool's policy gives it no traffic: add \"labels: {privacy: VALUE}\"";
  EXPECT_EQ(lines_of(loaded->warnings), (Lines{"t:3:19: pools.api.servers[0]" + why, "t:3:26: pools.api.servers[1]" + why}));
}

std::string label(const std::string& value) {
  const auto loaded = load_text(file_of("{servers: [{address: 'a:1', labels: {privacy: " + value + "}}]}"), "t");
  if (!loaded) return to_string(loaded.error().front());
  return loaded->options.pools.at(0).servers.at(0).labels.at("privacy");
}

TEST(Labels, may_be_lists_which_are_texts_with_commas) {
  EXPECT_EQ(label("'111'"), "111");
  EXPECT_EQ(label("[111, '222']"), "111,222");
  EXPECT_EQ(label("[basic]"), "basic");
}

TEST(Labels, refuse_lists_that_would_mean_something_else) {
  const std::string at = "t:3:54: pools.api.servers[0].labels.privacy";
  EXPECT_EQ(label("[]"), at + ": found an empty list, allowed is a text or a list of texts");
  EXPECT_EQ(label("['1,2']").substr(0, 66), "t:3:55: pools.api.servers[0].labels.privacy[0]: found \"1,2\", which");
  EXPECT_NE(label("['']").find("privacy[0]: found \"\", which is empty"), std::string::npos);
  EXPECT_NE(label("[[1]]").find("privacy[0]: found a list"), std::string::npos);
  EXPECT_NE(label("[" + std::string(200, 'a') + "," + std::string(200, 'b') + "]").find("longer than 256"), std::string::npos);
}

TEST(Policy, is_compared_and_told_to_editors) {
  const auto before = load_text(file_with("{label: privacy, from: host}"), "t");
  const auto after = load_text(file_with("{label: privacy, from: query:p, value_if_absent: 111}"), "t");
  ASSERT_TRUE(before && after);
  const Plan plan = compare(before->options, after->options);
  ASSERT_EQ(plan.pools.changed.size(), 1U);
  EXPECT_EQ(plan.pools.changed[0].keys, (Lines{"policy.from", "policy.value_if_absent"}));
  EXPECT_TRUE(plan.at_restart.empty());
  EXPECT_NE(reference().find("### `pools.NAME.policy`"), std::string::npos);
  EXPECT_NE(reference().find("Only with `from: json:MEMBER`."), std::string::npos);
  EXPECT_NE(schema().find("value_if_absent"), std::string::npos);
}

}  // namespace policy_test
}  // namespace steelyard::config
