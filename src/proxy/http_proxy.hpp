// The product for HTTP: takes an exchange from its session to a server and back. serve() is its outline. One for each worker,
// owned by it; it shares nothing with other workers but the Site and what the servers count.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "observe/access_channel.hpp"
#include "observe/metrics.hpp"
#include "proxy/error_response.hpp"
#include "proxy/head_writers.hpp"
#include "proxy/hedge.hpp"
#include "proxy/limit_use.hpp"
#include "proxy/redirect_target.hpp"
#include "proxy/relay.hpp"
#include "proxy/site_view.hpp"
#include "runtime/block_pool.hpp"
#include "runtime/buffer.hpp"
#include "session/exchange.hpp"
#include "upstream/connections.hpp"
#include "wire/http/date.hpp"

namespace steelyard {

class LimitGate;

// An exchange under way, for people.
struct ExchangeView {
  SocketAddress client;
  std::string method{};
  std::string host{};
  std::string target{};
  std::string request_id{};
  std::string route{};
  std::string pool{};
  std::string server{};
  unsigned tries = 0;
  unsigned status = 0;  // of the answer; 0: there is none yet
  Duration age{0};
};

class HttpProxy final : public ExchangeHandler {
 public:
  // `log` may be nullptr.
  HttpProxy(SiteViews& views, Connections& connections, Scheduler& scheduler, Scratch& scratch, WorkerMetrics& metrics, AccessChannel* log,
            std::uint64_t seed);

  Task<void> serve(Exchange& exchange) override;
  // Ends what an exchange under way has at `server`, if it is there: the deadline of a server that is to go has passed.
  static void cut(const Exchange& exchange, const Server& server);
  [[nodiscard]] static ExchangeView describe(const Exchange& exchange, Instant now);

 private:
  static constexpr std::size_t tries_max = 8;
  static constexpr std::size_t request_id_max = 64;    // of a client's own
  static constexpr std::size_t request_id_bytes = 16;  // of ours
  enum class Freshness : std::uint8_t { reuse, fresh };
  // How a try failed: an error or, where that is `rejected`, a status.
  struct Failed {
    ErrorKind kind = ErrorKind::system;
    std::uint16_t status = 0;
    bool reached = true;  // there was a connection
  };
  // The servers that have failed an exchange, and how. Most exchanges never need one.
  struct FailedServers : PoolAllocated {
    std::array<Server*, tries_max> servers{};
    std::array<std::shared_ptr<Server>, tries_max> kept{};  // the same, so that none of them is gone before its name is told
    std::array<Failed, tries_max> why{};
    std::size_t count = 0;
  };

  // What an exchange demands of its server, where its pool has a policy. The texts are its own: the pool's options may go meanwhile.
  struct Demanded : PoolAllocated {
    Buffer texts;  // the label, then the value
    std::size_t label_bytes = 0;
    Buffer body;  // the whole of it, where that says what is demanded
    bool body_received = false;
    const char* reason = nullptr;                 // in other words than its kind, why the request is refused
    std::vector<std::shared_ptr<Server>> also{};  // where the request went beside the server that answered and those that failed

    void set(std::string_view label, std::string_view value);
    [[nodiscard]] std::string_view label() const { return texts.view().substr(0, label_bytes); }
    [[nodiscard]] std::string_view value() const { return texts.view().substr(label_bytes); }
  };

  // One exchange on its way through the proxy.
  struct Trip {
    Trip(Exchange& of, HttpProxy& proxy);
    Trip(const Trip&) = delete;
    Trip& operator=(const Trip&) = delete;
    ~Trip();

    Exchange& exchange;
    const SiteUse in_use;  // before the places, which point into it
    const Site::Route* route = nullptr;
    PoolView* pool = nullptr;
    Instant total_deadline = never;
    Place place;                      // at the server of the try under way, or the last one
    Place next;                       // at the server of the next try, where that is decided
    std::shared_ptr<Server> session;  // whom the client's cookie names, and later on whom it was sent to
    std::uint64_t key_hash = 0;
    std::unique_ptr<FailedServers> failed;
    std::unique_ptr<std::string> query;    // instead of the head's, with its '?', where a part of that ends here
    std::unique_ptr<TokenTarget> carried;  // that each try signs for its server's guard
    std::unique_ptr<Demanded> demanded;
    std::unique_ptr<LimitUse> limits;  // where one of them has something to do later
    std::uint8_t tries = 0;
    std::uint32_t active = 0;  // exchanges under way at the server when the try began
    Instant try_start;
    bool connected = false;  // the try has, or had, a connection
    bool hedge_won = false;
    std::unique_ptr<Hedge> hedge;
    ServerConnectionPtr connection;
    Buffer request;          // the head as it goes out, and the body that had arrived with the client's
    Buffer path;             // normalised, where that differs from what was received
    bool replayable = true;  // `request` is all of it
    Result<void> upload{};   // how sending the rest of the body went
    bool upload_done = true;
    bool uploading = false;         // more of the body is being sent
    Instant head_deadline = never;  // for the head of the next response
    bool answered = false;          // a byte of a response has arrived
    bool waits_for_head = false;
    std::array<char, request_id_bytes> request_id_memory;
    std::string_view request_id;
    // For the record: what is not known from the above. Small, because a thousand trips may wait for their servers at once.
    std::uint16_t status = 0;
    Outcome outcome = Outcome::complete;
    bool status_page = false;
    bool cut = false;         // by the deadline of a server that was to go
    bool arrived = false;     // by a redirect, at the guard that this is
    bool by_gateway = false;  // it has brought the request here
    const char* failure = nullptr;
    std::uint64_t response_bytes = 0;
    Duration queue_time{0};
    Duration connect_time{0};
    Duration first_byte_time{0};

    [[nodiscard]] const Site& site() const { return in_use.site(); }
    [[nodiscard]] Server& server() const { return *place.server(); }
    [[nodiscard]] std::size_t failed_count() const { return failed ? failed->count : 0; }
    [[nodiscard]] PickRequest pick_request(bool repeatable) const {
      return {key_hash, session.get(), repeatable,
              failed ? std::span<Server* const>(failed->servers).first(failed->count) : std::span<Server* const>{}, demand()};
    }
    [[nodiscard]] std::optional<policy::Demand> demand() const {
      if (!demanded || demanded->value().empty()) return std::nullopt;
      return policy::Demand{demanded->label(), demanded->value()};
    }
  };

  // The phases, in their order.
  [[nodiscard]] std::optional<Answer> route(Trip& trip);
  Result<void> begin_search(Trip& trip);
  Task<Result<void>> forward(Trip& trip);
  void count_refusal(const http::ParseError& refusal);
  void explain_choice(const Trip& trip) const;
  void settle(Trip& trip, const Result<void>& result);
  void record(const Trip& trip);

  Task<void> answer(Trip& trip, Answer answer);
  Task<void> send_answer(Trip& trip, std::string_view bytes);
  Task<void> answer_status_page(Trip& trip);

  // How many requests may come (http_limit.cpp).
  class Counted;
  [[nodiscard]] static bool is_limited(const Trip& trip);
  Task<bool> pass_limits(Trip& trip);
  static bool give_up(Trip& trip);
  Task<void> refuse_over_limit(Trip& trip, const LimitGate& gate);

  // Whether a request may go on to the application that this guards (http_guard.cpp).
  struct Asked {
    std::string target;
    std::string_view method;
    std::optional<std::string_view> token;  // in a cookie
    IpAddress client;
    std::optional<std::string_view> preflighted{};  // it asks a browser's question about a request with that method
  };
  struct Admission {
    enum class Verdict : std::uint8_t { absent, admitted, denied };
    Verdict verdict = Verdict::absent;
    std::string target{};                                                        // without token and hops
    unsigned hops = 0;                                                           // how often it was sent back
    bool carried = false;                                                        // here by the gateway
    bool preflight = false;                                                      // by the token of the request that it asks about
    const char* reason = "there is no token: ask the gateway, which gives one";  // why it is not admitted: a static sentence
  };
  // As it may be told to people; nothing: as it was received.
  [[nodiscard]] static std::optional<std::string> target_without_token(const Trip& trip);
  [[nodiscard]] Admission examine(const Trip& trip, const Asked& asked);
  Task<bool> pass_guard(Trip& trip);
  void count_arrival(Trip& trip, const Admission& admission);
  Task<void> verify(Trip& trip);
  Task<void> send_back(Trip& trip, const Admission& admission);

  // The way to the server as the answer (http_redirect.cpp).
  [[nodiscard]] static bool is_redirected(const Trip& trip);
  Task<Result<void>> redirect(Trip& trip);
  [[nodiscard]] static std::expected<TokenTarget, Answer> read_target(const Trip& trip);
  Task<Result<void>> send_redirect(Trip& trip, const TokenTarget& wanted);

  // What shows a guard that a request, carried or redirected, was sent to its server (http_token.cpp).
  enum class Sent : std::uint8_t { redirected, carried };
  [[nodiscard]] std::shared_ptr<const token::KeySet> newest_keys(const Trip& trip) const;
  [[nodiscard]] std::string new_token(const Trip& trip, const TokenTarget& wanted, Sent sent);
  [[nodiscard]] static bool is_signed(const Trip& trip);
  [[nodiscard]] static std::optional<Answer> prepare_token(Trip& trip);
  struct OwnToken {
    std::string query{};   // all of it, with its '?'
    std::string cookie{};  // "name=value"; "": it is in the query
  };
  [[nodiscard]] std::optional<OwnToken> sign(const Trip& trip);

  // Which server, and whether another one (http_choice.cpp).
  enum class Another : std::uint8_t { none, taken, later };
  void identify(Trip& trip) const;
  Result<void> take_place(Trip& trip, const PickRequest& request, PoolView::Turn turn);
  Task<Result<void>> wait_for_place(Trip& trip);
  enum class MayWait : bool { no, yes };
  Another take_another(Trip& trip, Failed failed, MayWait may_wait);
  bool is_retried(Trip& trip, int status);
  [[nodiscard]] bool is_repeatable(const Trip& trip) const;
  void report(const Trip& trip, const Result<void>& result) const;
  [[nodiscard]] Moment moment() const { return {scheduler_.now(), scheduler_.unix_us() / 1'000'000}; }

  // What a request demands of its server (http_policy.cpp).
  Task<Result<void>> find_place_by_policy(Trip& trip);
  Task<Result<void>> receive_body(Trip& trip, std::uint64_t bytes_max);
  Result<void> read_demand(Trip& trip);
  Result<void> refuse_large_body(Trip& trip);
  [[nodiscard]] static Error why_no_place(const Trip& trip, NoPlace why);
  static void record_policy(const Trip& trip, AccessRecord& record, std::span<PolicyMet, policy_also_max> also);

  // Waiting for an answer (http_wait.cpp).
  // How long an answer is waited for without doing anything about it.
  struct Patience {
    Instant with_try = never;       // then another server is asked instead
    Instant without_hedge = never;  // then another server is asked, too
  };
  Task<Result<std::span<char>>> receive_head(Trip& trip, Buffer& received);
  Result<void> on_late_answer(Trip& trip, Patience& patience);
  [[nodiscard]] Instant first_byte_deadline(const Trip& trip) const;
  [[nodiscard]] Instant this_try_deadline(const Trip& trip) const;
  [[nodiscard]] Error before_answer(const Trip& trip, Error error) const;
  void count_timeout(const Trip& trip, Limit limit);

  // A second try beside one that takes long (http_hedge.cpp).
  [[nodiscard]] Instant hedge_time(const Trip& trip) const;
  void start_hedge(Trip& trip);
  void go_over_to_hedge(Trip& trip);
  Task<void> end_hedge(Trip& trip);

  // A try at one server (http_try.cpp).
  Task<Result<void>> try_server(Trip& trip, Freshness freshness);
  Result<void> build_request(Trip& trip);
  // Its head names the server, in clear or in a token.
  [[nodiscard]] static bool is_for_one_try(const Trip& trip) { return trip.carried || trip.route->heads->host == "server"; }
  void append_chunks(Trip& trip, std::span<const char> rest);
  Task<Result<void>> connect(Trip& trip);
  ServerConnectionPtr take_idle(Trip& trip);
  Task<void> upload_rest(Trip& trip, StreamWriter& to_server);
  Task<Result<void>> receive_and_pass_on(Trip& trip, StreamWriter& to_server);
  Result<void> pass_interim(Trip& trip);
  void keep_rejected(Trip& trip, std::span<char> after_head);
  Task<Result<void>> pass_response(Trip& trip, std::span<char> after_head);
  Task<Result<void>> pass_tunnel(Trip& trip, std::span<char> after_head, StreamWriter& to_server);
  std::span<const char> first_bytes(const BodyReader& body, const BodyReader::Piece& piece, ClientCoding coding);
  std::span<const char> placed_before(std::string_view head, std::span<const char> body);
  [[nodiscard]] static Answer answer_for(const Trip& trip, const Error& error);
  [[nodiscard]] static bool is_gone(const Trip& trip);
  [[nodiscard]] std::string_view new_session(const Trip& trip) const;
  [[nodiscard]] static std::string_view limit_fields(const Trip& trip) { return trip.limits ? trip.limits->fields : std::string_view{}; }
  [[nodiscard]] RelayBounds bounds(const Trip& trip) const;
  [[nodiscard]] std::string_view date() { return date_.at(scheduler_.unix_us()); }

  SiteViews& views_;
  Connections& connections_;
  Scratch& scratch_;
  Scheduler& scheduler_;
  WorkerMetrics& metrics_;
  AccessChannel* log_;
  Prng prng_;
  Pipes pipes_;
  http::ResponseHead response_head_;  // of whichever response was parsed last; valid until the next co_await
  http::DateText date_;
};

}  // namespace steelyard
