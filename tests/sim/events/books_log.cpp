#include <algorithm>

#include "sim/events/books.hpp"

namespace waggle::sim {

namespace write = broker::write;
using broker::written;

namespace {

std::uint64_t bytes_of(const event_books::kept_event& of) { return of.topic.size() + of.payload.size() + of.headers.size() + of.event_id.size(); }

/// What a group handles, as the core writes it down.
std::vector<std::string> patterns_in(std::string_view about) {
  std::vector<std::string> out;
  wire::reader in{about};
  if (in.peek() != wire::kind::map) return out;
  wire::read_entries(in, [&](std::string_view key) {
    if (key != "topics" || in.peek() != wire::kind::array) return in.skip();
    std::uint32_t count = 0, fields = 0;
    in.array(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string_view pattern;
      if (!in.array(fields) || fields == 0 || !in.string(pattern)) return false;
      out.emplace_back(pattern);
      for (std::uint32_t more = 1; more < fields; ++more) {
        if (!in.skip()) return false;
      }
    }
    return true;
  });
  return out;
}

}  // namespace

const event_books::kept_event* event_books::find(const std::string& stream, std::uint64_t sequence) const {
  const auto in = streams_.find(stream);
  if (in == streams_.end()) return nullptr;
  const auto found = in->second.events.find(sequence);
  return found == in->second.events.end() ? nullptr : &found->second;
}

event_books::kept_event& event_books::event_at(const std::string& stream, std::uint64_t sequence) {
  const auto* const found = find(stream, sequence);
  if (found == nullptr) fail("there is no event " + std::to_string(sequence) + " of " + stream);
  return const_cast<kept_event&>(*found);
}

void event_books::committed(std::int64_t wall_ms, const std::vector<broker::write_entry>& batch, const std::vector<written>& how) {
  if (batch.size() != how.size()) fail("a commit tells of another number of entries than it had");
  for (std::size_t i = 0; i < batch.size(); ++i) {
    std::visit([&](const auto& what) { on(wall_ms, what, how[i]); }, batch[i]);
  }
}

void event_books::damage(instant now, const std::string& stream, std::uint64_t sequence) {
  ++sums_.damaged;
  auto& event = event_at(stream, sequence);
  event.damaged = true;
  event.damaged_at = now;
  for (auto& [name, group] : groups_) over(group, stream, sequence);  // nobody can tell its key
}

void event_books::on(std::int64_t, const write::append& what, const written& how) {
  const auto n = number_in_headers(what.headers);
  const auto known = sendings_.find(n);
  if (known == sendings_.end()) fail("the log is given an event that nobody has sent");
  auto& sent = known->second;
  if (what.topic != sent.topic || what.payload != sent.payload || what.event_id != sent.event_id) fail("the log is given another event than was sent");
  if (what.stream != in_.stream_of(what.topic)) fail("an event goes to a stream that is not its topic's");
  if (sent.refused) fail("an event is kept whose emitter was told that it is not: sending " + std::to_string(n));
  if (sent.kept_as != 0) fail("one sending is kept twice: " + std::to_string(n));
  sent.kept_as = how.sequence;
  auto& in = streams_[what.stream];
  const auto repeats = what.event_id.empty() ? by_id_.end() : by_id_.find({what.stream, what.event_id});
  if (how.repeated) {
    if (repeats == by_id_.end() || repeats->second.first != how.sequence) fail("an event counts as repeated that was not there before");
    return;
  }
  ++sums_.kept;
  if (how.sequence != in.head + 1) fail("a stream's sequence has a hole, at " + std::to_string(how.sequence));
  if (!in.events.empty() && how.time_ms < in.events.rbegin()->second.time_ms) fail("an event is older than the one before it");
  // Nobody knows the ids of events that are not kept any more.
  if (repeats != by_id_.end() && how.time_ms - repeats->second.second < in_.events.once_within.count() && repeats->second.first >= in.first) fail("an event that came twice is kept twice, " + what.event_id);
  in.head = how.sequence;
  auto& kept = in.events[how.sequence];
  kept = {n, how.time_ms, what.topic, sent.key, what.event_id, what.payload, what.headers, false, false, {}, sums_.crashes};
  in.bytes += bytes_of(kept);
  if (!what.event_id.empty()) by_id_[{what.stream, what.event_id}] = {how.sequence, how.time_ms};
  if (log_.verbose()) log_.say({}, "  disk: sending " + std::to_string(n) + " (" + kept.topic + ", key " + kept.key + ") is event " + std::to_string(how.sequence) + " of " + what.stream);
  for (auto& [name, group] : groups_) {
    if (!group.exists || std::none_of(group.patterns.begin(), group.patterns.end(), [&](const auto& each) { return pattern_takes(each, kept.topic); })) continue;
    group.events[{what.stream, how.sequence}].due = true;
    if (!kept.key.empty()) group.open[{what.stream, kept.key}].insert(how.sequence);
  }
}

void event_books::on(std::int64_t, const write::group& what, const written&) {
  auto& group = groups_[what.group];
  group.exists = true;
  group.patterns = patterns_in(what.about);
  // Nobody has taken a pattern for long, so the group has it no longer: it need not look at events that it has not begun to handle.
  for (auto& [where, of] : group.events) {
    const auto* const kept = find(where.first, where.second);
    if (!of.due || of.settled || of.offered > 0 || kept == nullptr) continue;
    if (std::any_of(group.patterns.begin(), group.patterns.end(), [&](const auto& each) { return pattern_takes(each, kept->topic); })) continue;
    of.due = false;
    over(group, where.first, where.second);
  }
  if (log_.verbose()) log_.say({}, "  disk: group " + what.group + " handles " + std::to_string(group.patterns.size()) + " patterns");
}

/// The event needs no delivery any more.
void event_books::over(group_books& in, const std::string& stream, std::uint64_t sequence) {
  const auto* const kept = find(stream, sequence);
  if (kept == nullptr || kept->key.empty()) return;
  const auto open = in.open.find({stream, kept->key});
  if (open == in.open.end()) return;
  open->second.erase(sequence);
  if (open->second.empty()) in.open.erase(open);
}

void event_books::settle(group_books& in, const std::string& group, const std::string& stream, std::uint64_t sequence) {
  auto& of = in.events[{stream, sequence}];
  const auto* const kept = find(stream, sequence);
  if (of.due && of.acked == answer::none && !of.dead && !of.settled && (kept == nullptr || !kept->damaged)) {
    fail(words(group, stream, sequence) + " is settled, and nobody has acknowledged it");
  }
  of.settled = true;
  in.unsure.erase({stream, sequence});
  over(in, stream, sequence);
}

void event_books::on(std::int64_t, const write::progress& what, const written&) {
  auto& group = groups_[what.group];
  auto& settled = group.settled[what.stream];
  if (what.settled < settled) fail(what.group + " goes back in " + what.stream);
  const auto in = streams_.find(what.stream);
  if (what.settled > (in == streams_.end() ? 0 : in->second.head)) fail(what.group + " is beyond the end of " + what.stream);
  for (auto next = group.events.upper_bound({what.stream, settled}); next != group.events.end() && next->first <= place{what.stream, what.settled};) {
    const auto sequence = (next++)->first.second;
    settle(group, what.group, what.stream, sequence);
  }
  settled = what.settled;
}

void event_books::on(std::int64_t, const write::mark& what, const written&) {
  if (what.settled) settle(groups_[what.group], what.group, what.stream, what.sequence);
}

void event_books::on(std::int64_t wall_ms, const write::bury& what, const written& how) {
  auto& group = groups_[what.group];
  auto& of = group.events[{what.stream, what.sequence}];
  auto& made = letters_[how.id];
  const auto which = words(what.group, what.stream, what.sequence);
  if (of.dead && of.letter == how.id) {  // it is tried again, or has died again
    made.attempts = what.attempts;
    made.why = what.why;
    return;
  }
  if (of.dead) fail(which + " is a dead letter twice");
  if (!made.group.empty()) fail("two dead letters have one id");
  made = {what.group, what.stream, what.sequence, what.attempts, what.why};
  const auto* const kept = find(what.stream, what.sequence);
  const auto why = wire::read_error(status::unknown, what.why);
  if (of.acked == answer::certain) fail(which + " becomes a dead letter, though it was acknowledged: " + why.message);
  if (of.settled) fail(which + " becomes a dead letter, though it is settled: attempts " + std::to_string(what.attempts) + ", " + why.message);
  const auto* const plan = in_.plan_of(what.group);
  if (plan != nullptr && kept != nullptr && !kept->damaged && !kept->trimmed) {
    if (of.handed > plan->attempts) fail(which + " was handed over " + std::to_string(of.handed) + " times");
    // After a crash nobody knows whether what was about to be handed over was, so that it counts.
    const bool crashed = kept->crashes != sums_.crashes;
    const bool untaken = what.attempts < plan->attempts;
    if (untaken && wall_ms - kept->time_ms < in_.events.untaken_max.count()) {
      fail(which + " becomes a dead letter after " + std::to_string(what.attempts) + " attempts, long before its time: " + why.message);
    }
    if (!untaken && !crashed && of.offered < plan->attempts) {
      fail(which + " becomes a dead letter after " + std::to_string(of.offered) + " deliveries of " + std::to_string(plan->attempts) + ": " + why.message);
    }
    if (!untaken && !crashed && of.said && (why.message != of.said->message)) {
      fail(which + " is a dead letter because \"" + why.message + "\", and not because \"" + of.said->message + "\"");
    }
  }
  ++sums_.dead;
  if (log_.verbose()) log_.say({}, "  disk: " + which + " is dead letter " + std::to_string(how.id) + ": " + why.message);
  of.dead = of.settled = true;
  of.revived = false;
  of.letter = how.id;
  of.handed = of.offered = 0;
  group.unsure.erase({what.stream, what.sequence});
  over(group, what.stream, what.sequence);
}

void event_books::on(std::int64_t, const write::drop_dead& what, const written& how) {
  const auto found = letters_.find(what.id);
  if (found == letters_.end()) {
    if (how.count != 0) fail("a dead letter is forgotten that was never made");
    return;
  }
  const auto& old = found->second;
  auto& group = groups_[old.group];
  auto& of = group.events[{old.stream, old.sequence}];
  const bool is_command = old.group == "waggle.later";
  const bool handled = is_command ? old.may_revive || asked_to_retry_.contains(what.id) : of.revived && of.acked != answer::none;
  if (!handled && !old.may_drop && !asked_to_drop_.contains(what.id) && group.may_drop == 0) {
    fail("dead letter " + std::to_string(what.id) + " is forgotten, and nobody has handled it or asked for that");
  }
  if (log_.verbose()) log_.say({}, "  disk: dead letter " + std::to_string(what.id) + " is forgotten");
  of.dead = false;
  of.letter = 0;
  group.unsure.erase({old.stream, old.sequence});
  letters_.erase(found);
}

void event_books::on(std::int64_t, const write::forget_group& what, const written&) {
  ++sums_.forgotten;
  groups_.erase(what.group);
  std::erase_if(letters_, [&](const auto& each) { return each.second.group == what.group; });
  std::erase_if(leases_, [&](const auto& each) { return each.second.group == what.group; });
}

void event_books::on(std::int64_t wall_ms, const write::trim& what, const written& how) {
  auto& in = streams_[what.stream];
  if (how.first < in.first || how.first > in.head + 1) fail("the oldest event of " + what.stream + " is said to be " + std::to_string(how.first));
  std::uint64_t count = 0;
  for (auto next = in.events.lower_bound(in.first); next != in.events.end() && next->first < how.first; ++next) {
    auto& [sequence, old] = *next;
    ++count;
    if (sequence > what.sequence_max) fail("an event is forgotten that was to stay");
    if (wall_ms - old.time_ms <= what.age_max_ms && in.bytes <= what.bytes_max) fail("an event is forgotten that is neither old nor too much");
    for (const auto& [name, group] : groups_) {
      const auto of = group.events.find({what.stream, sequence});
      if (group.exists && of != group.events.end() && of->second.due && !of->second.settled && !old.damaged) {
        fail(words(name, what.stream, sequence) + " is forgotten before it was handled");
      }
    }
    in.bytes -= bytes_of(old);
    old.trimmed = true;
    ++sums_.trimmed;
  }
  if (count > what.count_max) fail("more events are forgotten at once than were to be");
  in.first = how.first;
}

}  // namespace waggle::sim
