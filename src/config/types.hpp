// The types that a key's value may have. Each reads a node into a value, writes it back, describes itself as JSON Schema and in
// words; what it refuses becomes a problem that says what was found and what is allowed. tables.cpp puts them together.
//
// A type has: Value; read(node, value, reading); write(value), null where nothing is to be written; schema(); words().
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "config/reading.hpp"
#include "config/spelling.hpp"

namespace steelyard::config {

using Json = nlohmann::ordered_json;

// A word that stands for a value: unlimited, auto.
template <typename Value>
struct Word {
  std::string text;
  Value value;
};

// True for a scalar that is not in quotes or may be: reports everything else.
enum class Quotes : std::uint8_t { allowed, refused };
bool read_scalar(const Node& node, Quotes quotes, const std::string& words, Reading& reading);

Json text_schema(const std::string& pattern);
Json choice_schema(std::vector<std::string> names);
std::string or_word(const std::string& words, const std::string& word);

template <typename Value>
bool read_word(const Node& node, const std::optional<Word<Value>>& word, Value& value) {
  if (!word || node.kind != NodeKind::scalar || node.text != word->text) return false;
  value = word->value;
  return true;
}

// `; did you mean "unlimited"?` where the node is nearly the word, or "".
template <typename Value>
std::string did_you_mean_word(const Node& node, const std::optional<Word<Value>>& word) {
  return word ? did_you_mean(node.text, {word->text}) : "";
}

// A whole number.
template <std::unsigned_integral Number>
struct Count {
  using Value = Number;
  Number min;
  Number max;
  std::optional<Word<Number>> word = std::nullopt;

  void read(const Node& node, Number& value, Reading& reading) const {
    if (read_word(node, word, value) || !read_scalar(node, Quotes::refused, words(), reading)) return;
    const auto number = parse_unsigned<std::uint64_t>(node.text);
    const bool octal = node.text.size() > 1 && node.text.front() == '0';
    if (!number || octal || *number < min || *number > max) {
      reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), did_you_mean_word(node, word)));
      return;
    }
    value = static_cast<Number>(*number);
  }
  Json write(Number value) const { return word && value == word->value ? Json(word->text) : Json(value); }
  Json schema() const {
    Json number{{"type", "integer"}, {"minimum", min}, {"maximum", max}};
    return word ? Json{{"anyOf", {number, choice_schema({word->text})}}} : number;
  }
  std::string words() const { return or_word(fmt::format("a whole number from {} to {}", min, max), word ? word->text : ""); }
};

// A number of bytes.
template <std::unsigned_integral Number>
struct Size {
  using Value = Number;
  Number min;
  Number max;
  std::optional<Word<Number>> word = std::nullopt;

  void read(const Node& node, Number& value, Reading& reading) const {
    if (read_word(node, word, value) || !read_scalar(node, Quotes::allowed, words(), reading)) return;
    const auto bytes = parse_size(node.text);
    if (!bytes) {
      reading.refuse(node, bytes.error(), words(), did_you_mean_word(node, word));
    } else if (*bytes < min || *bytes > max) {
      reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
    } else {
      value = static_cast<Number>(*bytes);
    }
  }
  Json write(Number value) const { return word && value == word->value ? Json(word->text) : Json(spell_size(value)); }
  Json schema() const {
    std::vector<Json> spellings{{{"type", "integer"}, {"minimum", min}, {"maximum", max}},
                                text_schema(R"(^[0-9]+(\.[0-9]+)?(KiB|MiB|GiB|kB|MB|GB)?$)")};
    if (word) spellings.push_back(choice_schema({word->text}));
    return {{"anyOf", spellings}};
  }
  std::string words() const {
    return or_word(fmt::format("a size from {} to {}", spell_size(min), spell_size(max)), word ? word->text : "");
  }
};

// A time with its unit.
struct Span {
  using Value = Duration;
  Duration min;
  Duration max;
  std::optional<Word<Duration>> word = std::nullopt;
  bool whole_seconds = false;  // for what is kept in seconds

  void read(const Node& node, Duration& value, Reading& reading) const;
  Json write(Duration value) const;
  Json schema() const;
  std::string words() const;
};

// A number of seconds: LoadX's spelling of a time.
struct Seconds {
  using Value = Duration;
  Duration min;
  Duration max;

  void read(const Node& node, Duration& value, Reading& reading) const;
  Json write(Duration value) const;
  Json schema() const;
  std::string words() const;
};

// A decimal number with up to four digits after the point.
struct Decimal {
  using Value = double;
  double min;
  double max;
  std::optional<Word<double>> word = std::nullopt;

  void read(const Node& node, double& value, Reading& reading) const;
  Json write(double value) const;
  Json schema() const;
  std::string words() const;
};

// A share of something: in the file a percentage, in the options a number from 0 to 1.
struct Percent {
  using Value = double;
  double min = 0;
  double max = 1;

  void read(const Node& node, double& value, Reading& reading) const;
  Json write(double value) const { return spell_percent(value); }
  Json schema() const { return text_schema(R"(^[0-9]+(\.[0-9]+)?%$)"); }
  std::string words() const { return fmt::format("a percentage from {} to {}", spell_percent(min), spell_percent(max)); }
};

struct Switch {
  using Value = bool;
  void read(const Node& node, bool& value, Reading& reading) const;
  Json write(bool value) const { return value; }
  Json schema() const { return {{"type", "boolean"}}; }
  std::string words() const { return "true or false"; }
};

struct Text {
  using Value = std::string;
  // What is wrong with a text, as the end of `found "x", which …`; nothing when it is right.
  using Check = std::optional<std::string> (*)(std::string_view text);
  std::string described;
  Check check;

  void read(const Node& node, std::string& value, Reading& reading) const;
  Json write(const std::string& value) const { return value; }
  // Loosely typed as the reader is: `id: 100` is the text 100.
  Json schema() const { return {{"type", {"string", "number", "boolean"}}}; }
  std::string words() const { return described; }
};

template <typename Enum>
struct Choice {
  using Value = Enum;
  std::vector<std::pair<std::string, Enum>> names;

  void read(const Node& node, Enum& value, Reading& reading) const {
    if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
    for (const auto& [name, meaning] : names) {
      if (name == node.text) {
        value = meaning;
        return;
      }
    }
    reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), did_you_mean(node.text, spellings())));
  }
  Json write(Enum value) const {
    for (const auto& [name, meaning] : names) {
      if (meaning == value) return name;
    }
    return nullptr;
  }
  Json schema() const { return choice_schema(spellings()); }
  std::string words() const { return any_of(spellings()); }

 private:
  std::vector<std::string> spellings() const {
    std::vector<std::string> all;
    for (const auto& [name, meaning] : names) all.push_back(name);
    return all;
  }
};

enum class Single : std::uint8_t { refused, allowed };  // whether one element may stand without its list

template <typename Inner>
struct List {
  using Value = std::vector<typename Inner::Value>;
  static constexpr std::string_view path_part = "[]";
  Inner inner;
  std::string described;  // "a list of servers"
  Single single = Single::refused;

  void read(const Node& node, Value& values, Reading& reading) const {
    values.clear();
    if (node.kind == NodeKind::scalar && single == Single::allowed) {
      inner.read(node, values.emplace_back(), reading);
      return;
    }
    if (node.kind != NodeKind::list) {
      reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
      return;
    }
    // An element that is refused still takes its place, so that checks of the whole find each element at its index.
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const Reading::Step step(reading, i);
      inner.read(node.items[i], values.emplace_back(), reading);
    }
  }
  Json write(const Value& values) const {
    Json list = Json::array();
    for (const auto& value : values) list.push_back(inner.write(value));
    return list;
  }
  Json schema() const {
    Json list{{"type", "array"}, {"items", inner.schema()}};
    return single == Single::allowed ? Json{{"anyOf", {inner.schema(), list}}} : list;
  }
  std::string words() const { return described; }
};

// A value that may be absent.
template <typename Inner>
struct Optional {
  using Value = std::optional<typename Inner::Value>;
  Inner inner;

  void read(const Node& node, Value& value, Reading& reading) const { inner.read(node, value.emplace(), reading); }
  Json write(const Value& value) const { return value ? inner.write(*value) : Json(nullptr); }
  Json schema() const { return inner.schema(); }
  std::string words() const { return inner.words(); }
};

// A value that may be absent, for which the word of `inner` stands.
template <typename Inner>
struct OrWord {
  using Value = std::optional<typename Inner::Value>;
  Inner inner;

  void read(const Node& node, Value& value, Reading& reading) const {
    typename Inner::Value read{};
    inner.read(node, read, reading);
    value = read == inner.word->value ? std::nullopt : Value(read);
  }
  Json write(const Value& value) const { return inner.write(value.value_or(inner.word->value)); }
  Json schema() const { return inner.schema(); }
  std::string words() const { return inner.words(); }
};

// A map of what may be switched off as a whole.
template <typename Inner>
struct OrOff {
  using Value = std::optional<typename Inner::Value>;
  Inner inner;

  void read(const Node& node, Value& value, Reading& reading) const {
    if (node.kind == NodeKind::map || node.kind == NodeKind::null) {
      inner.read(node, value.emplace(), reading);
    } else if (node.kind == NodeKind::scalar && node.text == "off") {
      value.reset();
    } else {
      const bool yes = node.text == "true" || node.text == "yes" || node.text == "on";
      const bool no = node.text == "false" || node.text == "no" || node.text == "none" || node.text == "never";
      const std::string hint = yes ? "; " + inner.advice() : no ? R"(; did you mean "off"?)" : did_you_mean(node.text, {"off"});
      reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), hint));
    }
  }
  Json write(const Value& value) const { return value ? inner.write(*value) : Json("off"); }
  Json schema() const { return {{"anyOf", {inner.schema(), choice_schema({"off"})}}}; }
  std::string words() const { return or_word(inner.words(), "off"); }
};

}  // namespace steelyard::config
