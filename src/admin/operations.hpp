// What the endpoints that take more than a line do: from a call to an answer, by the Control. On the control thread.
#pragma once

#include "admin/endpoints.hpp"

namespace steelyard::admin {

Answer show_server(const Call& call);
Answer put_server(const Call& call);
Answer change_server(const Call& call);
Answer remove_server(const Call& call);
Answer renew_server(const Call& call);
Answer drain_server(const Call& call);
Answer undrain_server(const Call& call);
Answer reload(const Call& call);
Answer upgrade(const Call& call);
Answer check(const Call& call);

// What a Control may show or refuse.
Answer answer_result(const std::expected<Json, Refusal>& result);

}  // namespace steelyard::admin
