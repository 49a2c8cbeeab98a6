#include "observe/access_record.hpp"

namespace steelyard {

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::complete: return "complete";
    case Outcome::client_gone: return "client_gone";
    case Outcome::truncated: return "truncated";
    case Outcome::refused: return "refused";
    case Outcome::redirected: return "redirected";
    case Outcome::tunnel: return "tunnel";
  }
  return "unknown";
}

}  // namespace steelyard
