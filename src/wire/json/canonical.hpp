// One spelling for each object: that of Python's json.dumps(json.loads(text)). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace steelyard::json {

// What an object can grow by: DEL is one byte and becomes \u007f. Characters beyond ASCII grow threefold at most, separators twofold.
inline constexpr std::size_t canonical_growth_max = 6;

// Appends an object that the scanner has accepted: ", " and ": " between its parts and no other blanks, names in their order, everything
// but printable ASCII as \uXXXX with lower-case digits or as \b, \f, \n, \r, \t, and no other escapes than those, \" and \\.
// Two things are not as Python has them. Numbers keep their text, where Python writes 1e2 as 100.0 and -0 as 0: a proxy should not change
// what it does not understand. And a name that stands twice in an inner object is kept twice.
void write_canonical(std::string_view object, std::string& out);
// Appends `text`, which is UTF-8 without escapes, as a string in quotes.
void write_string(std::string_view text, std::string& out);

}  // namespace steelyard::json
