#include "app/token_command.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "app/exit_codes.hpp"
#include "app/key_file.hpp"
#include "app/token_arguments.hpp"
#include "base/ascii.hpp"
#include "base/assert.hpp"
#include "config/reading.hpp"
#include "config/spelling.hpp"
#include "decide/token/base64url.hpp"
#include "decide/token/target.hpp"
#include "decide/token/token.hpp"
#include "observe/system_time.hpp"
#include "wire/json/canonical.hpp"
#include "wire/json/scanner.hpp"

namespace steelyard {
namespace {

using token::Algorithm;
using token::Key;

constexpr int exit_denied = 1;

struct KeygenArguments {
  std::string algorithm = "HS256";
  std::string id{};
  std::string out{};
  std::string public_out{};
};

int refuse_token(std::string_view command, const std::string& sentence) {
  fmt::print(stderr, "steelyard token {}: {}\n", command, config::printable(sentence));
  return exit_usage;
}

template <std::size_t size>
std::array<std::uint8_t, size> random_bytes() {
  std::array<std::uint8_t, size> bytes{};
  // Cannot fail or be cut short for so few bytes once the system is up (getrandom(2)).
  SY_ASSERT(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(size));
  return bytes;
}

std::string random_text(const auto& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::int64_t now_s() { return system_unix_time_us() / 1'000'000; }

std::expected<token::KeySet, std::string> read_keys(const std::string& path) {
  std::string warning;
  auto keys = read_key_file(path, warning);
  if (!warning.empty()) fmt::print(stderr, "warning: {}\n", warning);
  return keys;
}

// The first line of standard input for "-".
std::string given_token(const std::string& argument) {
  if (argument != "-") return argument;
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n' && line.size() <= token::token_bytes_max; c = std::getchar()) {
    line.push_back(static_cast<char>(c));
  }
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

int keygen(const KeygenArguments& arguments) {
  const std::string secret = random_text(random_bytes<32>());
  const std::string id = arguments.id.empty() ? token::to_base64url(random_text(random_bytes<6>())) : arguments.id;
  const bool is_pair = arguments.algorithm == name_of(Algorithm::eddsa);
  if (!is_pair && !arguments.public_out.empty()) {
    return refuse_token("keygen", "HS256 has one secret for both sides and no public half: add --algorithm EdDSA, or leave --public out");
  }
  if (!arguments.public_out.empty() && arguments.public_out == arguments.out)
    return refuse_token("keygen", "--out and --public name one file");
  const auto key = is_pair ? Key::from_private(id, secret) : Key::from_secret(id, secret);
  if (!key) return refuse_token("keygen", fmt::format("the key {}", key.error()));
  const auto set_of = [](const std::string& jwk) { return fmt::format("{{\"keys\": [\n  {}\n]}}\n", jwk); };
  if (!arguments.out.empty()) {
    const auto written = write_key_file(arguments.out, set_of(to_jwk(*key, secret)), KeyFile::secret);
    if (!written) return refuse_token("keygen", written.error());
  }
  if (!arguments.public_out.empty()) {
    const auto written = write_key_file(arguments.public_out, set_of(to_jwk(*key)), KeyFile::open);
    // Half a pair is of no use, and would be in the way of the next try.
    if (!written && !arguments.out.empty()) std::remove(arguments.out.c_str());
    if (!written) return refuse_token("keygen", written.error());
  }
  if (arguments.out.empty()) {
    fmt::print("{}", set_of(to_jwk(*key, secret)));
    return 0;
  }
  fmt::print("{}: key {} ({}), which signs: keep it secret\n", arguments.out, key->id(), name_of(key->algorithm()));
  if (!arguments.public_out.empty()) fmt::print("{}: its public half, for guards\n", arguments.public_out);
  return 0;
}

int mint_token(const TokenArguments& arguments) {
  const auto claims = read_claims(arguments, now_s(), random_bytes<16>());
  if (!claims) return refuse_token("mint", claims.error());
  const auto keys = read_keys(arguments.keys);
  if (!keys) return refuse_token("mint", keys.error());
  if (keys->signer() == nullptr)
    return refuse_token("mint", fmt::format("{} has public halves only: none of them can sign", arguments.keys));
  const std::string made = token::mint(*keys, *claims);
  if (made.empty()) return refuse_token("mint", fmt::format("the token would have more than {} bytes", token::token_bytes_max));
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"token", made}, {"claims", nlohmann::ordered_json::parse(to_json(*claims))}}.dump(2));
  } else {
    fmt::print("{}\n", made);
  }
  return 0;
}

int show_denied(const TokenArguments& arguments, const token::Denied& denied) {
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"valid", false}, {"reason", name_of(denied.reason)}, {"sentence", denied.sentence}}.dump(2));
    return exit_denied;
  }
  const bool hint = denied.reason == token::Reason::wrong_client && arguments.client.empty();
  fmt::print("denied: {} ({}){}\n", denied.sentence, name_of(denied.reason), hint ? ": give --client" : "");
  return exit_denied;
}

int verify_token(TokenArguments arguments) {
  arguments.token = given_token(arguments.token);
  if (arguments.token.empty()) {
    auto carried = token::take_parameter(arguments.target, arguments.parameter);
    if (!carried) return show_denied(arguments, carried.error());
    if (!carried->value) {
      return refuse_token("verify", fmt::format("give the token, or a --target with the parameter {}", config::quote(arguments.parameter)));
    }
    arguments.token = *carried->value;
    arguments.target = std::move(carried->target);
  }
  const auto expected = read_expectation(arguments, now_s());
  if (!expected) return refuse_token("verify", expected.error());
  const auto keys = read_keys(arguments.keys);
  if (!keys) return refuse_token("verify", keys.error());
  const auto claims = token::verify(*keys, arguments.token, *expected);
  if (!claims) return show_denied(arguments, claims.error());
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"valid", true}, {"claims", nlohmann::ordered_json::parse(to_json(*claims))}}.dump(2));
  } else {
    fmt::print("valid: {} {} at {} for {}, {} s before it expires\n", arguments.method, arguments.target, claims->server,
               claims->client ? claims->client->to_string() : "any client", claims->expires_s - expected->now_s);
  }
  return 0;
}

// JSON of a stranger in one line of ASCII, so that a terminal takes nothing in it for an order; other text as a string.
std::string shown(const std::string& part) {
  json::ObjectScanner scanner;
  const auto end = scanner.feed(part);
  if (!end || *end != part.size())
    return nlohmann::ordered_json(part).dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  std::string text;
  json::write_canonical(part, text);
  return text;
}

std::string spell_seconds(std::int64_t time_s) {
  constexpr std::int64_t year_10000_s = 253'402'300'800;
  if (time_s >= year_10000_s) return "far away";
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time_s)));
}

int inspect(const TokenArguments& arguments) {
  const auto parts = token::split(given_token(arguments.token));
  if (!parts) return refuse_token("inspect", parts.error().sentence);
  if (arguments.json) {
    fmt::print("{{\"verified\": false, \"header\": {}, \"claims\": {}, \"signature_bytes\": {}}}\n", shown(parts->header),
               shown(parts->claims), parts->signature.size());
    return 0;
  }
  fmt::print("not verified: anybody can write this\nheader    {}\nclaims    {}\nsignature {} bytes\n", shown(parts->header),
             shown(parts->claims), parts->signature.size());
  const auto claims = token::parse_claims(parts->claims);
  if (claims) {
    fmt::print("issued    {}\nexpires   {}\n", spell_seconds(claims->issued_s), spell_seconds(claims->expires_s));
  } else {
    fmt::print("a guard would deny these claims: {}\n", claims.error().sentence);
  }
  return 0;
}

void add_keygen(CLI::App& parent, int& exit_code) {
  auto* command = parent.add_subcommand("keygen", "Make a file with a new key.");
  const auto arguments = std::make_shared<KeygenArguments>();
  command->add_option("--algorithm", arguments->algorithm, "HS256: one secret for gateways and guards; EdDSA: guards have a public half")
      ->check(CLI::IsMember({"HS256", "EdDSA"}))
      ->capture_default_str();
  command->add_option("--kid", arguments->id, "The key's id, such as 2026-11; without it a random one");
  command->add_option("--out", arguments->out, "New file for the key, which only you may read; without it standard output");
  command->add_option("--public", arguments->public_out, "New file for the public half (EdDSA)");
  command->footer(
      "Examples:\n  steelyard token keygen --out keys.json\n  steelyard token keygen --algorithm EdDSA --out keys.json --public "
      "guard-keys.json\n\nTo change keys: add the new key behind the old one in every file, then put it first at the gateway, and take "
      "the old one out when its last token has expired.");
  command->callback([arguments, &exit_code] { exit_code = keygen(*arguments); });
}

// What mint and verify have in common.
CLI::App* add_request(CLI::App& parent, const std::string& name, const std::string& description, TokenArguments& arguments) {
  auto* command = parent.add_subcommand(name, description);
  command->add_option("--keys", arguments.keys, "File with the keys, a JWK Set")->required();
  command->add_option("--server", arguments.server, "Id of the server that the token is for")->required();
  command->add_option("--target", arguments.target, "Path, or path and query, byte by byte as in the request line")->required();
  command->add_option("--method", arguments.method, "Method of the request")->capture_default_str();
  command->add_option("--now", arguments.now_s, "Seconds since 1970, instead of the clock")
      ->check(CLI::Range(std::int64_t{0}, token::time_max_s));
  command->add_option("--parameter", arguments.parameter, "The parameter of the request that has the token")->capture_default_str();
  command->add_flag("--json", arguments.json, "Print the result as JSON");
  return command;
}

void add_mint(CLI::App& parent, int& exit_code) {
  const auto arguments = std::make_shared<TokenArguments>();
  auto* command = add_request(parent, "mint", "Make a token.", *arguments);
  command->add_option("--client", arguments->client, "Only this address or network may use it; without it everybody");
  command->add_option("--lifetime", arguments->lifetime, "How long it is valid")->capture_default_str();
  command->add_option("--hops", arguments->hops, "How often guards sent the request back")->check(CLI::Range(0U, token::hops_possible));
  command->add_flag("--carried", arguments->carried, "As for a request that the gateway carries itself");
  command->add_option("--id", arguments->id, "16 bytes in base64url; without it random ones");
  command->footer("Example:\n  steelyard token mint --keys keys.json --server app-1 --target '/files/a.bin?part=2' --client 192.0.2.7");
  command->callback([arguments, &exit_code] { exit_code = mint_token(*arguments); });
}

void add_verify(CLI::App& parent, int& exit_code) {
  const auto arguments = std::make_shared<TokenArguments>();
  auto* command = add_request(parent, "verify", "Check a token as a guard would, and say why it is denied.", *arguments);
  command->add_option("TOKEN", arguments->token, "- is standard input; without it the token is taken out of --target");
  command->add_option("--client", arguments->client, "The client's address; a token for a certain one is denied without");
  command->add_option("--skew", arguments->skew, "How far the clocks may differ")->capture_default_str();
  command->footer(
      "Ends with 0 where the token is valid, with 1 where it is denied, with 2 where something else is wrong. Whether it was used before "
      "is not known here.\n\nExamples:\n  steelyard token verify --keys keys.json --server app-1 --target '/files/a.bin?part=2' --client "
      "192.0.2.7 TOKEN\n  steelyard token verify --keys keys.json --server app-1 --target "
      "'/files/a.bin?part=2&steelyard_token=TOKEN'");
  command->callback([arguments, &exit_code] { exit_code = verify_token(*arguments); });
}

void add_inspect(CLI::App& parent, int& exit_code) {
  auto* command = parent.add_subcommand("inspect", "Show what is in a token, without verifying it.");
  const auto arguments = std::make_shared<TokenArguments>();
  command->add_option("TOKEN", arguments->token, "- is standard input")->required();
  command->add_flag("--json", arguments->json, "Print it as JSON");
  command->footer("Example:\n  steelyard token inspect TOKEN");
  command->callback([arguments, &exit_code] { exit_code = inspect(*arguments); });
}

}  // namespace

void add_token(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("token", "Keys and tokens of signed redirects.");
  command->require_subcommand(1);
  add_keygen(*command, exit_code);
  add_mint(*command, exit_code);
  add_verify(*command, exit_code);
  add_inspect(*command, exit_code);
  command->footer("Example:\n  steelyard token keygen --out keys.json");
}

}  // namespace steelyard
