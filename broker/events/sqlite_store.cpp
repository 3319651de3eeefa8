#include "broker/events/sqlite_store.hpp"

#include <algorithm>

namespace waggle::broker {

const char* const sqlite_schema = R"(
  CREATE TABLE streams (
    number INTEGER PRIMARY KEY, stream BLOB NOT NULL UNIQUE, first INTEGER NOT NULL, head INTEGER NOT NULL, bytes INTEGER NOT NULL,
    newest_ms INTEGER NOT NULL);
  CREATE TABLE events (
    id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, topic BLOB NOT NULL, event_id BLOB NOT NULL, body_check INTEGER NOT NULL,
    check_sum INTEGER NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL);
  CREATE TABLE event_ids (
    number INTEGER, event_id BLOB, sequence INTEGER NOT NULL, time_ms INTEGER NOT NULL, PRIMARY KEY (number, event_id)) WITHOUT ROWID;
  CREATE TABLE groups (grp BLOB PRIMARY KEY, about BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE cursors (
    grp BLOB, stream BLOB, settled INTEGER NOT NULL, reserved INTEGER NOT NULL, PRIMARY KEY (grp, stream)) WITHOUT ROWID;
  CREATE TABLE marks (
    grp BLOB, stream BLOB, sequence INTEGER, attempts INTEGER NOT NULL, begun INTEGER NOT NULL, settled INTEGER NOT NULL,
    due_ms INTEGER NOT NULL, why BLOB NOT NULL, PRIMARY KEY (grp, stream, sequence)) WITHOUT ROWID;
  CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, grp BLOB NOT NULL, stream BLOB NOT NULL, sequence INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    topic BLOB NOT NULL, event_id BLOB NOT NULL, attempts INTEGER NOT NULL, why BLOB NOT NULL, dead_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL, body_check INTEGER NOT NULL, check_sum INTEGER NOT NULL, headers BLOB NOT NULL, payload BLOB NOT NULL);
  CREATE UNIQUE INDEX dead_events ON dead (grp, stream, sequence);
  CREATE INDEX dead_of_group ON dead (grp);
  CREATE TABLE operations (
    operation BLOB PRIMARY KEY, command BLOB NOT NULL, sequence INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, ended_ms INTEGER,
    keep_until_ms INTEGER, code INTEGER NOT NULL, idempotency_key BLOB, asked_bytes INTEGER NOT NULL, asked_check INTEGER NOT NULL,
    check_sum INTEGER NOT NULL, payload BLOB NOT NULL);
  CREATE INDEX operations_of_key ON operations (idempotency_key, command) WHERE idempotency_key IS NOT NULL;
  CREATE INDEX operations_over ON operations (keep_until_ms, operation) WHERE keep_until_ms IS NOT NULL;
)";

#define WAGGLE_OUTLINE "SELECT id, time_ms, topic, event_id, body_check, check_sum, length(headers) + length(payload) FROM events WHERE "
#define WAGGLE_LETTER "SELECT id, grp, stream, sequence, time_ms, topic, event_id, attempts, why, dead_ms, bytes, body_check, check_sum FROM dead WHERE "

sqlite_store::sqlite_store(sqlite_database& in, const log_sources& from, std::size_t streams_max)
    : in_{in}, sources_{from}, streams_max_{streams_max},
      add_stream_{in, "INSERT INTO streams VALUES (?, ?, 1, 0, 0, 0)"},
      save_stream_{in, "UPDATE streams SET first = ?, head = ?, bytes = ?, newest_ms = ? WHERE number = ?"},
      add_event_{in, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
      put_event_id_{in, "INSERT OR REPLACE INTO event_ids VALUES (?, ?, ?, ?)"},
      event_of_id_{in, "SELECT sequence, time_ms FROM event_ids WHERE number = ? AND event_id = ? AND sequence >= ?"},
      delete_event_id_{in, "DELETE FROM event_ids WHERE number = ? AND event_id = ? AND sequence = ?"},
      outline_from_{in, WAGGLE_OUTLINE "id >= ? AND id <= ? ORDER BY id"},
      outline_before_{in, WAGGLE_OUTLINE "id <= ? AND id >= ? ORDER BY id DESC"},
      outline_at_{in, WAGGLE_OUTLINE "id = ?"},
      body_at_{in, "SELECT headers, payload FROM events WHERE id = ?"},
      delete_event_{in, "DELETE FROM events WHERE id = ?"},
      add_operation_{in, "INSERT INTO operations VALUES (?, ?, ?, ?, NULL, NULL, 0, ?, ?, ?, ?, x'')"},
      operation_at_{in, "SELECT command, sequence, accepted_ms, ended_ms, code, check_sum, payload FROM operations WHERE operation = ?"},
      operation_of_key_{in, "SELECT operation, sequence, accepted_ms, ended_ms, asked_bytes, asked_check FROM operations "
                            "WHERE idempotency_key = ? AND command = ?"},
      finish_operation_{in, "UPDATE operations SET ended_ms = ?, keep_until_ms = ?, code = ?, check_sum = ?, payload = ? WHERE operation = ?"},
      over_operations_{in, "SELECT operation FROM operations WHERE keep_until_ms <= ? ORDER BY keep_until_ms, operation LIMIT ?"},
      delete_operation_{in, "DELETE FROM operations WHERE operation = ?"},
      put_group_{in, "INSERT OR REPLACE INTO groups VALUES (?, ?)"},
      put_cursor_{in, "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?)"},
      cursor_at_{in, "SELECT settled FROM cursors WHERE grp = ? AND stream = ?"},
      put_mark_{in, "INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET attempts = excluded.attempts, "
                    "begun = excluded.begun, settled = excluded.settled, due_ms = excluded.due_ms, why = excluded.why "
                    "WHERE excluded.attempts >= attempts"},
      delete_marks_{in, "DELETE FROM marks WHERE grp = ? AND stream = ? AND sequence <= ?"},
      letter_of_{in, "SELECT id FROM dead WHERE grp = ? AND stream = ? AND sequence = ?"},
      add_letter_{in, "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      change_letter_{in, "UPDATE dead SET attempts = ?, why = ?, check_sum = ? WHERE id = ?"},
      delete_letter_{in, "DELETE FROM dead WHERE id = ?"},
      letters_{in, WAGGLE_LETTER "id >= ? ORDER BY id"},
      letters_of_group_{in, WAGGLE_LETTER "grp = ? AND id >= ? ORDER BY id"},
      letter_body_{in, "SELECT headers, payload FROM dead WHERE id = ?"},
      count_letters_{in, "SELECT count(*) FROM dead"},
      count_letters_of_group_{in, "SELECT count(*) FROM dead WHERE grp = ?"} {
  load();
}

void sqlite_store::load() {
  streams_.clear();
  sqlite_statement all{in_, "SELECT number, stream, first, head, bytes, newest_ms FROM streams"};
  while (all.step()) {
    streams_[std::string{all.bytes(1)}] = {all.natural(0), all.natural(2), all.natural(3), all.natural(4), all.integer(5), false};
  }
}

log_contents sqlite_store::contents(std::int64_t now_ms) {
  at(now_ms);
  log_contents out;
  for (auto& each : streams_) {
    const auto& [name, is] = each;
    const auto oldest = is.first > is.head ? outline{} : outline_at(each, is.first);
    const auto age = oldest.state == outline::state::whole ? now_in(is) - oldest.time_ms : 0;
    out.streams.push_back({name, is.first, is.head, is.bytes, age});
  }
  sqlite_statement groups{in_, "SELECT grp, about FROM groups ORDER BY grp"};
  while (groups.step()) out.groups.push_back({std::string{groups.bytes(0)}, std::string{groups.bytes(1)}});
  sqlite_statement cursors{in_, "SELECT grp, stream, settled, reserved FROM cursors ORDER BY grp, stream"};
  while (cursors.step()) {
    out.cursors.push_back({std::string{cursors.bytes(0)}, std::string{cursors.bytes(1)}, cursors.natural(2), cursors.natural(3)});
  }
  sqlite_statement marks{in_, "SELECT grp, stream, sequence, attempts, begun, settled, due_ms, why FROM marks ORDER BY grp, stream, sequence"};
  while (marks.step()) {
    out.marks.push_back({std::string{marks.bytes(0)}, std::string{marks.bytes(1)}, marks.natural(2),
                         static_cast<std::uint32_t>(marks.integer(3)), marks.integer(4) != 0, marks.integer(5) != 0,
                         marks.integer(6) - now_ms, std::string{marks.bytes(7)}});
  }
  sqlite_statement dead{in_, "SELECT grp, count(*) FROM dead GROUP BY grp ORDER BY grp"};
  while (dead.step()) out.dead.push_back({std::string{dead.bytes(0)}, dead.natural(1)});
  return out;
}

void sqlite_store::save_streams() {
  for (auto& [name, each] : streams_) {
    if (!std::exchange(each.changed, false)) continue;
    save_stream_.with(each.first, each.head, each.bytes, each.newest_ms, each.number).run();
  }
}

sqlite_store::outline sqlite_store::read_outline(const sqlite_statement& row, std::string_view of) {
  outline out;
  out.sequence = sequence_of(row.integer(0));
  out.time_ms = row.integer(1);
  out.topic = row.bytes(2);
  out.event_id = row.bytes(3);
  out.body_check = row.integer(4);
  out.bytes = row.natural(6) + out.topic.size() + out.event_id.size();
  const auto sum = check_sum{}.add(of).add(out.sequence).add(out.time_ms).add(out.topic).add(out.event_id).add(out.body_check).value();
  out.state = sum == row.integer(5) ? outline::state::whole : outline::state::damaged;
  return out;
}

/// A part of the file that SQLite itself finds damaged is a damaged event.
sqlite_store::outline sqlite_store::outline_at(const named_stream& in, std::uint64_t sequence) {
  try {
    outline_at_.with(id_of(in.second, sequence));
    const sqlite_rows rows{outline_at_};
    if (outline_at_.step()) return read_outline(outline_at_, in.first);
    return {outline::state::missing, sequence, 0, {}, {}, 0, 0};
  } catch (const sqlite_error& e) {
    if (e.code != status::data_loss) throw;
    return {outline::state::damaged, sequence, 0, {}, {}, 0, 0};
  }
}

/// False: damaged.
bool sqlite_store::read_body(const named_stream& in, const outline& of, stored_event& into) {
  try {
    body_at_.with(id_of(in.second, of.sequence));
    const sqlite_rows rows{body_at_};
    if (!body_at_.step()) return false;
    const auto headers = body_at_.bytes(0), payload = body_at_.bytes(1);
    if (check_sum{}.add(headers).add(payload).value() != of.body_check) return false;
    into = {of.sequence, of.time_ms, of.topic, std::string{payload}, std::string{headers}, of.event_id};
    return true;
  } catch (const sqlite_error& e) {
    if (e.code != status::data_loss) throw;
    return false;
  }
}

bool sqlite_store::read_event(const named_stream& in, std::uint64_t sequence, stored_event& into) {
  const auto of = outline_at(in, sequence);
  return of.state == outline::state::whole && read_body(in, of, into);
}

std::int64_t sqlite_store::sum_of(const dead_letter& letter, std::int64_t body_check) {
  return check_sum{}.add(letter.id).add(letter.group).add(letter.stream).add(letter.event.sequence).add(letter.event.time_ms)
      .add(letter.event.topic).add(letter.event.event_id).add(std::uint64_t{letter.attempts}).add(letter.why).add(letter.dead_ms)
      .add(letter.bytes).add(body_check).value();
}

std::int64_t sqlite_store::sum_of(const stored_operation& operation) {
  return check_sum{}.add(operation.operation).add(operation.command).add(operation.sequence).add(operation.accepted_ms)
      .add(operation.ended_ms.value_or(0)).add(static_cast<std::uint64_t>(operation.code)).add(operation.payload).value();
}

/// False: damaged. The body is another statement's.
bool sqlite_store::read_letter(const sqlite_statement& row, dead_letter& into, std::int64_t& body_check) const {
  into.id = row.natural(0);
  into.group = row.bytes(1);
  into.stream = row.bytes(2);
  into.event.sequence = row.natural(3);
  into.event.time_ms = row.integer(4);
  into.event.topic = row.bytes(5);
  into.event.event_id = row.bytes(6);
  into.attempts = static_cast<std::uint32_t>(row.integer(7));
  into.why = row.bytes(8);
  into.dead_ms = row.integer(9);
  into.bytes = row.natural(10);
  body_check = row.integer(11);
  return row.integer(12) == sum_of(into, body_check);
}

}  // namespace waggle::broker
