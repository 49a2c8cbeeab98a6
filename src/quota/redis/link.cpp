#include "quota/redis/link.hpp"

#include <fmt/format.h>

#include <optional>
#include <system_error>
#include <utility>

#include "tls/client.hpp"
#include "wire/resp/command.hpp"

namespace steelyard::quota {
namespace {

std::string in_words(const Error& error) {
  switch (error.kind) {
    case ErrorKind::closed: return "it closed the connection";
    case ErrorKind::reset: return "it reset the connection";
    case ErrorKind::refused: return "nobody listens there (connection refused)";
    case ErrorKind::unreachable: return "the network does not reach it";
    case ErrorKind::timed_out: return "it did not answer in time";
    case ErrorKind::cancelled: return "the connection was given up";
    default: return error.os_code != 0 ? std::system_category().message(error.os_code) : "the connection failed";
  }
}

}  // namespace

std::unexpected<std::string> Link::problem(const Error& error) const {
  return std::unexpected(encrypted_ != nullptr && !encrypted_->problem().empty() ? encrypted_->problem() : in_words(error));
}

Task<Link::Outcome<void>> Link::open(const SocketAddress& to, const RedisLogin& login) {
  auto stream = setting_.connector.connect(to);
  if (!stream) co_return problem(stream.error());
  stream_ = std::move(*stream);
  if (setting_.tls != nullptr) {
    auto encrypted = std::make_unique<tls::ClientStream>(*setting_.tls, std::move(stream_), to.ip);
    encrypted_ = encrypted.get();
    stream_ = std::move(encrypted);
  }
  const WaitResult opened = co_await stream_->writable();
  const auto connected = opened == WaitResult::done ? stream_->connect_result() : fail(error_of(opened));
  if (!connected) co_return problem(connected.error());
  if (login.username.empty() && login.password.empty()) co_return Outcome<void>{};
  const std::string auth =
      login.username.empty() ? resp::command({"AUTH", login.password}) : resp::command({"AUTH", login.username, login.password});
  const auto answer = co_await ask(auth);
  if (!answer) co_return std::unexpected(answer.error());
  co_return Outcome<void>{};
}

Task<Link::Outcome<void>> Link::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = stream_->write(bytes);
    if (!sent && sent.error().kind != ErrorKind::would_block) co_return problem(sent.error());
    bytes.remove_prefix(sent.value_or(0));
    if (bytes.empty()) break;
    const WaitResult room = co_await stream_->writable();
    if (room != WaitResult::done) co_return problem({error_of(room)});
  }
  co_return Outcome<void>{};
}

Task<Link::Outcome<resp::Reply>> Link::receive() {
  for (;;) {
    auto reply = reader_.next();
    if (!reply) co_return std::unexpected(fmt::format("what it answered is not Redis' protocol: {}", reply.error()));
    if (*reply) co_return std::move(**reply);
    const auto got = stream_->read(piece_);
    if (got && *got == 0) co_return problem({ErrorKind::closed});
    if (!got && got.error().kind != ErrorKind::would_block) co_return problem(got.error());
    if (got) {
      reader_.feed({piece_.data(), *got});
      continue;
    }
    const WaitResult arrived = co_await stream_->readable();
    if (arrived != WaitResult::done) co_return problem({error_of(arrived)});
  }
}

Task<Link::Outcome<resp::Reply>> Link::ask(std::string_view command) {
  const auto sent = co_await send(command);
  if (!sent) co_return std::unexpected(sent.error());
  auto reply = co_await receive();
  if (reply && reply->is_error()) co_return std::unexpected(reply->text);
  co_return reply;
}

}  // namespace steelyard::quota
