// What a run of `steelyard load` is to do: the command line as values, checked. Made by app/, read by every thread of the run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "net/address.hpp"

namespace steelyard::load {

// closed: a client sends its next request when it has the answer. open: requests are due at times that no answer moves.
enum class Loop : std::uint8_t { closed, open };
enum class Spacing : std::uint8_t { poisson, even };
enum class KeepAlive : std::uint8_t { on, off };

struct RequestOptions {
  std::string method = "GET";
  std::string authority{};  // for Host, unless `fields` has one
  std::string target = "/";
  std::vector<std::string> fields{};  // "Name: value", valid, without framing
  std::string body{};
  KeepAlive keep_alive = KeepAlive::on;
};

struct RunOptions {
  SocketAddress address;
  RequestOptions request;
  Loop loop = Loop::closed;
  double rate = 0;  // requests per second of all threads, of the open loop without `replay`
  Spacing spacing = Spacing::poisson;
  std::string replay;              // a file with due times and targets, instead of a rate
  std::uint32_t connections = 10;  // of all threads; no fewer than threads
  std::uint32_t threads = 1;
  std::uint64_t requests_max = 0;  // counted ones; 0 for no limit
  Duration duration{0};            // of what is counted; 0 for no limit
  Duration warmup{0};              // at the start, not counted
  Duration ramp{0};                // until the whole rate or every connection is there
  Duration timeout = 30s;          // of a request, from when it was due
  std::string samples;             // a file for one line a request, or empty
  std::string server_field = "X-Backend";
  std::uint64_t seed = 0;
};

// One of several equal parts of a run: what one thread does.
struct Share {
  std::uint32_t index = 0;
  std::uint32_t count = 1;

  // This part of `total`; the parts of all add up to it.
  [[nodiscard]] std::uint64_t of(std::uint64_t total) const { return total / count + (index < total % count ? 1 : 0); }
};

}  // namespace steelyard::load
