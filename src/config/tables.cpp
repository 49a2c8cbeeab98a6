// See tables.hpp. The full spelling, but for pools, which pool_tables.hpp has; defaults are those of the options structs, limits and
// meanings stand here.
#include "config/tables.hpp"

#include "config/limit_tables.hpp"
#include "config/pool_shapes.hpp"
#include "config/pool_tables.hpp"
#include "config/ranges.hpp"
#include "config/shapes.hpp"

namespace steelyard::config {
namespace {

Section<LogOptions> log_table() {
  const Text access{"stdout, off, or a file's path", check_access_log};
  const Choice<LogFormat> format{{{"auto", LogFormat::automatic}, {"human", LogFormat::human}, {"json", LogFormat::json}}};
  const Choice<LogLevel> level{
      {{"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warning", LogLevel::warning}, {"error", LogLevel::error}}};
  return {"a map of what is logged",
          {
              key<LogOptions>("access", SY_AT(.access), access, "Where one line for each exchange goes."),
              key<LogOptions>("format", SY_AT(.format), format, "How lines look; auto is human on a terminal and JSON otherwise."),
              key<LogOptions>("level", SY_AT(.level), level, "The least severe message that is written to stderr."),
          }};
}

void check_http(const Node& node, HttpOptions& http, Reading& reading) {
  if (http.head.request_line_bytes_max <= http.head.head_bytes_max) return;
  reading.problem(
      node,
      fmt::format("found request_line_bytes_max of {} and head_bytes_max of {}, allowed is a request line no larger than the head: raise "
                  "head_bytes_max",
                  spell_size(http.head.request_line_bytes_max), spell_size(http.head.head_bytes_max)));
}

Section<HttpOptions> http_table() {
  return {
      "a map of limits on HTTP messages",
      {
          key<HttpOptions>("request_line_bytes_max", SY_AT(.head.request_line_bytes_max), Size<std::uint32_t>{256, 64 << 10},
                           "The longest request line; a longer one is answered with 414."),
          key<HttpOptions>("head_bytes_max", SY_AT(.head.head_bytes_max), Size<std::uint32_t>{1024, 64 << 10},
                           "The largest head, which is the request line and all fields; a larger one is answered with 431."),
          key<HttpOptions>("field_count_max", SY_AT(.head.field_count_max), count(1, http::field_count_max),
                           "The most header fields of one message; more are answered with 431."),
          key<HttpOptions>("body_bytes_max", SY_AT(.body_bytes_max), body_size(),
                           "The largest request body; a larger one is answered with 413."),
          key<HttpOptions>("requests_per_connection_max", SY_AT(.requests_per_connection_max),
                           Count<std::uint64_t>{1, 1'000'000'000, without_limit}, "Requests on one client connection before it is closed."),
          key<HttpOptions>("client_half_close", SY_AT(.client_half_close),
                           Choice<HalfClose>{{{"answer", HalfClose::answer}, {"abort", HalfClose::abort}}},
                           "What becomes of a request whose client has ended its sending side: it is answered, or taken for given up."),
      },
      check_http};
}

Section<TimeoutOptions> timeouts_table() {
  return {"a map of timeouts",
          {
              key<TimeoutOptions>("header_read", SY_AT(.header_read), timeout(),
                                  "From the first byte of a request to the end of its head; then 408."),
              key<TimeoutOptions>("body_idle", SY_AT(.body_idle), timeout_or_forever(),
                                  "Without a byte of a body moving, either way; also of a tunnel of which one side has ended."),
              key<TimeoutOptions>("idle", SY_AT(.idle), timeout_or_forever(), "Of a client connection between two requests."),
              key<TimeoutOptions>("connect", SY_AT(.connect), timeout(), "To connect to a server."),
              key<TimeoutOptions>("first_byte", SY_AT(.first_byte), timeout_or_forever(),
                                  "From the request sent to the first byte of the answer; then 504."),
              key<TimeoutOptions>("total", SY_AT(.total), timeout_or_forever(), "A whole exchange, both bodies included."),
              key<TimeoutOptions>("tunnel_idle", SY_AT(.tunnel_idle), timeout_or_forever(),
                                  "Of an upgraded connection, such as a WebSocket, without a byte."),
              key<TimeoutOptions>("drain", SY_AT(.drain), Span{0s, 720h, forever}, "For exchanges under way after SIGTERM."),
          }};
}

Section<ConnectionOptions> connections_table() {
  return {"a map of limits on client connections",
          {
              key<ConnectionOptions>("max", SY_AT(.connections_max), count(1, 10'000'000), "Client connections in all."),
              key<ConnectionOptions>("per_client_max", SY_AT(.connections_per_client_max),
                                     Count<std::uint32_t>{1, 10'000'000, without_limit_32}, "Connections from one address."),
          }};
}

Section<ForwardedOptions> forwarded_table() {
  const Choice<ForwardedStyle> style{{{"x_forwarded", ForwardedStyle::x_forwarded},
                                      {"forwarded", ForwardedStyle::forwarded},
                                      {"both", ForwardedStyle::both},
                                      {"off", ForwardedStyle::off}}};
  const List<TrustedNetwork> proxies{{}, "a list of networks such as [10.0.0.0/8, 192.168.1.7]"};
  return {"a map of what servers are told about clients",
          {
              key<ForwardedOptions>("style", SY_AT(.style), style,
                                    "The fields that tell a server who the client is: X-Forwarded-*, Forwarded (RFC 7239), both or none."),
              key<ForwardedOptions>("trusted_proxies", SY_AT(.trusted_proxies), proxies,
                                    "Whose fields of this kind are believed and extended; everyone else's are removed."),
              key<ForwardedOptions>("via", SY_AT(.via), Switch{}, "Whether Via is added (RFC 9110 §7.6.3)."),
          }};
}

Section<ResolveOptions> resolve_table() {
  const Choice<NameFamily> family{
      {{"ipv4_else_ipv6", NameFamily::ipv4_else_ipv6}, {"ipv4", NameFamily::ipv4}, {"ipv6", NameFamily::ipv6}, {"both", NameFamily::both}}};
  const NonEmpty<List<BindAddress>> servers{{{}, "a list of addresses such as [10.0.0.2:53]"}};
  return {
      "a map of how names of servers are looked up",
      {
          key<ResolveOptions>("servers", SY_AT(.servers), servers, "DNS servers to ask.", "those of /etc/resolv.conf"),
          key<ResolveOptions>("family", SY_AT(.family), family,
                              "Which of a name's addresses count: by default those of IPv6 only where there are none of IPv4."),
          key<ResolveOptions>("ttl_min", SY_AT(.ttl_min), Span{10ms, 24h}, "An answer is kept at least so long, whatever its TTL."),
          key<ResolveOptions>("ttl_max", SY_AT(.ttl_max), Span{10ms, 24h}, "And at most so long."),
          key<ResolveOptions>("timeout", SY_AT(.timeout), Span{10ms, 1min}, "For one question to one DNS server; doubled in each round."),
          key<ResolveOptions>("tries", SY_AT(.tries), count(1, 10), "Rounds over the DNS servers."),
          key<ResolveOptions>("addresses_max", SY_AT(.addresses_max), count(1, 10'000), "Addresses of one name that are used."),
      }};
}

Section<ListenerOptions> listener_table() {
  using Registration = PacketRegistration;
  const Choice<Protocol> protocol{{{"http", Protocol::http}, {"packet", Protocol::packet}}};
  const Choice<Registration> registration{{{"off", Registration::off}, {"open", Registration::open}, {"secret", Registration::secret}}};
  const Condition<ListenerOptions> packets{"protocol", "packet",
                                           [](const ListenerOptions& listener) { return listener.protocol == Protocol::packet; }};
  const Condition<ListenerOptions> http{"protocol", "http",
                                        [](const ListenerOptions& listener) { return listener.protocol == Protocol::http; }};
  return {"a map with the keys of a listener",
          {
              required<ListenerOptions>("bind", SY_AT(.bind), BindAddress{}, "Where connections are accepted."),
              key<ListenerOptions>("protocol", SY_AT(.protocol), protocol, "What is spoken there; packet is JSON objects over plain TCP."),
              only_with(http, key<ListenerOptions>("status_pages", SY_AT(.status_pages), Switch{},
                                                   "Whether `/__health__`, `/__status__` and `/__metrics__` are answered here.")),
              key<ListenerOptions>("limits", SY_AT(.limits), limit_names(), "Which of `limits` its requests or packets are counted by.",
                                   "none"),
              only_with(packets, key<ListenerOptions>("pool", SY_AT(.packet.pool), Text{"the name of a pool", check_name},
                                                      "Where the packets go; the pool has a `policy`, and takes turns (`round_robin`, no "
                                                      "`slow_start`) unless it says otherwise.",
                                                      "**required** with packet")),
              only_with(packets, key<ListenerOptions>("registration", SY_AT(.packet.registration), registration,
                                                      "Whether servers may announce themselves by a packet: all of the networks in the "
                                                      "pool's `registration`, or of these who shows its token.")),
              only_with(packets, key<ListenerOptions>("packet_bytes_max", SY_AT(.packet.bytes_max), Size<std::uint32_t>{256, 16 << 20},
                                                      "The largest packet.")),
              only_with(packets, key<ListenerOptions>("refusals", SY_AT(.packet.says_why), Choice<bool>{{{"close", false}, {"json", true}}},
                                                      "What a client gets whose packet cannot be answered: the end of its connection, or "
                                                      "a JSON object that says why before that.")),
              only_with(packets, key<ListenerOptions>("server_connections", SY_AT(.packet.keeps_servers),
                                                      Choice<bool>{{{"fresh", false}, {"kept", true}}},
                                                      "Whether a connection to a server is for one packet, or kept for more.")),
              only_with(packets, key<ListenerOptions>("repeat", SY_AT(.packet.repeat_any), Choice<bool>{{{"unsent", false}, {"any", true}}},
                                                      "Which packets may go to another server after a failure; any is for servers that "
                                                      "recognise a repeated packet.")),
          }};
}

Section<MatchOptions> match_table() {
  const NonEmpty<MatchText> host{{"a host such as api.example.com or *.example.com", host_problem}};
  const NonEmpty<MatchText> path{{"a path such as /exact, /prefix/* or /users/*/posts", path_problem}};
  const NonEmpty<List<MatchText>> method{{{"a method such as GET", method_problem}, "a method or a list of methods", Single::allowed}};
  return {"a map of what a request must be like",
          {
              key<MatchOptions>("host", SY_AT(.host), host, "The host that the request is for; with or without a port.", "any"),
              key<MatchOptions>("path", SY_AT(.path), path,
                                "The path; a last `/*` stands for everything below, `*` elsewhere for one segment.", "any"),
              key<MatchOptions>("method", SY_AT(.methods), method, "The method.", "any"),
              key<MatchOptions>("headers", SY_AT(.headers), NonEmpty<HeaderMatches>{}, "Fields that the request must have, all of them.",
                                "none"),
          }};
}

Section<HeaderEdits> edits_table(EditedSide side) {
  const Text name{"a field name", side == EditedSide::request
                                      ? [](std::string_view text) { return check_edited_name(text, EditedSide::request); }
                                      : [](std::string_view text) { return check_edited_name(text, EditedSide::response); }};
  return {"a map with the keys remove, set and add",
          {
              key<HeaderEdits>("remove", SY_AT(.remove), NonEmpty<List<Text>>{{name, "a list of field names", Single::allowed}},
                               "Fields to remove; done first.", "none"),
              key<HeaderEdits>("set", SY_AT(.set), NonEmpty<HeaderFields>{{side, Single::refused}},
                               "Fields to replace, or to add where they are absent.", "none"),
              key<HeaderEdits>("add", SY_AT(.add), NonEmpty<HeaderFields>{{side, Single::allowed}},
                               "Fields to add beside those of the same name; done last.", "none"),
          }};
}

Section<RouteOptions> route_timeouts_table() {
  return {"a map with the keys first_byte and total",
          {
              key<RouteOptions>("first_byte", SY_AT(.first_byte_timeout), Optional<Span>{timeout_or_forever()},
                                "As `timeouts.first_byte`, for this route.", "`timeouts.first_byte`"),
              key<RouteOptions>("total", SY_AT(.total_timeout), Optional<Span>{timeout_or_forever()},
                                "As `timeouts.total`, for this route.", "`timeouts.total`"),
          }};
}

Section<AutoRedirectOptions> auto_table() {
  using Auto = AutoRedirectOptions;
  const List<MatchText> methods{{"a method such as GET", method_problem}, "a method or a list of methods; [] for none", Single::allowed};
  const Size<std::uint64_t> body_bytes{1, 1ULL << 40U, Word<std::uint64_t>{"never", unlimited}};
  return {"a map with the keys methods and body_bytes_min",
          {
              key<Auto>("methods", SY_AT(.methods), methods, "Requests of these methods are redirected."),
              key<Auto>("body_bytes_min", SY_AT(.body_bytes_min), body_bytes,
                        "So are those of other methods that announce a body of at least this size."),
          }};
}

Section<RedirectOptions> redirect_table() {
  using Redirect = RedirectOptions;
  const NonEmpty<Text> file{{"a file's path", check_file_path}};
  const Choice<TokenPlace> place{{{"query", TokenPlace::query}, {"cookie", TokenPlace::cookie}}};
  const Text name{"a name of up to 64 letters, digits and . _ -", check_token_name};
  const Condition<Redirect> is_signed{"keys", "FILE", [](const Redirect& redirect) { return !redirect.keys.empty(); }};
  return {"a map with the keys of a redirect",
          {
              key<Redirect>("status", SY_AT(.status), StatusChoice{{307, 308}}, "With which a client is sent to the server."),
              key<Redirect>("keys", SY_AT(.keys), file,
                            "A file with keys as a JWK Set (RFC 7517); the first that can sign signs a token for each redirect.",
                            "none: redirects are not signed"),
              only_with(is_signed, key<Redirect>("token_in", SY_AT(.token_in), place,
                                                 "Where the token is; a cookie only reaches servers that have this proxy's host name.")),
              only_with(is_signed, key<Redirect>("token_name", SY_AT(.token_name), name, "What it is called there.")),
              key<Redirect>("lifetime", SY_AT(.lifetime), Span{1s, 1h}, "Within which a client must arrive at the server."),
              only_with(is_signed, key<Redirect>("client", SY_AT(.client), ClientText{},
                                                 "For whom the token is: this client, its network (of an IPv6 address /64), or anybody.")),
              only_with(is_signed, key<Redirect>("bind_query", SY_AT(.bind_query), Switch{},
                                                 "Whether the token is for path and query, or for the path alone.")),
              key<Redirect>("auto", SY_AT(.automatic), auto_table(), "Which requests are redirected in `mode: auto`; in `redirect` all."),
          }};
}

Section<GuardOptions> guard_table() {
  using Guard = GuardOptions;
  const Choice<TokenPlace> place{{{"query", TokenPlace::query}, {"cookie", TokenPlace::cookie}}};
  const Text name{"a name of up to 64 letters, digits and . _ -", check_token_name};
  const NonEmpty<Text> id{{"a name of letters, digits and . _ - : [ ] @", check_known_server_id}};
  return {"a map with the keys of a guard",
          {
              required<Guard>("keys", SY_AT(.keys), Text{"a file's path", check_file_path},
                              "A file with keys as a JWK Set (RFC 7517), by which tokens are checked; public halves will do."),
              required<Guard>("server", SY_AT(.server), id, "The id by which the gateway knows the server that this is."),
              key<Guard>("gateway", SY_AT(.gateway), NonEmpty<Text>{public_url()}, "Where clients without a token are sent back to.",
                         "none: they are refused"),
              key<Guard>("token_in", SY_AT(.token_in), place, "Where the token is, as the gateway has it."),
              key<Guard>("token_name", SY_AT(.token_name), name, "What it is called there."),
              key<Guard>("bind_query", SY_AT(.bind_query), Switch{}, "Whether tokens are for path and query, or for the path alone."),
              key<Guard>("skew", SY_AT(.skew), Span{.min = 0s, .max = 5min, .whole_seconds = true},
                         "How far the gateway's clock may differ from this one's."),
              key<Guard>("one_time", SY_AT(.one_time), Switch{}, "Whether each token is good for one request only."),
              key<Guard>("hops_max", SY_AT(.hops_max), count(1, 16),
                         "How often a client is sent back before it is told that it goes in a circle."),
          }};
}

Section<RouteOptions> route_table() {
  const Choice<RouteMode> mode{{{"proxy", RouteMode::proxy}, {"redirect", RouteMode::redirect}, {"auto", RouteMode::automatic}}};
  const Condition<RouteOptions> redirects{"mode", "redirect or auto",
                                          [](const RouteOptions& route) { return route.mode != RouteMode::proxy; }};
  const Condition<RouteOptions> carries{"mode", "proxy", [](const RouteOptions& route) { return route.mode == RouteMode::proxy; }};
  return {"a map with the keys of a route",
          {
              key<RouteOptions>("name", SY_AT(.name), NonEmpty<Text>{{"a name of up to 256 printable characters", check_route_name}},
                                "What logs and metrics call the route; once in the file.", "made from the match"),
              key<RouteOptions>("match", SY_AT(.match), match_table(), "What a request must be like to take this route.", "everything"),
              required<RouteOptions>("pool", SY_AT(.pool), Text{"the name of a pool", check_name}, "Where the request goes."),
              key<RouteOptions>("host", SY_AT(.host), RouteHost{},
                                "The Host field that servers see: the client's, the server's own address, or this text."),
              key<RouteOptions>("request_headers", SY_AT(.request_headers), edits_table(EditedSide::request),
                                "Edits of the request before a server sees it.", "none"),
              key<RouteOptions>("response_headers", SY_AT(.response_headers), edits_table(EditedSide::response),
                                "Edits of the response before the client sees it.", "none"),
              key<RouteOptions>("timeouts", SY_AT(), route_timeouts_table(), "Timeouts of this route.", "those of `timeouts`"),
              key<RouteOptions>("body_bytes_max", SY_AT(.body_bytes_max), Optional<Size<std::uint64_t>>{body_size()},
                                "As `http.body_bytes_max`, for this route.", "`http.body_bytes_max`"),
              key<RouteOptions>("repeat", SY_AT(.repeat_any), Choice<bool>{{{"idempotent", false}, {"any", true}}},
                                "Which requests may be sent again; any is for servers that recognise a repeated POST."),
              key<RouteOptions>("mode", SY_AT(.mode), mode,
                                "Whether requests are carried to a server, or clients sent there themselves; auto: some of them."),
              only_with(redirects, key<RouteOptions>("redirect", SY_AT(.redirect), redirect_table(), "How clients are sent to a server.",
                                                     "unsigned, with 307")),
              only_with(carries, key<RouteOptions>("guard", SY_AT(.guard), OrOff<Section<GuardOptions>>{guard_table()},
                                                   "Whether only requests go on that a gateway has sent here with a token.")),
              key<RouteOptions>("limits", SY_AT(.limits), limit_names(), "Which of `limits` its requests are counted by.", "none"),
          }};
}

void check_admin(const Node& node, AdminOptions& admin, Reading& reading) {
  if (admin.on_socket() || admin.bind.ip.is_loopback() || !admin.token_file.empty()) return;
  const Node* bind = node.find("bind");  // there: the default is within this machine
  const Reading::Step step(reading, "bind");
  reading.problem(bind == nullptr ? node : *bind,
                  fmt::format("found an admin API on {} without token_file, so whoever reaches it could change the servers; add "
                              "\"token_file: PATH\", or bind it to 127.0.0.1 or to a Unix socket",
                              admin.bind.to_string()));
}

Section<AdminOptions> admin_table() {
  const NonEmpty<Text> file{{"a file's path", check_file_path}};
  const Text host{"a name such as proxy.internal", check_host_name};
  return {
      "a map with the keys of the admin API",
      {
          key<AdminOptions>("bind", SY_AT(), AdminBind{}, "Where it is; beyond this machine only with a token_file."),
          key<AdminOptions>("token_file", SY_AT(.token_file), file,
                            "A file with the operator's token in its first line, at least 16 characters; without it whoever can connect is "
                            "the operator.",
                            "none"),
          key<AdminOptions>("hosts", SY_AT(.hosts), List<Text>{host, "a list of names such as [proxy.internal]"},
                            "Names that it is asked by, beside IP addresses and localhost; others are refused, for a web page could have "
                            "them point here."),
          key<AdminOptions>("state_file", SY_AT(.state_file), file,
                            "Where what was changed by the API is kept; without it a restart forgets it.", "none"),
      },
      check_admin};
}

Section<Options> options_table() {
  const Count<std::uint32_t> workers{1, 1024, Word<std::uint32_t>{"auto", 0}};
  return {
      "a map with the keys of a configuration",
      {
          key<Options>("workers", SY_AT(.workers), workers, "Threads that serve; auto is one for each core."),
          key<Options>("spin", SY_AT(.spin), Span{0s, 1s},
                       "How long an idle worker polls before it sleeps; lowers the latency of a lone connection and burns a core."),
          key<Options>("metrics", SY_AT(.metrics), Switch{},
                       "Whether `/__metrics__` answers. Counting itself costs next to nothing and goes on."),
          key<Options>("log", SY_AT(.log), log_table(), "What is logged, where and how."),
          key<Options>("http", SY_AT(.http), http_table(), "Limits on HTTP messages."),
          key<Options>("timeouts", SY_AT(.timeouts), timeouts_table(), "How long each phase may take."),
          key<Options>("connections", SY_AT(.connections), connections_table(), "Limits on client connections."),
          key<Options>("forwarded", SY_AT(.forwarded), forwarded_table(), "What servers are told about clients."),
          key<Options>("listeners", SY_AT(.listeners),
                       NonEmpty<List<Section<ListenerOptions>>>{{listener_table(), "a list of listeners, at least one"}},
                       "Where connections are accepted.", "**required**"),
          key<Options>("routes", SY_AT(.routes), NonEmpty<List<Section<RouteOptions>>>{{route_table(), "a list of routes, at least one"}},
                       "Which request goes to which pool.", "with one pool: everything goes there"),
          key<Options>("pools", SY_AT(.pools),
                       NonEmpty<ByName<PoolOptions>>{{pool_table(), "a map of pools by name", "NAME: {servers: [...]}"}},
                       "The pools of servers by name.", "**required**"),
          key<Options>("limits", SY_AT(.limits),
                       NonEmpty<ByName<quota::LimitOptions>>{{limit_table(), "a map of limits by name", "NAME: {rate: 100/1m}"}},
                       "How many requests may come, by name; listeners, routes and pools say which of them count.", "none"),
          key<Options>(
              "stores", SY_AT(.stores),
              NonEmpty<ByName<quota::StoreOptions>>{{store_table(), "a map of stores by name", "NAME: {url: \"redis://127.0.0.1:6379\"}"}},
              "Where limits are counted for several processes together, by name.", "none"),
          key<Options>("resolve", SY_AT(.resolve), resolve_table(), "How servers' names are looked up."),
          key<Options>("admin", SY_AT(.admin), OrOff<Section<AdminOptions>>{admin_table()},
                       "The API that shows and changes the running proxy; `{}` for the defaults."),
      }};
}

}  // namespace

const Section<Options>& full_table() {
  static const Section<Options> table = options_table();
  return table;
}

}  // namespace steelyard::config
