#include "app/audit.hpp"

#include <algorithm>

#include "wire/json/string_text.hpp"

namespace steelyard {
namespace {

constexpr const char* no_policy = "it demanded nothing, although its pool has a policy";
constexpr const char* not_demanded = "its record names a policy, but not what was demanded";
constexpr const char* not_promised = "it was given to a server that did not promise what was demanded";
constexpr const char* other_promise = "it was given to a server by another promise than what was demanded";
constexpr const char* other_type = "it has a member of another type than records have";

std::string plain(std::string_view raw) {
  std::string text;
  json::unescape(raw, text);
  return text;
}

// False where it is no text.
bool take(const json::Object& object, const json::Member& member, std::string_view& into) {
  into = object.value(member);
  return member.kind == json::Kind::string;
}

}  // namespace

Audit::Audit(const std::vector<std::string>& policy_required) {
  for (const std::string& name : policy_required) pools_[name].required = true;
}

void Audit::begin_file(std::string name) {
  file_ = std::move(name);
  number_ = 0;
}

void Audit::add(std::string_view line) {
  ++number_;
  ++lines_so_far_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return;
  if (const char* const reason = check(line)) note_unreadable(reason);
}

void Audit::add_unreadable(const char* reason) {
  ++number_;
  ++lines_so_far_;
  note_unreadable(reason);
}

void Audit::note_unreadable(const char* reason) {
  if (findings_.unreadable++ < described_max) findings_.first_unreadable.push_back({{file_, number_, lines_so_far_}, reason});
}

const char* Audit::check(std::string_view line) {
  Record record;
  if (const char* const reason = read(line, record)) return reason;
  Pool* const pool = find_pool(record.pool);
  if (pool == nullptr) return "it names one pool more than can be kept in mind";
  ++findings_.exchanges;
  if (!record.server.empty()) judge(record, *pool);
  return nullptr;
}

// The scanner refuses what could be read in two ways, such as a member that is there twice.
const char* Audit::read(std::string_view line, Record& record) {
  also_.clear();
  lines_.reset();
  const auto end = lines_.feed(line);
  if (!end) return end.error().reason;
  if (*end == 0) return "It ends inside its object.";
  if (line.find_first_not_of(" \t", *end) != std::string_view::npos) return "Something follows its object.";
  const json::Object object = lines_.object(line);
  bool has_status = false;
  for (const json::Member& member : object.members) {
    const std::string_view name = object.name(member);
    bool right = true;
    if (name == "pool") {
      right = take(object, member, record.pool);
    } else if (name == "server") {
      right = take(object, member, record.server);
    } else if (name == "request_id") {
      right = take(object, member, record.request_id);
    } else if (name == "status") {
      has_status = right = member.kind == json::Kind::number;
    } else if (name == "policy") {
      if (member.kind != json::Kind::object) return other_type;
      if (const char* const reason = read_policy(object.value(member), record)) return reason;
    } else if (name.find('\\') != std::string_view::npos) {
      return "It has a member whose name is escaped, as records have none.";
    }
    if (!right) return other_type;
  }
  return has_status ? nullptr : "it has no status, so it is no record of an exchange";
}

const char* Audit::read_policy(std::string_view text, Record& record) {
  record.has_policy = true;
  policies_.reset();
  const auto end = policies_.feed(text);
  if (!end) return end.error().reason;
  const json::Object object = policies_.object(text);
  for (const json::Member& member : object.members) {
    const std::string_view name = object.name(member);
    if (name == "demanded" && !take(object, member, record.demanded)) return other_type;
    if (name == "met_by" && !take(object, member, record.met_by)) return other_type;
    if (name.find('\\') != std::string_view::npos) return "It has a member whose name is escaped, as records have none.";
    if (name != "also") continue;
    if (member.kind != json::Kind::array) return other_type;
    if (const char* const reason = read_also(object.value(member))) return reason;
  }
  return nullptr;
}

// "[{…},{…}]", which has been found to be valid JSON.
const char* Audit::read_also(std::string_view list) {
  for (list.remove_prefix(1); !list.empty() && list.front() != ']';) {
    others_.reset();
    const auto end = others_.feed(list);
    if (!end) return end.error().reason;
    const json::Object object = others_.object(list);
    Met met;
    for (const json::Member& member : object.members) {
      if (object.name(member) == "server" && !take(object, member, met.server)) return other_type;
      if (object.name(member) == "met_by" && !take(object, member, met.promise)) return other_type;
    }
    also_.push_back(met);
    list.remove_prefix(std::min(list.find_first_not_of(" \t", *end), list.size()));
    if (list.starts_with(',')) list.remove_prefix(1);
  }
  return nullptr;
}

void Audit::judge(const Record& record, Pool& pool) {
  ++findings_.served;
  ++pool.served;
  const Met met{record.server, record.met_by};
  if (!record.has_policy) {
    if (pool.without++ < described_max) pool.first_without.push_back(describe(record, met, no_policy));
    return;
  }
  pool.has_policy = true;
  const Met* wrong = nullptr;
  if (!record.demanded.empty()) ++findings_.with_policy;
  if (record.demanded.empty() || !json::same_text(met.promise, record.demanded)) wrong = &met;
  for (const Met& other : also_) {
    if (wrong == nullptr && !json::same_text(other.promise, record.demanded)) wrong = &other;
  }
  if (wrong == nullptr || findings_.violations++ >= described_max) return;
  const char* const by_promise = wrong->promise.empty() ? not_promised : other_promise;
  findings_.first_violations.push_back(describe(record, *wrong, record.demanded.empty() ? not_demanded : by_promise));
}

// nullptr: there are too many.
Audit::Pool* Audit::find_pool(std::string_view name) {
  std::string unescaped;
  if (name.find('\\') != std::string_view::npos) name = unescaped = plain(name);
  const auto found = pools_.find(name);
  if (found != pools_.end()) return &found->second;
  return pools_.size() < pools_max ? &pools_[std::string(name)] : nullptr;
}

Audit::Violation Audit::describe(const Record& record, const Met& met, const char* reason) const {
  return {{file_, number_, lines_so_far_},
          plain(record.pool),
          plain(met.server),
          plain(record.request_id),
          plain(record.demanded),
          plain(met.promise),
          reason};
}

Audit::Findings Audit::findings() const {
  Findings all = findings_;
  for (const auto& [name, pool] : pools_) {
    if (pool.required && pool.served == 0) all.pools_missed.push_back(name);
    if (!pool.required && !pool.has_policy) continue;
    all.violations += pool.without;
    all.first_violations.insert(all.first_violations.end(), pool.first_without.begin(), pool.first_without.end());
  }
  std::ranges::sort(all.first_violations, {}, [](const Violation& violation) { return violation.at.of_all; });
  if (all.first_violations.size() > described_max)
    all.first_violations.erase(all.first_violations.begin() + described_max, all.first_violations.end());
  return all;
}

}  // namespace steelyard
