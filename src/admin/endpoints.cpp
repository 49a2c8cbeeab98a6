#include "admin/endpoints.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "admin/openapi.hpp"
#include "admin/operations.hpp"
#include "config/reading.hpp"
#include "config/texts.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::admin {
namespace {

using http::Method;

constexpr std::string_view one_server = "/v1/pools/{pool}/servers/{id}";

constexpr Endpoint table[] = {
    {Method::get,
     "/v1/status",
     "showStatus",
     "How the proxy is.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_json(200, call.control.status()); }},
    {Method::get,
     "/v1/pools",
     "showPools",
     "All pools.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_json(200, call.control.pools()); }},
    {Method::get,
     "/v1/pools/{pool}",
     "showPool",
     "One pool.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_result(call.control.pool(call.pool)); }},
    {Method::get,
     "/v1/pools/{pool}/servers",
     "showServers",
     "The servers of a pool.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_result(call.control.servers(call.pool)); }},
    {Method::get,
     one_server,
     "showServer",
     "One server. Its ETag is its revision.",
     Who::operator_alone,
     Input::none,
     {200, 304},
     show_server},
    {Method::put,
     one_server,
     "putServer",
     "Adds a server or replaces what may be changed of it; with a lease, or by a server itself: registers it.",
     Who::registrar_too,
     Input::server,
     {200, 201},
     put_server},
    {Method::patch,
     one_server,
     "changeServer",
     "Changes what is given of a server.",
     Who::operator_alone,
     Input::change,
     {200, 0},
     change_server},
    {Method::delete_,
     one_server,
     "removeServer",
     "Removes a server; what is under way there may end within the deadline.",
     Who::registrar_too,
     Input::deadline,
     {204, 202},
     remove_server},
    {Method::post,
     "/v1/pools/{pool}/servers/{id}/renew",
     "renewServer",
     "Renews the lease of a server.",
     Who::registrar_too,
     Input::renewal,
     {200, 0},
     renew_server},
    {Method::post,
     "/v1/pools/{pool}/servers/{id}/drain",
     "drainServer",
     "Gives a server no new traffic; 202 while exchanges are under way there.",
     Who::operator_alone,
     Input::deadline,
     {200, 202},
     drain_server},
    {Method::post,
     "/v1/pools/{pool}/servers/{id}/undrain",
     "undrainServer",
     "Gives a server traffic again.",
     Who::operator_alone,
     Input::empty,
     {200, 0},
     undrain_server},
    {Method::get,
     "/v1/routes",
     "showRoutes",
     "All routes.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_json(200, call.control.routes()); }},
    {Method::get,
     "/v1/listeners",
     "showListeners",
     "All listeners.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_json(200, call.control.listeners()); }},
    {Method::get,
     "/v1/exchanges",
     "showExchanges",
     "What is under way.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_json(200, call.control.exchanges()); }},
    {Method::get,
     "/v1/limits",
     "showLimits",
     "The limits on requests, whom they refused most, and their stores.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return answer_json(200, call.control.limits()); }},
    {Method::get,
     "/v1/configuration",
     "showConfiguration",
     "The configuration that runs, in full, as YAML.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& call) { return Answer{.body = call.control.configuration(), .type = "application/yaml"}; }},
    {Method::post,
     "/v1/reload",
     "reload",
     "Reads the configuration's file again and applies it.",
     Who::operator_alone,
     Input::empty,
     {200, 0},
     reload},
    {Method::post,
     "/v1/upgrade",
     "upgrade",
     "Puts the binary that is there now in the place of the running process.",
     Who::operator_alone,
     Input::empty,
     {202, 0},
     upgrade},
    {Method::post,
     "/v1/check",
     "check",
     "What a configuration would change: that of the body, or of the file.",
     Who::operator_alone,
     Input::configuration,
     {200, 0},
     check},
    {Method::get,
     "/v1/events",
     "streamEvents",
     "What happens, as server-sent events; Last-Event-ID resumes.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     nullptr},
    {Method::get,
     "/v1/openapi.json",
     "showOpenApi",
     "This document.",
     Who::operator_alone,
     Input::none,
     {200, 0},
     [](const Call& /*call*/) { return Answer{.body = openapi_document()}; }},
};

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

// Byte by byte: nothing is made equal that was sent as another path.
bool matches(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path) {
  return std::ranges::equal(pattern, path, [](std::string_view wanted, std::string_view given) {
    return is_parameter(wanted) ? !given.empty() : wanted == given;
  });
}

std::optional<std::string> decode_segment(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = http::hex_value(text[i + 1]);
    const int low = http::hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// A name as it may stand in a configuration; nothing else can be one of ours, whatever it decodes to.
std::expected<std::string, Answer> decode_name(std::string_view segment, std::string_view what,
                                               std::optional<std::string> (*check)(std::string_view)) {
  const auto name = decode_segment(segment);
  std::string wrong;
  if (!name) {
    wrong = "has a % without two hexadecimal digits";
  } else if (*name == "." || *name == "..") {
    wrong = "stands for another place in a path";
  } else if (const auto problem = check(*name)) {
    wrong = *problem;
  } else {
    return *name;
  }
  return std::unexpected(answer_problem(400, "invalid_path", fmt::format("the {} in the path {}", what, wrong), what));
}

// The nearest path that there is, with the names that were sent in it.
std::string nearest_path(const std::vector<std::string_view>& path, std::string_view sent) {
  std::vector<std::string> candidates;
  for (const Endpoint& endpoint : table) {
    const auto pattern = segments_of(endpoint.path);
    std::string candidate;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      const bool given = is_parameter(pattern[i]) && i < path.size() && !path[i].empty();
      candidate += fmt::format("/{}", given ? path[i] : pattern[i]);
    }
    candidates.push_back(candidate);
  }
  return config::did_you_mean(sent, candidates);
}

// "GET, HEAD, PUT"
std::string allowed_methods(const std::vector<std::string_view>& path) {
  std::string allowed;
  for (const Endpoint& endpoint : table) {
    if (!matches(segments_of(endpoint.path), path)) continue;
    if (!allowed.empty()) allowed += ", ";
    allowed += endpoint.method == Method::get ? "GET, HEAD" : spelling(endpoint.method);
  }
  return allowed;
}

}  // namespace

std::span<const Endpoint> endpoints() { return table; }

std::string_view spelling(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::put: return "PUT";
    case Method::post: return "POST";
    case Method::patch: return "PATCH";
    case Method::delete_: return "DELETE";
    default: return "";
  }
}

std::expected<Found, Answer> find_endpoint(Method method, std::string_view path) {
  const Method wanted = method == Method::head ? Method::get : method;
  const auto segments = segments_of(path);
  const std::string allowed = allowed_methods(segments);
  if (allowed.empty()) {
    return std::unexpected(
        answer_problem(404, "no_such_endpoint",
                       fmt::format("there is no such path{}; GET /v1/openapi.json lists them all", nearest_path(segments, path))));
  }
  for (const Endpoint& endpoint : table) {
    const auto pattern = segments_of(endpoint.path);
    if (endpoint.method != wanted || !matches(pattern, segments)) continue;
    Found found{&endpoint, "", ""};
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (!is_parameter(pattern[i])) continue;
      const bool pool = pattern[i] == "{pool}";
      auto name = decode_name(segments[i], pool ? "pool" : "id", pool ? config::check_name : config::check_server_id);
      if (!name) return std::unexpected(name.error());
      (pool ? found.pool : found.id) = std::move(*name);
    }
    return found;
  }
  Answer answer = answer_problem(405, "method_not_allowed", fmt::format("this path is asked with {}", allowed));
  answer.fields = fmt::format("Allow: {}\r\n", allowed);
  return std::unexpected(std::move(answer));
}

std::expected<std::optional<Duration>, Answer> read_query(const Endpoint& endpoint, std::string_view query) {
  constexpr std::string_view key = "deadline";
  std::optional<Duration> deadline;
  if (query.empty()) return deadline;
  const std::size_t equals = std::min(query.find('='), query.size());
  const std::string_view name = query.substr(0, equals);
  const bool takes = endpoint.input == Input::deadline;
  if (!takes || name != key || query.find('&') != std::string_view::npos) {
    const std::string hint = takes ? fmt::format("only deadline, once{}", config::did_you_mean(name, {std::string(key)})) : "nothing";
    return std::unexpected(answer_problem(
        422, "invalid", fmt::format("found {} in the query, allowed here is {}", config::quote(name), hint), config::printable(name)));
  }
  config::Node node;
  node.kind = config::NodeKind::scalar;
  node.text = query.substr(std::min(equals + 1, query.size()));
  config::Reading reading("");
  const config::Reading::Step step(reading, key);
  config::Span{0s, 720h}.read(node, deadline.emplace(), reading);
  if (!reading.problems().empty()) return std::unexpected(answer_problems("invalid", reading.problems()));
  return deadline;
}

}  // namespace steelyard::admin
