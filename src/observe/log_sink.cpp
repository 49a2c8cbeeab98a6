#include "observe/log_sink.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace steelyard {

namespace {

std::unexpected<Error> fail_with_errno() { return fail(ErrorKind::system, Side::local, Retry::never, errno); }

Result<OwnedDescriptor> open_for_appending(const std::string& path) {
  constexpr int flags = O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode)) {
    // Open for both, a FIFO has always a reader: opening it does not fail before one comes, and when one leaves and another comes the
    // stream goes on where it was.
    if (const int descriptor = ::open(path.c_str(), O_RDWR | flags); descriptor >= 0) return OwnedDescriptor{descriptor};
  }
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | flags, 0640);
  if (descriptor < 0) return fail_with_errno();
  return OwnedDescriptor{descriptor};
}

bool is_same_file(int a, int b) {
  struct stat of_a{};
  struct stat of_b{};
  return ::fstat(a, &of_a) == 0 && ::fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

}  // namespace

OwnedDescriptor::~OwnedDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<LogSink> LogSink::open_file(const std::string& path) {
  auto descriptor = open_for_appending(path);
  if (!descriptor) return std::unexpected(descriptor.error());
  return LogSink{std::move(*descriptor), Kind::ready, Origin::file, path};
}

Result<LogSink> LogSink::share(int descriptor, std::string name) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return fail_with_errno();
  Kind kind = Kind::ready;
  if (S_ISSOCK(status.st_mode)) {
    kind = Kind::socket;
  } else if (!S_ISREG(status.st_mode) && (::fcntl(descriptor, F_GETFL) & O_NONBLOCK) == 0) {
    // Through /proc the same pipe or terminal can be opened once more, with flags of our own.
    const int own = ::open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own >= 0) return LogSink{OwnedDescriptor{own}, Kind::ready, Origin::shared, std::move(name)};
    kind = Kind::blocking;
  }
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail_with_errno();
  return LogSink{OwnedDescriptor{copy}, kind, Origin::shared, std::move(name)};
}

Result<std::size_t> LogSink::write(const Pieces& pieces) const {
  std::array<iovec, 2> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  ssize_t taken = -1;
  do {
    switch (kind_) {
      case Kind::ready: taken = ::writev(descriptor_.get(), parts.data(), parts.size()); break;
      case Kind::socket: {
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        taken = ::sendmsg(descriptor_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
      }
      case Kind::blocking: {
        // A pipe that is writable takes PIPE_BUF bytes without blocking.
        pollfd writable{descriptor_.get(), POLLOUT, 0};
        if (::poll(&writable, 1, 0) == 0) return fail(ErrorKind::would_block);
        const std::string_view piece = (pieces[0].empty() ? pieces[1] : pieces[0]).substr(0, PIPE_BUF);
        taken = ::write(descriptor_.get(), piece.data(), piece.size());
        break;
      }
    }
  } while (taken < 0 && errno == EINTR);
  if (taken > 0) return static_cast<std::size_t>(taken);
  if (taken < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return fail(ErrorKind::would_block);
  return taken < 0 ? fail_with_errno() : fail(ErrorKind::system, Side::local, Retry::never, EIO);
}

Result<void> LogSink::reopen() {
  if (origin_ == Origin::shared) return {};
  auto opened = open_for_appending(name_);
  if (!opened) return std::unexpected(opened.error());
  if (!is_same_file(opened->get(), descriptor_.get())) descriptor_ = std::move(*opened);
  return {};
}

bool LogSink::is_terminal() const { return ::isatty(descriptor_.get()) == 1; }

}  // namespace steelyard
