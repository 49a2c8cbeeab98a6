#include "upstream/prober.hpp"

#include <fmt/format.h>

#include <utility>

#include "observe/message.hpp"
#include "runtime/buffer.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {
namespace {

constexpr double jitter = 0.1;  // of the interval, either way, so that checks of many servers drift apart

std::string in_words(const Error& error, Duration timeout) {
  switch (error.kind) {
    case ErrorKind::refused: return "connection refused";
    case ErrorKind::timed_out: return fmt::format("no answer within {} ms", timeout / 1ms);
    case ErrorKind::reset: return "connection reset";
    case ErrorKind::closed: return "connection closed without an answer";
    case ErrorKind::unreachable: return "unreachable";
    case ErrorKind::resources: return "this process has no descriptors or memory left";
    default: return fmt::format("network error {}", error.os_code);
  }
}

}  // namespace

Prober::Prober(Connector& connector, Pool& pool, std::uint64_t seed, std::function<std::int64_t()> unix_time)
    : connector_(connector),
      pool_(pool),
      options_(pool.options().health.value_or(HealthOptions{})),
      prng_(seed),
      unix_time_(std::move(unix_time)) {
  for (const auto& server : pool.servers()) checks_.push_back(std::make_unique<Check>(*this, *server));
}

Prober::~Prober() { SY_ASSERT(running_ == 0); }

void Prober::start() {
  for (const auto& check : checks_) {
    ++running_;
    check->start();
  }
}

void Prober::stop() {
  for (const auto& check : checks_) check->stop();
}

Prober::Check::Check(Prober& prober, Server& server) : prober_(prober), server_(server), fiber_(prober.connector_.scheduler(), *this) {}

Task<void> Prober::Check::run() {
  Scheduler& scheduler = fiber_.scheduler();
  while (fiber_.cause() == Cause::none) {
    fiber_.set_deadline(scheduler.now() + prober_.options_.timeout);
    const Verdict verdict = co_await ask();
    if (fiber_.cause() != Cause::none) co_return;
    judge(verdict);
    const double factor = 1.0 - jitter + 2 * jitter * static_cast<double>(prober_.prng_.below(1000)) / 1000.0;
    fiber_.set_deadline(scheduler.now() +
                        Duration(static_cast<std::int64_t>(static_cast<double>(prober_.options_.interval.count()) * factor)));
    co_await until_deadline();
  }
}

Task<Prober::Verdict> Prober::Check::ask() {
  auto stream = prober_.connector_.connect(server_.address);
  if (!stream) co_return in_words(stream.error(), prober_.options_.timeout);
  const WaitResult waited = co_await (*stream)->writable();
  const auto connected = waited == WaitResult::done ? (*stream)->connect_result() : fail(error_of(waited));
  if (!connected) co_return in_words(connected.error(), prober_.options_.timeout);
  Verdict verdict = co_await exchange(**stream);
  co_return verdict;
}

Task<Prober::Verdict> Prober::Check::exchange(Stream& stream) {
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: steelyard-health\r\nConnection: close\r\n\r\n",
                                          prober_.options_.path, server_.authority);
  // A request this short fits into any new connection's buffer.
  const auto sent = stream.write(request);
  if (!sent) co_return in_words(sent.error(), prober_.options_.timeout);
  Buffer received;
  http1::ScanState scan;
  char memory[1024];
  for (;;) {
    const auto got = stream.read(memory);
    if (!got && got.error().kind != ErrorKind::would_block) co_return in_words(got.error(), prober_.options_.timeout);
    if (got && *got == 0) co_return in_words({ErrorKind::closed}, prober_.options_.timeout);
    if (got) {
      received.append(std::span<const char>(memory, *got));
      // Interim answers are no verdict.
      while (!received.empty()) {
        const auto parsed = http1::parse_response(received.view(), scan, {}, http::Method::get, prober_.head_);
        if (!parsed) co_return fmt::format("not an HTTP answer: {}", parsed.error().reason);
        if (*parsed == 0) break;
        const int status = prober_.head_.status;
        if (status == 200) co_return std::nullopt;
        if (status >= 200) co_return fmt::format("answered {} to GET {}, not 200", status, prober_.options_.path);
        received.consume(*parsed);
        scan = {};
      }
      continue;
    }
    const WaitResult waited = co_await stream.readable();
    if (waited != WaitResult::done) co_return in_words({error_of(waited)}, prober_.options_.timeout);
  }
}

void Prober::Check::judge(const Verdict& verdict) {
  const auto change = verdict ? threshold_.on_failure(prober_.options_.fall) : threshold_.on_success(prober_.options_.rise);
  const std::string& pool = prober_.pool_.options().name;
  if (message_enabled(LogLevel::debug)) log_message(LogLevel::debug, "health: {}/{}: {}", pool, server_.id, verdict ? *verdict : "ok");
  if (change == Threshold::Change::down) {
    log_message(LogLevel::warning, "server {}/{} is unhealthy: {}", pool, server_.id, *verdict);
    prober_.pool_.set_health(server_, Health::unhealthy, *verdict, prober_.unix_time_());
  } else if (change == Threshold::Change::up) {
    log_message(LogLevel::info, "server {}/{} is healthy again", pool, server_.id);
    prober_.pool_.set_health(server_, Health::healthy, "health check passed", prober_.unix_time_());
  } else if (threshold_.is_up() && !verdict && server_.health().health == Health::unknown) {
    prober_.pool_.set_health(server_, Health::healthy, "health check passed", prober_.unix_time_());
  }
}

}  // namespace steelyard
