// Answers that the proxy makes itself. The one place where a failure becomes a status code and a sentence.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "quota/options.hpp"
#include "session/exchange.hpp"
#include "session/head_builder.hpp"

namespace steelyard {

struct Answer {
  int status = 500;
  const char* reason = "";   // a sentence for whoever reads the answer or the log
  bool retry_after = false;  // tells the client to come back in a second
};

// What a client is told when a try at a server, or its own part, failed before an answer had begun.
[[nodiscard]] Answer answer_to(const Error& error);

// Writes head and body of `answer`: plain text, or JSON where the client asks for it. HEAD gets the head alone. Returns the
// bytes of the body.
// `fields`: more of them, complete lines.
std::size_t write_answer(HeadBuilder& out, const Answer& answer, const Exchange& exchange, std::string_view request_id,
                         std::string_view date, std::string_view fields = {});

// The same for who is over a limit on requests (429, RFC 6585 §4), with the body that the limit has.
struct OverLimit {
  const quota::LimitOptions& limit;
  std::uint64_t retry_after_s;
  std::string_view fields;  // complete lines
  const Exchange& exchange;
  std::string_view request_id;
  std::string_view date;
};
std::size_t write_over_limit(HeadBuilder& out, const OverLimit& refusal);

}  // namespace steelyard
