// The admin API behind a real session over a scripted stream, on a clock that is moved by hand, with a Control that remembers what it
// was told.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "admin/api.hpp"
#include "admin/bodies.hpp"
#include "observe/message.hpp"
#include "session/http1_server.hpp"
#include "support/line.hpp"
#include "support/scripted_stream.hpp"

namespace steelyard::admin {

using testing_support::at_ms;
using testing_support::ScriptedStream;
using testing_support::turn;

// Pools "app" and "other", where "app" has the server "a" with the revision 5 at first.
class FakeControl final : public Control {
 public:
  FakeControl() {
    servers_["app"]["a"] = {{"id", "a"}, {"address", "10.0.0.1:80"}, {"revision", 5U}};
    servers_["other"];
  }

  Json status() const override { return show("status"); }
  Json pools() const override { return show("pools"); }
  Json listeners() const override { return show("listeners"); }
  Json routes() const override { return show("routes"); }
  Json exchanges() const override { return show("exchanges"); }
  Json limits() const override { return show("limits"); }
  std::string configuration() const override { return configured; }
  std::expected<Json, Refusal> pool(std::string_view pool) const override {
    if (!servers_.contains(std::string(pool))) return std::unexpected(no_pool(pool));
    return Json{{"pool", pool}};
  }
  std::expected<Json, Refusal> servers(std::string_view pool) const override {
    if (!servers_.contains(std::string(pool))) return std::unexpected(no_pool(pool));
    return Json{{"servers", Json::array()}};
  }
  std::expected<Json, Refusal> server(std::string_view pool, std::string_view id) const override {
    const auto known = servers_.find(std::string(pool));
    if (known == servers_.end()) return std::unexpected(no_pool(pool));
    const auto found = known->second.find(std::string(id));
    if (found == known->second.end()) return std::unexpected(Refusal{Refusal::Kind::no_such_server, "", "there is no such server"});
    return found->second;
  }

  std::expected<Applied, Refusal> put_server(std::string_view pool, ServerOptions server, const Precondition& precondition) override {
    note("put {} {} {} weight {} if {} absent {}", pool, server.id, server.host, server.weight, precondition.revision.value_or(0),
         precondition.absent);
    put = server;
    return store(pool, server.id);
  }
  std::expected<Applied, Refusal> change_server(std::string_view pool, std::string_view id, const ServerChange& change,
                                                const Precondition& precondition) override {
    note("change {} {} if {}", pool, id, precondition.revision.value_or(0));
    changed = change;
    return store(pool, id);
  }
  std::expected<Departure, Refusal> remove_server(std::string_view pool, std::string_view id, const Precondition& precondition,
                                                  std::optional<Duration> deadline) override {
    note("remove {} {} if {} deadline {}", pool, id, precondition.revision.value_or(0), deadline.value_or(Duration{-1s}) / 1s);
    return depart(pool, id);
  }
  std::expected<Departure, Refusal> drain_server(std::string_view pool, std::string_view id, std::optional<Duration> deadline) override {
    note("drain {} {} deadline {}", pool, id, deadline.value_or(Duration{-1s}) / 1s);
    return depart(pool, id);
  }
  std::expected<Applied, Refusal> undrain_server(std::string_view pool, std::string_view id) override {
    note("undrain {} {}", pool, id);
    return store(pool, id);
  }
  std::expected<Applied, Refusal> announce(std::string_view pool, ServerOptions server, std::optional<Duration> lease,
                                           std::string_view owner, std::optional<std::uint32_t> load) override {
    note("announce {} {} {} lease {} owner {} load {}", pool, server.id, server.host, lease.value_or(Duration{-1s}) / 1s, owner,
         load.value_or(0));
    return store(pool, server.id);
  }
  void report(std::string_view pool, std::string_view id, const LoadReport& report) override {
    note("report {} {} load {} arrived {} run {}", pool, id, report.load, report.arrived, report.run);
  }
  std::expected<Applied, Refusal> renew(std::string_view pool, std::string_view id, std::string_view owner,
                                        std::optional<std::uint32_t> load) override {
    note("renew {} {} owner {} load {}", pool, id, owner, load.value_or(0));
    return store(pool, id);
  }
  std::expected<Departure, Refusal> leave(std::string_view pool, std::string_view id, std::string_view owner) override {
    note("leave {} {} owner {}", pool, id, owner);
    return depart(pool, id);
  }
  std::expected<void, std::string> upgrade() override {
    note("upgrade");
    if (!no_upgrade.empty()) return std::unexpected(no_upgrade);
    return {};
  }
  std::expected<Json, Problems> reload() override {
    note("reload");
    if (!problems.empty()) return std::unexpected(problems);
    return Json{{"plan", "reload"}};
  }
  std::expected<Json, Problems> check(std::optional<std::string_view> text) const override {
    checked = text ? std::optional(std::string(*text)) : std::nullopt;
    if (!problems.empty()) return std::unexpected(problems);
    return Json{{"plan", "check"}};
  }

  std::vector<std::string> calls;  // those that change something
  std::optional<ServerOptions> put;
  std::optional<ServerChange> changed;
  mutable std::optional<std::string> checked;
  std::optional<Refusal> refusal;  // of the next change
  Problems problems;
  std::string no_upgrade;  // why not
  std::uint32_t exchanges_active = 0;
  bool throws = false;
  std::string configured = "listeners: []\n";

 private:
  template <typename... Arguments>
  void note(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    calls.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  Json show(const char* what) const {
    const Json text("no number");
    if (throws) return text.get<int>();  // what a library throws
    return {{"shows", what}};
  }
  static Refusal no_pool(std::string_view pool) { return {Refusal::Kind::no_such_pool, "", fmt::format("there is no pool {}", pool)}; }
  std::expected<Applied, Refusal> store(std::string_view pool, std::string_view id) {
    if (refusal) return std::unexpected(*refusal);
    Json& server = servers_[std::string(pool)][std::string(id)];
    const bool created = server.is_null();
    server = {{"id", id}, {"revision", ++revision_}};
    return Applied{created ? Applied::Effect::created : Applied::Effect::changed, revision_};
  }
  std::expected<Departure, Refusal> depart(std::string_view pool, std::string_view id) {
    if (const auto known = server(pool, id); !known) return std::unexpected(known.error());
    if (refusal) return std::unexpected(*refusal);
    return Departure{{Applied::Effect::removed, ++revision_}, exchanges_active};
  }

  std::map<std::string, std::map<std::string, Json>> servers_;
  std::uint64_t revision_ = 5;
};

// One that is read.
struct Response {
  int status = 0;
  std::string head;
  std::string body;

  [[nodiscard]] std::string field(std::string_view name) const {
    const std::size_t at = head.find(fmt::format("\r\n{}: ", name));
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
  [[nodiscard]] Json json() const { return Json::parse(body, nullptr, false); }
  [[nodiscard]] std::string code() const { return json().value("/error/code"_json_pointer, std::string()); }
  [[nodiscard]] std::string message() const { return json().value("/error/message"_json_pointer, std::string()); }
  [[nodiscard]] std::string error_field() const { return json().value("/error/field"_json_pointer, std::string()); }
};

inline Response read_response(std::string_view sent) {
  Response response;
  const std::size_t end = sent.find("\r\n\r\n");
  if (end == std::string_view::npos) return response;
  response.head = sent.substr(0, end + 2);
  response.body = sent.substr(end + 4);
  response.status = parse_unsigned<std::uint16_t>(sent.substr(9, 3)).value_or(0);
  return response;
}

struct Asking {
  std::string fields = "";  // further lines, each with its end
  std::string host = "127.0.0.1:9900";
  std::string token = "";
};

struct ApiTest : ::testing::Test {
  static constexpr const char* operator_token = "the operator's token";
  static constexpr const char* app_token = "token of the pool app";
  static constexpr const char* other_token = "token of the pool other";

  Scheduler scheduler{at_ms(0)};
  Scratch scratch;
  WorkerMetrics metrics;
  FakeControl control;
  EventLog events{scheduler, 1};
  Api api{scheduler, scratch, metrics, control, events, Access(Reach::loopback, {}, {})};

  // One client connection after the other, each with a session of its own.
  struct Connection final : SessionHost {
    Connection(ApiTest& test) : SessionHost(test.scheduler, test.scratch, test.metrics, test.api) {
      http.client_half_close = HalfClose::abort;
      auto own = std::make_unique<ScriptedStream>();
      stream = own.get();
      record = own->record();
      session = std::make_unique<Http1Server>(*this, std::move(own), *SocketAddress::parse("127.0.0.1:1000"), Admission::admitted,
                                              StatusPages::off);
    }
    void on_session_ended(Session& /*ended*/) override { session.reset(); }
    [[nodiscard]] std::string take_sent() { return std::exchange(record->sent, ""); }

    ScriptedStream* stream;
    std::shared_ptr<ScriptedStream::Record> record;
    std::unique_ptr<Http1Server> session;
  };
  std::vector<std::unique_ptr<Connection>> connections;

  ApiTest() { configure_messages({.level = LogLevel::error}); }
  ~ApiTest() override {
    for (const auto& connection : connections) {
      if (connection->session) connection->session->abort();
    }
    turn(scheduler);
  }

  void use_tokens(Reach reach = Reach::loopback) {
    api.set_access(Access(reach, {}, {{"", digest_of(operator_token)}, {"app", digest_of(app_token)}, {"other", digest_of(other_token)}}));
  }

  Connection& connect() {
    Connection& connection = *connections.emplace_back(std::make_unique<Connection>(*this));
    connection.session->start();
    return connection;
  }
  // Feeds what is a request, and turns until nothing is ready.
  Response exchange(std::string_view bytes) {
    Connection& connection = connect();
    connection.stream->feed(bytes);
    turn(scheduler);
    return read_response(connection.record->sent);
  }
  static std::string request_text(std::string_view method, std::string_view target, std::string_view body, const Asking& asking) {
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}", method, target, asking.host, asking.fields);
    if (!asking.token.empty()) text += fmt::format("Authorization: Bearer {}\r\n", asking.token);
    if (!body.empty() && asking.fields.find("Content-Type") == std::string::npos) text += "Content-Type: application/json\r\n";
    if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
    return text + "\r\n" + std::string(body);
  }
  Response ask(std::string_view method, std::string_view target, std::string_view body = "", const Asking& asking = {}) {
    return exchange(request_text(method, target, body, asking));
  }
};

inline constexpr const char* server_a = "/v1/pools/app/servers/a";
inline constexpr const char* server_new = "/v1/pools/app/servers/new";
inline constexpr const char* address_body = R"({"address": "10.0.0.5:8001"})";

}  // namespace steelyard::admin
