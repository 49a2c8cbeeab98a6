#include "admin/token_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/ascii.hpp"

namespace steelyard::admin {
namespace {

constexpr std::size_t line_bytes_max = 4096;

// Reads the beginning of a file, which a longer first line than is allowed would fill.
std::expected<std::string, int> read_beginning(int descriptor) {
  std::string text;
  std::array<char, line_bytes_max> chunk;
  while (text.size() < line_bytes_max) {
    const ssize_t got = ::read(descriptor, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno);
    if (got == 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::expected<std::string, std::string> first_line(const std::string& path, std::string& warning) {
  // A pipe without a writer must not hold the start up.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return std::unexpected(fmt::format("cannot open the token file {}: {}", path, std::strerror(errno)));
  struct stat status{};
  const bool known = ::fstat(descriptor, &status) == 0;
  const auto text = read_beginning(descriptor);
  ::close(descriptor);
  if (!text) return std::unexpected(fmt::format("cannot read the token file {}: {}", path, std::strerror(text.error())));
  if (known && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    warning = fmt::format("other users may read the token file {}: chmod 600 {}", path, path);
  }
  std::string_view line = std::string_view(*text).substr(0, text->find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return std::string(trim(line));
}

Reach reach_of(const AdminOptions& admin) {
  if (admin.on_socket()) return Reach::unix_socket;
  return admin.bind.ip.is_loopback() ? Reach::loopback : Reach::network;
}

}  // namespace

std::expected<std::string, std::string> read_token_file(const std::string& path, std::string& warning) {
  auto token = first_line(path, warning);
  if (!token) return token;
  if (token->size() < token_length_min || token->size() > token_length_max) {
    return std::unexpected(
        fmt::format("the first line of the token file {} has {} characters, allowed are {} to {}: put a random token there "
                    "(`openssl rand -hex 32`)",
                    path, token->size(), token_length_min, token_length_max));
  }
  // What can stand in a header field (RFC 6750 §2.1).
  const bool plain = std::ranges::all_of(*token, [](char c) { return c > ' ' && c < 0x7f; });
  if (!plain) {
    return std::unexpected(fmt::format(
        "the token in {} has a space or a character that is not printable ASCII: put a random token there (`openssl rand -hex 32`)", path));
  }
  return token;
}

std::expected<LoadedAccess, std::string> load_access(const AdminOptions& admin, const std::vector<PoolOptions>& pools) {
  struct Source {
    std::string pool;
    std::string path;
  };
  std::vector<Source> sources;
  if (!admin.token_file.empty()) sources.push_back({"", admin.token_file});
  for (const PoolOptions& pool : pools) {
    if (pool.registration && !pool.registration->token_file.empty()) sources.push_back({pool.name, pool.registration->token_file});
  }
  std::vector<Token> tokens;
  std::vector<std::string> warnings;
  for (const Source& source : sources) {
    std::string warning;
    const auto token = read_token_file(source.path, warning);
    if (!token) return std::unexpected(token.error());
    if (!warning.empty()) warnings.push_back(warning);
    tokens.push_back({source.pool, digest_of(*token)});
    // It would say neither who asks nor for which pool.
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      if (tokens[i].digest != tokens.back().digest) continue;
      return std::unexpected(
          fmt::format("the token files {} and {} hold the same token: each needs one of its own", sources[i].path, source.path));
    }
  }
  return LoadedAccess{Access(reach_of(admin), admin.hosts, std::move(tokens)), std::move(warnings)};
}

}  // namespace steelyard::admin
