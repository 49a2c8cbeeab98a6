// Reads replies from bytes that arrive in pieces. hiredis finds their parts; this builds the values and bounds them: what is announced
// costs nothing, only what has arrived does. Pure; one for each connection.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "wire/resp/reply.hpp"

struct redisReader;
struct redisReadTask;

namespace steelyard::resp {

struct ReplyLimits {
  std::size_t bytes_max = 1024 * 1024;  // of one reply
  std::size_t line_bytes_max = 8192;    // of a status or an error
  std::size_t items_max = 65'536;       // of one reply with all that is in it
};

class ReplyReader {
 public:
  explicit ReplyReader(const ReplyLimits& limits = {});
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;
  ~ReplyReader();

  // Takes over what has arrived. Then next() until there is nothing, before more is fed: that is what bounds the memory.
  void feed(std::string_view bytes);
  // The next complete reply, nothing where more bytes are needed, or why these are no replies, in words; that stays. What is read and
  // what is refused is the same however the bytes arrive. Replies nest up to 7 deep.
  std::expected<std::optional<Reply>, std::string> next();

 private:
  struct Callbacks;
  [[nodiscard]] std::size_t unread() const;
  [[nodiscard]] const char* overrun() const;
  std::unexpected<std::string> refuse(std::string why);
  Reply* place(const redisReadTask& task, Reply::Kind kind);

  const ReplyLimits limits_;
  redisReader* reader_;
  Reply root_;
  std::size_t items_ = 0;  // of the reply under way
  std::size_t fed_ = 0;
  std::size_t begin_ = 0;  // of the reply under way, in all that was fed
  const char* reason_ = nullptr;
  std::string refused_;
};

}  // namespace steelyard::resp
