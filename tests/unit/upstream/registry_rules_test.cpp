// What may be entered into a pool at run time.
#include "upstream/registry_rules.hpp"

#include <gtest/gtest.h>

#include <string>

namespace steelyard {
namespace registry_rules_test {

RegistrationOptions allowing(std::initializer_list<const char*> networks) {
  RegistrationOptions options;
  for (const char* network : networks) options.networks.push_back(*Network::parse(network));
  return options;
}

bool allowed(const RegistrationOptions& registration, const char* host, std::uint16_t port = 8000) {
  ServerOptions server{.id = "x", .host = host, .port = port};
  if (check_address(server)) return false;
  const auto refusal = check_registered_address(registration, server);
  if (refusal) {
    EXPECT_EQ(refusal->field, "address");
    EXPECT_FALSE(refusal->message.empty());
  }
  return !refusal;
}

TEST(RegistryRules, id_is_what_a_path_and_a_log_keep) {
  for (const char* id : {"a", "10.0.0.5:80", "[::1]:80", "app-1_b", "...", "a=b;c,d@e!$&'()*+~|^`<>{}"}) EXPECT_FALSE(check_id(id)) << id;
  for (const char* id : {"", ".", "..", "a/b", "a?b", "a#b", "a%b", "a\"b", "a\\b", "a b", "a\tb", "a\nb", "\x7f", "\xc3\xa4"}) {
    const auto refusal = check_id(id);
    ASSERT_TRUE(refusal) << id;
    EXPECT_EQ(refusal->field, "id");
    for (const char c : refusal->message) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
  EXPECT_FALSE(check_id(std::string(128, 'a')));
  EXPECT_TRUE(check_id(std::string(129, 'a')));
  EXPECT_TRUE(check_id(std::string("a\0b", 3)));
}

TEST(RegistryRules, address_gets_its_one_spelling) {
  ServerOptions server{.id = "x", .host = "::FFFF:10.0.0.5", .port = 80};
  EXPECT_FALSE(check_address(server));
  EXPECT_EQ(server.host, "10.0.0.5");
  server.host = "2001:DB8:0::1";
  EXPECT_FALSE(check_address(server));
  EXPECT_EQ(address_of(server), "[2001:db8::1]:80");
  for (const char* name : {"localhost", "app.internal", "app.internal.", "a_b-c.d", "1a"}) {
    server.host = name;
    EXPECT_FALSE(check_address(server)) << name;
  }
}

TEST(RegistryRules, refuses_what_is_nearly_an_address) {
  for (const char* host : {"", "127.1", "10.0.0.256", "010.0.0.1", "10.0.0.5 ", "fe80::1%eth0", "[::1]", "a b", "a/b", "-a", ".a", "."}) {
    ServerOptions server{.id = "x", .host = host, .port = 80};
    const auto refusal = check_address(server);
    ASSERT_TRUE(refusal) << host;
    EXPECT_EQ(refusal->field, "address");
    EXPECT_EQ(refusal->kind, Refusal::Kind::invalid);
  }
  ServerOptions server{.id = "x", .host = "10.0.0.5", .port = 0};
  EXPECT_TRUE(check_address(server));
}

TEST(RegistryRules, registration_is_for_its_networks_and_ports) {
  const auto options = allowing({"10.0.0.0/24", "2001:db8::/32"});
  EXPECT_TRUE(allowed(options, "10.0.0.7"));
  EXPECT_TRUE(allowed(options, "::ffff:10.0.0.7"));
  EXPECT_TRUE(allowed(options, "2001:db8::7"));
  EXPECT_FALSE(allowed(options, "10.0.1.7"));
  EXPECT_FALSE(allowed(options, "2001:db9::7"));
  EXPECT_FALSE(allowed(options, "app.internal"));
  EXPECT_FALSE(allowed(options, "10.0.0.7", 1023));
  EXPECT_TRUE(allowed(options, "10.0.0.7", 1024));
  EXPECT_FALSE(allowed(allowing({}), "10.0.0.7"));
}

TEST(RegistryRules, no_network_makes_a_server_of_what_is_none) {
  const auto all = allowing({"0.0.0.0/0", "::/0", "0.0.0.0/32", "224.0.0.0/4", "255.255.255.255/32", "ff00::/8", "::"});
  for (const char* host : {"0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"}) {
    EXPECT_FALSE(allowed(all, host)) << host;
  }
  EXPECT_TRUE(allowed(all, "8.8.8.8"));
}

TEST(RegistryRules, loopback_and_link_local_are_allowed_by_name_only) {
  const auto all = allowing({"0.0.0.0/0", "::/0", "126.0.0.0/7", "169.0.0.0/8", "fe00::/8"});
  for (const char* host : {"127.0.0.1", "127.8.0.1", "::ffff:127.0.0.1", "::1", "169.254.169.254", "fe80::1", "febf::1"}) {
    EXPECT_FALSE(allowed(all, host)) << host;
  }
  EXPECT_TRUE(allowed(allowing({"127.0.0.0/8"}), "127.0.0.1"));
  EXPECT_TRUE(allowed(allowing({"0.0.0.0/0", "127.0.0.1"}), "127.0.0.1"));
  EXPECT_FALSE(allowed(allowing({"0.0.0.0/0", "127.0.0.1"}), "127.0.0.2"));
  EXPECT_TRUE(allowed(allowing({"::1"}), "::1"));
  EXPECT_TRUE(allowed(allowing({"169.254.0.0/16"}), "169.254.1.1"));
  EXPECT_TRUE(allowed(allowing({"fe80::/10"}), "fe80::1"));
  EXPECT_TRUE(allowed(all, "169.253.0.1"));
  EXPECT_TRUE(allowed(all, "fec0::1"));
}

TEST(RegistryRules, lease_is_within_its_bounds) {
  RegistrationOptions options;
  options.lease_min = 2s;
  options.lease_max = 10s;
  EXPECT_EQ(check_lease(options, std::nullopt), 10s);  // the default of 30 s does not fit
  EXPECT_EQ(check_lease(options, 2s), 2s);
  EXPECT_EQ(check_lease(options, 10s), 10s);
  for (const Duration asked : {Duration{0}, Duration{-1s}, Duration{1999ms}, Duration{10s + 1ns}, Duration::max()}) {
    const auto lease = check_lease(options, asked);
    ASSERT_FALSE(lease);
    EXPECT_EQ(lease.error().field, "lease");
    EXPECT_TRUE(lease.error().message.contains("2 s to 10 s")) << lease.error().message;
  }
}

TEST(RegistryRules, weight_and_limit_are_within_their_bounds) {
  EXPECT_FALSE(check_settings({.weight = 0}));
  EXPECT_FALSE(check_settings({.weight = weight_max}));
  EXPECT_EQ(check_settings({.weight = weight_max + 1})->field, "weight");
  EXPECT_EQ(check_settings({.active_max = 0})->field, "active_max");
  EXPECT_FALSE(check_settings({.active_max = 1}));
}

TEST(RegistryRules, labels_are_few_short_and_printable) {
  ServerOptions server;
  server.labels = {{"zone", ""},
                   {"stra\xc3\x9f"
                    "e",
                    "\xe2\x82\xac \xf0\x9f\x90\xb8"}};
  EXPECT_FALSE(check_settings(server));
  for (const char* value :
       {"a\nb", "\x7f", "\xc2\x85", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80"}) {
    server.labels = {{"zone", value}};
    EXPECT_TRUE(check_settings(server)) << value;
    server.labels = {{value, "zone"}};
    EXPECT_TRUE(check_settings(server)) << value;
  }
  server.labels = {{"", "x"}};
  EXPECT_TRUE(check_settings(server));
  server.labels = {{std::string(128, 'k'), std::string(256, 'v')}};
  EXPECT_FALSE(check_settings(server));
  server.labels = {{std::string(129, 'k'), "v"}};
  EXPECT_TRUE(check_settings(server));
  server.labels = {{"k", std::string(257, 'v')}};
  EXPECT_TRUE(check_settings(server));
  server.labels.clear();
  for (int i = 0; i < 64; ++i) server.labels[std::to_string(i)] = "v";
  EXPECT_FALSE(check_settings(server));
  server.labels["64"] = "v";
  EXPECT_EQ(check_settings(server)->field, "labels");
}

}  // namespace registry_rules_test
}  // namespace steelyard
