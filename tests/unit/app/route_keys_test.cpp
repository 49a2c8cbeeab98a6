// The keys of routes that sign redirects.
#include "app/route_keys.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace steelyard {
namespace route_keys_test {

// 32 bytes of "a", in base64url.
constexpr const char* secret =
    R"({"keys": [{"kty": "oct", "kid": "1", "alg": "HS256", "k": "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"}]})";
// The public half of RFC 8037 appendix A.2.
constexpr const char* public_half =
    R"({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "p", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";

struct RouteKeysTest : ::testing::Test {
  std::filesystem::path folder = [] {
    std::string name = std::filesystem::temp_directory_path() / "steelyard-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }();
  ~RouteKeysTest() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const std::string path = folder / name;
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  static RouteOptions signs_with(const std::string& path, RouteMode mode = RouteMode::redirect) {
    RouteOptions route;
    route.name = "files";
    route.mode = mode;
    route.redirect.keys = path;
    return route;
  }
};

TEST_F(RouteKeysTest, each_route_has_the_keys_of_its_file) {
  const std::string one = write("one", secret);
  const std::string two = write("two", secret);
  const auto read =
      read_route_keys({signs_with(""), signs_with(one), signs_with(two), signs_with(one), signs_with("gone", RouteMode::proxy)});
  ASSERT_TRUE(read) << read.error();
  ASSERT_EQ(read->keys.size(), 5U);
  EXPECT_EQ(read->keys[0], nullptr);
  EXPECT_NE(read->keys[1], nullptr);
  EXPECT_EQ(read->keys[1], read->keys[3]) << "a file is read once";
  EXPECT_NE(read->keys[1], read->keys[2]);
  EXPECT_EQ(read->keys[4], nullptr);
  EXPECT_TRUE(read->warnings.empty());
  EXPECT_TRUE(read_route_keys({signs_with("")})->keys.empty());
}

TEST_F(RouteKeysTest, the_sentence_says_which_route_and_which_file_is_wrong) {
  const auto why = [](const std::string& path) { return read_route_keys({signs_with(path)}).error(); };
  EXPECT_EQ(why(folder / "none"), "the route files: cannot open the key file " + (folder / "none").string() +
                                      ": No such file or directory; steelyard token keygen --out FILE makes one");
  EXPECT_TRUE(why(write("bad", "{}")).starts_with("the route files: the key file " + (folder / "bad").string() + ": "));
  EXPECT_TRUE(why(write("large", std::string(70'000, ' '))).find("65536") != std::string::npos);
  EXPECT_TRUE(why(write("public", public_half)).find("has no key that can sign, only public halves") != std::string::npos);
  EXPECT_TRUE(why(folder).find("cannot read the key file") != std::string::npos);
}

TEST_F(RouteKeysTest, files_that_others_may_read_are_warned_about_once) {
  const std::string path = write("open", secret, 0644);
  const auto read = read_route_keys({signs_with(path), signs_with(path)});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->warnings, std::vector<std::string>{"other users may read the key file " + path + ": chmod 600 " + path});
}

}  // namespace route_keys_test
}  // namespace steelyard
