#include "decide/token/target.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "base/assert.hpp"
#include "wire/http/characters.hpp"

namespace steelyard::token {
namespace {

struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Whether `encoded` is `name` once its percent-encodings are decoded; those that are broken stand for themselves.
bool decodes_to(std::string_view encoded, std::string_view name) {
  while (!encoded.empty() && !name.empty()) {
    char c = encoded.front();
    std::size_t length = 1;
    if (c == '%' && encoded.size() >= 3 && http::hex_value(encoded[1]) >= 0 && http::hex_value(encoded[2]) >= 0) {
      c = static_cast<char>(http::hex_value(encoded[1]) << 4 | http::hex_value(encoded[2]));
      length = 3;
    }
    if (c != name.front()) return false;
    encoded.remove_prefix(length);
    name.remove_prefix(1);
  }
  return encoded.empty() && name.empty();
}

}  // namespace

TargetHash hash_of(std::string_view target) {
  // Kept, because finding the one and making the other takes longer than using them.
  static const std::unique_ptr<EVP_MD, FreeDigest> sha256(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeDigest> context(EVP_MD_CTX_new());
  TargetHash hash{};
  SY_ASSERT(sha256 && context && EVP_DigestInit_ex2(context.get(), sha256.get(), nullptr) == 1 &&
            EVP_DigestUpdate(context.get(), target.data(), target.size()) == 1 &&
            EVP_DigestFinal_ex(context.get(), hash.data(), nullptr) == 1);
  return hash;
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

std::expected<Carried, Denied> take_parameter(std::string_view target, std::string_view name) {
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return Carried{std::nullopt, std::string(target)};
  std::optional<std::string_view> value;
  std::size_t cut_begin = target.size();  // what is left out, with its separator
  std::size_t cut_end = target.size();
  for (std::size_t begin = question + 1; begin <= target.size();) {
    const std::size_t end = std::min(target.find('&', begin), target.size());
    const std::string_view parameter = target.substr(begin, end - begin);
    const std::string_view its_name = parameter.substr(0, parameter.find('='));
    if (its_name == name) {
      if (value) return deny(Reason::repeated, "the request carries a parameter twice that may be there once");
      value = parameter.substr(std::min(its_name.size() + 1, parameter.size()));
      const bool is_first = begin == question + 1 && end < target.size();  // then '?' stays, and '&' behind it goes
      cut_begin = is_first ? begin : begin - 1;
      cut_end = is_first ? end + 1 : end;
    } else if (decodes_to(its_name, name)) {
      return deny(Reason::malformed, "the request percent-encodes the name of a parameter that must be written as it is");
    }
    begin = end + 1;
  }
  std::string rest(target.substr(0, cut_begin));
  rest.append(target.substr(cut_end));
  return Carried{value, std::move(rest)};
}

std::string with_parameter(std::string_view target, std::string_view name, std::string_view value) {
  std::string with;
  with.reserve(target.size() + name.size() + value.size() + 2);
  with.append(target).push_back(target.find('?') == std::string_view::npos ? '?' : '&');
  with.append(name).append("=").append(value);
  return with;
}

}  // namespace steelyard::token
