#include "backend/api_call.hpp"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "wire/http1/response_collector.hpp"

namespace steelyard::backend {
namespace {

using http1::ResponseCollector;

constexpr std::size_t body_bytes_max = 1024 * 1024;
constexpr std::size_t read_bytes = 16 * 1024;

std::string to_text(const ApiPlace& place, const ApiRequest& request) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: steelyard-backend\r\nConnection: close\r\n",
                                 request.method_text, request.path, place.socket_path.empty() ? place.address.to_string() : "localhost");
  if (!place.token.empty()) text += fmt::format("Authorization: Bearer {}\r\n", place.token);
  if (!request.body.empty()) text += "Content-Type: application/json\r\n";
  return text + fmt::format("Content-Length: {}\r\n\r\n{}", request.body.size(), request.body);
}

ApiAnswer failed(const Error& error) {
  if (error.os_code != 0) return {.message = std::strerror(error.os_code)};
  return {.message = error.kind == ErrorKind::timed_out ? "no answer in time" : "the connection ended"};
}

ApiAnswer read_answer(const ResponseCollector& collected) {
  ApiAnswer answer{.status = collected.status()};
  const auto body = nlohmann::json::parse(collected.body(), nullptr, false);
  // Whatever else is at that address may say 200 to anything.
  const bool from_api = answer.status == 204 || (body.is_object() && (body.contains("id") || body.contains("lease")));
  if (answer.good() && from_api) return answer;
  const auto error = body.is_object() ? body.find("error") : body.end();
  if (error != body.end() && error->is_object()) {
    answer.code = error->value("code", "");
    answer.message = error->value("message", "");
  }
  if (answer.message.empty()) answer.message = fmt::format("answered {}, which is not how the admin API answers", answer.status);
  if (answer.status == 401) answer.message += " (--token-file)";
  if (answer.good()) answer.status = 0;
  return answer;
}

Task<Result<void>> send(Stream& stream, std::string_view text) {
  while (!text.empty()) {
    const auto sent = stream.write(text);
    if (!sent && sent.error().kind != ErrorKind::would_block) co_return std::unexpected(sent.error());
    text.remove_prefix(sent.value_or(0));
    if (sent) continue;
    const WaitResult room = co_await stream.writable();
    if (room != WaitResult::done) co_return fail(error_of(room));
  }
  co_return Result<void>{};
}

}  // namespace

std::string ApiPlace::to_string() const { return socket_path.empty() ? address.to_string() : "unix:" + socket_path; }

Task<ApiAnswer> call_api(EpollConnector& connector, const ApiPlace& place, const ApiRequest& request) {
  auto stream = place.socket_path.empty() ? connector.connect(place.address) : connector.connect_to_path(place.socket_path);
  if (!stream) co_return failed(stream.error());
  const WaitResult opened = co_await (*stream)->writable();
  const auto connected = opened == WaitResult::done ? (*stream)->connect_result() : fail(error_of(opened));
  if (!connected) co_return failed(connected.error());
  const std::string text = to_text(place, request);
  const auto sent = co_await send(**stream, text);
  if (!sent) co_return failed(sent.error());
  ResponseCollector collector(request.method, body_bytes_max);
  for (;;) {
    char memory[read_bytes];
    const auto got = (*stream)->read(memory);
    if (!got && got.error().kind == ErrorKind::would_block) {
      const WaitResult arrived = co_await (*stream)->readable();
      if (arrived != WaitResult::done) co_return failed({error_of(arrived)});
      continue;
    }
    if (!got) co_return failed(got.error());
    const auto step = *got == 0 ? collector.end() : collector.take({memory, *got});
    if (step == ResponseCollector::Step::more) continue;
    if (step == ResponseCollector::Step::done) co_return read_answer(collector);
    co_return ApiAnswer{.message = *got == 0 ? "the connection ended before its answer did" : "it does not speak HTTP"};
  }
}

}  // namespace steelyard::backend
