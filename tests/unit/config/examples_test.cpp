// Every file under examples/ loads without a problem or a warning, and means the same when written out in full.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "config/load.hpp"

namespace steelyard::config {
namespace examples_test {

std::vector<std::filesystem::path> examples() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TESTS_DIR "/../examples")) {
    const auto extension = entry.path().extension();
    if (entry.path().parent_path().filename() == "packets") continue;  // what clients send
    if (entry.is_regular_file() && (extension == ".yaml" || extension == ".json")) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

TEST(Examples, are_there) { EXPECT_GE(examples().size(), 12U); }

TEST(Examples, load_without_problems_and_warnings) {
  for (const auto& file : examples()) {
    const auto loaded = load_file(file);
    ASSERT_TRUE(loaded) << to_string(loaded.error().front());
    EXPECT_TRUE(loaded->warnings.empty()) << to_string(loaded->warnings.front());
  }
}

TEST(Examples, mean_the_same_in_full) {
  for (const auto& file : examples()) {
    const auto loaded = load_file(file);
    ASSERT_TRUE(loaded) << file;
    const std::string full = expand(loaded->options);
    const auto again = load_text(full, "expanded");
    ASSERT_TRUE(again) << file << "\n" << to_string(again.error().front()) << "\n" << full;
    EXPECT_EQ(expand(again->options), full) << file;
  }
}

}  // namespace examples_test
}  // namespace steelyard::config
