// The access log: one line for each exchange. A worker formats its line straight into a ring of its own and goes on; one writer
// thread, which lives here, carries the rings to the sink. A worker never waits, locks, allocates or makes a system call for a
// line: when the sink is slow or full and the ring too, the line is dropped and counted. Owned by app/.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

#include "base/error.hpp"
#include "base/time.hpp"
#include "observe/access_channel.hpp"
#include "observe/access_record.hpp"
#include "observe/options.hpp"

namespace steelyard {

class LogWriter;

class AccessLog {
 public:
  using Channel = AccessChannel;
  // How long stop() waits for a sink that takes nothing.
  static constexpr Duration stop_timeout = 2s;

  // Opens the sink and starts the writer; Error::os_code says why the sink cannot be opened. "off" starts nothing.
  [[nodiscard]] static Result<std::unique_ptr<AccessLog>> open(const LogOptions& options, std::uint32_t workers);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  // stops

  [[nodiscard]] bool enabled() const;
  // Only the thread of that worker may write to it.
  [[nodiscard]] Channel& channel(std::uint32_t worker);
  // For a file that was renamed: what is written from now on goes to a new file of the name in the options. From any thread,
  // also from a signal handler; returns before it is done.
  void reopen();
  // Writes what is queued and ends the writer, within stop_timeout. Nobody may write any more.
  void stop();
  // Lines lost since the start. From any thread.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  explicit AccessLog(std::shared_ptr<LogWriter> writer);
  std::shared_ptr<LogWriter> writer_;  // shared with its thread, which a stalled disk may hold longer than stop_timeout
  std::thread thread_;
};

}  // namespace steelyard
