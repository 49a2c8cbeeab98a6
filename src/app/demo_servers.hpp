// The servers of a demo: this binary again, as child processes that are ended together. They also end when the thread that started them
// does, so start them from one that lasts.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace steelyard {

class DemoServers {
 public:
  DemoServers() = default;
  DemoServers(const DemoServers&) = delete;
  DemoServers& operator=(const DemoServers&) = delete;
  ~DemoServers();

  // With these arguments behind the program's name. False where there can be no other process.
  bool start(const std::vector<std::string>& arguments);

 private:
  std::vector<pid_t> pids_;
};

}  // namespace steelyard
