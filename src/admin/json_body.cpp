#include "admin/json_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "config/reading.hpp"

namespace steelyard::admin {
namespace {

using config::Node;
using config::NodeKind;
using Library = nlohmann::json;

struct Place {
  std::size_t line = 1;
  std::size_t column = 1;
};

// Of the character that the library had read last.
Place place_of(std::string_view text, std::size_t position) {
  Place place;
  const std::string_view before = text.substr(0, std::min(position, text.size() + 1) - (position == 0 ? 0 : 1));
  for (const char c : before) {
    place.column = c == '\n' ? 1 : place.column + 1;
    place.line += c == '\n' ? 1 : 0;
  }
  return place;
}

// "parse error at line 1, column 2: syntax error while parsing value - invalid literal; last read: 'x'": the middle, because the
// end may be as long as the body.
std::string detail_of(std::string_view message) {
  constexpr std::string_view begin = "syntax error ";
  const std::size_t at = message.find(begin);
  if (at == std::string_view::npos) return "it has a number that cannot be kept";
  message.remove_prefix(at + begin.size());
  return config::printable(message.substr(0, std::min<std::size_t>(message.find("; last read"), 200)));
}

class TreeBuilder final : public nlohmann::json_sax<Library> {
 public:
  explicit TreeBuilder(std::string_view text) : text_(text) {}

  [[nodiscard]] Node take() { return std::move(root_); }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  bool null() override { return add(make(NodeKind::null)); }
  bool boolean(bool value) override { return add(scalar(value ? "true" : "false")); }
  bool number_integer(number_integer_t value) override { return add(scalar(fmt::format("{}", value))); }
  bool number_unsigned(number_unsigned_t value) override { return add(scalar(fmt::format("{}", value))); }
  bool number_float(number_float_t /*value*/, const string_t& spelled) override { return add(scalar(spelled)); }
  bool string(string_t& value) override {
    Node node = scalar(std::move(value));
    node.quoted = true;
    return add(std::move(node));
  }
  bool binary(binary_t& /*value*/) override { return refuse("it is no JSON"); }
  bool start_object(std::size_t /*elements*/) override { return open(NodeKind::map); }
  bool start_array(std::size_t /*elements*/) override { return open(NodeKind::list); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Node& map = open_.back();
    // Which of two counts, readers disagree about (RFC 8259 §4).
    if (map.find(name) != nullptr) return refuse(fmt::format("it has the name {} twice in one object", config::quote(name)));
    map.entries.push_back({scalar(std::move(name)), {}});
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*last_token*/, const Library::exception& error) override {
    const Place place = place_of(text_, position);
    return refuse(fmt::format("line {}, column {}: {}", place.line, place.column, detail_of(error.what())));
  }

 private:
  // Without a place, which the library does not tell.
  static Node make(NodeKind kind) {
    Node node;
    node.kind = kind;
    node.line = node.column = 0;
    return node;
  }

  static Node scalar(std::string text) {
    Node node = make(NodeKind::scalar);
    node.text = std::move(text);
    return node;
  }

  bool refuse(std::string why) {
    wrong_ = std::move(why);
    return false;
  }

  bool open(NodeKind kind) {
    if (open_.size() == json_depth_max) return refuse(fmt::format("it is nested deeper than {} levels", json_depth_max));
    open_.push_back(make(kind));
    return true;
  }

  bool close() {
    Node node = std::move(open_.back());
    open_.pop_back();
    return add(std::move(node));
  }

  bool add(Node node) {
    if (++values_ > json_values_max) return refuse(fmt::format("it has more than {} values", json_values_max));
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().kind == NodeKind::list) {
      open_.back().items.push_back(std::move(node));
    } else {
      open_.back().entries.back().value = std::move(node);
    }
    return true;
  }

  std::string_view text_;
  Node root_;
  std::vector<Node> open_;
  std::size_t values_ = 0;
  std::string wrong_;
};

}  // namespace

std::expected<Node, std::string> parse_json(std::string_view text) {
  // The library takes it for the end.
  if (text.find('\0') != std::string_view::npos) return std::unexpected("the body is no JSON that is taken here: it has a NUL byte");
  try {
    TreeBuilder builder(text);
    if (Library::sax_parse(text, &builder)) return builder.take();
    return std::unexpected(fmt::format("the body is no JSON that is taken here: {}", builder.wrong()));
  } catch (const std::exception& error) {
    return std::unexpected(fmt::format("the body cannot be read: {}", error.what()));
  }
}

}  // namespace steelyard::admin
