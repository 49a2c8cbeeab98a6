// Whether an access log shows that every exchange went to a server that promised what was demanded. Goes by the records alone, line by
// line; what it keeps grows with the pools that it meets, not with the lines. For one thread; files and output are audit_command's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "wire/json/scanner.hpp"

namespace steelyard {

class Audit {
 public:
  // So many are described; all of them are counted.
  static constexpr std::size_t described_max = 20;
  static constexpr std::size_t pools_max = 10'000;

  struct Line {
    std::string file;
    std::uint64_t number = 0;  // from 1
    std::uint64_t of_all = 0;  // in all files together
  };
  struct Violation {
    Line at;
    std::string pool;
    std::string server;
    std::string request_id;
    std::string demanded;  // "": nothing
    std::string promised;  // "": nothing that was demanded
    const char* reason = "";
  };
  struct Unreadable {
    Line at;
    const char* reason = "";
  };
  struct Findings {
    std::uint64_t exchanges = 0;
    std::uint64_t served = 0;       // of these, those that were given to a server
    std::uint64_t with_policy = 0;  // of these, those that demanded something
    std::uint64_t violations = 0;
    std::uint64_t unreadable = 0;
    std::vector<Violation> first_violations{};  // in the order of the log
    std::vector<Unreadable> first_unreadable{};
    std::vector<std::string> pools_missed{};  // which had to have a policy, and had no exchange
  };

  // Exchanges of the pools in `policy_required` must have a policy; those of others, where one of the pool has.
  explicit Audit(const std::vector<std::string>& policy_required);

  void begin_file(std::string name);
  // The next line, without its end. An empty one is passed over.
  void add(std::string_view line);
  // The next line is `reason`, which is static: no record.
  void add_unreadable(const char* reason);
  // After the last line.
  [[nodiscard]] Findings findings() const;

 private:
  struct Pool {
    bool required = false;
    bool has_policy = false;
    std::uint64_t served = 0;
    std::uint64_t without = 0;  // of these, those that demanded nothing
    std::vector<Violation> first_without{};
  };
  struct Met {
    std::string_view server;
    std::string_view promise;
  };
  // What of a record is looked at; as it stands there, escapes and all.
  struct Record {
    std::string_view pool;
    std::string_view server;
    std::string_view request_id;
    bool has_policy = false;
    std::string_view demanded;
    std::string_view met_by;
  };

  // Each returns why the line cannot be read; nullptr where it can.
  const char* check(std::string_view line);
  const char* read(std::string_view line, Record& record);
  const char* read_policy(std::string_view object, Record& record);
  const char* read_also(std::string_view list);
  void judge(const Record& record, Pool& pool);
  Pool* find_pool(std::string_view name);
  [[nodiscard]] Violation describe(const Record& record, const Met& met, const char* reason) const;
  void note_unreadable(const char* reason);

  json::ObjectScanner lines_;
  json::ObjectScanner policies_;
  json::ObjectScanner others_;
  std::vector<Met> also_;  // of the record under way
  std::map<std::string, Pool, std::less<>> pools_;
  std::string file_;
  std::uint64_t number_ = 0;
  std::uint64_t lines_so_far_ = 0;
  Findings findings_;
};

}  // namespace steelyard
