// What each entry of a batch does to the tables.
#include <algorithm>

#include "broker/events/sqlite_store.hpp"

namespace waggle::broker {

sqlite_store::named_stream& sqlite_store::stream_named(const std::string& name) {
  const auto at = streams_.find(name);
  if (at != streams_.end()) return *at;
  if (streams_.size() >= streams_max_) {
    throw sqlite_error{status::invalid_argument, "the log holds " + std::to_string(streams_max_) + " streams, and no more; use one of them for '" + name + "'"};
  }
  std::uint64_t number = 1;
  for (const auto& [other, each] : streams_) number = std::max(number, each.number + 1);
  add_stream_.with(number, name).run();
  return *streams_.emplace(name, stream{number, 1, 0, 0, 0, false}).first;
}

written sqlite_store::add(named_stream& to, std::string_view topic, std::string_view payload, std::string_view headers,
                          std::string_view event_id) {
  auto& in = to.second;
  const auto sequence = in.head + 1;
  const auto time_ms = now_in(in);
  const auto body = check_sum{}.add(headers).add(payload).value();
  const auto sum = check_sum{}.add(to.first).add(sequence).add(time_ms).add(topic).add(event_id).add(body).value();
  add_event_.with(id_of(in, sequence), time_ms, topic, event_id, body, sum, headers, payload).run();
  if (!event_id.empty()) put_event_id_.with(in.number, event_id, sequence, time_ms).run();
  in.head = sequence;
  in.newest_ms = time_ms;
  in.bytes += topic.size() + payload.size() + headers.size() + event_id.size();
  in.changed = true;
  written out;
  out.sequence = sequence;
  out.time_ms = time_ms;
  out.bytes = in.bytes;
  return out;
}

bool sqlite_store::is_settled(const std::string& group, const std::string& of, std::uint64_t sequence) {
  cursor_at_.with(group, of);
  const sqlite_rows rows{cursor_at_};
  return cursor_at_.step() && sequence <= cursor_at_.natural(0);
}

written sqlite_store::apply(const write::append& what) {
  auto& to = stream_named(what.stream);
  if (!what.event_id.empty()) {
    const auto& in = to.second;
    event_of_id_.with(in.number, what.event_id, in.first);
    const sqlite_rows rows{event_of_id_};
    if (event_of_id_.step() && now_in(in) - event_of_id_.integer(1) < what.once_within_ms) {
      written out;
      out.sequence = event_of_id_.natural(0);
      out.time_ms = event_of_id_.integer(1);
      out.repeated = true;
      out.bytes = in.bytes;
      return out;
    }
  }
  return add(to, what.topic, what.payload, what.headers, what.event_id);
}

written sqlite_store::apply(const write::accept& what) {
  auto& to = stream_named(what.stream);
  const auto asked = check_sum{}.add(what.payload).value();
  if (!what.idempotency_key.empty()) {
    auto& row = operation_of_key_.with(what.idempotency_key, what.command);
    const sqlite_rows rows{row};
    if (row.step()) {
      written out;
      out.operation = row.bytes(0);
      out.sequence = row.natural(1);
      out.time_ms = row.integer(2);
      out.repeated = true;
      out.ended = !row.is_null(3);
      out.conflict = row.natural(4) != what.payload.size() || row.integer(5) != asked;
      out.bytes = to.second.bytes;
      // A check sum is no proof; the payload itself is, while it is there.
      if (stored_event before; !out.conflict && read_event(to, out.sequence, before)) out.conflict = before.payload != what.payload;
      return out;
    }
  }
  stored_operation made;
  made.operation = new_operation(sources_);
  made.command = what.command;
  auto out = add(to, what.command, what.payload, what.headers, made.operation);
  out.operation = made.operation;
  made.sequence = out.sequence;
  made.accepted_ms = out.time_ms;
  const auto sum = sum_of(made);
  const std::uint64_t asked_bytes = what.payload.size();
  if (what.idempotency_key.empty()) {
    add_operation_.with(made.operation, made.command, made.sequence, made.accepted_ms, nullptr, asked_bytes, asked, sum).run();
  } else {
    add_operation_.with(made.operation, made.command, made.sequence, made.accepted_ms, what.idempotency_key, asked_bytes, asked, sum).run();
  }
  return out;
}

written sqlite_store::apply(const write::finish& what) {
  stored_operation done;
  {
    operation_at_.with(what.operation);
    const sqlite_rows rows{operation_at_};
    if (!operation_at_.step()) return {};
    const bool has_ended = !operation_at_.is_null(3);
    if (has_ended && operation_at_.natural(4) == static_cast<std::uint64_t>(status::ok)) return {};  // somebody may have been told so
    done.command = operation_at_.bytes(0);
    done.sequence = operation_at_.natural(1);
    done.accepted_ms = operation_at_.integer(2);
  }
  done.operation = what.operation;
  done.ended_ms = now_ms_;
  done.code = what.code;
  done.payload = what.payload;
  finish_operation_.with(now_ms_, now_ms_ + what.keep_ms, static_cast<std::uint64_t>(what.code), sum_of(done), what.payload, what.operation).run();
  return {};
}

written sqlite_store::apply(const write::group& what) {
  put_group_.with(what.group, what.about).run();
  return {};
}

written sqlite_store::apply(const write::progress& what) {
  put_cursor_.with(what.group, what.stream, what.settled, what.reserved).run();
  delete_marks_.with(what.group, what.stream, what.settled).run();
  return {};
}

written sqlite_store::apply(const write::mark& what) {
  if (is_settled(what.group, what.stream, what.sequence)) return {};
  put_mark_.with(what.group, what.stream, what.sequence, what.attempts, what.begun, what.settled, now_ms_ + what.retry_in_ms, what.why).run();
  return {};
}

written sqlite_store::apply(const write::bury& what) {
  if (!is_settled(what.group, what.stream, what.sequence)) {
    sqlite_statement attempts_at{in_, "SELECT attempts FROM marks WHERE grp = ? AND stream = ? AND sequence = ?"};
    attempts_at.with(what.group, what.stream, what.sequence);
    const auto before = attempts_at.step() ? attempts_at.integer(0) : 0;
    const auto attempts = std::max(before, std::int64_t{what.attempts});
    attempts_at.reset();
    put_mark_.with(what.group, what.stream, what.sequence, attempts, false, true, now_ms_, std::string_view{}).run();
  }
  written out;
  letter_of_.with(what.group, what.stream, what.sequence);
  if (letter_of_.step()) out.id = letter_of_.natural(0);
  letter_of_.reset();
  dead_letter letter;
  std::int64_t body_check = 0;
  if (out.id != 0) {
    letters_.with(out.id);
    const sqlite_rows rows{letters_};
    // A damaged one is made anew.
    if (letters_.step() && read_letter(letters_, letter, body_check) && letter.id == out.id) {
      letter.attempts = what.attempts;
      letter.why = what.why;
      change_letter_.with(letter.attempts, letter.why, sum_of(letter, body_check), letter.id).run();
      return out;
    }
    letters_.reset();
    delete_letter_.with(out.id).run();
    letter = {};
  } else {
    sqlite_statement last{in_, "SELECT seq FROM sqlite_sequence WHERE name = 'dead'"};
    out.id = (last.step() ? last.natural(0) : 0) + 1;
  }
  letter.id = out.id;
  letter.group = what.group;
  letter.stream = what.stream;
  const auto in = streams_.find(what.stream);
  if (in != streams_.end()) std::ignore = read_event(*in, what.sequence, letter.event);
  letter.event.sequence = what.sequence;
  letter.bytes = letter.event.payload.size() + letter.event.headers.size();
  letter.attempts = what.attempts;
  letter.why = what.why;
  letter.dead_ms = now_ms_;
  body_check = check_sum{}.add(letter.event.headers).add(letter.event.payload).value();
  add_letter_
      .with(letter.id, letter.group, letter.stream, what.sequence, letter.event.time_ms, letter.event.topic, letter.event.event_id,
            letter.attempts, letter.why, letter.dead_ms, letter.bytes, body_check, sum_of(letter, body_check), letter.event.headers,
            letter.event.payload)
      .run();
  return out;
}

written sqlite_store::apply(const write::drop_dead& what) {
  written out;
  out.count = delete_letter_.with(what.id).run();
  return out;
}

written sqlite_store::apply(const write::forget_group& what) {
  std::uint64_t parts = 0;
  for (const char* each : {"DELETE FROM groups WHERE grp = ?", "DELETE FROM cursors WHERE grp = ?", "DELETE FROM marks WHERE grp = ?",
                           "DELETE FROM dead WHERE grp = ?"}) {
    parts += sqlite_statement{in_, each}.with(what.group).run();
  }
  written out;
  out.count = parts > 0 ? 1 : 0;
  return out;
}

/// Where damage makes that impossible the batch fails. From the next one on what the stream holds now is forgotten without being deleted:
/// SQLite moves what is left between neighbouring pages, so one that is damaged is met again and again. The space is lost.
void sqlite_store::delete_stored(const stream& in, const outline& event) {
  const auto stuck = stuck_.find(in.number);
  if (stuck != stuck_.end() && event.sequence <= stuck->second) return;
  try {
    delete_event_.with(id_of(in, event.sequence)).run();
  } catch (const sqlite_error& e) {
    if (e.code == status::data_loss) stuck_[in.number] = in.head;
    throw;
  }
  if (!event.event_id.empty()) delete_event_id_.with(in.number, event.event_id, event.sequence).run();
}

written sqlite_store::apply(const write::trim& what) {
  written out;
  out.first = 1;
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return out;
  auto& in = at->second;
  while (in.first <= in.head && in.first <= what.sequence_max && out.count < what.count_max) {
    // The time of a damaged event is not known: it goes when the next one goes, or for its size.
    const auto oldest = outline_at(*at, in.first);
    if (oldest.state == outline::state::missing) {
      ++in.first;
      in.changed = true;
      continue;
    }
    auto time_ms = oldest.time_ms;
    for (auto next = in.first + 1; oldest.state == outline::state::damaged; ++next) {
      const auto other = next <= in.head && next < in.first + 1000 ? outline_at(*at, next) : outline{};
      time_ms = other.state == outline::state::whole ? other.time_ms : now_in(in);
      if (other.state != outline::state::damaged) break;
    }
    if (now_in(in) - time_ms <= what.age_max_ms && in.bytes <= what.bytes_max) break;
    delete_stored(in, oldest);
    in.bytes -= std::min(in.bytes, oldest.bytes);
    in.changed = true;
    ++in.first;
    ++out.count;
  }
  if (in.first > in.head) {
    // What damage has made of the sizes ends here.
    in.changed = in.changed || in.bytes != 0;
    in.bytes = 0;
  }
  out.first = in.first;
  out.bytes = in.bytes;
  return out;
}

written sqlite_store::apply(const write::expire_operations& what) {
  std::vector<std::string> over;
  over_operations_.with(now_ms_, what.count_max);
  while (over_operations_.step()) over.emplace_back(over_operations_.bytes(0));
  written out;
  for (const auto& each : over) out.count += delete_operation_.with(each).run();
  return out;
}

}  // namespace waggle::broker
