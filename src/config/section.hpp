// A map with known keys, described by one table: what may stand in it, of which type, where it goes in the options struct, and
// what it means. Reading, writing, the JSON Schema and the reference all come from that table; the defaults are the struct's own.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/types.hpp"

// The way from a struct to one of its members, for const and other structs alike: SY_AT(.head.field_count_max), SY_AT() for itself.
#define SY_AT(...) [](auto& o) -> auto& { return o __VA_ARGS__; }

namespace steelyard::config {

enum class Presence : std::uint8_t { optional, required };

// The tables as Markdown, section by section in the order of the tree.
class Reference {
 public:
  void begin(const std::string& path) { sections_.push_back({path, ""}); }
  void row(std::size_t section, const std::string& key, const std::string& allowed, const std::string& fallback,
           const std::string& meaning);
  [[nodiscard]] std::size_t current() const { return sections_.size() - 1; }
  [[nodiscard]] std::string text() const;

 private:
  struct Part {
    std::string path;
    std::string rows;
  };
  std::vector<Part> sections_;
};

template <typename Struct>
struct Key {
  std::string name;
  Presence presence = Presence::optional;
  std::string meaning;
  std::string fallback;  // what its absence means, where the struct's default does not say it
  std::function<void(const Node&, Struct&, Reading&)> read;
  std::function<Json(const Struct&)> write;
  std::function<Json()> schema;
  std::function<std::string()> words;
  std::function<void(const std::string& path, Reference&)> document;
};

// Where sections lie inside a type, for the reference: below a list, a map or an optional.
template <typename Type>
void document(const Type& type, const std::string& path, Reference& reference) {
  if constexpr (requires { type.document(path, reference); }) {
    type.document(path, reference);
  } else if constexpr (requires { type.single; }) {
    document(type.inner, path + "[]", reference);
  } else if constexpr (requires { type.inner; }) {
    document(type.inner, path, reference);
  }
}

// `at` leads from the struct to the value: SY_AT.
template <typename Struct, typename At, typename Type>
Key<Struct> key(std::string name, At at, Type type, std::string meaning, std::string fallback = "",
                Presence presence = Presence::optional) {
  Key<Struct> key{std::move(name), presence, std::move(meaning), std::move(fallback), {}, {}, {}, {}, {}};
  key.read = [at, type](const Node& node, Struct& value, Reading& reading) { type.read(node, at(value), reading); };
  key.write = [at, type](const Struct& value) { return type.write(at(value)); };
  key.schema = [type] { return type.schema(); };
  key.words = [type] { return type.words(); };
  key.document = [type](const std::string& path, Reference& reference) { config::document(type, path, reference); };
  return key;
}

template <typename Struct, typename At, typename Type>
Key<Struct> required(std::string name, At at, Type type, std::string meaning) {
  return key<Struct>(std::move(name), at, std::move(type), std::move(meaning), "", Presence::required);
}

// Reports the key of `entry` as unknown, with the nearest known one.
void report_unknown_key(const Entry& entry, const std::vector<std::string>& known, Reading& reading);
void report_missing_key(const Node& node, const std::string& name, const std::string& words, Reading& reading);

template <typename Struct>
struct Section {
  using Value = Struct;
  std::string described;  // "a map with the keys of a pool"
  std::vector<Key<Struct>> keys;
  // After the keys: what depends on more than one of them.
  std::function<void(const Node&, Struct&, Reading&)> check = nullptr;

  void read(const Node& node, Struct& value, Reading& reading) const {
    if (node.kind != NodeKind::map) {
      const char* hint = node.kind == NodeKind::null ? "; write {} for its defaults, or remove it" : "";
      reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), described, hint));
      return;
    }
    for (const Entry& entry : node.entries) {
      const Reading::Step step(reading, entry.key.text);
      const Key<Struct>* known = find(entry.key.text);
      if (known != nullptr) {
        known->read(entry.value, value, reading);
      } else {
        report_unknown_key(entry, names(), reading);
      }
    }
    for (const Key<Struct>& wanted : keys) {
      if (wanted.presence == Presence::required && node.find(wanted.name) == nullptr)
        report_missing_key(node, wanted.name, wanted.words(), reading);
    }
    if (check) check(node, value, reading);
  }

  // A section in which nothing is to be written is not written itself.
  Json write(const Struct& value) const {
    Json map = Json::object();
    for (const Key<Struct>& key : keys) {
      if (Json written = key.write(value); !written.is_null()) map[key.name] = std::move(written);
    }
    return map.empty() ? Json(nullptr) : map;
  }

  Json schema() const {
    Json properties = Json::object();
    Json wanted = Json::array();
    const Struct defaults{};
    for (const Key<Struct>& key : keys) {
      Json& property = properties[key.name] = key.schema();
      property["description"] = key.meaning;
      const Json written = key.fallback.empty() ? key.write(defaults) : Json(nullptr);
      if (key.presence == Presence::required) {
        wanted.push_back(key.name);
      } else if (written.is_primitive() && !written.is_null()) {
        property["default"] = written;
      }
    }
    Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!wanted.empty()) schema["required"] = wanted;
    return schema;
  }

  std::string words() const { return described; }

  void document(const std::string& path, Reference& reference) const {
    reference.begin(path);
    const std::size_t section = reference.current();
    const Struct defaults{};
    for (const Key<Struct>& key : keys) {
      const Json written = key.write(defaults);
      const bool plain = written.is_primitive() && !written.is_null();
      const std::string fallback = key.presence == Presence::required ? "**required**"
                                   : !key.fallback.empty()            ? key.fallback
                                   : plain ? fmt::format("`{}`", written.is_string() ? written.get<std::string>() : written.dump())
                                           : "";
      reference.row(section, key.name, key.words(), fallback, key.meaning);
      key.document(path.empty() ? key.name : path + "." + key.name, reference);
    }
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Key<Struct>& key : keys) all.push_back(key.name);
    return all;
  }

 private:
  const Key<Struct>* find(const std::string& name) const {
    for (const Key<Struct>& key : keys) {
      if (key.name == name) return &key;
    }
    return nullptr;
  }
};

}  // namespace steelyard::config
