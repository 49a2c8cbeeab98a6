// What is refused, with the exact words: they are what a user meets.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/load.hpp"

namespace steelyard::config {
namespace problems_test {

using Lines = std::vector<std::string>;

Lines problems(std::string_view text) {
  const auto loaded = load_text(text, "t");
  Lines lines;
  if (!loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(to_string(problem));
  }
  return lines;
}

// A file that is right but for `more`.
Lines problems_of(const std::string& more) {
  return problems("listeners: [{bind: 127.0.0.1:80}]\npools: {api: {servers: ['a:1']}}\n" + more);
}
Lines problems_of_pool(const std::string& pool) { return problems("listeners: [{bind: 127.0.0.1:80}]\npools:\n  api: " + pool + "\n"); }
Lines problems_of_route(const std::string& route) { return problems_of("routes:\n  - " + route + "\n"); }
Lines problems_of_bind(const std::string& bind) {
  return problems("listeners: [{bind: '" + bind + "'}]\npools: {api: {servers: ['a:1']}}\n");
}

TEST(Problems, unknown_keys_with_the_nearest) {
  EXPECT_EQ(problems_of("worker: 2\n"),
            Lines{"t:3:1: worker: found the unknown key \"worker\", allowed here is workers, spin, metrics, log, http, timeouts, "
                  "connections, forwarded, listeners, routes, pools, limits, stores, resolve or admin; did you mean \"workers\"?"});
  EXPECT_EQ(problems_of_pool("{servers: [{adress: 'a:1'}]}"),
            (Lines{"t:3:19: pools.api.servers[0]: \"address\" is missing, allowed is host:port such as \"10.0.0.5:8001\" or "
                   "\"app.internal:8001\": add it",
                   "t:3:20: pools.api.servers[0].adress: found the unknown key \"adress\", allowed here is address, weight, backup, "
                   "active_max, id, labels or public_url; "
                   "did you mean "
                   "\"address\"?"}));
  EXPECT_EQ(problems_of("log: {zebra: 1}\n"),
            Lines{"t:3:7: log.zebra: found the unknown key \"zebra\", allowed here is access, format or level"});
}

TEST(Problems, wrong_types) {
  EXPECT_EQ(problems_of("workers: '2'\n"),
            Lines{"t:3:10: workers: found the text \"2\", allowed is a whole number from 1 to 1024, or auto; leave out the quotes"});
  EXPECT_EQ(problems_of("workers: [2]\n"), Lines{"t:3:10: workers: found a list, allowed is a whole number from 1 to 1024, or auto"});
  EXPECT_EQ(problems_of("workers: 2.5\n"), Lines{"t:3:10: workers: found 2.5, allowed is a whole number from 1 to 1024, or auto"});
  EXPECT_EQ(problems_of("workers: aut\n"),
            Lines{"t:3:10: workers: found \"aut\", allowed is a whole number from 1 to 1024, or auto; did you mean \"auto\"?"});
  EXPECT_EQ(problems_of("workers: 02\n"), Lines{"t:3:10: workers: found 02, allowed is a whole number from 1 to 1024, or auto"});
  EXPECT_EQ(problems_of("metrics: yes\n"), Lines{"t:3:10: metrics: found \"yes\", allowed is true or false: write true"});
  EXPECT_EQ(problems_of("metrics: 'true'\n"), Lines{"t:3:10: metrics: found \"true\", allowed is true or false; leave out the quotes"});
  EXPECT_EQ(problems_of("log: stdout\n"), Lines{"t:3:6: log: found \"stdout\", allowed is a map of what is logged"});
  EXPECT_EQ(problems_of("http:\n"),
            Lines{"t:3:1: http: found nothing, allowed is a map of limits on HTTP messages; write {} for its defaults, or remove it"});
  EXPECT_EQ(problems_of_pool("5"), Lines{"t:3:8: pools.api: found 5, allowed is a map with the keys of a pool"});
  EXPECT_EQ(problems_of_pool("{servers: 'a:1'}"),
            Lines{"t:3:18: pools.api.servers: found \"a:1\", allowed is a list of servers, at least one"});
}

TEST(Problems, words_with_the_nearest) {
  EXPECT_EQ(problems_of_pool("{servers: ['a:1'], algorithm: least_conections}"),
            Lines{"t:3:38: pools.api.algorithm: found \"least_conections\", allowed is adaptive, round_robin, "
                  "least_connections, ip_hash, hash, random or fastest; did you "
                  "mean \"least_connections\"?"});
  EXPECT_EQ(problems_of("log: {level: warn}\n"),
            Lines{"t:3:14: log.level: found \"warn\", allowed is debug, info, warning or error; did you mean \"warning\"?"});
  EXPECT_EQ(problems_of("log: {access: sdtout}\n"), Lines{"t:3:15: log.access: found \"sdtout\", which is neither stdout nor off: write "
                                                          "\"./sdtout\" for a file of that name; did you mean \"stdout\"?"});
}

TEST(Problems, durations_and_sizes) {
  EXPECT_EQ(problems_of("timeouts: {idle: 30}\n"),
            Lines{"t:3:18: timeouts.idle: found 30, which needs a unit: write \"30s\" for seconds, or use ms, us, m or h"});
  EXPECT_EQ(problems_of("timeouts: {connect: unlimited}\n"),
            Lines{"t:3:21: timeouts.connect: found \"unlimited\", which is not a duration; allowed is a duration from 1ms to 720h"});
  EXPECT_EQ(problems_of("timeouts: {total: 800h}\n"),
            Lines{"t:3:19: timeouts.total: found \"800h\", allowed is a duration from 1ms to 720h, or unlimited"});
  EXPECT_EQ(problems_of("http: {head_bytes_max: 64k}\n"), Lines{"t:3:24: http.head_bytes_max: found \"64k\", which has no unit of size: "
                                                                "write a number of bytes, or use KiB, MiB, GiB, kB, MB or GB"});
  EXPECT_EQ(problems_of("http: {body_bytes_max: -1}\n"),
            Lines{"t:3:24: http.body_bytes_max: found -1, which is not a size; allowed is a size from 0 to 1024GiB, or unlimited"});
  EXPECT_EQ(problems_of("http: {head_bytes_max: 4KiB}\n"), Lines{"t:3:7: http: found request_line_bytes_max of 8KiB and head_bytes_max of "
                                                                 "4KiB, allowed is a request line no larger than the head: raise "
                                                                 "head_bytes_max"});
}

TEST(Problems, addresses_of_listeners) {
  EXPECT_EQ(problems_of_bind("0.0.0.0:0"),
            Lines{"t:1:20: listeners[0].bind: found \"0.0.0.0:0\", which has the port 0, allowed is a number from 1 to 65535"});
  EXPECT_EQ(problems_of_bind("0.0.0.0:65536"),
            Lines{"t:1:20: listeners[0].bind: found \"0.0.0.0:65536\", which has the port 65536, allowed is a number from 1 to 65535"});
  EXPECT_EQ(problems_of_bind("localhost:80"), Lines{"t:1:20: listeners[0].bind: found \"localhost:80\", which has no IP address: write "
                                                    "\"127.0.0.1:80\" to listen on this machine alone"});
  EXPECT_EQ(problems_of_bind(":80"),
            Lines{"t:1:20: listeners[0].bind: found \":80\", which has no IP address: write \"0.0.0.0:80\" to listen on every address"});
  EXPECT_EQ(problems_of_bind("*:80"),
            Lines{"t:1:20: listeners[0].bind: found \"*:80\", which has no IP address: write \"0.0.0.0:80\" to listen on every address"});
  EXPECT_EQ(problems_of_bind("::1"),
            Lines{"t:1:20: listeners[0].bind: found \"::1\", which is an IPv6 address without a port: write \"[::1]:8080\""});
}

TEST(Problems, addresses_of_servers_and_networks) {
  EXPECT_EQ(problems_of_pool("{servers: ['http://a:81/']}"),
            Lines{"t:3:19: pools.api.servers[0]: found \"http://a:81/\", which is a URL, allowed is host:port: write \"a:81\""});
  EXPECT_EQ(problems_of_pool("{servers: [{address: 'a:0'}]}"),
            Lines{"t:3:29: pools.api.servers[0].address: found \"a:0\", which has the port 0, allowed is a number from 1 to 65535"});
  EXPECT_EQ(problems_of_pool("{servers: [{address: 'a:1', weight: 1001}]}"),
            Lines{"t:3:44: pools.api.servers[0].weight: found 1001, allowed is a whole number from 0 to 1000"});
  EXPECT_EQ(problems_of("forwarded: {trusted_proxies: [10.0.0.1/8]}\n"),
            Lines{"t:3:31: forwarded.trusted_proxies[0]: found \"10.0.0.1/8\", which has a prefix that is too long or bits set beyond it; "
                  "allowed is a network such "
                  "as \"10.0.0.0/8\" or one IP address"});
}

TEST(Problems, what_is_there_twice) {
  EXPECT_EQ(problems_of("workers: 1\nworkers: 2\n"),
            Lines{"t:4:1: workers: the key is here a second time, allowed is once: the first is in line 3; remove one"});
  EXPECT_EQ(problems_of_pool("{servers: ['a:1', 'A:1']}"),
            Lines{"t:3:26: pools.api.servers[1]: found the server a:1 a second time, allowed is once in a pool: the first is in line 3; "
                  "give one of them more weight "
                  "instead"});
  EXPECT_EQ(problems_of_pool("{servers: [{address: 'a:1', id: x}, {address: 'a:2', id: x}]}"),
            Lines{"t:3:44: pools.api.servers[1]: found the id \"x\" a second time, allowed is once in a pool: the first is in line 3; "
                  "choose another"});
  EXPECT_EQ(problems("listeners: [{bind: 127.0.0.1:80}, {bind: 127.0.0.1:80}]\npools: {api: {servers: ['a:1']}}\n"),
            Lines{"t:1:35: listeners[1]: found a second listener on 127.0.0.1:80, allowed is one: the first is in line 1; remove one or "
                  "change its port"});
  EXPECT_EQ(
      problems_of(
          "routes:\n  - {pool: api, match: {host: A.x, method: [GET, PUT]}}\n  - {pool: api, match: {host: a.X, method: [PUT, GET]}}\n"),
      Lines{"t:5:5: routes[1]: found the same match as that of routes[0] in line 4, so this route would never be taken; change or remove "
            "one"});
  EXPECT_EQ(problems_of("routes:\n  - {pool: api, name: x, match: {path: /a}}\n  - {pool: api, name: x}\n"),
            Lines{"t:5:5: routes[1]: found the name \"x\" a second time, allowed is once: routes[0] in line 4 has it too; give this route "
                  "another name"});
}

TEST(Problems, what_is_missing) {
  EXPECT_EQ(problems("pools: {api: {servers: ['a:1']}}\n"),
            Lines{"t:1:1: \"listeners\" is missing, so nothing would be served: add \"listeners: [{bind: 0.0.0.0:8080}]\""});
  EXPECT_EQ(problems("listeners: []\npools: {api: {servers: ['a:1']}}\n"),
            Lines{"t:1:12: listeners: found an empty list, allowed is a list of listeners, at least one"});
  EXPECT_EQ(problems("listeners: [{bind: 127.0.0.1:80}]\n"),
            Lines{"t:1:1: \"pools\" is missing, so requests have nowhere to go: add \"pools: {app: {servers: ['127.0.0.1:8001']}}\""});
  EXPECT_EQ(problems("listeners: [{bind: 127.0.0.1:80}]\npools: {}\n"),
            Lines{"t:2:8: pools: found an empty map, allowed is a map of pools by name"});
  EXPECT_EQ(problems_of_pool("{servers: []}"),
            Lines{"t:3:18: pools.api.servers: found an empty list, allowed is a list of servers, at least one"});
  EXPECT_EQ(problems_of_pool("{}"), Lines{"t:3:8: pools.api: \"servers\" is missing, allowed is a list of servers, at least one: add it"});
  EXPECT_EQ(problems("listeners: [{bind: 127.0.0.1:80}]\npools: {a: {servers: ['a:1']}, b: {servers: ['a:1']}}\n"),
            Lines{"t:1:1: \"routes\" is missing, allowed is that with one pool only; add \"routes: [{match: {path: /*}, pool: a}]\""});
}

TEST(Problems, routes) {
  EXPECT_EQ(problems_of_route("{pool: ap}"),
            Lines{"t:4:12: routes[0].pool: found the pool \"ap\", which does not exist; allowed is api; did you mean \"api\"?"});
  EXPECT_EQ(
      problems_of_route("{pool: api, match: {path: v1}}"),
      Lines{"t:4:31: routes[0].match.path: path 'v1' must begin with '/'; allowed is a path such as /exact, /prefix/* or /users/*/posts"});
  EXPECT_EQ(problems_of_route("{pool: api, match: {method: get}}"),
            Lines{"t:4:33: routes[0].match.method: methods are case-sensitive: write 'GET', not 'get'; allowed is a method such as GET"});
  EXPECT_EQ(problems_of_route("{pool: api, match: {host: ''}}"),
            Lines{"t:4:31: routes[0].match.host: the host is empty: leave it out to match every host; allowed is a host such as "
                  "api.example.com or *.example.com"});
  EXPECT_EQ(problems_of_route("{pool: api, host: 'http://x'}"),
            Lines{"t:4:23: routes[0].host: found \"http://x\", which is not a host: leave out what stands before and after it; allowed is "
                  "client, server, or a host"});
}

TEST(Problems, are_one_printable_line) {
  EXPECT_EQ(problems_of_route("{pool: api, match: {path: \"/a\\n\\e\"}}"),
            Lines{"t:4:31: routes[0].match.path: path '/a\\n\\x1b': write what is not visible ASCII percent-encoded, "
                  "like '%20'; allowed is a path "
                  "such as /exact, /prefix/* or /users/*/posts"});
}

TEST(Problems, edits_of_headers) {
  EXPECT_EQ(problems_of_route("{pool: api, request_headers: {set: {Host: x}}}"),
            Lines{"t:4:41: routes[0].request_headers.set.Host: found the field \"Host\", which is set by the route's key \"host\": write "
                  "host: client, server or a name there"});
  EXPECT_EQ(problems_of_route("{pool: api, response_headers: {remove: [Content-Length]}}"),
            Lines{"t:4:45: routes[0].response_headers.remove[0]: found \"Content-Length\", which says where a message ends, which the "
                  "proxy alone decides: remove this edit; "
                  "allowed is a field name"});
  EXPECT_EQ(problems_of_route("{pool: api, request_headers: {add: {Connection: x}}}"),
            Lines{"t:4:41: routes[0].request_headers.add.Connection: found the field \"Connection\", which belongs to one connection, "
                  "which the proxy manages itself (RFC 9110 "
                  "§7.6.1): remove this edit"});
  EXPECT_EQ(problems_of_route("{pool: api, request_headers: {set: {'X A': x}}}"),
            Lines{"t:4:41: routes[0].request_headers.set.\"X A\": found the field \"X A\", which is not the name of a header field"});
  EXPECT_EQ(problems_of_route("{pool: api, request_headers: {set: {X-A: \"a\\r\\nX-B: c\"}}}"),
            Lines{"t:4:46: routes[0].request_headers.set.X-A: found \"a\\x0d\\nX-B: c\", which has a line break or NUL, which would end "
                  "the field; allowed is a text"});
  EXPECT_EQ(problems_of_route("{pool: api, request_headers: {set: {X-A: a, x-a: b}}}"),
            Lines{"t:4:49: routes[0].request_headers.set.x-a: found the field \"x-a\" a second time in other letters: case does not count "
                  "in field names; remove one"});
}

TEST(Problems, come_all_at_once_in_the_order_of_the_file) {
  EXPECT_EQ(problems("workers: x\nlisteners: [{bind: 1}]\npools: {a: {servers: [b], retries: {tries_max: 0}}}\n").size(), 4U);
  std::string many = "listeners: [{bind: 127.0.0.1:80}]\npools: {a: {servers: ['a:1']}}\n";
  for (int i = 0; i < 300; ++i) many += "key" + std::to_string(i) + ": 1\n";
  const Lines lines = problems(many);
  ASSERT_EQ(lines.size(), 201U);
  EXPECT_EQ(lines.back(), "t: 100 more problems are left out here");
}

TEST(FlatProblems, name_the_key_and_the_nearest) {
  EXPECT_EQ(problems(R"({"proxy_prot": 80, "backend_servers": [{"host": "a", "port": 1}]})"),
            Lines{"t:1:2: proxy_prot: found the unknown key \"proxy_prot\", allowed here is proxy_port, proxy_host, algorithm, "
                  "backend_servers, health_check_interval, "
                  "health_check_timeout, max_connections, connection_timeout, request_timeout, enable_logging or enable_metrics; did you "
                  "mean \"proxy_port\"?"});
  EXPECT_EQ(problems(R"({"backend_servers": [{"host": "a", "port": 65536}]})"),
            Lines{"t:1:44: backend_servers[0].port: found 65536, allowed is a whole number from 1 to 65535"});
  EXPECT_EQ(problems(R"({"backend_servers": [{"host": "a", "port": 1}], "request_timeout": "30s"})"),
            Lines{"t:1:68: request_timeout: found \"30s\", allowed is a number of seconds from 0.001 to 2592000; leave out the quotes"});
  EXPECT_EQ(problems(R"({"proxy_port": 80})"),
            Lines{"t:1:1: \"backend_servers\" is missing, allowed is a list of servers {host, port, weight}, at least one: add it"});
}

TEST(FlatProblems, mixing_spellings_says_so) {
  EXPECT_EQ(
      problems_of("algorithm: ip_hash\n"),
      Lines{"t:3:1: algorithm: found a key of the flat (LoadX) spelling, but \"listeners\" in line 1 is of the full one: a file keeps "
            "to one spelling; write `pools.NAME.algorithm` instead"});
  EXPECT_EQ(problems(R"({"proxy_port": 80, "backend_servers": [{"host": "a", "port": 1}], "log": {}})"),
            Lines{"t:1:67: log: found a key of the full spelling, but \"proxy_port\" in line 1 is of the flat (LoadX) one: a file keeps to "
                  "one spelling; run \"steelyard config "
                  "expand\" on the flat keys alone and add it there"});
}

TEST(Syntax, is_explained) {
  EXPECT_EQ(problems("pools:\n  a:\n\tservers: ['a:1']\n"), Lines{"t:3:1: found a tab in the indentation, allowed are spaces: replace it"});
  EXPECT_EQ(problems("listeners: [{bind: 127.0.0.1:80]\n"),
            Lines{"t:1:32: not valid YAML: found a '}' or ']' that does not close what is open"});
  EXPECT_EQ(
      problems("workers: 1\n metrics: true\n"),
      Lines{"t:2:9: not valid YAML: found a ':' where no value can begin: check the indentation, or put text with \": \" in it in quotes"});
  EXPECT_EQ(problems("metrics: [true]\n workers: 1\n"),
            Lines{"t:2:2: not valid YAML: found something that belongs to no key: check that the keys of a map begin in the same column"});
  EXPECT_EQ(problems("{\"workers\": 1 \"metrics\": true}"),
            Lines{"t:1:24: not valid JSON or YAML: found something else than ',' or '}' after an entry of {...}"});
  EXPECT_EQ(
      problems("workers: 1: 2\n"),
      Lines{
          "t:1:11: not valid YAML: found a ':' where no value can begin: check the indentation, or put text with \": \" in it in quotes"});
  EXPECT_EQ(problems("workers: \"1\n"), Lines{"t:1:12: not valid YAML: found no closing quote before the end of the file"});
}

TEST(Syntax, one_document_with_a_map) {
  const Lines empty{"t: the file is empty; allowed is a map with keys such as listeners and pools"};
  EXPECT_EQ(problems(""), empty);
  EXPECT_EQ(problems("# nothing\n"), empty);
  EXPECT_EQ(problems("hello\n"), Lines{"t:1:1: found \"hello\", allowed is a map with keys such as listeners and pools"});
  EXPECT_EQ(problems("[1]"), Lines{"t:1:1: found a list, allowed is a map with keys such as listeners and pools"});
  EXPECT_EQ(problems("workers: 1\n---\nworkers: 2\n"),
            Lines{"t:2:1: a second document begins here (after ---), allowed is one in a file: remove it or put it in a file of its own"});
}

TEST(Syntax, refuses_bytes_that_are_no_text) {
  EXPECT_EQ(problems(std::string_view("workers: \0 1\n", 13)), Lines{"t:1:10: found the control character 0x00: this is not a text file"});
  EXPECT_EQ(problems("workers: 1\n\x04pools: {}"), Lines{"t:2:1: found the control character 0x04: this is not a text file"});
  EXPECT_EQ(problems("a: \xe9\n"), Lines{"t:1:4: found the byte 0xe9, which is not UTF-8: save the file as UTF-8 text"});
  for (const char* text : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80",
                           "\xff\xfe"
                           "a"})
    EXPECT_FALSE(load_text(text, "t")) << text;
  EXPECT_EQ(problems("\xff\xfel\0"), Lines{"t:1:1: found the byte 0xff, which is not UTF-8: save the file as UTF-8 text"});
}

TEST(Syntax, refuses_aliases_and_tags) {
  const std::string anchor = "found an anchor (&name), which this file may not use: write the value out where it is needed";
  EXPECT_EQ(problems("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"), Lines{"t:1:4: " + anchor});
  EXPECT_EQ(problems("a: *a\n"), Lines{"t:1:4: not valid YAML: found an alias (*name), which this file may not use: write the value out"});
  EXPECT_EQ(problems("workers: !!int 1\n"), Lines{"t:1:10: found the tag \"!!int\", which this file may not use: remove it"});
}

TEST(Syntax, refuses_deep_nesting) {
  const auto repeat = [](std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  const std::string deep = "nested deeper than 32 levels, which no configuration needs";
  EXPECT_EQ(problems(repeat("[", 1'000'000)), Lines{"t:1:257: " + deep});
  EXPECT_EQ(problems(repeat("- ", 1'000'000)), Lines{"t:1:65: " + deep});
  EXPECT_EQ(problems(repeat("[", 40) + repeat("]", 40)), Lines{"t:1:33: " + deep});
  EXPECT_FALSE(load_text(repeat("{a: ", 100'000), "t"));
  EXPECT_FALSE(load_text(repeat("? ", 100'000), "t"));
}

TEST(Syntax, refuses_more_values_than_a_configuration_has) {
  std::string text = "workers: [";
  for (std::size_t i = 0; i <= nodes_max; ++i) text += "1,";
  EXPECT_EQ(problems(text + "]").at(0),
            "t:1:1000010: found more than 500000 values, which no configuration needs: is this the right file?");
}

TEST(Syntax, refuses_keys_that_are_no_text) {
  EXPECT_EQ(problems("? [a]\n: b\n"), Lines{"t:1:3: found a list or a map as a key: keys are text"});
  EXPECT_EQ(problems("{~: b}\n"), Lines{"t:1:2: found a key without text: keys are text"});
}

class Files : public ::testing::Test {
 protected:
  Files() {
    std::string pattern = (std::filesystem::temp_directory_path() / "steelyard-config-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~Files() override { std::filesystem::remove_all(directory_); }

  std::string path(const char* name) const { return directory_ / name; }
  static std::string problem(const std::string& path) {
    const auto loaded = load_file(path);
    return loaded ? "" : to_string(loaded.error().front());
  }

  std::filesystem::path directory_;
};

TEST_F(Files, missing) { EXPECT_EQ(problem(path("x.yaml")), path("x.yaml") + ": there is no such file: check the path"); }

TEST_F(Files, a_directory) { EXPECT_EQ(problem(directory_), directory_.string() + ": found a directory, allowed is a file in it"); }

TEST_F(Files, without_permission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::ofstream(path("x.yaml")) << "workers: 1\n";
  ::chmod(path("x.yaml").c_str(), 0);
  EXPECT_EQ(problem(path("x.yaml")), path("x.yaml") + ": this user may not read it: change its permissions or its owner");
}

TEST_F(Files, far_too_large) {
  std::ofstream(path("x.yaml")) << "workers: 1\n";
  std::filesystem::resize_file(path("x.yaml"), 50'000'000);
  EXPECT_EQ(problem(path("x.yaml")), path("x.yaml") + ": is larger than 8 MiB, which no configuration is: is this the right file?");
}

TEST_F(Files, without_end) {
  EXPECT_EQ(problem("/dev/zero"), "/dev/zero: is larger than 8 MiB, which no configuration is: is this the right file?");
}

TEST_F(Files, problems_begin_with_the_path) {
  std::ofstream(path("x.yaml")) << "[]\n";
  EXPECT_EQ(problem(path("x.yaml")), path("x.yaml") + ":1:1: found a list, allowed is a map with keys such as listeners and pools");
}

}  // namespace problems_test
}  // namespace steelyard::config
