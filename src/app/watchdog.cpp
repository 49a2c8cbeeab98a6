#include "app/watchdog.hpp"

namespace steelyard {

void Watchdog::start() {
  if (notify_.watchdog()) on_expired();
}

void Watchdog::on_expired() {
  loop_.scheduler().timers().arm(*this, loop_.scheduler().now() + *notify_.watchdog() / 2);
  if (answers_->load() != asked_) return;
  notify_.send("WATCHDOG=1");
  asked_ += ask_([answers = answers_] { answers->fetch_add(1); });
}

}  // namespace steelyard
