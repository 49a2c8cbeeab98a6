#include "app/load_run.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "app/system.hpp"
#include "load/figures.hpp"
#include "load/generator.hpp"
#include "load/samples.hpp"

namespace steelyard {
namespace {

constexpr std::uint64_t own_descriptors = 64;  // beside connections
constexpr int progress_interval_ms = 250;
// Until the threads are there, so that all begin at the same time.
constexpr Duration before_start = 5ms;

// For how many connections there are descriptors.
std::uint64_t connections_possible() {
  const std::uint64_t descriptors = raise_descriptor_limit();
  return descriptors - std::min(descriptors, own_descriptors);
}

int block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  // Before any thread is started, so that none of them is interrupted instead.
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

class Run {
 public:
  explicit Run(const load::RunOptions& options) : options_(options), start_(monotonic_now() + before_start) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    for (const int descriptor : {signals_, ended_}) {
      if (descriptor >= 0) close(descriptor);
    }
  }

  std::expected<void, std::string> open() {
    for (std::uint32_t i = 0; i < options_.threads; ++i) {
      std::string samples = options_.samples;
      if (!samples.empty() && options_.threads > 1) samples_parts_.push_back(samples += fmt::format(".{}", i + 1));
      generators_.push_back(std::make_unique<load::Generator>(options_, load::Share{i, options_.threads}, start_));
      if (auto opened = generators_.back()->open(samples); !opened) return opened;
    }
    signals_ = block_signals();
    ended_ = eventfd(0, EFD_CLOEXEC);
    return {};
  }

  // Runs the threads to their end, which a signal brings about early.
  void execute() {
    std::atomic<std::size_t> running = generators_.size();
    std::vector<std::thread> threads;
    for (const auto& generator : generators_) {
      threads.emplace_back([this, &running, &generator] {
        generator->run();
        if (--running > 0) return;
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t told = write(ended_, &one, sizeof one);
      });
    }
    const bool terminal = isatty(STDERR_FILENO) == 1;
    pollfd events[] = {{.fd = ended_, .events = POLLIN, .revents = 0}, {.fd = signals_, .events = POLLIN, .revents = 0}};
    while ((events[0].revents & POLLIN) == 0) {
      if (poll(events, 2, terminal ? progress_interval_ms : -1) < 0) continue;  // interrupted
      if ((events[1].revents & POLLIN) != 0) end_early();
      if (terminal) show_progress();
    }
    if (terminal) fmt::print(stderr, "\r\x1b[K");
    for (std::thread& thread : threads) thread.join();
  }

  LoadResult result() {
    LoadResult result{.findings = {.options = options_, .url = {}, .tally = {}, .ended_early = ended_early_}, .file_problem = {}};
    std::expected<void, std::string> written;
    for (const auto& generator : generators_) {
      result.findings.tally.merge(generator->tally());
      if (auto closed = generator->close_samples(); !closed) written = std::move(closed);
    }
    if (written && !samples_parts_.empty()) written = load::merge_samples(samples_parts_, options_.samples);
    if (!written) result.file_problem = written.error();
    result.findings.elapsed = std::max(result.findings.tally.last_end - (start_ + options_.warmup), Duration{0});
    return result;
  }

 private:
  void end_early() {
    signalfd_siginfo signal{};
    while (read(signals_, &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) ended_early_ = true;
    for (const auto& generator : generators_) generator->stop();
  }

  void show_progress() {
    std::uint64_t answered = 0;
    std::uint64_t failed = 0;
    for (const auto& generator : generators_) {
      answered += generator->progress().answered.value();
      failed += generator->progress().failed.value();
    }
    const Instant now = monotonic_now();
    const double since_last_s = std::chrono::duration<double>(now - shown_).count();
    const double rate = shown_ == Instant{} ? 0 : static_cast<double>(answered - shown_answered_) / since_last_s;
    shown_ = now;
    shown_answered_ = answered;
    fmt::print(stderr, "\r\x1b[K{:>6.1f} s  {} answers, {} /s, {} errors",
               std::chrono::duration<double>(std::max(now - start_, Duration{0})).count(), load::spell_count(answered),
               load::spell_count(static_cast<std::uint64_t>(rate)), load::spell_count(failed));
    std::fflush(stderr);
  }

  const load::RunOptions& options_;
  Instant start_;
  std::vector<std::unique_ptr<load::Generator>> generators_;
  std::vector<std::string> samples_parts_;
  int signals_ = -1;
  int ended_ = -1;
  bool ended_early_ = false;
  Instant shown_;
  std::uint64_t shown_answered_ = 0;
};

}  // namespace

std::expected<LoadResult, std::string> execute_load(const load::RunOptions& options) {
  if (const std::uint64_t most = connections_possible(); options.connections > most) {
    return std::unexpected(
        fmt::format("{} connections need as many descriptors, and this process may have {}: lower --concurrency, or raise `ulimit -n`",
                    options.connections, most));
  }
  Run run(options);
  if (auto opened = run.open(); !opened) return std::unexpected(opened.error());
  run.execute();
  return run.result();
}

}  // namespace steelyard
