#include "wire/http1/response_collector.hpp"

#include <algorithm>

#include "wire/http1/parse.hpp"

namespace steelyard::http1 {
namespace {

constexpr std::size_t heads_bytes_max = 64 * 1024;

}  // namespace

ResponseCollector::Step ResponseCollector::take(std::span<char> bytes) {
  begun_ = begun_ || !bytes.empty();
  return place_ == Place::head ? take_head(bytes) : take_body_bytes(bytes);
}

// From its beginning each time: heads are small, and few come in pieces.
ResponseCollector::Step ResponseCollector::take_head(std::span<char> bytes) {
  head_.append(bytes.data(), bytes.size());
  std::string_view left = head_;
  http::ResponseHead head;
  do {
    ScanState scan;
    const auto size = parse_response(left, scan, {}, method_, head);
    if (!size) return Step::malformed;
    if (*size == 0) return head_.size() > heads_bytes_max ? Step::too_large : Step::more;
    left.remove_prefix(*size);
    if (head.status == 101) return Step::malformed;  // nobody asked for another protocol
  } while (head.status < 200);
  note_head(head);
  std::string rest(left);
  head_ = {};
  return take_body_bytes(rest);
}

void ResponseCollector::note_head(const http::ResponseHead& head) {
  status_ = head.status;
  if (const http::Field* const type = head.fields.find(http::FieldName::content_type)) content_type_ = type->value;
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

ResponseCollector::Step ResponseCollector::take_body_bytes(std::span<char> bytes) {
  switch (place_) {
    case Place::head: return Step::more;
    case Place::done: return Step::done;
    case Place::until_close: return append(bytes);
    case Place::length: {
      const auto of_body = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), length_left_)));
      length_left_ -= of_body.size();
      if (length_left_ == 0) place_ = Place::done;
      const Step step = append(of_body);
      return step == Step::more && length_left_ == 0 ? Step::done : step;
    }
    case Place::chunked: break;
  }
  const auto decoded = decoder_->decode(bytes);
  if (!decoded) return Step::malformed;
  if (decoded->done) place_ = Place::done;
  const Step step = append(bytes.first(decoded->payload));
  return step == Step::more && decoded->done ? Step::done : step;
}

ResponseCollector::Step ResponseCollector::append(std::span<const char> payload) {
  if (payload.size() > body_bytes_max_ - body_.size()) return Step::too_large;
  body_.append(payload.data(), payload.size());
  return Step::more;
}

}  // namespace steelyard::http1
