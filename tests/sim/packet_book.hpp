// What is known of every packet of a run, by its id, from both sides, and what was found to be wrong. Actors write into it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "promises.hpp"
#include "proxy/options.hpp"

namespace steelyard::sim {

// Deliberate faults of the actors, which the checks must find: they test the checks.
enum class PacketCanary : std::uint8_t { none, mislabel, swap_answers, reach_twice, forget_line, keep_place };

struct PacketRecord {
  // misread: no server may see it. setup: gets no answer where it is taken.
  enum class Kind : std::uint8_t { valid, misread, setup } kind = Kind::valid;
  std::string policy{};
  std::string canonical{};  // as a server must get it
  // What happened.
  bool begun = false;
  Instant begun_at{};
  bool fully_sent = false;
  std::vector<std::size_t> reached{};  // the servers that got bytes of it, once for each connection
  bool answered = false;               // by a server
  bool closed_on = false;              // instead of an answer to it, by nobody's fault but the proxy's
  int lines = 0;                       // in the access log
  int status = 0;                      // there
  std::string failure{};               // there
};

// An answer of a server, by its canonical text, which is like no other's.
struct PacketAnswer {
  std::uint64_t packet = 0;
  std::size_t conversation = 0;
};

class PacketBook {
 public:
  PacketCanary canary = PacketCanary::none;
  PromiseBook promises;

  // What the listener is told, from one reload to the next.
  struct Age {
    Instant begins;
    PacketOptions options;
  };
  std::vector<Age> ages;
  template <typename Predicate>
  [[nodiscard]] bool ever_since(Instant from, const Predicate& predicate) const {
    for (std::size_t i = ages.size(); i-- > 0;) {
      if (predicate(ages[i].options)) return true;
      if (ages[i].begins < from) return false;
    }
    return false;
  }

  std::uint64_t add(PacketRecord packet) {
    packets_.push_back(std::move(packet));
    return packets_.size() - 1;
  }
  PacketRecord* find(std::uint64_t id) { return id < packets_.size() ? &packets_[id] : nullptr; }
  [[nodiscard]] const std::vector<PacketRecord>& packets() const { return packets_; }

  std::unordered_map<std::string, PacketAnswer> answers;
  // Of each connection to a server: whether that has said anything on it that was no answer to what it was asked there. What is said on
  // a kept connection cannot be told apart by whom it is for.
  std::vector<bool> babbled;
  std::uint64_t strays = 0;  // answers to other packets that were passed on for that reason

  template <typename... Arguments>
  void violation(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    violations_.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  std::vector<PacketRecord> packets_;
  std::vector<std::string> violations_;
};

inline Demands demands_of(const std::string& policy) { return {policy, policy}; }

// How many bytes the object takes that `text` begins with, blanks before it included; 0: it is not complete; npos: it is no object. Counts
// braces, and shares nothing with src/wire/json.
[[nodiscard]] inline std::size_t object_bytes(std::string_view text) {
  std::size_t at = text.find_first_not_of(" \t\r\n");
  if (at == std::string_view::npos) return 0;
  if (text[at] != '{') return std::string_view::npos;
  int depth = 0;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\') ++at;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return at + 1;
    }
  }
  return 0;
}

}  // namespace steelyard::sim
