// The script that Redis runs for each decision, and between its arguments and reply and our values. The script is atomic, goes by Redis'
// own clock (one for all processes), touches KEYS[1] alone, and never leaves a key without an expiry. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "quota/redis/store.hpp"
#include "wire/resp/reply.hpp"

namespace steelyard::quota {

// Its text, for EVAL and SCRIPT LOAD, and its SHA-1 in hex, for EVALSHA.
[[nodiscard]] std::string_view script_text();
[[nodiscard]] const std::string& script_digest();

// What a key is called in Redis. A key that is longer than `key_bytes_max`, or holds a '{', which would choose its slot in a Cluster, goes
// by its SHA-256; no other key is called like it.
[[nodiscard]] std::string key_name(std::string_view prefix, std::string_view limit, std::string_view key, std::size_t key_bytes_max);

enum class Invocation : std::uint8_t { by_digest, by_text };
// The command that takes for `demand`. `name`: key_name().
void write_take(const Demand& demand, std::string_view name, Invocation invocation, std::string& out);
// The one that gives `tokens` of what was taken at `mark` back.
void write_give_back(const Demand& demand, std::string_view name, std::uint64_t mark, std::uint64_t tokens, std::string& out);
// One that takes from a limit of its own, with everything that a real one needs, by the script's text, which Redis keeps from then on.
// For probes; its key expires at once.
void write_probe(std::string_view prefix, std::string& out);

// Nothing: this is not what the script answers.
[[nodiscard]] std::optional<Grant> read_grant(const resp::Reply& reply);

}  // namespace steelyard::quota
