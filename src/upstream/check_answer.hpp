// The answer to one health check as it comes off its stream: reads as much of it as a verdict needs and no more than a bound, so that
// no server can keep a check busy. Waits for nothing; check.hpp does. Owned by the check, on the control thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "net/stream.hpp"
#include "runtime/buffer.hpp"
#include "session/body_reader.hpp"
#include "upstream/check_verdict.hpp"
#include "upstream/options.hpp"
#include "wire/http1/parse.hpp"

namespace steelyard {

class CheckAnswer {
 public:
  static constexpr std::size_t heads_bytes_max = 64 * 1024;  // of the final answer and all interim ones before it
  static constexpr std::size_t body_bytes_max = 64 * 1024;   // that are searched for the expected text, without the chunked coding

  // Both outlive the answer.
  CheckAnswer(const HealthOptions& options, Stream& stream) : options_(options), stream_(stream) {}

  // Reads what has arrived. Nothing: wait until the stream is readable, and call again.
  std::optional<CheckVerdict> read();
  [[nodiscard]] CheckPhase phase() const;

 private:
  std::optional<CheckVerdict> read_head();
  std::optional<CheckVerdict> parse_heads();
  std::optional<CheckVerdict> judge(int status, http::BodyFraming body);
  std::optional<CheckVerdict> read_body();
  std::optional<CheckVerdict> search(Result<BodyReader::Piece> piece);
  [[nodiscard]] CheckVerdict failed(const Error& error) const { return failed_check(error, phase(), options_.timeout); }
  [[nodiscard]] CheckVerdict lacks_text(std::string_view where) const;

  const HealthOptions& options_;
  Stream& stream_;
  Buffer received_;  // not parsed yet: of a head, then the beginning of the body
  http1::ScanState scan_;
  std::size_t heads_bytes_ = 0;
  int status_ = 0;                  // of the final answer, once its head is complete
  std::optional<BodyReader> body_;  // where it is searched
  std::size_t searched_bytes_ = 0;
  std::string tail_;  // of what was searched: the text may have begun there
};

}  // namespace steelyard
