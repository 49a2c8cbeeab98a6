// The file in which what was changed at run time outlives restarts. Whenever the process is killed, what is there afterwards is what
// was written last or what was written before that, whole. One process at a time has a file; nobody else waits for it. On the control
// thread, which waits for the disk.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "upstream/registry_types.hpp"

namespace steelyard {

// The calls of the system on which it depends what is there after a crash, so that tests can let each of them fail, or be the last.
struct FileCalls {
  int (*open)(const char* path, int flags);
  int (*make_temporary)(char* pattern);  // mkostemp(3): mode 0600, and nobody had the name before
  ssize_t (*read)(int descriptor, void* bytes, std::size_t size);
  ssize_t (*write)(int descriptor, const void* bytes, std::size_t size);
  int (*fsync)(int descriptor);
  int (*rename)(const char* from, const char* to);
  int (*unlink)(const char* path);
};
extern const FileCalls system_file_calls;

class StateFile {
 public:
  explicit StateFile(std::string path, const FileCalls& calls = system_file_calls) : path_(std::move(path)), calls_(calls) {}

  // Why there is no state, as a sentence that names the file.
  struct Failure {
    std::string message;
    bool set_aside = false;  // under another name; else it is where it was, and write() would replace it
  };
  // nullopt: there is no file. One that is damaged, foreign or of a newer version is renamed to "PATH.corrupt-<unix_s>"; one that cannot
  // be read is left alone. Waits for no reader or writer, whatever is at the path.
  std::expected<std::optional<RegistryState>, Failure> read(std::int64_t unix_s) const;
  // Replaces the file, or a symbolic link to one. After a failure the file is what it was, unless the sentence says otherwise.
  std::expected<void, std::string> write(const RegistryState& state) const;

 private:
  [[nodiscard]] std::expected<std::optional<std::string>, Failure> read_text() const;
  [[nodiscard]] Failure set_aside(const std::string& what, std::int64_t unix_s) const;
  [[nodiscard]] int write_temporary(std::string& temporary, const std::string& text) const;
  void remove_leftovers() const;

  std::string path_;
  const FileCalls& calls_;
};

}  // namespace steelyard
