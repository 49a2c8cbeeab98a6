// How the backend answers: heads, short answers in one send, long ones with back-pressure, and reading the bodies of requests. Knows no
// routes. One for each backend, on its loop's thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/task.hpp"
#include "session/exchange.hpp"
#include "session/head_builder.hpp"
#include "session/options.hpp"
#include "session/scratch.hpp"
#include "wire/http/date.hpp"

namespace steelyard::backend {

inline constexpr std::string_view json_type = "application/json";

struct Answer {
  int status = 200;
  std::string body;
  std::string_view fields = "";  // further lines of the head, each with its end
  std::string_view type = json_type;
};

// An answer that says what is wrong: {"error": …}.
[[nodiscard]] Answer problem(int status, std::string_view reason);

enum class BodyCoding : std::uint8_t { none, length, chunked, until_close };

struct AnswerHead {
  int status = 200;
  std::string_view type = json_type;
  BodyCoding coding = BodyCoding::length;
  std::uint64_t length = 0;
  std::string_view fields = "";
};

// Takes a request's body as it comes. False: it will have no more of it.
class BodySink {
 public:
  [[nodiscard]] virtual bool take(std::span<const char> bytes) = 0;

 protected:
  ~BodySink() = default;
};

class Answers {
 public:
  Answers(Scheduler& scheduler, Scratch& scratch, const TimeoutOptions& timeouts, std::string_view name);

  void write_head(HeadBuilder& out, const Exchange& exchange, const AnswerHead& head);
  Task<void> send(Exchange& exchange, const Answer& answer);
  // Writes what the client takes and waits for the rest. `bytes` must live until then, so they do not lie in the scratch. False: the
  // client is gone, and the exchange broken off.
  Task<bool> send_all(Exchange& exchange, std::span<const char> bytes);
  Task<bool> flush(Exchange& exchange);
  // False: the client went away meanwhile.
  Task<bool> pause(Exchange& exchange, Instant until);

  // Reads the body to its end. False: it was answered why not, or the client is gone.
  Task<bool> read_body(Exchange& exchange, BodySink& sink);
  // For answers that do not depend on the body. A long one is left unread, which ends the connection. False: as above.
  Task<bool> discard_body(Exchange& exchange);

  [[nodiscard]] Scratch& scratch() { return scratch_; }
  [[nodiscard]] Instant now() const { return scheduler_.now(); }
  [[nodiscard]] const TimeoutOptions& timeouts() const { return timeouts_; }

 private:
  Task<Result<void>> receive_body(Exchange& exchange, BodySink& sink);
  Task<void> answer_body_failure(Exchange& exchange, Error error);
  Task<bool> wait_to_send(Exchange& exchange);

  Scheduler& scheduler_;
  Scratch& scratch_;
  TimeoutOptions timeouts_;
  std::string own_fields_;
  http::DateText date_;
};

}  // namespace steelyard::backend
