#include "upstream/check_answer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace steelyard {
namespace {

constexpr std::size_t read_bytes = 8 * 1024;
constexpr int status_switching_protocols = 101;  // the last answer before another protocol: final here, where nobody asked for one

std::string spell_ranges(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    if (!text.empty()) text += ", ";
    text += range.first == range.last ? fmt::format("{}", range.first) : fmt::format("{}-{}", range.first, range.last);
  }
  return text;
}

}  // namespace

std::optional<CheckVerdict> CheckAnswer::read() {
  auto verdict = body_ ? read_body() : read_head();
  return verdict;
}

CheckPhase CheckAnswer::phase() const {
  if (body_) return CheckPhase::receiving_body;
  return heads_bytes_ == 0 ? CheckPhase::waiting : CheckPhase::receiving_head;
}

std::optional<CheckVerdict> CheckAnswer::read_head() {
  char memory[read_bytes];
  for (;;) {
    const auto got = stream_.read(memory);
    if (!got && got.error().kind == ErrorKind::would_block) return std::nullopt;
    if (!got) return failed(got.error());
    if (*got == 0) return failed({ErrorKind::closed});
    heads_bytes_ += *got;
    received_.append(std::span<const char>(memory, *got));
    auto verdict = parse_heads();
    if (verdict) return verdict;
    if (body_) return read_body();
    if (heads_bytes_ > heads_bytes_max) {
      return CheckVerdict{CheckVerdict::Kind::unhealthy, fmt::format("{} KiB of interim answers and no final one", heads_bytes_max / 1024)};
    }
  }
}

// Interim answers are no verdict (RFC 9110 §15.2).
std::optional<CheckVerdict> CheckAnswer::parse_heads() {
  const http::Method method = options_.method == "HEAD" ? http::Method::head : http::Method::get;
  http::ResponseHead head;
  while (!received_.empty()) {
    const auto parsed = http1::parse_response(received_.view(), scan_, {}, method, head);
    if (!parsed) return CheckVerdict{CheckVerdict::Kind::unhealthy, fmt::format("not an HTTP answer: {}", parsed.error().reason)};
    if (*parsed == 0) return std::nullopt;
    received_.consume(*parsed);
    scan_ = {};
    if (head.status >= 200 || head.status == status_switching_protocols) return judge(head.status, head.body);
  }
  return std::nullopt;
}

// Nothing where the body is to be searched.
std::optional<CheckVerdict> CheckAnswer::judge(int status, http::BodyFraming body) {
  status_ = status;
  const std::string answered = fmt::format("answered {} to {} {}", status, options_.method, options_.path);
  if (includes(options_.drain_on, status)) return CheckVerdict{CheckVerdict::Kind::drain, answered};
  if (!includes(options_.expect, status)) {
    return CheckVerdict{CheckVerdict::Kind::unhealthy, fmt::format("{}, not {}", answered, spell_ranges(options_.expect))};
  }
  if (options_.body.empty()) return CheckVerdict{CheckVerdict::Kind::healthy, "health check passed"};
  if (body.kind == http::BodyKind::none) return lacks_text("without a body, which does not contain");
  body_.emplace(stream_, body, Side::server);
  return std::nullopt;
}

std::optional<CheckVerdict> CheckAnswer::read_body() {
  if (!received_.empty()) {
    auto verdict = search(body_->take(received_.bytes()));
    received_.release();
    if (verdict) return verdict;
  }
  char memory[read_bytes];
  for (;;) {
    auto piece = body_->read(memory);
    if (!piece && piece.error().kind == ErrorKind::would_block) return std::nullopt;
    auto verdict = search(std::move(piece));
    if (verdict) return verdict;
  }
}

std::optional<CheckVerdict> CheckAnswer::search(Result<BodyReader::Piece> piece) {
  if (!piece && piece.error().kind == ErrorKind::malformed) {
    return CheckVerdict{CheckVerdict::Kind::unhealthy, fmt::format("body of the answer is malformed: {}", body_->parse_error().reason)};
  }
  if (!piece) return failed(piece.error());
  const std::size_t count = std::min(piece->payload.size(), body_bytes_max - searched_bytes_);
  searched_bytes_ += count;
  tail_.append(piece->payload.data(), count);
  if (tail_.find(options_.body) != std::string::npos) return CheckVerdict{CheckVerdict::Kind::healthy, "health check passed"};
  if (body_->done()) return lacks_text("with a body that does not contain");
  if (searched_bytes_ == body_bytes_max) return lacks_text("with a body whose first 64 KiB do not contain");
  if (tail_.size() >= options_.body.size()) tail_.erase(0, tail_.size() - (options_.body.size() - 1));
  return std::nullopt;
}

CheckVerdict CheckAnswer::lacks_text(std::string_view where) const {
  return {CheckVerdict::Kind::unhealthy, fmt::format("answered {} {} \"{:.60}\"", status_, where, options_.body)};
}

}  // namespace steelyard
