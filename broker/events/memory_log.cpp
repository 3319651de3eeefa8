#include "broker/events/memory_log.hpp"

#include <algorithm>

namespace waggle::broker {

result<log_contents> memory_log::open() {
  now_ms_ = sources_.now_ms();
  log_contents out;
  for (const auto& [name, each] : streams_) {
    const auto age = each.events.empty() ? 0 : now_in(each) - each.events.front().time_ms;
    out.streams.push_back({name, each.first(), each.head, each.bytes, age});
  }
  for (const auto& [name, about] : groups_) out.groups.push_back({name, about});
  for (const auto& [key, each] : cursors_) out.cursors.push_back({key.first, key.second, each.settled, each.reserved});
  for (const auto& [key, each] : marks_) {
    out.marks.push_back(each.said);
    out.marks.back().retry_in_ms = each.due_ms - now_ms_;
  }
  std::map<std::string, std::uint64_t> dead;
  for (const auto& [id, each] : dead_) ++dead[each.group];
  for (const auto& [group, count] : dead) out.dead.push_back({group, count});
  return out;
}

write_result memory_log::commit(const std::vector<write_entry>& batch) {
  now_ms_ = sources_.now_ms();
  std::vector<written> out;
  for (const auto& each : batch) {
    out.push_back(std::visit([&](const auto& what) { return apply(what); }, each));
  }
  return out;
}

read_result memory_log::look_up(const read_entry& what) {
  now_ms_ = sources_.now_ms();
  return std::visit([&](const auto& each) { return look(each); }, what);
}

written memory_log::add(stream& to, stored_event event) {
  event.sequence = ++to.head;
  event.time_ms = to.newest_ms = now_in(to);
  to.bytes += bytes_of(event);
  if (!event.event_id.empty()) to.newest_of_id[event.event_id] = event.sequence;
  written out;
  out.sequence = event.sequence;
  out.time_ms = event.time_ms;
  out.bytes = to.bytes;
  to.events.push_back(std::move(event));
  return out;
}

bool memory_log::is_settled(const std::string& group, const std::string& of, std::uint64_t sequence) const {
  const auto at = cursors_.find({group, of});
  return at != cursors_.end() && sequence <= at->second.settled;
}

written memory_log::apply(const write::append& what) {
  auto& to = streams_[what.stream];
  const auto before = what.event_id.empty() ? to.newest_of_id.end() : to.newest_of_id.find(what.event_id);
  if (before != to.newest_of_id.end()) {
    const auto& event = *to.at(before->second);
    if (now_in(to) - event.time_ms < what.once_within_ms) {
      written out;
      out.sequence = event.sequence;
      out.time_ms = event.time_ms;
      out.repeated = true;
      out.bytes = to.bytes;
      return out;
    }
  }
  return add(to, {0, 0, what.topic, what.payload, what.headers, what.event_id});
}

written memory_log::apply(const write::accept& what) {
  auto& to = streams_[what.stream];
  if (!what.idempotency_key.empty()) {
    for (const auto& [id, each] : operations_) {
      if (each.key != what.idempotency_key || each.known.command != what.command) continue;
      written out;
      out.sequence = each.known.sequence;
      out.time_ms = each.known.accepted_ms;
      out.repeated = true;
      out.conflict = each.asked_with != what.payload;
      out.ended = each.known.ended_ms.has_value();
      out.operation = id;
      out.bytes = to.bytes;
      return out;
    }
  }
  const auto id = new_operation(sources_);
  auto out = add(to, {0, 0, what.command, what.payload, what.headers, id});
  out.operation = id;
  auto& made = operations_[id];
  made.known.operation = id;
  made.known.command = what.command;
  made.known.sequence = out.sequence;
  made.known.accepted_ms = out.time_ms;
  made.asked_with = what.payload;
  made.key = what.idempotency_key;
  return out;
}

written memory_log::apply(const write::finish& what) {
  const auto at = operations_.find(what.operation);
  if (at == operations_.end()) return {};
  if (at->second.known.ended_ms && at->second.known.code == status::ok) return {};  // somebody may have been told so
  at->second.known.ended_ms = now_ms_;
  at->second.known.code = what.code;
  at->second.known.payload = what.payload;
  at->second.keep_until_ms = now_ms_ + what.keep_ms;
  return {};
}

written memory_log::apply(const write::group& what) {
  groups_[what.group] = what.about;
  return {};
}

written memory_log::apply(const write::progress& what) {
  cursors_[{what.group, what.stream}] = {what.settled, what.reserved};
  const group_stream in{what.group, what.stream};
  marks_.erase(marks_.lower_bound({in, 0}), marks_.upper_bound({in, what.settled}));
  return {};
}

written memory_log::apply(const write::mark& what) {
  if (is_settled(what.group, what.stream, what.sequence)) return {};
  const mark_key key{{what.group, what.stream}, what.sequence};
  const auto at = marks_.find(key);
  if (at != marks_.end() && what.attempts < at->second.said.attempts) return {};
  marks_[key] = {what, now_ms_ + what.retry_in_ms};
  return {};
}

written memory_log::apply(const write::bury& what) {
  if (!is_settled(what.group, what.stream, what.sequence)) {
    auto& mark = marks_[{{what.group, what.stream}, what.sequence}];
    const auto attempts = std::max(mark.said.attempts, what.attempts);
    mark = {{what.group, what.stream, what.sequence, attempts, false, true, 0, {}}, now_ms_};
  }
  written out;
  for (auto& [id, each] : dead_) {
    if (each.group != what.group || each.stream != what.stream || each.event.sequence != what.sequence) continue;
    each.attempts = what.attempts;
    each.why = what.why;
    out.id = id;
    return out;
  }
  dead_letter letter;
  letter.id = out.id = ++last_dead_;
  letter.group = what.group;
  letter.stream = what.stream;
  const auto in = streams_.find(what.stream);
  const auto* const event = in == streams_.end() ? nullptr : in->second.at(what.sequence);
  if (event != nullptr) letter.event = *event;
  letter.event.sequence = what.sequence;
  letter.bytes = letter.event.payload.size() + letter.event.headers.size();
  letter.attempts = what.attempts;
  letter.why = what.why;
  letter.dead_ms = now_ms_;
  dead_[letter.id] = std::move(letter);
  return out;
}

written memory_log::apply(const write::drop_dead& what) {
  written out;
  out.count = dead_.erase(what.id);
  return out;
}

written memory_log::apply(const write::forget_group& what) {
  std::uint64_t parts = groups_.erase(what.group);
  parts += std::erase_if(cursors_, [&](const auto& each) { return each.first.first == what.group; });
  parts += std::erase_if(marks_, [&](const auto& each) { return each.first.first.first == what.group; });
  parts += std::erase_if(dead_, [&](const auto& each) { return each.second.group == what.group; });
  written out;
  out.count = parts > 0 ? 1 : 0;
  return out;
}

written memory_log::apply(const write::trim& what) {
  written out;
  out.first = 1;
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return out;
  auto& in = at->second;
  while (!in.events.empty() && out.count < what.count_max) {
    const auto& oldest = in.events.front();
    const bool is_over = now_in(in) - oldest.time_ms > what.age_max_ms || in.bytes > what.bytes_max;
    if (oldest.sequence > what.sequence_max || !is_over) break;
    in.bytes -= bytes_of(oldest);
    const auto id = in.newest_of_id.find(oldest.event_id);
    if (id != in.newest_of_id.end() && id->second == oldest.sequence) in.newest_of_id.erase(id);
    in.events.pop_front();
    ++out.count;
  }
  out.first = in.first();
  out.bytes = in.bytes;
  return out;
}

written memory_log::apply(const write::expire_operations& what) {
  std::vector<std::pair<std::int64_t, std::string>> over;
  for (const auto& [id, each] : operations_) {
    if (each.known.ended_ms && each.keep_until_ms <= now_ms_) over.emplace_back(each.keep_until_ms, id);
  }
  std::sort(over.begin(), over.end());
  written out;
  for (; out.count < std::min<std::size_t>(what.count_max, over.size()); ++out.count) operations_.erase(over[out.count].second);
  return out;
}

found memory_log::look(const read::events& what) const {
  found out;
  const auto at = streams_.find(what.stream);
  const stream empty;
  const auto& in = at == streams_.end() ? empty : at->second;
  std::uint64_t bytes = 0;
  std::uint32_t scanned = 0;
  auto sequence = std::max(what.from, in.first());
  for (; sequence <= in.head && out.events.size() < what.count_max && scanned < what.scanned_max; ++sequence, ++scanned) {
    const auto& event = *in.at(sequence);
    if (!begins_with_one(what.prefixes, event.topic)) continue;
    bytes += bytes_of(event);
    if (bytes > what.bytes_max && !out.events.empty()) break;
    out.events.push_back(event);
  }
  out.next = sequence;
  return out;
}

found memory_log::look(const read::place& what) const {
  found out;
  out.next = 1;
  const auto at = streams_.find(what.stream);
  if (at == streams_.end()) return out;
  const auto& in = at->second;
  out.next = in.head + 1;
  if (what.age_max_ms >= 0) {
    while (out.next > in.first() && now_in(in) - in.at(out.next - 1)->time_ms <= what.age_max_ms) --out.next;
    return out;
  }
  std::uint64_t matching = 0;
  for (std::uint32_t scanned = 0; out.next > in.first() && matching < what.last && scanned < read::place_scanned_max; ++scanned) {
    if (begins_with_one(what.prefixes, in.at(--out.next)->topic)) ++matching;
  }
  return out;
}

found memory_log::look(const read::dead_letters& what) const {
  found out;
  std::uint64_t bytes = 0;
  bool is_full = false;
  for (const auto& [id, each] : dead_) {
    if (!what.group.empty() && each.group != what.group) continue;
    ++out.total;
    if (id < what.from || is_full) continue;
    if (what.with_payload) bytes += each.bytes;
    is_full = out.dead.size() >= what.count_max || (bytes > what.bytes_max && !out.dead.empty());
    if (is_full) continue;
    out.dead.push_back(each);
    if (what.with_payload) continue;
    out.dead.back().event.payload.clear();
    out.dead.back().event.headers.clear();
  }
  return out;
}

found memory_log::look(const read::operation& what) const {
  found out;
  const auto at = operations_.find(what.operation);
  if (at != operations_.end()) out.operation = at->second.known;
  return out;
}

}  // namespace waggle::broker
