#include "backend/packet_client.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "backend/digest.hpp"
#include "backend/packet_stream.hpp"
#include "wire/json/canonical.hpp"
#include "wire/packet/message.hpp"

namespace steelyard::backend {
namespace {

std::string canonical(std::string_view text) {
  std::string out;
  json::write_canonical(text, out);
  return out;
}

// A text as it can be shown on a terminal.
std::string quote(std::string_view text) {
  std::string out;
  json::write_string(text, out);
  if (out.size() > shown_bytes_max) out = out.substr(0, shown_bytes_max) + "…\"";
  return out;
}

// The object with that "srcid".
std::string with_source(const json::Object& object, std::string_view source) {
  std::string quoted_source;
  json::write_string(source, quoted_source);
  const json::Member* const member = object.find("srcid");
  if (member == nullptr) {
    const std::size_t begin = object.text.find('{') + 1;
    const std::string_view separator = object.members.empty() ? "" : ", ";
    return fmt::format("{}\"srcid\": {}{}{}", object.text.substr(0, begin), quoted_source, separator, object.text.substr(begin));
  }
  const std::size_t quote = member->kind == json::Kind::string ? 1 : 0;
  return fmt::format("{}{}{}", object.text.substr(0, member->value.begin - quote), quoted_source,
                     object.text.substr(member->value.end + quote));
}

std::expected<OutgoingPacket, std::string> read_packet(const json::Object& object, std::string_view source) {
  const auto message = packet::parse_message(object);
  if (!message) return std::unexpected(message.error());
  const auto* const data = std::get_if<packet::Data>(&*message);
  if (data == nullptr) return std::unexpected("Its type is not \"0\": a client sends data.");
  auto payload = packet::text_of(object, "payload");
  if (!payload) return std::unexpected("It has no payload that is a string.");
  OutgoingPacket packet{.text = {}, .source = data->source, .policy = data->policy, .payload = std::move(*payload)};
  if (!source.empty()) packet.source = source;
  packet.text = canonical(source.empty() ? object.text : with_source(object, source));
  return packet;
}

// One connection and what comes of it.
class Client final : private Fiber::Owner {
 public:
  explicit Client(const PacketClientOptions& options) : options_(options), connector_(loop_), fiber_(loop_.scheduler(), *this) {}

  // The sentence says what went wrong.
  std::expected<void, std::string> run() {
    fiber_.start(converse());
    if (fiber_.running()) loop_.run();
    if (!problem_.empty()) return std::unexpected(problem_);
    return {};
  }

 private:
  Task<void> converse() {
    restart_deadline();
    auto stream = co_await open_stream(connector_, options_.proxy);
    if (!stream) {
      problem_ = fmt::format("cannot connect to {}: {}. Is the proxy running, and is that its packet listener?", options_.proxy.to_string(),
                             describe(stream.error()));
      co_return;
    }
    PacketStream packets(std::move(*stream));
    for (std::uint64_t round = 0; round < options_.count && problem_.empty(); ++round) {
      for (const OutgoingPacket& packet : options_.packets) {
        ++number_;
        co_await exchange(packets, packet);
        if (!problem_.empty()) break;
      }
    }
  }

  Task<void> exchange(PacketStream& packets, const OutgoingPacket& packet) {
    restart_deadline();
    const auto sent = co_await packets.send(packet.text);
    // A proxy that has closed the connection may have said why before.
    const auto answer = co_await packets.receive();
    if (!answer) {
      give_up(packet, explain(packet, sent ? answer.error() : PacketEnd{PacketEnd::Kind::failed, describe(sent.error())}));
      co_return;
    }
    check(packet, *answer);
  }

  void check(const OutgoingPacket& packet, const json::Object& object) {
    const auto message = packet::parse_message(object);
    const auto* const ack = message ? std::get_if<packet::Ack>(&*message) : nullptr;
    if (ack == nullptr) return give_up(packet, fmt::format("the proxy answered {}", canonical(object.text).substr(0, shown_bytes_max)));
    const std::string expected = fmt::format("{:02x}", fmt::join(sha1(packet.payload), ""));
    if (ack->payload != expected) {
      return give_up(packet, fmt::format("the answer of server {} is {}, but the SHA-1 of the payload is {}", quote(ack->source),
                                         quote(ack->payload), expected));
    }
    if (ack->destination != packet.source) {
      return give_up(packet, fmt::format("the answer of server {} is for {}", quote(ack->source), quote(ack->destination)));
    }
    fmt::print("packet {} of {}: policy {}, payload {}: served by {}, SHA-1 {} checked\n", number_, quote(packet.source),
               quote(packet.policy), quote(packet.payload), quote(ack->source), expected);
    std::fflush(stdout);
  }

  static std::string explain(const OutgoingPacket& packet, const PacketEnd& end) {
    if (end.kind == PacketEnd::Kind::refused) return fmt::format("what came is no answer. {}", end.sentence);
    if (end.kind != PacketEnd::Kind::closed) return fmt::format("there is no answer: {}", end.sentence);
    return fmt::format(
        "there is no answer: the proxy closed the connection. Either no server with policy {} could take it, or the proxy "
        "refused the packet; its log says which",
        quote(packet.policy));
  }

  void give_up(const OutgoingPacket& packet, std::string_view sentence) {
    problem_ = fmt::format("packet {} of {}: {}", number_, quote(packet.source), sentence);
  }

  void restart_deadline() { fiber_.set_deadline(loop_.scheduler().now() + options_.timeout); }
  void on_finished(Fiber& /*fiber*/) override { loop_.stop(); }

  const PacketClientOptions& options_;
  EpollLoop loop_;
  EpollConnector connector_;
  std::uint64_t number_ = 0;  // of the packet under way
  std::string problem_;
  Fiber fiber_;
};

}  // namespace

std::expected<std::vector<OutgoingPacket>, std::string> read_packets(std::string_view text, std::string_view source) {
  std::vector<OutgoingPacket> packets;
  const std::string_view whole = text;
  const auto wrong = [&](std::size_t offset, std::string_view sentence) {
    const auto line = 1 + std::ranges::count(whole.substr(0, whole.size() - text.size() + offset), '\n');
    return std::unexpected(fmt::format("packet {} (line {}): {}", packets.size() + 1, line, sentence));
  };
  for (json::ObjectScanner scanner; !text.empty(); scanner.reset()) {
    const auto taken = scanner.feed(text);
    if (!taken) return wrong(taken.error().offset, taken.error().reason);
    if (*taken == 0 && scanner.blank()) break;
    if (*taken == 0) return wrong(text.size(), "The object is not complete: a } is missing.");
    if (*taken > PacketStream::packet_bytes_max) return wrong(0, "It is longer than a proxy could ever take.");
    auto packet = read_packet(scanner.object(text), source);
    if (!packet) return wrong(*taken - 1, packet.error());
    packets.push_back(std::move(*packet));
    text.remove_prefix(*taken);
  }
  if (packets.empty()) return std::unexpected("there is no packet in it");
  return packets;
}

int run_packet_client(const PacketClientOptions& options) {
  Client client(options);
  const auto done = client.run();
  if (done) return 0;
  fmt::print(stderr, "steelyard packet client: {}\n", done.error());
  return 1;
}

}  // namespace steelyard::backend
