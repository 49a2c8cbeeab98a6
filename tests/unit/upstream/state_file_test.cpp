// The state file on a real disk: whole whatever fails or when the process is killed, and never in the way of a start.
#include "upstream/state_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "upstream/state_text.hpp"

namespace steelyard {
namespace state_file_test {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

constexpr std::int64_t unix_s = 1'700'000'000;

RegistryState state_with(std::uint32_t weight, int servers = 3) {
  RegistryState state;
  state.revision = weight;
  for (int i = 0; i < servers; ++i) {
    const std::string id = "s" + std::to_string(i);
    state.pools["app"].added[id].options = {.id = id, .host = "10.0.0.1", .port = 80, .weight = weight};
  }
  return state;
}

// What happens at the calls of the system. Plain functions are called, so it is one for the whole test.
struct Script {
  enum class At : std::uint8_t { nothing, dies_before, dies_after, fails };
  At at = At::nothing;
  int call = 0;  // from 1
  int error = 0;
  std::size_t write_max = SIZE_MAX;
  bool interrupts = false;  // each call first
  int calls = 0;
  bool interrupted = false;
};
Script script;

template <typename Call>
auto step(Call call) -> decltype(call()) {
  if (script.interrupts && !script.interrupted) {
    script.interrupted = true;
    errno = EINTR;
    return -1;
  }
  script.interrupted = false;
  const bool now = ++script.calls == script.call;
  if (now && script.at == Script::At::dies_before) _exit(7);
  if (now && script.at == Script::At::fails) {
    errno = script.error;
    return -1;
  }
  const auto result = call();
  if (now && script.at == Script::At::dies_after) _exit(7);
  return result;
}

const FileCalls scripted{
    .open = [](const char* path, int flags) { return step([&] { return system_file_calls.open(path, flags); }); },
    .make_temporary = [](char* pattern) { return step([&] { return system_file_calls.make_temporary(pattern); }); },
    .read = [](int file, void* bytes, std::size_t size) { return step([&] { return system_file_calls.read(file, bytes, size); }); },
    .write = [](int file, const void* bytes,
                std::size_t size) { return step([&] { return system_file_calls.write(file, bytes, std::min(size, script.write_max)); }); },
    .fsync = [](int file) { return step([&] { return system_file_calls.fsync(file); }); },
    // These two are not interrupted (rename(2), unlink(2)).
    .rename = [](const char* from,
                 const char* to) { return script.interrupted = true, step([&] { return system_file_calls.rename(from, to); }); },
    .unlink = [](const char* path) { return script.interrupted = true, step([&] { return system_file_calls.unlink(path); }); },
};

class StateFileTest : public testing::Test {
 protected:
  void SetUp() override {
    script = {};
    std::string pattern = fs::temp_directory_path() / "state_file_test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    path = folder / "state.json";
  }
  void TearDown() override {
    fs::permissions(folder, fs::perms::owner_all);
    fs::remove_all(folder);
  }

  [[nodiscard]] StateFile file(const FileCalls& calls = system_file_calls) const { return StateFile(path, calls); }
  [[nodiscard]] Names names() const {
    Names names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  void put_bytes(std::string_view bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  // The weight in the state that is there; 0: none.
  [[nodiscard]] std::uint32_t weight_there() const {
    const auto state = file().read(unix_s);
    EXPECT_TRUE(state) << state.error().message;
    if (!state || !*state) return 0;
    const std::uint32_t weight = (*state)->pools.at("app").added.at("s0").options.weight;
    EXPECT_TRUE(**state == state_with(weight, static_cast<int>((*state)->pools.at("app").added.size())));
    return weight;
  }
  StateFile::Failure failure() const {
    const auto state = file().read(unix_s);
    EXPECT_FALSE(state);
    return state ? StateFile::Failure{} : state.error();
  }

  fs::path folder;
  fs::path path;
};

TEST_F(StateFileTest, what_was_written_is_read) {
  EXPECT_EQ(weight_there(), 0U);
  ASSERT_TRUE(file().write(state_with(1)));
  EXPECT_EQ(weight_there(), 1U);
  ASSERT_TRUE(file().write(state_with(2, 10'000)));
  EXPECT_EQ(weight_there(), 2U);
  EXPECT_EQ(names(), Names{"state.json"});
}

TEST_F(StateFileTest, is_for_its_owner_only) {
  const mode_t before = umask(0);
  ASSERT_TRUE(file().write(state_with(1)));
  umask(before);
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
}

TEST_F(StateFileTest, a_name_without_a_folder_is_in_this_one) {
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  EXPECT_TRUE(StateFile("state.json").write(state_with(1)));
  fs::current_path(before);
  EXPECT_EQ(weight_there(), 1U);
}

TEST_F(StateFileTest, damaged_ones_are_set_aside_each_under_its_own_name) {
  for (const char* bytes : {"", "{", "version: 1\n", R"({"version":2,"sha256":"","state":{}})"}) {
    put_bytes(bytes);
    const auto failed = failure();
    EXPECT_TRUE(failed.set_aside);
    EXPECT_TRUE(failed.message.contains("state.json.corrupt-1700000000")) << failed.message;
    EXPECT_EQ(weight_there(), 0U);
  }
  EXPECT_EQ(names(), (Names{"state.json.corrupt-1700000000", "state.json.corrupt-1700000000-2", "state.json.corrupt-1700000000-3",
                            "state.json.corrupt-1700000000-4"}));
}

TEST_F(StateFileTest, one_that_is_cut_short_is_set_aside) {
  const std::string text = spell_state(state_with(1));
  put_bytes(text.substr(0, text.size() / 2));
  EXPECT_TRUE(failure().set_aside);
}

TEST_F(StateFileTest, one_that_is_too_large_is_set_aside) {
  put_bytes("x");
  fs::resize_file(path, state_bytes_max + 1);  // a hole, which takes no room
  const auto failed = failure();
  EXPECT_TRUE(failed.set_aside);
  EXPECT_TRUE(failed.message.contains("larger than")) << failed.message;
}

TEST_F(StateFileTest, what_is_no_file_is_left_alone_and_not_waited_for) {
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(failure().set_aside);
  EXPECT_TRUE(failure().message.contains("it is a FIFO")) << failure().message;
  fs::remove(path);
  fs::create_directory(path);
  EXPECT_TRUE(failure().message.contains("it is a directory")) << failure().message;
  EXPECT_FALSE(file().write(state_with(1)));
  fs::remove(path);
  fs::create_symlink("state.json", path);
  EXPECT_FALSE(failure().set_aside);
  EXPECT_FALSE(failure().message.empty());
  EXPECT_EQ(names(), Names{"state.json"});
}

TEST_F(StateFileTest, a_folder_that_is_missing_is_no_state_and_cannot_be_written) {
  path = folder / "none" / "state.json";
  EXPECT_EQ(weight_there(), 0U);
  const auto written = file().write(state_with(1));
  ASSERT_FALSE(written);
  EXPECT_TRUE(written.error().contains("its directory cannot be opened")) << written.error();
}

TEST_F(StateFileTest, what_may_not_be_read_is_left_alone) {
  ASSERT_TRUE(file().write(state_with(1)));
  script = {.at = Script::At::fails, .call = 1, .error = EACCES};
  const auto state = file(scripted).read(unix_s);
  ASSERT_FALSE(state);
  EXPECT_FALSE(state.error().set_aside);
  EXPECT_EQ(weight_there(), 1U);
}

TEST_F(StateFileTest, a_disk_that_does_not_read_leaves_the_file_where_it_is) {
  ASSERT_TRUE(file().write(state_with(1)));
  for (int call = 1; call <= 3; ++call) {
    script = {.at = Script::At::fails, .call = call, .error = EIO};
    const auto state = file(scripted).read(unix_s);
    ASSERT_FALSE(state);
    EXPECT_FALSE(state.error().set_aside);
  }
  EXPECT_EQ(weight_there(), 1U);
}

TEST_F(StateFileTest, what_killed_processes_left_is_removed) {
  for (const char* name : {"state.json.tmp-aB3xYz", "state.json.tmp-000000"}) std::ofstream(folder / name) << "half";
  for (const char* name : {"state.json.tmp-toolong", "state.json.tmp", "other.json.tmp-000000"}) std::ofstream(folder / name) << "mine";
  EXPECT_EQ(weight_there(), 0U);
  EXPECT_EQ(names(), (Names{"other.json.tmp-000000", "state.json.tmp", "state.json.tmp-toolong"}));
  std::ofstream(folder / "state.json.tmp-000001") << "half";
  ASSERT_TRUE(file().write(state_with(1)));
  EXPECT_EQ(names(), (Names{"other.json.tmp-000000", "state.json", "state.json.tmp", "state.json.tmp-toolong"}));
}

TEST_F(StateFileTest, signals_and_short_writes_do_no_harm) {
  script = {.write_max = 7, .interrupts = true};
  ASSERT_TRUE(file(scripted).write(state_with(1)));
  EXPECT_GT(script.calls, 50);
  EXPECT_EQ(weight_there(), 1U);
  script.calls = 0;
  const auto state = file(scripted).read(unix_s);
  ASSERT_TRUE(state && *state);
  EXPECT_TRUE(**state == state_with(1));
}

// A child does it and is killed at the n-th call; afterwards the old state is there or the new one. True when it was not killed.
template <typename Act>
bool survives_in_child(Script::At at, int call, std::size_t write_max, Act act) {
  const pid_t child = fork();
  if (child == 0) {
    script = {.at = at, .call = call, .write_max = write_max};
    _exit(act() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7)) << status;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(StateFileTest, killed_at_any_call_the_old_state_or_the_new_one_is_there) {
  for (const Script::At at : {Script::At::dies_before, Script::At::dies_after}) {
    for (const std::size_t write_max : {std::size_t{100}, SIZE_MAX}) {
      ASSERT_TRUE(file().write(state_with(1)));
      int seen_old = 0;
      int seen_new = 0;
      bool survived = false;
      for (int call = 1; !survived; ++call) {
        ASSERT_LT(call, 100);
        survived = survives_in_child(at, call, write_max, [&] { return file(scripted).write(state_with(2)).has_value(); });
        const std::uint32_t weight = weight_there();
        ASSERT_TRUE(weight == 1 || weight == 2) << call;
        ++(weight == 1 ? seen_old : seen_new);
        EXPECT_EQ(names(), Names{"state.json"}) << call;
        if (weight == 2 && !survived) ASSERT_TRUE(file().write(state_with(1)));
      }
      EXPECT_GE(seen_old, 4);
      EXPECT_GE(seen_new, 2);
      EXPECT_EQ(weight_there(), 2U);
    }
  }
}

TEST_F(StateFileTest, killed_at_any_call_of_the_first_write_there_is_nothing_or_all) {
  bool survived = false;
  for (int call = 1; !survived; ++call) {
    ASSERT_LT(call, 100);
    fs::remove(path);
    survived = survives_in_child(Script::At::dies_after, call, 100, [&] { return file(scripted).write(state_with(2)).has_value(); });
    const std::uint32_t weight = weight_there();
    EXPECT_TRUE(weight == 0 || weight == 2) << call;
  }
}

TEST_F(StateFileTest, killed_while_a_damaged_one_is_set_aside_the_next_start_goes_on) {
  bool survived = false;
  for (int call = 1; !survived; ++call) {
    ASSERT_LT(call, 100);
    fs::remove_all(folder);
    fs::create_directory(folder);
    put_bytes("damaged");
    std::ofstream(folder / "state.json.tmp-000000") << "half";
    survived = survives_in_child(Script::At::dies_after, call, SIZE_MAX, [&] { return !file(scripted).read(unix_s).has_value(); });
    if (fs::exists(path)) EXPECT_TRUE(failure().set_aside);
    EXPECT_EQ(names(), Names{"state.json.corrupt-1700000000"}) << call;
  }
}

TEST_F(StateFileTest, a_call_that_fails_leaves_the_old_state_and_nothing_else) {
  for (const int error : {ENOSPC, EIO, EDQUOT, EROFS}) {
    for (const std::size_t write_max : {std::size_t{100}, SIZE_MAX}) {
      ASSERT_TRUE(file().write(state_with(1)));
      int failures = 0;
      bool written = false;
      for (int call = 1; !written; ++call) {
        ASSERT_LT(call, 100);
        script = {.at = Script::At::fails, .call = call, .error = error, .write_max = write_max};
        const auto result = file(scripted).write(state_with(2));
        written = result.has_value();
        EXPECT_EQ(names(), Names{"state.json"}) << call;
        if (written) continue;
        ++failures;
        EXPECT_TRUE(result.error().contains(path.string())) << result.error();
        const bool only_folder = result.error().contains("a loss of power may bring the old one back");
        EXPECT_EQ(weight_there(), only_folder ? 2U : 1U) << result.error();
      }
      EXPECT_GE(failures, 6);
    }
  }
}

TEST_F(StateFileTest, one_too_large_to_be_read_is_not_written) {
  ASSERT_TRUE(file().write(state_with(1)));
  RegistryState huge = state_with(2);
  huge.pools["app"].added["s0"].options.labels["k"] = std::string(state_bytes_max, 'x');
  const auto written = file().write(huge);
  ASSERT_FALSE(written);
  EXPECT_TRUE(written.error().contains("fewer or smaller labels")) << written.error();
  EXPECT_EQ(weight_there(), 1U);
}

}  // namespace state_file_test
}  // namespace steelyard
