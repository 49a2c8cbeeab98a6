// What log lines are written to: a file, a FIFO, or a descriptor that the process was started with and shares with others (stdout,
// stderr), whose flags must therefore stay as they are. Writing never waits for a reader. Knows bytes, not lines. Used by one
// thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"

namespace steelyard {

class OwnedDescriptor {
 public:
  OwnedDescriptor() = default;
  explicit OwnedDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OwnedDescriptor();
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

using Pieces = std::array<std::string_view, 2>;
inline std::size_t size_of(const Pieces& pieces) { return pieces[0].size() + pieces[1].size(); }

class LogSink {
 public:
  LogSink() = default;  // takes nothing
  [[nodiscard]] static Result<LogSink> open_file(const std::string& path);
  [[nodiscard]] static Result<LogSink> share(int descriptor, std::string name);

  // How many bytes it took: all, or fewer, never none. would_block: wait until descriptor() is writable.
  [[nodiscard]] Result<std::size_t> write(const Pieces& pieces) const;
  // Opens the file of that name again, unless it is still the one that is open. What was shared stays as it is.
  [[nodiscard]] Result<void> reopen();

  [[nodiscard]] bool is_terminal() const;
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int descriptor() const { return descriptor_.get(); }

 private:
  enum class Kind : std::uint8_t {
    ready,     // a regular file, or a descriptor that is non-blocking and ours alone
    blocking,  // shared and not to be had otherwise: written in small pieces when there is room
    socket,
  };
  enum class Origin : std::uint8_t { shared, file };
  LogSink(OwnedDescriptor descriptor, Kind kind, Origin origin, std::string name)
      : descriptor_(std::move(descriptor)), kind_(kind), origin_(origin), name_(std::move(name)) {}

  OwnedDescriptor descriptor_;
  Kind kind_ = Kind::ready;
  Origin origin_ = Origin::shared;
  std::string name_;
};

}  // namespace steelyard
