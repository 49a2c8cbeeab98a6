// A map with known keys, described by one table: what may stand in it, of which type, where it goes in the options struct, and
// what it means. Reading, writing, the JSON Schema and the reference all come from that table; the defaults are the struct's own.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
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

// Sections lie inside other types: below a list, a map or an optional. A type that adds to the path says so by `path_part`.
template <typename Type>
std::string path_into(const Type& type, const std::string& path) {
  if constexpr (requires { type.path_part; }) return path + std::string(type.path_part);
  return path;
}

template <typename Type>
void document(const Type& type, const std::string& path, Reference& reference) {
  if constexpr (requires { type.document(path, reference); }) {
    type.document(path, reference);
  } else if constexpr (requires { type.inner; }) {
    document(type.inner, path_into(type, path), reference);
  }
}

template <typename Type>
std::string find_below(const Type& type, const std::string& path, const std::string& name) {
  if constexpr (requires { type.find(name); }) {
    return type.find(name) == nullptr ? "" : path + "." + name;
  } else if constexpr (requires { type.inner; }) {
    return find_below(type.inner, path_into(type, path), name);
  } else {
    return "";
  }
}

// What may stand at a key, and where in the struct it goes. Two layers of virtual functions, of which only the lower is made for each
// key: lambdas for all of it took the compiler twice as long.
template <typename Struct>
class Slot {
 public:
  Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  virtual ~Slot() = default;
  virtual void read(const Node& node, Struct& value, Reading& reading) const = 0;
  virtual Json write(const Struct& value) const = 0;
  virtual Json schema() const = 0;
  virtual std::string words() const = 0;
  virtual void document(const std::string& path, Reference& reference) const = 0;
  // Where a key of that name is in this one's section, or "".
  virtual std::string find_below(const std::string& path, const std::string& name) const = 0;
};

template <typename Struct, typename Type>
class TypedSlot : public Slot<Struct> {
 public:
  explicit TypedSlot(Type type) : type_(std::move(type)) {}
  Json schema() const final { return type_.schema(); }
  std::string words() const final { return type_.words(); }
  void document(const std::string& path, Reference& reference) const final { config::document(type_, path, reference); }
  std::string find_below(const std::string& path, const std::string& name) const final { return config::find_below(type_, path, name); }

 protected:
  void read_into(const Node& node, typename Type::Value& value, Reading& reading) const { type_.read(node, value, reading); }
  Json write_from(const typename Type::Value& value) const { return type_.write(value); }

 private:
  Type type_;
};

template <typename Struct, typename At, typename Type>
class ExactSlot final : public TypedSlot<Struct, Type> {
 public:
  ExactSlot(At at, Type type) : TypedSlot<Struct, Type>(std::move(type)), at_(at) {}
  void read(const Node& node, Struct& value, Reading& reading) const override { this->read_into(node, at_(value), reading); }
  Json write(const Struct& value) const override { return this->write_from(at_(value)); }

 private:
  At at_;
};

// Where a key means something: beside one value of another key. Elsewhere it is a problem to have it, and it is not written.
template <typename Struct>
struct Condition {
  const char* key;
  const char* value;
  bool (*holds)(const Struct&);
};

template <typename Struct>
struct Key {
  std::string name;
  Presence presence = Presence::optional;
  std::string meaning;
  std::string fallback;  // what its absence means, where the struct's default does not say it
  std::shared_ptr<const Slot<Struct>> slot;
  std::optional<Condition<Struct>> only_with{};

  [[nodiscard]] bool counts(const Struct& value) const { return !only_with || only_with->holds(value); }
  [[nodiscard]] std::string full_meaning() const {
    return only_with ? fmt::format("{} Only with `{}: {}`.", meaning, only_with->key, only_with->value) : meaning;
  }
};

template <typename Struct>
Key<Struct> make_key(const char* name, Presence presence, const char* meaning, const char* fallback,
                     std::shared_ptr<const Slot<Struct>> slot) {
  return {name, presence, meaning, fallback, std::move(slot)};
}

// `at` leads from the struct to the value: SY_AT.
template <typename Struct, typename At, typename Type>
Key<Struct> key(const char* name, At at, Type type, const char* meaning, const char* fallback = "",
                Presence presence = Presence::optional) {
  return make_key<Struct>(name, presence, meaning, fallback, std::make_shared<ExactSlot<Struct, At, Type>>(at, std::move(type)));
}

template <typename Struct, typename At, typename Type>
Key<Struct> required(const char* name, At at, Type type, const char* meaning) {
  return key<Struct>(name, at, std::move(type), meaning, "", Presence::required);
}

template <typename Struct>
Key<Struct> only_with(Condition<Struct> condition, Key<Struct> key) {
  key.only_with = condition;
  return key;
}

// Reports the key of `entry` as unknown, with the path `below` where there is one of that name, or the nearest of `known`.
void report_unknown_key(const Entry& entry, const std::vector<std::string>& known, const std::string& below, Reading& reading);
void report_missing_key(const Node& node, const std::string& name, const std::string& words, Reading& reading);
void report_key_without_effect(const Entry& entry, const std::string& key, const std::string& value, Reading& reading);

// "write {} for its defaults", or with the keys that a map cannot be without: "write {keys: ..., server: ...}".
std::string shortest_map(const std::vector<std::string>& needed);

// A default as the reference shows it: "" where it is absent or a map.
std::string spell_default(const Json& written);

template <typename Struct>
struct Section {
  using Value = Struct;
  std::string described;  // "a map with the keys of a pool"
  std::vector<Key<Struct>> keys;
  // After the keys: what depends on more than one of them.
  void (*check)(const Node&, Struct&, Reading&) = nullptr;

  void read(const Node& node, Struct& value, Reading& reading) const {
    if (node.kind != NodeKind::map) {
      const std::string hint = node.kind == NodeKind::null ? fmt::format("; {}, or remove it", advice()) : "";
      reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), described, hint));
      return;
    }
    std::vector<std::string> refused;  // keys whose value is not known
    for (const Entry& entry : node.entries) {
      const Reading::Step step(reading, entry.key.text);
      const Key<Struct>* known = find(entry.key.text);
      if (known == nullptr) {
        report_unknown_key(entry, names(), below(entry.key.text), reading);
        continue;
      }
      const std::size_t before = reading.problem_count();
      known->slot->read(entry.value, value, reading);
      if (reading.problem_count() > before) refused.push_back(known->name);
    }
    check_conditions(node, value, refused, reading);
    for (const Key<Struct>& wanted : keys) {
      if (wanted.presence == Presence::required && node.find(wanted.name) == nullptr)
        report_missing_key(node, wanted.name, wanted.slot->words(), reading);
    }
    if (check) check(node, value, reading);
  }

  // A section in which nothing is to be written is not written itself.
  Json write(const Struct& value) const {
    Json map = Json::object();
    for (const Key<Struct>& key : keys) {
      if (!key.counts(value)) continue;
      if (Json written = key.slot->write(value); !written.is_null()) map[key.name] = std::move(written);
    }
    return map.empty() ? Json(nullptr) : map;
  }

  Json schema() const {
    Json properties = Json::object();
    Json wanted = Json::array();
    const Struct defaults{};
    for (const Key<Struct>& key : keys) {
      Json& property = properties[key.name] = key.slot->schema();
      property["description"] = key.full_meaning();
      const Json written = key.fallback.empty() ? key.slot->write(defaults) : Json(nullptr);
      if (key.presence == Presence::required) {
        wanted.push_back(key.name);
      } else if (!spell_default(written).empty()) {
        property["default"] = written;
      }
    }
    Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    if (!wanted.empty()) schema["required"] = wanted;
    return schema;
  }

  std::string words() const { return described; }

  // For whoever wrote something else than a map.
  std::string advice() const {
    std::vector<std::string> needed;
    for (const Key<Struct>& key : keys) {
      if (key.presence == Presence::required) needed.push_back(key.name);
    }
    return shortest_map(needed);
  }

  void document(const std::string& path, Reference& reference) const {
    reference.begin(path);
    const std::size_t section = reference.current();
    const Struct defaults{};
    for (const Key<Struct>& key : keys) {
      const std::string fallback = key.presence == Presence::required ? "**required**"
                                   : !key.fallback.empty()            ? key.fallback
                                                                      : spell_default(key.slot->write(defaults));
      reference.row(section, key.name, key.slot->words(), fallback, key.full_meaning());
      key.slot->document(path.empty() ? key.name : path + "." + key.name, reference);
    }
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Key<Struct>& key : keys) all.push_back(key.name);
    return all;
  }

  const Key<Struct>* find(const std::string& name) const {
    for (const Key<Struct>& key : keys) {
      if (key.name == name) return &key;
    }
    return nullptr;
  }

 private:
  // The path of a key of that name one section deeper, or "".
  std::string below(const std::string& name) const {
    for (const Key<Struct>& key : keys) {
      if (std::string path = key.slot->find_below(key.name, name); !path.empty()) return path;
    }
    return "";
  }

  // A condition on a key that was refused itself is not judged.
  void check_conditions(const Node& node, const Struct& value, const std::vector<std::string>& refused, Reading& reading) const {
    for (const Entry& entry : node.entries) {
      const Key<Struct>* key = find(entry.key.text);
      if (key == nullptr || key->counts(value) || std::ranges::find(refused, key->only_with->key) != refused.end()) continue;
      const Reading::Step step(reading, entry.key.text);
      report_key_without_effect(entry, key->only_with->key, key->only_with->value, reading);
    }
  }
};

}  // namespace steelyard::config
