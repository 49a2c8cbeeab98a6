#include "app/demo_servers.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace steelyard {

DemoServers::~DemoServers() {
  for (const pid_t child : pids_) kill(child, SIGTERM);
  for (const pid_t child : pids_) waitpid(child, nullptr, 0);
}

bool DemoServers::start(const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>("steelyard")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    // A group of its own: Ctrl-C is for the proxy, which ends the servers once it has drained.
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);  // the proxy has blocked some, and a child would inherit that
    execv("/proc/self/exe", argv.data());
    _exit(1);
  }
  if (child > 0) pids_.push_back(child);
  return child > 0;
}

}  // namespace steelyard
