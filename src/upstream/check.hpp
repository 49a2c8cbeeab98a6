// One health check of one server: connects, asks, and says what it found. It knows neither what was found before nor when the next
// one is due (prober.hpp). Owned by the prober, on the control thread.
#pragma once

#include <string>

#include "net/stream.hpp"
#include "runtime/task.hpp"
#include "upstream/check_verdict.hpp"
#include "upstream/options.hpp"
#include "upstream/server.hpp"

namespace steelyard {

class ServerCheck {
 public:
  // `options` outlive it. Their method, path, host and headers are taken as they are: config/ has looked at them.
  ServerCheck(const HealthOptions& options, const Server& server);

  // Over a connection of its own, so that it also finds a server that accepts no more. Takes options.timeout at most, which it sets as
  // the fiber's deadline; of a fiber that is cancelled meanwhile the verdict means nothing. Kind::none where descriptors have run out
  // or this process itself was held up.
  Task<CheckVerdict> run(Connector& connector) const;

 private:
  Task<Result<void>> send(Stream& stream) const;

  const HealthOptions& options_;
  const SocketAddress address_;
  const std::string request_;  // empty for CheckKind::tcp
};

}  // namespace steelyard
