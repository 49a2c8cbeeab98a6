// See types.hpp.
#include "config/types.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::config {

bool read_scalar(const Node& node, Quotes quotes, const std::string& words, Reading& reading) {
  const bool right = node.kind == NodeKind::scalar && !(node.quoted && quotes == Quotes::refused);
  if (!right) {
    const char* hint = node.kind == NodeKind::scalar ? "; leave out the quotes" : "";
    reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words, hint));
  }
  return right;
}

Json text_schema(const std::string& pattern) { return {{"type", "string"}, {"pattern", pattern}}; }

Json choice_schema(std::vector<std::string> names) { return {{"enum", std::move(names)}}; }

std::string or_word(const std::string& words, const std::string& word) {
  return word.empty() ? words : fmt::format("{}, or {}", words, word);
}

void Span::read(const Node& node, Duration& value, Reading& reading) const {
  if (read_word(node, word, value) || !read_scalar(node, Quotes::allowed, words(), reading)) return;
  const auto duration = parse_duration(node.text);
  if (!duration) {
    reading.refuse(node, duration.error(), words(), did_you_mean_word(node, word));
  } else if (*duration < min || *duration > max || (whole_seconds && *duration % 1s != Duration{0})) {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
  } else {
    value = *duration;
  }
}

Json Span::write(Duration value) const { return word && value == word->value ? word->text : spell_duration(value); }

Json Span::schema() const {
  const Json spelled = text_schema(R"(^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$)");
  return word ? Json{{"anyOf", {spelled, choice_schema({word->text})}}} : spelled;
}

std::string Span::words() const {
  const char* wholly = whole_seconds ? " in whole seconds" : "";
  return or_word(fmt::format("a duration from {} to {}{}", spell_duration(min), spell_duration(max), wholly), word ? word->text : "");
}

void Seconds::read(const Node& node, Duration& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::refused, words(), reading)) return;
  const auto duration = parse_seconds(node.text);
  if (!duration || *duration < min || *duration > max) {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
  } else {
    value = *duration;
  }
}

Json Seconds::write(Duration value) const {
  if (value.count() % 1'000'000'000 == 0) return value.count() / 1'000'000'000;
  return static_cast<double>(value.count()) / 1e9;
}

Json Seconds::schema() const { return {{"type", "number"}, {"minimum", write(min)}, {"maximum", write(max)}}; }

std::string Seconds::words() const { return fmt::format("a number of seconds from {} to {}", write(min).dump(), write(max).dump()); }

void Decimal::read(const Node& node, double& value, Reading& reading) const {
  if (read_word(node, word, value) || !read_scalar(node, Quotes::refused, words(), reading)) return;
  const auto number = parse_decimal(node.text);
  if (!number || *number < min || *number > max) {
    reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), did_you_mean_word(node, word)));
  } else {
    value = *number;
  }
}

// A whole number is written as one.
Json Decimal::write(double value) const {
  if (word && value == word->value) return word->text;
  const auto whole = static_cast<std::int64_t>(value);
  return static_cast<double>(whole) == value ? Json(whole) : Json(value);
}

Json Decimal::schema() const {
  Json number{{"type", "number"}, {"minimum", min}, {"maximum", max}};
  return word ? Json{{"anyOf", {number, choice_schema({word->text})}}} : number;
}

std::string Decimal::words() const { return or_word(fmt::format("a number from {} to {}", min, max), word ? word->text : ""); }

void Percent::read(const Node& node, double& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  const auto share = parse_percent(node.text);
  if (!share) {
    reading.refuse(node, share.error(), words());
  } else if (*share < min || *share > max) {
    reading.problem(node, fmt::format("found {}, allowed is {}", found(node), words()));
  } else {
    value = *share;
  }
}

void Switch::read(const Node& node, bool& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::refused, words(), reading)) return;
  if (node.text == "true" || node.text == "false") {
    value = node.text == "true";
    return;
  }
  const std::string lower = to_lower(node.text);
  const bool yes = lower == "yes" || lower == "on" || lower == "true" || lower == "1";
  const bool no = lower == "no" || lower == "off" || lower == "false" || lower == "0";
  reading.problem(node, fmt::format("found {}, allowed is {}{}", found(node), words(), yes ? ": write true" : no ? ": write false" : ""));
}

void Text::read(const Node& node, std::string& value, Reading& reading) const {
  if (!read_scalar(node, Quotes::allowed, words(), reading)) return;
  if (const auto wrong = check(node.text)) {
    reading.refuse(node, *wrong, words());
    return;
  }
  value = node.text;
}

}  // namespace steelyard::config
