// The document says what the endpoints do: all of them, and no others.
#include "admin/openapi.hpp"

#include <functional>
#include <set>

#include "fixture.hpp"

namespace steelyard::admin {
namespace openapi_test {

std::string key_of(const Endpoint& endpoint) { return to_lower(spelling(endpoint.method)); }

TEST(OpenApi, has_every_endpoint_and_no_other) {
  const Json document = openapi();
  std::size_t operations = 0;
  for (const auto& [path, methods] : document["paths"].items()) operations += methods.size();
  EXPECT_EQ(operations, endpoints().size());
  for (const Endpoint& endpoint : endpoints()) {
    const std::string path(endpoint.path);
    ASSERT_TRUE(document["paths"].contains(path)) << path;
    EXPECT_EQ(document["paths"][path][key_of(endpoint)]["operationId"], endpoint.name);
  }
}

TEST(OpenApi, has_each_name_once) {
  std::set<std::string_view> names;
  for (const Endpoint& endpoint : endpoints()) EXPECT_TRUE(names.insert(endpoint.name).second) << endpoint.name;
}

TEST(OpenApi, declares_the_parameters_of_each_path) {
  const Json document = openapi();
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::set<std::string> names;
      if (operation.contains("parameters")) {
        for (const Json& parameter : operation["parameters"]) {
          if (parameter["in"] == "path") names.insert(parameter["name"]);
        }
      }
      EXPECT_EQ(names.contains("pool"), path.find("{pool}") != std::string::npos) << path;
      EXPECT_EQ(names.contains("id"), path.find("{id}") != std::string::npos) << path;
    }
  }
}

TEST(OpenApi, refers_only_to_what_it_has) {
  const Json document = openapi();
  std::size_t references = 0;
  const std::function<void(const Json&)> walk = [&](const Json& node) {
    if (node.is_object() && node.contains("$ref")) {
      const auto target = node["$ref"].get<std::string>();
      ++references;
      ASSERT_TRUE(target.starts_with("#")) << target;
      EXPECT_TRUE(document.contains(Json::json_pointer(target.substr(1)))) << target;
    }
    for (const Json& child : node) {
      if (child.is_structured()) walk(child);
    }
  };
  walk(document);
  EXPECT_GT(references, endpoints().size());
}

TEST(OpenApi, describes_bodies_as_they_are_read) {
  const Json schemas = openapi()["components"]["schemas"];
  EXPECT_EQ(schemas["ServerBody"]["required"], Json::array({"address"}));
  EXPECT_EQ(schemas["ServerBody"]["additionalProperties"], false);
  EXPECT_EQ(schemas["ServerBody"]["properties"]["weight"]["maximum"], 1000);
  EXPECT_EQ(schemas["ServerChange"]["properties"]["forced"]["enum"], (Json{"none", "up", "down"}));
  EXPECT_FALSE(schemas["ServerChange"]["properties"].contains("address"));
}

TEST_F(ApiTest, shows_its_own_document) {
  const Response response = ask("GET", "/v1/openapi.json");
  EXPECT_EQ(response.field("Content-Type"), "application/json");
  EXPECT_EQ(response.json()["openapi"], "3.1.0");
}

// Each endpoint answers, for good and ill, with a status that its document names.
TEST_F(ApiTest, answers_as_its_document_says) {
  const Json document = openapi();
  for (const Endpoint& endpoint : endpoints()) {
    if (endpoint.run == nullptr) continue;
    const Json responses = document["paths"][std::string(endpoint.path)][key_of(endpoint)]["responses"];
    for (const char* pool : {"app", "none", "%2f"}) {
      for (const char* body : {"", "{}", "{", address_body}) {
        for (const char* fields : {"", "If-Match: \"99\"\r\n", "If-None-Match: *\r\n", "Content-Type: text/plain\r\n"}) {
          std::string path(endpoint.path);
          if (endpoint.has("{pool}")) path.replace(path.find("{pool}"), 6, pool);
          if (endpoint.has("{id}")) path.replace(path.find("{id}"), 4, "a");
          const int status = ask(spelling(endpoint.method), path, body, {.fields = fields}).status;
          EXPECT_TRUE(responses.contains(std::to_string(status))) << key_of(endpoint) << " " << path << " " << status;
        }
      }
    }
  }
}

}  // namespace openapi_test
}  // namespace steelyard::admin
