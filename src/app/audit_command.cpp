#include "app/audit_command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/audit.hpp"
#include "config/reading.hpp"

namespace steelyard {
namespace {

struct AuditArguments {
  std::vector<std::string> files;
  std::vector<std::string> policy_required;
  bool json = false;
};

// Lines out of pieces; a line may lie across two of them.
class LineReader {
 public:
  static constexpr std::size_t line_bytes_max = std::size_t{1} << 20U;

  explicit LineReader(Audit& audit) : audit_(audit) {}

  void add(std::string_view piece) {
    for (std::size_t end = 0; (end = piece.find('\n')) != std::string_view::npos; piece.remove_prefix(end + 1)) {
      if (begun_.empty() && !too_long_ && end <= line_bytes_max) {
        audit_.add(piece.substr(0, end));
        continue;
      }
      take(piece.substr(0, end));
      end_line();
    }
    take(piece);
  }
  void end() {
    if (!begun_.empty() || too_long_) end_line();
  }

 private:
  // A part of a line that goes on, or its last one.
  void take(std::string_view part) {
    too_long_ = too_long_ || begun_.size() + part.size() > line_bytes_max;
    if (too_long_) {
      begun_.clear();
    } else {
      begun_ += part;
    }
  }
  void end_line() {
    if (too_long_) {
      audit_.add_unreadable("it is longer than a record can be");
    } else {
      audit_.add(begun_);
    }
    begun_.clear();
    too_long_ = false;
  }

  Audit& audit_;
  std::string begun_;
  bool too_long_ = false;
};

// What is wrong with the file, if anything.
std::optional<std::string> read_file(const std::string& name, Audit& audit) {
  const bool is_stdin = name == "-";
  const int file = is_stdin ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fmt::format("{}: cannot be opened: {}", name, std::strerror(errno));
  audit.begin_file(is_stdin ? "stdin" : name);
  LineReader lines(audit);
  std::vector<char> memory(std::size_t{1} << 18U);
  std::optional<std::string> problem;
  for (;;) {
    const ssize_t got = ::read(file, memory.data(), memory.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) problem = fmt::format("{}: cannot be read: {}", name, std::strerror(errno));
    if (got <= 0) break;
    lines.add({memory.data(), static_cast<std::size_t>(got)});
  }
  lines.end();
  if (!is_stdin) ::close(file);
  return problem;
}

std::string spell(const Audit::Line& at) { return fmt::format("{}:{}", at.file, at.number); }

void print_text(const Audit::Findings& findings) {
  for (const Audit::Violation& violation : findings.first_violations) {
    const std::string promised = violation.promised.empty() ? "" : fmt::format(" by {}", config::quote(violation.promised));
    const std::string demanded = violation.demanded.empty() ? "" : fmt::format(", demanded {}", config::quote(violation.demanded));
    fmt::print("{}: pool {}, server {}{}{}, request {}: {}\n", config::printable(spell(violation.at)), config::quote(violation.pool),
               config::quote(violation.server), promised, demanded, config::quote(violation.request_id), violation.reason);
  }
  if (findings.violations > findings.first_violations.size()) {
    fmt::print("… and {} violations more\n", findings.violations - findings.first_violations.size());
  }
  for (const Audit::Unreadable& line : findings.first_unreadable) {
    fmt::print("{}: cannot be read as a record: {}\n", config::printable(spell(line.at)), line.reason);
  }
  if (findings.unreadable > findings.first_unreadable.size()) {
    fmt::print("… and {} lines more that cannot be read\n", findings.unreadable - findings.first_unreadable.size());
  }
  if (findings.unreadable > 0 && findings.exchanges == 0) fmt::print("Records are read as JSON: set log.format to json.\n");
  for (const std::string& pool : findings.pools_missed) fmt::print("no exchange of the pool {} went to a server\n", config::quote(pool));
  fmt::print("{} exchanges, {} of them given to a server, {} of these with a policy: {} violations, {} lines that cannot be read\n",
             findings.exchanges, findings.served, findings.with_policy, findings.violations, findings.unreadable);
}

void print_findings_json(const Audit::Findings& findings, const std::vector<std::string>& problems) {
  nlohmann::ordered_json page{{"exchanges", findings.exchanges},
                              {"served", findings.served},
                              {"with_policy", findings.with_policy},
                              {"violations", findings.violations},
                              {"unreadable", findings.unreadable},
                              {"first_violations", nlohmann::ordered_json::array()},
                              {"first_unreadable", nlohmann::ordered_json::array()},
                              {"pools_missed", findings.pools_missed},
                              {"problems", problems}};
  for (const Audit::Violation& violation : findings.first_violations) {
    page["first_violations"].push_back({{"file", violation.at.file},
                                        {"line", violation.at.number},
                                        {"pool", violation.pool},
                                        {"server", violation.server},
                                        {"request_id", violation.request_id},
                                        {"demanded", violation.demanded},
                                        {"promised", violation.promised},
                                        {"reason", violation.reason}});
  }
  for (const Audit::Unreadable& line : findings.first_unreadable) {
    page["first_unreadable"].push_back({{"file", line.at.file}, {"line", line.at.number}, {"reason", line.reason}});
  }
  fmt::print("{}\n", page.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int audit_files(const AuditArguments& arguments) {
  Audit audit(arguments.policy_required);
  std::vector<std::string> problems;
  for (const std::string& file : arguments.files) {
    if (auto problem = read_file(file, audit)) problems.push_back(std::move(*problem));
  }
  const Audit::Findings findings = audit.findings();
  if (arguments.json) {
    print_findings_json(findings, problems);
  } else {
    print_text(findings);
    for (const std::string& problem : problems) fmt::print(stderr, "steelyard audit: {}\n", config::printable(problem));
  }
  if (findings.violations > 0) return 1;
  return problems.empty() && findings.unreadable == 0 ? 0 : 2;
}

}  // namespace

void add_audit(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("audit", "Look for requests that went to a server which did not promise what they demanded.");
  const auto arguments = std::make_shared<AuditArguments>();
  command->add_option("FILE", arguments->files, "Access logs in JSON (log.format: json), the oldest first; - is standard input")
      ->required();
  command
      ->add_option("--policy-required", arguments->policy_required,
                   "Every exchange of this pool that reached a server must have a policy; again for the next pool")
      ->allow_extra_args(false);
  command->add_flag("--json", arguments->json, "Print the findings as JSON");
  command->footer(
      "Ends with 0 where there is no violation, with 1 where there is one, and with 2 where a file or a line could not be read.\n\n"
      "Examples:\n  steelyard audit access.log\n  zcat access.log.*.gz | steelyard audit --policy-required orders -");
  command->callback([arguments, &exit_code] { exit_code = audit_files(*arguments); });
}

}  // namespace steelyard
