#include "observe/access_log.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>

#include "fixtures.hpp"
#include "observe/log_sink.hpp"

namespace steelyard {
namespace access_log_test {

using test::await;
using test::lines_of;

std::unique_ptr<AccessLog> open_log(const std::string& access, std::uint32_t workers = 1) {
  LogOptions options;
  options.access = access;
  auto log = AccessLog::open(options, workers);
  EXPECT_TRUE(log.has_value());
  return std::move(*log);
}

// The records of a test carry their number as port and tries.
void write_numbered(AccessLog& log, std::uint32_t worker, std::uint32_t number) {
  AccessRecord record = test::ordinary_record();
  record.client_port = static_cast<std::uint16_t>(worker);
  record.tries = number;
  log.channel(worker).write(record);
}

// The numbers that a worker's lines carry, in the order of the lines; every line must be whole.
std::vector<std::uint32_t> numbers_of(const std::string& text, std::uint32_t worker) {
  EXPECT_TRUE(text.empty() || text.back() == '\n');
  std::vector<std::uint32_t> numbers;
  for (const std::string& line : lines_of(text)) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << line;
    if (!json.is_discarded() && json["client_port"] == worker) numbers.push_back(json["tries"]);
  }
  return numbers;
}

std::vector<std::uint32_t> first_numbers(std::uint32_t count) {
  std::vector<std::uint32_t> numbers(count);
  for (std::uint32_t i = 0; i < count; ++i) numbers[i] = i;
  return numbers;
}

// Until the ring and everything behind it is full.
std::uint32_t write_until_dropped(AccessLog& log) {
  std::uint32_t number = 0;
  while (log.dropped() == 0) write_numbered(log, 0, number++);
  return number;
}

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader = OwnedDescriptor{ends[0]};
    writer = OwnedDescriptor{ends[1]};
  }
  OwnedDescriptor reader;
  OwnedDescriptor writer;
};

TEST(AccessLog, appends_to_a_file) {
  const test::TemporaryDirectory directory;
  std::ofstream(directory.file("log")) << "{\"client_port\":9}\n";
  const auto log = open_log(directory.file("log"), 2);
  EXPECT_TRUE(log->enabled());
  write_numbered(*log, 0, 0);
  write_numbered(*log, 1, 0);
  log->stop();
  const std::string text = test::content_of(directory.file("log"));
  EXPECT_EQ(lines_of(text).size(), 3U);
  EXPECT_EQ(numbers_of(text, 0), first_numbers(1));
  EXPECT_EQ(numbers_of(text, 1), first_numbers(1));
}

TEST(AccessLog, writes_without_being_stopped) {
  const test::TemporaryDirectory directory;
  const auto log = open_log(directory.file("log"));
  write_numbered(*log, 0, 0);
  await([&] { return !test::content_of(directory.file("log")).empty(); });
}

TEST(AccessLog, says_why_a_file_cannot_be_opened) {
  LogOptions options;
  options.access = "/nowhere/at/all";
  const auto log = AccessLog::open(options, 1);
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().os_code, ENOENT);
}

TEST(AccessLog, writes_nothing_when_off) {
  const auto log = open_log("off", 2);
  EXPECT_FALSE(log->enabled());
  EXPECT_FALSE(log->channel(1).enabled());
  write_numbered(*log, 1, 0);
  log->reopen();
  log->stop();
  EXPECT_EQ(log->dropped(), 0U);
}

TEST(AccessLog, drops_and_counts_on_a_full_disk) {
  const auto log = open_log("/dev/full");
  for (std::uint32_t i = 0; i < 100; ++i) write_numbered(*log, 0, i);
  await([&] { return log->dropped() == 100; });
  write_numbered(*log, 0, 100);
  log->stop();
  EXPECT_EQ(log->dropped(), 101U);
}

TEST(AccessLog, finishes_a_line_that_a_full_disk_tore) {
  const test::TemporaryDirectory directory;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto log = open_log(directory.file("log"));
  const rlimit tight{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  for (std::uint32_t i = 0; i < 100; ++i) write_numbered(*log, 0, i);
  await([&] { return log->dropped() != 0; });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  write_numbered(*log, 0, 100);
  log->stop();
  const auto numbers = numbers_of(test::content_of(directory.file("log")), 0);
  ASSERT_EQ(numbers.size() + log->dropped(), 101U);
  EXPECT_EQ(numbers.back(), 100U);
  EXPECT_EQ(numbers[2], 2U);
}

TEST(AccessLog, stops_although_nobody_reads_its_fifo) {
  const test::TemporaryDirectory directory;
  ASSERT_EQ(::mkfifo(directory.file("fifo").c_str(), 0600), 0);
  const auto log = open_log(directory.file("fifo"));
  const std::uint32_t written = write_until_dropped(*log);
  log->stop();
  EXPECT_GT(log->dropped(), 1U);
  EXPECT_LT(log->dropped(), written);  // some are in the FIFO
}

TEST(AccessLog, gives_a_late_reader_of_a_fifo_whole_lines) {
  const test::TemporaryDirectory directory;
  ASSERT_EQ(::mkfifo(directory.file("fifo").c_str(), 0600), 0);
  auto log = open_log(directory.file("fifo"));
  for (std::uint32_t i = 0; i < 1000; ++i) write_numbered(*log, 0, i);
  const OwnedDescriptor reader{::open(directory.file("fifo").c_str(), O_RDONLY | O_CLOEXEC)};
  log->reopen();  // the same FIFO: the stream goes on
  std::string text;
  while (lines_of(text).size() < 1000 || text.back() != '\n') text += test::read_some(reader.get());
  EXPECT_EQ(numbers_of(text, 0), first_numbers(1000));
  log->stop();
  EXPECT_EQ(log->dropped(), 0U);
}

TEST(AccessLog, survives_a_reader_of_stdout_that_pauses) {
  const Pipe pipe;
  const test::Redirected redirected(STDOUT_FILENO, pipe.writer.get());
  const auto log = open_log("stdout");
  const std::uint32_t written = write_until_dropped(*log);
  const std::uint64_t dropped = log->dropped();
  std::string text;
  while (lines_of(text).size() + dropped < written || text.back() != '\n') text += test::read_some(pipe.reader.get());
  EXPECT_EQ(numbers_of(text, 0), first_numbers(written - 1));
  EXPECT_EQ(::fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

TEST(AccessLog, survives_a_reader_of_stdout_that_left) {
  Pipe pipe;
  const test::Redirected redirected(STDOUT_FILENO, pipe.writer.get());
  const auto log = open_log("stdout");
  pipe.reader = OwnedDescriptor{};
  for (std::uint32_t i = 0; i < 10; ++i) write_numbered(*log, 0, i);
  await([&] { return log->dropped() == 10; });
}

TEST(AccessLog, writes_to_a_socket_as_stdout) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const OwnedDescriptor reader{ends[0]};
  const OwnedDescriptor writer{ends[1]};
  const test::Redirected redirected(STDOUT_FILENO, writer.get());
  const auto log = open_log("stdout");
  const std::uint32_t written = write_until_dropped(*log);
  const std::uint64_t dropped = log->dropped();
  std::string text;
  while (lines_of(text).size() + dropped < written || text.back() != '\n') text += test::read_some(reader.get());
  EXPECT_EQ(numbers_of(text, 0), first_numbers(written - 1));
}

TEST(AccessLog, loses_and_tears_no_line_over_rotations) {
  constexpr std::uint32_t workers = 2;
  constexpr std::uint32_t lines = 4'000;
  constexpr int rotations = 25;
  const test::TemporaryDirectory directory;
  const auto log = open_log(directory.file("log"), workers);
  std::vector<std::thread> producers;
  std::atomic<std::uint32_t> running{workers};
  std::atomic<int> rotated{0};
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    producers.emplace_back([&, worker] {
      for (std::uint32_t i = 0; i < lines; ++i) {
        write_numbered(*log, worker, i);
        // Not faster than the rotations, and never so fast that the ring overflows.
        await([&] { return rotated.load() >= rotations || i / (lines / rotations) <= static_cast<std::uint32_t>(rotated.load()); });
        while (log->channel(worker).ring().half_full()) std::this_thread::yield();
      }
      --running;
    });
  }
  for (int i = 0; i < rotations; ++i) {
    std::filesystem::rename(directory.file("log"), directory.file("log." + std::to_string(i)));
    log->reopen();
    await([&] { return std::filesystem::exists(directory.file("log")); });
    ++rotated;
  }
  for (std::thread& producer : producers) producer.join();
  log->stop();
  EXPECT_EQ(log->dropped(), 0U);
  std::string text;
  for (int i = 0; i < rotations; ++i) text += test::content_of(directory.file("log." + std::to_string(i)));
  text += test::content_of(directory.file("log"));
  for (std::uint32_t worker = 0; worker < workers; ++worker) EXPECT_EQ(numbers_of(text, worker), first_numbers(lines)) << worker;
}

TEST(AccessLog, begins_a_new_file_when_the_old_one_was_deleted) {
  const test::TemporaryDirectory directory;
  const auto log = open_log(directory.file("log"));
  std::filesystem::remove(directory.file("log"));
  log->reopen();
  await([&] { return std::filesystem::exists(directory.file("log")); });
  write_numbered(*log, 0, 0);
  log->stop();
  EXPECT_EQ(numbers_of(test::content_of(directory.file("log")), 0), first_numbers(1));
}

TEST(AccessLog, goes_on_with_the_old_file_when_a_new_one_cannot_be_opened) {
  const test::TemporaryDirectory directory;
  std::filesystem::create_directory(directory.file("sub"));
  const auto log = open_log(directory.file("sub/log"));
  std::filesystem::rename(directory.file("sub"), directory.file("moved"));
  log->reopen();
  write_numbered(*log, 0, 0);
  log->stop();
  EXPECT_EQ(numbers_of(test::content_of(directory.file("moved/log")), 0), first_numbers(1));
}

TEST(AccessLog, writes_for_people_when_told_to) {
  const test::TemporaryDirectory directory;
  LogOptions options;
  options.access = directory.file("log");
  options.format = LogFormat::human;
  const auto log = AccessLog::open(options, 1);
  ASSERT_TRUE(log.has_value());
  write_numbered(**log, 0, 1);
  (*log)->stop();
  EXPECT_TRUE(test::content_of(directory.file("log")).starts_with("2026-11-21 03:10:29.123  200  GET"));
}

}  // namespace access_log_test
}  // namespace steelyard
