#include "admin/answer.hpp"

#include <fmt/format.h>

#include "wire/http/status.hpp"

namespace steelyard::admin {
namespace {

struct Named {
  int status;
  const char* code;
};

Named named(Refusal::Kind kind) {
  switch (kind) {
    case Refusal::Kind::no_such_pool: return {404, "no_such_pool"};
    case Refusal::Kind::no_such_server: return {404, "no_such_server"};
    case Refusal::Kind::exists: return {409, "exists"};
    case Refusal::Kind::changed_since: return {412, "changed_since"};
    case Refusal::Kind::not_owner: return {403, "not_owner"};
    case Refusal::Kind::not_allowed: return {403, "not_allowed"};
    case Refusal::Kind::limit_reached: return {409, "limit_reached"};
    case Refusal::Kind::invalid: return {422, "invalid"};
  }
  return {422, "invalid"};
}

// "line 3, column 5: pools.api: message", of which only the message is always there.
std::string sentence(const config::Problem& problem) {
  std::string text;
  if (problem.line > 0) text += fmt::format("line {}, column {}: ", problem.line, problem.column);
  if (!problem.path.empty()) text += problem.path + ": ";
  return text + problem.message;
}

}  // namespace

// Texts of others may hold what is no UTF-8, at which the library would throw.
std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Answer answer_json(int status, const Json& body) { return {.status = status, .body = to_text(body) + "\n"}; }

Answer answer_problem(int status, std::string_view code, std::string_view message, std::string_view field) {
  Json error{{"code", code}, {"message", message}};
  if (!field.empty()) error["field"] = field;
  return answer_json(status, {{"error", error}});
}

Answer answer_refusal(const Refusal& refusal) {
  const auto [status, code] = named(refusal.kind);
  return answer_problem(status, code, refusal.message, refusal.field);
}

Answer answer_denied(const Denied& denied) {
  Answer answer = answer_problem(denied.status, denied.code, denied.message);
  if (denied.status == 401) answer.fields = "WWW-Authenticate: Bearer\r\n";
  return answer;
}

Answer answer_problems(std::string_view code, const Problems& problems) {
  Json all = Json::array();
  for (const config::Problem& problem : problems) {
    Json one = Json::object();
    if (!problem.file.empty()) one["file"] = problem.file;
    if (problem.line > 0) one["line"] = problem.line;
    if (problem.line > 0) one["column"] = problem.column;
    if (!problem.path.empty()) one["field"] = problem.path;
    one["message"] = problem.message;
    all.push_back(std::move(one));
  }
  Json error{{"code", code}, {"message", problems.empty() ? "it was refused without a reason" : sentence(problems.front())}};
  if (!problems.empty() && !problems.front().path.empty()) error["field"] = problems.front().path;
  error["problems"] = std::move(all);
  return answer_json(422, {{"error", error}});
}

void write_answer_head(HeadBuilder& out, Exchange& exchange, const Answer& answer, Coding coding, std::string_view date) {
  // What is left of the request's body would be taken for the next request.
  if (!exchange.body.done() || exchange.draining || coding == Coding::until_close) exchange.keep_alive = false;
  out.text("HTTP/1.1 ").number(static_cast<std::uint64_t>(answer.status)).text(" ").text(http::reason_phrase(answer.status)).text("\r\n");
  out.field("Date", date).field("Cache-Control", "no-store").field("X-Content-Type-Options", "nosniff").text(answer.fields);
  if (coding == Coding::chunked) {
    out.field("Content-Type", answer.type).field("Transfer-Encoding", "chunked");
  } else if (coding == Coding::until_close) {
    out.field("Content-Type", answer.type);
  } else if (answer.status != 204 && answer.status != 304) {  // which have no body (RFC 9110 §15.3.5, §15.4.5)
    out.field("Content-Type", answer.type).text("Content-Length: ").number(answer.body.size()).text("\r\n");
  }
  if (!exchange.keep_alive) {
    out.field("Connection", "close");
  } else if (exchange.version_minor == 0) {
    out.field("Connection", "keep-alive");
  }
  out.end();
}

}  // namespace steelyard::admin
