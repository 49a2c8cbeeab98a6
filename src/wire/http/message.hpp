// The HTTP message model that everything above the codecs works with: version-neutral, and only views. The bytes belong to
// whoever called the parser and must outlive the head. What the views say has already been validated.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

namespace steelyard::http {

enum class Method : std::uint8_t { get, head, post, put, delete_, options, patch, trace, connect, other };

// Methods whose repetition has the effect of one request (RFC 9110 §9.2.2).
constexpr bool is_idempotent(Method method) {
  return method == Method::get || method == Method::head || method == Method::put || method == Method::delete_ ||
         method == Method::options || method == Method::trace;
}

// The names that the proxy itself must know. Everything else passes as `other`.
enum class FieldName : std::uint8_t {
  other,
  accept,
  connection,
  content_length,
  content_type,
  cookie,
  date,
  expect,
  forwarded,
  host,
  http2_settings,
  keep_alive,
  max_forwards,
  proxy,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  server,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  user_agent,
  via,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_proto,
  x_real_ip,
  x_request_id,
  x_steelyard_no_redirect,
};

struct Field {
  std::string_view name;   // as received
  std::string_view value;  // without surrounding white space
  FieldName id = FieldName::other;
  bool hop_by_hop = false;  // ends at this hop: by its nature or because Connection names it (RFC 9110 §7.6.1)
};

inline constexpr std::size_t field_count_max = 256;  // the hard bound of the model; limits below it are configuration

class Fields {
 public:
  [[nodiscard]] std::span<const Field> all() const { return {fields_.data(), count_}; }
  [[nodiscard]] std::span<Field> all() { return {fields_.data(), count_}; }
  [[nodiscard]] std::size_t size() const { return count_; }
  void clear() { count_ = 0; }
  // False when the model's bound is reached.
  [[nodiscard]] bool push_back(const Field& field) {
    if (count_ == field_count_max) return false;
    fields_[count_++] = field;
    return true;
  }
  // The first field of that known name, or nullptr.
  [[nodiscard]] const Field* find(FieldName id) const {
    for (const Field& field : all()) {
      if (field.id == id) return &field;
    }
    return nullptr;
  }

 private:
  std::array<Field, field_count_max> fields_;
  std::uint32_t count_ = 0;
};

enum class BodyKind : std::uint8_t { none, length, chunked, until_close };

struct BodyFraming {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;  // of kind length only; never 0 there (an empty body is `none`)
};

enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

struct RequestHead {
  Method method = Method::other;
  std::string_view method_text;
  std::string_view target;  // as received
  TargetForm form = TargetForm::origin;
  std::string_view authority;  // from the absolute target, else from Host; may be empty for HTTP/1.0
  std::string_view path;       // without the query; "*" for OPTIONS *
  std::string_view query;      // without '?'
  bool has_query = false;
  std::uint8_t version_minor = 1;
  bool keep_alive = true;
  bool expects_continue = false;
  std::string_view upgrade;         // the protocols offered, where the request asks for an upgrade; else empty
  bool has_content_length = false;  // also when its value was 0, which some servers want to see
  BodyFraming body;
  Fields fields;
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;
  std::uint8_t version_minor = 1;
  bool keep_alive = true;
  std::string_view upgrade;  // the protocol switched to, on 101
  bool has_content_length = false;
  std::uint64_t content_length = 0;  // what the field says, also where no body follows (HEAD, 304)
  BodyFraming body;
  Fields fields;
};

// Why a message was refused. `status` is what a client is told (400, 413, 414, 417, 431, 501, 505); for a server's response
// the proxy says 502 whatever it is. `reason` is a static sentence for the body and the log.
struct ParseError {
  enum class Bound : std::uint8_t { none, request_line_bytes, head_bytes, field_count };

  int status = 400;
  const char* reason = "";
  Bound bound = Bound::none;  // the limit that was hit, to be counted
};
inline std::unexpected<ParseError> refuse(int status, const char* reason) { return std::unexpected(ParseError{status, reason}); }

struct HeadLimits {
  std::uint32_t request_line_bytes_max = 8 * 1024;
  std::uint32_t head_bytes_max = 32 * 1024;  // request line and fields together
  std::uint32_t field_count_max = 100;
};

}  // namespace steelyard::http
