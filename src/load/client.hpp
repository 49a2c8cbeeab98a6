// One client: a connection that is opened when it is needed, kept while both sides want it, and has at most one request under way. It
// asks its generator for requests until there are none. One fiber; owned by the generator, on its thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "load/dispatcher.hpp"
#include "load/response_reader.hpp"
#include "load/tally.hpp"
#include "net/stream.hpp"
#include "runtime/fiber.hpp"
#include "runtime/task.hpp"

namespace steelyard::load {

class Generator;

class Client final : private Fiber::Owner {
 public:
  explicit Client(Generator& generator);

  // Runs until there is nothing more to send, then tells the generator.
  void start() { fiber_.start(run()); }
  // The request under way is abandoned.
  void abandon() { fiber_.cancel(Cause::shutdown); }

 private:
  Task<void> run();
  Task<Failure> exchange(std::string_view request);
  Task<Failure> connect();
  Task<Failure> send_and_receive(std::string_view request);
  Task<void> send_rest(std::string_view rest);
  Task<Failure> receive();
  // Reads what there is, up to a bound.
  Result<ResponseReader::Step> read_some();
  Result<std::size_t> drop_unread(std::uint64_t bytes);
  // After an exchange: keeps the connection or ends it.
  Task<void> settle_connection(Failure failure);
  void on_finished(Fiber& fiber) override;

  Generator& generator_;
  Fiber fiber_;
  std::unique_ptr<Stream> stream_;
  ResponseReader reader_;
  std::string request_;  // where its target is its own
  bool all_sent_ = false;
};

}  // namespace steelyard::load
