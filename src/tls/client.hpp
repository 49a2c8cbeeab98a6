// TLS towards servers, over OpenSSL 3: a stream that encrypts what goes through another one. TLS 1.2 and newer.
//
// ClientContext holds what is the same for all connections: who is trusted, and our own certificate. It may be shared by all threads.
// A ClientStream is a Stream like every other, so whoever speaks over streams need not know: it becomes writable when the handshake has
// succeeded or failed, as connect_result() then says; problem() says why in words. It moves bytes only when it is asked to, and
// holds what OpenSSL has encrypted until the stream below takes it, at most one write.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "net/stream.hpp"
#include "tls/options.hpp"

struct ssl_ctx_st;
struct ssl_st;

namespace steelyard::tls {

class ClientContext {
 public:
  // Reads the files. What is wrong with them, in words.
  static std::expected<std::shared_ptr<const ClientContext>, std::string> make(const ClientOptions& options);

 private:
  friend class ClientStream;
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  ClientContext(ClientOptions options, ssl_ctx_st* context) : options_(std::move(options)), context_(context) {}

  const ClientOptions options_;
  const std::unique_ptr<ssl_ctx_st, Free> context_;
};

class ClientStream final : public Stream, private StreamObserver {
 public:
  // `below` is connecting or connected to `to`, whose name or address the certificate must have. The context outlives the stream.
  ClientStream(const ClientContext& context, std::unique_ptr<Stream> below, const IpAddress& to);
  ~ClientStream() override;

  Result<std::size_t> read(std::span<char> into) override;
  Result<std::size_t> write(std::span<const char> bytes) override;
  void shutdown_write() override;
  void reset_on_close() override { below_->reset_on_close(); }
  void break_off() override { below_->break_off(); }
  // Of kind `refused`, `reset` and so on where the stream below did not connect, `malformed` where the handshake failed.
  Result<void> connect_result() override { return result_; }
  [[nodiscard]] bool quiet() override;
  // Why the handshake or the connection failed, where TLS knows; else "".
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  enum class State : std::uint8_t { connecting, shaking_hands, open, failed };
  struct Free {
    void operator()(ssl_st* session) const;
  };

  void begin_events() override;
  void on_unawaited_event(Stream& below) override;
  void on_unawaited_room(Stream& below) override;
  void advance();
  void shake_hands();
  Result<void> feed();
  Result<void> flush();
  std::unexpected<Error> fail_session(ErrorKind kind);

  std::unique_ptr<Stream> below_;
  std::unique_ptr<ssl_st, Free> session_;
  State state_ = State::connecting;
  Result<void> result_{};
  std::string problem_;
};

}  // namespace steelyard::tls
