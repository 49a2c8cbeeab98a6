// Replays tests/corpus at the level of the codecs: heads, framing, paths and chunks of a whole connection, read one after the
// other as a session would. What only sockets can show is left to the end-to-end tests.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "replay.hpp"
#include "wire/http/path.hpp"
#include "wire/http1/chunked_decoder.hpp"

namespace steelyard::http1 {
namespace corpus_test {

using nlohmann::json;

// Characters of the corpus are bytes.
std::string bytes_of(const std::string& utf8) {
  std::string bytes;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    bytes += c < 0x80 ? utf8[i] : static_cast<char>((c & 3U) << 6U | (static_cast<unsigned char>(utf8[++i]) & 0x3fU));
  }
  return bytes;
}

std::string raw_of(const json& item) {
  if (!item.contains("parts")) return bytes_of(item.at("raw").get<std::string>());
  std::string bytes;
  for (const json& part : item.at("parts")) bytes += bytes_of(part.at(0).get<std::string>());
  return bytes;
}

std::vector<json> load(const char* file) {
  std::ifstream stream(std::string(TESTS_DIR) + "/corpus/" + file);
  return json::parse(stream).get<std::vector<json>>();
}

struct Body {
  enum class End { complete, incomplete, refused } end = End::complete;
  std::string bytes;
  std::size_t consumed = 0;
};

// `step`: how many bytes arrive at once; 0 for all.
Body read_body(std::string_view rest, const http::BodyFraming& framing, std::size_t step) {
  switch (framing.kind) {
    case http::BodyKind::none: return {};
    case http::BodyKind::until_close: return {Body::End::complete, std::string(rest), rest.size()};
    case http::BodyKind::length: {
      const std::size_t count = std::min<std::uint64_t>(framing.length, rest.size());
      return {count == framing.length ? Body::End::complete : Body::End::incomplete, std::string(rest.substr(0, count)), count};
    }
    case http::BodyKind::chunked: break;
  }
  Body body;
  body.end = Body::End::incomplete;
  ChunkedDecoder decoder;
  while (body.consumed < rest.size()) {
    auto buffer = copy_of(rest.substr(body.consumed, step == 0 ? std::string_view::npos : step));
    const auto taken = decoder.decode(buffer);
    if (!taken) {
      body.end = Body::End::refused;
      return body;
    }
    body.bytes.append(buffer.data(), taken->payload);
    body.consumed += taken->consumed;
    if (!taken->done) continue;
    body.end = Body::End::complete;
    return body;
  }
  return body;
}

// Calls the parser with more and more bytes until it has an opinion.
template <typename Head, typename Parse>
Parsed<Head> parse_in_steps(std::string_view rest, std::size_t step, Parse parse) {
  std::vector<std::size_t> ends;
  for (std::size_t end = step; step != 0 && end < rest.size(); end += step) ends.push_back(end);
  ends.push_back(rest.size());
  return parse_in_pieces<Head>(rest, ends, parse);
}

struct Connection {
  int accepted = 0;  // requests that are whole and may be forwarded
  bool refused = false;
  std::string first_body;
  std::string first_path;

  friend bool operator==(const Connection&, const Connection&) = default;
};

Connection read_requests(std::string_view bytes, std::size_t step) {
  Connection connection;
  while (!bytes.empty()) {
    const auto parsed = parse_in_steps<http::RequestHead>(
        bytes, step, [](std::string_view seen, ScanState& scan, http::RequestHead& head) { return parse_request(seen, scan, {}, head); });
    connection.refused = !parsed.taken;
    if (!parsed.accepted()) return connection;
    std::vector<char> buffer(parsed.head->path.size());
    const auto path = http::normalize_path(parsed.head->path, buffer);
    const Body body = read_body(bytes.substr(*parsed.taken), parsed.head->body, step);
    connection.refused = !path || body.end == Body::End::refused;
    if (connection.refused || body.end == Body::End::incomplete) return connection;
    if (++connection.accepted == 1) {
      connection.first_body = body.bytes;
      connection.first_path = *path;
    }
    if (!parsed.head->keep_alive) return connection;
    bytes.remove_prefix(*parsed.taken + body.consumed);
  }
  return connection;
}

TEST(Corpus, requests_come_out_as_strictly_as_expected) {
  // Well-formed: a proxy refuses the method, not the codec.
  const std::set<std::string> refused_above = {"rl-trace"};
  const auto cases = load("http1_requests.json");
  ASSERT_GT(cases.size(), 200U);
  for (const json& item : cases) {
    const std::string name = item.at("name");
    const std::string raw = raw_of(item);
    const Connection connection = read_requests(raw, 0);
    EXPECT_EQ(read_requests(raw, 1), connection) << name;
    const std::string expected = item.at("strict_expect");
    if (expected == "reject" && !refused_above.contains(name)) {
      EXPECT_TRUE(connection.refused) << name;
    } else if (expected == "accept") {
      EXPECT_FALSE(connection.refused) << name;
      EXPECT_EQ(connection.accepted, item.at("backend_max").get<int>()) << name;
    }
    if (expected == "accept" && item.contains("backend_requests") && item["backend_requests"].at(0).contains("body")) {
      EXPECT_EQ(connection.first_body, bytes_of(item["backend_requests"][0]["body"].get<std::string>())) << name;
    }
    if (expected == "reject" || !item.contains("if_forwarded") || !item["if_forwarded"].is_object() || connection.accepted == 0) continue;
    if (item["if_forwarded"].contains("body")) {
      EXPECT_EQ(connection.first_body, item["if_forwarded"]["body"].get<std::string>()) << name;
    }
  }
}

TEST(Corpus, nothing_reaches_a_denied_prefix_under_another_spelling) {
  int judged = 0;
  for (const json& item : load("http1_requests.json")) {
    if (!item.contains("deny_prefix")) continue;
    ++judged;
    const Connection connection = read_requests(raw_of(item), 0);
    if (connection.accepted == 0) continue;
    const std::string prefix = item["deny_prefix"];
    const std::string path = connection.first_path;
    // The rule sees the prefix, or nothing in the path could still be turned into it.
    EXPECT_TRUE(path.starts_with(prefix) || path.find("private") == std::string::npos) << item.at("name") << ": " << path;
  }
  EXPECT_GT(judged, 5);
}

enum class Outcome { forward, refused, truncated };

Outcome read_response(std::string_view bytes, http::Method method, std::size_t step, bool offered_upgrade) {
  while (true) {
    const auto parsed = parse_in_steps<http::ResponseHead>(
        bytes, step,
        [&](std::string_view seen, ScanState& scan, http::ResponseHead& head) { return parse_response(seen, scan, {}, method, head); });
    if (!parsed.accepted()) return Outcome::refused;
    if (parsed.head->status == 101) return offered_upgrade ? Outcome::forward : Outcome::refused;
    bytes.remove_prefix(*parsed.taken);
    if (parsed.head->status < 200) continue;
    return read_body(bytes, parsed.head->body, step).end == Body::End::complete ? Outcome::forward : Outcome::truncated;
  }
}

TEST(Corpus, responses_come_out_as_strictly_as_expected) {
  const auto cases = load("http1_responses.json");
  ASSERT_GT(cases.size(), 70U);
  for (const json& item : cases) {
    const std::string name = item.at("name");
    const std::string raw = raw_of(item);
    const http::Method method = item.at("request") == "HEAD" ? http::Method::head : http::Method::get;
    const bool upgrade = item.at("request") == "WS";
    const Outcome outcome = read_response(raw, method, 0, upgrade);
    EXPECT_EQ(read_response(raw, method, 1, upgrade), outcome) << name;
    const std::string expected = item.at("strict_expect");
    if (expected == "forward" || expected == "forward-no-body" || expected == "tunnel") {
      EXPECT_EQ(outcome, Outcome::forward) << name;
    } else if (expected == "502" || expected == "truncate-close") {
      EXPECT_NE(outcome, Outcome::forward) << name;
    }
  }
}

}  // namespace corpus_test
}  // namespace steelyard::http1
