#include "tls/client.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

namespace steelyard::tls {
namespace {

// Of plain text that is encrypted at once: a TLS record at most (RFC 8446 §5.1).
constexpr std::size_t record_bytes = 16 * 1024;

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason != nullptr ? reason : fmt::format("OpenSSL's error {:x}", code);
}

std::unexpected<std::string> wrong(std::string_view what, const std::string& file) {
  return std::unexpected(fmt::format("{} {}: {}", what, file, openssl_reason()));
}

std::string reason_of_failure(SSL* session) {
  const long verified = SSL_get_verify_result(session);
  if (verified != X509_V_OK) return fmt::format("its certificate is not accepted: {}", X509_verify_cert_error_string(verified));
  return fmt::format("TLS failed: {}", openssl_reason());
}

// Whom the certificate must be of.
bool demand_identity(SSL* session, const std::string& name, const IpAddress& to) {
  const auto ip = name.empty() ? std::optional(to) : IpAddress::parse(name);
  if (ip) return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(session), ip->bytes().data(), ip->is_v6() ? 16 : 4) == 1;
  SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(session, name.c_str()) == 1 && SSL_set_tlsext_host_name(session, name.c_str()) == 1;
}

}  // namespace

void ClientContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void ClientStream::Free::operator()(ssl_st* session) const { SSL_free(session); }

std::expected<std::shared_ptr<const ClientContext>, std::string> ClientContext::make(const ClientOptions& options) {
  ERR_clear_error();
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return std::unexpected(openssl_reason());
  const std::shared_ptr<const ClientContext> made(new ClientContext(options, context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context, options.verify == Verify::full ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (options.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return wrong("certificates of", "the system");
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return wrong("certificates in", options.ca_file);
  }
  if (options.certificate_file.empty()) return made;
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
    return wrong("certificate in", options.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return wrong("private key in", options.key_file);
  }
  return made;
}

ClientStream::ClientStream(const ClientContext& context, std::unique_ptr<Stream> below, const IpAddress& to)
    : below_(std::move(below)), session_(SSL_new(context.context_.get())) {
  // In memory: `incoming` has what arrived, `outgoing` what is to be sent.
  BIO* const incoming = BIO_new(BIO_s_mem());
  BIO* const outgoing = BIO_new(BIO_s_mem());
  SY_ASSERT(session_ && incoming != nullptr && outgoing != nullptr);
  SSL_set_bio(session_.get(), incoming, outgoing);
  SSL_set_connect_state(session_.get());
  SY_ASSERT(demand_identity(session_.get(), context.options_.server_name, to));
  below_->observe(this);
}

ClientStream::~ClientStream() = default;

void ClientStream::begin_events() {
  below_->watch();
  if (below_->is_readable()) advance();  // it was connected before
}

void ClientStream::on_unawaited_event(Stream& /*below*/) { advance(); }
void ClientStream::on_unawaited_room(Stream& /*below*/) { advance(); }

// Something has happened below. The last step may end this stream.
void ClientStream::advance() {
  if (state_ == State::connecting) {
    result_ = below_->connect_result();
    state_ = result_ ? State::shaking_hands : State::failed;
  }
  const bool was_open = state_ == State::open;
  if (state_ == State::shaking_hands) shake_hands();
  if (state_ == State::shaking_hands) return;
  const bool ended = below_->peer_ended() || below_->broken() || state_ == State::failed;
  const bool room = state_ == State::failed || !flush() || BIO_ctrl_pending(SSL_get_wbio(session_.get())) == 0;
  // With the last bytes of the handshake the first ones behind it may have come.
  deliver({.readable = below_->is_readable() || ended || !was_open,
           .writable = room,
           .peer_ended = below_->peer_ended(),
           .broken = below_->broken()});
}

void ClientStream::shake_hands() {
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(session_.get());
    const int why = SSL_get_error(session_.get(), done);
    const auto sent = flush();
    if (done == 1) {
      state_ = State::open;
      return;
    }
    if (why != SSL_ERROR_WANT_READ) {
      problem_ = reason_of_failure(session_.get());
      result_ = fail_session(ErrorKind::malformed);
      return;
    }
    auto fed = sent ? feed() : sent;
    if (fed) continue;
    if (fed.error().kind == ErrorKind::would_block) return;
    problem_ = "it ended the TLS handshake";
    result_ = fail_session(fed.error().kind);
    return;
  }
}

std::unexpected<Error> ClientStream::fail_session(ErrorKind kind) {
  state_ = State::failed;
  result_ = fail(kind);
  return fail(kind);
}

// One piece of what has arrived.
Result<void> ClientStream::feed() {
  std::array<char, record_bytes> piece;
  const auto got = below_->read(piece);
  if (!got) return std::unexpected(got.error());
  if (*got == 0) return fail(ErrorKind::closed);
  SY_ASSERT(BIO_write(SSL_get_rbio(session_.get()), piece.data(), static_cast<int>(*got)) == static_cast<int>(*got));
  return {};
}

// As much as fits of what is to be sent. That it does not fit is no error: the stream below tells when there is room.
Result<void> ClientStream::flush() {
  BIO* const outgoing = SSL_get_wbio(session_.get());
  char* waiting = nullptr;
  for (long size = 0; (size = BIO_get_mem_data(outgoing, &waiting)) > 0;) {
    const auto sent = below_->write({waiting, static_cast<std::size_t>(size)});
    if (!sent) return sent.error().kind == ErrorKind::would_block ? Result<void>{} : std::unexpected(sent.error());
    std::array<char, record_bytes> gone;
    for (std::size_t left = *sent; left > 0;) {
      const int taken = BIO_read(outgoing, gone.data(), static_cast<int>(std::min(left, gone.size())));
      SY_ASSERT(taken > 0);
      left -= static_cast<std::size_t>(taken);
    }
  }
  return {};
}

Result<std::size_t> ClientStream::read(std::span<char> into) {
  if (state_ == State::failed) return std::unexpected(result_.error());
  while (state_ == State::open) {
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(session_.get(), into.data(), into.size(), &got);
    if (done == 1) return got;
    const int why = SSL_get_error(session_.get(), done);
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    if (why != SSL_ERROR_WANT_READ) {
      problem_ = reason_of_failure(session_.get());
      return fail_session(ErrorKind::malformed);
    }
    // An answer to a key update may have come up; it goes out with the next write where it does not now.
    const auto sent = flush();
    const auto fed = sent ? feed() : sent;
    if (fed) continue;
    if (fed.error().kind != ErrorKind::would_block) return std::unexpected(fed.error());
    break;
  }
  exhausted_read();
  return fail(ErrorKind::would_block);
}

Result<std::size_t> ClientStream::write(std::span<const char> bytes) {
  if (state_ == State::failed) return std::unexpected(result_.error());
  BIO* const outgoing = SSL_get_wbio(session_.get());
  auto sent = flush();
  if (!sent) return std::unexpected(sent.error());
  if (state_ != State::open || BIO_ctrl_pending(outgoing) > 0) {
    exhausted_write();
    return fail(ErrorKind::would_block);
  }
  ERR_clear_error();
  std::size_t taken = 0;
  if (SSL_write_ex(session_.get(), bytes.data(), std::min(bytes.size(), record_bytes), &taken) != 1) {
    problem_ = reason_of_failure(session_.get());
    return fail_session(ErrorKind::malformed);
  }
  sent = flush();
  if (!sent) return std::unexpected(sent.error());
  if (BIO_ctrl_pending(outgoing) > 0) exhausted_write();
  return taken;
}

void ClientStream::shutdown_write() {
  if (state_ == State::open) SSL_shutdown(session_.get());
  ERR_clear_error();
  if (flush() && BIO_ctrl_pending(SSL_get_wbio(session_.get())) == 0) below_->shutdown_write();
}

bool ClientStream::quiet() {
  return SSL_has_pending(session_.get()) == 0 && BIO_ctrl_pending(SSL_get_rbio(session_.get())) == 0 && below_->quiet();
}

}  // namespace steelyard::tls
