// The stores of limits as a configuration names them, made ready: passwords read, certificates loaded, names of hosts looked up. On the
// control thread, at the start and with each reload; looking a name up may block it for a while, which no client notices.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "proxy/site.hpp"
#include "quota/options.hpp"

namespace steelyard {

class LimitStores {
 public:
  explicit LimitStores(std::uint32_t worker_count) : worker_count_(worker_count) {}

  // A store that is the same as before keeps its version and so its connections, its counters in any case. The sentence says what is
  // wrong and what to do.
  [[nodiscard]] std::expected<std::vector<Site::Store>, std::string> prepare(const std::vector<quota::StoreOptions>& stores);
  // These are in use from now on.
  void adopt(const std::vector<Site::Store>& stores) { in_use_ = stores; }

 private:
  [[nodiscard]] std::expected<Site::Store, std::string> prepare(const quota::StoreOptions& options);

  const std::uint32_t worker_count_;
  std::uint64_t version_ = 0;
  std::vector<Site::Store> in_use_;
};

}  // namespace steelyard
