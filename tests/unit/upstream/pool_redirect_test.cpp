// Places that become remote work: what algorithms, limits and drains see of clients that were sent to their servers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.hpp"
#include "upstream/pool_view.hpp"

namespace steelyard {
namespace pool_redirect_test {

class NoConnector final : public Connector {
 public:
  Result<std::unique_ptr<Stream>> connect(const SocketAddress& /*to*/) override { return fail(ErrorKind::refused); }
  Scheduler& scheduler() override { return scheduler_; }
  void post(std::function<void()> work) override { work(); }

 private:
  Scheduler scheduler_{Instant{0}};
};

PoolServer named(const std::string& id) {
  const auto port = static_cast<std::uint16_t>(80 + id[0]);
  return {.options = {.id = id, .host = "127.0.0.1", .port = port}, .address = {IpAddress::v4(0x7f000001U), port}};
}

struct PoolRedirect : ::testing::Test {
  PoolOptions options = [] {
    PoolOptions made;
    made.algorithm = Algorithm::least_connections;
    made.slow_start.window = Duration{0};
    return made;
  }();
  std::vector<PoolServer> servers{named("a"), named("b")};
  Instant now{1'000'000'000};
  NoConnector connector;
  Pool pool{"app", 2};
  PoolView view{pool, connector, 0, 1};

  void configure() { pool.configure(options, servers, {now, now.ns / 1'000'000'000}); }
  [[nodiscard]] Server& find(const std::string& id) const {
    for (const auto& server : pool.servers()) {
      if (server->id == id) return *server;
    }
    return *pool.leaving().front();
  }
  [[nodiscard]] std::uint32_t active(const std::string& id) const { return find(id).load.active.load(); }
  void report(const std::string& id, std::uint32_t load, std::uint64_t arrived) { pool.report(find(id), {load, arrived, "run"}, now); }
  // Whom a client is sent to; "": there is no place.
  std::string redirect(const PickRequest& request = {}) {
    auto place = view.take(request, now);
    if (!place) return "";
    place->send_away(30s);
    return place->server()->id;
  }
};

TEST_F(PoolRedirect, a_place_at_a_server_that_never_reports_ends_with_the_answer) {
  configure();
  for (int i = 0; i < 10; ++i) redirect();
  EXPECT_EQ(active("a") + active("b"), 0U);
  EXPECT_EQ(pool.active(), 0U);
  EXPECT_EQ(find("a").remote.redirects() + find("b").remote.redirects(), 10U);
}

TEST_F(PoolRedirect, a_burst_between_two_reports_does_not_all_go_to_one_server) {
  configure();
  report("a", 10, 10);
  report("b", 0, 0);
  std::map<std::string, int> sent;
  for (int i = 0; i < 30; ++i) ++sent[redirect()];
  EXPECT_EQ(sent["b"], 20);
  EXPECT_EQ(active("a"), 20U);
  EXPECT_EQ(active("b"), 20U);
  EXPECT_EQ(pool.active(), 40U);
}

TEST_F(PoolRedirect, the_answer_itself_counts_once) {
  configure();
  report("a", 0, 0);
  report("b", 0, 0);
  auto place = view.take({}, now);
  const std::string id = place->server()->id;
  EXPECT_EQ(active(id), 1U);
  place->send_away(30s);
  EXPECT_EQ(active(id), 1U);
  EXPECT_EQ(find(id).own_active(), 0U);
  *place = Place();
  EXPECT_EQ(active(id), 1U);
  EXPECT_EQ(pool.active(), 1U);
}

TEST_F(PoolRedirect, limits_count_remote_work_and_a_report_makes_room) {
  options.queue.per_server_max = 2;
  configure();
  report("a", 0, 0);
  report("b", 0, 0);
  for (int i = 0; i < 4; ++i) EXPECT_NE(redirect(), "");
  EXPECT_EQ(view.take({}, now).error(), NoPlace::full);
  report("a", 1, 2);
  EXPECT_EQ(redirect(), "a");
  EXPECT_EQ(redirect(), "");
}

TEST_F(PoolRedirect, the_limit_of_the_pool_counts_it_too) {
  options.queue.active_max = 3;
  configure();
  report("a", 0, 0);
  report("b", 0, 0);
  for (int i = 0; i < 3; ++i) EXPECT_NE(redirect(), "");
  EXPECT_EQ(redirect(), "");
  report("a", 0, 2);
  report("b", 0, 2);
  for (int i = 0; i < 3; ++i) EXPECT_NE(redirect(), "") << i;
  EXPECT_EQ(redirect(), "");
}

TEST_F(PoolRedirect, what_is_lost_makes_room_by_itself) {
  options.queue.per_server_max = 1;
  servers.pop_back();
  configure();
  report("a", 0, 0);
  EXPECT_EQ(redirect(), "a");
  for (int i = 0; i < 295; ++i) {
    now = now + 100ms;
    pool.publish_changes(now);
    ASSERT_EQ(redirect(), "") << i;
  }
  for (int i = 0; i < 20; ++i) {
    now = now + 100ms;
    pool.publish_changes(now);
  }
  EXPECT_EQ(redirect(), "a");
}

TEST_F(PoolRedirect, a_server_that_goes_takes_its_remote_work_with_it) {
  configure();
  report("a", 5, 0);
  report("b", 5, 0);
  const std::shared_ptr<Server> gone = pool.servers().front();
  auto place = view.take({}, now);  // chosen before it went, sent after that
  while (place->server() != gone.get()) place = view.take({}, now);
  servers.erase(servers.begin());
  configure();
  EXPECT_EQ(gone->own_active(), 1U);
  EXPECT_EQ(gone->remote.value(), 0);
  place->send_away(30s);
  *place = Place();
  EXPECT_EQ(gone->load.active.load(), 0U);
  pool.report(*gone, {9, 9, "run"}, now);
  EXPECT_EQ(gone->load.active.load(), 0U) << "of one that has gone nobody asks";
  EXPECT_EQ(pool.active(), active("b"));
}

TEST_F(PoolRedirect, one_that_comes_with_a_report_counts_from_the_beginning) {
  servers[0].report = LoadReport{3, 3, "run"};
  configure();
  EXPECT_EQ(active("a"), 3U);
  redirect();
  servers[0].report = LoadReport{1, 1, "old"};  // not told again to one that has heard more since
  configure();
  EXPECT_EQ(active("a"), 3U);
}

TEST_F(PoolRedirect, one_whose_promise_changes_begins_with_what_it_said_last) {
  options.policy.emplace().label = "tier";
  for (PoolServer& server : servers) server.options.labels = {{"tier", "gold"}};
  configure();
  report("a", 4, 4);
  servers[0].options.labels = {{"tier", "silver"}};
  servers[0].report = LoadReport{4, 4, "run"};
  const std::shared_ptr<Server> before = pool.servers().front();
  configure();
  EXPECT_NE(&find("a"), before.get());
  EXPECT_EQ(active("a"), 4U);
  EXPECT_EQ(before->load.active.load(), 0U);
}

TEST_F(PoolRedirect, the_url_changes_under_who_reads_it) {
  configure();
  const std::string_view by_default = find("a").public_url();
  EXPECT_EQ(by_default, "http://127.0.0.1:" + std::to_string(80 + 'a'));
  servers[0].options.public_url = "https://a.example.com";
  configure();
  EXPECT_EQ(find("a").public_url(), "https://a.example.com");
  EXPECT_EQ(by_default, "http://127.0.0.1:" + std::to_string(80 + 'a')) << "a text that somebody reads stays";
}

// Workers send, servers report and go, all at once: in the end nothing is left that nobody did.
TEST_F(PoolRedirect, counts_are_exact_while_threads_send_and_reports_come) {
  options.queue.active_max = 1'000'000;
  configure();
  report("a", 0, 0);
  report("b", 0, 0);
  constexpr int sends = 20'000;
  std::atomic<int> left{2};
  std::vector<std::thread> workers;
  for (std::uint32_t worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&, worker] {
      NoConnector own;
      PoolView own_view(pool, own, worker, worker);
      for (int i = 0; i < sends; ++i) {
        auto place = own_view.take({}, now);
        if (place && i % 3 != 0) place->send_away(30s);
      }
      left.fetch_sub(1);
    });
  }
  std::uint64_t arrived = 0;
  while (left.load() != 0) {
    report("a", 3, ++arrived);
    report("b", 4, ++arrived);
    pool.publish_changes(now);
  }
  for (std::thread& worker : workers) worker.join();
  for (const auto& server : pool.servers()) EXPECT_EQ(server->own_active(), 0U) << server->id;
  std::vector<std::shared_ptr<Server>> all = pool.servers();
  servers.clear();
  configure();
  for (const auto& server : all) EXPECT_EQ(server->load.active.load(), 0U) << server->id;
  EXPECT_EQ(pool.active(), 0U);
  EXPECT_TRUE(pool.begin_exchange(1)) << "nothing counts against the pool's limit";
}

// Clients with long sessions at servers that are quick and slow to end them; each server reports every few seconds, and late.
class LongSessions {
 public:
  struct Host {
    double speed = 1;        // sessions are divided by it
    std::uint32_t load = 0;  // of those that are here
    std::uint64_t arrived = 0;
    std::uint32_t most = 0;
  };

  LongSessions(Pool& pool, PoolView& view, const std::vector<double>& speeds, Instant start) : pool_(pool), view_(view), now_(start) {
    for (const double speed : speeds) hosts_.push_back({.speed = speed});
    for (std::size_t i = 0; i < hosts_.size(); ++i) tell(i);
    tend();
  }

  // So many clients come at once and, as soon as a session has ended, again.
  void run(int clients, Duration length) {
    for (int i = 0; i < clients; ++i) at(now_ + Duration{static_cast<std::int64_t>(prng_.below(1'000'000'000))}, [this] { come(); });
    const Instant end = now_ + length;
    while (!events_.empty() && events_.begin()->first < end) {
      now_ = events_.begin()->first;
      const auto what = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      what();
    }
  }
  void watch() { watching_ = true; }
  [[nodiscard]] const std::vector<Host>& hosts() const { return hosts_; }
  // Of the time that is watched: by how much the fullest server was above an equal share of what was under way.
  [[nodiscard]] double worst() const { return worst_; }

 private:
  void at(Instant when, std::function<void()> what) { events_.emplace(when, std::move(what)); }
  Duration about(Duration mean) {
    const double share = -std::log(1 - static_cast<double>(prng_.below(1U << 30U)) / (1U << 30U));
    return Duration{static_cast<std::int64_t>(share * static_cast<double>(mean.count()))};
  }

  void come() {
    auto place = view_.take({}, now_);
    ASSERT_TRUE(place);
    const auto which = static_cast<std::size_t>(place->server()->id[0] - 'a');
    place->send_away(30s);
    if (prng_.below(50) == 0) return at(now_ + 5s, [this] { come(); });  // never arrives, and asks again
    at(now_ + 20ms + about(200ms), [this, which] { arrive(which); });
  }
  void arrive(std::size_t which) {
    Host& host = hosts_[which];
    ++host.load;
    ++host.arrived;
    check();
    const Duration session = about(60s) + 5s;
    at(now_ + Duration{static_cast<std::int64_t>(static_cast<double>(session.count()) / host.speed)}, [this, which] {
      --hosts_[which].load;
      check();
      come();
    });
  }
  void tell(std::size_t which) {
    const LoadReport report{hosts_[which].load, hosts_[which].arrived, "run"};
    at(now_ + 100ms + about(200ms), [this, which, report] {
      for (const auto& server : pool_.servers()) {
        if (server->id[0] == static_cast<char>('a' + which)) pool_.report(*server, report, now_);
      }
    });
    at(now_ + 3s, [this, which] { tell(which); });
  }
  void tend() {
    pool_.publish_changes(now_);
    at(now_ + 100ms, [this] { tend(); });
  }
  void check() {
    if (!watching_) return;
    std::uint32_t all = 0;
    std::uint32_t most = 0;
    for (const Host& host : hosts_) {
      all += host.load;
      most = std::max(most, host.load);
    }
    worst_ = std::max(worst_, static_cast<double>(most) * static_cast<double>(hosts_.size()) / all);
  }

  Pool& pool_;
  PoolView& view_;
  Instant now_;
  Prng prng_{7};
  std::vector<Host> hosts_;
  std::multimap<Instant, std::function<void()>> events_;
  bool watching_ = false;
  double worst_ = 0;
};

TEST_F(PoolRedirect, a_thousand_long_sessions_are_shared_evenly_though_reports_are_late) {
  for (const Algorithm algorithm : {Algorithm::least_connections, Algorithm::adaptive}) {
    Pool own("app", 2);
    PoolOptions chosen = options;
    chosen.algorithm = algorithm;
    const std::vector<PoolServer> five{named("a"), named("b"), named("c"), named("d"), named("e")};
    own.configure(chosen, five, {now, 1});
    PoolView own_view(own, connector, 0, 1);
    LongSessions sessions(own, own_view, {0.5, 0.75, 1, 1.5, 2}, now);
    sessions.run(1000, 60s);
    sessions.watch();
    sessions.run(0, 600s);
    EXPECT_LE(sessions.worst(), 1.10) << name(algorithm);
    for (const auto& host : sessions.hosts()) EXPECT_GT(host.arrived, 1000U) << "sessions came and went";
  }
}

}  // namespace pool_redirect_test
}  // namespace steelyard
