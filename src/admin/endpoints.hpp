// Everything that can be asked of the admin API: one table, which finds the endpoint of a request, says what is allowed and who may,
// and from which the OpenAPI document is made. Pure.
#pragma once

#include <array>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "admin/access.hpp"
#include "admin/answer.hpp"
#include "admin/control.hpp"
#include "admin/preconditions.hpp"
#include "wire/http/message.hpp"

namespace steelyard::admin {

enum class Who : std::uint8_t { operator_alone, registrar_too };

// What the body is read as. `deadline` may stand in the query instead.
enum class Input : std::uint8_t { none, empty, server, change, deadline, renewal, configuration };

struct Call;

struct Endpoint {
  http::Method method;
  std::string_view path;  // {pool} and {id} stand for one segment each
  std::string_view name;  // once in the table
  std::string_view summary;
  Who who;
  Input input;
  std::array<int, 2> answers;       // of those that went well; 0: no second one
  Answer (*run)(const Call& call);  // nullptr: a stream of events

  [[nodiscard]] bool has(std::string_view parameter) const { return path.find(parameter) != std::string_view::npos; }
  [[nodiscard]] bool is_conditional() const { return path.ends_with("/{id}"); }
};

std::span<const Endpoint> endpoints();
[[nodiscard]] std::string_view spelling(http::Method method);

// One request that may be carried out.
struct Call {
  Control& control;
  const Endpoint& endpoint;
  Caller caller;
  std::string pool;
  std::string id;
  Conditions conditions;
  std::optional<Duration> deadline;  // of the query
  std::string_view body;
};

struct Found {
  const Endpoint* endpoint = nullptr;
  std::string pool;
  std::string id;
};
// HEAD is answered as GET is. 404 with the nearest path, 405 with those that are allowed, 400 for a name that none can have.
std::expected<Found, Answer> find_endpoint(http::Method method, std::string_view path);

// The deadline, where the endpoint takes one; whatever else is there is refused.
std::expected<std::optional<Duration>, Answer> read_query(const Endpoint& endpoint, std::string_view query);

}  // namespace steelyard::admin
