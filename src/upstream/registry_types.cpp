#include "upstream/registry_types.hpp"

namespace steelyard {

std::string_view name(Origin origin) {
  switch (origin) {
    case Origin::configuration: return "configuration";
    case Origin::admin: return "admin";
    case Origin::registration: return "registration";
  }
  return "";
}

std::string_view name(ForcedHealth forced) {
  switch (forced) {
    case ForcedHealth::none: return "none";
    case ForcedHealth::up: return "up";
    case ForcedHealth::down: return "down";
  }
  return "";
}

void apply(const ServerChange& change, WantedServer& server) {
  if (change.weight) server.options.weight = *change.weight;
  if (change.backup) server.options.backup = *change.backup;
  if (change.active_max) server.options.active_max = *change.active_max;
  if (change.labels) server.options.labels = *change.labels;
  if (change.public_url) server.options.public_url = *change.public_url;
  if (change.drained) server.drained = *change.drained;
  if (change.forced) server.forced = *change.forced;
}

}  // namespace steelyard
