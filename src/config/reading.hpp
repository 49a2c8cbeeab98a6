// What a reader of the tree carries along: the path of keys to where it is, and the problems met so far.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/document.hpp"
#include "config/load.hpp"

namespace steelyard::config {

class Reading {
 public:
  explicit Reading(std::string file) : file_(std::move(file)) {}

  // Goes one key or one index deeper while it lives.
  class Step {
   public:
    Step(Reading& reading, std::string_view key);
    Step(Reading& reading, std::size_t index);
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { reading_.path_.resize(length_); }

   private:
    Reading& reading_;
    std::size_t length_;
  };

  // Beyond a number that nobody reads to the end, problems are only noted.
  static constexpr std::size_t problems_max = 200;
  void problem(const Node& at, std::string message);
  // The usual form: `found X, which WHY; allowed is ALLOWED`; without that part where `why` says already what to write. `hint` ends it.
  void refuse(const Node& at, std::string_view why, std::string_view allowed, std::string_view hint = "");
  void warn(const Node& at, std::string message) { warnings_.push_back(make(at, std::move(message))); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::vector<Problem>& problems() { return problems_; }
  [[nodiscard]] std::size_t problem_count() const { return problems_.size() + problems_left_out_; }
  [[nodiscard]] std::size_t problems_left_out() const { return problems_left_out_; }
  [[nodiscard]] std::vector<Problem>& warnings() { return warnings_; }

 private:
  Problem make(const Node& at, std::string message) const { return {file_, at.line, at.column, path_, std::move(message)}; }

  std::string file_;
  std::string path_;
  std::vector<Problem> problems_;
  std::vector<Problem> warnings_;
  std::size_t problems_left_out_ = 0;
};

// Without control characters, on one line.
std::string printable(std::string_view text);
// Text of a file as it may be shown: shortened, without control characters, in quotes.
std::string quote(std::string_view text);
// "nothing", "a list", "a map", 12, "abc", the text "12"
std::string found(const Node& node);
// "a, b or c"
std::string any_of(const std::vector<std::string>& words);
// The candidate within a few typing errors of `text`, or "".
std::string nearest(std::string_view text, const std::vector<std::string>& candidates);
// `; did you mean "x"?` or "".
std::string did_you_mean(std::string_view text, const std::vector<std::string>& candidates);

// Reports every key that a map has twice, and forgets the later ones.
void drop_duplicate_keys(Node& node, Reading& reading);

}  // namespace steelyard::config
