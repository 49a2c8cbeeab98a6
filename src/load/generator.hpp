// One thread of a run: its loop, its clients, and what sends them off. A closed loop starts them and lets them ask for the next request
// when they have an answer. An open loop waits for each due time and gives the request to a client that is free, or to a new one
// while there may be more; when all are busy, the first to be free takes it.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "load/alarm.hpp"
#include "load/client.hpp"
#include "load/dispatcher.hpp"
#include "load/options.hpp"
#include "load/request_text.hpp"
#include "load/response_reader.hpp"
#include "load/samples.hpp"
#include "load/tally.hpp"
#include "net/epoll_loop.hpp"
#include "net/epoll_net.hpp"
#include "observe/counter.hpp"

namespace steelyard::load {

// What another thread may look at while the run goes on.
struct Progress {
  Counter answered;  // warm-up included
  Counter failed;
};

class Generator final : private Fiber::Owner {
 public:
  // `options` must outlive it. `start` is that of the run, soon to come.
  Generator(const RunOptions& options, Share share, Instant start);

  // Opens the files of this share; the sentence says what failed.
  std::expected<void, std::string> open(const std::string& samples_file);
  // Runs to the end, on the thread that calls it.
  void run();
  // Ends the run early, what is under way included. From any thread.
  void stop();
  [[nodiscard]] const Progress& progress() const { return progress_; }
  // After run().
  [[nodiscard]] const Tally& tally() const { return tally_; }
  std::expected<void, std::string> close_samples() { return samples_.close(); }

  // For its clients.
  std::optional<Ticket> take(Instant now);
  void settle(const Ticket& ticket, const Outcome& outcome, Instant end);
  [[nodiscard]] bool over() const { return dispatcher_->over(); }
  // co_await: until a request is due that nobody else takes, or the run is over.
  [[nodiscard]] auto wait_for_work() { return Idle{*this}; }
  void connected();
  [[nodiscard]] Failure connect_failed(Failure failure);
  void client_finished();
  [[nodiscard]] Scheduler& scheduler() { return loop_.scheduler(); }
  [[nodiscard]] EpollConnector& connector() { return connector_; }
  [[nodiscard]] const RunOptions& options() const { return options_; }
  [[nodiscard]] const RequestText& requests() const { return requests_; }
  [[nodiscard]] ResponseReader::Shared& responses() { return responses_; }
  [[nodiscard]] std::span<char> scratch() { return scratch_; }

 private:
  // A client that has nothing to do. The last to come is the first to go, so that few connections are used where few suffice.
  struct Idle final : Operation {
    explicit Idle(Generator& of) : generator(of) {}
    bool await_ready() noexcept { return false; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      if (!suspend(*caller.promise().fiber, caller)) return false;
      generator.add_idle(*this);
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { unlink(); }
    Generator& generator;
  };
  // The pacer, while a request is due and nobody is there to send it.
  struct AllBusy final : Operation {
    explicit AllBusy(Generator& of) : generator(of) {}
    bool await_ready() noexcept { return false; }
    template <typename CallerPromise>
    bool await_suspend(std::coroutine_handle<CallerPromise> caller) noexcept {
      if (!suspend(*caller.promise().fiber, caller)) return false;
      generator.all_busy_ = this;
      return true;
    }
    WaitResult await_resume() noexcept { return result_; }
    void withdraw() override { generator.all_busy_ = nullptr; }
    Generator& generator;
  };

  Task<void> start_clients();
  Task<void> pace();
  Task<void> wait_until_due(Instant due);
  void start_client();
  // A free client has taken the request that is due. False: there is none, and may be none more.
  bool send_off();
  void add_idle(Idle& idle);
  void wake_pacer();
  void on_finished(Fiber& fiber) override;
  void end();
  [[nodiscard]] bool may_start_client() const { return clients_.size() < clients_max_; }

  const RunOptions& options_;
  Share share_;
  Instant start_;
  std::uint64_t clients_max_;
  EpollLoop loop_;
  EpollConnector connector_;
  RequestText requests_;
  ServerNames servers_;
  ResponseReader::Shared responses_;
  std::vector<char> scratch_;
  std::optional<Dispatcher> dispatcher_;
  SampleLog samples_;
  Tally tally_;
  Progress progress_;
  Alarm alarm_;
  Fiber pacer_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t running_ = 0;  // clients
  IntrusiveList<Idle> idle_;
  AllBusy* all_busy_ = nullptr;
  std::uint64_t connects_failed_ = 0;  // while none has succeeded
};

}  // namespace steelyard::load
