#include "upstream/state_text.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/assert.hpp"

namespace steelyard {
namespace {

using Json = nlohmann::json;

constexpr unsigned version = 1;
constexpr std::string_view version_part = R"({"version":)";
constexpr std::string_view digest_part = R"(,"sha256":")";
constexpr std::string_view state_part = R"(","state":)";
constexpr std::string_view end_part = "}\n";
constexpr int depth_max = 8;  // of the JSON, which needs six
constexpr std::uint64_t revision_max = std::uint64_t{1} << 53U;
constexpr std::int64_t unix_ms_max = 253'402'300'800'000;  // the year 10000
constexpr std::int64_t lease_ns_max = Duration(std::chrono::hours(24 * 365)).count();

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  SY_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

Json to_json(const ServerOptions& server) {
  const auto& [id, host, port, weight, backup, active_max, labels, public_url] = server;  // so that a new one is not forgotten here
  Json json{{"id", id}, {"host", host}, {"port", port}, {"weight", weight}, {"backup", backup}, {"labels", labels}};
  if (active_max) json["active_max"] = *active_max;
  if (!public_url.empty()) json["public_url"] = public_url;
  return json;
}

Json to_json(const ServerChange& change) {
  const auto& [weight, backup, active_max, labels, public_url, drained, forced] = change;
  Json json = Json::object();
  if (weight) json["weight"] = *weight;
  if (backup) json["backup"] = *backup;
  if (active_max) json["active_max"] = *active_max ? Json(**active_max) : Json(nullptr);
  if (labels) json["labels"] = *labels;
  if (public_url) json["public_url"] = *public_url;
  if (drained) json["drained"] = *drained;
  if (forced) json["forced"] = name(*forced);
  return json;
}

Json to_json(const RegistryState::Added& added) {
  Json json{{"server", to_json(added.options)},
            {"drained", added.drained},
            {"forced", name(added.forced)},
            {"revision", added.revision},
            {"joined", added.joined}};
  if (const auto& lease = added.lease) {
    json["lease"] = {{"owner", lease->owner}};
    if (!lease->lasting) json["lease"].update({{"length_ns", lease->length.count()}, {"expires_unix_ms", lease->expires_unix_ms}});
  }
  return json;
}

Json to_json(const RegistryState::Changed& changed) {
  return {{"configured", to_json(changed.configured)},
          {"change", to_json(changed.change)},
          {"removed", changed.removed},
          {"revision", changed.revision}};
}

// Looks at JSON while it is read, and stops what is too deep or says a thing twice.
class Guard {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth > depth_max) broken_ = true;
    if (broken_) return false;
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key) broken_ = !keys_.back().insert(parsed.get<std::string>()).second;
    return !broken_;
  }
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  bool broken_ = false;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

// Reads an object's members; afterwards right() says whether all were there, of the right type and range, and no others.
class ObjectReader {
 public:
  explicit ObjectReader(const Json& json) : json_(json), right_(json.is_object()) {}

  const Json* find(const char* key) {
    if (!right_ || !json_.contains(key)) return nullptr;
    ++taken_;
    return &json_[key];
  }
  const Json& get(const char* key) {
    static const Json nothing;
    const Json* const member = find(key);
    right_ = right_ && member != nullptr;
    return member != nullptr ? *member : nothing;
  }
  template <std::integral Number>
  void number(const Json& member, Number min, Number max, Number& value) {
    // An unsigned one that does not fit is a large one of another sign otherwise.
    const bool fits =
        member.is_number_integer() && (!member.is_number_unsigned() || member.get<std::uint64_t>() <= std::uint64_t(INT64_MAX));
    const std::int64_t read = fits ? member.get<std::int64_t>() : 0;
    demand(fits && std::cmp_greater_equal(read, min) && std::cmp_less_equal(read, max));
    if (right_) value = static_cast<Number>(read);
  }
  void flag(const Json& member, bool& value) {
    demand(member.is_boolean());
    if (right_) value = member.get<bool>();
  }
  void text(const Json& member, std::string& value) {
    demand(member.is_string());
    if (right_) value = member.get<std::string>();
  }
  void labels(const Json& member, std::map<std::string, std::string>& value) {
    demand(member.is_object());
    if (!right_) return;
    for (const auto& [key, item] : member.items()) text(item, value[key]);
  }
  void forced(const Json& member, ForcedHealth& value) {
    std::string word;
    text(member, word);
    for (const ForcedHealth one : {ForcedHealth::none, ForcedHealth::up, ForcedHealth::down}) {
      if (word == name(one)) {
        value = one;
        return;
      }
    }
    demand(false);
  }
  void demand(bool condition) { right_ = right_ && condition; }
  [[nodiscard]] bool right() const { return right_ && taken_ == json_.size(); }

 private:
  const Json& json_;
  bool right_;
  std::size_t taken_ = 0;
};

bool read(const Json& json, ServerOptions& server) {
  ObjectReader members(json);
  members.text(members.get("id"), server.id);
  members.text(members.get("host"), server.host);
  members.number<std::uint16_t>(members.get("port"), 1, UINT16_MAX, server.port);
  members.number<std::uint32_t>(members.get("weight"), 0, weight_max, server.weight);
  members.flag(members.get("backup"), server.backup);
  members.labels(members.get("labels"), server.labels);
  if (const Json* const limit = members.find("active_max")) {
    members.number<std::uint32_t>(*limit, 1, active_unlimited, server.active_max.emplace());
  }
  if (const Json* const url = members.find("public_url")) members.text(*url, server.public_url);
  members.demand(!server.id.empty() && !server.host.empty());
  return members.right();
}

bool read(const Json& json, ServerChange& change) {
  ObjectReader members(json);
  if (const Json* const weight = members.find("weight")) members.number<std::uint32_t>(*weight, 0, weight_max, change.weight.emplace());
  if (const Json* const backup = members.find("backup")) members.flag(*backup, change.backup.emplace());
  if (const Json* const limit = members.find("active_max")) {
    auto& value = change.active_max.emplace();
    if (!limit->is_null()) members.number<std::uint32_t>(*limit, 1, active_unlimited, value.emplace());
  }
  if (const Json* const labels = members.find("labels")) members.labels(*labels, change.labels.emplace());
  if (const Json* const url = members.find("public_url")) members.text(*url, change.public_url.emplace());
  if (const Json* const drained = members.find("drained")) members.flag(*drained, change.drained.emplace());
  if (const Json* const forced = members.find("forced")) members.forced(*forced, change.forced.emplace());
  return members.right();
}

bool read(const Json& json, RegistryState::SavedLease& lease) {
  ObjectReader members(json);
  members.text(members.get("owner"), lease.owner);
  const Json* const length = members.find("length_ns");
  lease.lasting = length == nullptr;
  if (lease.lasting) return members.right();
  std::int64_t length_ns = 0;
  members.number<std::int64_t>(*length, 1, lease_ns_max, length_ns);
  lease.length = Duration(length_ns);
  members.number<std::int64_t>(members.get("expires_unix_ms"), -unix_ms_max, unix_ms_max, lease.expires_unix_ms);
  return members.right();
}

bool read(const Json& json, RegistryState::Added& added) {
  ObjectReader members(json);
  members.demand(read(members.get("server"), added.options));
  members.flag(members.get("drained"), added.drained);
  members.forced(members.get("forced"), added.forced);
  members.number<std::uint64_t>(members.get("revision"), 0, revision_max, added.revision);
  members.number<std::uint64_t>(members.get("joined"), 0, revision_max, added.joined);
  if (const Json* const lease = members.find("lease")) {
    RegistryState::SavedLease saved;
    members.demand(read(*lease, saved));
    added.lease = std::move(saved);
  }
  return members.right();
}

bool read(const Json& json, RegistryState::Changed& changed) {
  ObjectReader members(json);
  members.demand(read(members.get("configured"), changed.configured));
  members.demand(read(members.get("change"), changed.change));
  members.flag(members.get("removed"), changed.removed);
  members.number<std::uint64_t>(members.get("revision"), 0, revision_max, changed.revision);
  return members.right();
}

const std::string& id_of(const RegistryState::Added& added) { return added.options.id; }
const std::string& id_of(const RegistryState::Changed& changed) { return changed.configured.id; }

template <typename Server>
bool read(const Json& json, std::map<std::string, Server>& servers) {
  if (!json.is_array()) return false;
  for (const Json& item : json) {
    Server server;
    if (!read(item, server)) return false;
    const std::string id = id_of(server);
    if (!servers.emplace(id, std::move(server)).second) return false;
  }
  return true;
}

bool read(const Json& json, RegistryState& state) {
  ObjectReader members(json);
  members.number<std::uint64_t>(members.get("revision"), 0, revision_max, state.revision);
  const Json& pools = members.get("pools");
  members.demand(pools.is_array());
  for (const Json& item : pools) {
    ObjectReader pool(item);
    std::string name;
    pool.text(pool.get("name"), name);
    const auto [place, is_new] = state.pools.try_emplace(name);
    pool.demand(is_new && read(pool.get("added"), place->second.added) && read(pool.get("changed"), place->second.changed));
    members.demand(pool.right());
  }
  return members.right();
}

// What stands between `before` and the rest, which is removed from `text` with it; nothing: there is another text.
bool take(std::string_view& text, std::string_view before) {
  if (!text.starts_with(before)) return false;
  text.remove_prefix(before.size());
  return true;
}

}  // namespace

std::string spell_state(const RegistryState& state) {
  Json pools = Json::array();
  for (const auto& [name, pool] : state.pools) {
    Json added = Json::array();
    for (const auto& [id, server] : pool.added) added.push_back(to_json(server));
    Json changed = Json::array();
    for (const auto& [id, server] : pool.changed) changed.push_back(to_json(server));
    pools.push_back({{"name", name}, {"added", std::move(added)}, {"changed", std::move(changed)}});
  }
  const Json json{{"revision", state.revision}, {"pools", std::move(pools)}};
  // What is not UTF-8 was checked before it came here; losing all for one such byte would be worse than losing the byte.
  return frame_state(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string frame_state(std::string_view content) {
  return fmt::format("{}{}{}{}{}{}{}", version_part, version, digest_part, sha256(content), state_part, content, end_part);
}

std::expected<RegistryState, std::string> parse_state(std::string_view text) {
  constexpr std::size_t digest_length = 64;
  if (!take(text, version_part)) return std::unexpected("is none that this program has written");
  const std::string_view number = text.substr(0, text.find_first_not_of("0123456789"));
  const auto found = parse_unsigned<unsigned>(number);
  if (!found) return std::unexpected("has no version");
  if (*found != version) return std::unexpected(fmt::format("has version {}, and this program reads version {}", *found, version));
  text.remove_prefix(number.size());
  const bool framed = take(text, digest_part) && text.size() >= digest_length && text.substr(digest_length).starts_with(state_part) &&
                      text.ends_with(end_part);
  if (!framed) return std::unexpected("is cut short or damaged");
  const std::string_view digest = text.substr(0, digest_length);
  text.remove_prefix(digest_length + state_part.size());
  if (text.size() < end_part.size()) return std::unexpected("is cut short or damaged");
  text.remove_suffix(end_part.size());
  if (sha256(text) != digest) return std::unexpected("is damaged: its content does not fit its checksum");

  Guard guard;
  const auto watch = [&](int depth, Json::parse_event_t event, const Json& parsed) { return guard(depth, event, parsed); };
  const Json json = Json::parse(text, watch, false);
  RegistryState state;
  if (json.is_discarded() || guard.broken() || !read(json, state)) {
    return std::unexpected("fits its checksum, but its content is not what this program writes");
  }
  return state;
}

}  // namespace steelyard
