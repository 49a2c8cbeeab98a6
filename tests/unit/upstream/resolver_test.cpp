// Names looked up over real sockets, from a scripted DNS server on the same loop. When lookups are repeated is tested in simulated time
// (name_schedule_test.cpp); here the bounds are so small that the next one simply comes.
#include "upstream/resolver.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/dns_server.hpp"
#include "support/line.hpp"
#include "upstream/options.hpp"

namespace steelyard {
namespace resolver_test {

using testing_support::DnsAsked;
using testing_support::DnsCode;
using testing_support::DnsReply;
using testing_support::DnsServer;
using testing_support::DnsType;
using testing_support::Line;
using Messages = std::vector<std::string>;

class TemporaryFile {
 public:
  TemporaryFile() { close(mkstemp(name_)); }
  ~TemporaryFile() { unlink(name_); }
  [[nodiscard]] std::string name() const { return name_; }
  void write(const std::string& text) const {
    std::FILE* const file = std::fopen(name_, "we");
    std::fputs(text.c_str(), file);
    std::fclose(file);
  }

 private:
  char name_[32] = "/tmp/steelyard-resolver-XXXXXX";
};

struct ResolverTest : ::testing::Test {
  ResolverTest() {
    options.servers = {dns.address()};
    options.hosts = hosts.name();
    options.jitter = 0;
    options.ttl_min = 1ms;
    options.retry_min = options.retry_max = 1ms;
    options.timeout = 60s;  // longer than any test waits
    options.tries = 1;
    dns.script = [this](const DnsAsked& asked) {
      line.fiber.interrupt();
      return answer(asked);
    };
  }

  // Runs the test's body on the loop.
  void run(const std::function<Task<void>()>& body) {
    const auto then_stop = [](EpollLoop& of, const std::function<Task<void>()>& inner) -> Task<void> {
      co_await inner();
      of.stop();
    };
    line.fiber.set_deadline(loop.scheduler().now() + 20s);  // safety only: no test expects to reach it
    line.fiber.start(then_stop(loop, body));
    loop.run();
    EXPECT_TRUE(line.finished);
  }
  // Waits until `condition` holds; it is asked again after each report and each question.
  Task<void> until(std::function<bool()> condition) {
    WaitResult last = WaitResult::done;
    while (!condition() && last != WaitResult::timed_out) last = co_await until_deadline();
    EXPECT_TRUE(condition());
  }
  Task<void> until_reports(std::size_t count) {
    co_await until([this, count] { return reports.size() >= count; });
  }

  NameWatch& watch(std::string name, NameFamily family = NameFamily::ipv4_else_ipv6) {
    if (!resolver) resolver.emplace(loop, options, 1);
    watches.push_back(resolver->watch({.name = std::move(name), .port = 80, .family = family}, [this](const NameReport& report) {
      reports.push_back(report);
      line.fiber.interrupt();
    }));
    return *watches.back();
  }
  // The addresses of the first report.
  std::vector<std::string> look_up(std::string name, NameFamily family = NameFamily::ipv4_else_ipv6) {
    run([&]() -> Task<void> {
      watch(std::move(name), family);
      co_await until_reports(1);
    });
    return reports.empty() ? std::vector<std::string>{"nothing"} : addresses(reports[0]);
  }
  static std::vector<std::string> addresses(const NameReport& report) {
    std::vector<std::string> texts;
    for (const ResolvedServer& server : report.servers) texts.push_back(server.address.to_string());
    return texts;
  }
  static ResolvedServer server(std::string_view address, std::uint32_t weight, bool backup) {
    return {*SocketAddress::parse(address), weight, backup};
  }

  EpollLoop loop;
  Line line{loop.scheduler()};
  DnsServer dns{loop};
  TemporaryFile hosts;
  ResolveOptions options;
  DnsServer::Script answer = [](const DnsAsked& asked) { return Messages{DnsReply(asked).code(DnsCode::no_such_name).message()}; };
  std::optional<Resolver> resolver;
  std::vector<std::unique_ptr<NameWatch>> watches;
  std::vector<NameReport> reports;
};
using Texts = std::vector<std::string>;

// An address for every type, both or one of them.
Messages both_families(const DnsAsked& asked) {
  if (asked.type == DnsType::aaaa) return {DnsReply(asked).aaaa("fd00::1").message()};
  return {DnsReply(asked).a("10.0.0.2").a("10.0.0.1").message()};
}
Messages only_ipv6(const DnsAsked& asked) {
  return asked.type == DnsType::aaaa ? both_families(asked) : Messages{DnsReply(asked).message()};
}
Messages only_ipv4(const DnsAsked& asked) { return asked.type == DnsType::a ? both_families(asked) : Messages{DnsReply(asked).message()}; }

TEST_F(ResolverTest, a_name_has_its_ipv4_addresses_at_its_port_and_ipv6_is_not_asked_for) {
  answer = both_families;
  EXPECT_EQ(look_up("web.test"), (Texts{"10.0.0.1:80", "10.0.0.2:80"}));
  EXPECT_EQ(dns.count("web.test"), 1U);
  EXPECT_EQ(reports[0].problem, "");
}

TEST_F(ResolverTest, ipv6_addresses_count_where_there_are_no_others) {
  answer = only_ipv6;
  EXPECT_EQ(look_up("web.test"), Texts{"[fd00::1]:80"});
}

TEST_F(ResolverTest, one_family_may_be_asked_for) {
  answer = both_families;
  EXPECT_EQ(look_up("web.test", NameFamily::ipv6), Texts{"[fd00::1]:80"});
  EXPECT_EQ(dns.asked[0].type, DnsType::aaaa);
}

TEST_F(ResolverTest, ipv4_alone_does_not_fall_back) {
  answer = only_ipv6;
  EXPECT_EQ(look_up("web.test", NameFamily::ipv4), Texts{});
  EXPECT_EQ(reports[0].problem, "the name has no IPv4 address");
}

TEST_F(ResolverTest, both_families_may_be_asked_for) {
  answer = both_families;
  EXPECT_EQ(look_up("web.test", NameFamily::both), (Texts{"10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"}));
}

TEST_F(ResolverTest, of_both_families_one_suffices) {
  answer = only_ipv4;
  EXPECT_EQ(look_up("web.test", NameFamily::both), (Texts{"10.0.0.1:80", "10.0.0.2:80"}));
  EXPECT_EQ(reports[0].problem, "");
}

TEST_F(ResolverTest, a_family_that_failed_is_not_taken_for_one_without_addresses) {
  answer = [](const DnsAsked& asked) {
    return asked.type == DnsType::a ? Messages{DnsReply(asked).code(DnsCode::server_failure).message()} : both_families(asked);
  };
  EXPECT_EQ(look_up("web.test"), Texts{});
  EXPECT_EQ(reports[0].problem, "no DNS server could be reached or gave an answer (SERVFAIL, REFUSED)");
}

TEST_F(ResolverTest, of_both_families_none_may_fail) {
  answer = [](const DnsAsked& asked) {
    return asked.type == DnsType::a ? Messages{DnsReply(asked).code(DnsCode::server_failure).message()} : both_families(asked);
  };
  EXPECT_EQ(look_up("web.test", NameFamily::both), Texts{});
  EXPECT_NE(reports[0].problem, "");
}

TEST_F(ResolverTest, aliases_are_followed_and_their_ttl_counts) {
  answer = [](const DnsAsked& asked) {
    return Messages{DnsReply(asked).cname("other.test", 0).a("10.0.0.7", 3600, "other.test").message()};
  };
  run([this]() -> Task<void> {
    watch("web.test");
    co_await until([this] { return dns.count("web.test") == 3; });
    EXPECT_EQ(addresses(reports.at(0)), Texts{"10.0.0.7:80"});
  });
}

TEST_F(ResolverTest, an_answer_of_another_name_is_not_used) {
  answer = [](const DnsAsked& asked) { return Messages{DnsReply(asked).a("10.0.0.7", 60, "other.test").message()}; };
  EXPECT_EQ(look_up("web.test"), Texts{});
  EXPECT_EQ(reports[0].problem, "the name has neither an IPv4 nor an IPv6 address");
}

TEST_F(ResolverTest, is_told_again_only_when_the_answer_is_another) {
  std::uint32_t round = 0;
  answer = [&](const DnsAsked& asked) { return Messages{DnsReply(asked).a(++round < 4 ? "10.0.0.1" : "10.0.0.2", 0).message()}; };
  run([this]() -> Task<void> {
    watch("web.test");
    co_await until_reports(2);
  });
  EXPECT_EQ(addresses(reports[0]), Texts{"10.0.0.1:80"});
  EXPECT_EQ(addresses(reports[1]), Texts{"10.0.0.2:80"});
  EXPECT_TRUE(reports[1].servers_changed);
  EXPECT_EQ(round, 4U);
}

TEST_F(ResolverTest, a_name_that_there_is_not_has_no_servers_until_there_is_one) {
  run([this]() -> Task<void> {
    const NameWatch& watched = watch("web.test");
    EXPECT_TRUE(watched.report().servers.empty());
    co_await until_reports(1);
    answer = both_families;
    co_await until_reports(2);
    EXPECT_EQ(addresses(watched.report()), addresses(reports[1]));
  });
  EXPECT_EQ(reports[0].problem, "there is no such name");
  EXPECT_TRUE(reports[0].servers.empty());
  EXPECT_EQ(reports[1].problem, "");
  EXPECT_EQ(reports[1].servers.size(), 2U);
}

TEST_F(ResolverTest, servers_stay_while_lookups_fail) {
  answer = [](const DnsAsked& asked) { return Messages{DnsReply(asked).a("10.0.0.1", 0).message()}; };
  run([this]() -> Task<void> {
    watch("web.test");
    co_await until_reports(1);
    answer = [](const DnsAsked& asked) { return Messages{DnsReply(asked).code(DnsCode::refused).message()}; };
    co_await until_reports(2);
    EXPECT_EQ(addresses(reports[1]), Texts{"10.0.0.1:80"});
    EXPECT_FALSE(reports[1].servers_changed);
    EXPECT_NE(reports[1].problem, "");
    const std::size_t asked = dns.asked.size();
    co_await until([this, asked] { return dns.asked.size() == asked + 3; });  // it goes on trying
    EXPECT_EQ(reports.size(), 2U);
  });
}

TEST_F(ResolverTest, a_truncated_answer_is_asked_for_over_tcp) {
  answer = [](const DnsAsked& asked) {
    return asked.over_tcp ? both_families(asked) : Messages{DnsReply(asked).a("10.9.9.9").truncated().message()};
  };
  EXPECT_EQ(look_up("web.test"), (Texts{"10.0.0.1:80", "10.0.0.2:80"}));
  EXPECT_TRUE(dns.asked.back().over_tcp);
}

TEST_F(ResolverTest, more_addresses_than_allowed_are_cut_with_a_warning) {
  answer = [](const DnsAsked& asked) {
    DnsReply reply(asked);
    for (int i = 130; i > 0; --i) reply.a("10.0.1." + std::to_string(i));
    return Messages{asked.over_tcp ? reply.message() : DnsReply(asked).truncated().message()};
  };
  EXPECT_EQ(look_up("web.test").size(), 100U);
  EXPECT_EQ(addresses(reports[0])[0], "10.0.1.1:80");
  EXPECT_EQ(addresses(reports[0])[99], "10.0.1.100:80");
  EXPECT_EQ(reports[0].warning, "it has more than 100 addresses, and only the first 100 in their order are used");
}

TEST_F(ResolverTest, garbage_and_answers_to_other_questions_are_passed_over) {
  answer = [](const DnsAsked& asked) {
    DnsAsked other_id = asked;
    other_id.id[0] = static_cast<char>(~other_id.id[0]);
    DnsAsked other_name = asked;
    other_name.question = testing_support::dns_name("other.test") + asked.question.substr(asked.question.size() - 4);
    return Messages{"",
                    "x",
                    std::string(11, '\0'),
                    std::string(600, '\xff'),
                    asked.id + std::string(40, '\xc0'),
                    DnsReply(other_id).a("10.6.6.6").message(),
                    DnsReply(other_name).a("10.6.6.6").message(),
                    DnsReply(asked).a("10.0.0.1").message()};
  };
  EXPECT_EQ(look_up("web.test"), Texts{"10.0.0.1:80"});
}

TEST_F(ResolverTest, a_malformed_answer_is_a_failure) {
  answer = [](const DnsAsked& asked) {
    std::string message = DnsReply(asked).a("10.0.0.1").message();
    message.pop_back();
    return Messages{message};
  };
  EXPECT_EQ(look_up("web.test"), Texts{});
  EXPECT_EQ(reports[0].problem, "the DNS server's answer is malformed");
}

TEST_F(ResolverTest, addresses_that_are_nobodys_are_left_out_with_a_warning) {
  answer = [](const DnsAsked& asked) {
    if (asked.type == DnsType::aaaa) return Messages{DnsReply(asked).aaaa("::").aaaa("ff02::1").aaaa("fd00::1").message()};
    return Messages{DnsReply(asked).a("10.0.0.1").a("0.0.0.0").a("224.0.0.1").a("239.1.1.1").a("255.255.255.255").message()};
  };
  EXPECT_EQ(look_up("web.test", NameFamily::both), (Texts{"10.0.0.1:80", "[fd00::1]:80"}));
  EXPECT_TRUE(reports[0].warning.ends_with("cannot be a server's and is left out")) << reports[0].warning;
}

TEST_F(ResolverTest, nothing_but_such_addresses_is_a_failure) {
  answer = [](const DnsAsked& asked) { return Messages{DnsReply(asked).a("0.0.0.0").message()}; };
  EXPECT_EQ(look_up("web.test"), Texts{});
  EXPECT_EQ(reports[0].problem, "the answer holds no address");
}

TEST_F(ResolverTest, a_server_that_does_not_answer_is_waited_for_until_its_timeout) {
  options.timeout = 5ms;
  options.tries = 2;
  answer = [](const DnsAsked&) { return Messages{}; };
  EXPECT_EQ(look_up("web.test"), Texts{});
  EXPECT_EQ(reports[0].problem, "no DNS server answered in time");
  EXPECT_EQ(dns.count("web.test"), 2U);
}

TEST_F(ResolverTest, what_cannot_be_a_name_is_a_failure) {
  EXPECT_EQ(look_up(std::string(64, 'x') + ".test"), Texts{});
  EXPECT_EQ(reports[0].problem, "this cannot be a name in DNS");
  EXPECT_TRUE(dns.asked.empty());
}

// F15
TEST_F(ResolverTest, the_loop_serves_others_while_a_lookup_is_under_way) {
  answer = [](const DnsAsked&) { return Messages{}; };
  run([this]() -> Task<void> {
    watch("web.test");
    co_await until([this] { return dns.count("web.test") == 1; });
    bool served = false;
    loop.post([this, &served] {
      served = true;
      line.fiber.interrupt();
    });
    co_await until([&served] { return served; });
    EXPECT_TRUE(reports.empty());
    EXPECT_EQ(dns.count("web.test"), 1U);
  });
}

TEST_F(ResolverTest, the_next_dns_server_is_asked_where_one_does_not_answer) {
  DnsServer other(loop);
  other.script = both_families;
  options.servers.push_back(other.address());
  options.timeout = 5ms;
  answer = [](const DnsAsked&) { return Messages{}; };
  EXPECT_EQ(look_up("web.test"), (Texts{"10.0.0.1:80", "10.0.0.2:80"}));
}

TEST_F(ResolverTest, many_names_at_once_are_all_found) {
  constexpr int count = 200;
  answer = [](const DnsAsked& asked) { return asked.over_tcp ? both_families(asked) : Messages{DnsReply(asked).truncated().message()}; };
  run([this]() -> Task<void> {
    for (int i = 0; i < count; ++i) watch("web" + std::to_string(i) + ".test");
    co_await until_reports(count);
  });
  for (const NameReport& report : reports) EXPECT_EQ(report.servers.size(), 2U);
}

// SRV names. Each target of `test` has the address 10.0.0.N of its name tN.
Messages target_address(const DnsAsked& asked) {
  if (asked.type != DnsType::a) return {DnsReply(asked).message()};
  return {DnsReply(asked).a("10.0.0." + asked.name.substr(1, asked.name.find('.') - 1), 0).message()};
}

TEST_F(ResolverTest, a_services_targets_bring_port_weight_and_priority) {
  answer = [](const DnsAsked& asked) {
    if (asked.type != DnsType::srv) return target_address(asked);
    return Messages{
        DnsReply(asked).srv("t3.test", 83, 20, 7).srv("t1.test", 81, 10, 5).srv("t2.test", 82, 10, 0).srv("t4.test", 84, 30, 1).message()};
  };
  look_up("_http._tcp.test");
  EXPECT_EQ(reports[0].servers, std::vector({server("10.0.0.1:81", 5, false), server("10.0.0.2:82", 1, false),
                                             server("10.0.0.3:83", 7, true), server("10.0.0.4:84", 1, true)}));
  EXPECT_EQ(dns.asked[0].type, DnsType::srv);
}

TEST_F(ResolverTest, a_services_weights_are_scaled_where_they_are_too_large) {
  answer = [](const DnsAsked& asked) {
    if (asked.type != DnsType::srv) return target_address(asked);
    return Messages{DnsReply(asked).srv("t1.test", 80, 0, 65535).srv("t2.test", 80, 0, 13107).srv("t3.test", 80, 0, 1).message()};
  };
  look_up("_http._tcp.test");
  EXPECT_EQ(reports[0].servers,
            std::vector({server("10.0.0.1:80", weight_max, false), server("10.0.0.2:80", 200, false), server("10.0.0.3:80", 1, false)}));
}

TEST_F(ResolverTest, a_target_that_there_is_not_takes_nothing_from_the_others) {
  answer = [](const DnsAsked& asked) {
    if (asked.name == "gone.test") return Messages{DnsReply(asked).code(DnsCode::no_such_name).message()};
    if (asked.type != DnsType::srv) return target_address(asked);
    return Messages{DnsReply(asked).srv("gone.test", 80).srv("t1.test", 80).message()};
  };
  EXPECT_EQ(look_up("_http._tcp.test"), Texts{"10.0.0.1:80"});
  EXPECT_EQ(reports[0].problem, "its target gone.test: there is no such name");
}

TEST_F(ResolverTest, a_target_that_cannot_be_looked_up_keeps_its_addresses_while_others_change) {
  bool later = false;
  answer = [&later](const DnsAsked& asked) {
    if (asked.type == DnsType::srv) return Messages{DnsReply(asked).srv("t1.test", 80).srv(later ? "t3.test" : "t2.test", 80).message()};
    if (later && asked.name == "t1.test") return Messages{DnsReply(asked).code(DnsCode::server_failure).message()};
    return target_address(asked);
  };
  run([&]() -> Task<void> {
    watch("_http._tcp.test");
    co_await until_reports(1);
    later = true;
    co_await until([this] { return addresses(reports.back()) == Texts{"10.0.0.1:80", "10.0.0.3:80"}; });
    EXPECT_TRUE(reports.back().problem.starts_with("its target t1.test: ")) << reports.back().problem;
  });
}

TEST_F(ResolverTest, a_service_is_looked_up_again_by_its_own_ttl_too) {
  answer = [](const DnsAsked& asked) {
    if (asked.type == DnsType::srv) return Messages{DnsReply(asked).srv("t1.test", 80, 0, 0, 0).message()};
    return Messages{DnsReply(asked).a("10.0.0.1", 3600).message()};
  };
  run([this]() -> Task<void> {
    watch("_http._tcp.test");
    co_await until([this] { return dns.count("_http._tcp.test") == 3; });
  });
}

TEST_F(ResolverTest, a_services_targets_are_complete_names) {
  const TemporaryFile resolv_conf;
  resolv_conf.write("nameserver 127.0.0.1\nsearch one.test\n");
  options.servers.clear();
  options.resolv_conf = resolv_conf.name();
  options.resolv_conf_port = dns.address().port;
  answer = [](const DnsAsked& asked) {
    if (asked.type == DnsType::srv) return Messages{DnsReply(asked).srv("t1", 80).message()};
    return Messages{DnsReply(asked).a(asked.name == "t1" ? "10.0.0.1" : "10.6.6.6").message()};
  };
  EXPECT_EQ(look_up("_http._tcp.test"), Texts{"10.0.0.1:80"});
}

TEST_F(ResolverTest, a_service_without_records_is_a_failure) {
  EXPECT_EQ(look_up("_http._tcp.test"), Texts{});
  EXPECT_EQ(reports[0].problem, "there is no such name");
}

TEST_F(ResolverTest, a_services_targets_are_limited_in_number) {
  options.addresses_max = 2;
  answer = [](const DnsAsked& asked) {
    if (asked.type != DnsType::srv) return target_address(asked);
    return Messages{DnsReply(asked).srv("t3.test", 80, 1).srv("t2.test", 80, 9).srv("t1.test", 80, 2).message()};
  };
  EXPECT_EQ(look_up("_http._tcp.test"), (Texts{"10.0.0.3:80", "10.0.0.1:80"}));
  EXPECT_EQ(reports[0].warning, "it has more than 2 targets, and only the first 2 by priority and name are used");
  EXPECT_EQ(dns.count("t2.test"), 0U);
}

TEST(ServiceName, has_two_labels_with_underscores_and_a_domain) {
  EXPECT_TRUE(is_service_name("_http._tcp.example.com"));
  EXPECT_FALSE(is_service_name("_http._tcp"));
  EXPECT_FALSE(is_service_name("_http.example.com"));
  EXPECT_FALSE(is_service_name("http._tcp.example.com"));
  EXPECT_FALSE(is_service_name("_http"));
  EXPECT_FALSE(is_service_name(""));
}

TEST_F(ResolverTest, localhost_is_this_machine_and_nobody_is_asked) {
  hosts.write("10.0.0.1 localhost\n");
  EXPECT_EQ(look_up("localhost"), Texts{"127.0.0.1:80"});
  EXPECT_TRUE(dns.asked.empty());
}

TEST_F(ResolverTest, what_ends_in_localhost_is_it_too) {
  EXPECT_EQ(look_up("Web.LocalHost.", NameFamily::both), (Texts{"[::1]:80", "127.0.0.1:80"}));
  EXPECT_TRUE(dns.asked.empty());
}

TEST_F(ResolverTest, an_address_is_its_own_name) {
  EXPECT_EQ(look_up("192.0.2.7"), Texts{"192.0.2.7:80"});
  EXPECT_TRUE(dns.asked.empty());
}

TEST_F(ResolverTest, an_address_of_the_other_family_is_not_asked_for) {
  EXPECT_EQ(look_up("192.0.2.7", NameFamily::ipv6), Texts{});
  EXPECT_EQ(reports[0].problem, "it is an address of the other family");
  EXPECT_TRUE(dns.asked.empty());
}

TEST_F(ResolverTest, the_hosts_file_comes_before_dns_and_is_read_again) {
  options.ttl_max = 1ms;
  hosts.write("10.0.0.5 web.test\nfd00::5 web.test\n");
  run([this]() -> Task<void> {
    watch("web.test.");
    co_await until_reports(1);
    EXPECT_TRUE(dns.asked.empty());
    hosts.write("10.0.0.6 web.test\n");
    co_await until_reports(2);
    EXPECT_TRUE(dns.asked.empty());
    hosts.write("");
    answer = only_ipv4;
    co_await until_reports(3);
  });
  EXPECT_EQ(addresses(reports[0]), Texts{"10.0.0.5:80"});
  EXPECT_EQ(addresses(reports[1]), Texts{"10.0.0.6:80"});
  EXPECT_EQ(addresses(reports[2]), (Texts{"10.0.0.1:80", "10.0.0.2:80"}));
}

TEST_F(ResolverTest, resolv_conf_names_servers_and_domains_and_is_read_again_when_it_has_changed) {
  const TemporaryFile resolv_conf;
  resolv_conf.write("nameserver 127.0.0.1\nsearch one.test\n");
  options.servers.clear();
  options.resolv_conf = resolv_conf.name();
  options.resolv_conf_port = dns.address().port;
  answer = [](const DnsAsked& asked) {
    if (asked.name == "web.one.test") return Messages{DnsReply(asked).a("10.0.0.1", 0).message()};
    if (asked.name == "web.other.test") return Messages{DnsReply(asked).a("10.0.0.2", 0).message()};
    return Messages{DnsReply(asked).code(DnsCode::no_such_name).message()};
  };
  run([&]() -> Task<void> {
    watch("web");
    co_await until_reports(1);
    EXPECT_EQ(addresses(reports[0]), Texts{"10.0.0.1:80"});
    resolv_conf.write("nameserver 127.0.0.1\nsearch other.test\n");
    co_await until([this] { return addresses(reports.back()) == Texts{"10.0.0.2:80"}; });
  });
}

TEST_F(ResolverTest, where_dns_servers_are_given_no_environment_variable_changes_a_name) {
  hosts.write("web alias.test\n");
  setenv("HOSTALIASES", hosts.name().c_str(), 1);
  setenv("LOCALDOMAIN", "one.test", 1);
  answer = both_families;
  look_up("web");
  unsetenv("HOSTALIASES");
  unsetenv("LOCALDOMAIN");
  EXPECT_EQ(dns.asked[0].name, "web");
}

TEST_F(ResolverTest, what_is_under_way_while_resolv_conf_changes_is_tried_again) {
  const TemporaryFile resolv_conf;
  resolv_conf.write("nameserver 127.0.0.1\n");
  options.servers.clear();
  options.resolv_conf = resolv_conf.name();
  options.resolv_conf_port = dns.address().port;
  answer = [](const DnsAsked&) { return Messages{}; };
  run([&]() -> Task<void> {
    watch("web.test");
    co_await until([this] { return dns.count("web.test") == 1; });
    resolv_conf.write("nameserver 127.0.0.1\n# changed\n");
    answer = both_families;
    watch("other.test");
    co_await until([this] { return !watches[0]->report().servers.empty() && !watches[1]->report().servers.empty(); });
  });
}

TEST_F(ResolverTest, a_watch_may_end_while_its_lookup_is_under_way) {
  answer = [](const DnsAsked& asked) { return asked.name == "other.test" ? both_families(asked) : Messages{}; };
  run([this]() -> Task<void> {
    watch("web.test");
    co_await until([this] { return dns.count("web.test") == 1; });
    watches.clear();
    watch("other.test");
    co_await until_reports(1);
  });
  EXPECT_EQ(reports.size(), 1U);
}

// Once answered by the file, within the timer's call, and once by DNS.
TEST_F(ResolverTest, a_sink_may_end_its_own_watch_and_begin_another) {
  answer = both_families;
  hosts.write("10.0.0.5 local.test\n");
  resolver.emplace(loop, options, 1);
  std::unique_ptr<NameWatch> own[2];
  for (const int i : {0, 1}) {
    own[i] = resolver->watch({.name = i == 0 ? "web.test" : "local.test", .port = 80},
                             [this, &own, i, text = std::string(100, 'x')](const NameReport& /*report*/) {
                               own[i].reset();
                               watch("other.test");
                               EXPECT_EQ(text, std::string(100, 'x'));  // it lives until it returns
                             });
  }
  run([this]() -> Task<void> { co_await until_reports(2); });
  EXPECT_FALSE(own[0] || own[1]);
}

}  // namespace resolver_test
}  // namespace steelyard
