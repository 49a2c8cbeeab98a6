#include "upstream/state_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "observe/log_sink.hpp"
#include "upstream/state_text.hpp"

namespace steelyard {

const FileCalls system_file_calls{
    .open = [](const char* path, int flags) { return ::open(path, flags); },
    .make_temporary = [](char* pattern) { return ::mkostemp(pattern, O_CLOEXEC); },
    .read = ::read,
    .write = ::write,
    .fsync = ::fsync,
    .rename = ::rename,
    .unlink = ::unlink,
};

namespace {

namespace fs = std::filesystem;

constexpr std::string_view temporary_mark = ".tmp-";
constexpr std::string_view random_part = "XXXXXX";

std::string words_of(int error) { return std::generic_category().message(error); }

// Again while only a signal has interrupted it.
template <typename Call>
auto repeat(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string directory_of(const std::string& path) {
  const std::string directory = fs::path(path).parent_path();
  return directory.empty() ? "." : directory;
}

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  return "a device or socket";
}

}  // namespace

std::expected<std::optional<RegistryState>, StateFile::Failure> StateFile::read(std::int64_t unix_s) const {
  remove_leftovers();
  auto text = read_text();
  if (!text) return std::unexpected(std::move(text.error()));
  if (!*text) return std::nullopt;
  if ((*text)->size() > state_bytes_max) {
    return std::unexpected(
        set_aside(fmt::format("is larger than {} bytes, so none that this program has written", state_bytes_max), unix_s));
  }
  auto state = parse_state(**text);
  if (!state) return std::unexpected(set_aside(state.error(), unix_s));
  return std::move(*state);
}

std::expected<void, std::string> StateFile::write(const RegistryState& state) const {
  const auto refuse = [&](const std::string& why) {
    return std::unexpected(
        fmt::format("the state file {} was not written, because {}; what was changed at run time would be lost in a "
                    "restart",
                    path_, why));
  };
  const std::string text = spell_state(state);
  if (text.size() > state_bytes_max) {
    return refuse(fmt::format("it would have {} bytes, and {} are read: use fewer or smaller labels", text.size(), state_bytes_max));
  }
  const std::string directory = directory_of(path_);
  const OwnedDescriptor folder{repeat([&] { return calls_.open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); })};
  if (folder.get() < 0) return refuse(fmt::format("its directory cannot be opened: {}", words_of(errno)));
  remove_leftovers();

  std::string temporary = path_ + std::string(temporary_mark) + std::string(random_part);
  if (const int error = write_temporary(temporary, text); error != 0) {
    return refuse(fmt::format("writing {} failed: {}", temporary, words_of(error)));
  }
  if (calls_.rename(temporary.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    calls_.unlink(temporary.c_str());
    return refuse(fmt::format("{} cannot be renamed to it: {}", temporary, words_of(error)));
  }
  // Only now would the new name outlive a loss of power.
  if (repeat([&] { return calls_.fsync(folder.get()); }) != 0) {
    return std::unexpected(
        fmt::format("the state file {} was written, but its directory was not ({}): a loss of power may bring the old one "
                    "back",
                    path_, words_of(errno)));
  }
  return {};
}

// Nothing: there is no file. One byte more than is allowed tells that it is too large.
std::expected<std::optional<std::string>, StateFile::Failure> StateFile::read_text() const {
  const auto refuse = [&](std::string_view why) {
    return std::unexpected(
        Failure{fmt::format("the state file {} cannot be read, because {}: nothing of what was changed at run time is known, "
                            "and writing it would replace what is there",
                            path_, why)});
  };
  const OwnedDescriptor file{repeat([&] { return calls_.open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); })};
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return refuse(words_of(errno));
  if (!S_ISREG(status.st_mode)) return refuse(fmt::format("it is {}", kind_of(status.st_mode)));

  std::string text;
  std::array<char, 65536> piece;
  while (text.size() <= state_bytes_max) {
    const ssize_t size = repeat([&] { return calls_.read(file.get(), piece.data(), piece.size()); });
    if (size < 0) return refuse(words_of(errno));
    if (size == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  return text;
}

StateFile::Failure StateFile::set_aside(const std::string& what, std::int64_t unix_s) const {
  const std::string first = fmt::format("{}.corrupt-{}", path_, unix_s);
  std::string name = first;
  std::error_code error;
  for (int i = 2; fs::exists(fs::symlink_status(name, error)); ++i) name = fmt::format("{}-{}", first, i);
  if (calls_.rename(path_.c_str(), name.c_str()) != 0) {
    return {fmt::format("the state file {} {}; it cannot be moved aside either ({}), and writing it would replace it", path_, what,
                        words_of(errno))};
  }
  return {
      fmt::format("the state file {} {}; it is now {}, and what was changed at run time is not known any more: make the changes again, or "
                  "stop, put a good copy back and start",
                  path_, what, name),
      true};
}

// 0, or the error, after which it is not there. `temporary` gets its name.
int StateFile::write_temporary(std::string& temporary, const std::string& text) const {
  const OwnedDescriptor file{repeat([&] { return calls_.make_temporary(temporary.data()); })};
  if (file.get() < 0) return errno;
  int error = 0;
  for (std::string_view rest = text; error == 0 && !rest.empty();) {
    const ssize_t size = repeat([&] { return calls_.write(file.get(), rest.data(), rest.size()); });
    if (size > 0) {
      rest.remove_prefix(static_cast<std::size_t>(size));
    } else {
      error = size < 0 ? errno : ENOSPC;
    }
  }
  if (error == 0 && repeat([&] { return calls_.fsync(file.get()); }) != 0) error = errno;
  if (error != 0) calls_.unlink(temporary.c_str());
  return error;
}

// The temporary files of processes that were killed while they wrote.
void StateFile::remove_leftovers() const {
  const std::string beginning = fs::path(path_).filename().string() + std::string(temporary_mark);
  std::error_code error;
  for (fs::directory_iterator entry(directory_of(path_), error); !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(beginning) && name.size() == beginning.size() + random_part.size()) calls_.unlink(entry->path().c_str());
  }
}

}  // namespace steelyard
