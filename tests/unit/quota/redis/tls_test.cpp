// A real Redis over TLS.
#include <gtest/gtest.h>

#include <string>

#include "quota/redis/fixture.hpp"
#include "support/certificates.hpp"
#include "support/redis_server.hpp"

namespace steelyard::quota {
namespace tls_test {

using testing::five_a_minute;
using testing::in_words;
using testing::patient_options;
using testing::take;
using testing_support::Certificates;
using testing_support::RedisServer;

struct RedisTls : ::testing::Test, testing::World {
  Certificates certificates{"DNS:redis.test,IP:127.0.0.1"};
  SocketAddress address = testing_support::free_address();
  std::unique_ptr<RedisServer> redis;
  Duration connect_timeout = 2s;

  void SetUp() override { SKIP_WITHOUT("redis-server"); }
  void start(const std::string& client_certificates) {
    redis = std::make_unique<RedisServer>(std::vector<std::string>{
        "--tls-port", std::to_string(address.port), "--tls-cert-file", certificates.certificate_file(), "--tls-key-file",
        certificates.key_file(), "--tls-ca-cert-file", certificates.ca_file(), "--tls-auth-clients", client_certificates});
  }
  std::string first_answer(const tls::ClientOptions& options) {
    RedisOptions over_tls = patient_options(address);
    over_tls.tls = options;
    over_tls.connect_timeout = connect_timeout;
    std::string words;
    run_with(over_tls, [&](RedisStore& store) -> Task<void> {
      // Far more than one record, in one go.
      std::vector<Asked> asked(500, Asked{.demand = {.rule = &five_a_minute, .limit = "test", .key = "client"}});
      co_await store.take(asked);
      words = in_words(asked[4].answer);
      if (words == "allowed") {
        for (std::size_t i = 5; i < asked.size(); ++i) EXPECT_EQ(in_words(asked[i].answer), "refused");
      }
    });
    return words;
  }
};

TEST_F(RedisTls, counts_as_without) {
  start("no");
  EXPECT_EQ(first_answer({.ca_file = certificates.ca_file()}), "allowed");
}
TEST_F(RedisTls, a_redis_that_is_not_the_one_named_is_not_asked) {
  start("no");
  EXPECT_EQ(first_answer({.ca_file = certificates.ca_file(), .server_name = "other.test"}), "failed");
  EXPECT_EQ(redis->ask({"DBSIZE"}).integer, 0);
}
TEST_F(RedisTls, our_own_certificate_is_shown_where_one_is_wanted) {
  start("yes");
  EXPECT_EQ(
      first_answer(
          {.ca_file = certificates.ca_file(), .certificate_file = certificates.certificate_file(), .key_file = certificates.key_file()}),
      "allowed");
}
TEST_F(RedisTls, without_one_it_is_refused) {
  start("yes");
  EXPECT_EQ(first_answer({.ca_file = certificates.ca_file()}), "failed");
}
TEST_F(RedisTls, a_redis_without_tls_is_not_asked) {
  start("no");
  address = redis->address();
  connect_timeout = 50ms;  // it waits for the rest of what it takes for a command
  EXPECT_EQ(first_answer({.ca_file = certificates.ca_file()}), "failed");
}

}  // namespace tls_test
}  // namespace steelyard::quota
