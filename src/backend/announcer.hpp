// A backend that announces itself to a proxy: registers in a pool under a lease, renews that as long as it runs, registers again where
// the proxy has forgotten it, is absent while it is not ready, and leaves in the end. It never gives up, and says once what keeps it from
// it. One for each backend that registers, owned by whoever runs it, on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "backend/api_call.hpp"
#include "base/prng.hpp"
#include "base/time.hpp"
#include "net/epoll_net.hpp"
#include "runtime/fiber.hpp"

namespace steelyard::backend {

struct AnnounceOptions {
  ApiPlace place;
  std::string pool{};
  std::string address{};  // where the proxy shall send requests to; "": where the backend listens
  std::string id{};       // "": the address
  Duration lease = 30s;
  std::optional<std::uint32_t> weight{};
  std::string public_url{};  // by which clients reach it; "": by the address
  std::string run{};         // names this start of a guard, which tells what has arrived at it; "": it is none
  std::uint64_t seed = 0;    // of the jitter
};

// What there is to do at a server.
struct Work {
  std::uint32_t active = 0;   // exchanges under way
  std::uint64_t arrived = 0;  // at a guard: clients with a token, since it was started
  bool ready = true;          // for more
  friend bool operator==(const Work&, const Work&) = default;
};

class Announcer final : private Fiber::Owner {
 public:
  using CountWork = std::function<Work()>;
  Announcer(EpollLoop& loop, AnnounceOptions options, CountWork count_work);

  void start();
  // Has the proxy send nothing more; calls `done`, once, when what it had sent before has arrived, or the proxy cannot be told.
  void leave(std::function<void()> done);
  // After leave(): now.
  void hurry() { leaving_.cancel(Cause::shutdown); }

 private:
  Task<void> stay();
  Task<void> be_absent();
  Task<void> go();
  Task<ApiAnswer> ask(ApiRequest request);
  Task<void> wait(Duration pause);
  [[nodiscard]] ApiRequest announcement();
  [[nodiscard]] ApiRequest renewal();
  nlohmann::json report();
  Duration judge(const ApiAnswer& answer);
  Duration judge_failure(const ApiAnswer& answer, std::string_view standing);
  void begin_anew();
  void on_finished(Fiber& fiber) override;
  [[nodiscard]] Duration jittered(Duration duration);

  Scheduler& scheduler_;
  EpollConnector connector_;
  AnnounceOptions options_;
  std::string path_;
  CountWork count_work_;
  Work told_;
  Prng prng_;
  bool registered_ = false;  // as far as we know
  bool announced_ = false;   // the proxy may have heard of us
  std::uint32_t failures_in_row_ = 0;
  std::string problem_;  // that was told last
  std::function<void()> done_;
  Fiber staying_;
  Fiber leaving_;
};

}  // namespace steelyard::backend
