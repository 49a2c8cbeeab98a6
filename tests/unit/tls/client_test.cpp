// TLS to a server that OpenSSL plays on a thread of its own: every byte arrives, and only who is meant is talked to.
#include "tls/client.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>

#include "net/epoll_net.hpp"
#include "runtime/child.hpp"
#include "support/certificates.hpp"
#include "support/line.hpp"

namespace steelyard::tls {
namespace client_test {

using testing_support::Certificates;
using testing_support::Line;

// Accepts one connection, and echoes what comes until the end.
class EchoServer {
 public:
  enum class End : std::uint8_t { in_order, abrupt, before_handshake };

  explicit EchoServer(const Certificates& certificates, End end = End::in_order, int newest = TLS1_3_VERSION)
      : listener_(*listen_on(*SocketAddress::parse("127.0.0.1:0"))), address(local_address_of(listener_)) {
    signal(SIGPIPE, SIG_IGN);  // OpenSSL's own writes to a socket that the client has closed
    thread_ = std::thread([this, end, newest, certificate = certificates.certificate_file(), key = certificates.key_file()] {
      serve(end, newest, certificate, key);
    });
  }
  ~EchoServer() {
    thread_.join();
    close(listener_);
  }

 private:
  void serve(End end, int newest, const std::string& certificate, const std::string& key) {
    pollfd waited{.fd = listener_, .events = POLLIN, .revents = 0};
    constexpr int patience_ms = 10'000;
    if (poll(&waited, 1, patience_ms) != 1) return;
    const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_chain_file(context, certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_max_proto_version(context, newest);
    SSL* const session = SSL_new(context);
    SSL_set_fd(session, descriptor);
    if (end != End::before_handshake && SSL_accept(session) == 1) {
      std::string piece(50'000, '\0');
      for (int got = 0; (got = SSL_read(session, piece.data(), static_cast<int>(piece.size()))) > 0;) {
        if (piece[0] == '!') break;
        SSL_write(session, piece.data(), got);
      }
      if (end == End::in_order) SSL_shutdown(session);
    }
    SSL_free(session);
    SSL_CTX_free(context);
    close(descriptor);
  }

  int listener_;
  std::thread thread_;

 public:
  const SocketAddress address;
};

struct TlsClient : ::testing::Test {
  Certificates certificates{"DNS:redis.test,IP:127.0.0.1"};
  EpollLoop loop;
  EpollConnector connector{loop};
  std::unique_ptr<ClientStream> stream;

  ClientOptions options(std::string name = "") const { return {.ca_file = certificates.ca_file(), .server_name = std::move(name)}; }

  // Runs `work` on the loop until it has returned.
  void run(std::function<Task<void>()> work) {
    auto then_stop = [](EpollLoop& of, std::function<Task<void>()>& inner) -> Task<void> {
      co_await inner();
      of.stop();
    };
    Line line(loop.scheduler());
    line.fiber.set_deadline(loop.scheduler().now() + 20s);
    line.fiber.start(then_stop(loop, work));
    loop.run();
    EXPECT_TRUE(line.finished);
    stream.reset();
  }

  Task<Result<void>> connect(const EchoServer& server, ClientOptions with) {
    const auto context = ClientContext::make(with);
    EXPECT_TRUE(context) << context.error();
    context_ = *context;
    auto below = connector.connect(server.address);
    stream = std::make_unique<ClientStream>(**context, std::move(*below), server.address.ip);
    const WaitResult decided = co_await stream->writable();
    EXPECT_EQ(decided, WaitResult::done);
    co_return stream->connect_result();
  }

  Task<void> send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = stream->write(bytes);
      if (!sent && sent.error().kind != ErrorKind::would_block) co_return;
      bytes.remove_prefix(sent.value_or(0));
      if (sent) continue;
      const WaitResult room = co_await stream->writable();
      if (room != WaitResult::done) co_return;
    }
  }

  // Until so many bytes have come, or the end, or an error.
  Task<Result<std::string>> receive(std::size_t size) {
    std::string received;
    std::string piece(30'000, '\0');
    while (received.size() < size) {
      const auto got = stream->read(piece);
      if (got && *got == 0) break;
      if (got) {
        received.append(piece, 0, *got);
        continue;
      }
      if (got.error().kind != ErrorKind::would_block) co_return std::unexpected(got.error());
      const WaitResult arrived = co_await stream->readable();
      EXPECT_EQ(arrived, WaitResult::done);
      if (arrived != WaitResult::done) break;
    }
    co_return received;
  }

  // How a connection that is refused ended.
  std::string refusal(const Certificates& of_server, ClientOptions with) {
    EchoServer server(of_server);
    std::string problem;
    run([&]() -> Task<void> {
      const auto connected = co_await connect(server, with);
      EXPECT_FALSE(connected);
      if (connected) co_return;
      EXPECT_EQ(connected.error().kind, ErrorKind::malformed);
      problem = stream->problem();
      char byte = 0;
      EXPECT_FALSE(stream->write({"x", 1}));
      EXPECT_FALSE(stream->read({&byte, 1}));
      stream.reset();
    });
    return problem;
  }

 private:
  std::shared_ptr<const ClientContext> context_;
};

struct TlsVersions : TlsClient, ::testing::WithParamInterface<int> {};

TEST_P(TlsVersions, every_byte_arrives_both_ways_and_then_the_end) {
  EchoServer server(certificates, EchoServer::End::in_order, GetParam());
  std::string sent(3'000'000, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('a' + i * 2654435761U % 23);
  run([&]() -> Task<void> {
    const auto connected = co_await connect(server, options("redis.test"));
    EXPECT_TRUE(connected) << stream->problem();
    Child sending(loop.scheduler());
    sending.start(send(sent));
    const auto back = co_await receive(sent.size());
    EXPECT_TRUE(back && *back == sent);
    co_await sending.join();
    co_await send("!");
    const auto end = co_await receive(1);
    EXPECT_TRUE(end && end->empty());
  });
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsVersions, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_F(TlsClient, a_certificate_for_the_address_is_as_good) {
  EchoServer server(certificates);
  run([&]() -> Task<void> {
    const auto connected = co_await connect(server, options());
    EXPECT_TRUE(connected) << stream->problem();
    co_await send("!");
  });
}

TEST_F(TlsClient, a_certificate_of_another_name_is_refused) {
  EXPECT_EQ(refusal(certificates, options("other.test")), "its certificate is not accepted: hostname mismatch");
}
TEST_F(TlsClient, a_certificate_without_the_address_is_refused) {
  const Certificates named("DNS:redis.test");
  EXPECT_EQ(refusal(named, {.ca_file = named.ca_file()}), "its certificate is not accepted: IP address mismatch");
}
TEST_F(TlsClient, a_certificate_that_nobody_trusted_has_signed_is_refused) {
  const Certificates others("DNS:redis.test");
  EXPECT_TRUE(refusal(others, options("redis.test")).starts_with("its certificate is not accepted: "));
}
TEST_F(TlsClient, an_expired_certificate_is_refused) {
  const Certificates expired("DNS:redis.test", Certificates::Validity::expired);
  EXPECT_EQ(refusal(expired, {.ca_file = expired.ca_file(), .server_name = "redis.test"}),
            "its certificate is not accepted: certificate has expired");
}

TEST_F(TlsClient, who_does_not_verify_takes_any) {
  const Certificates others("DNS:redis.test");
  EchoServer server(others);
  run([&]() -> Task<void> {
    const auto connected = co_await connect(server, {.verify = Verify::none});
    EXPECT_TRUE(connected);
    co_await send("!");
  });
}

TEST_F(TlsClient, an_old_protocol_is_refused) {
  EchoServer server(certificates, EchoServer::End::in_order, TLS1_1_VERSION);
  run([&]() -> Task<void> {
    const auto connected = co_await connect(server, options());
    EXPECT_FALSE(connected);
    EXPECT_NE(stream->problem(), "");
    stream.reset();
  });
}

TEST_F(TlsClient, an_end_without_notice_is_an_error) {
  EchoServer server(certificates, EchoServer::End::abrupt);
  run([&]() -> Task<void> {
    const auto connected = co_await connect(server, options());
    EXPECT_TRUE(connected);
    co_await send("!");
    const auto cut = co_await receive(1);
    EXPECT_FALSE(cut);
  });
}

TEST_F(TlsClient, an_end_before_the_handshake_is_told) {
  EchoServer server(certificates, EchoServer::End::before_handshake);
  run([&]() -> Task<void> {
    const auto connected = co_await connect(server, options());
    EXPECT_FALSE(connected);
    EXPECT_EQ(stream->problem(), "it ended the TLS handshake");
  });
}

TEST_F(TlsClient, nobody_listening_is_told_as_without_tls) {
  const int descriptor = *listen_on(*SocketAddress::parse("127.0.0.1:0"));
  const SocketAddress address = local_address_of(descriptor);
  close(descriptor);
  run([&]() -> Task<void> {
    const auto context = ClientContext::make(options());
    auto below = connector.connect(address);
    stream = std::make_unique<ClientStream>(**context, std::move(*below), address.ip);
    const WaitResult decided = co_await stream->writable();
    EXPECT_EQ(decided, WaitResult::done);
    const auto connected = stream->connect_result();
    EXPECT_FALSE(connected);
    EXPECT_EQ(connected ? ErrorKind::system : connected.error().kind, ErrorKind::refused);
    stream.reset();
  });
}

TEST_F(TlsClient, files_that_are_wrong_are_told) {
  const auto missing = ClientContext::make({.ca_file = "no/such/file.pem"});
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().starts_with("certificates in no/such/file.pem: ")) << missing.error();
  const auto no_key = ClientContext::make({.ca_file = certificates.ca_file(), .certificate_file = certificates.certificate_file()});
  EXPECT_FALSE(no_key);
  const Certificates others("DNS:redis.test");
  const auto other_key = ClientContext::make({.certificate_file = certificates.certificate_file(), .key_file = others.key_file()});
  EXPECT_FALSE(other_key);
}

}  // namespace client_test
}  // namespace steelyard::tls
