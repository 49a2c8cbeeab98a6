#include "wire/resp/reply_reader.hpp"

#include <hiredis/read.h>

#include <utility>

#include "base/assert.hpp"

namespace steelyard::resp {
namespace {

// A number has at most 20 characters; one that has no end after this many is none.
constexpr std::size_t number_bytes_max = 32;

}  // namespace

// What hiredis calls with each part of a reply. An array is placed before its items, and stays where it is until all of them are there:
// nothing is added beside it meanwhile.
struct ReplyReader::Callbacks {
  static ReplyReader& self(const redisReadTask* task) { return *static_cast<ReplyReader*>(task->privdata); }

  static void* create_string(const redisReadTask* task, char* text, std::size_t size) {
    const bool is_line = task->type != REDIS_REPLY_STRING;
    if (is_line && size > self(task).limits_.line_bytes_max) {
      self(task).reason_ = "a line is too long";
      return nullptr;
    }
    Reply* const reply = self(task).place(*task, task->type == REDIS_REPLY_ERROR ? Reply::Kind::error
                                                 : is_line                       ? Reply::Kind::status
                                                                                 : Reply::Kind::text);
    if (reply != nullptr) reply->text.assign(text, size);
    return reply;
  }
  static void* create_array(const redisReadTask* task, int size) {
    if (static_cast<std::size_t>(size) > self(task).limits_.items_max) {
      self(task).reason_ = "an array is too large";
      return nullptr;
    }
    return self(task).place(*task, Reply::Kind::array);
  }
  static void* create_integer(const redisReadTask* task, long long value) {
    Reply* const reply = self(task).place(*task, Reply::Kind::integer);
    if (reply != nullptr) reply->integer = value;
    return reply;
  }
  static void* create_nil(const redisReadTask* task) { return self(task).place(*task, Reply::Kind::nil); }
  static void free_nothing(void* /*reply*/) {}

  static redisReplyObjectFunctions table;
};

redisReplyObjectFunctions ReplyReader::Callbacks::table{create_string, create_array, create_integer, create_nil, free_nothing};

ReplyReader::ReplyReader(const ReplyLimits& limits) : limits_(limits), reader_(redisReaderCreateWithFunctions(&Callbacks::table)) {
  SY_ASSERT(reader_ != nullptr);
  reader_->privdata = this;
}

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

void ReplyReader::feed(std::string_view bytes) {
  if (!refused_.empty()) return;
  fed_ += bytes.size();
  if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK) refused_ = reader_->errstr;
}

std::expected<std::optional<Reply>, std::string> ReplyReader::next() {
  if (!refused_.empty()) return std::unexpected(refused_);
  void* complete = nullptr;
  if (redisReaderGetReply(reader_, &complete) != REDIS_OK) return refuse(reason_ != nullptr ? reason_ : reader_->errstr);
  const std::size_t end = complete != nullptr ? fed_ - unread() : fed_;
  if (end - begin_ > limits_.bytes_max) return refuse("a reply is too large");
  if (complete == nullptr) {
    const char* const why = overrun();
    if (why != nullptr) return refuse(why);
    return std::nullopt;
  }
  begin_ = end;
  items_ = 0;
  return std::exchange(root_, {});
}

std::size_t ReplyReader::unread() const { return reader_->len - reader_->pos; }

// hiredis looks for the end of a line from its beginning each time more has arrived, so lines that do not end must not grow.
const char* ReplyReader::overrun() const {
  if (reader_->ridx < 0) return nullptr;
  const std::string_view rest(reader_->buf + reader_->pos, unread());
  switch (reader_->rstack[reader_->ridx].type) {
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR: return rest.size() > limits_.line_bytes_max + 2 ? "a line is too long" : nullptr;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_ARRAY:
    case REDIS_REPLY_INTEGER:
      if (rest.size() <= number_bytes_max || rest.substr(0, number_bytes_max).contains('\n')) return nullptr;
      return "a number is too long";
    default: return nullptr;
  }
}

std::unexpected<std::string> ReplyReader::refuse(std::string why) {
  refused_ = std::move(why);
  root_ = {};
  return std::unexpected(refused_);
}

Reply* ReplyReader::place(const redisReadTask& task, Reply::Kind kind) {
  if (++items_ > limits_.items_max) {
    reason_ = "a reply has too many items";
    return nullptr;
  }
  Reply& reply = task.parent == nullptr ? root_ : static_cast<Reply*>(task.parent->obj)->items.emplace_back();
  reply = Reply{.kind = kind};
  return &reply;
}

}  // namespace steelyard::resp
