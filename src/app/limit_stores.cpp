#include "app/limit_stores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "app/resolve.hpp"
#include "base/ascii.hpp"
#include "tls/client.hpp"

namespace steelyard {
namespace {

constexpr std::size_t password_bytes_max = 1024;

std::expected<std::string, std::string> read_password(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || (!std::getline(file, line) && !file.eof())) {
    return std::unexpected(fmt::format("the password file {} cannot be read: check that it is there and its permissions", path));
  }
  const std::string password(trim(line));
  if (password.empty()) return std::unexpected(fmt::format("the password file {} has no password in its first line", path));
  if (password.size() > password_bytes_max) {
    return std::unexpected(fmt::format("the password in the file {} has more than {} bytes", path, password_bytes_max));
  }
  return password;
}

}  // namespace

std::expected<std::vector<Site::Store>, std::string> LimitStores::prepare(const std::vector<quota::StoreOptions>& stores) {
  std::vector<Site::Store> prepared;
  for (const quota::StoreOptions& options : stores) {
    auto store = prepare(options);
    if (!store) return std::unexpected(fmt::format("the store {}: {}", options.name, store.error()));
    prepared.push_back(std::move(*store));
  }
  return prepared;
}

std::expected<Site::Store, std::string> LimitStores::prepare(const quota::StoreOptions& options) {
  Site::Store store;
  store.name = options.name;
  store.options = options.redis;
  for (const auto& [path, password] : {std::pair(&options.password_file, &store.options.login.password),
                                       std::pair(&options.sentinel_password_file, &store.options.sentinel_login.password)}) {
    if (path->empty()) continue;
    auto read = read_password(*path);
    if (!read) return std::unexpected(read.error());
    *password = std::move(*read);
  }
  for (const auto& place : options.places) {
    const auto address = resolve(place.host, place.port);
    if (!address) return std::unexpected(address.error());
    store.options.addresses.push_back(*address);
  }
  const auto known = std::ranges::find(in_use_, store.name, &Site::Store::name);
  if (known != in_use_.end() && known->options == store.options) return *known;
  if (store.options.tls) {
    auto context = tls::ClientContext::make(*store.options.tls);
    if (!context) return std::unexpected(context.error());
    store.tls = std::move(*context);
  }
  store.counters = known != in_use_.end() ? known->counters : std::make_shared<std::vector<quota::RedisCounters>>(worker_count_);
  store.version = ++version_;
  return store;
}

}  // namespace steelyard
