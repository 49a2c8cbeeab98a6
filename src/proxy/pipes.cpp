#include <fcntl.h>
#include <unistd.h>

#include "proxy/relay.hpp"

namespace steelyard {

Pipes::~Pipes() {
  for (const Pipe pipe : kept_) close_both(pipe);
}

Pipes::Pipe Pipes::take() {
  if (!kept_.empty()) {
    const Pipe pipe = kept_.back();
    kept_.pop_back();
    return pipe;
  }
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {};
  // Where the system allows less (pipe-max-size), a smaller pipe only means more calls.
  fcntl(ends[0], F_SETPIPE_SZ, pipe_bytes);
  return {ends[0], ends[1]};
}

void Pipes::give_back(Pipe pipe) {
  if (kept_.size() < kept_max) {
    kept_.push_back(pipe);
  } else {
    close_both(pipe);
  }
}

void Pipes::close_both(Pipe pipe) {
  close(pipe.read_end);
  close(pipe.write_end);
}

}  // namespace steelyard
