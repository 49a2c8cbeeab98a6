// The product for HTTP: takes an exchange from its session to a server and back. serve() is its outline. One for each worker,
// owned by it; it shares nothing with other workers but the Site and what the servers count.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "observe/access_channel.hpp"
#include "observe/metrics.hpp"
#include "proxy/error_response.hpp"
#include "proxy/head_writers.hpp"
#include "proxy/relay.hpp"
#include "proxy/site.hpp"
#include "runtime/buffer.hpp"
#include "session/exchange.hpp"
#include "upstream/connections.hpp"
#include "wire/http/date.hpp"

namespace steelyard {

class HttpProxy final : public ExchangeHandler {
 public:
  // `log` may be nullptr.
  HttpProxy(const Site& site, Connections& connections, Scratch& scratch, Scheduler& scheduler, WorkerMetrics& metrics, AccessChannel* log,
            std::uint64_t seed);

  Task<void> serve(Exchange& exchange) override;

 private:
  static constexpr std::size_t tries_max = 8;
  static constexpr std::size_t request_id_max = 64;    // of a client's own
  static constexpr std::size_t request_id_bytes = 16;  // of ours
  enum class Freshness : std::uint8_t { reuse, fresh };

  // One exchange on its way through the proxy.
  struct Trip {
    Trip(Exchange& of, HttpProxy& proxy);

    Exchange& exchange;
    const Site::Route* route = nullptr;
    PoolView* pool = nullptr;
    Instant total_deadline = never;
    std::array<Server*, tries_max> tried{};
    std::size_t tried_count = 0;
    std::uint32_t tries = 0;
    Server* server = nullptr;  // of the try under way, or the last one
    ServerConnectionPtr connection;
    Buffer request;         // the head as it goes out, and the body that had arrived with the client's
    Buffer path;            // normalised, where that differs from what was received
    bool replayable = true; // `request` is all of it
    Result<void> upload{};  // how sending the rest of the body went
    bool upload_done = true;
    bool uploading = false;       // more of the body is being sent
    Instant head_deadline = never;  // for the head of the next response
    bool answered = false;        // a byte of a response has arrived
    bool waits_for_head = false;
    std::array<char, request_id_bytes> request_id_memory;
    std::string_view request_id;
    // For the record: what is not known from the above. Small, because a thousand trips may wait for their servers at once.
    std::uint16_t status = 0;
    Outcome outcome = Outcome::complete;
    bool status_page = false;
    const char* failure = nullptr;
    std::uint64_t response_bytes = 0;
    Duration connect_time{0};
    Duration first_byte_time{0};
  };

  // The phases, in their order.
  [[nodiscard]] std::optional<Answer> route(Trip& trip);
  Task<Result<void>> forward(Trip& trip);
  Task<Result<void>> try_server(Trip& trip, Freshness freshness);
  void count_refusal(const http::ParseError& refusal);
  void count_timeout(const Trip& trip, Limit limit);
  void explain_choice(const Trip& trip) const;
  void settle(Trip& trip, const Result<void>& result);
  void record(const Trip& trip);

  Task<void> answer(Trip& trip, Answer answer);
  Task<void> answer_status_page(Trip& trip);

  // A try at one server (http_try.cpp).
  Result<void> build_request(Trip& trip);
  ServerConnectionPtr take_idle(Trip& trip);
  Task<void> upload_rest(Trip& trip, StreamWriter& to_server);
  Task<Result<void>> receive_and_pass_on(Trip& trip, StreamWriter& to_server);
  Task<Result<std::span<char>>> receive_head(Trip& trip, Buffer& received);
  Result<void> pass_interim(Trip& trip);
  Task<Result<void>> pass_response(Trip& trip, std::span<char> after_head);
  Task<Result<void>> pass_tunnel(Trip& trip, std::span<char> after_head, StreamWriter& to_server);
  std::span<const char> first_bytes(const BodyReader& body, const BodyReader::Piece& piece, ClientCoding coding);
  std::span<const char> placed_before(std::string_view head, std::span<const char> body);
  [[nodiscard]] Error before_answer(const Trip& trip, Error error) const;
  [[nodiscard]] bool is_gone(const Stream& client) const;
  [[nodiscard]] Instant first_byte_deadline(const Trip& trip) const;
  [[nodiscard]] RelayBounds bounds(const Trip& trip) const;
  [[nodiscard]] std::string_view date() { return date_.at(scheduler_.unix_us()); }

  const Site& site_;
  Connections& connections_;
  Scratch& scratch_;
  Scheduler& scheduler_;
  WorkerMetrics& metrics_;
  AccessChannel* log_;
  Prng prng_;
  Pipes pipes_;
  std::vector<PoolView> views_;     // of site_.pools
  http::ResponseHead response_head_;  // of whichever response was parsed last; valid until the next co_await
  http::DateText date_;
};

}  // namespace steelyard
