#include "load/request_text.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace steelyard::load {
namespace {

bool is_named(std::string_view field, std::string_view name) { return equals_ignoring_case(field.substr(0, field.find(':')), name); }

}  // namespace

RequestText::RequestText(const RequestOptions& options) : before_target_(options.method + " "), after_target_(" HTTP/1.1\r\n") {
  const auto add_unless_given = [&](std::string_view name, std::string_view value) {
    if (std::ranges::any_of(options.fields, [&](const std::string& field) { return is_named(field, name); })) return;
    after_target_.append(name).append(": ").append(value).append("\r\n");
  };
  add_unless_given("Host", options.authority);
  add_unless_given("User-Agent", "steelyard-load");
  add_unless_given("Accept", "*/*");
  if (options.keep_alive == KeepAlive::off) add_unless_given("Connection", "close");
  for (const std::string& field : options.fields) after_target_.append(field).append("\r\n");
  // A method that expects content says so when there is none (RFC 9110 §8.6).
  const bool expects_content = options.method == "POST" || options.method == "PUT" || options.method == "PATCH";
  if (!options.body.empty() || expects_content) after_target_ += "Content-Length: " + std::to_string(options.body.size()) + "\r\n";
  after_target_ += "\r\n" + options.body;
  write(options.target, usual_);
}

void RequestText::write(std::string_view target, std::string& out) const {
  out.clear();
  out.append(before_target_).append(target).append(after_target_);
}

}  // namespace steelyard::load
