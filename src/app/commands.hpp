// The commands of the binary, each with the exit code that it returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/inherited.hpp"
#include "net/address.hpp"

namespace steelyard {

struct ServeOptions {
  std::string config;  // empty: look in the working directory
  bool verbose = false;
  std::vector<std::string> binds;  // instead of the listeners' addresses, in their order
};

struct DemoOptions {
  std::uint16_t port = 8080;
  std::uint16_t backend_port = 8001;  // of the first of three
  bool limited = false;               // a client may ask five times a minute
  std::uint16_t admin_port = 9900;    // with limits
  SocketAddress redis{};              // where these are counted; port 0: in memory
};

struct PacketDemoOptions {
  std::uint16_t port = 2100;
  std::uint16_t server_port = 2105;  // of the first of four
  bool once = false;                 // ends when the clients have been served
};

struct RedirectDemoOptions {
  std::uint16_t port = 8000;
  std::uint16_t admin_port = 9900;
  std::uint16_t guard_port = 8001;  // of the first of three
  std::uint16_t app_port = 3001;    // of the first of three
};

int serve(const ServeOptions& options, const Invocation& invocation);
int check(const std::string& file);
int config_expand(const std::string& file);
int config_schema();
int config_reference();
int demo(const DemoOptions& options);
int demo_packets(const PacketDemoOptions& options);
int demo_redirect(const RedirectDemoOptions& options);

}  // namespace steelyard
