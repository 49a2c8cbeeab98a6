#include "app/key_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

namespace steelyard {
namespace {

// One byte more than a key set may have, so that a larger one is seen to be too large.
std::expected<std::string, int> read_beginning(int descriptor) {
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

}  // namespace

std::expected<Keys, std::string> read_key_file(const std::string& path, std::string& warning) {
  // A pipe without a writer must not hold the start up.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return std::unexpected(fmt::format("cannot open the key file {}: {}", path, std::strerror(errno)));
  struct stat status{};
  const bool known = ::fstat(descriptor, &status) == 0;
  const auto text = read_beginning(descriptor);
  ::close(descriptor);
  if (!text) return std::unexpected(fmt::format("cannot read the key file {}: {}", path, std::strerror(text.error())));
  if (text->size() > token::KeySet::text_bytes_max) {
    return std::unexpected(
        fmt::format("the key file {} is larger than {} bytes: is it the right one?", path, token::KeySet::text_bytes_max));
  }
  auto keys = token::KeySet::parse(*text);
  if (!keys) return std::unexpected(fmt::format("the key file {} cannot be used: {}", path, keys.error()));
  if (known && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    warning = fmt::format("other users may read the key file {}: chmod 600 {}", path, path);
  }
  return std::make_shared<const token::KeySet>(std::move(*keys));
}

std::expected<RouteKeys, std::string> read_route_keys(const std::vector<RouteOptions>& routes) {
  RouteKeys read;
  std::map<std::string, Keys> known;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const bool signs = routes[i].mode != RouteMode::proxy;
    const std::string& path = signs ? routes[i].redirect.keys : routes[i].guard ? routes[i].guard->keys : "";
    if (path.empty()) continue;
    Keys& keys = known[path];
    if (!keys) {
      std::string warning;
      auto found = read_key_file(path, warning);
      if (!found) return std::unexpected(fmt::format("the route {}: {}", routes[i].name, found.error()));
      if (!warning.empty()) read.warnings.push_back(std::move(warning));
      keys = std::move(*found);
    }
    if (signs && keys->signer() == nullptr) {
      return std::unexpected(
          fmt::format("the route {}: the key file {} has no key that can sign, only public halves: add one with its private part \"d\"",
                      routes[i].name, path));
    }
    read.keys.resize(routes.size());
    read.keys[i] = keys;
  }
  return read;
}

}  // namespace steelyard
