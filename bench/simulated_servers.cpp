// The servers behind the proxy under test in the bench of balancing: up to a thousand in one process of one thread, each at an
// address of its own. A file has a line for each: its address, then what it is like, as `127.0.1.1:9000 slots=4 speed=0.2`. A
// request for /w/N takes N microseconds of service; anything else is answered at once. Time begins with the first of the former.
// Prints READY when all of them listen; when standard input ends, prints how late answers left, as JSON, and ends.
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <array>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "histogram.hpp"
#include "http_text.hpp"
#include "simulated_scenario.hpp"
#include "simulated_server.hpp"
#include "sockets.hpp"

namespace steelyard::bench {
namespace {

enum class Role : std::uint16_t { owner, listener, connection };

Token token(int fd, Role role, std::uint16_t life) { return {static_cast<std::uint32_t>(fd), static_cast<std::uint16_t>(role), life}; }

class Servers {
 public:
  explicit Servers(const std::vector<PlacedServer>& scenario)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), descriptors_(descriptors_max()), buffer_(16384, '\0') {
    // The default slack of 50 microseconds would be added to each answer.
    if (prctl(PR_SET_TIMERSLACK, 1) != 0) give_up("set the slack of timers");
    for (const PlacedServer& placed : scenario) {
      const std::string fields =
          "X-Server: " + std::to_string(servers_.size()) + "\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n";
      const bool fails = placed.behaviour.fail_us > 0;
      servers_.push_back({SimulatedServer(placed.behaviour), placed.address, placed.port, "HTTP/1.1 200 OK\r\n" + fields + "ok\n",
                          (fails ? "HTTP/1.1 500 Internal Server Error\r\n" : "HTTP/1.1 200 OK\r\n") + fields + (fails ? "no\n" : "ok\n")});
      listen(static_cast<std::uint32_t>(servers_.size() - 1));
    }
    watch(epoll_, token(STDIN_FILENO, Role::owner, 0), EPOLLIN);
  }

  void run() {
    std::puts("READY");
    std::fflush(stdout);
    std::array<epoll_event, 256> events;
    while (owned_) {
      wait(events);
      act_on_what_is_due();
    }
    std::printf("{\"answers\": %lu, \"late_p999_us\": %.1f, \"late_max_us\": %.1f}\n", late_.count(), late_.percentile_us(0.999),
                late_.max_us());
  }

 private:
  struct Server {
    SimulatedServer simulated;
    std::uint32_t address;
    std::uint16_t port;
    std::string plain_answer;   // to what asks for no service
    std::string worked_answer;  // after service, or the failure of it
  };
  struct Connection {
    bool open = false;
    bool busy = false;  // a request is being served; what comes behind it waits
    bool ends = false;  // closed after the answer, as the request has asked
    std::uint16_t life = 0;
    std::uint32_t server = 0;  // also of a listener
    std::string unparsed;
  };
  enum class Act : std::uint8_t { answer, stop, start };
  struct Due {
    std::int64_t at_us;
    Act act;
    std::uint16_t life;
    int fd;
    std::uint32_t server;
    bool operator>(const Due& other) const { return at_us > other.at_us; }
  };

  void wait(std::array<epoll_event, 256>& events) {
    timespec timeout{};
    if (!due_.empty()) {
      const std::int64_t left_ns = std::max<std::int64_t>(epoch_ns_ + due_.top().at_us * 1000 - monotonic_ns(), 0);
      timeout = {left_ns / 1'000'000'000, left_ns % 1'000'000'000};
    }
    const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), due_.empty() ? nullptr : &timeout, nullptr);
    if (count < 0 && errno != EINTR) give_up("wait for events");
    for (int i = 0; i < count; ++i) {
      const Token who = token_of(events[static_cast<std::size_t>(i)]);
      switch (static_cast<Role>(who.role)) {
        case Role::owner: owned_ = read(STDIN_FILENO, buffer_.data(), buffer_.size()) > 0; break;
        case Role::listener: accept_some(static_cast<int>(who.fd), who.life); break;
        case Role::connection: receive(static_cast<int>(who.fd), who.life); break;
      }
    }
  }

  void act_on_what_is_due() {
    const std::int64_t now = now_us();
    while (!due_.empty() && due_.top().at_us <= now) {
      const Due due = due_.top();
      due_.pop();
      switch (due.act) {
        case Act::answer: answer_worked(due, now); break;
        case Act::stop: stop(due.server); break;
        case Act::start: start(due.server, now); break;
      }
    }
  }

  std::int64_t now_us() const { return (monotonic_ns() - epoch_ns_) / 1000; }

  void begin_time() {
    epoch_ns_ = monotonic_ns();
    for (std::uint32_t index = 0; index < servers_.size(); ++index) {
      const ServerBehaviour& behaviour = servers_[index].simulated.behaviour();
      if (behaviour.restart_us == 0) continue;
      due_.push({behaviour.restart_at_us, Act::stop, 0, -1, index});
      due_.push({behaviour.restart_at_us + behaviour.restart_us, Act::start, 0, -1, index});
    }
  }

  void listen(std::uint32_t index) {
    const int fd = listen_on_loopback(servers_[index].port, servers_[index].address);
    Connection& place = descriptors_.at(fd);
    place.open = true;
    place.server = index;
    watch(epoll_, token(fd, Role::listener, place.life), EPOLLIN);
  }

  void stop(std::uint32_t index) {
    // The listener and all that it has accepted.
    for (std::size_t fd = 0; fd < descriptors_.size(); ++fd) {
      if (descriptors_[fd].open && descriptors_[fd].server == index) forget(static_cast<int>(fd));
    }
  }

  void start(std::uint32_t index, std::int64_t now) {
    servers_[index].simulated.restart(now);
    listen(index);
  }

  void accept_some(int listener, std::uint16_t life) {
    if (!is_open(listener, life)) return;
    for (int i = 0; i < 64; ++i) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      Connection& connection = descriptors_.at(fd);
      connection.open = true;
      connection.server = descriptors_[listener].server;
      watch(epoll_, token(fd, Role::connection, connection.life), EPOLLIN | EPOLLRDHUP);
    }
  }

  void receive(int fd, std::uint16_t life) {
    if (!is_open(fd, life)) return;
    const ssize_t count = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return forget(fd);
    descriptors_[fd].unparsed.append(buffer_.data(), static_cast<std::size_t>(count));
    take_requests(fd);
  }

  // One after the other: the next is looked at when this one has its answer.
  void take_requests(int fd) {
    Connection& connection = descriptors_[fd];
    while (connection.open && !connection.busy) {
      const auto length = length_of_head(connection.unparsed);
      if (!length) return;
      const std::string head = connection.unparsed.substr(0, *length);
      connection.unparsed.erase(0, *length);
      connection.ends = says_close(head);
      if (const auto draw_us = draw_of(head)) {
        serve(fd, *draw_us);
      } else {
        answer(fd, servers_[connection.server].plain_answer);
      }
    }
  }

  void serve(int fd, std::int64_t draw_us) {
    if (epoch_ns_ == 0) begin_time();
    Connection& connection = descriptors_[fd];
    connection.busy = true;
    const std::int64_t end_us = servers_[connection.server].simulated.admit(now_us(), draw_us);
    due_.push({end_us, Act::answer, connection.life, fd, connection.server});
  }

  void answer_worked(const Due& due, std::int64_t now) {
    if (!is_open(due.fd, due.life)) return;
    late_.record((now - due.at_us) * 1000);
    descriptors_[due.fd].busy = false;
    answer(due.fd, servers_[due.server].worked_answer);
    take_requests(due.fd);
  }

  void answer(int fd, const std::string& bytes) {
    const bool sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
    if (!sent || descriptors_[fd].ends) forget(fd);
  }

  bool is_open(int fd, std::uint16_t life) const { return descriptors_[fd].open && descriptors_[fd].life == life; }

  void forget(int fd) {
    close(fd);
    const auto life = static_cast<std::uint16_t>(descriptors_[fd].life + 1);
    descriptors_[fd] = {};
    descriptors_[fd].life = life;
  }

  // The draw of a request for /w/N.
  static std::optional<std::int64_t> draw_of(std::string_view head) {
    const std::size_t from = head.find(' ') + 1;
    const std::string_view path = head.substr(from, head.find(' ', from) - from);
    if (!path.starts_with("/w/")) return std::nullopt;
    return parse_unsigned<std::int64_t>(path.substr(3));
  }

  int epoll_;
  std::vector<Connection> descriptors_;  // by descriptor; listeners have their place among them
  std::vector<Server> servers_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::string buffer_;
  Histogram late_;
  std::int64_t epoch_ns_ = 0;  // 0: no request has asked for service yet
  bool owned_ = true;
};

}  // namespace
}  // namespace steelyard::bench

int main(int argc, char** argv) {
  CLI::App app{"Simulated servers for the bench of balancing"};
  std::string scenario;
  app.add_option("scenario", scenario, "File with a line for each server: address, then what it is like")->required();
  CLI11_PARSE(app, argc, argv);
  steelyard::bench::Servers(steelyard::bench::read_scenario(scenario)).run();
}
