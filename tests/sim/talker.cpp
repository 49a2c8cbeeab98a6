#include "talker.hpp"

namespace steelyard::sim {

void Talker::connect(const SocketAddress& from, const SocketAddress& to) { take(net_.connect(from, to, SimNet::Dialler::actor)); }

void Talker::take(Socket socket) {
  socket_ = std::move(socket);
  socket_.attach(this);
}

void Talker::say(std::string bytes, Duration delay) {
  if (!open()) return;
  pieces_.push_back({std::move(bytes), delay});
  if (!pumping_later_) pump();
}

void Talker::end() {
  if (open()) socket_.shutdown_write();
  pieces_.clear();
}

void Talker::close() {
  if (!open()) return;
  end_after_all_ = true;
  if (pieces_.empty()) let_go();
}

void Talker::cut() {
  if (!open()) return;
  let_go();
}

void Talker::let_go() {
  peer_sent_bytes_ = socket_.peer_sent_bytes();
  disturbed_ = socket_.disturbed();
  pieces_.clear();
  if (end_after_all_) {
    socket_.close();
  } else {
    socket_.reset();
  }
}

void Talker::on_events(Happened happened) {
  if (!connected_) {
    if (!socket_.connect_result()) return finish();
    connected_ = true;
    on_connected();
  }
  if (!open()) return;
  if (happened.writable && !pumping_later_) pump();
  if (open() && (happened.readable || happened.peer_ended || happened.broken) && !hearing_later_) hear();
}

void Talker::pump() {
  while (open() && connected_ && !pieces_.empty()) {
    Piece& piece = pieces_.front();
    if (!piece_begun_ && piece.delay > Duration{0}) {
      pumping_later_ = true;
      net_.after(piece.delay, [this] {
        pumping_later_ = false;
        if (pieces_.empty()) return;
        pieces_.front().delay = Duration{0};
        pump();
      });
      return;
    }
    piece_begun_ = true;
    if (!piece.bytes.empty()) {
      const auto sent = socket_.write(piece.bytes);
      if (!sent) return;  // no room, or a reset that will be heard of
      said_bytes_ += *sent;
      piece.bytes.erase(0, *sent);
      if (!piece.bytes.empty()) return;
    }
    pieces_.pop_front();
    piece_begun_ = false;
  }
  if (open() && pieces_.empty() && end_after_all_) let_go();
}

void Talker::hear() {
  std::string memory;
  while (open() && reading_) {
    memory.resize(std::min<std::size_t>(pace_.bytes_max, 16 * 1024));
    const auto got = socket_.read(memory);
    if (!got && got.error().kind == ErrorKind::would_block) return;
    if (!got || *got == 0) {
      was_reset_ = !got;
      return finish();
    }
    if (first_heard_at == never) first_heard_at = net_.now();
    on_bytes(std::string_view(memory).substr(0, *got));
    if (pace_.gap > Duration{0}) {
      hearing_later_ = true;
      net_.after(pace_.gap, [this] {
        hearing_later_ = false;
        hear();
      });
      return;
    }
  }
}

void Talker::finish() {
  if (ended_) return;
  ended_ = true;
  ended_at = net_.now();
  disturbed_ = disturbed();
  if (!connected_) was_reset_ = true;
  on_end();
}

}  // namespace steelyard::sim
