// DNS messages for tests: what a question asks, and answers record by record (RFC 1035 §4). Nothing here is strict or complete.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/address.hpp"

namespace steelyard::testing_support {

enum class DnsType : std::uint16_t { a = 1, cname = 5, aaaa = 28, srv = 33 };
enum class DnsCode : std::uint8_t { no_error = 0, server_failure = 2, no_such_name = 3, refused = 5 };

inline std::string dns_number(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

inline std::string dns_name(std::string_view name) {
  std::string text;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    text += static_cast<char>(label.size());
    text += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return text + '\0';
}

struct DnsAsked {
  std::string id;
  std::string question;  // as it came
  std::string name;      // in lower case as it came, without a dot at the end
  DnsType type = DnsType::a;
  bool over_tcp = false;

  static DnsAsked read(std::string_view message, bool over_tcp) {
    DnsAsked asked{.id = std::string(message.substr(0, 2)), .question = std::string(message.substr(12)), .name = {}, .over_tcp = over_tcp};
    std::size_t at = 12;
    for (; at < message.size() && message[at] != 0; at += static_cast<unsigned char>(message[at]) + 1) {
      asked.name += (asked.name.empty() ? "" : ".") + std::string(message.substr(at + 1, static_cast<unsigned char>(message[at])));
    }
    asked.type =
        static_cast<DnsType>(static_cast<unsigned char>(message.at(at + 1)) << 8U | static_cast<unsigned char>(message.at(at + 2)));
    return asked;
  }
};

// An answer to `asked`, for the name that is asked where none is given.
class DnsReply {
 public:
  explicit DnsReply(DnsAsked asked) : asked_(std::move(asked)) {}

  DnsReply& a(std::string_view ip, std::uint32_t ttl_s = 60, std::string_view name = {}) { return address(DnsType::a, 4, ip, ttl_s, name); }
  DnsReply& aaaa(std::string_view ip, std::uint32_t ttl_s = 60, std::string_view name = {}) {
    return address(DnsType::aaaa, 16, ip, ttl_s, name);
  }
  DnsReply& cname(std::string_view to, std::uint32_t ttl_s = 60, std::string_view name = {}) {
    return record(DnsType::cname, dns_name(to), ttl_s, name);
  }
  DnsReply& srv(std::string_view host, int port, int priority = 0, int weight = 0, std::uint32_t ttl_s = 60) {
    return record(DnsType::srv, dns_number(priority, 2) + dns_number(weight, 2) + dns_number(port, 2) + dns_name(host), ttl_s, {});
  }
  DnsReply& code(DnsCode code) {
    code_ = code;
    return *this;
  }
  DnsReply& truncated() {
    truncated_ = true;
    return *this;
  }
  [[nodiscard]] std::string message() const {
    const unsigned flags = 0x8180U | (truncated_ ? 0x0200U : 0U) | static_cast<unsigned>(code_);
    return asked_.id + dns_number(flags, 2) + dns_number(1, 2) + dns_number(count_, 2) + dns_number(0, 4) + asked_.question + records_;
  }

 private:
  DnsReply& address(DnsType type, std::size_t bytes, std::string_view ip, std::uint32_t ttl_s, std::string_view name) {
    const IpAddress parsed = IpAddress::parse(ip).value();
    return record(type, std::string(parsed.bytes().begin(), parsed.bytes().begin() + static_cast<long>(bytes)), ttl_s, name);
  }
  DnsReply& record(DnsType type, const std::string& data, std::uint32_t ttl_s, std::string_view name) {
    ++count_;
    records_ += dns_name(name.empty() ? asked_.name : name) + dns_number(static_cast<unsigned>(type), 2) + dns_number(1, 2);
    records_ += dns_number(ttl_s, 4) + dns_number(data.size(), 2) + data;
    return *this;
  }

  DnsAsked asked_;
  std::string records_;
  unsigned count_ = 0;
  DnsCode code_ = DnsCode::no_error;
  bool truncated_ = false;
};

}  // namespace steelyard::testing_support
