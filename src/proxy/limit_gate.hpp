// Whether a request or a packet may come at all, by the limits that its listener, its route and its pool name. All of them must let it
// pass, and what one refuses uses up nothing of the others. Those that are counted in memory are asked first, for they cost nothing; what
// needs a store is asked in one round trip for each store. Bandwidth refuses nobody: it slows the response down (limit_use.hpp).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/limit_use.hpp"
#include "proxy/site_view.hpp"
#include "quota/key.hpp"
#include "quota/limit.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"

namespace steelyard {

// Who is counted.
class LimitSubject {
 public:
  // The client, and what the request has of a part that is not the client. Nothing: it counts by its client instead.
  virtual IpAddress client() = 0;
  virtual std::optional<std::string_view> value(const quota::KeyPart& part) = 0;  // until the next call

 protected:
  ~LimitSubject() = default;
};

class LimitGate {
 public:
  LimitGate(LimitSubject& subject, const SiteUse& in_use, std::uint32_t worker, Scheduler& scheduler)
      : subject_(subject), in_use_(in_use), worker_(worker), scheduler_(scheduler), now_(scheduler.now()) {}

  // Counts it by all of them, by each once; false: it is refused, or its fiber was cancelled. Stores are waited for no longer than
  // `deadline`.
  Task<bool> pass(const Site::LimitList& listener, const Site::LimitList& route, Instant deadline);

  // It passed: what has to be done for it while it lasts. Nothing is made where nothing has to be done.
  void keep(std::unique_ptr<LimitUse>& use) const;

  // It was refused: by whom, and why.
  [[nodiscard]] const quota::Limit* refused_by() const { return refused_ == nullptr ? nullptr : refused_->limit; }
  [[nodiscard]] bool unreachable() const { return unreachable_; }  // the limit's store does not answer
  [[nodiscard]] std::uint64_t retry_after_s() const;               // at least 1
  // RateLimit-Policy and RateLimit of limits that show them `on` such answers; complete lines, or "".
  [[nodiscard]] std::string fields(quota::FieldsOn on) const;

 private:
  enum class State : std::uint8_t {
    not_counted,
    counted,  // in memory
    leased,   // out of what was taken from the store ahead
    stored,   // in the store
    ask,      // its store must be asked
    paced,    // by bandwidth, while its response is sent
  };
  struct One {
    const quota::Limit* limit = nullptr;
    std::uint64_t hash = 0;
    State state = State::not_counted;
    Instant at;  // when it was counted
    limit::Verdict verdict{};
    quota::Grant grant{};
  };
  static constexpr std::size_t most = 3 * quota::limits_max;  // of listener, route and pool

  [[nodiscard]] std::span<One> all() { return std::span(all_).first(size_); }
  [[nodiscard]] std::span<const One> all() const { return std::span(all_).first(size_); }
  [[nodiscard]] bool knows(const quota::Limit* limit) const;
  enum class KeyFor : std::uint8_t { counting, people };
  void write_key(const quota::Limit& limit, quota::KeyText& key, KeyFor whom = KeyFor::counting) const;
  void ask_memory(const quota::Limit& limit);
  void count_here(One& one);
  void judge(One& one);
  [[nodiscard]] std::unordered_set<std::uint64_t>& leasing(const One& one) const { return (*one.limit->memory.leasing)[worker_]; }
  Task<void> ask_store(std::size_t store, Instant deadline);
  void take_answer(One& one, const std::expected<quota::Grant, quota::Unavailable>& answer);
  void give_back() const;
  void note_refusal() const;

  LimitSubject& subject_;
  const SiteUse& in_use_;
  const std::uint32_t worker_;
  Scheduler& scheduler_;
  const Instant now_;
  std::array<One, most> all_;
  std::size_t size_ = 0;
  const One* refused_ = nullptr;
  bool unreachable_ = false;
};

}  // namespace steelyard
