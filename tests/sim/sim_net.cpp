#include "sim_net.hpp"

#include <algorithm>
#include <cstdio>

namespace steelyard::sim {
namespace {

constexpr Instant beginning{1'000'000'000'000};
constexpr std::size_t notes_kept = 60;
constexpr std::size_t segment_bytes_max = 4096;
constexpr Happened everything{.readable = true, .writable = true, .peer_ended = true, .broken = true};

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  close();
  link_ = std::exchange(other.link_, nullptr);
  side_ = other.side_;
  return *this;
}

void Socket::attach(SocketOwner* owner) {
  End& me = mine();
  me.owner = owner;
  if (owner == nullptr) return;
  if (link_->connect_error != ErrorKind::would_block) return link_->net->tell_after(Duration{0}, link_, side_, everything);
  if (!link_->established) return;
  const Happened before{
      .readable = !me.inbox.empty() || me.ended || me.reset, .writable = true, .peer_ended = me.ended || me.reset, .broken = me.reset};
  link_->net->tell_after(Duration{0}, link_, side_, before);
}

Result<std::size_t> Socket::read(std::span<char> into) {
  End& me = mine();
  SimNet& net = *link_->net;
  if (me.inbox.empty()) {
    if (me.reset) return fail(ErrorKind::reset);
    if (me.ended) return std::size_t{0};
    return fail(ErrorKind::would_block);
  }
  std::size_t count = std::min(into.size(), me.inbox.size());
  if (count > 1 && net.prng.chance(net.faults.short_read)) {
    // As if the rest had arrived a moment later.
    count = 1 + net.prng.below(count - 1);
    net.tell_after(net.some_time(1ms), link_, side_, {.readable = true});
  }
  std::copy_n(me.inbox.data(), count, into.data());
  me.inbox.erase(0, count);
  if (other().starved) {
    other().starved = false;
    net.tell_after(other().latency, link_, 1 - side_, {.writable = true});
  }
  return count;
}

Result<std::size_t> Socket::write(std::span<const char> bytes) {
  End& me = mine();
  End& peer = other();
  SimNet& net = *link_->net;
  if (me.reset || me.write_shut) return fail(ErrorKind::reset);
  const std::size_t used = peer.inbox.size() + peer.on_the_way;
  const std::size_t room = link_->established && used < peer.window ? peer.window - used : 0;
  if (room == 0) {
    me.starved = true;
    return fail(ErrorKind::would_block);
  }
  std::size_t count = std::min(room, bytes.size());
  if (count > 1 && net.prng.chance(net.faults.short_write)) count = 1 + net.prng.below(count - 1);
  if (count < bytes.size()) {
    if (count == room) {
      me.starved = true;
    } else {
      net.tell_after(net.some_time(1ms), link_, side_, {.writable = true});
    }
  }
  me.sent_bytes += count;
  for (std::size_t at = 0; at < count;) {
    const std::size_t piece = std::min(count - at, 1 + net.prng.below(segment_bytes_max));
    net.send(link_, 1 - side_, std::string(bytes.data() + at, piece));
    at += piece;
  }
  return count;
}

void Socket::shutdown_write() {
  End& me = mine();
  if (me.write_shut || me.reset || !link_->established) return;
  me.write_shut = true;
  me.arrived_at_shut = me.arrived_bytes;
  link_->net->send_end(link_, 1 - side_);
  // Both directions have ended: what epoll calls a hang-up.
  if (me.ended) link_->net->tell_after(Duration{0}, link_, side_, everything);
}

void Socket::close() {
  if (link_ == nullptr) return;
  End& me = mine();
  me.owner = nullptr;
  if (link_->established && !me.reset && !me.inbox.empty()) return reset();
  me.closed = true;
  if (link_->established && !me.reset && !me.write_shut) {
    me.write_shut = true;
    me.arrived_at_shut = me.arrived_bytes;
    link_->net->send_end(link_, 1 - side_);
  }
  link_ = nullptr;
}

void Socket::reset() {
  if (link_ == nullptr) return;
  End& me = mine();
  me.owner = nullptr;
  me.closed = true;
  if (link_->established && !me.reset) link_->net->send_reset(link_, 1 - side_);
  link_ = nullptr;
}

void Socket::break_off() {
  End& me = mine();
  shutdown_write();
  me.ended = true;
  me.write_shut = true;
  link_->net->tell_after(Duration{0}, link_, side_, everything);
}

Result<void> Socket::connect_result() const {
  if (link_->established) return {};
  return fail(link_->connect_error);
}

SimNet::SimNet(std::uint64_t seed, Trace trace) : prng(seed), scheduler_(beginning), trace_(trace) {}
SimNet::~SimNet() = default;

void SimNet::after(Duration delay, std::function<void()> what) {
  const Instant at = now() + delay;
  events_.emplace(std::pair(at.ns, ++event_count_), std::move(what));
}

bool SimNet::step() {
  const Instant timer = scheduler_.timers().next();
  const Instant event = events_.empty() ? never : Instant{events_.begin()->first.first};
  // What was begun from outside, between two steps, or waits for its next turn, belongs to the time of now.
  const Instant next = scheduler_.has_ready() ? now() : std::min(timer, event);
  if (next == never) return false;
  ++steps_;
  scheduler_.advance(next);
  scheduler_.run_ready();
  if (!events_.empty() && events_.begin()->first.first <= now().ns) {
    const auto what = std::move(events_.extract(events_.begin()).mapped());
    what();
    scheduler_.run_woken();
  }
  return true;
}

void SimNet::run_for(Duration time) {
  bool over = false;
  after(time, [&over] { over = true; });
  while (!over) step();
}

Duration SimNet::some_time(Duration at_most) {
  return Duration(static_cast<std::int64_t>(prng.below(static_cast<std::uint64_t>(at_most.count()) + 1)));
}

// Bytes overtake each other nowhere.
Instant SimNet::arrival(End& to) {
  to.last_arrival = std::max(to.last_arrival, now() + to.latency + some_time(to.latency / 4));
  return to.last_arrival;
}

void SimNet::tell(const std::shared_ptr<Link>& link, int side, Happened happened) {
  SocketOwner* const owner = link->ends[side].owner;
  note("link {} end {}: {}{}{}{}", link->id, side, happened.readable ? "readable " : "", happened.writable ? "writable " : "",
       happened.peer_ended ? "ended " : "", happened.broken ? "broken" : "");
  if (owner != nullptr) owner->on_events(happened);
}

void SimNet::tell_after(Duration delay, const std::shared_ptr<Link>& link, int side, Happened happened) {
  after(delay, [this, link, side, happened] {
    if (!link->ends[side].closed) tell(link, side, happened);
  });
}

void SimNet::send(const std::shared_ptr<Link>& link, int to, std::string bytes) {
  End& target = link->ends[to];
  target.on_the_way += bytes.size();
  after(arrival(target) - now(), [this, link, to, epoch = target.epoch, bytes = std::move(bytes)] {
    End& end = link->ends[to];
    if (end.epoch != epoch) return;
    end.on_the_way -= bytes.size();
    if (end.reset) return;
    if (end.closed) return send_reset(link, 1 - to);
    end.inbox += bytes;
    end.arrived_bytes += bytes.size();
    note("link {} end {}: {} bytes arrive, hash {:x}", link->id, to, bytes.size(), std::hash<std::string_view>{}(bytes));
    tell(link, to, {.readable = true});
  });
}

void SimNet::send_end(const std::shared_ptr<Link>& link, int to) {
  after(arrival(link->ends[to]) - now(), [this, link, to, epoch = link->ends[to].epoch] {
    End& end = link->ends[to];
    if (end.epoch != epoch || end.reset || end.closed) return;
    end.ended = true;
    tell(link, to, {.readable = true, .writable = end.write_shut, .peer_ended = true, .broken = end.write_shut});
  });
}

void SimNet::send_reset(const std::shared_ptr<Link>& link, int to) {
  End& target = link->ends[to];
  if (prng.chance(0.5)) {  // what was on the way is lost
    ++target.epoch;
    target.last_arrival = now();
  }
  after(arrival(target) - now(), [this, link, to] {
    End& end = link->ends[to];
    if (end.closed || end.reset) return;
    end.reset = true;
    // Some systems let a program read what had arrived before, others do not.
    if (prng.chance(0.5)) end.inbox.clear();
    tell(link, to, everything);
  });
}

Socket SimNet::connect(const SocketAddress& from, const SocketAddress& to, Dialler dialler) {
  auto link = std::make_shared<Link>();
  link->id = ++link_count_;
  link->net = this;
  for (End& end : link->ends) {
    end.window = faults.window_min + prng.below(faults.window_max - faults.window_min + 1);
    end.latency = some_time(faults.latency_max);
  }
  const Duration round_trip = link->ends[0].latency + link->ends[1].latency;
  const bool by_proxy = dialler == Dialler::proxy;
  if (by_proxy && prng.chance(faults.hang)) {
    note("link {}: connect to {} hangs", link->id, to.to_string());
  } else if (by_proxy && prng.chance(faults.refused)) {
    after(round_trip, [this, link] { refuse(link); });
  } else {
    after(round_trip, [this, link, from, to] { establish(link, from, to); });
  }
  return {std::move(link), 0};
}

void SimNet::establish(const std::shared_ptr<Link>& link, const SocketAddress& from, const SocketAddress& to) {
  if (link->ends[0].closed) return;
  const auto port = ports_.find(to);
  if (port == ports_.end()) return refuse(link);
  link->established = true;
  note("link {}: {} -> {} established", link->id, from.to_string(), to.to_string());
  if (prng.chance(faults.reset)) {
    after(some_time(2s), [this, link] {
      note("link {}: reset by the network", link->id);
      link->disturbed = true;
      send_reset(link, 0);
      send_reset(link, 1);
    });
  }
  port->second->on_connection(Socket(link, 1), from);
  tell_after(Duration{0}, link, 0, {.writable = true});
}

void SimNet::refuse(const std::shared_ptr<Link>& link) {
  if (link->ends[0].closed) return;
  link->connect_error = ErrorKind::refused;
  tell(link, 0, everything);
}

void SimNet::take_note(std::string text) {
  std::string line = fmt::format("{:>14.6f} {}", static_cast<double>((now() - beginning).count()) / 1e9, text);
  for (const char c : line) trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  if (trace_ == Trace::on) std::fprintf(stderr, "%s\n", line.c_str());
  notes_.push_back(std::move(line));
  if (notes_.size() > notes_kept) notes_.pop_front();
}

std::string SimNet::last_notes() const {
  std::string text;
  for (const std::string& line : notes_) text += line + "\n";
  return text;
}

}  // namespace steelyard::sim
