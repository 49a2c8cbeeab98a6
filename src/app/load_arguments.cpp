#include "app/load_arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "config/spelling.hpp"
#include "load/replay.hpp"
#include "load/url.hpp"
#include "wire/http/characters.hpp"
#include "wire/http1/field_line.hpp"

namespace steelyard {
namespace {

using Checked = std::expected<void, std::string>;

constexpr std::uint64_t usual_requests = 1000;
constexpr std::uint32_t usual_connections_closed = 10;
constexpr std::uint32_t usual_connections_open = 1000;  // opened as they are needed

template <typename... Arguments>
std::unexpected<std::string> wrong_argument(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  return std::unexpected(fmt::format(format, std::forward<Arguments>(arguments)...));
}

Checked read_duration(std::string_view option, const std::string& text, Duration least, Duration& out) {
  if (text.empty()) return {};
  const auto duration = config::parse_duration(text);
  if (!duration) return wrong_argument("{} {} {}", option, text, duration.error());
  if (*duration < least) return wrong_argument("{} {}: must be at least {}", option, text, config::spell_duration(least));
  out = *duration;
  return {};
}

// Where the requests go: the URL, with --path behind it.
Checked read_target(const LoadArguments& arguments, LoadPlan& plan) {
  auto url = load::parse_url(arguments.url);
  if (!url) return std::unexpected(url.error());
  if (!arguments.path.empty()) {
    if (url->target.contains('?')) return wrong_argument("--path cannot follow a query: leave one of them out of {}", arguments.url);
    if (!arguments.path.starts_with('/')) return wrong_argument("--path {}: begins with /", arguments.path);
    if (!http::all_of(arguments.path, http::path_char | http::query_char)) {
      return wrong_argument("--path {}: has a character that must be percent-encoded, such as %20 for a space", arguments.path);
    }
    if (url->target.ends_with('/')) url->target.pop_back();
    url->target += arguments.path;
  }
  plan.host = url->host;
  plan.port = url->port;
  plan.url = "http://" + url->authority + url->target;
  plan.options.request.authority = std::move(url->authority);
  plan.options.request.target = std::move(url->target);
  return {};
}

Checked check_field(const std::string& text) {
  const auto field = http1::parse_field_line(text);
  if (!field || !http::all_of(text, http::value_char)) return wrong_argument("--header \"{}\": write it as \"Name: value\"", text);
  if (field->id == http::FieldName::content_length || field->id == http::FieldName::transfer_encoding) {
    return wrong_argument("--header \"{}\": the length of the body is said by itself; leave it out", text);
  }
  return {};
}

Checked read_body(const LoadArguments& arguments, load::RequestOptions& request) {
  request.body = arguments.body;
  if (!arguments.body.starts_with('@')) return {};
  const std::string file = arguments.body.substr(1);
  std::ifstream input(file, std::ios::binary);
  std::ostringstream content;
  if (input.is_open() && input.peek() != std::ifstream::traits_type::eof()) content << input.rdbuf();
  request.body = std::move(content).str();
  if (!input.is_open() || input.bad()) return wrong_argument("--body {}: cannot read the file: {}", arguments.body, std::strerror(errno));
  return {};
}

Checked read_request(const LoadArguments& arguments, load::RequestOptions& request) {
  if (auto read = read_body(arguments, request); !read) return read;
  request.method = !arguments.method.empty() ? arguments.method : arguments.body.empty() ? "GET" : "POST";
  if (!http::is_token(request.method)) return wrong_argument("--method {}: is no method, such as GET or POST", request.method);
  if (request.method == "CONNECT") return wrong_argument("--method CONNECT: asks for a tunnel, which is not for load");
  for (const std::string& field : arguments.fields) {
    if (auto checked = check_field(field); !checked) return checked;
  }
  request.fields = arguments.fields;
  request.keep_alive = arguments.no_keepalive ? load::KeepAlive::off : load::KeepAlive::on;
  return {};
}

// Open or closed, and when requests are due.
Checked read_loop(const LoadArguments& arguments, load::RunOptions& options) {
  if (!arguments.arrivals.empty() && !arguments.rate) return wrong_argument("--arrivals {}: needs --rate", arguments.arrivals);
  if (arguments.rate && !arguments.replay.empty())
    return wrong_argument("--rate and --replay both say when requests are due: leave one out");
  options.replay = arguments.replay;
  options.rate = arguments.rate.value_or(0);
  options.loop = arguments.rate || !arguments.replay.empty() ? load::Loop::open : load::Loop::closed;
  options.spacing = arguments.arrivals == "even" ? load::Spacing::even : load::Spacing::poisson;
  if (auto read = read_duration("--duration", arguments.duration, 1ms, options.duration); !read) return read;
  if (auto read = read_duration("--warmup", arguments.warmup, Duration{0}, options.warmup); !read) return read;
  if (auto read = read_duration("--ramp", arguments.ramp, Duration{0}, options.ramp); !read) return read;
  if (auto read = read_duration("--timeout", arguments.timeout, 1ms, options.timeout); !read) return read;
  if (!options.replay.empty() && options.ramp.count() > 0)
    return wrong_argument("--ramp and --replay both say when requests are due: leave one out");
  const bool endless = arguments.duration.empty() && options.replay.empty();
  options.requests_max = arguments.requests.value_or(endless ? usual_requests : 0);
  return options.replay.empty() ? Checked{} : load::Replay::check(options.replay);
}

Checked read_size(const LoadArguments& arguments, load::RunOptions& options) {
  const std::uint32_t usual = options.loop == load::Loop::open ? usual_connections_open : usual_connections_closed;
  options.threads = arguments.threads;
  options.connections = arguments.concurrency.value_or(std::max(usual, options.threads));
  if (options.connections < options.threads) {
    return wrong_argument("--concurrency {} is less than --threads {}: each thread needs a connection", options.connections,
                          options.threads);
  }
  return {};
}

}  // namespace

std::expected<LoadPlan, std::string> plan_load(const LoadArguments& arguments, std::uint64_t random_seed) {
  LoadPlan plan;
  Checked read = read_target(arguments, plan);
  if (read) read = read_request(arguments, plan.options.request);
  if (read) read = read_loop(arguments, plan.options);
  if (read) read = read_size(arguments, plan.options);
  if (!read) return std::unexpected(read.error());
  plan.options.samples = arguments.samples;
  plan.options.server_field = arguments.server_header;
  plan.options.seed = arguments.seed.value_or(random_seed);
  return plan;
}

}  // namespace steelyard
