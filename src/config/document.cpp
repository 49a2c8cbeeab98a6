// See document.hpp. yaml-cpp delivers events; the tree is built here, under limits. What the library throws ends here.
#include "config/document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <optional>
#include <streambuf>
#include <utility>

#include "config/reading.hpp"

namespace steelyard::config {
namespace {

// Ends a parse from within the library's callbacks.
struct Refused : std::exception {
  Refused(int at_line, int at_column, std::string why) : line(at_line), column(at_column), message(std::move(why)) {}
  int line;
  int column;
  std::string message;
};

constexpr const char* alias_refusal = "found an alias (*name), which this file may not use: write the value out";

std::string short_tag(const std::string& tag) {
  constexpr std::string_view standard = "tag:yaml.org,2002:";
  return tag.starts_with(standard) ? "!!" + tag.substr(standard.size()) : tag;
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  [[nodiscard]] Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      refuse(mark, "a second document begins here (after ---), allowed is one in a file: remove it or put it in a file of its own");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(make(NodeKind::null, mark, "", anchor)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse(mark, alias_refusal); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    Node node = make(NodeKind::scalar, mark, tag, anchor);
    node.quoted = tag == "!";
    node.text = value;
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(make(NodeKind::list, mark, tag, anchor), mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(make(NodeKind::map, mark, tag, anchor), mark);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    bool has_key = false;  // of a map: its last entry waits for the value
  };

  [[noreturn]] static void refuse(const YAML::Mark& mark, std::string why) {
    throw Refused(mark.line + 1, mark.column + 1, std::move(why));
  }

  Node make(NodeKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) refuse(mark, "found an anchor (&name), which this file may not use: write the value out where it is needed");
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, fmt::format("found the tag {}, which this file may not use: remove it", quote(short_tag(tag))));
    if (++nodes_ > nodes_max)
      refuse(mark, fmt::format("found more than {} values, which no configuration needs: is this the right file?", nodes_max));
    Node node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void open(Node node, const YAML::Mark& mark) {
    if (stack_.size() == depth_max) refuse(mark, fmt::format("nested deeper than {} levels, which no configuration needs", depth_max));
    if (!stack_.empty() && awaits_key(stack_.back())) refuse(mark, "found a list or a map as a key: keys are text");
    stack_.push_back({std::move(node)});
  }

  void close() {
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(node));
  }

  void add(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == NodeKind::list) {
      parent.node.items.push_back(std::move(node));
    } else if (parent.has_key) {
      parent.node.entries.back().value = std::move(node);
      parent.has_key = false;
    } else {
      if (node.kind != NodeKind::scalar) throw Refused(node.line, node.column, "found a key without text: keys are text");
      parent.node.entries.push_back({std::move(node), {}});
      parent.has_key = true;
    }
  }

  static bool awaits_key(const Open& open) { return open.node.kind == NodeKind::map && !open.has_key; }

  Node root_;
  std::vector<Open> stack_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

// A stream over bytes that are already in memory.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // never written to: there is no put area
    setg(begin, begin, begin + text.size());
  }
};

// The length of the UTF-8 sequence at the front of `text` (RFC 3629 §4), or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80U) return 1;
  if (first >= 0xc2U && first <= 0xdfU) return follows(1) ? 2 : 0;
  if (first >= 0xe0U && first <= 0xefU) {
    const bool overlong = first == 0xe0U && byte(1) < 0xa0U;
    const bool surrogate = first == 0xedU && byte(1) > 0x9fU;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0U && first <= 0xf4U) {
    const bool overlong = first == 0xf0U && byte(1) < 0x90U;
    const bool beyond = first == 0xf4U && byte(1) > 0x8fU;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

// Text only: the library would guess at UTF-16 and takes the control character 0x04 for the end of the file. Brackets are
// counted before it sees them, because it keeps all tokens of an unfinished list in memory.
void check_bytes(std::string_view text) {
  int line = 1;
  int column = 1;
  std::size_t depth = 0;
  std::size_t marks = 0;
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
      throw Refused(line, column, fmt::format("found the control character 0x{:02x}: this is not a text file", c));
    }
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0)
      throw Refused(line, column, fmt::format("found the byte 0x{:02x}, which is not UTF-8: save the file as UTF-8 text", c));
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (c == '[' || c == '{' || c == ',') ++marks;
    if (depth > 8 * depth_max)
      throw Refused(line, column, fmt::format("nested deeper than {} levels, which no configuration needs", depth_max));
    if (marks > nodes_max) {
      throw Refused(line, column,
                    fmt::format("found more than {} values, which no configuration needs: is this the right file?", nodes_max));
    }
    column = c == '\n' ? 1 : column + 1;
    line += c == '\n' ? 1 : 0;
    i += length;
  }
}

struct Tab {
  int line;
  int column;
};

// The first tab that indents something, up to `last_line`.
std::optional<Tab> find_indenting_tab(std::string_view text, int last_line) {
  int line = 1;
  while (!text.empty() && line <= last_line) {
    const std::string_view current = text.substr(0, text.find('\n'));
    const std::size_t content = current.find_first_not_of(" \t\r");
    const std::size_t tab = current.find('\t');
    if (content != std::string_view::npos && current[content] != '#' && tab < content) return Tab{line, static_cast<int>(tab) + 1};
    text.remove_prefix(std::min(text.size(), current.size() + 1));
    ++line;
  }
  return std::nullopt;
}

// The library's words for an error, in ours where we have better ones.
std::string explain(const YAML::Exception& error) {
  struct Words {
    std::string_view theirs;
    const char* ours;
  };
  static const Words table[] = {
      {YAML::ErrorMsg::END_OF_MAP_FLOW, "found something else than ',' or '}' after an entry of {...}"},
      {YAML::ErrorMsg::END_OF_SEQ_FLOW, "found something else than ',' or ']' after an element of [...]"},
      {YAML::ErrorMsg::FLOW_END, "found a '}' or ']' that does not close what is open"},
      {YAML::ErrorMsg::END_OF_MAP, "found something that belongs to no key: check that the keys of a map begin in the same column"},
      {YAML::ErrorMsg::END_OF_SEQ, "found something that belongs to no \"- \": check that the elements of a list begin in the same column"},
      {YAML::ErrorMsg::MAP_VALUE, "found a ':' where no value can begin: check the indentation, or put text with \": \" in it in quotes"},
      {YAML::ErrorMsg::BLOCK_ENTRY, "found a \"- \" where no list can begin: put it in a line of its own"},
      {YAML::ErrorMsg::EOF_IN_SCALAR, "found no closing quote before the end of the file"},
      {YAML::ErrorMsg::UNKNOWN_TOKEN, "found a character that begins no value: put the text in quotes"},
      {YAML::ErrorMsg::UNKNOWN_ANCHOR, alias_refusal},
  };
  for (const Words& words : table) {
    if (error.msg == words.theirs) return words.ours;
  }
  return error.msg;
}

bool is_flow(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
}

Node parse(std::string_view text) {
  check_bytes(text);
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  // The library does not miss a closing quote where the text ends with a line break.
  text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const YAML::Exception& error) {
    const int line = std::max(error.mark.line, 0) + 1;
    const int column = std::max(error.mark.column, 0) + 1;
    if (const auto tab = find_indenting_tab(text, line); tab && !is_flow(text)) {
      throw Refused(tab->line, tab->column, "found a tab in the indentation, allowed are spaces: replace it");
    }
    throw Refused(line, column, fmt::format("not valid {}: {}", is_flow(text) ? "JSON or YAML" : "YAML", explain(error)));
  }
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key.text == key) return &entry.value;
  }
  return nullptr;
}

std::expected<Node, Problem> parse_document(std::string_view text, const std::string& file) {
  try {
    return parse(text);
  } catch (const Refused& refused) {
    return std::unexpected(Problem{file, refused.line, refused.column, "", refused.message});
  } catch (const std::exception& error) {
    return std::unexpected(Problem{file, 0, 0, "", fmt::format("cannot be read: {}", error.what())});
  }
}

}  // namespace steelyard::config
