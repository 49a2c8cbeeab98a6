#include "upstream/dns_channel.hpp"

#include <ares.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace steelyard {
namespace {

// Then the loop has its turn again, whatever comes in.
constexpr int rounds_max = 16;

int milliseconds(Duration duration) { return static_cast<int>(std::clamp<std::int64_t>(duration / 1ms, 1, 60'000)); }

ares_addr_port_node node_of(const SocketAddress& server) {
  ares_addr_port_node node{};
  node.family = server.ip.is_v6() ? AF_INET6 : AF_INET;
  std::memcpy(&node.addr, server.ip.bytes().data(), server.ip.is_v6() ? 16 : 4);
  node.udp_port = node.tcp_port = server.port;
  return node;
}

int use_servers(ares_channel channel, const std::vector<SocketAddress>& servers) {
  std::vector<ares_addr_port_node> nodes;
  nodes.reserve(servers.size());
  for (const SocketAddress& server : servers) {
    nodes.push_back(node_of(server));
    if (nodes.size() > 1) nodes[nodes.size() - 2].next = &nodes.back();
  }
  return ares_set_servers_ports(channel, nodes.data());
}

}  // namespace

template <typename Record>
class DnsChannel::Asked final : public DnsQuestion {
 public:
  explicit Asked(Done<Record> done) : done_(std::move(done)) {}
  DnsAnswer<Record> answer;

 private:
  void deliver() override { done_(std::move(answer)); }
  Done<Record> done_;
};

// What c-ares holds while it works on a question, and gives back exactly once.
template <typename Record>
struct DnsChannel::Pending {
  DnsChannel& channel;
  std::weak_ptr<Asked<Record>> question;
  std::string_view kind{};

  void give(DnsAnswer<Record> answer) const {
    const auto asked = question.lock();
    if (!asked) return;
    asked->answer = std::move(answer);
    channel.answered_.push_back(asked);
  }
};

DnsChannel::DnsChannel(EpollLoop& loop, const ResolveOptions& options) : loop_(loop), options_(options) {
  SY_ASSERT(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
  sockets_ = epoll_create1(EPOLL_CLOEXEC);
  SY_ASSERT(sockets_ >= 0 && loop_.add(sockets_, *this));
  resolv_conf_ = stamp_of(options_.resolv_conf);
  channel_ = open();
  SY_ASSERT(channel_ != nullptr);
}

DnsChannel::~DnsChannel() {
  SY_ASSERT(!delivering_);
  ares_destroy(channel_);
  loop_.remove(sockets_, *this);
  close(sockets_);
  ares_library_cleanup();
}

// nullptr without memory for it.
ares_channeldata* DnsChannel::open() {
  ares_options wanted{};
  // Aliases would come from a file that an environment variable names.
  wanted.flags = ARES_FLAG_NOALIASES;
  wanted.timeout = milliseconds(options_.timeout);
  wanted.tries = static_cast<int>(std::clamp<std::uint32_t>(options_.tries, 1, 100));
  wanted.udp_port = wanted.tcp_port = options_.resolv_conf_port;
  wanted.sock_state_cb = &DnsChannel::on_socket;
  wanted.sock_state_cb_data = this;
  // "b": DNS alone. The file is asked before (name_lookup.cpp), so that what comes from it can be told from an answer with TTL 0.
  std::string lookups = "b";
  wanted.lookups = lookups.data();
  std::string resolv_conf = options_.servers.empty() ? options_.resolv_conf : "/dev/null";
  wanted.resolvconf_path = resolv_conf.data();
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT | ARES_OPT_SOCK_STATE_CB |
             ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF;
  if (!options_.servers.empty()) mask |= ARES_OPT_DOMAINS;  // none
  ares_channel opened = nullptr;
  if (ares_init_options(&opened, &wanted, mask) != ARES_SUCCESS) return nullptr;
  if (!options_.servers.empty() && use_servers(opened, options_.servers) != ARES_SUCCESS) {
    ares_destroy(opened);
    return nullptr;
  }
  return opened;
}

DnsChannel::Stamp DnsChannel::stamp_of(const std::string& file) {
  struct stat found{};
  if (stat(file.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size, found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec};
}

// A machine that has moved to another network has other servers. Questions under way to the old ones end as failed.
void DnsChannel::reopen_if_changed() {
  if (!options_.servers.empty()) return;
  const Stamp now = stamp_of(options_.resolv_conf);
  if (now == resolv_conf_) return;
  const ares_channel opened = open();
  if (opened == nullptr) return;
  ares_destroy(std::exchange(channel_, opened));
  resolv_conf_ = now;
}

DnsChannel::QuestionHandle DnsChannel::ask_addresses(const std::string& name, AddressKind kind, Done<IpAddress> done) {
  reopen_if_changed();
  auto asked = std::make_shared<Asked<IpAddress>>(std::move(done));
  auto* const pending = new Pending<IpAddress>{*this, asked, kind == AddressKind::ipv4 ? "IPv4 address" : "IPv6 address"};
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT;  // sorting would try what routes there are
  hints.ai_family = kind == AddressKind::ipv4 ? AF_INET : AF_INET6;
  const auto answered = [](void* argument, int status, int /*timeouts*/, ares_addrinfo* found) {
    const std::unique_ptr<Pending<IpAddress>> back(static_cast<Pending<IpAddress>*>(argument));
    back->give(read_addresses(status, found, back->kind));
    ares_freeaddrinfo(found);
  };
  ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, answered, pending);
  arm_timer();
  return asked;
}

DnsChannel::QuestionHandle DnsChannel::ask_services(const std::string& name, Done<ServiceTarget> done) {
  constexpr int internet = 1;  // the class IN and the type SRV (RFC 1035 §3.2.4, RFC 2782)
  constexpr int srv = 33;
  reopen_if_changed();
  auto asked = std::make_shared<Asked<ServiceTarget>>(std::move(done));
  auto* const pending = new Pending<ServiceTarget>{*this, asked};
  const auto answered = [](void* argument, int status, int /*timeouts*/, unsigned char* message, int size) {
    const std::unique_ptr<Pending<ServiceTarget>> back(static_cast<Pending<ServiceTarget>*>(argument));
    back->give(read_services(status, {message, static_cast<std::size_t>(size)}));
  };
  ares_search(channel_, name.c_str(), internet, srv, answered, pending);
  arm_timer();
  return asked;
}

// From within c-ares: a socket was opened, is to be watched for something else, or is about to be closed.
void DnsChannel::on_socket(void* self, int socket, int readable, int writable) {
  const int sockets = static_cast<DnsChannel*>(self)->sockets_;
  epoll_event event{.events = (readable != 0 ? std::uint32_t{EPOLLIN} : 0U) | (writable != 0 ? std::uint32_t{EPOLLOUT} : 0U),
                    .data = {.fd = socket}};
  if (event.events == 0) {
    epoll_ctl(sockets, EPOLL_CTL_DEL, socket, nullptr);
  } else if (epoll_ctl(sockets, EPOLL_CTL_MOD, socket, &event) != 0 && errno == ENOENT) {
    epoll_ctl(sockets, EPOLL_CTL_ADD, socket, &event);  // without memory for it the question ends by its timeout
  }
}

void DnsChannel::on_events(std::uint32_t /*events*/) { process(); }

void DnsChannel::process() {
  const bool all_served = serve_ready_sockets();
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // timeouts
  deliver();
  arm_timer();
  if (!all_served) loop_.scheduler().timers().arm(*this, loop_.scheduler().now());
}

bool DnsChannel::serve_ready_sockets() {
  for (int round = 0; round < rounds_max; ++round) {
    std::array<epoll_event, 16> ready;
    const int count = epoll_wait(sockets_, ready.data(), ready.size(), 0);
    if (count <= 0) return true;
    for (const epoll_event& event : std::span(ready).first(static_cast<std::size_t>(count))) {
      const bool ended = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
      const int socket = event.data.fd;
      ares_process_fd(channel_, ended || (event.events & EPOLLIN) != 0 ? socket : ARES_SOCKET_BAD,
                      ended || (event.events & EPOLLOUT) != 0 ? socket : ARES_SOCKET_BAD);
    }
  }
  return false;
}

// Outside c-ares, which must not be destroyed from its callbacks.
void DnsChannel::deliver() {
  delivering_ = true;
  for (const auto& answered : std::exchange(answered_, {})) {
    const auto question = answered.lock();
    if (question) question->deliver();
  }
  delivering_ = false;
}

void DnsChannel::arm_timer() {
  const Instant now = loop_.scheduler().now();
  timeval left{};
  if (!answered_.empty()) {
    loop_.scheduler().timers().arm(*this, now);
  } else if (ares_timeout(channel_, nullptr, &left) != nullptr) {
    // c-ares cuts off parts of a millisecond.
    loop_.scheduler().timers().arm(*this, now + std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec) + 1ms);
  } else {
    disarm();
  }
}

}  // namespace steelyard
