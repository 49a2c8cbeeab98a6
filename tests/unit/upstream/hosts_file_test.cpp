// The names file, entry by entry, and files that are not there.
#include "upstream/hosts_file.hpp"

#include <gtest/gtest.h>

namespace steelyard {
namespace hosts_file_test {

std::vector<std::string> entries(std::string_view text, std::string_view name) {
  std::vector<std::string> found;
  for (const IpAddress& ip : hosts_entries(text, name)) found.push_back(ip.to_string());
  return found;
}
using Texts = std::vector<std::string>;

TEST(HostsFile, finds_names_and_aliases_in_every_line) {
  constexpr std::string_view text = "10.0.0.1 web web.example.com\n\n  10.0.0.2\tdb\tweb  \nfd00::1 web";
  EXPECT_EQ(entries(text, "web"), (Texts{"10.0.0.1", "10.0.0.2", "fd00::1"}));
  EXPECT_EQ(entries(text, "WEB.example.COM"), Texts{"10.0.0.1"});
  EXPECT_EQ(entries(text, "example.com"), Texts{});
  EXPECT_EQ(entries(text, "10.0.0.1"), Texts{});
}

TEST(HostsFile, passes_over_comments_and_lines_that_are_no_entry) {
  EXPECT_EQ(entries("#10.0.0.1 web\n10.0.0.2 db # web\nweb\nnot-an-address web\n10.0.0.3\n10.0.0.4 web\r\n", "web"), Texts{"10.0.0.4"});
}

TEST(HostsFile, counts_an_address_once_a_line) { EXPECT_EQ(entries("10.0.0.1 web web\n", "web"), Texts{"10.0.0.1"}); }

TEST(HostsFile, a_file_that_is_not_there_has_no_entry) { EXPECT_TRUE(read_hosts_entries("/nonexistent/hosts", "web").empty()); }

}  // namespace hosts_file_test
}  // namespace steelyard
