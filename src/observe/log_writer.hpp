// The far side of the access log: owns the sink and the channels, and empties these into that, on a thread of its own. Lines stay
// whole: a line once begun is finished before another one starts. What cannot be written is dropped and counted when the sink
// fails, and waits in the rings when it is merely slow.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "observe/access_channel.hpp"
#include "observe/counter.hpp"
#include "observe/log_sink.hpp"

namespace steelyard {

class LogWriter {
 public:
  static constexpr std::size_t ring_bytes = std::size_t{1} << 20U;

  // Off.
  explicit LogWriter(std::uint32_t workers);
  LogWriter(std::uint32_t workers, LineStyle style, LogSink sink, OwnedDescriptor wake);

  // The thread's whole life.
  void run();

  // For any thread.
  [[nodiscard]] bool enabled() const { return wake_.get() >= 0; }
  [[nodiscard]] AccessChannel& channel(std::uint32_t worker) { return *channels_[worker]; }
  [[nodiscard]] std::uint64_t dropped() const;
  void ask_to_reopen();
  void ask_to_stop();
  // Whether run() came to its end in that time.
  [[nodiscard]] bool wait_until_stopped(Duration timeout);

 private:
  enum class Progress : std::uint8_t { done, blocked, failed };

  Progress write_all();
  Progress empty(AccessChannel& channel);
  Progress write_rest();
  Progress not_written(const Error& error);
  void keep_rest_of_line(const Pieces& after_written);
  void drop_queued(AccessChannel& channel);
  void reopen();
  void wait(Progress last);
  void report_written();
  void report_lines_without_room(Progress last);

  LogSink sink_;
  OwnedDescriptor wake_;  // eventfd
  std::vector<std::unique_ptr<AccessChannel>> channels_;
  std::atomic<bool> reopen_asked_{false};
  std::atomic<bool> stop_asked_{false};
  Counter dropped_;  // by this side

  std::unique_ptr<char[]> rest_bytes_;
  std::string_view rest_;  // of a line whose beginning has been written
  std::size_t first_channel_ = 0;
  int failing_errno_ = 0;
  std::uint64_t dropped_when_failing_ = 0;
  std::uint64_t without_room_seen_ = 0;
  std::uint64_t without_room_reported_ = 0;

  std::mutex mutex_;
  std::condition_variable stopped_changed_;
  bool stopped_ = false;
};

}  // namespace steelyard
