#include "packet_client.hpp"

#include <algorithm>

namespace steelyard::sim {
namespace {

// What no server may see. {} is the packet's id.
constexpr const char* misread_texts[] = {
    "{{\"srcid\": \"{}\", \"type\": \"0\", \"payload\": \"no policy\"}}",
    "{{\"srcid\": \"{}\", \"type\": \"0\", \"privPoliId\": \"\"}}",
    "{{\"srcid\": \"{}\", \"type\": \"0\", \"privPoliId\": \"gold\", \"privPoliId\": \"iron\"}}",
    "{{\"srcid\": \"{}\", \"type\": \"0\", \"privPoliId\": \"gold\", \"privPolyId\": \"gold\"}}",
    "{{\"srcid\": \"{}\", \"type\": \"0\", \"privPoliId\": [\"gold\"]}}",
    "{{\"srcid\": \"{}\", \"type\": \"0\", \"privPoliId\": \"gold\",}}",
    "{{\"srcid\": \"{}\", \"type\": \"9\", \"privPoliId\": \"gold\"}}",
    "{{\"srcid\": \"{}\", \"type\": \"2\", \"destid\": \"1\", \"payloadsize\": 40, \"payload\": \"ack\"}}",
    "[\"{}\"]",
    "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
    "\x16\x03\x01 {}",
};

// A member as it is sent, and as a server must get it.
struct Spelling {
  std::string_view sent;
  std::string_view canonical;
};
constexpr Spelling members[] = {
    {"\"n\":-1.50e+3", "\"n\": -1.50e+3"},
    {"\"list\":[ 1,2 ,{ },[]]", "\"list\": [1, 2, {}, []]"},
    {"\"text\" : \"} {\\\"\\u0041\\/\"", "\"text\": \"} {\\\"A/\""},
    {"\"umlaut\":\"\xc3\xa4\"", "\"umlaut\": \"\\u00e4\""},
    {"\"pair\":\"\\uD83D\\ude00\\t\"", "\"pair\": \"\\ud83d\\ude00\\t\""},
    {"\"deep\":{\"a\":{\"b\":null}}", "\"deep\": {\"a\": {\"b\": null}}"},
};

}  // namespace

PacketClient::PacketClient(SimNet& net, PacketBook& book, const PacketClientManners& manners)
    : net_(net), book_(book), manners_(manners), talker_(net) {
  pipelines_ = chance(manners.pipelines);
  slow_sender_ = chance(manners.slow_sender);
  if (chance(manners.slow_reader)) talker_.set_pace({1 + net.prng.below(400), some_time(20ms)});
  const std::size_t count = 1 + net.prng.below(manners.packets_max);
  for (std::size_t i = 0; i < count; ++i) plan_packet(i + 1 == count);
}

void PacketClient::plan_packet(bool last) {
  PacketRecord record;
  Planned planned;
  planned.id = book_.packets().size();
  record.policy = manners_.policies[net_.prng.below(manners_.policies.size())];
  const bool dense = chance(0.3);
  const std::string_view comma = dense ? "," : chance(0.2) ? " ,\r\n " : ", ";
  const std::string_view colon = dense ? ":" : ": ";
  const bool number = chance(0.3);
  const std::string_view type = number ? "0" : "\"0\"";
  std::string payload;
  for (std::size_t left = net_.prng.below(net_.prng.below(manners_.payload_bytes_max) + 1); left > 0; --left) {
    payload += static_cast<char>('a' + (planned.id + left) % 26);
  }
  planned.text = fmt::format("{{\"srcid\"{0}\"{1}\"{2}\"type\"{0}{3}{2}\"privPoliId\"{0}\"{4}\"{2}\"payload\"{0}\"{5}\"", colon, planned.id,
                             comma, type, record.policy, payload);
  record.canonical = fmt::format("{{\"srcid\": \"{}\", \"type\": {}, \"privPoliId\": \"{}\", \"payload\": \"{}\"", planned.id, type,
                                 record.policy, payload);
  if (chance(0.4)) {
    const Spelling& member = members[net_.prng.below(std::size(members))];
    planned.text += fmt::format("{}{}", comma, member.sent);
    record.canonical += fmt::format(", {}", member.canonical);
  }
  planned.text += "}";
  record.canonical += "}";
  if (last && chance(manners_.misread)) {
    plan_misread(planned, record);
  } else if (chance(manners_.setups)) {
    record.kind = PacketRecord::Kind::setup;
    planned.mute = true;
    planned.text = fmt::format(R"({{"type": "1", "id": "s{}", "privPolyId": "{}", "listenport": "2105"}})", planned.id, record.policy);
  }
  if (chance(0.2)) planned.text.insert(0, chance(0.5) ? "\n" : " \r\n\t");
  book_.add(std::move(record));
  planned_.push_back(std::move(planned));
}

void PacketClient::plan_misread(Planned& planned, PacketRecord& record) {
  record.kind = PacketRecord::Kind::misread;
  const std::size_t way = net_.prng.below(std::size(misread_texts) + 2);
  if (way < std::size(misread_texts)) {
    planned.text = fmt::format(fmt::runtime(misread_texts[way]), planned.id);
  } else if (way == std::size(misread_texts)) {
    planned.text.insert(planned.text.size() - 1, ", \"long\": \"" + std::string(manners_.packet_bytes_max, 'l') + "\"");
  } else {
    planned.text.insert(0, std::string(manners_.packet_bytes_max + 1, ' '));
  }
}

// At some moment, whatever is under way.
void PacketClient::plan_misdeed() {
  const double dice = static_cast<double>(net_.prng.below(1'000'000)) / 1e6;
  const Duration when = some_time(chance(0.5) ? Duration{30ms} : Duration{2s});
  if (dice < manners_.resets) {
    net_.after(when, [this] {
      if (over_) return;
      net_.note("client cuts");
      over_ = true;
      talker_.cut();
    });
  } else if (dice < manners_.resets + manners_.leaves) {
    net_.after(when, [this] { leave(); });
  } else if (dice < manners_.resets + manners_.leaves + manners_.half_closes) {
    net_.after(when, [this] {
      if (over_ || !talker_.connected()) return;
      net_.note("client half-closes");
      half_closed_ = true;
      talker_.end();
    });
  } else if (dice < manners_.resets + manners_.leaves + manners_.half_closes + manners_.stalls) {
    net_.after(when, [this] { stalled_ = true; });
  }
}

void PacketClient::start(const SocketAddress& from, const SocketAddress& to) {
  talker_.on_connected = [this] { send_next(); };
  talker_.on_bytes = [this](std::string_view bytes) { hear(bytes); };
  talker_.on_end = [this] { take_end(); };
  plan_misdeed();
  talker_.connect(from, to);
}

void PacketClient::send_next() {
  while (!over_ && !half_closed_ && !refused_ && sent_ < planned_.size() && (pipelines_ || sent_ == answered_)) {
    Planned& planned = planned_[sent_++];
    PacketRecord& record = *book_.find(planned.id);
    record.begun = true;
    record.begun_at = net_.now();
    planned.begins_at = said_;
    planned.ends_at = said_ + planned.text.size();
    net_.note("client sends {}", planned.id);
    say_in_pieces(planned.text);
    while (answered_ < sent_ && planned_[answered_].mute) ++answered_;
  }
  if (answered_ == planned_.size() && !refused_) go_on();
}

void PacketClient::say_in_pieces(std::string bytes) {
  said_ += bytes.size();
  while (!bytes.empty() && !stalled_) {
    const std::size_t piece = chance(0.5) ? bytes.size() : 1 + net_.prng.below(bytes.size());
    talker_.say(bytes.substr(0, piece), slow_sender_ ? some_time(300ms) : some_time(Duration{200'000}));
    bytes.erase(0, piece);
  }
}

void PacketClient::hear(std::string_view bytes) {
  if (over_) return;
  heard_ += bytes;
  while (!over_ && !heard_.empty()) {
    const std::size_t count = object_bytes(heard_);
    if (count == std::string::npos) return fail("what came is no object");
    if (count == 0) return;
    const std::string text = heard_.substr(0, count);
    heard_.erase(0, count);
    take_object(text);
  }
}

void PacketClient::take_object(const std::string& text) {
  if (refused_) return fail("an answer after the last one");
  if (text.starts_with("{\"status\": ")) {
    const Instant since = sent_ == 0 ? net_.now() : book_.find(planned_.front().id)->begun_at;
    if (!book_.ever_since(since, [](const PacketOptions& options) { return options.says_why; })) return fail("was told why, unasked");
    net_.note("client is refused: {}", text);
    refused_ = true;
    return;
  }
  if (answered_ >= sent_ || talker_.said_bytes() <= planned_[answered_].begins_at) return fail("an answer that nobody asked for");
  PacketRecord& record = *book_.find(planned_[answered_].id);
  const auto answer = book_.answers.find(text);
  if (answer == book_.answers.end()) return fail("an answer that no server gave: " + text);
  if (record.kind != PacketRecord::Kind::valid) return fail("a server answered what it must not see");
  if (answer->second.packet != planned_[answered_].id) {
    const bool may_be_stray = book_.babbled[answer->second.conversation] &&
                              book_.ever_since(Instant{}, [](const PacketOptions& options) { return options.keeps_servers; });
    if (!may_be_stray) return fail(fmt::format("the answer to {}", answer->second.packet));
    ++book_.strays;
  }
  record.answered = true;
  net_.note("client has an answer for {}", planned_[answered_].id);
  ++answered_;
  while (answered_ < sent_ && planned_[answered_].mute) ++answered_;
  if (answered_ == planned_.size()) return go_on();
  net_.after(some_time(5ms), [this] { send_next(); });
}

// All has been answered.
void PacketClient::go_on() {
  // A setup's outcome cannot be heard: it gets some time.
  if (chance(manners_.stays)) return;
  net_.after(planned_.back().mute ? some_time(100ms) : Duration{0}, [this] { leave(); });
}

void PacketClient::take_end() {
  if (over_) return;
  net_.note("client: the connection {}", talker_.was_reset() ? "was reset" : "has ended");
  if (!heard_.empty() && !talker_.was_reset()) return fail("the connection ended in order inside an answer");
  over_ = true;
  if (answered_ < sent_) {
    const Planned& planned = planned_[answered_];
    // A connection that was idle may be closed while the next packet is on the way: nobody's fault.
    const bool too_late = talker_.peer_closed_after() <= planned.begins_at;
    const bool aborted = half_closed_ && manners_.half_close_aborts;
    const bool by_setup = answered_ > 0 && planned_[answered_ - 1].mute;
    book_.find(planned.id)->closed_on = talker_.connected() && !talker_.disturbed() && !too_late && !aborted && !by_setup &&
                                        !drain_expected_ && !refused_ && talker_.said_bytes() >= planned.ends_at;
  }
  talker_.close();
}

void PacketClient::leave() {
  if (over_) return;
  net_.note("client leaves");
  over_ = true;
  talker_.close();
}

void PacketClient::fail(const std::string& what) {
  const std::string due = answered_ < planned_.size() ? fmt::format("{}", planned_[answered_].id) : "none";
  book_.violation("client, due is {}: {}", due, what);
  net_.note("client fails: {}", what);
  over_ = true;
  talker_.cut();
}

void PacketClient::settle() {
  for (std::size_t i = 0; i < sent_; ++i) book_.find(planned_[i].id)->fully_sent = talker_.said_bytes() >= planned_[i].ends_at;
}

std::string PacketClient::where_it_stands() const {
  if (answered_ >= planned_.size()) return "all answered, open";
  return fmt::format("waits for {}, said {} of {} bytes, {} of its connection", planned_[answered_].id, talker_.said_bytes(),
                     planned_[answered_].ends_at, talker_.connected() ? "sure" : "not sure");
}

}  // namespace steelyard::sim
