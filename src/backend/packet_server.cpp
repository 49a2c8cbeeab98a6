#include "backend/packet_server.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "backend/digest.hpp"
#include "backend/packet_announcer.hpp"
#include "backend/packet_stream.hpp"
#include "backend/signals.hpp"
#include "base/ascii.hpp"
#include "base/intrusive_list.hpp"
#include "net/epoll_net.hpp"
#include "observe/message.hpp"

namespace steelyard::backend {
namespace {

// When descriptors have run out, accepting again at once would only fail again.
constexpr Duration accept_pause = 100ms;

class PacketServer final : private Fiber::Owner {
 public:
  PacketServer(EpollLoop& loop, const PacketServerOptions& options) : loop_(loop), options_(options), accepting_(loop.scheduler(), *this) {}

  std::expected<SocketAddress, std::string> start();
  // Ends what waits, lets end what is being answered; then calls `done`, once.
  void drain(std::function<void()> done);
  // Ends all of it. After drain().
  void cut();

 private:
  class Session;

  Task<void> accept();
  void on_finished(Fiber& /*fiber*/) override { finish_if_drained(); }
  void on_session_ended(Session& session);
  void finish_if_drained();

  EpollLoop& loop_;
  const PacketServerOptions& options_;
  std::unique_ptr<Listener> listener_;
  IntrusiveList<Session> sessions_;
  bool draining_ = false;
  std::function<void()> drained_;
  Fiber accepting_;
};

// One connection, of a proxy or of whoever else sends packets.
class PacketServer::Session final : public ListLink, private Fiber::Owner {
 public:
  Session(PacketServer& server, Accepted accepted)
      : server_(server),
        scheduler_(server.loop_.scheduler()),
        packets_(std::move(accepted.stream)),
        peer_(accepted.peer),
        fiber_(scheduler_, *this) {}

  void start() { fiber_.start(serve()); }
  void drain() {
    if (!answering_) fiber_.cancel(Cause::shutdown);
  }
  void cut() { fiber_.cancel(Cause::shutdown); }

 private:
  Task<void> serve() {
    while (!server_.draining_) {
      const auto object = co_await packets_.receive();
      if (!object) {
        if (object.error().kind == PacketEnd::Kind::refused) tell_refused(object.error().sentence);
        co_return;
      }
      answering_ = true;
      const auto answered = co_await answer(*object);
      if (!answered) co_return;
      answering_ = false;
    }
  }

  Task<Result<void>> answer(const json::Object& object) {
    const auto ack = acknowledge(object);
    if (!ack) {
      tell_refused(ack.error());
      co_return fail(ErrorKind::malformed);
    }
    if (server_.options_.delay > Duration{0}) {
      fiber_.set_deadline(scheduler_.now() + server_.options_.delay);
      const WaitResult waited = co_await until_deadline();
      if (waited == WaitResult::cancelled) co_return fail(ErrorKind::cancelled);
      fiber_.clear_deadline();
    }
    auto sent = co_await packets_.send(packet::to_text(*ack));
    if (sent && !server_.options_.quiet)
      log_message(LogLevel::info, "answered a packet of {} from {}", ack->destination, peer_.to_string());
    co_return sent;
  }

  // The sentence says why there is no answer.
  [[nodiscard]] std::expected<packet::Ack, std::string> acknowledge(const json::Object& object) const {
    const packet::Setup& setup = server_.options_.setup;
    const auto message = packet::parse_message(object);
    if (!message) return std::unexpected(message.error());
    const auto* const data = std::get_if<packet::Data>(&*message);
    if (data == nullptr) return std::unexpected("It is no data message, and nothing else is for a server.");
    if (!promises(setup.policy, data->policy)) {
      return std::unexpected(fmt::format("It demands policy {}, and this server promises {}.", data->policy, setup.policy));
    }
    const auto payload = packet::text_of(object, "payload");
    if (!payload) return std::unexpected("Its payload is not a string.");
    return packet::Ack{.source = setup.id, .destination = data->source, .payload = fmt::format("{:02x}", fmt::join(sha1(*payload), ""))};
  }

  void tell_refused(std::string_view sentence) const {
    log_message_limited(LogLevel::warning, "packet", "refused a packet from {}: {}", peer_.to_string(), sentence);
  }

  void on_finished(Fiber& /*fiber*/) override { server_.on_session_ended(*this); }

  PacketServer& server_;
  Scheduler& scheduler_;
  PacketStream packets_;
  SocketAddress peer_;
  bool answering_ = false;
  Fiber fiber_;
};

std::expected<SocketAddress, std::string> PacketServer::start() {
  const auto refused = [&](int os_code) {
    const char* const reason = os_code == EADDRINUSE ? "the port is taken; choose another one" : std::strerror(os_code);
    return std::unexpected(fmt::format("cannot listen on {}: {}", options_.listen.to_string(), reason));
  };
  if (const auto error = exclusive_bind_error(options_.listen)) return refused(*error);
  const auto descriptor = listen_on(options_.listen);
  if (!descriptor) return refused(descriptor.error().os_code);
  const SocketAddress bound = local_address_of(*descriptor);
  listener_ = make_listener(loop_, *descriptor);
  accepting_.start(accept());
  return bound;
}

Task<void> PacketServer::accept() {
  while (accepting_.cause() == Cause::none) {
    auto accepted = listener_->accept();
    if (accepted) {
      auto* const session = new Session(*this, std::move(*accepted));
      sessions_.push_back(*session);
      session->start();
    } else if (accepted.error().kind == ErrorKind::would_block) {
      accepting_.clear_deadline();
      co_await listener_->acceptable();
    } else {
      log_message_limited(LogLevel::warning, "accept", "cannot accept a connection (error {}). Trying again", accepted.error().os_code);
      accepting_.set_deadline(loop_.scheduler().now() + accept_pause);
      co_await until_deadline();
    }
  }
}

void PacketServer::on_session_ended(Session& session) {
  delete &session;
  finish_if_drained();
}

void PacketServer::drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  // What is cancelled ends in a later turn, so that the list stays as it is.
  sessions_.for_each([](Session& session) { session.drain(); });
  accepting_.cancel(Cause::shutdown);
}

void PacketServer::cut() {
  sessions_.for_each([](Session& session) { session.cut(); });
}

void PacketServer::finish_if_drained() {
  if (draining_ && !accepting_.running() && sessions_.empty() && drained_) std::exchange(drained_, nullptr)();
}

// What ends in which order.
class PacketServerRun {
 public:
  explicit PacketServerRun(const PacketServerOptions& options)
      : options_(options), server_(loop_, options), signals_(loop_, [this] { on_signal(); }) {}

  std::expected<void, std::string> start() {
    const auto bound = server_.start();
    if (!bound) return std::unexpected(bound.error());
    fmt::print(stderr, "listening on {}\n", bound->to_string());
    packet::Setup setup = options_.setup;
    setup.listen_port = bound->port;
    announcer_ = std::make_unique<PacketAnnouncer>(loop_, options_.proxy, std::move(setup), options_.seed);
    announcer_->start();
    return {};
  }
  void serve() { loop_.run(); }

 private:
  void on_signal() {
    if (++signals_seen_ > 1) return server_.cut();
    announcer_->stop([this] { server_.drain([this] { loop_.stop(); }); });
  }

  const PacketServerOptions& options_;
  EpollLoop loop_;
  PacketServer server_;
  std::unique_ptr<PacketAnnouncer> announcer_;
  int signals_seen_ = 0;
  Signals signals_;
};

}  // namespace

bool promises(std::string_view promised, std::string_view policy) {
  while (!promised.empty()) {
    const std::size_t comma = promised.find(',');
    if (trim(promised.substr(0, comma)) == policy) return !policy.empty();
    promised.remove_prefix(comma == std::string_view::npos ? promised.size() : comma + 1);
  }
  return false;
}

int run_packet_server(const PacketServerOptions& options) {
  PacketServerRun run(options);
  if (const auto started = run.start(); !started) {
    fmt::print(stderr, "steelyard packet server: {}\n", started.error());
    return 1;
  }
  run.serve();
  return 0;
}

}  // namespace steelyard::backend
