#include "packet_server_actor.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::sim {
namespace {

constexpr std::string_view packet_prefix = "{\"srcid\": \"";

}  // namespace

// One connection from the proxy.
class PacketServerActor::Conversation {
 public:
  Conversation(PacketServerActor& server, Socket socket)
      : server_(server), net_(server.net_), book_(server.book_), talker_(server.net_), number_(server.book_.babbled.size()) {
    book_.babbled.push_back(false);
    talker_.on_bytes = [this](std::string_view bytes) { hear(bytes); };
    talker_.on_end = [this] { talker_.close(); };
    talker_.take(std::move(socket));
  }
  void cut() {
    gone_ = true;
    talker_.cut();
  }

 private:
  void hear(std::string_view bytes);
  void identify();
  void begin_packet();
  void complete_packet();
  void answer();
  void say_answer();
  std::string new_answer();
  void after_answer();
  void misunderstand();
  bool chance(double rate) { return net_.prng.chance(rate); }
  Duration some_time(Duration at_most) { return net_.some_time(at_most); }

  PacketServerActor& server_;
  SimNet& net_;
  PacketBook& book_;
  Talker talker_;
  const std::size_t number_;
  std::string heard_;
  bool identified_ = false;
  std::uint64_t id_ = 0;
  std::uint64_t packets_ = 0;
  bool answered_ = false;
  bool gone_ = false;
};

PacketServerActor::PacketServerActor(SimNet& net, PacketBook& book, const SocketAddress& at, std::size_t index)
    : net_(net), book_(book), at_(at), index_(index) {
  open();
}
PacketServerActor::~PacketServerActor() { shut(); }

void PacketServerActor::on_connection(Socket socket, const SocketAddress& /*from*/) {
  conversations_.push_back(std::make_unique<Conversation>(*this, std::move(socket)));
}

void PacketServerActor::crash() {
  shut();
  for (const auto& conversation : conversations_) conversation->cut();
}

void PacketServerActor::Conversation::hear(std::string_view bytes) {
  if (gone_) return;
  heard_ += bytes;
  if (!identified_) identify();
  if (gone_ || !identified_) return;
  const std::string& canonical = book_.find(id_)->canonical;
  const std::size_t count = std::min(heard_.size(), canonical.size());
  if (heard_.compare(0, count, canonical, 0, count) != 0) {
    book_.violation("server: {} came as {} instead of {}", id_, heard_, canonical);
    return cut();
  }
  if (heard_.size() > count) {
    book_.violation("server: more than one packet at once: {}", heard_);
    return cut();
  }
  if (count == canonical.size()) complete_packet();
}

void PacketServerActor::Conversation::identify() {
  const std::size_t count = std::min(heard_.size(), packet_prefix.size());
  const std::size_t end = heard_.find('"', packet_prefix.size());
  if (heard_.compare(0, count, packet_prefix, 0, count) != 0) {
    book_.violation("server: no packet of a client: {}", heard_);
    return cut();
  }
  if (end == std::string::npos) return;
  const auto id = parse_unsigned<std::uint64_t>(std::string_view(heard_).substr(count, end - count));
  const PacketRecord* const packet = id ? book_.find(*id) : nullptr;
  if (packet == nullptr || !packet->begun || packet->kind != PacketRecord::Kind::valid) {
    book_.violation("server: a packet that no server may see: {}", heard_);
    return cut();
  }
  id_ = *id;
  identified_ = true;
  begin_packet();
}

void PacketServerActor::Conversation::begin_packet() {
  ++packets_;
  answered_ = false;
  PacketRecord& packet = *book_.find(id_);
  net_.note("server {} gets {}", server_.index_, id_);
  packet.reached.push_back(server_.index_);
  if (book_.canary == PacketCanary::reach_twice) packet.reached.push_back(server_.index_ + 1);
  // What arrives now left the proxy at most so long ago, and its server was chosen by what was true then.
  const Instant left_at = net_.now() + (-net_.faults.latency_max * 5 / 4 - 5ms);
  if (!book_.promises.allowed_since(std::max(packet.begun_at, left_at), server_.index_, demands_of(packet.policy))) {
    book_.violation("server {}: {} demands {}, which it does not promise", server_.index_, id_, packet.policy);
  }
  const PacketServerManners& ways = server_.manners;
  if (chance(ways.deaf)) {
    talker_.stop_reading();
    gone_ = true;
  } else if (chance(ways.reset_before)) {
    cut();
  } else if (chance(ways.early)) {
    answer();
  }
}

void PacketServerActor::Conversation::complete_packet() {
  heard_.clear();
  identified_ = false;
  if (!answered_) return answer();
  // It took what followed its answer for something else.
  if (chance(server_.manners.early)) misunderstand();
}

void PacketServerActor::Conversation::misunderstand() {
  book_.babbled[number_] = true;
  talker_.say(new_answer(), some_time(20ms));
}

std::string PacketServerActor::Conversation::new_answer() {
  const std::uint64_t whose = book_.canary == PacketCanary::swap_answers ? id_ + 1 : id_;
  const std::string padding(net_.prng.below(net_.prng.below(server_.manners.answer_bytes_max) + 1), 'p');
  const std::string canonical = fmt::format(R"({{"type": "2", "srcid": "{}", "destid": "{}", "payloadsize": 40, "payload": "{}{}"}})",
                                            server_.index_, id_, book_.answers.size(), padding);
  book_.answers[canonical] = {whose, number_};
  if (!chance(0.3)) return canonical;
  std::string dense = canonical;
  std::erase(dense, ' ');
  return chance(0.5) ? "\n" + dense : dense;
}

void PacketServerActor::Conversation::answer() {
  const PacketServerManners& ways = server_.manners;
  answered_ = true;
  if (chance(ways.silent)) {
    gone_ = true;
  } else if (chance(ways.reset_before)) {
    cut();
  } else if (chance(ways.close_before)) {
    gone_ = true;
    talker_.close();
  } else if (chance(ways.garbage)) {
    gone_ = true;
    talker_.say(chance(0.5) ? "SSH-2.0-OpenSSH_9.2\r\n" : R"({"type": "2", "type": "2"})");
  } else if (chance(ways.too_large)) {
    gone_ = true;
    talker_.say("{\"payload\": \"" + std::string(ways.packet_bytes_max, 'x') + "\"}");
  } else {
    say_answer();
  }
}

void PacketServerActor::Conversation::say_answer() {
  const PacketServerManners& ways = server_.manners;
  std::string bytes = new_answer();
  talker_.say("", chance(ways.slow) ? some_time(ways.slow_max) : some_time(3ms));
  if (chance(ways.reset_inside + ways.close_inside)) {
    bytes.resize(net_.prng.below(bytes.size()));
    gone_ = true;
    talker_.say(std::move(bytes));
    if (chance(0.5)) return talker_.close();
    net_.after(some_time(50ms), [this] { talker_.cut(); });
    return;
  }
  if (chance(ways.twice)) {
    book_.babbled[number_] = true;
    bytes += new_answer();
  }
  while (chance(ways.slow) && bytes.size() > 10) {
    const std::size_t piece = 1 + net_.prng.below(bytes.size() - 1);
    talker_.say(bytes.substr(0, piece), some_time(ways.slow_max / 4));
    bytes.erase(0, piece);
  }
  talker_.say(std::move(bytes));
  after_answer();
}

void PacketServerActor::Conversation::after_answer() {
  if (chance(server_.manners.close_after)) {
    gone_ = true;
    return talker_.close();
  }
  const bool closes = chance(server_.manners.close_idle);
  if (!closes && !chance(server_.manners.babble_idle)) return;
  net_.after(some_time(closes ? Duration{3s} : Duration{100ms}), [this, closes] {
    if (!talker_.open() || !talker_.all_said()) return;
    if (closes) {
      gone_ = true;
      talker_.close();
    } else {
      book_.babbled[number_] = true;
      talker_.say(new_answer());
    }
  });
}

}  // namespace steelyard::sim
