// A stream of server-sent events (WHATWG HTML §9.2.6) as it comes in parts: the events in it, and how one is shown. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/admin_call.hpp"

namespace steelyard {

struct AdminEvent {
  std::string type{};
  std::string id{};  // empty: it has none
  AdminJson data{};
};

class EventReader {
 public:
  // The events that are complete with this part.
  std::vector<AdminEvent> take(std::string_view part);

 private:
  void take_line(std::string_view line, std::vector<AdminEvent>& events);

  std::string line_;  // that is not complete yet
  std::string type_;
  std::string id_;
  std::string data_;
};

// "2026-11-21T19:40:12.823Z server_state app/10.0.0.7:8001 state=unhealthy reason="connection refused" up=false"
[[nodiscard]] std::string event_line(const AdminEvent& event);
[[nodiscard]] AdminJson event_json(const AdminEvent& event);

}  // namespace steelyard
