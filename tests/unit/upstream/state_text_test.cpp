// What outlives a restart as text: all of it comes back, and nothing else does.
#include "upstream/state_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace steelyard {
namespace state_text_test {

RegistryState full_state() {
  const ServerOptions plain{.id = "a", .host = "10.0.0.1", .port = 80};
  const ServerOptions rich{.id = "b[1]:\"",
                           .host = "app.internal",
                           .port = 65535,
                           .weight = 1000,
                           .backup = true,
                           .active_max = 7,
                           .labels = {{"zone",
                                       "stra\xc3\x9f"
                                       "e"},
                                      {"quote\"d", "\\"}},
                           .public_url = "https://b.example.com:8443"};
  RegistryState state;
  state.revision = 99;
  auto& app = state.pools["app"];
  app.added["a"] = {.options = plain, .revision = 3};
  app.added[rich.id] = {.options = rich,
                        .drained = true,
                        .forced = ForcedHealth::down,
                        .lease = RegistryState::SavedLease{1500ms + 1ns, 1'700'000'000'123, "token"},
                        .revision = 4};
  app.changed["a"] = {.configured = plain, .change = {}, .removed = true, .revision = 5};
  app.changed[rich.id] = {.configured = rich,
                          .change = {.weight = 0,
                                     .backup = false,
                                     .active_max = std::optional<std::uint32_t>{},
                                     .labels = std::map<std::string, std::string>{},
                                     .public_url = "",
                                     .drained = false,
                                     .forced = ForcedHealth::up},
                          .revision = 6};
  auto& other = state.pools["an other"];
  ServerOptions third = plain;
  third.id = "c";
  other.changed["c"] = {.configured = third, .change = {.active_max = 3}, .revision = 7};
  return state;
}

std::string content_of(const std::string& text) {
  const std::size_t begin = text.find(R"("state":)") + 8;
  return text.substr(begin, text.size() - begin - 2);
}

TEST(StateText, all_of_it_comes_back) {
  const RegistryState state = full_state();
  const std::string text = spell_state(state);
  const auto again = parse_state(text);
  ASSERT_TRUE(again) << again.error();
  EXPECT_TRUE(*again == state);
  EXPECT_EQ(spell_state(*again), text);
  EXPECT_TRUE(parse_state(spell_state({}))->pools.empty());
}

TEST(StateText, is_json) {
  const auto json = nlohmann::json::parse(spell_state(full_state()));
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["state"]["revision"], 99);
  EXPECT_EQ(json["state"]["pools"].size(), 2U);
  EXPECT_EQ(spell_state(full_state()), frame_state(content_of(spell_state(full_state()))));
}

TEST(StateText, refuses_it_cut_short_anywhere) {
  const std::string text = spell_state(full_state());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto state = parse_state(text.substr(0, size));
    ASSERT_FALSE(state) << size;
    EXPECT_FALSE(state.error().empty());
  }
  EXPECT_FALSE(parse_state(text + "x"));
  EXPECT_FALSE(parse_state(text + text));
}

TEST(StateText, refuses_each_byte_changed) {
  const std::string text = spell_state(full_state());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const int bit : {0, 3, 7}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      ASSERT_FALSE(parse_state(damaged)) << i;
    }
  }
}

TEST(StateText, says_that_a_newer_version_is_newer) {
  std::string text = spell_state({});
  text.replace(text.find("1"), 1, "27");
  EXPECT_EQ(parse_state(text).error(), "has version 27, and this program reads version 1");
  EXPECT_FALSE(parse_state(R"({"version":})"));
  EXPECT_FALSE(parse_state(R"({"version":99999999999999999999,)"));
  EXPECT_FALSE(parse_state("{}"));
  EXPECT_FALSE(parse_state("pools:\n  app: {}\n"));
}

TEST(StateText, refuses_content_that_fits_its_checksum_and_nothing_else) {
  const std::string good = content_of(spell_state(full_state()));
  ASSERT_TRUE(parse_state(frame_state(good)));
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = good;
    const std::size_t place = changed.find(from);
    EXPECT_NE(place, std::string::npos) << from;
    changed.replace(place, from.size(), to);
    return changed;
  };
  for (const std::string& content : {
           with(R"("port":80)", R"("port":0)"),
           with(R"("port":80)", R"("port":65536)"),
           with(R"("port":80)", R"("port":-80)"),
           with(R"("port":80)", R"("port":80.0)"),
           with(R"("port":80)", R"("port":"80")"),
           with(R"("port":80)", R"("port":1e400)"),
           with(R"("port":80)", R"("port":18446744073709551615)"),
           with(R"("port":80)", R"("port":99999999999999999999999999)"),
           with(R"("port":80)", R"("port":[])"),
           with(R"("port":80)", R"("port":80,"port":81)"),
           with(R"("port":80)", R"("port":80,"extra":1)"),
           with(R"("port":80,)", ""),
           with(R"("weight":1000)", R"("weight":1001)"),
           with(R"("revision":99)", R"("revision":9007199254740993)"),
           with(R"("drained":true)", R"("drained":1)"),
           with(R"("forced":"down")", R"("forced":"sideways")"),
           with(R"("expires_unix_ms":1700000000123)", R"("expires_unix_ms":9223372036854775807)"),
           with(R"("length_ns":1500000001)", R"("length_ns":0)"),
           with(R"("length_ns":1500000001)", R"("length_ns":9223372036854775807)"),
           with(R"("id":"b[1]:\"")", R"("id":"a")"),
           with(R"("id":"a")", R"("id":"")"),
           with(R"("name":"an other")", R"("name":"app")"),
           with(R"("zone":"straße")", R"("zone":{})"),
           with(R"("zone":"straße")", R"("zone":"a","zone":"b")"),
           with("stra\xc3\x9f", "stra\xff"),
           std::string("null"),
           std::string("[]"),
           std::string("{}"),
           std::string(""),
           std::string("1"),
           std::string(R"({"pools":{},"revision":1})"),
           std::string(R"({"pools":[1],"revision":1})"),
           std::string(R"({"pools":[{}],"revision":1})"),
       }) {
    EXPECT_FALSE(parse_state(frame_state(content))) << content;
  }
}

TEST(StateText, depth_is_bounded) {
  constexpr std::size_t depth = 2'000'000;
  EXPECT_FALSE(parse_state(frame_state(std::string(depth, '['))));
  EXPECT_FALSE(parse_state(frame_state(std::string(depth, '[') + std::string(depth, ']'))));
  std::string objects;
  for (std::size_t i = 0; i < depth; ++i) objects += R"({"a":)";
  EXPECT_FALSE(parse_state(frame_state(objects + "1" + std::string(depth, '}'))));
}

}  // namespace state_text_test
}  // namespace steelyard
