// One connection to a Redis or a Sentinel: bytes out, replies in. All waits go by the deadline of the fiber that asks; problems are told
// in words, for the log. Owned by that fiber; one fiber may receive while another sends.
#pragma once

#include <array>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.hpp"
#include "quota/redis/options.hpp"
#include "runtime/task.hpp"
#include "wire/resp/reply_reader.hpp"

namespace steelyard::tls {
class ClientContext;
class ClientStream;
}  // namespace steelyard::tls

namespace steelyard::quota {

// What all connections of one store are made with. Outlives them.
struct LinkSetting {
  Connector& connector;
  const RedisOptions& options;
  const tls::ClientContext* tls = nullptr;  // nullptr: in the clear
};

class Link {
 public:
  template <typename T>
  using Outcome = std::expected<T, std::string>;

  explicit Link(const LinkSetting& setting) : setting_(setting), reader_({.bytes_max = setting.options.reply_bytes_max}) {}

  // Connects and logs in.
  Task<Outcome<void>> open(const SocketAddress& to, const RedisLogin& login);
  Task<Outcome<void>> send(std::string_view bytes);
  Task<Outcome<resp::Reply>> receive();
  // Sends one command and waits for its reply. An error that Redis answers is a problem as well.
  Task<Outcome<resp::Reply>> ask(std::string_view command);

 private:
  static constexpr std::size_t piece_bytes = 16 * 1024;

  [[nodiscard]] std::unexpected<std::string> problem(const Error& error) const;

  const LinkSetting& setting_;
  std::unique_ptr<Stream> stream_;
  const tls::ClientStream* encrypted_ = nullptr;  // the same, where it is
  resp::ReplyReader reader_;
  std::array<char, piece_bytes> piece_;
};

}  // namespace steelyard::quota
