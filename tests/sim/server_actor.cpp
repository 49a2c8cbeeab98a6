#include "server_actor.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::sim {
namespace {

constexpr std::string_view path_prefix = "/x/";

}  // namespace

// One connection from the proxy.
class ServerActor::Conversation {
 public:
  Conversation(ServerActor& server, Socket socket) : server_(server), net_(server.net_), ledger_(server.ledger_), talker_(server.net_) {
    talker_.on_bytes = [this](std::string_view bytes) { hear(bytes); };
    talker_.on_end = [this] { talker_.close(); };
    talker_.take(std::move(socket));
  }

 private:
  void hear(std::string_view bytes);
  void begin_request();
  void check_demands(const RequestRecord& request);
  void check_complete();
  void check_body(std::string_view bytes);
  void answer();
  void say_answer(int status);
  void break_inside(std::string bytes);
  void after_answer(bool last);
  bool chance(double rate) { return net_.prng.chance(rate); }
  Duration some_time(Duration at_most) { return net_.some_time(at_most); }
  void cut() {
    gone_ = true;
    talker_.cut();
  }

  ServerActor& server_;
  SimNet& net_;
  Ledger& ledger_;
  Talker talker_;
  MessageReader reader_{Direction::request};
  std::uint64_t id_ = 0;
  std::uint64_t requests_ = 0;
  bool head_method_ = false;
  bool health_ = false;
  bool answered_ = false;
  bool gone_ = false;
};

ServerActor::ServerActor(SimNet& net, Ledger& ledger, const SocketAddress& at, std::size_t index)
    : net_(net), ledger_(ledger), at_(at), index_(index) {
  open();
}
ServerActor::~ServerActor() { shut(); }

void ServerActor::on_connection(Socket socket, const SocketAddress& /*from*/) {
  conversations_.push_back(std::make_unique<Conversation>(*this, std::move(socket)));
}

void ServerActor::Conversation::hear(std::string_view bytes) {
  if (gone_) return;
  reader_.feed(bytes);
  while (!gone_ && talker_.open()) {
    const MessageReader::Event event = reader_.next();
    switch (event.kind) {
      case MessageReader::Kind::more: return;
      case MessageReader::Kind::invalid: ledger_.violation("server: not strictly HTTP: {}", reader_.problem()); return cut();
      case MessageReader::Kind::head: begin_request(); break;
      case MessageReader::Kind::body: check_body(event.bytes); break;
      case MessageReader::Kind::complete:
        check_complete();
        if (!answered_ && !gone_) answer();
        break;
    }
  }
}

void ServerActor::Conversation::begin_request() {
  ++requests_;
  answered_ = false;
  const std::string& line = reader_.start_line();
  const std::size_t space = line.find(' ');
  const std::string method = line.substr(0, space);
  const std::string_view target = std::string_view(line).substr(space + 1, line.rfind(' ') - space - 1);
  health_ = target == "/health";
  head_method_ = method == "HEAD";
  if (health_) return;
  const auto id = parse_unsigned<std::uint64_t>(target.substr(std::min(path_prefix.size(), target.size())));
  RequestRecord* const request = target.starts_with(path_prefix) && id ? ledger_.find(*id) : nullptr;
  if (request == nullptr || !request->begun) {
    ledger_.violation("server: a request that nobody sent: {}", line);
    return cut();
  }
  id_ = *id;
  net_.note("server acts on {} {}", method, id_);
  request->acted_on += ledger_.canary == Canary::repeat_posts && method == "POST" ? 2 : 1;
  if (request->method != method) ledger_.violation("server: {} came as {}", id_, line);
  if (request->kind == RequestRecord::Kind::bad_head) ledger_.violation("server: malformed {} was forwarded: {}", id_, line);
  if (request->acted_on > 1 && method == "POST") ledger_.violation("server: POST {} was acted on {} times", id_, request->acted_on);
  const std::string* const tag = reader_.field("X-Tag");
  if (tag == nullptr || *tag != std::to_string(id_)) ledger_.violation("server: {} came with fields of another request", id_);
  check_demands(*request);

  const ServerManners& ways = server_.manners;
  if (chance(ways.deaf)) {
    talker_.stop_reading();
    gone_ = true;
  } else if (chance(ways.reset_before)) {
    cut();
  } else if (chance(ways.early)) {
    request->answered_early = true;
    answer();
  }
}

// Nobody sends a server what it has not promised: not at any time since the request began.
void ServerActor::Conversation::check_demands(const RequestRecord& request) {
  Demands demands;
  for (std::size_t label = 0; label < labels_in_use.size(); ++label) {
    const std::string* const said = reader_.field(labels_in_use[label].field);
    if (said != nullptr) demands[label] = *said;
  }
  if (demands != request.demands) ledger_.violation("server: {} came with other demands than it was sent with", id_);
  if (ledger_.promises.allowed_since(request.begun_at, server_.index_, demands)) return;
  ledger_.violation("server {}: {} demands {}/{}, which it did not promise", server_.index_, id_, demands[0], demands[1]);
}

void ServerActor::Conversation::check_body(std::string_view bytes) {
  if (health_) return;
  if (!belongs(bytes, id_, Direction::request, reader_.body_bytes() - bytes.size())) {
    ledger_.violation("server: the body of {} has bytes that are not its own", id_);
    cut();
  }
}

void ServerActor::Conversation::check_complete() {
  if (health_) return;
  RequestRecord& request = *ledger_.find(id_);
  ++request.completed;
  if (request.kind != RequestRecord::Kind::valid) ledger_.violation("server: {} came complete though it must not be", id_);
  if (reader_.body_bytes() != request.body_bytes) {
    ledger_.violation("server: the body of {} has {} bytes, not {}", id_, reader_.body_bytes(), request.body_bytes);
  }
  const std::string trailers = request.trailers ? fmt::format("X-Trail: {}\r\n", id_) : "";
  if (reader_.trailers() != trailers) ledger_.violation("server: trailers of {}: \"{}\"", id_, reader_.trailers());
}

void ServerActor::Conversation::answer() {
  const ServerManners& ways = server_.manners;
  answered_ = true;
  if (health_) {
    talker_.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return talker_.close();
  }
  if (chance(ways.silent)) {
    gone_ = true;
  } else if (chance(ways.reset_before)) {
    cut();
  } else if (chance(ways.close_before)) {
    gone_ = true;
    talker_.close();
  } else if (chance(ways.garbage)) {
    gone_ = true;
    talker_.say(chance(0.5) ? "SSH-2.0-OpenSSH_9.2\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello");
  } else {
    constexpr int statuses[] = {200, 200, 200, 200, 200, 201, 404, 500, 204, 304};
    say_answer(statuses[net_.prng.below(std::size(statuses))]);
  }
}

void ServerActor::Conversation::say_answer(int status) {
  const ServerManners& ways = server_.manners;
  const Duration delay = chance(ways.slow) ? some_time(2s) : some_time(3ms);
  if (chance(ways.interim)) {
    const bool early_hints = chance(0.5);
    talker_.say(early_hints ? fmt::format("HTTP/1.1 103 Early Hints\r\nX-Tag: {}\r\n\r\n", id_) : "HTTP/1.1 100 Continue\r\n\r\n");
  }
  const bool bodiless = head_method_ || status == 204 || status == 304;
  const std::uint64_t framing = net_.prng.below(8);  // 0: until close, 1 to 3: chunked, else length
  const std::size_t size = bodiless ? 0 : net_.prng.below(net_.prng.below(ways.body_bytes_max) + 1);
  const bool last = (framing == 0 && !bodiless) || chance(ways.close_after);
  std::string body = body_of(ledger_.canary == Canary::swap_bodies ? id_ + 1 : id_, Direction::response, size);
  std::string bytes = fmt::format("HTTP/1.1 {} Whatever\r\nX-Tag: {}\r\nX-Body-Bytes: {}\r\n", status, id_, size);
  if (last) bytes += "Connection: close\r\n";
  if (framing == 0 && !bodiless && ledger_.canary == Canary::short_until_close) body.resize(size / 2);
  if (bodiless) {
    bytes += head_method_ && framing > 3 ? "Content-Length: 1234\r\n\r\n" : "\r\n";
  } else if (framing == 0) {
    bytes += "\r\n" + body;
  } else if (framing <= 3) {
    const std::string trailers = chance(0.3) ? fmt::format("X-Trail: {}\r\n", id_) : "";
    bytes += "Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 1 + net_.prng.below(3000), trailers);
  } else {
    bytes += fmt::format("Content-Length: {}\r\n\r\n{}", size, body);
  }
  talker_.say("", delay);
  // An end in order would make a body without length look complete, so that one is only ever cut.
  const double break_rate = framing == 0 && !bodiless ? ways.reset_inside : ways.reset_inside + ways.close_inside;
  if (chance(break_rate)) return break_inside(std::move(bytes));
  while (chance(ways.slow) && bytes.size() > 10) {
    const std::size_t piece = 1 + net_.prng.below(bytes.size() - 1);
    talker_.say(bytes.substr(0, piece), some_time(500ms));
    bytes.erase(0, piece);
  }
  talker_.say(std::move(bytes));
  after_answer(last);
}

void ServerActor::Conversation::break_inside(std::string bytes) {
  const bool until_close = bytes.find("Content-Length") == std::string::npos && bytes.find("Transfer-Encoding") == std::string::npos;
  const bool in_order = !until_close && server_.manners.close_inside > 0 && chance(0.5);
  bytes.resize(net_.prng.below(bytes.size()));
  gone_ = true;
  talker_.say(std::move(bytes));
  if (in_order) return talker_.close();
  net_.after(some_time(50ms), [this] { talker_.cut(); });
}

void ServerActor::Conversation::after_answer(bool last) {
  if (last) {
    gone_ = true;
    return talker_.close();
  }
  const bool closes = chance(server_.manners.close_idle);
  if (!closes && !chance(server_.manners.babble_idle)) return;
  net_.after(some_time(closes ? Duration{3s} : Duration{100ms}), [this, closes, requests = requests_] {
    if (!talker_.open() || !talker_.all_said()) return;
    if (closes) {
      gone_ = true;
      talker_.close();
    } else if (requests == requests_) {
      talker_.say("what?\r\n");
    }
  });
}

}  // namespace steelyard::sim
