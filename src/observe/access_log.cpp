#include "observe/access_log.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "observe/log_sink.hpp"
#include "observe/log_writer.hpp"
#include "observe/message.hpp"

namespace steelyard {

namespace {

LineStyle style_for(LogFormat format, const LogSink& sink) {
  switch (format) {
    case LogFormat::json: return LineStyle::json;
    case LogFormat::human: return sink.is_terminal() ? LineStyle::coloured : LineStyle::human;
    case LogFormat::automatic: break;
  }
  return sink.is_terminal() ? LineStyle::coloured : LineStyle::json;
}

// The writer takes no signals: those are for the control thread, and SIGPIPE and SIGXFSZ come back as errors.
std::thread start(std::shared_ptr<LogWriter> writer) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([writer = std::move(writer)] { writer->run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(const LogOptions& options, std::uint32_t workers) {
  if (options.access == "off") return std::unique_ptr<AccessLog>(new AccessLog(std::make_shared<LogWriter>(workers)));
  Result<LogSink> sink = options.access == "stdout" ? LogSink::share(STDOUT_FILENO, "stdout") : LogSink::open_file(options.access);
  if (!sink) return std::unexpected(sink.error());
  OwnedDescriptor wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  if (wake.get() < 0) return fail(ErrorKind::resources, Side::local, Retry::never, errno);
  const LineStyle style = style_for(options.format, *sink);
  auto writer = std::make_shared<LogWriter>(workers, style, std::move(*sink), std::move(wake));
  std::unique_ptr<AccessLog> log(new AccessLog(writer));
  log->thread_ = start(std::move(writer));
  return log;
}

AccessLog::AccessLog(std::shared_ptr<LogWriter> writer) : writer_(std::move(writer)) {}

AccessLog::~AccessLog() { stop(); }

bool AccessLog::enabled() const { return writer_->enabled(); }

AccessLog::Channel& AccessLog::channel(std::uint32_t worker) { return writer_->channel(worker); }

void AccessLog::reopen() { writer_->ask_to_reopen(); }

std::uint64_t AccessLog::dropped() const { return writer_->dropped(); }

void AccessLog::stop() {
  if (!thread_.joinable()) return;
  writer_->ask_to_stop();
  if (writer_->wait_until_stopped(stop_timeout)) {
    thread_.join();
    return;
  }
  // A write to a disk or a network file system that stalls cannot be interrupted; the process must be able to end all the same.
  log_message(LogLevel::error, "access log: the sink stalls; what was queued is lost");
  thread_.detach();
}

}  // namespace steelyard
