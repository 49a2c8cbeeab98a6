#include "admin/operations.hpp"

#include <fmt/format.h>

#include "admin/bodies.hpp"
#include "wire/http/segment.hpp"

namespace steelyard::admin {
namespace {

std::uint64_t revision_of(const Json& server) {
  const auto found = server.is_object() ? server.find("revision") : server.end();
  return found != server.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

Answer answer_server(const Call& call, int status) {
  const auto server = call.control.server(call.pool, call.id);
  if (!server) return answer_refusal(server.error());
  Answer answer = answer_json(status, *server);
  answer.fields = fmt::format("ETag: {}\r\n", tag_of(revision_of(*server)));
  return answer;
}

// Asks for the server only where there is something to compare. Nothing changes between this and the change: it is one thread.
std::expected<Precondition, Answer> judge(const Call& call) {
  if (!call.conditions.any()) return Precondition{};
  const auto server = call.control.server(call.pool, call.id);
  if (!server && server.error().kind != Refusal::Kind::no_such_server) return std::unexpected(answer_refusal(server.error()));
  return judge_change(call.conditions, server ? std::optional(revision_of(*server)) : std::nullopt);
}

std::expected<std::optional<Duration>, Answer> deadline_of(const Call& call) {
  const auto body = read_deadline(call.body);
  if (!body) return std::unexpected(body.error());
  if (body->deadline && call.deadline) {
    return std::unexpected(answer_problem(422, "invalid", "the deadline is in the query and in the body: leave one out", "deadline"));
  }
  return body->deadline ? body->deadline : call.deadline;
}

// 202 while something is under way at a server that has gone.
Answer answer_departure(const Call& call, const std::expected<Departure, Refusal>& departed) {
  if (!departed) return answer_refusal(departed.error());
  if (departed->exchanges_active == 0) return {.status = 204};
  return answer_json(202, {{"pool", call.pool}, {"id", call.id}, {"exchanges_active", departed->exchanges_active}});
}

Answer leave(const Call& call, std::optional<Duration> deadline) {
  if (deadline) {
    return answer_problem(403, "not_allowed", "a server that leaves is given the pool's drain: leave the deadline out", "deadline");
  }
  return answer_departure(call, call.control.leave(call.pool, call.id, owner_name(call.caller)));
}

}  // namespace

Answer answer_result(const std::expected<Json, Refusal>& result) {
  return result ? answer_json(200, *result) : answer_refusal(result.error());
}

Answer show_server(const Call& call) {
  Answer answer = answer_server(call, 200);
  if (answer.status != 200 || !call.conditions.if_none_match) return answer;
  const auto server = call.control.server(call.pool, call.id);
  const auto known = is_known(call.conditions, server ? revision_of(*server) : 0);
  if (!known) return known.error();
  if (*known) {
    answer.status = 304;
    answer.body.clear();
  }
  return answer;
}

Answer put_server(const Call& call) {
  auto body = read_server(call.body);
  if (!body) return body.error();
  const auto precondition = judge(call);
  if (!precondition) return precondition.error();
  const bool registers = call.caller.role == Caller::Role::registrar || body->lease.has_value();
  const auto report = whole_report(body->report);
  if (!report) return report.error();
  if (body->report.load && !registers) {
    return answer_problem(422, "invalid", "load is told by a server that registers itself: add a lease, or leave it out", "load");
  }
  body->server.id = call.id;
  const auto applied =
      registers ? call.control.announce(call.pool, std::move(body->server), body->lease, owner_name(call.caller), body->report.load)
                : call.control.put_server(call.pool, std::move(body->server), *precondition);
  if (!applied) return answer_refusal(applied.error());
  if (*report) call.control.report(call.pool, call.id, **report);
  if (applied->effect != Applied::Effect::created) return answer_server(call, 200);
  Answer answer = answer_server(call, 201);
  answer.fields += fmt::format("Location: /v1/pools/{}/servers/{}\r\n", http::encode_segment(call.pool), http::encode_segment(call.id));
  return answer;
}

Answer change_server(const Call& call) {
  const auto change = read_change(call.body);
  if (!change) return change.error();
  const auto precondition = judge(call);
  if (!precondition) return precondition.error();
  const auto applied = call.control.change_server(call.pool, call.id, *change, *precondition);
  return applied ? answer_server(call, 200) : answer_refusal(applied.error());
}

Answer remove_server(const Call& call) {
  const auto deadline = deadline_of(call);
  if (!deadline) return deadline.error();
  const auto precondition = judge(call);
  if (!precondition) return precondition.error();
  if (call.caller.role == Caller::Role::registrar) return leave(call, *deadline);
  return answer_departure(call, call.control.remove_server(call.pool, call.id, *precondition, *deadline));
}

Answer renew_server(const Call& call) {
  const auto body = read_renewal(call.body);
  if (!body) return body.error();
  const auto report = whole_report(body->report);
  if (!report) return report.error();
  const auto applied = call.control.renew(call.pool, call.id, owner_name(call.caller), body->report.load);
  if (applied && *report) call.control.report(call.pool, call.id, **report);
  return applied ? answer_server(call, 200) : answer_refusal(applied.error());
}

Answer drain_server(const Call& call) {
  const auto deadline = deadline_of(call);
  if (!deadline) return deadline.error();
  const auto departed = call.control.drain_server(call.pool, call.id, *deadline);
  if (!departed) return answer_refusal(departed.error());
  return answer_server(call, departed->exchanges_active == 0 ? 200 : 202);
}

Answer undrain_server(const Call& call) {
  if (const auto body = read_nothing(call.body); !body) return body.error();
  const auto applied = call.control.undrain_server(call.pool, call.id);
  return applied ? answer_server(call, 200) : answer_refusal(applied.error());
}

Answer reload(const Call& call) {
  if (const auto body = read_nothing(call.body); !body) return body.error();
  const auto plan = call.control.reload();
  return plan ? answer_json(200, *plan) : answer_problems("invalid_configuration", plan.error());
}

Answer upgrade(const Call& call) {
  if (const auto body = read_nothing(call.body); !body) return body.error();
  const auto begun = call.control.upgrade();
  if (!begun) return answer_problem(409, "no_upgrade", begun.error(), "");
  return answer_json(202, {{"upgrade", "under_way"}});
}

Answer check(const Call& call) {
  const auto plan = call.control.check(call.body.empty() ? std::nullopt : std::optional(call.body));
  return plan ? answer_json(200, *plan) : answer_problems("invalid_configuration", plan.error());
}

}  // namespace steelyard::admin
