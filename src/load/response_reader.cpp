#include "load/response_reader.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::load {
namespace {

constexpr http::HeadLimits limits{.field_count_max = http::field_count_max};

constexpr bool is_interim(int status) { return status < 200 && status != 101; }

}  // namespace

void ResponseReader::begin() {
  place_ = Place::head;
  keep_alive_ = false;
  outcome_ = {};
  scan_ = {};
  partial_head_.release();
}

ResponseReader::Step ResponseReader::take(std::span<char> bytes) { return place_ == Place::head ? take_head(bytes) : take_body(bytes); }

ResponseReader::Step ResponseReader::take_head(std::span<char> bytes) {
  const bool resumed = !partial_head_.empty();
  Buffer whole;
  if (resumed) {
    partial_head_.append(bytes);
    whole = std::move(partial_head_);
    bytes = whole.bytes();
  }
  for (;;) {
    const auto head_bytes = http1::parse_response({bytes.data(), bytes.size()}, scan_, limits, shared_.method, shared_.head);
    if (!head_bytes) return Step::malformed;
    if (*head_bytes == 0) {
      partial_head_.append(std::span<const char>(bytes));
      return Step::more;
    }
    bytes = bytes.subspan(*head_bytes);
    if (!is_interim(shared_.head.status)) break;
    scan_ = {};
    if (bytes.empty()) return Step::more;
  }
  note_head();
  return take_body(bytes);
}

void ResponseReader::note_head() {
  const http::ResponseHead& head = shared_.head;
  outcome_.status = head.status;
  keep_alive_ = head.keep_alive;
  for (const http::Field& field : head.fields.all()) {
    if (field.name.size() != shared_.server_field.size() || !equals_ignoring_case(field.name, shared_.server_field)) continue;
    outcome_.server = shared_.servers.number_of(field.value);
    break;
  }
  length_left_ = head.body.length;
  switch (head.body.kind) {
    case http::BodyKind::none: place_ = Place::done; break;
    case http::BodyKind::length: place_ = Place::length; break;
    case http::BodyKind::until_close: place_ = Place::until_close; break;
    case http::BodyKind::chunked:
      place_ = Place::chunked;
      decoder_.emplace();
      break;
  }
}

ResponseReader::Step ResponseReader::take_body(std::span<char> bytes) {
  std::size_t taken = 0;
  switch (place_) {
    case Place::head: break;
    case Place::done: break;
    case Place::length:
    case Place::until_close: return dropped(bytes.size());
    case Place::chunked: {
      const auto step = decoder_->decode(bytes);
      if (!step) return Step::malformed;
      outcome_.body_bytes += step->payload;
      taken = step->consumed;
      if (!step->done) return Step::more;
      place_ = Place::done;
      break;
    }
  }
  // What follows was not asked for. The answer stands; the connection is not to be trusted with another request.
  if (taken < bytes.size()) keep_alive_ = false;
  return Step::done;
}

std::uint64_t ResponseReader::droppable_bytes() const {
  if (place_ == Place::length) return length_left_;
  return place_ == Place::until_close ? INT64_MAX : 0;
}

ResponseReader::Step ResponseReader::dropped(std::uint64_t bytes) {
  if (place_ == Place::until_close) {
    outcome_.body_bytes += bytes;
    return Step::more;
  }
  const std::uint64_t of_body = std::min(bytes, length_left_);
  outcome_.body_bytes += of_body;
  length_left_ -= of_body;
  if (length_left_ > 0) return Step::more;
  place_ = Place::done;
  if (bytes > of_body) keep_alive_ = false;
  return Step::done;
}

}  // namespace steelyard::load
