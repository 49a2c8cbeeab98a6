// Names are known in any case and nothing else is.
#include "wire/http/field_name.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

namespace steelyard::http {
namespace field_name_test {

constexpr std::array<std::pair<std::string_view, FieldName>, 28> known = {{
    {"Accept", FieldName::accept},
    {"Connection", FieldName::connection},
    {"Content-Length", FieldName::content_length},
    {"Content-Type", FieldName::content_type},
    {"Cookie", FieldName::cookie},
    {"Date", FieldName::date},
    {"Expect", FieldName::expect},
    {"Forwarded", FieldName::forwarded},
    {"Host", FieldName::host},
    {"HTTP2-Settings", FieldName::http2_settings},
    {"Keep-Alive", FieldName::keep_alive},
    {"Max-Forwards", FieldName::max_forwards},
    {"Proxy", FieldName::proxy},
    {"Proxy-Authenticate", FieldName::proxy_authenticate},
    {"Proxy-Authorization", FieldName::proxy_authorization},
    {"Proxy-Connection", FieldName::proxy_connection},
    {"Server", FieldName::server},
    {"TE", FieldName::te},
    {"Trailer", FieldName::trailer},
    {"Transfer-Encoding", FieldName::transfer_encoding},
    {"Upgrade", FieldName::upgrade},
    {"User-Agent", FieldName::user_agent},
    {"Via", FieldName::via},
    {"X-Forwarded-For", FieldName::x_forwarded_for},
    {"X-Forwarded-Host", FieldName::x_forwarded_host},
    {"X-Forwarded-Proto", FieldName::x_forwarded_proto},
    {"X-Real-IP", FieldName::x_real_ip},
    {"X-Request-Id", FieldName::x_request_id},
}};

TEST(FieldName, knows_its_names_in_any_case) {
  EXPECT_EQ(known.size(), static_cast<std::size_t>(FieldName::x_request_id));
  for (const auto& [name, id] : known) {
    std::string upper(name);
    std::string lower(name);
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    EXPECT_EQ(classify(name), id) << name;
    EXPECT_EQ(classify(upper), id) << name;
    EXPECT_EQ(classify(lower), id) << name;
  }
}

TEST(FieldName, takes_no_neighbour_for_a_known_name) {
  for (const auto& [name, id] : known) {
    const std::string text(name);
    EXPECT_EQ(classify(text + "0"), FieldName::other) << name;
    EXPECT_EQ(classify(text.substr(1)), FieldName::other) << name;
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string changed = text;
      changed[i] = '~';
      EXPECT_EQ(classify(changed), FieldName::other) << changed;
    }
  }
}

TEST(FieldName, sees_through_underscores) {
  EXPECT_TRUE(is_alias_of_known("Content_Length"));
  EXPECT_TRUE(is_alias_of_known("x_forwarded-FOR"));
  EXPECT_FALSE(is_alias_of_known("X_Custom"));
  EXPECT_FALSE(is_alias_of_known(std::string(300, '_')));
  EXPECT_EQ(classify("Content_Length"), FieldName::other);
}

}  // namespace field_name_test
}  // namespace steelyard::http
