// What may be entered into a pool at run time: the syntax of a server, where one may be that announces itself, how long its lease may
// be. Pure: values in, a refusal out, or nothing. Registry asks; who may do what is decided there.
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "upstream/registry.hpp"

namespace steelyard {

inline constexpr std::size_t server_id_length_max = 128;
inline constexpr std::size_t labels_max = 64;
inline constexpr std::size_t label_key_bytes_max = 128;
inline constexpr std::size_t label_value_bytes_max = 256;

// An id stands in paths, logs and metrics as it is: 1 to 128 characters of visible ASCII without / ? # % " and \, not "." or "..".
[[nodiscard]] std::optional<Refusal> check_id(std::string_view id);
// Weight, limit and labels.
[[nodiscard]] std::optional<Refusal> check_settings(const ServerOptions& server);
// An address or a name, and a port. Gives an address its one spelling.
[[nodiscard]] std::optional<Refusal> check_address(ServerOptions& server);

// Where a server may be that announces itself. Loopback and link-local addresses mean another machine to each that reads them, so
// they are allowed only by a network that lies within them, not by one that happens to contain them.
[[nodiscard]] std::optional<Refusal> check_registered_address(const RegistrationOptions& registration, const ServerOptions& server);
[[nodiscard]] std::expected<Duration, Refusal> check_lease(const RegistrationOptions& registration, std::optional<Duration> asked);

// For people: "30 s", "250 ms"; and a text of somebody else's, in quotes, shortened, in printable ASCII.
[[nodiscard]] std::string in_words(Duration duration);
[[nodiscard]] std::string quoted(std::string_view text);
// "10.0.0.5:80", "[::1]:80": by which a pool knows that two of its servers are one.
[[nodiscard]] std::string address_of(const ServerOptions& server);

}  // namespace steelyard
