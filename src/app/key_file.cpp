#include "app/key_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"

namespace steelyard {
namespace {

// One byte more than a key set may have shows that there is more.
std::expected<std::string, int> read_text(int descriptor) {
  std::string text;
  std::array<char, 4096> chunk;
  while (text.size() <= token::KeySet::text_bytes_max) {
    const ssize_t got = ::read(descriptor, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno);
    if (got == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return text;
}

int write_text(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::write(descriptor, text.data(), text.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return ::fsync(descriptor) == 0 ? 0 : errno;
}

}  // namespace

std::expected<token::KeySet, std::string> read_key_file(const std::string& path, std::string& warning) {
  // A pipe without a writer must not hold the start up.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0)
    return wrong(fmt::format("cannot open the key file {}: {}; steelyard token keygen --out FILE makes one", path, std::strerror(errno)));
  struct stat status{};
  const bool known = ::fstat(descriptor, &status) == 0;
  const auto text = read_text(descriptor);
  ::close(descriptor);
  if (!text) return wrong(fmt::format("cannot read the key file {}: {}", path, std::strerror(text.error())));
  auto keys = token::KeySet::parse(*text);
  if (!keys) return wrong(fmt::format("the key file {}: {}", path, keys.error()));
  if (keys->signer() != nullptr && known && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    warning = fmt::format("other users may read the key file {}: chmod 600 {}", path, path);
  }
  return keys;
}

std::expected<void, std::string> write_key_file(const std::string& path, std::string_view text, KeyFile kind) {
  const mode_t mode = kind == KeyFile::secret ? 0600 : 0644;
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode);
  if (descriptor < 0 && errno == EEXIST)
    return wrong(fmt::format("{} is there already, and its keys may be in use: name a new file", path));
  if (descriptor < 0) return wrong(fmt::format("cannot create {}: {}", path, std::strerror(errno)));
  const int error = write_text(descriptor, text);
  ::close(descriptor);
  if (error == 0) return {};
  ::unlink(path.c_str());
  return wrong(fmt::format("cannot write {}: {}", path, std::strerror(error)));
}

}  // namespace steelyard
