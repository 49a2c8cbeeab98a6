#include "app/upgrade.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/assert.hpp"
#include "observe/message.hpp"

namespace steelyard {
namespace {

constexpr int socket_of_child = 3;
// How often the successor is told what has been counted here since, so that little is lost when this process is killed.
constexpr Duration counts_interval = 1s;
// How long the last word may wait for a successor that does not listen.
constexpr timeval last_word_timeout{.tv_sec = 1, .tv_usec = 0};

// Everything is handed on but what was for this process alone: the service manager's word on who sends signs of life.
std::vector<std::string> environment_of_child() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("WATCHDOG_PID=")) variables.emplace_back(*variable);
  }
  variables.push_back(fmt::format("{}={}", takeover_variable, socket_of_child));
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

void close_all(const std::vector<int>& descriptors) {
  for (const int descriptor : descriptors) close(descriptor);
}

std::string in_words(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("has ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

Upgrade::Upgrade(EpollLoop& loop, Invocation invocation, Host host, Duration timeout)
    : loop_(loop), invocation_(std::move(invocation)), host_(std::move(host)), timeout_(timeout) {}

Upgrade::~Upgrade() { close_socket(); }

std::expected<void, std::string> Upgrade::begin(const std::vector<InheritedSocket>& sockets) {
  if (handed_over()) return std::unexpected(fmt::format("process {} has taken over from this one already", child_));
  if (state_ != State::idle) return std::unexpected(fmt::format("process {} is starting: one upgrade at a time", child_));
  if (invocation_.binary.empty()) {
    return std::unexpected("only `steelyard serve` can be upgraded in place, and only where the file that it was started from is known");
  }
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return std::unexpected(fmt::format("no socket to talk to the new process: {}", std::strerror(errno)));
  }
  const auto spawned = spawn(pair[1]);
  close(pair[1]);
  if (!spawned) {
    close(pair[0]);
    return spawned;
  }
  socket_ = pair[0];
  fcntl(socket_, F_SETFL, O_NONBLOCK);
  SY_ASSERT(loop_.add(socket_, *this).has_value());
  state_ = State::starting;
  loop_.scheduler().timers().arm(alarm_, loop_.scheduler().now() + timeout_);
  for (std::size_t first = 0; first < sockets.size(); first += parcel_descriptors_max) {
    nlohmann::json list = nlohmann::json::array();
    std::vector<int> descriptors;
    for (std::size_t i = first; i < std::min(sockets.size(), first + parcel_descriptors_max); ++i) {
      list.push_back({sockets[i].bind, sockets[i].listener});
      descriptors.push_back(sockets[i].descriptor);
    }
    post(parcel_word::sockets, list.dump(), std::move(descriptors));
  }
  post_document(parcel_word::state);
  failure_.clear();
  log_message(LogLevel::info, "upgrade: process {} is starting from {}", child_, invocation_.binary);
  host_.say(fmt::format("upgrading: process {} is starting", child_));
  return {};
}

// By way of posix_spawn(), which is sound beside running threads. The child gets one descriptor beside the standard ones.
std::expected<void, std::string> Upgrade::spawn(int socket) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, socket, socket_of_child);
  posix_spawnattr_init(&attributes);
  // The signals that are events here, and SIGPIPE, are for the child to decide on.
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> arguments = invocation_.arguments;
  std::vector<std::string> environment = environment_of_child();
  const int failed =
      posix_spawn(&child_, invocation_.binary.c_str(), &files, &attributes, pointers_to(arguments).data(), pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return std::unexpected(fmt::format("cannot start {}: {}", invocation_.binary, std::strerror(failed)));
  return {};
}

void Upgrade::let_go() {
  if (state_ != State::ready) return;
  state_ = State::accepting;
  post_document(parcel_word::yours, WithFile::yes);
  log_message(LogLevel::info, "upgrade: process {} has taken over; what is left here may take its time", child_);
  loop_.scheduler().timers().arm(alarm_, loop_.scheduler().now() + counts_interval);
}

void Upgrade::finish() {
  alarm_.disarm();
  if (state_ != State::accepting || socket_ < 0) return;
  fcntl(socket_, F_SETFL, 0);
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &last_word_timeout, sizeof last_word_timeout);
  post_document(parcel_word::counts);
  close_socket();
}

void Upgrade::on_child_signal() {
  int status = 0;
  if (child_ > 0 && waitpid(child_, &status, WNOHANG) == child_) on_ended(status);
}

void Upgrade::abandon() {
  if (state_ == State::starting) end_child("this process is to end");
}

void Upgrade::on_alarm() {
  if (state_ == State::starting) return end_child(fmt::format("it was not ready within {} s", timeout_ / 1s));
  if (state_ != State::accepting) return;
  if (outgoing_.empty()) post_document(parcel_word::counts);
  loop_.scheduler().timers().arm(alarm_, loop_.scheduler().now() + counts_interval);
}

void Upgrade::end_child(std::string_view why) {
  failure_ = fmt::format("process {} is killed: {}", child_, why);
  log_message(LogLevel::error, "upgrade: {}", failure_);
  state_ = State::ending;
  kill(child_, SIGKILL);
}

void Upgrade::on_ended(int status) {
  const pid_t child = std::exchange(child_, -1);
  close_socket();
  if (handed_over()) {
    const LogLevel level = status == 0 ? LogLevel::info : LogLevel::error;
    return log_message(level, "upgrade: process {}, which had taken over, {}", child, in_words(status));
  }
  alarm_.disarm();
  state_ = State::idle;
  if (failure_.empty()) failure_ = fmt::format("process {} {} before it was ready; its messages say why", child, in_words(status));
  log_message(LogLevel::error, "upgrade: process {} {} before it was ready: this one goes on as before", child, in_words(status));
  host_.say("ready; the last upgrade failed");
  if (host_.on_failure) host_.on_failure(failure_);
}

void Upgrade::on_events(std::uint32_t /*events*/) {
  while (socket_ >= 0) {
    const auto parcel = receive_parcel(socket_);
    if (!parcel) {
      // Why it has gone is known when it has ended.
      if (parcel.error().kind != ErrorKind::would_block) close_socket();
      break;
    }
    for (const int descriptor : parcel->descriptors) close(descriptor);
    if (parcel->word != parcel_word::ready || state_ != State::starting) continue;
    alarm_.disarm();
    state_ = State::ready;
    host_.successor_ready();
  }
  flush();
}

void Upgrade::post(std::string_view word, std::string text, std::vector<int> descriptors) {
  outgoing_.push_back({{std::string(word), std::move(text), std::move(descriptors)}});
  flush();
}

void Upgrade::post_document(std::string_view word, WithFile with_file) {
  if (socket_ < 0) return;
  const auto large = with_file == WithFile::yes ? make_memory_file("") : fail(ErrorKind::closed);
  const auto document = make_memory_file(host_.describe(large ? std::optional(*large) : std::nullopt));
  if (document) {
    Outgoing& outgoing = outgoing_.emplace_back(Parcel{std::string(word), {}, {*document}}, true);
    if (large) outgoing.parcel.descriptors.push_back(*large);
    return flush();
  }
  if (large) close(*large);
  log_message(LogLevel::error, "upgrade: no memory for what is to be handed over: {}", std::strerror(document.error().os_code));
}

void Upgrade::flush() {
  while (socket_ >= 0 && !outgoing_.empty()) {
    const auto sent = send_parcel(socket_, outgoing_.front().parcel);
    if (!sent && sent.error().kind == ErrorKind::would_block) return;
    if (!sent) return close_socket();
    if (outgoing_.front().owns_descriptors) close_all(outgoing_.front().parcel.descriptors);
    outgoing_.pop_front();
  }
}

void Upgrade::close_socket() {
  for (const Outgoing& each : std::exchange(outgoing_, {})) {
    if (each.owns_descriptors) close_all(each.parcel.descriptors);
  }
  if (socket_ < 0) return;
  loop_.remove(socket_, *this);
  close(std::exchange(socket_, -1));
}

}  // namespace steelyard
