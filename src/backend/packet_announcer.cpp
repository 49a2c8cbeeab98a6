#include "backend/packet_announcer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backend/packet_stream.hpp"
#include "observe/message.hpp"
#include "wire/json/canonical.hpp"

namespace steelyard::backend {
namespace {

constexpr Duration connect_timeout = 5s;
// For what the proxy may have to say, which is nothing but its end of the connection when all is well.
constexpr Duration last_word_timeout = 1s;
constexpr Duration announce_back_off_min = 100ms;
constexpr Duration announce_back_off_max = 5s;

}  // namespace

PacketAnnouncer::PacketAnnouncer(EpollLoop& loop, const SocketAddress& proxy, packet::Setup setup, std::uint64_t seed)
    : scheduler_(loop.scheduler()), connector_(loop), proxy_(proxy), setup_(std::move(setup)), prng_(seed), fiber_(scheduler_, *this) {}

void PacketAnnouncer::stop(std::function<void()> done) {
  if (!fiber_.running()) return done();
  done_ = std::move(done);
  fiber_.cancel(Cause::shutdown);
}

Task<void> PacketAnnouncer::stay() {
  while (fiber_.cause() == Cause::none) {
    fiber_.set_deadline(scheduler_.now() + connect_timeout);
    const auto problem = co_await announce();
    if (fiber_.cause() != Cause::none) co_return;
    const Duration pause = judge(problem);
    if (!problem && !setup_.lease) co_return;
    fiber_.set_deadline(scheduler_.now() + pause);
    co_await until_deadline();
  }
}

// Returns what is wrong.
Task<std::optional<std::string>> PacketAnnouncer::announce() {
  auto stream = co_await open_stream(connector_, proxy_);
  if (!stream) co_return describe(stream.error());
  PacketStream packets(std::move(*stream));
  const auto sent = co_await packets.send(packet::to_text(setup_));
  if (!sent) co_return describe(sent.error());
  packets.end_sending();
  fiber_.set_deadline(scheduler_.now() + last_word_timeout);
  const auto answer = co_await packets.receive();
  if (!answer) co_return std::nullopt;
  std::string text;
  json::write_canonical(answer->text, text);
  co_return fmt::format("it answered {}", text.substr(0, shown_bytes_max));
}

// How long until the next word.
Duration PacketAnnouncer::judge(const std::optional<std::string>& problem) {
  if (!problem) {
    if (!announced_ || !problem_.empty()) {
      log_message(LogLevel::info, "announced to the proxy at {}: server {} with policy {} on port {}", proxy_.to_string(), setup_.id,
                  setup_.policy, setup_.listen_port);
    }
    announced_ = true;
    problem_.clear();
    failures_in_row_ = 0;
    return setup_.lease.value_or(Duration{0}) / 3;
  }
  if (problem_ != *problem) {
    log_message(LogLevel::warning, "cannot announce itself to the proxy at {}: {}; trying again", proxy_.to_string(), *problem);
    problem_ = *problem;
  }
  const Duration longest = std::clamp(setup_.lease.value_or(announce_back_off_max) / 3, announce_back_off_min, announce_back_off_max);
  const Duration pause = std::min(announce_back_off_min * (1U << std::min(failures_in_row_++, 10U)), longest);
  // Four to five fifths: servers that were started together do not come together forever.
  return pause - Duration{static_cast<std::int64_t>(prng_.below(static_cast<std::uint64_t>(pause.count() / 5)))};
}

void PacketAnnouncer::on_finished(Fiber& /*fiber*/) {
  if (done_) std::exchange(done_, nullptr)();
}

}  // namespace steelyard::backend
