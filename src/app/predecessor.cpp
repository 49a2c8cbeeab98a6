#include "app/predecessor.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/assert.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

// It sends everything at once.
constexpr timeval receive_timeout{.tv_sec = 10, .tv_usec = 0};
// From "ready" until it says that it accepts no more. It only has to end what its workers do at that moment; one that hangs must not keep
// this process from its work, and two that accept do no harm.
constexpr Duration yours_timeout = 1s;

}  // namespace

std::expected<std::unique_ptr<Predecessor>, std::string> Predecessor::meet(int socket) {
  std::unique_ptr<Predecessor> predecessor(new Predecessor(socket));
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof receive_timeout);
  auto received = predecessor->receive_all();
  if (!received) return std::unexpected("cannot take over from the process that started this one: " + received.error());
  fcntl(socket, F_SETFL, O_NONBLOCK);
  return predecessor;
}

Predecessor::~Predecessor() {
  for (const InheritedSocket& socket : sockets_) close(socket.descriptor);
  close_file();
  if (socket_ < 0) return;
  if (loop_ != nullptr) loop_->remove(socket_, *this);
  close(socket_);
}

std::expected<void, std::string> Predecessor::receive_all() {
  for (;;) {
    auto parcel = receive_parcel(socket_);
    if (!parcel && parcel.error().kind == ErrorKind::closed) return std::unexpected("it has ended");
    if (!parcel && parcel.error().kind == ErrorKind::would_block) return std::unexpected("it says nothing");
    if (!parcel) return std::unexpected(fmt::format("{} is no socket to it (error {})", takeover_variable, parcel.error().os_code));
    if (parcel->word == parcel_word::state) {
      auto state = read_state(*parcel);
      if (!state) return std::unexpected(state.error());
      state_ = std::move(*state);
      return {};
    }
    if (parcel->word == parcel_word::sockets && !take_sockets_of(*parcel)) return std::unexpected("its list of sockets cannot be read");
  }
}

bool Predecessor::take_sockets_of(Parcel& parcel) {
  const auto list = nlohmann::json::parse(parcel.text, nullptr, false);
  bool sound = list.is_array() && list.size() == parcel.descriptors.size();
  for (std::size_t i = 0; i < parcel.descriptors.size(); ++i) {
    InheritedSocket socket{.bind = {}, .listener = 0, .descriptor = parcel.descriptors[i]};
    sound = sound && list[i].is_array() && list[i].size() >= 2 && list[i][0].is_string() && list[i][1].is_number_unsigned();
    if (sound) {
      socket.bind = list[i][0];
      socket.listener = list[i][1];
    }
    sockets_.push_back(std::move(socket));
  }
  return sound;
}

std::expected<ProcessState, std::string> Predecessor::read_state(Parcel& parcel) {
  if (parcel.descriptors.empty()) return std::unexpected("what it knows did not arrive");
  const auto text = read_memory_file(parcel.descriptors.front());
  close(parcel.descriptors.front());
  for (std::size_t i = 1; i < parcel.descriptors.size(); ++i) {
    close_file();
    file_ = parcel.descriptors[i];
  }
  if (!text) return std::unexpected("what it knows did not arrive");
  return read_process_state(*text);
}

void Predecessor::say_ready(EpollLoop& loop, Host host) {
  loop_ = &loop;
  host_ = std::move(host);
  SY_ASSERT(loop.add(socket_, *this).has_value());
  loop.scheduler().timers().arm(alarm_, loop.scheduler().now() + yours_timeout);
  // One that has died is noticed by its end of the socket.
  [[maybe_unused]] const auto sent = send_parcel(socket_, {.word = std::string(parcel_word::ready), .text = {}});
}

void Predecessor::on_events(std::uint32_t /*events*/) {
  while (socket_ >= 0) {
    auto parcel = receive_parcel(socket_);
    if (!parcel && parcel.error().kind == ErrorKind::would_block) return;
    if (!parcel) return on_gone();
    const bool yours = parcel->word == parcel_word::yours;
    if (!yours && parcel->word != parcel_word::counts) {
      for (const int descriptor : parcel->descriptors) close(descriptor);
      continue;
    }
    auto state = read_state(*parcel);
    if (!state) log_message(LogLevel::warning, "upgrade: {}", state.error());
    if (state) state_ = std::move(*state);
    if (accepting_) host_.counts(state_);
    if (yours) begin_to_accept();
  }
}

void Predecessor::begin_to_accept() {
  alarm_.disarm();
  if (!std::exchange(accepting_, true)) {
    host_.accepts_no_more(state_);
  } else if (file_ >= 0) {
    log_message(LogLevel::warning,
                "upgrade: the process before this one took longer than {} s to hand over what limits have counted: they begin anew",
                yours_timeout / 1s);
  }
  close_file();
}

void Predecessor::close_file() {
  if (file_ >= 0) close(std::exchange(file_, -1));
}

void Predecessor::on_gone() {
  loop_->remove(socket_, *this);
  close(std::exchange(socket_, -1));
  begin_to_accept();
  host_.gone();
}

}  // namespace steelyard
