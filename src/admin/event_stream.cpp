// Server-sent events (WHATWG HTML §9.2): the log's events as they come, for as long as the client takes them.
#include <fmt/format.h>

#include "admin/api.hpp"
#include "base/ascii.hpp"

namespace steelyard::admin {
namespace {

constexpr std::size_t piece_bytes_max = 64 * 1024;

// Counted while it lasts.
class Counted {
 public:
  explicit Counted(std::uint32_t& count) : count_(++count) {}
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count_; }

 private:
  std::uint32_t& count_;
};

}  // namespace

Task<void> Api::stream_events(Exchange& exchange, const Request& request) {
  if (streams_ >= streams_max || events_.closed()) {
    Answer answer = answer_problem(503, "too_many_streams", fmt::format("there are {} streams of events already: close one", streams_));
    if (events_.closed()) answer = answer_problem(503, "draining", "the proxy is ending");
    answer.fields = "Retry-After: 1\r\n";
    co_await send(exchange, answer);
    co_return;
  }
  const Counted counted(streams_);
  const Coding coding = exchange.version_minor == 0 ? Coding::until_close : Coding::chunked;
  HeadBuilder head(scratch_.head());
  write_answer_head(head, exchange, {.type = "text/event-stream"}, coding, date());
  exchange.response_started = true;
  if (!exchange.response.send(head.view())) exchange.broken_off = true;
  if (exchange.method == http::Method::get) {
    std::uint64_t last_id = events_.last_id();
    std::string hello = "retry: 1000\n\n";
    if (request.last_event_id) {
      const auto known = parse_unsigned<std::uint64_t>(*request.last_event_id);
      if (known && !events_.has_gap_after(*known)) {
        last_id = *known;
      } else {
        hello += fmt::format("event: gap\nid: {}\ndata: {{\"message\":\"events are lost: read the state anew\"}}\n\n", last_id);
      }
    }
    send_piece(exchange, hello, coding);
    co_await pass_events(exchange, last_id, coding);
  }
  co_await flush(exchange);
}

// Reads on in the log whenever the client has taken what it was sent; the log is all that is kept for it.
Task<void> Api::pass_events(Exchange& exchange, std::uint64_t last_id, Coding coding) {
  exchange.response.stream().watch();  // to learn of a client that leaves
  while (!exchange.broken_off && !exchange.draining) {
    if (!exchange.response.empty()) {
      co_await flush(exchange);
      continue;
    }
    if (events_.has_gap_after(last_id)) {
      exchange.broken_off = true;  // too slow; it comes back with Last-Event-ID and is told of the gap
      continue;
    }
    std::string piece;
    for (std::string_view next = events_.after(last_id); !next.empty() && piece.size() < piece_bytes_max; next = events_.after(last_id)) {
      piece += next;
      ++last_id;
    }
    if (piece.empty()) {
      if (events_.closed()) break;
      exchange.fiber.set_deadline(scheduler_.now() + heartbeat);
      const WaitResult waited = co_await events_.arrival(last_id);
      if (waited == WaitResult::cancelled) exchange.broken_off = true;
      if (waited == WaitResult::timed_out) piece = ":\n\n";
    }
    if (!exchange.broken_off) send_piece(exchange, piece, coding);
  }
  if (!exchange.broken_off && coding == Coding::chunked && !exchange.response.send(std::string_view("0\r\n\r\n")))
    exchange.broken_off = true;
}

void Api::send_piece(Exchange& exchange, std::string_view text, Coding coding) const {
  if (text.empty()) return;
  const auto sent = coding == Coding::chunked ? exchange.response.send(std::string_view(fmt::format("{:x}\r\n{}\r\n", text.size(), text)))
                                              : exchange.response.send(text);
  if (!sent) exchange.broken_off = true;
}

}  // namespace steelyard::admin
