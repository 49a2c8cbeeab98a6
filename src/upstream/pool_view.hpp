// A worker's view of a pool: chooses a server for a request and counts the exchange there. Keeps the snapshot that it saw last, and
// what the algorithms remember. Lives on its worker's thread, owned by the proxy there.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/prng.hpp"
#include "decide/balance/adaptive.hpp"
#include "decide/balance/least_connections.hpp"
#include "net/stream.hpp"
#include "upstream/pool.hpp"

namespace steelyard {

// Why a server was chosen.
enum class Choice : std::uint8_t {
  algorithm,
  session,      // the client's cookie names it
  probe,        // its pause is over, and this request finds out how it is
  last_resort,  // nobody else is left
};
[[nodiscard]] std::string_view name(Choice choice);

class PoolView;

// An exchange's place at a server: counted while it lives. On the worker's thread.
class Place {
 public:
  Place() = default;
  // `in_pool`: it counts against what the pool may have, too.
  Place(PoolView& view, Server& server, Choice choice, bool in_pool) : view_(&view), server_(&server), choice_(choice), in_pool_(in_pool) {}
  Place(Place&& other) noexcept
      : view_(other.view_),
        server_(std::exchange(other.server_, nullptr)),
        choice_(other.choice_),
        in_pool_(other.in_pool_),
        sent_away_(other.sent_away_) {}
  Place& operator=(Place&& other) noexcept {
    if (this == &other) return *this;
    give_up();
    view_ = other.view_;
    server_ = std::exchange(other.server_, nullptr);
    choice_ = other.choice_;
    in_pool_ = other.in_pool_;
    sent_away_ = other.sent_away_;
    return *this;
  }
  ~Place() { give_up(); }

  [[nodiscard]] Server* server() const { return server_; }
  [[nodiscard]] Choice choice() const { return choice_; }
  explicit operator bool() const { return server_ != nullptr; }
  void give_up();
  // Its client is about to be sent to the server itself, which it may reach within `lifetime`. Where the server reports what it has to do,
  // the place is its client's from now on, and ends with what is reported: whoever still needs the server keeps it.
  void send_away(Duration lifetime);

 private:
  PoolView* view_ = nullptr;
  Server* server_ = nullptr;
  Choice choice_ = Choice::algorithm;
  bool in_pool_ = false;
  bool sent_away_ = false;
};

// What a choice needs to know of a request.
struct PickRequest {
  std::uint64_t key_hash = 0;  // of what the pool's hash goes by; for ip_hash, of the client
  Server* session = nullptr;   // whom its cookie names
  bool repeatable = true;      // it loses nothing when the server fails
  std::span<Server* const> tried{};
  std::optional<policy::Demand> demand{};  // only servers that promise this; nothing where the pool has no policy
};

enum class NoPlace : std::uint8_t {
  full,       // as many exchanges are under way as may be: wait for a turn
  no_server,  // nobody may be asked
  unmet,      // no server of the pool promises what is demanded
  outdated,   // the pool's policy is another one since the request was read: find out anew what it demands
};

class PoolView final : private WaitQueue::Worker {
 public:
  // `worker`: its place among the workers. The pool outlives its views.
  PoolView(Pool& pool, Connector& connector, std::uint32_t worker, std::uint64_t seed);
  PoolView(const PoolView&) = delete;
  PoolView& operator=(const PoolView&) = delete;
  ~PoolView() { *self_ = nullptr; }

  [[nodiscard]] Pool& pool() const { return pool_; }
  // As seen last; valid until the next take().
  [[nodiscard]] const PoolOptions& options() const { return *members_->options; }
  [[nodiscard]] const Sessions* sessions() const { return members_->sessions.get(); }
  // Sees what the pool has published since; take() does it first.
  void refresh();
  // Chooses a server and takes a place there. Without a turn nobody overtakes those that wait.
  enum class Turn : bool { none, mine };
  std::expected<Place, NoPlace> take(const PickRequest& request, Instant now, Turn turn = Turn::none);
  // For requests that wait for a place here.
  [[nodiscard]] WaitQueue::Ticket ticket(WaitQueue::Ticket::Takes takes, const std::optional<policy::Demand>& demand) {
    return {pool_.queue(), *this, takes, demand ? policy::kind_of(demand->value) : policy::no_kind};
  }

  // Whether a session may stay with its server, be that full just now or not.
  [[nodiscard]] bool keeps_session(const Server& server) const;

  void count_request(Instant now) { shard_.window.add_request(second(now)); }
  // Whether the budget allows one more try; counts it.
  [[nodiscard]] bool charge_retry(Instant now);
  // What a try has shown of its server; `asked`: it was made to find out.
  void on_try(Server& server, const TryResult& result, bool asked, const Moment& at) {
    pool_.on_try(server, result, options().outliers, asked, at);
  }

 private:
  friend class Place;
  class TierView;
  // What the algorithms remember of one tier.
  struct Memory {
    balance::LeastConnectionsMemory least_connections;
    balance::AdaptiveMemory adaptive;
  };
  struct GroupMemory {
    Memory primary;
    Memory backup;
  };
  // One search for a server.
  struct Search {
    const PickRequest& request;
    Instant now;
    const Group* group;  // who may serve it
    Holds passed_over = any_hold;
    Server* warming = nullptr;        // passed over, because it is not its turn yet
    std::shared_ptr<Server> probe{};  // the one that was claimed, which these members may not have
    bool full = false;                // somebody was passed over for having no place left
  };

  static std::int64_t second(Instant now) { return now.ns / 1'000'000'000; }
  [[nodiscard]] std::expected<const Group*, NoPlace> group_of(const PickRequest& request) const;
  [[nodiscard]] GroupMemory& memory_of(const Group& group);
  std::expected<Place, NoPlace> search_place(Search& search, bool in_pool);
  Server* choose(Search& search, Choice& choice);
  Server* choose_last_resort(Search& search);
  [[nodiscard]] static bool meets(const Server& server, const PickRequest& request) {
    return !request.demand || server.promises.meet(*request.demand);
  }
  Server* choose_in(const Tier& tier, Memory& memory, Search& search);
  std::optional<std::size_t> run_algorithm(const Tier& tier, Memory& memory, const TierView& view, const Search& search);
  Server* first_allowed(const Tier& tier, Search& search);
  bool waits_for_warmth(Server& server, const Search& search);
  void end_exchange(Server& server, bool in_pool);
  void end_sent_away() { shard_.active.subtract(); }

  PoolView(Pool& pool, Connector& connector, PoolShard& shard, std::uint64_t seed, const std::shared_ptr<PoolView*>& self);

  Pool& pool_;
  PoolShard& shard_;
  const std::shared_ptr<PoolView*> self_;  // nullptr once it has ended, for who would wake it
  Prng prng_;
  std::uint64_t version_ = UINT64_MAX;
  std::shared_ptr<const Members> members_;
  std::atomic<std::uint64_t> retry_cursor_;             // so that retries do not shift the turns of first tries
  std::vector<std::unique_ptr<GroupMemory>> memories_;  // of the members' groups, in their order, as far as they were needed
};

inline void Place::give_up() {
  if (server_ == nullptr) return;
  Server& server = *std::exchange(server_, nullptr);
  if (std::exchange(sent_away_, false)) return;
  view_->end_exchange(server, in_pool_);
}

inline void Place::send_away(Duration lifetime) {
  if (!view_->pool().send_away(*server_, in_pool_, lifetime)) return;
  sent_away_ = true;
  view_->end_sent_away();
}

}  // namespace steelyard
