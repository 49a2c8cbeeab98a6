#include "admin/openapi.hpp"

#include <fmt/format.h>

#include <set>

#include "admin/bodies.hpp"
#include "admin/endpoints.hpp"
#include "wire/http/status.hpp"

namespace steelyard::admin {
namespace {

Json reference(std::string_view schema) { return {{"$ref", fmt::format("#/components/schemas/{}", schema)}}; }

Json content(std::string_view type, const Json& schema) { return {{std::string(type), {{"schema", schema}}}}; }

Json parameter(std::string_view name, std::string_view in, std::string_view description, const Json& schema) {
  return {{"name", name}, {"in", in}, {"required", in == "path"}, {"description", description}, {"schema", schema}};
}

Json parameters_of(const Endpoint& endpoint) {
  const Json text{{"type", "string"}};
  Json parameters = Json::array();
  if (endpoint.has("{pool}")) parameters.push_back(parameter("pool", "path", "The name of a pool.", text));
  if (endpoint.has("{id}")) parameters.push_back(parameter("id", "path", "The id of a server.", text));
  if (endpoint.input == Input::deadline) {
    parameters.push_back(parameter("deadline", "query", "As in the body.", deadline_table().schema()["properties"]["deadline"]));
  }
  if (endpoint.is_conditional()) {
    if (endpoint.method != http::Method::get) {
      parameters.push_back(parameter("If-Match", "header", "The ETag that the server must still have, or *.", text));
    }
    parameters.push_back(parameter("If-None-Match", "header", "* : the server must be new; with GET: the ETag that is known.", text));
  }
  if (endpoint.run == nullptr) parameters.push_back(parameter("Last-Event-ID", "header", "Events after this one are sent again.", text));
  return parameters;
}

Json body_of(const Endpoint& endpoint) {
  switch (endpoint.input) {
    case Input::none: return nullptr;
    case Input::empty: return {{"required", false}, {"content", content("application/json", reference("Empty"))}};
    case Input::server: return {{"required", true}, {"content", content("application/json", reference("ServerBody"))}};
    case Input::change: return {{"required", true}, {"content", content("application/json", reference("ServerChange"))}};
    case Input::deadline: return {{"required", false}, {"content", content("application/json", reference("Deadline"))}};
    case Input::renewal: return {{"required", false}, {"content", content("application/json", reference("Renewal"))}};
    case Input::configuration: break;
  }
  Json types = content("application/yaml", {{"type", "string"}});
  types["application/json"] = {{"schema", {{"type", "object"}}}};
  return {{"required", false}, {"content", types}};
}

// What a good answer's body is.
Json good_content(const Endpoint& endpoint, int status) {
  if (status == 204 || status == 304) return nullptr;
  if (endpoint.run == nullptr) return content("text/event-stream", {{"type", "string"}});
  if (endpoint.name == "showConfiguration") return content("application/yaml", {{"type", "string"}});
  const bool server = endpoint.has("{id}") && endpoint.method != http::Method::delete_;
  return content("application/json", server ? reference("Server") : Json::object());
}

// What may go wrong, of what depends on the endpoint.
std::set<int> refusals_of(const Endpoint& endpoint) {
  std::set<int> statuses{400, 401, 403, 421, 422, 500, 503};
  if (endpoint.has("{pool}")) statuses.insert(404);
  if (endpoint.has("{id}") && endpoint.method != http::Method::get) statuses.insert(409);
  if (endpoint.is_conditional() && endpoint.method != http::Method::get) statuses.insert(412);
  if (endpoint.input != Input::none) statuses.insert({408, 413, 415});
  return statuses;
}

Json operation_of(const Endpoint& endpoint) {
  Json operation{{"operationId", endpoint.name}, {"summary", endpoint.summary}};
  operation["description"] = endpoint.who == Who::registrar_too ? "With the operator's token, or the pool's registration token."
                                                                : "With the operator's token, where there is one.";
  if (const Json parameters = parameters_of(endpoint); !parameters.empty()) operation["parameters"] = parameters;
  if (const Json body = body_of(endpoint); !body.is_null()) operation["requestBody"] = body;
  Json& responses = operation["responses"] = Json::object();
  for (const int status : endpoint.answers) {
    if (status == 0) continue;
    Json& response = responses[fmt::format("{}", status)] = {{"description", http::reason_phrase(status)}};
    if (const Json shown = good_content(endpoint, status); !shown.is_null()) response["content"] = shown;
  }
  for (const int status : refusals_of(endpoint)) {
    responses[fmt::format("{}", status)] = {{"description", http::reason_phrase(status)},
                                            {"content", content("application/json", reference("Error"))}};
  }
  return operation;
}

Json error_schema() {
  const Json text{{"type", "string"}};
  const Json number{{"type", "integer"}};
  const Json problem{{"type", "object"},
                     {"properties", {{"file", text}, {"line", number}, {"column", number}, {"field", text}, {"message", text}}},
                     {"required", {"message"}}};
  const Json error{
      {"type", "object"},
      {"properties", {{"code", text}, {"message", text}, {"field", text}, {"problems", {{"type", "array"}, {"items", problem}}}}},
      {"required", {"code", "message"}}};
  return {{"type", "object"}, {"properties", {{"error", error}}}, {"required", Json::array({"error"})}};
}

// What represent() shows; more may be shown besides.
Json server_schema() {
  const Json text{{"type", "string"}};
  Json schema = server_table().schema();
  Json& keys = schema["properties"];
  for (const char* key : {"load", "arrived", "run"}) keys.erase(key);
  keys["id"] = text;
  keys["origin"] = {{"enum", {"configuration", "admin", "registration"}}};
  keys["drained"] = change_table().schema()["properties"]["drained"];
  keys["forced"] = change_table().schema()["properties"]["forced"];
  const Json text_or_null{{"type", {"string", "null"}}};  // null: it lasts
  const Json lease{{"type", "object"},
                   {"properties",
                    {{"length", text_or_null},
                     {"expires_in", text_or_null},
                     {"owner", text},
                     {"overdue", {{"type", "boolean"}}},
                     {"load", {{"type", {"integer", "null"}}}}}}};
  keys["lease"] = {{"anyOf", {lease, {{"type", "null"}}}}};
  keys["revision"] = {{"type", "integer"}};
  schema["additionalProperties"] = true;
  schema["required"] = {"id", "address", "revision"};
  return schema;
}

}  // namespace

Json openapi() {
  Json paths = Json::object();
  for (const Endpoint& endpoint : endpoints()) {
    const std::string_view method = spelling(endpoint.method);
    std::string key;
    for (const char c : method) key += to_lower(c);
    paths[std::string(endpoint.path)][key] = operation_of(endpoint);
  }
  return {
      {"openapi", "3.1.0"},
      {"info", {{"title", "Steelyard admin API"}, {"version", "1"}}},
      {"paths", paths},
      {"components",
       {{"schemas",
         {{"ServerBody", server_table().schema()},
          {"ServerChange", change_table().schema()},
          {"Deadline", deadline_table().schema()},
          {"Renewal", renewal_table().schema()},
          {"Empty", empty_table().schema()},
          {"Server", server_schema()},
          {"Error", error_schema()}}},
        {"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
      // The second is none: without a token file this machine's users are the operator.
      {"security", {{{"token", Json::array()}}, Json::object()}},
  };
}

const std::string& openapi_document() {
  static const std::string text = openapi().dump(2) + "\n";
  return text;
}

}  // namespace steelyard::admin
