#include "session/packet_server.hpp"

#include <algorithm>

#include "session/linger.hpp"

namespace steelyard {
namespace {

constexpr std::uint64_t turn_packets_max = 32;

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

PacketServer::PacketServer(SessionHost& host, std::unique_ptr<Stream> stream, const SocketAddress& client, Admission admission,
                           std::uint32_t bytes_max)
    : Session(client, admission),
      host_(host),
      stream_(std::move(stream)),
      fiber_(host.scheduler, *this),
      bytes_max_(bytes_max),
      draining_(host.draining),
      gentle_until_(host.scheduler.now() + host.timeouts.drain / 2) {
  host_.metrics.client_connections.add();
  host_.metrics.client_connections_accepted.add();
  stream_->observe(this);
}

PacketServer::~PacketServer() { host_.metrics.client_connections.subtract(); }

void PacketServer::start() { fiber_.start(run()); }

void PacketServer::abort() {
  if (!idle_) stream_->reset_on_close();
  fiber_.cancel(Cause::shutdown);
}

void PacketServer::drain() {
  draining_ = true;
  if (idle_) fiber_.cancel(Cause::shutdown);
}

void PacketServer::drain_gently() {
  draining_ = true;
  gentle_until_ = host_.scheduler.now() + host_.timeouts.drain / 2;
  wait_until_ = std::min(wait_until_, host_.scheduler.now() + patience());
  if (idle_) fiber_.set_deadline(wait_until_);
}

Task<void> PacketServer::run() {
  Next next = Next::packet;
  wait_until_ = host_.scheduler.now() + patience();
  while (next == Next::packet) {
    if (received_.empty()) {
      idle_ = true;
      host_.metrics.client_connections_idle.add();
      fiber_.set_deadline(wait_until_);
      const WaitResult waited = co_await stream_->readable();
      host_.metrics.client_connections_idle.subtract();
      idle_ = false;
      if (waited == WaitResult::timed_out && !draining_) host_.metrics.hit(Limit::idle_timeout);
      if (waited != WaitResult::done) co_return;
    }
    next = co_await serve_next();
  }
  if (next == Next::reset) stream_->reset_on_close();
  if (next == Next::linger) co_await linger(*stream_, fiber_, host_.scratch);
}

// How long a packet may be waited for, from the end of the one before; blanks do not count.
Duration PacketServer::patience() const {
  if (draining_) return host_.gentle ? std::min(gentle_idle, host_.timeouts.drain / 2) : linger_timeout;
  return admission_ == Admission::over_limit ? std::min(host_.timeouts.header_read, host_.timeouts.idle) : host_.timeouts.idle;
}

Task<PacketServer::Next> PacketServer::serve_next() {
  json::ObjectScanner scanner;
  Received received;
  if (admission_ == Admission::over_limit) {
    received = {Received::End::refused, 0, {503, "too many connections (connections.max or connections.per_client_max)"}};
  } else {
    received = co_await receive_packet(scanner);
  }
  if (received.end == Received::End::nothing) co_return Next::packet;
  if (received.end == Received::End::ended) co_return Next::close;
  if (received.end == Received::End::failed) co_return Next::reset;

  ++requests_;
  PacketExchange exchange(fiber_, *stream_, client_, listener, draining_);
  if (received.end == Received::End::complete) {
    exchange.object = received_.view().substr(0, received.bytes);
    auto parsed = packet::parse_message(scanner.object(exchange.object));
    if (parsed) {
      exchange.message = std::move(*parsed);
    } else {
      exchange.refusal = {400, parsed.error()};
    }
  } else {
    exchange.refusal = received.why;
  }
  if (exchange.refusal) exchange.keep_open = false;
  exchange_ = &exchange;
  co_await host_.packets->serve(exchange);
  exchange_ = nullptr;
  received_.consume(received.bytes);
  blanks_ = 0;
  drop_blanks();
  if (exchange.broken_off) co_return Next::reset;
  if (exchange.keep_open && takes_another()) {
    wait_until_ = host_.scheduler.now() + patience();
    if (requests_ % turn_packets_max == 0 && co_await yield_turn() != WaitResult::done) co_return Next::reset;
    co_return Next::packet;
  }
  co_return exchange.keep_open && !stream_->is_readable() ? Next::close : Next::linger;
}

bool PacketServer::takes_another() const {
  return !draining_ || !received_.empty() || (host_.gentle && host_.scheduler.now() < gentle_until_);
}

// Fills received_ until a packet is complete. A connection that ends between packets just ends.
Task<PacketServer::Received> PacketServer::receive_packet(json::ObjectScanner& scanner) {
  using End = Received::End;
  const Instant begun = host_.scheduler.now();
  for (;;) {
    if (scanner.offset() == 0) drop_blanks();
    if (blanks_ > bytes_max_) {
      host_.metrics.hit(Limit::packet_bytes);
      co_return Received{End::refused, 0, {413, "more blanks before a packet than a packet may have bytes (packet_bytes_max)"}};
    }
    if (!received_.empty()) {
      const auto scanned = scanner.feed(received_.view());
      if (!scanned) co_return Received{End::refused, 0, {400, scanned.error().reason}};
      if (*scanned > bytes_max_ || (*scanned == 0 && received_.size() > bytes_max_)) {
        host_.metrics.hit(Limit::packet_bytes);
        co_return Received{End::refused, 0, {413, "the packet is larger than allowed (packet_bytes_max)"}};
      }
      if (*scanned != 0) co_return Received{End::complete, *scanned, {}};
    }
    const auto got = receive();
    if (got && *got != 0) continue;
    if (got && received_.empty()) co_return Received{End::ended, 0, {}};
    if (got) co_return Received{End::refused, 0, {400, "the connection ended inside a packet"}};
    if (got.error().kind != ErrorKind::would_block) co_return Received{End::failed, 0, {}};
    if (received_.empty()) co_return Received{End::nothing, 0, {}};
    fiber_.set_deadline(begun + host_.timeouts.header_read);
    const WaitResult waited = co_await stream_->readable();
    if (waited == WaitResult::cancelled) co_return Received{End::failed, 0, {}};
    if (waited == WaitResult::timed_out) {
      host_.metrics.hit(Limit::header_read_timeout);
      co_return Received{End::refused, 0, {408, "the packet did not arrive in time (timeouts.header_read)"}};
    }
  }
}

Result<std::size_t> PacketServer::receive() {
  const std::span<char> memory = host_.scratch.data().first(read_bytes_max);
  const auto got = stream_->read(memory);
  if (got) received_.append(memory.first(*got));
  return got;
}

// Between packets: so that a connection on which only a line's end has come is an idle one.
void PacketServer::drop_blanks() {
  const std::string_view bytes = received_.view();
  const auto count = static_cast<std::size_t>(std::ranges::find_if_not(bytes, is_blank) - bytes.begin());
  blanks_ += count;
  if (count != 0) received_.consume(count);
}

void PacketServer::on_finished(Fiber& /*fiber*/) { host_.on_session_ended(*this); }

// As for HTTP: one that only ended its sending side may still want its answer.
void PacketServer::on_unawaited_event(Stream& stream) {
  const bool gone = stream.broken() || (stream.peer_ended() && host_.http.client_half_close == HalfClose::abort);
  if (gone) fiber_.cancel(Cause::client_gone);
}

}  // namespace steelyard
