// What a request head may look like, and what it may not.
#include <gtest/gtest.h>

#include "replay.hpp"

namespace steelyard::http1 {
namespace parse_request_test {

using http::Method;
using http::TargetForm;

TEST(ParseRequest, takes_a_plain_get) {
  const auto parsed = request("GET /a/b?c=d HTTP/1.1\r\nHost: a.test:80\r\nX-Empty:\r\nX-Blank:\t v \t\r\n\r\n");
  ASSERT_TRUE(parsed.accepted());
  const http::RequestHead& head = *parsed.head;
  EXPECT_EQ(*parsed.taken, parsed.bytes.size());
  EXPECT_EQ(head.method, Method::get);
  EXPECT_EQ(head.target, "/a/b?c=d");
  EXPECT_EQ(head.form, TargetForm::origin);
  EXPECT_EQ(head.authority, "a.test:80");
  EXPECT_EQ(head.path, "/a/b");
  EXPECT_EQ(head.query, "c=d");
  EXPECT_TRUE(head.has_query);
  EXPECT_EQ(head.version_minor, 1);
  ASSERT_EQ(head.fields.size(), 3U);
  EXPECT_EQ(head.fields.all()[0].id, http::FieldName::host);
  EXPECT_EQ(head.fields.all()[1].value, "");
  EXPECT_EQ(head.fields.all()[2].value, "v");
}

TEST(ParseRequest, stops_at_the_end_of_the_head) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const auto parsed = request(head + "GET /next HTTP/1.1\r\n\x01");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(*parsed.taken, head.size());
}

TEST(ParseRequest, forgets_the_request_before) {
  auto head = std::make_unique<http::RequestHead>();
  ScanState first;
  ASSERT_TRUE(parse_request("POST http://a/x?y HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\n", first, {}, *head));
  ScanState second;
  ASSERT_TRUE(parse_request("GET / HTTP/1.1\r\nHost: b\r\n\r\n", second, {}, *head));
  EXPECT_EQ(head->authority, "b");
  EXPECT_EQ(head->path, "/");
  EXPECT_FALSE(head->has_query);
  EXPECT_TRUE(head->query.empty());
  EXPECT_EQ(head->body.kind, http::BodyKind::none);
  EXPECT_FALSE(head->has_content_length);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_EQ(head->fields.size(), 1U);
}

TEST(ParseRequest, knows_the_methods_by_their_case) {
  const auto method = [](std::string_view name) { return request(std::string(name) + " / HTTP/1.1\r\nHost: a\r\n\r\n").head->method; };
  EXPECT_EQ(method("HEAD"), Method::head);
  EXPECT_EQ(method("POST"), Method::post);
  EXPECT_EQ(method("PUT"), Method::put);
  EXPECT_EQ(method("DELETE"), Method::delete_);
  EXPECT_EQ(method("OPTIONS"), Method::options);
  EXPECT_EQ(method("PATCH"), Method::patch);
  EXPECT_EQ(method("TRACE"), Method::trace);
  EXPECT_EQ(method("get"), Method::other);
  EXPECT_EQ(method("PROPFIND"), Method::other);
}

TEST(ParseRequest, refuses_methods_that_are_too_long) {
  EXPECT_TRUE(request(std::string(32, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n").accepted());
  EXPECT_EQ(request(std::string(33, 'M') + " / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 501);
}

TEST(ParseRequest, refuses_malformed_request_lines) {
  for (const std::string_view line : {"",
                                      "GET",
                                      "GET /",
                                      "GET  / HTTP/1.1",
                                      "GET /  HTTP/1.1",
                                      " GET / HTTP/1.1",
                                      "GET / HTTP/1.1 ",
                                      "GET\t/ HTTP/1.1",
                                      "/ HTTP/1.1",
                                      "GET HTTP/1.1",
                                      "G{}T / HTTP/1.1",
                                      "GET / http/1.1",
                                      "GET / HTTP/11",
                                      "GET / HTTP/1.1.1",
                                      "GET / HTTP/1.10",
                                      "GET / HTTP/-1.1",
                                      "GET / HTTP /1.1",
                                      "GET / ICY/1.1",
                                      "GET a HTTP/1.1",
                                      "GET ?a HTTP/1.1",
                                      "GET a.test:80 HTTP/1.1",
                                      "GET * HTTP/1.1",
                                      "GET /a#b HTTP/1.1",
                                      "GET /a\\b HTTP/1.1",
                                      "GET /a\xc3\xa9 HTTP/1.1",
                                      "GET /\x7f HTTP/1.1",
                                      "GET /a\"b HTTP/1.1",
                                      "GET /<b> HTTP/1.1",
                                      "GET /?a#b HTTP/1.1",
                                      "GET /?a b HTTP/1.1",
                                      "GET /?\xff HTTP/1.1"}) {
    EXPECT_EQ(request(std::string(line) + "\r\nHost: a.test\r\n\r\n").status(), 400) << line;
  }
}

TEST(ParseRequest, takes_what_browsers_leave_unencoded) {
  EXPECT_TRUE(request("GET /a[1]|b?c[]={d}|^`\\ HTTP/1.1\r\nHost: a\r\n\r\n").accepted());
}

TEST(ParseRequest, treats_higher_minor_versions_as_1_1_and_refuses_other_majors) {
  const auto higher = request("GET / HTTP/1.2\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(higher.accepted());
  EXPECT_EQ(higher.head->version_minor, 1);
  for (const std::string_view version : {"HTTP/2.0", "HTTP/0.9", "HTTP/3.0"}) {
    EXPECT_EQ(request("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n").status(), 505) << version;
  }
  EXPECT_EQ(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status(), 505);
}

TEST(ParseRequest, reads_absolute_targets) {
  const auto parsed = request("GET hTTp://A.test:81/x?y HTTP/1.1\r\nHost: a.TEST:81\r\n\r\n");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(parsed.head->form, TargetForm::absolute);
  EXPECT_EQ(parsed.head->authority, "A.test:81");
  EXPECT_EQ(parsed.head->path, "/x");
  EXPECT_EQ(parsed.head->query, "y");
  EXPECT_EQ(request("GET https://a HTTP/1.1\r\nHost: a\r\n\r\n").head->path, "/");
  EXPECT_EQ(request("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n").head->path, "/");
  EXPECT_EQ(request("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n").head->path, "*");
  EXPECT_EQ(request("GET http://a/ HTTP/1.0\r\n\r\n").head->authority, "a");
}

TEST(ParseRequest, refuses_absolute_targets_that_could_mean_two_hosts) {
  for (const std::string_view target :
       {"http://b/", "http://u@a/", "http:///a", "http:a/", "http://a#b", "ftp://a/", "file:///a", "http://"}) {
    EXPECT_EQ(request("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n").status(), 400) << target;
  }
  EXPECT_EQ(request("GET http://a/ HTTP/1.1\r\n\r\n").status(), 400);
}

TEST(ParseRequest, reads_authority_targets_of_connect_only) {
  const auto parsed = request("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(parsed.head->method, Method::connect);
  EXPECT_EQ(parsed.head->form, TargetForm::authority);
  EXPECT_EQ(parsed.head->authority, "a.test:443");
  for (const std::string_view target : {"/", "a.test", "http://a.test:443/", "*"}) {
    EXPECT_EQ(request("CONNECT " + std::string(target) + " HTTP/1.1\r\nHost: a.test:443\r\n\r\n").status(), 400) << target;
  }
}

TEST(ParseRequest, reads_the_asterisk_of_options) {
  const auto parsed = request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(parsed.head->form, TargetForm::asterisk);
  EXPECT_EQ(parsed.head->path, "*");
}

TEST(ParseRequest, demands_one_valid_host) {
  EXPECT_EQ(request("GET / HTTP/1.1\r\n\r\n").status(), 400);
  EXPECT_TRUE(request("GET / HTTP/1.0\r\n\r\n").accepted());
  EXPECT_EQ(request("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").status(), 400);
  EXPECT_EQ(get_with("Host: a.test\r\n").status(), 400);
  EXPECT_EQ(get_with("hOST: b.test\r\n").status(), 400);
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost:\r\n\r\n").status(), 400);
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n").status(), 400);
}

TEST(ParseRequest, refuses_line_ends_other_than_crlf) {
  EXPECT_EQ(request("GET / HTTP/1.1\nHost: a\n\n").status(), 400);
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\n\r\n").status(), 400);
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\r\n\n").status(), 400);
  EXPECT_EQ(request("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n").status(), 400);
  EXPECT_EQ(get_with("X: a\rb\r\n").status(), 400);
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\r\n\rX").status(), 400);
}

TEST(ParseRequest, refuses_control_characters_anywhere) {
  for (unsigned c = 0; c < 0x80; ++c) {
    if ((c >= 0x20 && c != 0x7f) || c == '\t') continue;
    const std::string control(1, static_cast<char>(c));
    EXPECT_EQ(get_with("X: a" + control + "b\r\n").status(), 400) << c;
    EXPECT_EQ(get_with("X" + control + "A: b\r\n").status(), 400) << c;
  }
  EXPECT_TRUE(get_with("X: caf\xc3\xa9 \xff\r\n").accepted());
}

TEST(ParseRequest, refuses_malformed_field_lines) {
  for (const std::string_view line : {" X: folded", "\tX: folded", ": a", ":", "no colon", "nocolon", "X : a", "X\t: a", "X Y: a", "X/Y: a",
                                      "X(Y): a", "\"X\": a", "X\xe9: a", ":path: /", "X@: a"}) {
    EXPECT_EQ(get_with(std::string(line) + "\r\n").status(), 400) << line;
  }
  EXPECT_TRUE(get_with("!#$%&'*+-.^_`|~09aZ: x\r\n").accepted());
}

TEST(ParseRequest, skips_one_empty_line_and_no_more) {
  const std::string line = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const auto parsed = request("\r\n" + line);
  ASSERT_TRUE(parsed.accepted());
  EXPECT_EQ(*parsed.taken, line.size() + 2);
  EXPECT_EQ(request("\r\n\r\n" + line).status(), 400);
  EXPECT_EQ(request("\n" + line).status(), 400);
}

TEST(ParseRequest, waits_for_the_rest) {
  const auto parsed = request("GET / HTTP/1.1\r\nHost: a\r\n\r");
  ASSERT_TRUE(parsed.taken.has_value());
  EXPECT_EQ(*parsed.taken, 0U);
}

TEST(ParseRequest, tells_other_protocols_early) {
  EXPECT_EQ(request("\x16\x03\x01").status(), 400);
  EXPECT_EQ(request("{").status(), 400);
  EXPECT_EQ(request("*1\r\n$4").status(), 400);
  EXPECT_EQ(request("SSH-2.0-x\r\n").status(), 400);
}

TEST(ParseRequest, refuses_heads_beyond_the_limits_before_their_end) {
  http::HeadLimits limits{.request_line_bytes_max = 20, .head_bytes_max = 100, .field_count_max = 3};
  EXPECT_TRUE(request("GET /567 HTTP/1.1 HTTP/1.1", limits).taken.error().status == 414);
  EXPECT_TRUE(request("GET /56789a HTTP/1.1\r\nHost: a\r\n\r\n", limits).accepted());
  EXPECT_EQ(request("GET /56789ab HTTP/1.1\r\nHost: a\r\n\r\n", limits).status(), 414);
  EXPECT_EQ(request("GET /" + std::string(18, 'a'), limits).status(), 414);
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(72, 'x'), limits).status(), 431);
  EXPECT_TRUE(request("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(68, 'x') + "\r\n\r\n", limits).accepted());
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(69, 'x') + "\r\n\r\n", limits).status(), 431);
  EXPECT_TRUE(request("GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\n\r\n", limits).accepted());
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\r\nA:\r\nB:\r\nC:\r\n", limits).status(), 431);
}

TEST(ParseRequest, keeps_to_the_bound_of_the_model) {
  std::string lines;
  for (unsigned i = 0; i < http::field_count_max; ++i) lines += "A:\r\n";
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
  const auto parsed =
      parse_in_pieces<http::RequestHead>(bytes, {bytes.size()}, [](std::string_view seen, ScanState& scan, http::RequestHead& head) {
        return parse_request(seen, scan, {.field_count_max = 1'000'000}, head);
      });
  EXPECT_EQ(parsed.status(), 431);
}

TEST(ParseRequest, does_not_scan_again_what_it_has_seen) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1000, 'x');
  ScanState scan;
  auto head = std::make_unique<http::RequestHead>();
  ASSERT_TRUE(parse_request(bytes, scan, {}, *head));
  EXPECT_EQ(scan.offset, bytes.size());
  EXPECT_EQ(scan.line_start, bytes.find("X: "));
}

TEST(ParseRequest, marks_fields_that_alias_known_names) {
  const auto parsed = get_with("X_Forwarded_For: 1.2.3.4\r\nContent_Length: 5\r\nX_Other: a\r\n");
  ASSERT_TRUE(parsed.accepted());
  EXPECT_TRUE(field_of(parsed, "X_Forwarded_For")->hop_by_hop);
  EXPECT_TRUE(field_of(parsed, "Content_Length")->hop_by_hop);
  EXPECT_FALSE(field_of(parsed, "X_Other")->hop_by_hop);
  EXPECT_EQ(parsed.head->body.kind, http::BodyKind::none);
}

}  // namespace parse_request_test
}  // namespace steelyard::http1
