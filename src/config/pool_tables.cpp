// See pool_tables.hpp. A pool, its servers, how one of them is chosen and how much it is given at once.
#include "config/pool_tables.hpp"

#include <limits>

#include "config/limit_tables.hpp"
#include "config/pool_shapes.hpp"
#include "config/ranges.hpp"

namespace steelyard::config {
namespace {

Section<ServerOptions> server_table() {
  return {
      "an address, or a map with the keys of a server",
      {
          required<ServerOptions>(
              "address", SY_AT(), ServerAddress{},
              "Where the server is. A name stands for all of its addresses, and `_http._tcp.example.com` for what its SRV records say."),
          key<ServerOptions>("weight", SY_AT(.weight), count(0, weight_max),
                             "Its share of the pool's load, in proportion to the others'; 0: no new traffic but that of its sessions."),
          key<ServerOptions>("backup", SY_AT(.backup), Switch{}, "Whether it takes traffic only while no other server can."),
          key<ServerOptions>("active_max", SY_AT(.active_max), Optional<Count<std::uint32_t>>{concurrency()},
                             "Exchanges under way here, over all workers.", "`concurrency.per_server_max`"),
          key<ServerOptions>("id", SY_AT(.id), NonEmpty<Text>{{"a name of letters, digits and . _ - : [ ]", check_server_id}},
                             "What logs and metrics call it; once in a pool.", "the address"),
          key<ServerOptions>("labels", SY_AT(.labels), NonEmpty<Labels>{}, "Names and values of your own.", "none"),
          key<ServerOptions>("public_url", SY_AT(.public_url), NonEmpty<Text>{public_url()},
                             "Where clients are sent that are to ask it themselves; path and query are the request's.",
                             "`http://` and the address"),
      }};
}

Section<KeepaliveOptions> keepalive_table() {
  return {"a map with the keys idle_connections_max and idle_timeout",
          {
              key<KeepaliveOptions>("idle_connections_max", SY_AT(.idle_connections_max), count(0, 1'000'000),
                                    "Idle connections that one worker keeps open to one server."),
              key<KeepaliveOptions>("idle_timeout", SY_AT(.idle_timeout), timeout(), "How long; keep it shorter than the server's own."),
          }};
}

OrAlone<balance::SlowStartOptions> slow_start() {
  using Start = balance::SlowStartOptions;
  const Section<Start> section{
      "a duration, or a map with the keys window, floor and curve",
      {
          key<Start>("window", SY_AT(.window), Span{0s, 24h, Word<Duration>{"off", 0s}},
                     "How long a server that joins or comes back gets less than its share."),
          key<Start>("floor", SY_AT(.floor), Percent{0.001, 1}, "The part of its share that it begins with."),
          key<Start>("curve", SY_AT(.curve), Decimal{0.1, 10}, "1 grows in a straight line, more begins more slowly."),
      }};
  return {section, "window"};
}

Section<QueueOptions> concurrency_table() {
  return {"a map of limits on exchanges under way",
          {
              key<QueueOptions>("per_server_max", SY_AT(.per_server_max), concurrency(), "At one server, over all workers."),
              key<QueueOptions>("total_max", SY_AT(.active_max), concurrency(), "In the whole pool."),
              key<QueueOptions>(
                  "queue_max", SY_AT(.queue_max), count(0, 1'000'000),
                  "Requests that wait for a free place, with a `policy` for each value that they demand; more are answered with 503."),
              key<QueueOptions>("queue_timeout", SY_AT(.queue_timeout), Span{1ms, 1h}, "How long one waits; then 503."),
          }};
}

void check_sticky(const Node& node, StickyOptions& sticky, Reading& reading) {
  // Browsers drop such a cookie without Secure (RFC 6265bis §4.1.3).
  const bool secure_only = sticky.cookie.starts_with("__Host-") || sticky.cookie.starts_with("__Secure-");
  if (secure_only && !sticky.secure) {
    reading.problem(node, fmt::format("found the cookie {} without secure: true, which browsers drop; add it, or choose another name",
                                      quote(sticky.cookie)));
  }
  if (node.kind == NodeKind::map && node.find("secret") == nullptr) {
    reading.warn(node, fmt::format("there is no secret: sessions end with the process and are not shared with other proxies; add one of at "
                                   "least {} random bytes",
                                   Secret::length_min));
  }
}

Section<StickyOptions> sticky_table() {
  const Text cookie{"the name of a cookie", check_cookie_name};
  const OrWord<Span> max_age{{1s, 8760h, Word<Duration>{"session", 0s}}};
  return {"a map with the keys of sticky sessions",
          {
              key<StickyOptions>("cookie", SY_AT(.cookie), cookie, "The cookie that says which server a client belongs to."),
              key<StickyOptions>("secret", SY_AT(.secret), Secret{}, "What cookies are signed with; the same in all proxies of a site.",
                                 "random at each start"),
              key<StickyOptions>("max_age", SY_AT(.max_age), max_age, "How long clients keep the cookie; session: until the browser ends."),
              key<StickyOptions>("secure", SY_AT(.secure), Switch{}, "Whether clients send the cookie over TLS only."),
              key<StickyOptions>("follow_drained", SY_AT(.follow_drained), Switch{},
                                 "Whether sessions stay with a server that takes no other new traffic."),
          },
          check_sticky};
}

Section<policy::PolicyOptions> policy_table() {
  using Policy = policy::PolicyOptions;
  const Condition<Policy> in_body{"from", "json:MEMBER",
                                  [](const Policy& policy) { return policy.from.kind == policy::SourceOptions::Kind::json; }};
  const Size<std::uint64_t> body_bytes{1, 1ULL << 20U};
  return {"a map with the keys of a policy",
          {
              required<Policy>("label", SY_AT(.label), Text{"the name of a label", check_name},
                               "The label by which servers promise: one value, or several with commas between them."),
              key<Policy>("from", SY_AT(.from), PolicySource{}, "Where a request says which of them it demands.",
                          "**required**, unless only packets come to the pool"),
              key<Policy>("value_if_absent", SY_AT(.value_if_absent), NonEmpty<Text>{{"a value of the label", check_policy_value}},
                          "What a request demands that says nothing.", "none: it is refused with 421"),
              key<Policy>("unmet_status", SY_AT(.unmet_status), StatusChoice{{421, 503}},
                          "The answer where no server promises what is demanded."),
              only_with(in_body,
                        key<Policy>("body_bytes_max", SY_AT(.body_bytes_max), body_bytes,
                                    "Of a body, which is read to its end before a server is chosen; a larger one is refused with 413.")),
          }};
}

void check_registration(const Node& node, RegistrationOptions& registration, Reading& reading) {
  if (registration.lease_min > registration.lease_max || registration.lease < registration.lease_min ||
      registration.lease > registration.lease_max) {
    reading.problem(node, fmt::format("found a lease of {} and bounds of {} to {}, allowed is one within them; change one of them",
                                      spell_duration(registration.lease), spell_duration(registration.lease_min),
                                      spell_duration(registration.lease_max)));
  }
  for (const Network& network : registration.networks) {
    if (network.to_string() != "0.0.0.0/0" && network.to_string() != "::/0") continue;
    const Reading::Step step(reading, "networks");
    reading.warn(node, "every address may be registered, so who has the token can have requests sent anywhere: name your own networks");
  }
}

Section<RegistrationOptions> registration_table() {
  using Registration = RegistrationOptions;
  const NonEmpty<List<TrustedNetwork>> networks{{{}, "a list of networks such as [10.0.0.0/8, 192.168.1.7], at least one"}};
  const Span lease{100ms, 24h};
  return {"a map of who may register",
          {
              key<Registration>("token_file", SY_AT(.token_file), NonEmpty<Text>{{"a file's path", check_file_path}},
                                "A file with the token that servers show in its first line, at least 16 characters; it serves for this "
                                "pool only.",
                                "**required**, unless a listener for packets has `registration: open`"),
              required<Registration>("networks", SY_AT(.networks), networks, "Where servers may be; nowhere else."),
              key<Registration>("ports", SY_AT(), PortRange{}, "The ports that they may have."),
              key<Registration>("servers_max", SY_AT(.servers_max), count(1, 100'000), "Registered servers at once."),
              key<Registration>("lease", SY_AT(.lease), lease,
                                "How long a registration lasts unless it is renewed, where a server asks for none."),
              key<Registration>("lease_min", SY_AT(.lease_min), lease, "The shortest that a server may ask for."),
              key<Registration>("lease_max", SY_AT(.lease_max), lease, "The longest that a server may ask for."),
              key<Registration>("expired_share_max", SY_AT(.expired_share_max), Percent{},
                                "Of its registered servers that may go at once because their leases ran out; beyond it they are kept."),
          },
          check_registration};
}

void check_pool(const Node& node, PoolOptions& pool, Reading& reading) {
  const Node* list = node.find("servers");
  if (list == nullptr) return;
  const Reading::Step step(reading, "servers");
  check_servers(*list, pool.servers, reading);
  if (pool.servers.empty()) return;
  if (std::ranges::all_of(pool.servers, [](const ServerOptions& server) { return server.weight == 0; })) {
    reading.warn(*list, "every server has the weight 0, so that none takes new traffic: give one of them a weight of 1 or more");
  }
  if (std::ranges::all_of(pool.servers, &ServerOptions::backup)) {
    reading.warn(*list, "every server is a backup, which is the same as none: remove \"backup: true\" where it is not meant");
  }
}

}  // namespace

Section<PoolOptions> pool_table() {
  const Choice<Algorithm> algorithm{{{"adaptive", Algorithm::adaptive},
                                     {"round_robin", Algorithm::round_robin},
                                     {"least_connections", Algorithm::least_connections},
                                     {"ip_hash", Algorithm::ip_hash},
                                     {"hash", Algorithm::hash},
                                     {"random", Algorithm::random},
                                     {"fastest", Algorithm::fastest}}};
  const NonEmpty<List<OrAlone<ServerOptions>>> servers{{{server_table(), "address"}, "a list of servers, at least one"}};
  const Choice<WhenAllDown> when_all_down{{{"refuse", WhenAllDown::refuse}, {"try_all", WhenAllDown::try_all}}};
  const Decimal load_max{1, 100, Word<double>{"unlimited", std::numeric_limits<double>::infinity()}};
  const Condition<PoolOptions> hashed{"algorithm", "hash", [](const PoolOptions& pool) { return pool.algorithm == Algorithm::hash; }};
  return {
      "a map with the keys of a pool",
      {
          key<PoolOptions>("algorithm", SY_AT(.algorithm), algorithm, "How a server is chosen."),
          only_with(hashed, key<PoolOptions>("hash_key", SY_AT(.hash_key), HashKey{}, "Requests alike in this go to the same server.")),
          only_with(hashed, key<PoolOptions>("hash_load_max", SY_AT(.hash_load_max), load_max,
                                             "A server with this many times the mean load passes requests on to the next.")),
          key<PoolOptions>("servers", SY_AT(.servers), servers, "The servers; a bare text is an address.",
                           "**required**, unless there is `admin`, which can bring them"),
          key<PoolOptions>("health", SY_AT(.health), OrOff<Section<HealthOptions>>{health_table()},
                           "How servers are checked; `{}` for the defaults. Without it a server is taken as healthy until it fails."),
          key<PoolOptions>("outliers", SY_AT(.outliers), OrOff<Section<OutlierOptions>>{outliers_table()},
                           "Which servers are ejected for a while for what their answers show."),
          key<PoolOptions>("when_all_down", SY_AT(.when_all_down), when_all_down,
                           "What happens when no server is healthy: 503, or every server is tried all the same."),
          key<PoolOptions>("slow_start", SY_AT(.slow_start), slow_start(),
                           "How a server that joins or comes back is given its share; a bare duration is the window."),
          key<PoolOptions>("keepalive", SY_AT(.keepalive), keepalive_table(), "Connections to servers that are kept for the next request."),
          key<PoolOptions>("retries", SY_AT(.retries), retries_table(), "Which requests are tried again, and how many."),
          key<PoolOptions>("hedging", SY_AT(.hedging), OrOff<Section<HedgeOptions>>{hedging_table()},
                           "When a second server is asked while the first has not answered; `{}` for the defaults."),
          key<PoolOptions>("concurrency", SY_AT(.queue), concurrency_table(), "How much a server and the pool are given at once."),
          key<PoolOptions>("sticky", SY_AT(.sticky), OrOff<Section<StickyOptions>>{sticky_table()},
                           "Whether a client stays with its server; needs a cookie."),
          key<PoolOptions>("policy", SY_AT(.policy), OrOff<Section<policy::PolicyOptions>>{policy_table()},
                           "Which label of servers a request may demand a value of; it goes to no server without it."),
          key<PoolOptions>("registration", SY_AT(.registration), OrOff<Section<RegistrationOptions>>{registration_table()},
                           "Whether servers may announce themselves, and which; needs `admin` or a listener for packets."),
          key<PoolOptions>("limits", SY_AT(.limits), limit_names(), "Which of `limits` its requests are counted by.", "none"),
          key<PoolOptions>("drain", SY_AT(.drain), Span{0s, 720h, forever}, "For exchanges under way at a server that is removed."),
      },
      check_pool};
}

}  // namespace steelyard::config
