#include "backend/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "base/assert.hpp"

namespace steelyard::backend {

Signals::Signals(EpollLoop& loop, std::function<void()> on_signal) : loop_(loop), on_signal_(std::move(on_signal)) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  descriptor_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  SY_ASSERT(descriptor_ >= 0 && loop_.add(descriptor_, *this).has_value());
}

Signals::~Signals() {
  loop_.remove(descriptor_, *this);
  close(descriptor_);
}

void Signals::on_events(std::uint32_t /*events*/) {
  signalfd_siginfo signal{};
  while (read(descriptor_, &signal, sizeof signal) == sizeof signal) on_signal_();
}

}  // namespace steelyard::backend
