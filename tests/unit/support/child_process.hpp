// A program that a test starts, and that ends with the test.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace steelyard::testing_support {

class ChildProcess {
 public:
  // Found by PATH; what it prints is read by wait_for_output().
  explicit ChildProcess(std::vector<std::string> command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawnp(&id_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) id_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = ends[0];
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess() {
    kill();
    if (output_ >= 0) close(output_);
  }

  void send(int signal) const {
    if (id_ > 0) ::kill(id_, signal);
  }
  void kill() {
    send(SIGKILL);
    if (id_ > 0) waitpid(id_, nullptr, 0);
    id_ = -1;
  }
  // False: it has ended, or said nothing like that for long.
  bool wait_for_output(std::string_view text) {
    constexpr int patience_ms = 10'000;
    while (!said_.contains(text)) {
      pollfd waited{.fd = output_, .events = POLLIN, .revents = 0};
      char piece[4096];
      const ssize_t got = poll(&waited, 1, patience_ms) == 1 ? read(output_, piece, sizeof piece) : 0;
      if (got <= 0) return false;
      said_.append(piece, static_cast<std::size_t>(got));
    }
    return true;
  }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  pid_t id_ = -1;
  int output_ = -1;
  std::string said_;
};

inline bool is_installed(std::string_view program) {
  const char* const path = std::getenv("PATH");
  std::string_view folders = path != nullptr ? path : "";
  while (!folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    if (access((std::string(folder) + '/' + std::string(program)).c_str(), X_OK) == 0) return true;
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
  }
  return false;
}

}  // namespace steelyard::testing_support
