#include "load/generator.hpp"

#include <utility>

#include "load/replay.hpp"

namespace steelyard::load {
namespace {

// A head and a small body in one read; what a large body adds is dropped unread.
constexpr std::size_t scratch_bytes = 8 * 1024;
constexpr std::uint64_t started_at_once_max = 64;
// Waking up takes some tens of microseconds; the last stretch before a due time is therefore spent looking at events without sleeping.
constexpr Duration polled_stretch = 60us;
// So many connects in vain before any has succeeded are enough to know.
constexpr std::uint64_t connects_failed_max = 10;

http::Method method_of(const RequestOptions& request) { return request.method == "HEAD" ? http::Method::head : http::Method::get; }

Limits limits_of(const RunOptions& options, Share share, Instant start) {
  Limits limits{.start = start, .count_from = start + options.warmup};
  if (options.duration.count() > 0) limits.end = limits.count_from + options.duration;
  if (options.requests_max > 0) limits.counted_max = share.of(options.requests_max);
  return limits;
}

}  // namespace

Generator::Generator(const RunOptions& options, Share share, Instant start)
    : options_(options),
      share_(share),
      start_(start),
      clients_max_(share.of(options.connections)),
      connector_(loop_),
      requests_(options.request),
      responses_{.method = method_of(options.request), .server_field = options.server_field, .servers = servers_, .head = {}},
      scratch_(scratch_bytes),
      samples_(start, servers_),
      alarm_(loop_),
      pacer_(loop_.scheduler(), *this) {}

std::expected<void, std::string> Generator::open(const std::string& samples_file) {
  std::unique_ptr<Schedule> schedule;
  if (!options_.replay.empty()) {
    auto replay = Replay::open(options_.replay, share_);
    if (!replay) return std::unexpected(replay.error());
    schedule = std::move(*replay);
  } else if (options_.loop == Loop::open) {
    schedule = std::make_unique<Arrivals>(options_.rate, options_.spacing, options_.ramp, share_, options_.seed + share_.index);
  }
  dispatcher_.emplace(limits_of(options_, share_, start_), std::move(schedule));
  if (samples_file.empty()) return {};
  return samples_.open(samples_file);
}

void Generator::run() {
  pacer_.start(options_.loop == Loop::open ? pace() : start_clients());
  loop_.run();
  clients_.clear();
  tally_.name_servers(servers_);
}

void Generator::stop() {
  loop_.post([this] { end(); });
}

void Generator::end() {
  dispatcher_->stop();
  pacer_.cancel(Cause::shutdown);
  for (const auto& client : clients_) client->abandon();
}

Task<void> Generator::start_clients() {
  Fiber& fiber = co_await this_fiber();
  for (std::uint64_t i = 0; i < clients_max_ && !over(); ++i) {
    const auto place = static_cast<std::int64_t>(i * share_.count + share_.index);
    fiber.set_deadline(start_ + options_.ramp * place / options_.connections);
    if (fiber.deadline() > monotonic_now()) co_await until_deadline();
    fiber.clear_deadline();
    if (over()) co_return;
    start_client();
    if (i % started_at_once_max == started_at_once_max - 1) co_await yield_turn();
  }
}

Task<void> Generator::pace() {
  Fiber& fiber = co_await this_fiber();
  while (fiber.cause() == Cause::none && !over()) {
    const Instant due = dispatcher_->next_due();
    if (due > monotonic_now()) {
      co_await wait_until_due(due);
    } else if (!send_off()) {
      co_await AllBusy(*this);
    }
  }
  while (Idle* idle = idle_.pop_front()) idle->complete_later(WaitResult::cancelled);
}

Task<void> Generator::wait_until_due(Instant due) {
  const Instant wake = due + -polled_stretch;
  if (wake > monotonic_now()) co_await alarm_.wait_until(wake);
  while (monotonic_now() < due) {
    const WaitResult yielded = co_await yield_turn();
    if (yielded != WaitResult::done) co_return;
  }
}

bool Generator::send_off() {
  if (Idle* const idle = idle_.pop_front()) {
    idle->complete(WaitResult::done);
    return true;
  }
  if (!may_start_client()) return false;
  start_client();
  return true;
}

void Generator::start_client() {
  clients_.push_back(std::make_unique<Client>(*this));
  ++running_;
  clients_.back()->start();
}

void Generator::add_idle(Idle& idle) {
  idle_.push_front(idle);
  wake_pacer();
}

void Generator::wake_pacer() {
  if (all_busy_ != nullptr) std::exchange(all_busy_, nullptr)->complete_later(WaitResult::done);
}

std::optional<Ticket> Generator::take(Instant now) {
  for (;;) {
    auto ticket = dispatcher_->take(now);
    if (over()) pacer_.interrupt();  // whatever it waits for
    if (!ticket || options_.loop == Loop::closed) return ticket;
    if (now - ticket->due >= options_.timeout) {  // given up while it waited for a connection
      settle(*ticket, {.failure = Failure::timeout}, ticket->due + options_.timeout);
      continue;
    }
    if (!ticket->counted) return ticket;
    if (idle_.empty() && !may_start_client()) {
      ++tally_.queued;
    } else {
      tally_.lateness.record(now - ticket->due);
    }
    return ticket;
  }
}

void Generator::settle(const Ticket& ticket, const Outcome& outcome, Instant end) {
  if (outcome.failure == Failure::abandoned) {
    ++tally_.abandoned;
    return;
  }
  (outcome.failure == Failure::none ? progress_.answered : progress_.failed).add();
  if (!ticket.counted) return;
  tally_.count(outcome, end - ticket.due, end);
  samples_.add(ticket, outcome, end);
}

void Generator::connected() { ++tally_.connections_opened; }

// A run that nobody ever answers ends early, unless its requests are a list that is wanted to the end.
Failure Generator::connect_failed(Failure failure) {
  if (tally_.connections_opened == 0 && ++connects_failed_ >= connects_failed_max && options_.replay.empty()) end();
  return failure;
}

void Generator::client_finished() {
  if (--running_ == 0 && !pacer_.running()) loop_.stop();
}

void Generator::on_finished(Fiber& /*fiber*/) {
  if (running_ == 0) loop_.stop();
}

}  // namespace steelyard::load
