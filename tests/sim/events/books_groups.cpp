#include <algorithm>

#include "sim/events/books.hpp"

namespace waggle::sim {

namespace {

/// What an EVENT says of where it is from.
struct about {
  std::string group, stream, event_id;
  std::uint64_t sequence = 0, attempt = 0, attempts_max = 0, budget_ms = 0;
  std::int64_t time_ms = 0;
  std::vector<std::uint64_t> after;
};

about read_about(std::string_view bytes) {
  about out;
  wire::reader in{bytes};
  if (bytes.empty() || in.peek() != wire::kind::map) return out;
  wire::read_entries(in, [&](std::string_view key) {
    const auto text = [&](std::string& to) {
      std::string_view view;
      const bool ok = in.string(view);
      to = view;
      return ok;
    };
    if (key == "group") return text(out.group);
    if (key == "stream") return text(out.stream);
    if (key == "event_id") return text(out.event_id);
    if (key == "sequence") return in.unsigned_integer(out.sequence);
    if (key == "attempt") return in.unsigned_integer(out.attempt);
    if (key == "attempts_max") return in.unsigned_integer(out.attempts_max);
    if (key == "budget_ms") return in.unsigned_integer(out.budget_ms);
    if (key == "time") return in.integer(out.time_ms);
    if (key != "after") return in.skip();
    std::uint32_t count = 0;
    if (!in.array(count)) return false;
    out.after.resize(count);
    return std::all_of(out.after.begin(), out.after.end(), [&](auto& each) { return in.unsigned_integer(each); });
  });
  if (!in.ok()) throw violation{"what an event says of itself cannot be read"};
  return out;
}

}  // namespace

/// A broker has crashed: it has forgotten what was not on the disk.
void event_books::broker_gone() {
  ++sums_.crashes;
  for (auto& [name, group] : groups_) {
    for (const auto& [which, lease] : leases_) {
      if (lease.group != name) continue;
      auto& of = group.events[{lease.stream, lease.sequence}];
      of.said.reset();
      of.lease = 0;
    }
    for (const auto& each : group.unsure) {
      auto& of = group.events[each];
      of.acked = answer::none;
      const auto* const kept = find(each.first, each.second);
      if (of.due && !of.settled && kept != nullptr && !kept->damaged && !kept->key.empty()) group.open[{each.first, kept->key}].insert(each.second);
    }
    group.unsure.clear();
    group.busy.clear();
    group.may_retry = group.may_drop = 0;
    for (auto& [where, of] : group.events) of.revived = false;
  }
  for (auto& [id, each] : letters_) each.may_revive = each.may_drop = false;
  leases_.clear();
  peers_.clear();
  asked_to_retry_.clear();
  asked_to_drop_.clear();
}

void event_books::end_lease(std::uint64_t which) {
  const auto found = leases_.find(which);
  if (found == leases_.end()) return;
  auto& lease = found->second;
  peers_[lease.to].leases.erase(which);
  if (const auto group = groups_.find(lease.group); group != groups_.end()) {
    auto& of = group->second.events[{lease.stream, lease.sequence}];
    if (of.lease == which) of.lease = 0;
    if (!lease.key.empty()) group->second.busy[{lease.stream, lease.key}].erase(which);
  }
  leases_.erase(found);
}

bool event_books::may_be_lost(const lease_books& which, instant clock) const {
  const auto to = peers_.find(which.to);
  const auto silence_max = in_.net.limits.pulse * in_.net.limits.missed_pulses_max;
  return which.lost || clock >= which.at + which.budget || to == peers_.end() || clock - to->second.heard >= silence_max;
}

void event_books::peer_gone(peer which) {
  const auto leases = peers_[which].leases;
  for (const auto each : leases) end_lease(each);
  peers_.erase(which);
}

void event_books::sends(instant clock, peer to, const wire::frame& frame, bool late) {
  if (frame.type == wire::frame_type::event) return hands_over(clock, to, frame, late);
  if (frame.type == wire::frame_type::call) return hands_command_over(clock, to, frame, late);
  if (frame.type != wire::frame_type::cancel) return;
  end_lease(frame.id);  // called back: whatever is said under it is too late
}

void event_books::offers(const wire::frame& frame) {
  if (frame.type != wire::frame_type::event) return;
  const auto says = read_about(frame.about);
  auto& of = groups_[says.group].events[{says.stream, says.sequence}];
  if (says.attempts_max != of.attempts_max) of.handed = of.offered = 0;  // its first, or a dead letter's new life
  of.attempts_max = static_cast<std::uint32_t>(says.attempts_max);
  of.said.reset();  // it is this attempt that tells the last error now, even if its frame never leaves
  ++of.offered;
}

void event_books::hands_over(instant clock, peer to, const wire::frame& frame, bool late) {
  const auto says = read_about(frame.about);
  const auto which = words(says.group, says.stream, says.sequence);
  const auto* const kept = find(says.stream, says.sequence);
  if (kept == nullptr) fail(which + " is handed over, and is not on the disk");
  if (kept->topic != frame.name || kept->payload != frame.payload || kept->headers != frame.headers || kept->event_id != says.event_id ||
      kept->time_ms != says.time_ms) {
    fail(which + " is handed over as another than was emitted");
  }
  const auto* const plan = in_.plan_of(says.group);
  if (plan == nullptr) fail(which + ": there is no such group");
  auto& group = groups_[says.group];
  auto& of = group.events[{says.stream, says.sequence}];
  ++sums_.handed;
  if (of.dead) {
    const auto& dead = letters_[of.letter];
    if (!dead.may_revive && !asked_to_retry_.contains(of.letter) && group.may_retry == 0 && !of.revived) fail(which + " is handed over, though it is a dead letter");
    if (!of.revived) ++sums_.revived;
    of.revived = true;
    of.acked = answer::none;
  } else if (of.settled) {
    fail(which + " is handed over, though the disk says that it is done");
  } else if (of.acked == answer::certain) {
    fail(which + " is handed over with attempt " + std::to_string(says.attempt) + ", though it was acknowledged with attempt " + std::to_string(of.attempt));
  }
  if (late && says.attempt <= of.attempt) {  // it stood in a full pipe while the next attempt began elsewhere
    ++of.handed;
    return;
  }
  if (!of.dead && says.attempts_max != plan->attempts) fail(which + " is said to have " + std::to_string(says.attempts_max) + " attempts");
  if (says.budget_ms != static_cast<std::uint64_t>(plan->budget.count())) fail(which + " has another budget than its group says");
  if (says.attempt <= of.attempt) fail(which + " is handed over with attempt " + std::to_string(says.attempt) + " after " + std::to_string(of.attempt));
  if (says.attempt > says.attempts_max) fail(which + " is handed over with attempt " + std::to_string(says.attempt) + " of " + std::to_string(says.attempts_max));
  if (++of.handed > plan->attempts) fail(which + " is handed over once too often");
  if (of.lease != 0) {
    const auto before = leases_.find(of.lease);
    if (!late && before != leases_.end() && !may_be_lost(before->second, clock)) fail(which + " is handed over while another member has it");
    end_lease(of.lease);
  }
  const bool is_first = of.attempt == 0;
  if (!is_first) ++sums_.again;
  of.attempt = static_cast<std::uint32_t>(says.attempt);
  of.said.reset();
  of.lease = frame.id;
  if (!kept->key.empty()) {
    const line in_line{says.stream, kept->key};
    for (const auto other : group.busy[in_line]) {
      const auto found = leases_.find(other);
      if (!late && found != leases_.end() && !may_be_lost(found->second, clock)) fail(which + " is handed over while one of its key is at a member, event " + std::to_string(found->second.sequence));
    }
    // A dead letter comes out of turn, which is its first delivery when nobody had taken it or its record was damaged.
    if (const auto open = group.open.find(in_line); !late && is_first && !of.dead && open != group.open.end() && *open->second.begin() < says.sequence) {
      fail(which + " is handed over before event " + std::to_string(*open->second.begin()) + ", which has the same key");
    }
    group.busy[in_line].insert(frame.id);
  }
  auto& lease = leases_[frame.id];
  if (lease.sequence != 0 || !lease.operation.empty()) fail("two deliveries have one lease");
  lease = {to, says.group, says.stream, says.sequence, kept->key, {}, clock, plan->budget, late, false};
  peers_[to].leases.insert(frame.id);
  if (log_.verbose()) log_.say(clock, "  broker hands " + which + " over, attempt " + std::to_string(says.attempt) + ", lease " + std::to_string(frame.id));
  const auto at_members = std::count_if(leases_.begin(), leases_.end(), [&](const auto& each) {
    return each.second.group == says.group && each.second.stream == says.stream && !may_be_lost(each.second, clock);
  });
  if (static_cast<std::size_t>(at_members) > in_.events.in_flight_max) fail(says.group + " has more events at its members than it may");
}

void event_books::reads(instant clock, peer from, const wire::frame& frame) {
  auto& who = peers_[from];
  const bool was_silent = who.heard != instant{} && clock - who.heard >= in_.net.limits.pulse * in_.net.limits.missed_pulses_max;
  if (was_silent) {
    for (const auto each : who.leases) leases_[each].lost = true;
  }
  who.heard = clock;
  if (frame.type == wire::frame_type::join) {
    for (const auto each : who.leases) leases_[each].lost = true;
  }
  if (frame.type != wire::frame_type::reply) return;
  const auto found = leases_.find(frame.id);
  if (found == leases_.end() || found->second.to != from) {
    ++sums_.late;
    return;
  }
  const bool certain = !may_be_lost(found->second, clock);
  const auto lease = found->second;
  end_lease(frame.id);
  answered(lease, certain, frame);
}

void event_books::answered(const lease_books& under, bool certain, const wire::frame& frame) {
  if (!under.operation.empty()) {
    auto& of = operations_[under.operation];
    of.said.emplace_back(frame.status, std::string{frame.payload});
    return;
  }
  auto& group = groups_[under.group];
  auto& of = group.events[{under.stream, under.sequence}];
  if (frame.status != status::ok) {
    ++sums_.failed;
    if (certain) of.said = wire::read_error(frame.status, frame.payload);
    return;
  }
  ++sums_.acked;
  if (certain) {
    of.acked = answer::certain;
  } else if (of.acked == answer::none) {
    of.acked = answer::doubtful;
  }
  if (!of.settled || of.dead) group.unsure.insert({under.stream, under.sequence});
  over(group, under.stream, under.sequence);
  if (log_.verbose()) log_.say({}, "  " + words(under.group, under.stream, under.sequence) + " is acknowledged" + (certain ? "" : ", perhaps too late"));
}

void event_books::broadcast(std::string_view topic, std::string_view bytes) {
  wire::bundle_reader frames{bytes};
  wire::frame event;
  if (frames.next(event) != wire::decoded::frame || event.type != wire::frame_type::event) fail("a broadcast is no EVENT");
  if (topic != event.name) fail("a broadcast's topic is not its event's");
  const auto says = read_about(event.about);
  if (topic.starts_with("waggle.head.")) {
    const auto stream = streams_.find(std::string{topic.substr(12)});
    const auto head = stream == streams_.end() ? 0 : stream->second.head;
    if (event.id > head) fail("the head of a stream is said to be beyond what is on the disk");
    return;
  }
  if (topic.starts_with("waggle.")) return;
  if (event.id == 0) {
    if (!in_.is_ephemeral(topic)) fail("an event of a stream is broadcast without its sequence");
    return;
  }
  ++sums_.broadcasts;
  const auto* const kept = find(says.stream, event.id);
  if (kept == nullptr) fail("an event is broadcast that is not on the disk");
  if (kept->topic != event.name || kept->payload != event.payload || kept->headers != event.headers || kept->event_id != says.event_id || kept->time_ms != says.time_ms) {
    fail("an event is broadcast as another than was emitted");
  }
  auto& in = streams_[says.stream];
  if (event.id <= in.broadcast) fail("event " + std::to_string(event.id) + " of " + says.stream + " is broadcast after " + std::to_string(in.broadcast));
  in.broadcast = event.id;
  if (says.after.size() % 2 != 0) fail("`after` is not pairs");
  for (std::size_t i = 0; i + 1 < says.after.size(); i += 2) {
    if (says.after[i] > topic.size()) fail("`after` tells of a longer prefix than the topic");
    const auto prefix = topic.substr(0, says.after[i]);
    auto before = in.events.find(event.id);
    while (before != in.events.begin() && !std::prev(before)->second.topic.starts_with(prefix)) --before;
    const auto truth = before == in.events.begin() ? 0 : std::prev(before)->first;
    if (says.after[i + 1] < truth) fail("event " + std::to_string(event.id) + " of " + says.stream + " is said to follow " + std::to_string(says.after[i + 1]) + " in " + std::string{prefix} + ", and follows " + std::to_string(truth));
    if (says.after[i + 1] >= event.id) fail("an event is said to follow itself");
  }
}

void event_books::may_retry(const std::string& group, std::uint64_t id, int more) {
  if (id != 0) {
    if (more > 0) asked_to_retry_.insert(id);
    return;
  }
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  found->second.may_retry = std::max(0, found->second.may_retry + more);
  for (auto& [which, each] : letters_) each.may_revive |= each.group == group;
}

void event_books::may_drop(const std::string& group, std::uint64_t id, int more) {
  if (id != 0) {
    if (more > 0) asked_to_drop_.insert(id);
    return;
  }
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  found->second.may_drop = std::max(0, found->second.may_drop + more);
  for (auto& [which, each] : letters_) each.may_drop |= each.group == group;
}

std::size_t event_books::dead_of(const std::string& group) const {
  return static_cast<std::size_t>(std::count_if(letters_.begin(), letters_.end(), [&](const auto& each) { return each.second.group == group; }));
}

std::vector<std::string> event_books::groups() const {
  std::vector<std::string> out;
  for (const auto& [name, each] : groups_) {
    if (each.exists) out.push_back(name);
  }
  return out;
}

std::vector<std::string> event_books::patterns_of(const std::string& group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? std::vector<std::string>{} : found->second.patterns;
}

bool event_books::is_over() const {
  try {
    all_is_over();
  } catch (const violation&) {
    return false;
  }
  return true;
}

void event_books::all_is_over() const {
  for (const auto& [name, group] : groups_) {
    if (!group.exists) continue;
    for (const auto& [where, of] : group.events) {
      const auto* const kept = find(where.first, where.second);
      if (of.due && !of.settled && (kept == nullptr || !kept->damaged)) {
        fail("with nothing wrong any more, " + words(name, where.first, where.second) + " is neither settled nor a dead letter" +
             (of.acked != answer::none ? ", though it was acknowledged" : ", handed over " + std::to_string(of.handed) + " times"));
      }
    }
  }
  for (const auto& [id, of] : operations_) {
    if (!of.ended) fail("with nothing wrong any more, operation " + id + " (" + of.command + ") does not end");
  }
}

}  // namespace waggle::sim
