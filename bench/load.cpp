// The load generator, and the backend of every benchmark, in one loop of one thread: what it costs itself is kept below what any
// proxy costs, since it shares the machine with it. Prints START when it begins to count and, after the last second, one line of
// JSON; whoever measures the proxy reads its CPU at these two moments.
#include <poll.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <map>

#include "load_backend.hpp"
#include "load_clients.hpp"
#include "load_options.hpp"
#include "load_roles.hpp"
#include "sockets.hpp"

namespace {

using namespace steelyard::bench;

void parse(CLI::App& app, LoadOptions& options) {
  const std::map<std::string, Connections> kinds{{"kept", Connections::kept},
                                                 {"closed-by-proxy", Connections::closed_by_proxy},
                                                 {"closed-by-us", Connections::closed_by_us},
                                                 {"idle", Connections::idle}};
  app.add_option("--target", options.targets, "Port of a proxy on 127.0.0.1; several are taken in turn");
  app.add_option("--backend", options.backends, "Port to answer on, at every loopback address");
  app.add_option("--connections", options.connections, "Connections at once")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--kind", options.kind, "kept, closed-by-proxy, closed-by-us or idle")->transform(CLI::CheckedTransformer(kinds));
  app.add_option("--rate", options.rate, "Requests per second of an open loop; without it each answer brings the next request");
  app.add_option("--delay", options.delay_s, "Seconds to answer only, before the first connection")->capture_default_str();
  app.add_option("--warm-up", options.warm_up_s, "Seconds before counting")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Seconds of counting")->capture_default_str();
  app.add_option("--path", options.path, "Path; %d counts through the variants")->capture_default_str();
  app.add_option("--host", options.host, "Host; %d counts through the variants")->capture_default_str();
  app.add_option("--variants", options.variants, "How many different requests")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_flag("--busy-poll", options.busy_poll, "Never sleep: the latency is then the proxy's alone");
  app.add_flag("--hold", options.hold, "After the result, keep connections and go on answering until standard input ends");
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        backend_(epoll_, descriptors_max()),
        clients_(epoll_, descriptors_max(), options) {
    for (const std::uint16_t port : options.backends) backend_.listen(port);
  }

  void run() {
    answer_for(static_cast<std::int64_t>(options_.delay_s * 1e9));
    const std::int64_t count_from_ns = monotonic_ns() + static_cast<std::int64_t>(options_.warm_up_s * 1e9);
    const std::int64_t end_ns = count_from_ns + static_cast<std::int64_t>(options_.seconds * 1e9);
    std::int64_t counting_since_ns = 0;
    double cpu_before_s = 0;
    for (;;) {
      const std::int64_t now_ns = monotonic_ns();
      if (counting_since_ns == 0 && now_ns >= count_from_ns) {
        counting_since_ns = now_ns;
        cpu_before_s = cpu_seconds();
        clients_.start_counting();
        std::puts("START");
        std::fflush(stdout);
      }
      if (now_ns >= end_ns || everybody_is_parked()) break;
      turn(now_ns);
    }
    const double elapsed_s = static_cast<double>(monotonic_ns() - counting_since_ns) / 1e9;
    const double cpu_s = cpu_seconds() - cpu_before_s;
    finish_what_was_asked();
    report(elapsed_s, cpu_s);
  }

  void answer_until_input_ends() {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    while (poll(&input, 1, 0) == 0) handle_events(20);
  }

 private:
  void answer_for(std::int64_t ns) {
    const std::int64_t until_ns = monotonic_ns() + ns;
    while (monotonic_ns() < until_ns) handle_events(1);
  }

  // A proxy that loses its servers in the middle of requests may take them for broken and remember it in the next trial.
  void finish_what_was_asked() {
    clients_.ask_no_more();
    const std::int64_t until_ns = monotonic_ns() + 500'000'000;
    while (clients_.in_flight() > 0 && monotonic_ns() < until_ns) handle_events(1);
  }

  bool everybody_is_parked() const { return options_.kind == Connections::idle && clients_.parked() == options_.connections; }

  void turn(std::int64_t now_ns) {
    const bool opening = clients_.open_some();
    if (options_.rate > 0 && !opening) clients_.send_due(now_ns);
    handle_events(opening || options_.rate > 0 || options_.busy_poll ? 0 : 20);
  }

  void handle_events(int timeout_ms) {
    epoll_event events[1024];
    const int count = epoll_wait(epoll_, events, static_cast<int>(std::size(events)), timeout_ms);
    for (int i = 0; i < count; ++i) {
      const Token token = token_of(events[i]);
      const int fd = static_cast<int>(token.fd);
      switch (static_cast<LoadRole>(token.role)) {
        case LoadRole::client: clients_.on_event(fd, token.life, events[i].events); break;
        case LoadRole::server: backend_.on_event(fd, token.life, events[i].events); break;
        case LoadRole::listener: backend_.accept_some(fd); break;
      }
    }
  }

  void report(double elapsed_s, double cpu_s) const {
    const Tally& tally = clients_.tally();
    const auto count = static_cast<double>(tally.latency.count());
    std::printf("{\"requests\": %.0f, \"rate\": %.1f, \"errors\": %llu, \"bytes_per_s\": %.0f, \"opened\": %llu, \"parked\": %zu, ", count,
                count / elapsed_s, static_cast<unsigned long long>(tally.errors), static_cast<double>(tally.bytes) / elapsed_s,
                static_cast<unsigned long long>(clients_.opened()), clients_.parked());
    std::printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"mean_us\": %.1f, ",
                tally.latency.percentile_us(0.5), tally.latency.percentile_us(0.9), tally.latency.percentile_us(0.99),
                tally.latency.percentile_us(0.999), tally.latency.max_us(), tally.latency.mean_us());
    std::printf("\"elapsed_s\": %.4f, \"cpu\": %.4f}\n", elapsed_s, cpu_s / elapsed_s);
    std::fflush(stdout);
  }

  const LoadOptions& options_;
  int epoll_;
  Backend backend_;
  Clients clients_;
};

}  // namespace

int main(int count, char** arguments) {
  LoadOptions options;
  CLI::App app("Load generator and backend for HTTP/1.1 on loopback");
  parse(app, options);
  CLI11_PARSE(app, count, arguments);
  std::signal(SIGPIPE, SIG_IGN);
  Load load(options);
  load.run();
  if (options.hold) load.answer_until_input_ends();
}
