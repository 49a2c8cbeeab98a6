// What the tests of observe/ share: a directory of their own, records, and waiting for what another thread does.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "observe/access_log.hpp"
#include "observe/access_record.hpp"

namespace steelyard::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "steelyard-observe-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Until the condition holds; the test runner's own timeout ends what never does.
template <typename Condition>
void await(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

inline std::string read_some(int descriptor) {
  std::string bytes(1 << 16, 0);
  const ssize_t got = ::read(descriptor, bytes.data(), bytes.size());
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

inline AccessRecord ordinary_record() {
  AccessRecord record;
  record.unix_us = 1'795'230'629'123'456;
  record.client = IpAddress::v4(0x7f000001);
  record.client_port = 40000;
  record.method = "GET";
  record.host = "example.com";
  record.target = "/a?b=c";
  record.protocol = "HTTP/1.1";
  record.status = 200;
  record.route = "all";
  record.pool = "api";
  record.server = "10.0.0.5:8001";
  record.request_id = "7f3a";
  record.user_agent = "curl/8";
  record.response_bytes = 1234;
  record.tries = 1;
  record.duration = 12'345us;
  record.first_byte_time = 10ms;
  record.connect_time = 250us;
  return record;
}

// Puts another descriptor in the place of a standard one while it lives.
class Redirected {
 public:
  Redirected(int standard, int replacement) : standard_(standard), saved_(::fcntl(standard, F_DUPFD_CLOEXEC, 3)) {
    ::dup2(replacement, standard);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;
  ~Redirected() {
    ::dup2(saved_, standard_);
    ::close(saved_);
  }

 private:
  int standard_;
  int saved_;
};

}  // namespace steelyard::test
