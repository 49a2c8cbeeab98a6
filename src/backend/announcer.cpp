#include "backend/announcer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "observe/message.hpp"
#include "wire/http/segment.hpp"

namespace steelyard::backend {
namespace {

constexpr Duration answer_timeout = 5s;
constexpr Duration back_off_min = 100ms;
constexpr Duration back_off_max = 10s;
// A proxy's workers learn within milliseconds that a server has left; what they have chosen it for until then is on its way.
constexpr Duration settling = 250ms;
// A guard's work is told when it has changed, but no more often than this.
constexpr Duration report_interval = 200ms;

nlohmann::json spell_ms(Duration duration) { return fmt::format("{}ms", duration / 1ms); }

}  // namespace

Announcer::Announcer(EpollLoop& loop, AnnounceOptions options, CountWork count_work)
    : scheduler_(loop.scheduler()),
      connector_(loop),
      options_(std::move(options)),
      count_work_(std::move(count_work)),
      prng_(options_.seed),
      staying_(scheduler_, *this),
      leaving_(scheduler_, *this) {
  if (options_.id.empty()) options_.id = options_.address;
  path_ = fmt::format("/v1/pools/{}/servers/{}", http::encode_segment(options_.pool), http::encode_segment(options_.id));
}

void Announcer::start() { staying_.start(stay()); }

void Announcer::leave(std::function<void()> done) {
  done_ = std::move(done);
  if (staying_.running()) {
    staying_.cancel(Cause::shutdown);
  } else {
    leaving_.start(go());
  }
}

Task<void> Announcer::stay() {
  while (staying_.cause() == Cause::none) {
    if (!count_work_().ready) {
      co_await be_absent();
      continue;
    }
    ApiRequest request = registered_ ? renewal() : announcement();
    const ApiAnswer answer = co_await ask(std::move(request));
    if (staying_.cause() != Cause::none) co_return;
    co_await wait(judge(answer));
  }
}

// Until it is ready again.
Task<void> Announcer::be_absent() {
  Duration pause = report_interval;
  if (registered_) {
    const ApiAnswer answer = co_await ask({http::Method::delete_, "DELETE", path_});
    if (staying_.cause() != Cause::none) co_return;
    registered_ = !answer.good() && answer.status != 404;
    if (registered_) {
      pause = judge_failure(answer, "the application is not well, but still");
    } else {
      log_message(LogLevel::warning, "left the pool {} at {}: the application is not well; back when it is", options_.pool,
                  options_.place.to_string());
      begin_anew();
    }
  }
  const Instant due = scheduler_.now() + pause;
  while (scheduler_.now() < due && staying_.cause() == Cause::none && !count_work_().ready) {
    staying_.set_deadline(std::min(due, scheduler_.now() + report_interval));
    co_await until_deadline();
  }
}

// Until the next word is due, or there is something to tell.
Task<void> Announcer::wait(Duration pause) {
  const Instant due = scheduler_.now() + pause;
  const bool reports = registered_ && !options_.run.empty() && problem_.empty();
  do {
    staying_.set_deadline(reports ? std::min(due, scheduler_.now() + report_interval) : due);
    const WaitResult waited = co_await until_deadline();
    if (waited == WaitResult::cancelled || (reports && count_work_() != told_)) co_return;
  } while (scheduler_.now() < due);
}

Task<void> Announcer::go() {
  if (announced_) {
    ApiRequest request{http::Method::delete_, "DELETE", path_};
    const ApiAnswer answer = co_await ask(std::move(request));
    const bool gone = answer.good() || answer.status == 404;
    if (gone) {
      log_message(LogLevel::info, "left the pool {} at {}", options_.pool, options_.place.to_string());
    } else {
      log_message(LogLevel::warning, "could not leave the pool {} at {}: {}; its lease of {} ms will run out", options_.pool,
                  options_.place.to_string(), answer.message, options_.lease / 1ms);
    }
    leaving_.set_deadline(scheduler_.now() + settling);
    co_await until_deadline();
  }
}

Task<ApiAnswer> Announcer::ask(ApiRequest request) {
  Fiber& fiber = co_await this_fiber();
  fiber.set_deadline(scheduler_.now() + answer_timeout);
  announced_ = true;
  ApiAnswer answer = co_await call_api(connector_, options_.place, request);
  co_return std::move(answer);
}

ApiRequest Announcer::announcement() {
  nlohmann::json body = report();
  body.update({{"address", options_.address}, {"lease", spell_ms(options_.lease)}});
  if (options_.weight) body["weight"] = *options_.weight;
  if (!options_.public_url.empty()) body["public_url"] = options_.public_url;
  return {http::Method::put, "PUT", path_, body.dump()};
}

ApiRequest Announcer::renewal() { return {http::Method::post, "POST", path_ + "/renew", report().dump()}; }

nlohmann::json Announcer::report() {
  told_ = count_work_();
  nlohmann::json body{{"load", told_.active}};
  if (!options_.run.empty()) body.update({{"arrived", told_.arrived}, {"run", options_.run}});
  return body;
}

// How long until the next word.
Duration Announcer::judge(const ApiAnswer& answer) {
  if (answer.good()) {
    if (!registered_ || !problem_.empty()) {
      log_message(LogLevel::info, "registered as {} in the pool {} at {}, for {} ms at a time", options_.id, options_.pool,
                  options_.place.to_string(), options_.lease / 1ms);
    }
    registered_ = true;
    begin_anew();
    return jittered(options_.lease / 3);
  }
  if (registered_ && answer.code == "no_such_server") {
    log_message(LogLevel::info, "the proxy at {} does not know {} any more: registering again", options_.place.to_string(), options_.id);
    registered_ = false;
    return Duration{0};
  }
  return judge_failure(answer, "not registered");
}

void Announcer::begin_anew() {
  problem_.clear();
  failures_in_row_ = 0;
}

// A failure is told once, as long as it lasts. How long until the next try.
Duration Announcer::judge_failure(const ApiAnswer& answer, std::string_view standing) {
  if (problem_ != answer.message) {
    log_message(LogLevel::warning, "{} in the pool {} at {}: {}; trying again", standing, options_.pool, options_.place.to_string(),
                answer.message);
    problem_ = answer.message;
  }
  const Duration longest = std::clamp(options_.lease / 3, back_off_min, back_off_max);
  return jittered(std::min(back_off_min * (1U << std::min(failures_in_row_++, 10U)), longest));
}

// Four to five fifths: servers that were started together do not come together forever.
Duration Announcer::jittered(Duration duration) {
  const auto spread = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count() / 5, 1));
  return duration - Duration{static_cast<std::int64_t>(prng_.below(spread))};
}

void Announcer::on_finished(Fiber& fiber) {
  if (&fiber == &leaving_) return done_();
  leaving_.start(go());
}

}  // namespace steelyard::backend
