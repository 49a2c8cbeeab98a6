// An answer of the admin API as a value, and what is the same in all of them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "admin/access.hpp"
#include "admin/control.hpp"
#include "session/exchange.hpp"
#include "session/head_builder.hpp"

namespace steelyard::admin {

struct Answer {
  int status = 200;
  std::string body{};
  std::string_view type = "application/json";
  std::string fields{};  // further lines of the head, each with its end
};

[[nodiscard]] Answer answer_json(int status, const Json& body);
// {"error": {"code", "message", "field"}}; `field` is left out where it is empty.
[[nodiscard]] Answer answer_problem(int status, std::string_view code, std::string_view message, std::string_view field = "");
[[nodiscard]] Answer answer_refusal(const Refusal& refusal);
[[nodiscard]] Answer answer_denied(const Denied& denied);
// All problems of a configuration, or of a request's body.
[[nodiscard]] Answer answer_problems(std::string_view code, const Problems& problems);

[[nodiscard]] std::string to_text(const Json& json);

// How long the body is: known, or not, as of a stream of events.
enum class Coding : std::uint8_t { length, chunked, until_close };
// Decides too whether the connection goes on.
void write_answer_head(HeadBuilder& out, Exchange& exchange, const Answer& answer, Coding coding, std::string_view date);

}  // namespace steelyard::admin
