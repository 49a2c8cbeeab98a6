#include "observe/log_writer.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>

#include "observe/message.hpp"
#include "observe/system_time.hpp"

namespace steelyard {

namespace {

// How long a line waits at most in a ring that fills slowly.
constexpr int look_interval_ms = 50;
// How long, once the log is to stop, a sink that takes nothing is tried.
constexpr Duration stop_patience = 1s;

std::uint64_t count_lines(const Pieces& pieces) {
  std::uint64_t lines = 0;
  for (const std::string_view piece : pieces) lines += static_cast<std::uint64_t>(std::count(piece.begin(), piece.end(), '\n'));
  return lines;
}

Pieces without_first(const Pieces& pieces, std::size_t bytes) {
  if (bytes <= pieces[0].size()) return {pieces[0].substr(bytes), pieces[1]};
  return {pieces[1].substr(bytes - pieces[0].size()), {}};
}

}  // namespace

void LogWriter::run() {
  Instant give_up = never;
  while (true) {
    const bool stopping = stop_asked_.load(std::memory_order_acquire);
    if (stopping && give_up == never) give_up = system_monotonic_time() + stop_patience;
    if (reopen_asked_.exchange(false, std::memory_order_acq_rel)) reopen();
    const Progress progress = write_all();
    report_lines_without_room(progress);
    if (stopping && (progress != Progress::blocked || system_monotonic_time() >= give_up)) break;
    wait(progress);
  }
  for (const auto& channel : channels_) drop_queued(*channel);
  if (!rest_.empty()) dropped_.add();
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  stopped_changed_.notify_all();
}

LogWriter::LogWriter(std::uint32_t workers) {
  for (std::uint32_t i = 0; i < workers; ++i) channels_.push_back(std::make_unique<AccessChannel>());
}

LogWriter::LogWriter(std::uint32_t workers, LineStyle style, LogSink sink, OwnedDescriptor wake)
    : sink_(std::move(sink)), wake_(std::move(wake)), rest_bytes_(std::make_unique<char[]>(AccessFormat::line_bytes_max)) {
  for (std::uint32_t i = 0; i < workers; ++i) channels_.push_back(std::make_unique<AccessChannel>(ring_bytes, style, wake_.get()));
}

std::uint64_t LogWriter::dropped() const {
  std::uint64_t sum = dropped_.value();
  for (const auto& channel : channels_) sum += channel->dropped();
  return sum;
}

void LogWriter::ask_to_reopen() {
  reopen_asked_.store(true, std::memory_order_release);
  if (enabled()) ::eventfd_write(wake_.get(), 1);
}

void LogWriter::ask_to_stop() {
  stop_asked_.store(true, std::memory_order_release);
  if (enabled()) ::eventfd_write(wake_.get(), 1);
}

bool LogWriter::wait_until_stopped(Duration timeout) {
  std::unique_lock lock(mutex_);
  return stopped_changed_.wait_for(lock, timeout, [this] { return stopped_; });
}

// Begins with another channel each time, so that a slow sink is shared fairly.
LogWriter::Progress LogWriter::write_all() {
  Progress worst = Progress::done;
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    AccessChannel& channel = *channels_[(first_channel_ + i) % channels_.size()];
    channel.seen();
    const Progress progress = empty(channel);
    if (progress == Progress::failed) drop_queued(channel);
    worst = std::max(worst, progress);
    if (progress == Progress::blocked) break;
  }
  ++first_channel_;
  return worst;
}

// Writes what is queued now; what comes meanwhile is for the next turn.
LogWriter::Progress LogWriter::empty(AccessChannel& channel) {
  if (const Progress progress = write_rest(); progress != Progress::done) return progress;
  ByteRing& ring = channel.ring();
  Pieces queued = ring.readable();
  while (size_of(queued) != 0) {
    const Result<std::size_t> written = sink_.write(queued);
    if (!written) return not_written(written.error());
    report_written();
    const Pieces unwritten = without_first(queued, *written);
    const bool ends_whole = (*written <= queued[0].size() ? queued[0][*written - 1] : queued[1][*written - queued[0].size() - 1]) == '\n';
    if (!ends_whole) keep_rest_of_line(unwritten);
    ring.consume(*written + rest_.size());
    queued = without_first(unwritten, rest_.size());
    if (const Progress progress = write_rest(); progress != Progress::done) return progress;
  }
  return Progress::done;
}

LogWriter::Progress LogWriter::write_rest() {
  while (!rest_.empty()) {
    const Result<std::size_t> written = sink_.write({rest_, {}});
    if (!written) return not_written(written.error());
    report_written();
    rest_.remove_prefix(*written);
  }
  return Progress::done;
}

LogWriter::Progress LogWriter::not_written(const Error& error) {
  if (error.kind == ErrorKind::would_block) return Progress::blocked;
  if (failing_errno_ == 0) dropped_when_failing_ = dropped();
  if (failing_errno_ != error.os_code) {
    log_message_limited(LogLevel::error, "access log failed", "access log: cannot write to {}: {}; lines are dropped until that changes",
                        sink_.name(), std::strerror(error.os_code));
  }
  failing_errno_ = error.os_code;
  return Progress::failed;
}

// Takes it out of the ring, which then begins with a whole line.
void LogWriter::keep_rest_of_line(const Pieces& after_written) {
  std::size_t size = 0;
  for (const std::string_view piece : after_written) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end == std::string_view::npos ? end : end + 1);
    part.copy(rest_bytes_.get() + size, part.size());
    size += part.size();
    if (end != std::string_view::npos) break;
  }
  rest_ = {rest_bytes_.get(), size};
}

void LogWriter::drop_queued(AccessChannel& channel) {
  if (!channel.enabled()) return;
  const Pieces queued = channel.ring().readable();
  dropped_.add(count_lines(queued));
  channel.ring().consume(size_of(queued));
}

// Called between two turns. A line that the old file holds only in part is lost when its rest does not go there now.
void LogWriter::reopen() {
  const Progress progress = write_rest();
  const int before = sink_.descriptor();
  if (const Result<void> opened = sink_.reopen(); !opened) {
    log_message(LogLevel::error, "access log: cannot open {} again: {}; the file opened before is written on", sink_.name(),
                std::strerror(opened.error().os_code));
    return;
  }
  if (progress != Progress::done && sink_.descriptor() != before) {
    rest_ = {};
    dropped_.add();
  }
}

void LogWriter::wait(Progress last) {
  std::array<pollfd, 2> events{pollfd{wake_.get(), POLLIN, 0}, pollfd{sink_.descriptor(), POLLOUT, 0}};
  ::poll(events.data(), last == Progress::blocked ? 2 : 1, look_interval_ms);
  if (events[0].revents != 0) {
    eventfd_t count = 0;
    ::eventfd_read(wake_.get(), &count);
  }
}

void LogWriter::report_written() {
  if (failing_errno_ == 0) return;
  failing_errno_ = 0;
  log_message_limited(LogLevel::warning, "access log works", "access log: {} can be written again; lines dropped: {}", sink_.name(),
                      dropped() - dropped_when_failing_);
}

// Rings are full because the sink is too slow. Said when it begins and when it is over, which it is once the rings could be emptied.
void LogWriter::report_lines_without_room(Progress last) {
  std::uint64_t without_room = 0;
  for (const auto& channel : channels_) without_room += channel->dropped();
  const bool was_losing = without_room_seen_ != without_room_reported_;
  if (without_room != without_room_seen_ && !was_losing) {
    log_message_limited(LogLevel::warning, "access log slow", "access log: {} does not keep up; lines are dropped", sink_.name());
  } else if (without_room == without_room_seen_ && was_losing && last == Progress::done) {
    log_message_limited(LogLevel::warning, "access log keeps up", "access log: {} keeps up again; lines dropped: {}", sink_.name(),
                        without_room - without_room_reported_);
    without_room_reported_ = without_room;
  }
  without_room_seen_ = without_room;
}

}  // namespace steelyard
