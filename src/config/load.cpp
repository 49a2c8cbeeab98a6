// See load.hpp. Reads a file under its limits, tells the two spellings apart and hands the tree to their tables.
#include "config/load.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <tuple>

#include "config/reading.hpp"
#include "config/tables.hpp"

namespace steelyard::config {
namespace {

using Problems = std::vector<Problem>;

std::unexpected<Problems> fail_whole(const std::string& file, std::string message) {
  return std::unexpected(Problems{{file, 0, 0, "", std::move(message)}});
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string open_problem(int os_code) {
  if (os_code == ENOENT) return "there is no such file: check the path";
  if (os_code == EACCES) return "this user may not read it: change its permissions or its owner";
  return fmt::format("cannot be opened: {}", std::strerror(os_code));
}

// The size is asked first, so that a file that cannot be a configuration is not read; and counted again while reading, because
// pipes have none.
std::expected<std::string, std::string> read_file(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (file.fd < 0) return std::unexpected(open_problem(errno));
  struct stat status{};
  if (::fstat(file.fd, &status) != 0) return std::unexpected(open_problem(errno));
  if (S_ISDIR(status.st_mode)) return std::unexpected("found a directory, allowed is a file in it");
  const auto too_large = [] {
    return fmt::format("is larger than {} MiB, which no configuration is: is this the right file?", file_bytes_max >> 20U);
  };
  if (S_ISREG(status.st_mode) && static_cast<std::size_t>(status.st_size) > file_bytes_max) return std::unexpected(too_large());
  std::string text;
  char chunk[16 * 1024];
  while (true) {
    const ssize_t length = ::read(file.fd, chunk, sizeof chunk);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
    if (length == 0) return text;
    text.append(chunk, static_cast<std::size_t>(length));
    if (text.size() > file_bytes_max) return std::unexpected(too_large());
  }
}

bool has(const std::vector<std::string>& names, const std::string& name) { return std::ranges::find(names, name) != names.end(); }

enum class Spelling : std::uint8_t { full, flat };

// A file has one spelling; where it mixes them, the keys of the rarer one are reported.
Spelling find_spelling(const Node& root, Reading& reading) {
  const std::vector<std::string> full_names = full_table().names();
  const std::vector<std::string> flat_names = flat_table().names();
  std::vector<const Entry*> full;
  std::vector<const Entry*> flat;
  std::vector<const Entry*> misspelt_flat;
  for (const Entry& entry : root.entries) {
    if (has(full_names, entry.key.text))
      full.push_back(&entry);
    else if (has(flat_names, entry.key.text))
      flat.push_back(&entry);
    else if (nearest(entry.key.text, full_names).empty() && !nearest(entry.key.text, flat_names).empty())
      misspelt_flat.push_back(&entry);
  }
  if (full.empty()) return flat.empty() && misspelt_flat.empty() ? Spelling::full : Spelling::flat;
  const bool mostly_flat = flat.size() > full.size();
  for (const Entry* entry : mostly_flat ? full : flat) {
    const Reading::Step step(reading, entry->key.text);
    const Entry* other = mostly_flat ? flat.front() : full.front();
    const auto in_full = std::ranges::find(flat_table().keys, entry->key.text, &Key<FlatOptions>::name);
    const std::string instead = mostly_flat ? "run \"steelyard config expand\" on the flat keys alone and add it there"
                                            : fmt::format("write {} instead", in_full->meaning);
    reading.problem(entry->key,
                    fmt::format("found a key of the {} spelling, but {} in line {} is of the {} one: a file keeps to one spelling; {}",
                                mostly_flat ? "full" : "flat (LoadX)", quote(other->key.text), other->key.line,
                                mostly_flat ? "flat (LoadX)" : "full", instead));
  }
  return mostly_flat ? Spelling::flat : Spelling::full;
}

// Without the keys of the other spelling, which have been reported.
Node only_of(const Node& root, Spelling spelling) {
  const std::vector<std::string> others = spelling == Spelling::full ? flat_table().names() : full_table().names();
  Node node = root;
  std::erase_if(node.entries, [&](const Entry& entry) { return has(others, entry.key.text); });
  return node;
}

std::expected<Loaded, Problems> read_tree(Node root, const std::string& file) {
  if (root.kind == NodeKind::null) {
    return fail_whole(file, "the file is empty; allowed is a map with keys such as listeners and pools");
  }
  Reading reading(file);
  if (root.kind != NodeKind::map) {
    reading.problem(root, fmt::format("found {}, allowed is a map with keys such as listeners and pools", found(root)));
    return std::unexpected(std::move(reading.problems()));
  }
  drop_duplicate_keys(root, reading);
  const Spelling spelling = find_spelling(root, reading);
  root = only_of(root, spelling);
  Options options;
  if (spelling == Spelling::flat) {
    FlatOptions flat;
    flat_table().read(root, flat, reading);
    options = expand_flat(flat);
  } else {
    full_table().read(root, options, reading);
    check_whole(root, options, reading);
  }
  if (reading.problems().empty()) return Loaded{std::move(options), std::move(reading.warnings())};
  std::ranges::sort(reading.problems(), {},
                    [](const Problem& problem) { return std::tie(problem.line, problem.column, problem.path, problem.message); });
  if (reading.problems_left_out() > 0) {
    reading.problems().push_back({file, 0, 0, "", fmt::format("{} more problems are left out here", reading.problems_left_out())});
  }
  return std::unexpected(std::move(reading.problems()));
}

}  // namespace

std::expected<Loaded, Problems> load_file(const std::string& path) {
  try {
    const auto text = read_file(path);
    if (!text) return fail_whole(path, text.error());
    return load_text(*text, path);
  } catch (const std::exception& error) {
    return fail_whole(path, fmt::format("cannot be read: {}", error.what()));
  }
}

std::expected<Loaded, Problems> load_text(std::string_view text, std::string name) {
  try {
    if (text.size() > file_bytes_max)
      return fail_whole(name, fmt::format("is larger than {} MiB, which no configuration is", file_bytes_max >> 20U));
    auto root = parse_document(text, name);
    if (!root) return std::unexpected(Problems{std::move(root.error())});
    return read_tree(std::move(*root), name);
  } catch (const std::exception& error) {
    return fail_whole(name, fmt::format("cannot be read: {}", error.what()));
  }
}

std::string to_string(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += fmt::format(":{}:{}", problem.line, problem.column);
  for (const std::string& part : {problem.path, problem.message}) {
    if (!part.empty()) text += (text.empty() ? "" : ": ") + part;
  }
  return printable(text);
}

}  // namespace steelyard::config
