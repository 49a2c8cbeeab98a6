#include "client_actor.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::sim {

void ClientActor::start(const SocketAddress& from, const SocketAddress& to) {
  manners_.stalls = std::min(manners_.stalls, 0.999);
  talker_.on_connected = [this] { send_next(); };
  talker_.on_bytes = [this](std::string_view bytes) { hear(bytes); };
  talker_.on_end = [this] { take_end(); };
  plan_misdeed();
  talker_.connect(from, to);
}

void ClientActor::send_next() {
  while (!over_ && !half_closed_ && sent_ < planned_.size() && !body_due_ && (pipelines_ || sent_ == answered_)) {
    Planned& planned = planned_[sent_++];
    ledger_.find(planned.id)->begun = true;
    ledger_.find(planned.id)->begun_at = net_.now();
    planned.begins_at = said_;
    planned.ends_at = said_ + planned.head.size() + planned.body.size();
    net_.note("client sends {} {}", planned.method, planned.id);
    say_in_pieces(planned.head);
    if (planned.expects) {
      body_due_ = true;
      // Waiting for ever would be wrong: some servers never say 100 (RFC 9110 §10.1.1).
      net_.after(1s, [this, which = sent_] {
        if (!body_due_ || which != sent_) return;
        body_due_ = false;
        say_in_pieces(planned_[sent_ - 1].body);
        send_next();
      });
    } else {
      say_in_pieces(planned.body);
    }
  }
}

void ClientActor::say_in_pieces(std::string bytes) {
  if (half_closed_ || over_) return;
  said_ += bytes.size();
  if (manners_.stalls == 1) {
    bytes.resize(net_.prng.below(bytes.size() + 1));
    manners_.stalls = 2;
  } else if (manners_.stalls == 2) {
    return;
  }
  while (!bytes.empty()) {
    const std::size_t piece = chance(0.5) ? bytes.size() : 1 + net_.prng.below(bytes.size());
    talker_.say(bytes.substr(0, piece), slow_sender_ ? some_time(300ms) : some_time(1ms));
    bytes.erase(0, piece);
  }
}

void ClientActor::hear(std::string_view bytes) {
  heard_ += bytes.size();
  reader_.feed(bytes);
  while (!over_) {
    const bool bodiless = answered_ < planned_.size() && planned_[answered_].method == "HEAD";
    const MessageReader::Event event = reader_.next(bodiless);
    switch (event.kind) {
      case MessageReader::Kind::more: return;
      case MessageReader::Kind::invalid: return fail("not strictly HTTP: " + reader_.problem());
      case MessageReader::Kind::head: take_head(); break;
      case MessageReader::Kind::body: take_body(event.bytes); break;
      case MessageReader::Kind::complete: take_complete(); break;
    }
  }
}

void ClientActor::take_head() {
  if (closing_) return fail("a response after the last one");
  if (answered_ >= sent_ || talker_.said_bytes() <= planned_[answered_].begins_at) return fail("a response that nobody asked for");
  const std::string* const tag = reader_.field("X-Tag");
  by_server_ = tag != nullptr;
  if (by_server_ && *tag != std::to_string(planned_[answered_].id)) return fail("a response to another request: " + *tag);
  const RequestRecord& record = *ledger_.find(planned_[answered_].id);
  if (by_server_ && record.kind == RequestRecord::Kind::bad_head) return fail("a server answered a malformed request");
  if (reader_.status() >= 200 && !by_server_ && reader_.status() < 400) return fail("an answer of the proxy itself that is no refusal");
}

void ClientActor::take_body(std::string_view bytes) {
  if (!by_server_) return;
  if (!belongs(bytes, planned_[answered_].id, Direction::response, reader_.body_bytes() - bytes.size())) {
    fail("the response has bytes that are not its own");
  }
}

void ClientActor::take_complete() {
  consumed_ = heard_ - reader_.unread_bytes();
  Planned& planned = planned_[answered_];
  const bool held = body_due_ && answered_ + 1 == sent_;
  if (reader_.status() < 200) {
    if (planned.http_1_0) return fail("1xx for HTTP/1.0");
    if (reader_.status() == 100 && held) {
      body_due_ = false;
      say_in_pieces(planned.body);
      send_next();
    }
    return;
  }
  const std::string* const size = reader_.field("X-Body-Bytes");
  if (by_server_ && (size == nullptr || parse_unsigned<std::uint64_t>(*size) != reader_.body_bytes())) {
    return fail(fmt::format("a response that looks complete has {} bytes, not {}", reader_.body_bytes(), size == nullptr ? "?" : *size));
  }
  RequestRecord& record = *ledger_.find(planned.id);
  record.status = reader_.status();
  record.answered_by_server = by_server_;
  net_.note("client has {} for {}", record.status, planned.id);
  ++answered_;
  const std::string* const connection = reader_.field("Connection");
  closing_ = connection != nullptr ? equals_ignoring_case(*connection, "close") : planned.http_1_0;
  if (closing_) {
    body_due_ = false;
    return;  // the proxy closes
  }
  if (held) return leave();  // the body was not wanted, so it was not sent: nothing can follow
  if (answered_ < planned_.size()) {
    net_.after(some_time(5ms), [this] { send_next(); });
  } else if (!chance(manners_.stays)) {
    leave();
  }
}

void ClientActor::take_end() {
  if (over_) return;
  net_.note("client: the connection {}", talker_.was_reset() ? "was reset" : "has ended");
  if (!talker_.was_reset() && reader_.end() == MessageReader::End::completes) take_complete();
  if (over_) return;
  if (answered_ < sent_) check_closed_without_answer();
  over_ = true;
  talker_.close();
}

// A request that was sent whole, on a connection that nobody disturbed, deserves an answer, be it a bad one.
void ClientActor::check_closed_without_answer() {
  const Planned& planned = planned_[answered_];
  for (std::size_t i = answered_; i < sent_; ++i) ledger_.find(planned_[i].id)->connection_closed = true;
  const bool alone = talker_.said_bytes() == planned.ends_at;
  const bool begun = talker_.peer_sent_bytes() > consumed_;
  // A connection that was idle may be closed while the next request is on the way: nobody's fault.
  const bool too_late = talker_.peer_closed_after() <= planned.begins_at;
  // What was left of the request before it may have been wanted by nobody, and then nothing can follow it.
  const bool cut_off = answered_ > 0 && ledger_.find(planned_[answered_ - 1].id)->answered_early;
  const bool given_up = half_closed_ && manners_.half_close_aborts;
  if (alone && !begun && !too_late && !cut_off && !given_up && !closing_ && !drain_expected_ && !talker_.disturbed() &&
      talker_.connected()) {
    fail("the connection was closed without an answer");
  }
}

void ClientActor::leave() {
  if (over_) return;
  net_.note("client leaves");
  over_ = true;
  talker_.close();
}

void ClientActor::fail(const std::string& what) {
  std::string request = "none";
  if (answered_ < planned_.size()) request = fmt::format("{} {}", planned_[answered_].method, planned_[answered_].id);
  ledger_.violation("client, due is {}: {}", request, what);
  net_.note("client fails: {}", what);
  over_ = true;
  talker_.cut();
}

void ClientActor::settle() {
  for (std::size_t i = 0; i < sent_; ++i) ledger_.find(planned_[i].id)->fully_sent = talker_.said_bytes() >= planned_[i].ends_at;
}

std::string ClientActor::where_it_stands() const {
  if (answered_ >= planned_.size()) return "all answered, open";
  const Planned& planned = planned_[answered_];
  return fmt::format("waits for {} {}, said {} of {} bytes, {} of its connection", planned.method, planned.id, talker_.said_bytes(),
                     planned.ends_at, talker_.connected() ? "sure" : "not sure");
}

}  // namespace steelyard::sim
