// What may be said of the admin API and of registration: what it means, what is refused, and with which words.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/load.hpp"

namespace steelyard::config {
namespace admin_test {

using Lines = std::vector<std::string>;

constexpr std::string_view listeners = "listeners: [{bind: 127.0.0.1:80}]\n";

std::string with_admin(const std::string& admin) { return std::string(listeners) + "pools: {api: {servers: ['a:1']}}\nadmin: " + admin; }
std::string with_pool(const std::string& pool) { return std::string(listeners) + "admin: {}\npools: {api: {" + pool + "}}\n"; }

Options loaded(const std::string& text) {
  auto loaded = load_text(text, "t");
  if (!loaded) {
    ADD_FAILURE() << to_string(loaded.error().front()) << "\n" << text;
    return {};
  }
  const std::string full = expand(loaded->options);
  const auto again = load_text(full, "expanded");
  EXPECT_TRUE(again && expand(again->options) == full) << full;
  return std::move(loaded->options);
}

AdminOptions admin(const std::string& text) { return loaded(with_admin(text)).admin.value_or(AdminOptions{.token_file = "absent"}); }

Lines problems(const std::string& text) {
  Lines lines;
  if (const auto loaded = load_text(text, "t"); !loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(to_string(problem));
  }
  return lines;
}

RegistrationOptions registration(const std::string& keys) {
  const auto pools = loaded(with_pool("registration: {token_file: /t, networks: [10.0.0.0/8], " + keys + "}")).pools;
  if (pools.empty() || !pools.front().registration) return {};
  return *pools.front().registration;
}

TEST(Admin, is_off_unless_it_is_asked_for) {
  EXPECT_FALSE(loaded(std::string(listeners) + "pools: {api: {servers: ['a:1']}}\n").admin);
  EXPECT_FALSE(loaded(with_admin("off")).admin);
}

TEST(Admin, has_defaults) {
  const AdminOptions options = admin("{}");
  EXPECT_EQ(options.bind.to_string(), "127.0.0.1:9900");
  EXPECT_FALSE(options.on_socket());
  EXPECT_EQ(options.token_file, "");
  EXPECT_TRUE(options.hosts.empty());
}

TEST(Admin, takes_what_the_file_says) {
  const AdminOptions options = admin("{bind: '0.0.0.0:9', token_file: /t, hosts: [a.internal, b], state_file: ./s}");
  EXPECT_EQ(options.bind.to_string(), "0.0.0.0:9");
  EXPECT_EQ(options.token_file, "/t");
  EXPECT_EQ(options.hosts, (Lines{"a.internal", "b"}));
  EXPECT_EQ(options.state_file, "./s");
}

TEST(Admin, takes_the_path_of_a_unix_socket) {
  const AdminOptions options = admin("{bind: 'unix:/run/a.sock'}");
  EXPECT_TRUE(options.on_socket());
  EXPECT_EQ(options.socket_path, "/run/a.sock");
  EXPECT_EQ(admin("{bind: 'unix:/" + std::string(106, 'x') + "'}").socket_path.size(), 107U);
}

TEST(Admin, refuses_paths_that_no_socket_can_have) {
  EXPECT_EQ(problems(with_admin("{bind: 'unix:/" + std::string(107, 'x') + "'}")).size(), 1U);
  EXPECT_EQ(problems(with_admin("{bind: 'unix:run/a.sock'}")),
            (Lines{"t:3:15: admin.bind: found \"unix:run/a.sock\", which has no absolute path: write \"unix:/run/steelyard.sock\" or the "
                   "path that is meant"}));
}

TEST(Admin, refuses_to_be_reached_from_elsewhere_without_a_token) {
  EXPECT_EQ(problems(with_admin("{bind: '0.0.0.0:9900'}")),
            (Lines{"t:3:15: admin.bind: found an admin API on 0.0.0.0:9900 without token_file, so whoever reaches it could change the "
                   "servers; add \"token_file: PATH\", or bind it to 127.0.0.1 or to a Unix socket"}));
  EXPECT_EQ(problems(with_admin("{bind: '192.168.0.1:9900'}")).size(), 1U);
  EXPECT_EQ(problems(with_admin("{bind: '[::1]:9900'}")).size(), 0U);
  EXPECT_EQ(problems(with_admin("{bind: '127.9.9.9:9900'}")).size(), 0U);
}

TEST(Admin, refuses_hosts_with_ports_and_what_is_no_name) {
  EXPECT_EQ(
      problems(with_admin("{hosts: ['a.internal:9900']}")),
      (Lines{"t:3:17: admin.hosts[0]: found \"a.internal:9900\", which has a port, which does not count here: write \"a.internal\""}));
  EXPECT_EQ(problems(with_admin("{hosts: ['a b']}")).size(), 1U);
}

TEST(Admin, allows_pools_without_servers) {
  EXPECT_TRUE(loaded(with_pool("algorithm: random")).pools.front().servers.empty());
  EXPECT_EQ(problems(std::string(listeners) + "admin: off\npools: {api: {}}\n"),
            (Lines{"t:3:14: pools.api: \"servers\" is missing, allowed is a list of servers, at least one: add it"}));
}

TEST(Registration, has_defaults) {
  const RegistrationOptions options = registration("");
  EXPECT_EQ(options.token_file, "/t");
  EXPECT_EQ(options.networks.size(), 1U);
  EXPECT_EQ(options.port_min, 1024);
  EXPECT_EQ(options.port_max, 65535);
  EXPECT_EQ(options.lease, 30s);
}

TEST(Registration, takes_what_the_file_says) {
  const RegistrationOptions options =
      registration("ports: 8000-8999, servers_max: 5, lease: 5s, lease_min: 2s, lease_max: 10s, expired_share_max: 25%");
  EXPECT_EQ(options.port_min, 8000);
  EXPECT_EQ(options.port_max, 8999);
  EXPECT_EQ(options.servers_max, 5U);
  EXPECT_EQ(options.lease, 5s);
  EXPECT_EQ(options.lease_min, 2s);
  EXPECT_EQ(options.lease_max, 10s);
  EXPECT_EQ(options.expired_share_max, 0.25);
  const RegistrationOptions one_port = registration("ports: 8000");
  EXPECT_EQ(one_port.port_min, 8000);
  EXPECT_EQ(one_port.port_max, 8000);
}

TEST(Registration, refuses_ports_that_are_none) {
  const auto with = [](const std::string& ports) {
    return problems(with_pool("registration: {token_file: /t, networks: [10.0.0.0/8], ports: " + ports + "}"));
  };
  EXPECT_EQ(with("9000-8000"),
            (Lines{"t:3:77: pools.api.registration.ports: found 9000-8000, which ends before it begins: write \"8000-9000\""}));
  for (const char* wrong : {"0", "1-", "-1", "65536", "a", "[1]", "0-5"}) EXPECT_EQ(with(wrong).size(), 1U) << wrong;
}

TEST(Registration, says_which_networks_to_write) {
  const Lines empty = problems(with_pool("registration: {token_file: /t, networks: []}"));
  EXPECT_EQ(empty, (Lines{"t:3:56: pools.api.registration.networks: found an empty list, allowed is a list of networks such as "
                          "[10.0.0.0/8, 192.168.1.7], at least one"}));
  const Lines missing = problems(with_pool("registration: {token_file: /t}"));
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_NE(missing[0].find("\"networks\" is missing, allowed is a list of networks such as [10.0.0.0/8"), std::string::npos);
  EXPECT_EQ(problems(with_pool("registration: {networks: [10.0.0.0/8]}")).size(), 1U);
}

TEST(Registration, warns_of_everywhere) {
  const auto loaded = load_text(with_pool("registration: {token_file: /t, networks: [0.0.0.0/0]}"), "t");
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 1U);
  EXPECT_EQ(loaded->warnings[0].path, "pools.api.registration.networks");
}

TEST(Registration, refuses_a_lease_outside_its_bounds) {
  const auto with = [](const std::string& lease) {
    return problems(with_pool("registration: {token_file: /t, networks: [10.0.0.0/8], " + lease + "}")).size();
  };
  EXPECT_EQ(with("lease: 2h"), 1U);
  EXPECT_EQ(with("lease_min: 1m"), 1U);
  EXPECT_EQ(with("lease_min: 2h, lease: 2h"), 1U);
  EXPECT_EQ(with("lease: 1h"), 0U);
}

TEST(Registration, needs_the_admin_api) {
  const std::string pool = "pools: {api: {servers: ['a:1'], registration: {token_file: /t, networks: [10.0.0.0/8]}}}\n";
  EXPECT_EQ(problems(std::string(listeners) + pool),
            (Lines{"t:2:47: pools.api.registration: found a registration without the admin API, which servers register at: add \"admin: "
                   "{bind: 127.0.0.1:9900}\" at the top level"}));
}

TEST(Pool, says_how_long_removed_servers_are_drained) {
  EXPECT_EQ(loaded(with_pool("drain: 5s")).pools.front().drain, 5s);
  EXPECT_EQ(loaded(with_pool("drain: unlimited")).pools.front().drain, Duration::max());
  EXPECT_EQ(loaded(with_pool("algorithm: random")).pools.front().drain, 30s);
}

}  // namespace admin_test
}  // namespace steelyard::config
