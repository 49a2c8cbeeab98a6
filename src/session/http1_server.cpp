#include "session/http1_server.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "session/linger.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

// After so many requests of one connection others get their turn: what is answered without a server is answered without
// waiting, and a client that sends fast enough would have the worker to itself.
constexpr std::uint64_t turn_requests_max = 32;

}  // namespace

class Http1Server::Http1Exchange final : public Exchange {
 public:
  // `refused`: why there is no head to speak of.
  Http1Exchange(Http1Server& session, std::size_t head_bytes, const http::ParseError* refused)
      : Exchange(session.fiber_, *session.stream_, refused != nullptr ? http::BodyFraming{} : session.host_.head.body, session.draining_),
        session_(session),
        head_bytes_(head_bytes),
        limits_(session.host_.http.head) {
    client = session.client_;
    listener = session.listener;
    status_pages = session.pages_ == StatusPages::on;
    if (refused != nullptr) {
      refusal = *refused;
      keep_alive = false;
      return;
    }
    take_facts(session.host_.head);
    session.host_.head_owner = this;
    take_body_start();
  }

  const http::RequestHead& head() override {
    SessionHost& host = session_.host_;
    if (host.head_owner != this) {
      http1::ScanState scan;
      const std::string_view bytes(session_.received_.data(), head_bytes_);
      SY_ASSERT(http1::parse_request(bytes, scan, limits_, host.head).value_or(0) == head_bytes_);
      host.head_owner = this;
    }
    return host.head;
  }

  void keep_leftover(std::span<const char> bytes) override { ahead_.append(bytes); }

  std::span<const char> take_leftover() override {
    const std::span<const char> leftover = session_.received_.bytes().subspan(leftover_at_);
    taken_leftover_ = true;
    return leftover;
  }

  // What was received beyond this exchange becomes the beginning of the next one.
  void hand_over_leftover() {
    if (session_.host_.head_owner == this) session_.host_.head_owner = nullptr;
    if (taken_leftover_) {
      session_.received_.release();
    } else if (leftover_at_ != 0) {
      session_.received_.consume(leftover_at_);
    } else {
      session_.received_ = std::move(ahead_);
    }
  }

 private:
  void take_facts(const http::RequestHead& head) {
    method = head.method;
    version_minor = head.version_minor;
    method_text = head.method_text;
    target = head.target;
    authority = head.authority;
    path = head.path;
    keep_alive = head.keep_alive;
    if (const http::Field* field = head.fields.find(http::FieldName::user_agent)) user_agent = field->value;
    if (const http::Field* field = head.fields.find(http::FieldName::accept)) {
      wants_json = field->value.find("json") != std::string_view::npos;
    }
  }

  void take_body_start() {
    const std::span<char> after_head = session_.received_.bytes().subspan(head_bytes_);
    const auto piece = body.take(after_head);
    if (!piece) {
      refusal = body.parse_error();
      keep_alive = false;
      return;
    }
    body_start = piece->payload;
    if (body.done()) leftover_at_ = session_.received_.size() - piece->leftover.size();
  }

  Http1Server& session_;
  std::size_t head_bytes_;
  std::size_t leftover_at_ = 0;  // in received_; 0 when the body had not ended there
  bool taken_leftover_ = false;
  Buffer ahead_;
  const http::HeadLimits limits_;  // under which the head was accepted
};

Http1Server::Http1Server(SessionHost& host, std::unique_ptr<Stream> stream, const SocketAddress& client, Admission admission,
                         StatusPages pages)
    : Session(client, admission),
      host_(host),
      stream_(std::move(stream)),
      fiber_(host.scheduler, *this),
      pages_(pages),
      draining_(host.draining) {
  host_.metrics.client_connections.add();
  host_.metrics.client_connections_accepted.add();
  stream_->observe(this);
}

Http1Server::~Http1Server() { host_.metrics.client_connections.subtract(); }

void Http1Server::start() { fiber_.start(run()); }

void Http1Server::abort() {
  if (!idle_) stream_->reset_on_close();  // between requests nothing is cut
  fiber_.cancel(Cause::shutdown);
}

void Http1Server::drain() {
  draining_ = true;
  if (idle_) fiber_.cancel(Cause::shutdown);
}

void Http1Server::drain_gently() {
  draining_ = true;
  if (idle_) fiber_.set_deadline(std::min(fiber_.deadline(), host_.scheduler.now() + patience()));
}

Task<void> Http1Server::run() {
  Next next = Next::request;
  while (next == Next::request) {
    if (received_.empty()) {
      idle_ = true;
      host_.metrics.client_connections_idle.add();
      fiber_.set_deadline(host_.scheduler.now() + patience());
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

// How long a request may be waited for.
Duration Http1Server::patience() const {
  // A connection that waited to be accepted when draining began has its request on the way, or none.
  if (draining_) return host_.gentle ? std::min(gentle_idle, host_.timeouts.drain / 2) : linger_timeout;
  // One that is over a limit should be gone soon.
  return admission_ == Admission::over_limit ? std::min(host_.timeouts.header_read, host_.timeouts.idle) : host_.timeouts.idle;
}

Task<Http1Server::Next> Http1Server::serve_next() {
  std::size_t head_bytes = 0;
  std::optional<http::ParseError> refusal;
  const Head head = co_await receive_head(head_bytes, refusal);
  if (head == Head::nothing) co_return Next::request;
  if (head == Head::ended) co_return Next::close;
  if (head == Head::failed) co_return Next::reset;
  if (stream_->peer_ended() && host_.http.client_half_close == HalfClose::abort) co_return Next::reset;
  if (admission_ == Admission::over_limit) refusal = {503, "too many connections (connections.max or connections.per_client_max)"};

  Http1Exchange exchange(*this, head_bytes, refusal ? &*refusal : nullptr);
  if (++requests_ >= host_.http.requests_per_connection_max) {
    host_.metrics.hit(Limit::requests_per_connection);
    exchange.keep_alive = false;
  }
  exchange_ = &exchange;
  co_await host_.handler.serve(exchange);
  exchange_ = nullptr;
  exchange.hand_over_leftover();
  if (exchange.broken_off) co_return Next::reset;
  // A body that was not read to its end hides where the next request begins. In a gentle drain, a response that began before it has not
  // said that the connection ends.
  if (exchange.keep_alive && exchange.body.done() && (!draining_ || host_.gentle)) {
    if (requests_ % turn_requests_max == 0 && co_await yield_turn() != WaitResult::done) co_return Next::reset;
    co_return Next::request;
  }
  co_return exchange.refusal || !exchange.body.done() || !received_.empty() || stream_->is_readable() ? Next::linger : Next::close;
}

// Fills received_ until a head is complete. A connection that ends between requests just ends; one that ends or stalls inside
// a head is told why.
Task<Http1Server::Head> Http1Server::receive_head(std::size_t& head_bytes, std::optional<http::ParseError>& refusal) {
  http1::ScanState scan;
  const Instant begun = host_.scheduler.now();
  for (;;) {
    if (!received_.empty()) {
      host_.head_owner = nullptr;
      const auto parsed = http1::parse_request(received_.view(), scan, host_.http.head, host_.head);
      if (!parsed) {
        refusal = parsed.error();
        co_return Head::complete;
      }
      head_bytes = *parsed;
      if (head_bytes != 0) co_return Head::complete;
    }
    const auto got = receive();
    if (got && *got != 0) continue;
    if (got && received_.empty()) co_return Head::ended;
    if (got) {
      refusal = {400, "the connection ended inside the request's head"};
      co_return Head::complete;
    }
    if (got.error().kind != ErrorKind::would_block) co_return Head::failed;
    if (received_.empty()) co_return Head::nothing;
    fiber_.set_deadline(begun + host_.timeouts.header_read);
    const WaitResult waited = co_await stream_->readable();
    if (waited == WaitResult::cancelled) co_return Head::failed;
    if (waited == WaitResult::timed_out) {
      host_.metrics.hit(Limit::header_read_timeout);
      refusal = {408, "the request's head did not arrive in time (timeouts.header_read)"};
      co_return Head::complete;
    }
  }
}

Result<std::size_t> Http1Server::receive() {
  const std::span<char> memory = host_.scratch.data().first(read_bytes_max);
  const auto got = stream_->read(memory);
  if (got) received_.append(memory.first(*got));
  return got;
}

void Http1Server::on_finished(Fiber& /*fiber*/) { host_.on_session_ended(*this); }

void Http1Server::on_unawaited_event(Stream& stream) {
  // A client that reset the connection wants no answer. One that only ended its sending side may still want it: TCP does not
  // tell whether it has gone, so that is for the operator to say.
  const bool gone = stream.broken() || (stream.peer_ended() && host_.http.client_half_close == HalfClose::abort);
  if (gone) fiber_.cancel(Cause::client_gone);
}

}  // namespace steelyard
