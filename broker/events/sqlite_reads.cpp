// What is read from the tables.
#include <algorithm>

#include "broker/events/sqlite_store.hpp"

namespace waggle::broker {

found sqlite_store::look(const read::events& what) {
  found out;
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) {
    out.next = std::max<std::uint64_t>(what.from, 1);
    return out;
  }
  const auto& in = at->second;
  auto sequence = std::max(what.from, in.first);
  std::uint64_t bytes = 0;
  std::uint32_t scanned = 0;
  // From where SQLite finds the file damaged on, events are looked up one by one: others behind may be whole.
  bool one_by_one = false;
  outline_from_.with(id_of(in, sequence), id_of(in, in.head));
  const sqlite_rows rows{outline_from_};
  while (sequence <= in.head && out.events.size() < what.count_max && scanned < what.scanned_max) {
    outline each;
    try {
      if (one_by_one) {
        each = outline_at(*at, sequence);
      } else if (outline_from_.step()) {
        each = read_outline(outline_from_, at->first);
      } else {
        sequence = in.head + 1;
        break;
      }
    } catch (const sqlite_error& e) {
      if (e.code != status::data_loss || one_by_one) throw;
      one_by_one = true;
      continue;
    }
    ++scanned;
    if (each.state == outline::state::damaged) {
      // The number may be what is damaged: it is between the last one and the next.
      out.damaged.push_back(each.sequence);
    } else if (each.state == outline::state::whole && begins_with_one(what.prefixes, each.topic)) {
      if (bytes + each.bytes > what.bytes_max && !out.events.empty()) {
        sequence = each.sequence;
        break;
      }
      stored_event event;
      if (read_body(*at, each, event)) {
        bytes += each.bytes;
        out.events.push_back(std::move(event));
      } else {
        out.damaged.push_back(each.sequence);
      }
    }
    sequence = each.sequence + 1;
  }
  out.next = sequence;
  return out;
}

/// By halving: times never run backwards within a stream. A damaged event is passed over for the next that is whole.
std::uint64_t sqlite_store::place_by_age(const named_stream& in, std::int64_t age_max_ms) {
  const auto oldest_ms = now_in(in.second) - age_max_ms;
  auto low = in.second.first, high = in.second.head + 1;  // what is before `low` is too old; `high` is not, or the end
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    auto whole = middle;
    auto each = outline_at(in, whole);
    while (each.state != outline::state::whole && ++whole < high) each = outline_at(in, whole);
    if (whole < high && each.time_ms < oldest_ms) {
      low = whole + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

found sqlite_store::look(const read::place& what) {
  found out;
  out.next = 1;
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return out;
  const auto& in = at->second;
  out.next = in.head + 1;
  if (what.age_max_ms >= 0) {
    out.next = place_by_age(*at, what.age_max_ms);
    return out;
  }
  if (what.prefixes.empty()) {
    out.next -= std::min({what.last, std::uint64_t{read::place_scanned_max}, out.next - in.first});
    return out;
  }
  std::uint64_t matching = 0;
  outline_before_.with(id_of(in, in.head), id_of(in, in.first));
  const sqlite_rows rows{outline_before_};
  for (std::uint32_t scanned = 0; matching < what.last && scanned < read::place_scanned_max; ++scanned) {
    try {
      if (!outline_before_.step()) break;
    } catch (const sqlite_error& e) {
      // A damaged part of the file ends the search; what is behind it is found.
      if (e.code != status::data_loss) throw;
      break;
    }
    const auto each = read_outline(outline_before_, at->first);
    out.next = each.sequence;
    if (each.state == outline::state::whole && begins_with_one(what.prefixes, each.topic)) ++matching;
  }
  return out;
}

found sqlite_store::look(const read::dead_letters& what) {
  found out;
  auto& count = what.group.empty() ? count_letters_.with() : count_letters_of_group_.with(what.group);
  if (count.step()) out.total = count.natural(0);
  count.reset();
  auto& letters = what.group.empty() ? letters_.with(what.from) : letters_of_group_.with(what.group, what.from);
  const sqlite_rows rows{letters};
  std::uint64_t bytes = 0;
  while (out.dead.size() + out.damaged.size() < what.count_max && letters.step()) {
    dead_letter each;
    std::int64_t body_check = 0;
    if (!read_letter(letters, each, body_check)) {
      out.damaged.push_back(letters.natural(0));
      continue;
    }
    if (what.with_payload) {
      bytes += each.bytes;
      if (bytes > what.bytes_max && !out.dead.empty()) break;
      letter_body_.with(each.id);
      const sqlite_rows body{letter_body_};
      if (!letter_body_.step() || check_sum{}.add(letter_body_.bytes(0)).add(letter_body_.bytes(1)).value() != body_check) {
        out.damaged.push_back(each.id);
        continue;
      }
      each.event.headers = letter_body_.bytes(0);
      each.event.payload = letter_body_.bytes(1);
    }
    out.dead.push_back(std::move(each));
  }
  return out;
}

found sqlite_store::look(const read::operation& what) {
  found out;
  operation_at_.with(what.operation);
  const sqlite_rows rows{operation_at_};
  if (!operation_at_.step()) return out;
  stored_operation each;
  each.operation = what.operation;
  each.command = operation_at_.bytes(0);
  each.sequence = operation_at_.natural(1);
  each.accepted_ms = operation_at_.integer(2);
  if (!operation_at_.is_null(3)) each.ended_ms = operation_at_.integer(3);
  each.code = status_from(operation_at_.natural(4));
  each.payload = operation_at_.bytes(6);
  if (operation_at_.integer(5) != sum_of(each)) {
    throw sqlite_error{status::data_loss, "what is kept of operation " + what.operation + " is damaged; nobody can say how it ended"};
  }
  out.operation = std::move(each);
  return out;
}

}  // namespace waggle::broker
