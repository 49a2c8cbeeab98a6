// A small stage for scenarios in simulated time: a proxy, servers that do what a test says, clients that say what a test says. The
// network has no latency here, so that a timeout can be told to the millisecond.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "sim_proxy.hpp"
#include "talker.hpp"

namespace steelyard::sim {

// A server whose reaction to bytes is one function. `talker.heard` is all that came over that connection.
class StageServer final : public Port {
 public:
  StageServer(SimNet& net, std::size_t index) : net_(net), at_(server_address(index)) { open(); }
  ~StageServer() { shut(); }
  void open() { net_.open_port(at_, *this); }
  void shut() { net_.close_port(at_); }

  std::function<void(Talker& talker)> react = [](Talker& talker) { talker.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); };
  std::function<void(Talker& talker)> welcome = [](Talker&) {};
  std::deque<std::unique_ptr<Talker>> talkers;  // in the order of their connections
  std::vector<Instant> connected_at;
  int requests = 0;  // heads that were complete in one piece, as those of short requests are

 private:
  void on_connection(Socket socket, const SocketAddress& /*from*/) override {
    connected_at.push_back(net_.now());
    Talker& talker = *talkers.emplace_back(std::make_unique<Talker>(net_));
    talker.on_bytes = [this, &talker](std::string_view bytes) {
      talker.heard += bytes;
      if (bytes.find("\r\n\r\n") != std::string_view::npos) ++requests;
      react(talker);
    };
    talker.on_end = [&talker] { talker.close(); };
    welcome(talker);
    talker.take(std::move(socket));
  }

  SimNet& net_;
  SocketAddress at_;
};

class Scene : public testing::Test {
 protected:
  Scene() { net.faults.latency_max = Duration{0}; }

  // With `settings` as they are by then.
  void open() {
    for (std::size_t i = 0; i < settings.servers; ++i) servers.push_back(std::make_unique<StageServer>(net, i));
    proxy = std::make_unique<SimProxy>(net, settings, 1);
  }
  Talker& client() {
    Talker& talker = *clients.emplace_back(std::make_unique<Talker>(net));
    talker.on_bytes = [&talker](std::string_view bytes) { talker.heard += bytes; };
    talker.on_end = [&talker] { talker.close(); };
    talker.connect(client_address(clients.size()), proxy_address());
    return talker;
  }
  Talker& client(std::string_view says) {
    Talker& talker = client();
    talker.say(std::string(says));
    return talker;
  }
  // One exchange on a connection of its own; what the client heard.
  std::string ask(std::string_view says) {
    Talker& talker = client(says);
    net.run_for(1s);
    talker.close();
    return talker.heard;
  }
  void run_for(Duration time) { net.run_for(time); }

  static constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  static constexpr std::string_view post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
  static constexpr std::string_view long_post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";

  SimNet net{1, SimNet::Trace::off};
  Settings settings;
  std::deque<std::unique_ptr<StageServer>> servers;
  std::deque<std::unique_ptr<Talker>> clients;
  std::unique_ptr<SimProxy> proxy;
};

inline bool answers(const Talker& talker, int status) { return talker.heard.starts_with(fmt::format("HTTP/1.1 {} ", status)); }
inline bool answers(const std::string& heard, int status) { return heard.starts_with(fmt::format("HTTP/1.1 {} ", status)); }

}  // namespace steelyard::sim
