// The schema and the reference know every key that the tables know.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "config/document.hpp"
#include "config/load.hpp"
#include "config/tables.hpp"

namespace steelyard::config {
namespace schema_test {

// Every name under "properties", wherever it is.
void collect(const nlohmann::json& schema, std::set<std::string>& names) {
  if (schema.is_object() && schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) names.insert(name);
  }
  for (const auto& child : schema) {
    if (child.is_structured()) collect(child, names);
  }
}

// Every key of an expanded file, which the tables wrote.
void collect_keys(const Json& written, std::set<std::string>& names) {
  for (const auto& [name, item] : written.items()) {
    if (written.is_object()) names.insert(name);
    if (item.is_structured()) collect_keys(item, names);
  }
}

TEST(Schema, has_every_key_of_both_spellings) {
  const auto schema_json = nlohmann::json::parse(schema());
  std::set<std::string> names;
  collect(schema_json, names);
  for (const std::string& name : full_table().names()) EXPECT_TRUE(names.contains(name)) << name;
  for (const std::string& name : flat_table().names()) EXPECT_TRUE(names.contains(name)) << name;
  const auto loaded = load_file(TESTS_DIR "/../examples/full.yaml");
  ASSERT_TRUE(loaded);
  std::set<std::string> written;
  collect_keys(full_table().write(loaded->options), written);
  for (const char* own : {"api", "canary", "zone", "privacy", "X-Tier", "X-Trace", "X-Check", "Vary", "X-Canary", "Cache-Control",
                          "per-client", "per-key", "at-once", "downloads", "shared"})
    written.erase(own);  // the file's own names
  EXPECT_GE(written.size(), 100U);
  for (const std::string& name : written) EXPECT_TRUE(names.contains(name)) << name;
}

using Nodes = std::vector<const Node*>;

// Reports every property of `schema` that none of the nodes at its place has.
void demand_all(const Json& schema, const Nodes& nodes, const std::string& path) {
  if (schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) {
      Nodes values;
      for (const Node* node : nodes) {
        if (const Node* value = node->find(name)) values.push_back(value);
      }
      EXPECT_FALSE(values.empty()) << path << name << " is not shown";
      if (!values.empty()) demand_all(property, values, path + name + ".");
    }
  }
  if (schema.contains("anyOf")) {
    for (const Json& either : schema["anyOf"]) demand_all(either, nodes, path);
  }
  Nodes children;
  for (const Node* node : nodes) {
    for (const Node& item : node->items) children.push_back(&item);
    if (!schema.contains("additionalProperties")) continue;
    for (const Entry& entry : node->entries) children.push_back(&entry.value);
  }
  if (schema.contains("items")) demand_all(schema["items"], children, path);
  if (schema.contains("additionalProperties") && schema["additionalProperties"].is_object())
    demand_all(schema["additionalProperties"], children, path);
}

TEST(Schema, is_shown_in_full_by_the_full_example) {
  std::ifstream file(TESTS_DIR "/../examples/full.yaml");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto root = parse_document(text, "full.yaml");
  ASSERT_TRUE(root);
  demand_all(Json::parse(schema())["$defs"]["full"], {&*root}, "");
}

TEST(Schema, says_what_is_required_and_what_is_the_default) {
  const auto full = nlohmann::json::parse(schema())["$defs"]["full"];
  EXPECT_EQ(full["required"], (nlohmann::json{"listeners", "pools"}));
  EXPECT_EQ(full["additionalProperties"], false);
  EXPECT_EQ(full["properties"]["timeouts"]["properties"]["idle"]["default"], "75s");
  EXPECT_EQ(full["properties"]["metrics"]["default"], true);
  const auto pool = full["properties"]["pools"]["additionalProperties"]["properties"];
  EXPECT_EQ(pool["retries"]["properties"]["on"]["default"], (nlohmann::json{"connect", "reset", "timeout"}));
  EXPECT_EQ(pool["sticky"]["default"], "off");
  EXPECT_EQ(pool["hash_key"]["description"], "Requests alike in this go to the same server. Only with `algorithm: hash`.");
}

// docs/configuration.md ends with the reference. After a change of the tables: STEELYARD_WRITE_DOCS=1 and run this test.
TEST(Reference, is_what_the_documentation_shows) {
  const std::string path = TESTS_DIR "/../docs/configuration.md";
  const std::string mark = "<!-- What follows is generated from the tables of src/config. -->\n\n";
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = text.find(mark);
  ASSERT_NE(begin, std::string::npos) << path;
  const std::string expected = text.substr(0, begin) + mark + reference();
  if (std::getenv("STEELYARD_WRITE_DOCS") != nullptr && text != expected) {
    std::ofstream(path) << expected;
    text = expected;
  }
  EXPECT_TRUE(text == expected) << "docs/configuration.md is behind the tables: run this test with STEELYARD_WRITE_DOCS=1";
}

}  // namespace schema_test
}  // namespace steelyard::config
