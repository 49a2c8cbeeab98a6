#include "app/event_reader.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace event_reader_test {

constexpr std::string_view stream =
    "retry: 1000\n\n"
    "event: server_state\nid: 17\ndata: {\"pool\":\"app\",\"id\":\"a:1\",\"state\":\"unhealthy\",\"reason\":\"connection "
    "refused\",\"up\":false,"
    "\"at_unix_ms\":1795290344824}\n\n"
    ":\n\n"
    "event: draining\nid: 18\ndata: {}\n\n"
    "event: half\nid: 19\ndata: {";

TEST(EventReader, events_are_the_same_in_one_part_and_byte_by_byte) {
  EventReader whole;
  const auto events = whole.take(stream);
  ASSERT_EQ(events.size(), 2U);
  EventReader bytewise;
  std::vector<AdminEvent> again;
  for (const char c : stream) {
    for (auto& event : bytewise.take({&c, 1})) again.push_back(event);
  }
  ASSERT_EQ(again.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(event_json(events[i]), event_json(again[i]));
    EXPECT_EQ(events[i].id, i == 0 ? "17" : "18");
  }
}

TEST(EventReader, a_line_for_people) {
  EventReader reader;
  const auto events = reader.take(stream);
  EXPECT_EQ(event_line(events[0]), "2026-11-21T19:45:44.824Z server_state app/a:1 state=unhealthy reason=\"connection refused\" up=false");
  EXPECT_EQ(event_line(events[1]), "draining");
}

TEST(EventReader, an_object_for_programs) {
  EventReader reader;
  const auto events = reader.take(stream);
  EXPECT_EQ(event_json(events[0])["event_id"], 17);
  EXPECT_EQ(event_json(events[0])["data"]["id"], "a:1");
  EXPECT_EQ(event_json({"x", "", nullptr})["event_id"], nullptr);
}

TEST(EventReader, what_is_no_json_and_control_characters_do_no_harm) {
  EventReader reader;
  const auto events = reader.take("event: x\ndata: {\"a\\u001bb\": \"\\u001b[2J\"}\n\nevent: y\ndata: nonsense\n\n");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(event_line(events[0]).find('\x1b'), std::string::npos);
  EXPECT_EQ(event_line(events[1]), "y");
}

}  // namespace event_reader_test
}  // namespace steelyard
