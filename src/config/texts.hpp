// What single texts must look like: names, paths, patterns, header fields. Each check answers with the end of the sentence
// `found "x", which …`, or with nothing when the text is right.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/types.hpp"

namespace steelyard::config {

bool is_token(std::string_view text);  // RFC 9110 §5.6.2

std::optional<std::string> check_name(std::string_view text);  // of a pool or a label
std::optional<std::string> check_server_id(std::string_view text);
std::optional<std::string> check_known_server_id(
    std::string_view text);  // that another proxy has, perhaps of a server by name: app@10.0.0.5
std::optional<std::string> check_route_name(std::string_view text);
std::optional<std::string> check_label_value(std::string_view text);
std::optional<std::string> check_access_log(std::string_view text);
std::optional<std::string> check_file_path(std::string_view text);
std::optional<std::string> check_host_name(std::string_view text);  // without a port
std::optional<std::string> check_health_path(std::string_view text);
std::optional<std::string> check_health_method(std::string_view text);
std::optional<std::string> check_health_host(std::string_view text);
std::optional<std::string> check_health_body(std::string_view text);
std::optional<std::string> check_cookie_name(std::string_view text);
std::optional<std::string> check_query_name(std::string_view text);
std::optional<std::string> check_decoded_query_name(std::string_view text);  // with which decoded names are compared
std::optional<std::string> check_member_name(std::string_view text);         // of a JSON object
std::optional<std::string> check_policy_value(std::string_view text);        // that a request may demand
std::optional<std::string> check_field_name(std::string_view text);
std::optional<std::string> check_field_value(std::string_view text);
std::optional<std::string> check_route_host(std::string_view text);
std::optional<std::string> check_public_url(std::string_view text);  // of a server: http or https, a host, perhaps a port
std::optional<std::string> check_limit_body(std::string_view text);  // of an answer with 429
std::optional<std::string> check_token_name(std::string_view text);  // in a query or a cookie

// What the router says of one part of a match: these answer with a whole sentence.
std::optional<std::string> host_problem(std::string_view text);
std::optional<std::string> path_problem(std::string_view text);
std::optional<std::string> method_problem(std::string_view text);

// Whose message is edited: what may not be edited differs.
enum class EditedSide : std::uint8_t { request, response, health_check };
std::optional<std::string> check_edited_name(std::string_view name, EditedSide side);

}  // namespace steelyard::config
