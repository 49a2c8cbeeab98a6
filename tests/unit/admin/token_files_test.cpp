// Tokens as files hold them.
#include "admin/token_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace steelyard::admin {
namespace token_files_test {

struct TokenFilesTest : ::testing::Test {
  std::filesystem::path folder = [] {
    std::string name = std::filesystem::temp_directory_path() / "steelyard-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    return name;
  }();
  ~TokenFilesTest() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const std::string path = folder / name;
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string read(const std::string& text) const {
    std::string warning;
    return read_token_file(write("token", text), warning).value_or("refused");
  }
};

TEST_F(TokenFilesTest, hold_the_token_in_their_first_line) {
  EXPECT_EQ(read("0123456789abcdef"), "0123456789abcdef");
  EXPECT_EQ(read("  0123456789abcdef \t\r\nsecond line\n"), "0123456789abcdef");
  EXPECT_EQ(read(std::string(1024, 'x') + "\n").size(), 1024U);
}

TEST_F(TokenFilesTest, are_refused_where_the_token_is_none) {
  EXPECT_EQ(read(""), "refused");
  EXPECT_EQ(read("\n0123456789abcdef"), "refused");
  EXPECT_EQ(read("0123456789abcde\n"), "refused");
  EXPECT_EQ(read("0123456789 abcdef\n"), "refused");
  EXPECT_EQ(read("0123456789abcd\xc3\xa9\n"), "refused");
  EXPECT_EQ(read(std::string(1025, 'x')), "refused");
  EXPECT_EQ(read(std::string(1 << 20, 'x')), "refused");
}

TEST_F(TokenFilesTest, are_refused_with_their_path) {
  std::string warning;
  EXPECT_NE(read_token_file("/nonexistent/token", warning).error().find("/nonexistent/token"), std::string::npos);
  EXPECT_FALSE(read_token_file(folder, warning));
}

TEST_F(TokenFilesTest, do_not_hold_up_who_reads_a_pipe) {
  const std::string path = folder / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::string warning;
  EXPECT_FALSE(read_token_file(path, warning));
}

TEST_F(TokenFilesTest, are_warned_of_where_others_may_read_them) {
  for (const mode_t mode : {0640U, 0604U, 0644U}) {
    std::string warning;
    EXPECT_TRUE(read_token_file(write("open", "0123456789abcdef", mode), warning));
    EXPECT_NE(warning.find("chmod 600"), std::string::npos);
  }
  std::string warning;
  EXPECT_TRUE(read_token_file(write("own", "0123456789abcdef"), warning));
  EXPECT_EQ(warning, "");
}

PoolOptions pool_with(const std::string& name, const std::string& token_file) {
  PoolOptions pool{.name = name};
  pool.registration = RegistrationOptions{.token_file = token_file, .networks = {}};
  return pool;
}

Asked asking(std::string_view authorization) {
  return {.authority = "localhost", .origin = {}, .fetch_site = {}, .authorization = authorization};
}

TEST_F(TokenFilesTest, give_the_operators_token_and_those_of_pools) {
  AdminOptions admin;
  admin.token_file = write("operator", "the-operators-token");
  const auto loaded = load_access(admin, {PoolOptions{.name = "plain"}, pool_with("app", write("app", "token-of-the-pool", 0644))});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->warnings.size(), 1U);
  EXPECT_EQ(loaded->access.identify(asking("Bearer the-operators-token"))->role, Caller::Role::operator_);
  EXPECT_EQ(loaded->access.identify(asking("Bearer token-of-the-pool"))->pool, "app");
}

TEST_F(TokenFilesTest, need_tokens_of_their_own) {
  AdminOptions admin;
  admin.token_file = write("operator", "one-and-the-same-token");
  EXPECT_FALSE(load_access(admin, {pool_with("app", write("app", "one-and-the-same-token"))}));
  admin.token_file.clear();
  EXPECT_FALSE(load_access(admin, {pool_with("a", folder / "app"), pool_with("b", folder / "app")}));
}

TEST_F(TokenFilesTest, are_not_needed_within_this_machine) {
  AdminOptions admin;
  EXPECT_TRUE(load_access(admin, {})->access.identify({.authority = "x", .origin = {}, .fetch_site = {}, .authorization = {}}));
  admin.bind = *SocketAddress::parse("192.0.2.1:9900");
  EXPECT_FALSE(load_access(admin, {})->access.identify({.authority = "x", .origin = {}, .fetch_site = {}, .authorization = {}}));
}

}  // namespace token_files_test
}  // namespace steelyard::admin
