#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/events/event_log.hpp"
#include "broker/events/log_parts.hpp"
#include "broker/storage/check_sum.hpp"
#include "broker/storage/sqlite_database.hpp"

namespace waggle::broker {

using storage::check_sum;
using storage::sqlite_database;
using storage::sqlite_error;
using storage::sqlite_rows;
using storage::sqlite_statement;

/// The tables, made in an empty file. Names and payloads are BLOBs: bytes as they came.
///
/// An event's id is its stream's number * 2^48 + its sequence, so that each stream is one run of the table and appends go to its end.
/// `check_sum` covers everything but headers and payload, which `body_check` covers; that is covered by `check_sum`. So a scan by topic or
/// time need not read the payloads. Event ids are a table and no index, so that a damaged event can be deleted.
extern const char* const sqlite_schema;
inline constexpr std::int64_t sqlite_format = 1;                 ///< PRAGMA user_version
inline constexpr std::int64_t sqlite_application = 0x7761676c;   ///< "wagl": PRAGMA application_id

/// What an entry does to the tables, and what is read from them, without transactions. Failures are `sqlite_error`s.
class sqlite_store {
 public:
  sqlite_store(sqlite_database& in, const log_sources& from, std::size_t streams_max);

  /// Reads what is kept in memory of streams. Also after a transaction that was rolled back.
  void load();
  [[nodiscard]] log_contents contents(std::int64_t now_ms);
  /// Everything up to the next call happens at this time.
  void at(std::int64_t now_ms) { now_ms_ = now_ms; }

  written apply(const write::append& what);
  written apply(const write::accept& what);
  written apply(const write::finish& what);
  written apply(const write::group& what);
  written apply(const write::progress& what);
  written apply(const write::mark& what);
  written apply(const write::bury& what);
  written apply(const write::drop_dead& what);
  written apply(const write::forget_group& what);
  written apply(const write::trim& what);
  written apply(const write::expire_operations& what);
  /// Before the transaction ends.
  void save_streams();

  found look(const read::events& what);
  found look(const read::place& what);
  found look(const read::dead_letters& what);
  found look(const read::operation& what);

 private:
  struct stream {
    std::uint64_t number = 0;
    std::uint64_t first = 1;
    std::uint64_t head = 0;
    std::uint64_t bytes = 0;
    std::int64_t newest_ms = 0;
    bool changed = false;
  };
  using named_stream = std::pair<const std::string, stream>;

  /// An event without headers and payload.
  struct outline {
    enum class state : std::uint8_t { missing, damaged, whole } state = state::missing;
    std::uint64_t sequence = 0;
    std::int64_t time_ms = 0;
    std::string topic;
    std::string event_id;
    std::int64_t body_check = 0;
    std::uint64_t bytes = 0;
  };

  [[nodiscard]] named_stream& stream_named(const std::string& name);
  [[nodiscard]] std::int64_t now_in(const stream& in) const { return std::max(now_ms_, in.newest_ms); }
  static std::int64_t id_of(const stream& in, std::uint64_t sequence) {
    return static_cast<std::int64_t>((in.number << sequence_bits) + sequence);
  }
  static std::uint64_t sequence_of(std::int64_t id) { return static_cast<std::uint64_t>(id) & ((1ull << sequence_bits) - 1); }

  written add(named_stream& to, std::string_view topic, std::string_view payload, std::string_view headers, std::string_view event_id);
  void delete_stored(const stream& in, const outline& event);
  [[nodiscard]] bool is_settled(const std::string& group, const std::string& of, std::uint64_t sequence);
  static outline read_outline(const sqlite_statement& row, std::string_view of);
  [[nodiscard]] outline outline_at(const named_stream& in, std::uint64_t sequence);
  [[nodiscard]] bool read_body(const named_stream& in, const outline& of, stored_event& into);
  [[nodiscard]] bool read_event(const named_stream& in, std::uint64_t sequence, stored_event& into);
  [[nodiscard]] std::uint64_t place_by_age(const named_stream& in, std::int64_t age_max_ms);
  static std::int64_t sum_of(const dead_letter& letter, std::int64_t body_check);
  static std::int64_t sum_of(const stored_operation& operation);
  bool read_letter(const sqlite_statement& row, dead_letter& into, std::int64_t& body_check) const;

  static constexpr unsigned sequence_bits = 48;

  sqlite_database& in_;
  const log_sources& sources_;
  std::size_t streams_max_;
  std::int64_t now_ms_ = 0;
  std::map<std::string, stream> streams_;
  std::map<std::uint64_t, std::uint64_t> stuck_;  ///< by a stream's number, the sequence up to which damage keeps events from being deleted

  sqlite_statement add_stream_, save_stream_;
  sqlite_statement add_event_, put_event_id_, event_of_id_, delete_event_id_, outline_from_, outline_before_, outline_at_, body_at_, delete_event_;
  sqlite_statement add_operation_, operation_at_, operation_of_key_, finish_operation_, over_operations_, delete_operation_;
  sqlite_statement put_group_, put_cursor_, cursor_at_, put_mark_, delete_marks_;
  sqlite_statement letter_of_, add_letter_, change_letter_, delete_letter_, letters_, letters_of_group_, letter_body_, count_letters_, count_letters_of_group_;
};

}  // namespace waggle::broker
