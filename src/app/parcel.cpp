#include "app/parcel.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace steelyard {
namespace {

constexpr std::size_t text_max = 64 * 1024;
constexpr std::size_t control_bytes = CMSG_SPACE(sizeof(int) * parcel_descriptors_max);

std::unexpected<Error> os_failure(int os_code) {
  const bool closed = os_code == EPIPE || os_code == ECONNRESET;
  const bool full = os_code == EAGAIN;
  return fail(full ? ErrorKind::would_block : closed ? ErrorKind::closed : ErrorKind::system, Side::local, Retry::never, os_code);
}

std::vector<int> descriptors_of(msghdr& message) {
  std::vector<int> descriptors;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    descriptors.resize(count);
    std::memcpy(descriptors.data(), CMSG_DATA(header), count * sizeof(int));
  }
  return descriptors;
}

}  // namespace

Result<void> send_parcel(int socket, const Parcel& parcel) {
  std::string bytes = parcel.word + "\n" + parcel.text;
  iovec piece{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, control_bytes> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (!parcel.descriptors.empty()) {
    const std::size_t size = parcel.descriptors.size() * sizeof(int);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), parcel.descriptors.data(), size);
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return os_failure(errno);
  return {};
}

Result<Parcel> receive_parcel(int socket) {
  std::string bytes(text_max, '\0');
  iovec piece{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, control_bytes> control{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return os_failure(errno);
  if (got == 0) return fail(ErrorKind::closed);
  Parcel parcel{.word = {}, .text = {}, .descriptors = descriptors_of(message)};
  bytes.resize(static_cast<std::size_t>(got));
  const std::size_t end = bytes.find('\n');
  if (end == std::string::npos || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    for (const int descriptor : parcel.descriptors) close(descriptor);
    return fail(ErrorKind::malformed);
  }
  parcel.word = bytes.substr(0, end);
  parcel.text = bytes.substr(end + 1);
  return parcel;
}

Result<int> make_memory_file(std::string_view text) {
  const int descriptor = memfd_create("steelyard", MFD_CLOEXEC);
  if (descriptor < 0) return os_failure(errno);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(descriptor, text.data() + done, text.size() - done);
    if (wrote < 0) {
      const int error = errno;
      close(descriptor);
      return os_failure(error);
    }
    done += static_cast<std::size_t>(wrote);
  }
  return descriptor;
}

Result<std::string> read_memory_file(int descriptor) {
  struct stat file{};
  if (fstat(descriptor, &file) != 0) return os_failure(errno);
  std::string text(static_cast<std::size_t>(file.st_size), '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t got = pread(descriptor, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got <= 0) return fail(ErrorKind::closed);
    done += static_cast<std::size_t>(got);
  }
  return text;
}

}  // namespace steelyard
