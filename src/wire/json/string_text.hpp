// What a JSON string says: its text without escapes, and comparing such texts. Only for what the scanner has accepted: escapes and UTF-8
// are taken to be well-formed. Pure.
#pragma once

#include <string>
#include <string_view>

namespace steelyard::json {

// The characters that stand between the quotes of a string, one by one.
class Characters {
 public:
  explicit Characters(std::string_view raw) : rest_(raw) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  // The next one; there must be one.
  char32_t next();

 private:
  char32_t next_escaped();
  char32_t take_hex();

  std::string_view rest_;
};

// Appends the text as UTF-8. It is never longer than `raw`.
void unescape(std::string_view raw, std::string& out);
// Whether both say the same.
[[nodiscard]] bool same_text(std::string_view raw, std::string_view other_raw);
// The same for a text that is given as it is, without escapes.
[[nodiscard]] bool says(std::string_view raw, std::string_view text);

void append_utf8(char32_t character, std::string& out);

}  // namespace steelyard::json
