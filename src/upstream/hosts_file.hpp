// The file of names that an administrator keeps beside DNS, hosts(5): a line for each address, with its names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/address.hpp"

namespace steelyard {

// The addresses of `name`, in the file's order. Case does not matter, nor do lines that are no entry.
std::vector<IpAddress> hosts_entries(std::string_view text, std::string_view name);

// The same of a file; none where it cannot be read. Only the first MiB counts. Waits for the disk.
std::vector<IpAddress> read_hosts_entries(const std::string& file, std::string_view name);

}  // namespace steelyard
