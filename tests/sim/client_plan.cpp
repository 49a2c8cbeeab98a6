// What a simulated client is going to do, well or badly.
#include <algorithm>

#include "client_actor.hpp"

namespace steelyard::sim {
namespace {

// Heads that no proxy may forward; {} is the request's target, and its id for the field that shows whose it is.
constexpr const char* broken_heads[] = {
    "GET {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "GET {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\nContent-Length: +3\r\n\r\nabc",
    "GET {0} HTTP/1.1\r\nHost : a\r\nX-Tag: {1}\r\n\r\n",
    "GET {0} HTTP/1.1\nHost: a\nX-Tag: {1}\n\n",
    "GET {0} HTTP/1.1\r\nX-Tag: {1}\r\n\r\n",
    "GET {0} HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-Tag: {1}\r\n\r\n",
    "GET  {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\n\r\n",
    "GET {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\n folded: yes\r\n\r\n",
    "GET {0} HTTP/2.0\r\nHost: a\r\nX-Tag: {1}\r\n\r\n",
    "POST {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST {0} HTTP/1.1\r\nHost: a\r\nX-Tag: {1}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "\x16\x03\x01 {0} {1}\r\n\r\n",
};
constexpr std::size_t too_long_field_bytes = 40'000;  // above the default of HeadLimits

}  // namespace

ClientActor::ClientActor(SimNet& net, Ledger& ledger, const ClientManners& manners)
    : net_(net), ledger_(ledger), manners_(manners), talker_(net) {
  pipelines_ = chance(manners.pipelines);
  slow_sender_ = chance(manners.slow_sender);
  if (chance(manners.slow_reader)) talker_.set_pace({1 + net.prng.below(4000), some_time(20ms)});
  const std::size_t count = 1 + net.prng.below(manners.requests_max);
  for (std::size_t i = 0; i < count; ++i) plan_request(i + 1 == count ? Place::last : Place::inside);
}

void ClientActor::plan_request(Place place) {
  constexpr const char* methods[] = {"GET", "GET", "GET", "HEAD", "PUT", "POST", "POST", "DELETE"};
  Planned planned;
  RequestRecord record;
  planned.method = record.method = methods[net_.prng.below(std::size(methods))];
  const bool has_body = planned.method == "PUT" || planned.method == "POST" || (planned.method == "DELETE" && chance(0.3));
  planned.http_1_0 = chance(manners_.http_1_0);
  const bool in_chunks = has_body && !planned.http_1_0 && chance(0.5);
  if (has_body) record.body_bytes = net_.prng.below(net_.prng.below(manners_.body_bytes_max) + 1);
  if (has_body && place == Place::last && manners_.too_large_bytes != 0 && chance(manners_.too_large)) {
    record.kind = RequestRecord::Kind::too_large;
    record.body_bytes = manners_.too_large_bytes + 1 + net_.prng.below(20'000);
  } else if (manners_.too_large_bytes != 0) {
    record.body_bytes = std::min(record.body_bytes, manners_.too_large_bytes);
  }
  record.trailers = in_chunks && chance(0.3);
  planned.expects = has_body && !planned.http_1_0 && chance(manners_.expects);
  planned.id = ledger_.add(record);

  planned.head =
      fmt::format("{0} /x/{1} HTTP/1.{2}\r\nHost: example.com\r\nX-Tag: {1}\r\n", planned.method, planned.id, planned.http_1_0 ? 0 : 1);
  if (planned.http_1_0 && place == Place::inside) planned.head += "Connection: keep-alive\r\n";
  if (!planned.http_1_0 && place == Place::last && chance(0.3)) planned.head += "Connection: close\r\n";
  if (planned.expects) planned.head += "Expect: 100-continue\r\n";
  if (!manners_.demands.empty()) plan_demands(planned);
  std::string body = body_of(planned.id, Direction::request, record.body_bytes);
  if (in_chunks) {
    planned.head += "Transfer-Encoding: chunked\r\n";
    planned.body = chunked(body, 1 + net_.prng.below(2000), record.trailers ? fmt::format("X-Trail: {}\r\n", planned.id) : "");
  } else if (has_body) {
    planned.head += fmt::format("Content-Length: {}\r\n", body.size());
    planned.body = std::move(body);
  }
  planned.head += "\r\n";
  if (place == Place::last && record.kind == RequestRecord::Kind::valid && chance(manners_.malformed)) plan_broken(planned);
  planned_.push_back(std::move(planned));
}

void ClientActor::plan_demands(Planned& planned) {
  RequestRecord& record = *ledger_.find(planned.id);
  for (std::size_t label = 0; label < labels_in_use.size(); ++label) {
    if (chance(0.1)) continue;
    record.demands[label] = manners_.demands[net_.prng.below(manners_.demands.size())];
    planned.head += fmt::format("{}: {}\r\n", labels_in_use[label].field, record.demands[label]);
  }
  if (manners_.cookies.empty() || chance(0.3)) return;
  planned.head += fmt::format("Cookie: {}\r\n", manners_.cookies[net_.prng.below(manners_.cookies.size())]);
}

void ClientActor::plan_broken(Planned& planned) {
  RequestRecord& record = *ledger_.find(planned.id);
  planned.expects = false;
  const std::size_t way = net_.prng.below(std::size(broken_heads) + 2);
  if (way < std::size(broken_heads)) {
    record.kind = RequestRecord::Kind::bad_head;
    planned.head = fmt::format(fmt::runtime(broken_heads[way]), fmt::format("/x/{}", planned.id), planned.id);
    planned.body.clear();
  } else if (way == std::size(broken_heads)) {
    record.kind = RequestRecord::Kind::bad_head;
    planned.head.insert(planned.head.size() - 2, "X-Long: " + std::string(too_long_field_bytes, 'l') + "\r\n");
  } else {
    record.kind = RequestRecord::Kind::bad_body;
    record.method = planned.method = "POST";
    planned.http_1_0 = false;
    record.demands = {};
    planned.head = fmt::format("POST /x/{0} HTTP/1.1\r\nHost: a\r\nX-Tag: {0}\r\nTransfer-Encoding: chunked\r\n\r\n", planned.id);
    planned.body = "2\r\n" + body_of(planned.id, Direction::request, 2) + "\r\n0x5\r\nhello\r\n0\r\n\r\n";
  }
}

// At some moment, whatever is under way.
void ClientActor::plan_misdeed() {
  const double dice = static_cast<double>(net_.prng.below(1'000'000)) / 1e6;
  const Duration when = some_time(chance(0.5) ? Duration{30ms} : Duration{2s});
  if (dice < manners_.resets) {
    net_.after(when, [this] {
      if (over_) return;
      net_.note("client cuts");
      talker_.cut();
      over_ = true;
    });
  } else if (dice < manners_.resets + manners_.leaves) {
    net_.after(when, [this] {
      if (!over_) leave();
    });
  } else if (dice < manners_.resets + manners_.leaves + manners_.half_closes) {
    net_.after(when, [this] {
      if (over_ || !talker_.connected()) return;
      net_.note("client half-closes");
      half_closed_ = true;
      talker_.end();
    });
  } else if (dice < manners_.resets + manners_.leaves + manners_.half_closes + manners_.stalls) {
    manners_.stalls = 1;  // say_in_pieces() leaves off in the middle
  }
}

}  // namespace steelyard::sim
