// What the model says of keys: one call at a time and in order, at the home of the key.
#include <algorithm>

#include "sim/model.hpp"

namespace waggle::sim {

void model::on_keyed_call(peer_id from, const wire::frame& in, command& what) {
  const auto name = (what.group.empty() ? what.name : what.group) + '\0' + std::string{in.key};
  const auto found = keys_.find(name);
  if (found == keys_.end()) {
    key_line line;
    find_home(line, what, name);
    if (line.has_home && has_slot(line.home) && !what.paused) {
      auto& opened = open(from, in, now_ + milliseconds{in.budget_ms}, &what);
      opened.line = name;
      auto* const given = lease_of(opened);
      if (given == nullptr) fail("a call with a key does not begin though its home is free");
      if (given->to != line.home) fail("a call with a key goes to a worker that is not its home");
      line.runs = true;
      keys_[name] = line;
      return hand_over(last_call_, *given);
    }
  }
  if (!has_room(from, what, in.payload.size() + in.headers.size())) return refuse(from, in.id, status::resource_exhausted, "no room to wait");
  if (found == keys_.end()) find_home(keys_[name], what, name);
  auto& opened = open(from, in, now_ + milliseconds{in.budget_ms}, &what);
  opened.line = name;
  keep(opened);
  wait_in_line(last_call_, false);
}

void model::wait_in_line(call_number number, bool first) {
  auto& waiting = calls_.at(number);
  auto& line = keys_[waiting.line];
  first ? line.waiting.push_front(number) : line.waiting.push_back(number);
  waiting.state = call::queued;
  waiting.what->bytes += waiting.bytes();
  ++waiting.what->keyed;
  ++queued_;
}

void model::leave_line(call_number number) {
  const auto& waiting = calls_.at(number);
  std::erase(keys_.at(waiting.line).waiting, number);
  waiting.what->bytes -= waiting.bytes();
  --waiting.what->keyed;
  --queued_;
}

/// The call that a worker had is there no longer: the next has its turn. A home that gets no calls any more is none.
void model::release_key(call_number number) {
  const auto found = keys_.find(calls_.at(number).line);
  auto& line = found->second;
  line.runs = false;
  if (line.has_home && (at(line.home).seat == nullptr || at(line.home).draining)) line.has_home = false;
  if (line.waiting.empty() && calls_.at(number).state != call::queued && calls_.at(number).lease != 0) keys_.erase(found);
}

/// It gets no calls any more: what waits for it waits for another.
void model::forget_home(peer_id gone) {
  for (auto& each : keys_) {
    if (!each.second.runs && each.second.home == gone) each.second.has_home = false;
  }
}

bool model::takes(peer_id worker, const command& what) const {
  const auto& who = peers_[static_cast<std::size_t>(worker)];
  return who.known && who.seat != nullptr && !who.draining && serves(who, what);
}

bool model::has_slot(peer_id worker) const {
  const auto& who = peers_[static_cast<std::size_t>(worker)];
  return who.in_flight < who.slots && !who.passed_over;
}

/// Of all that would take it, the one whose name goes best with the key.
bool model::best_home(const command& what, std::string_view name, peer_id& best) const {
  std::uint64_t highest = 0;
  bool any = false;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (!takes(static_cast<peer_id>(i), what)) continue;
    const auto score = broker::key_table::mixed(peers_[i].seed ^ broker::key_table::hash_of(name));
    if (any && score <= highest) continue;
    any = true;
    highest = score;
    best = static_cast<peer_id>(i);
  }
  return any;
}

/// It stays where it is for as long as that takes the command.
void model::find_home(key_line& line, const command& what, std::string_view name) {
  if (line.has_home && takes(line.home, what)) return;
  line.has_home = best_home(what, name, line.home);
}

/// Lines that wait: those of commands that nobody serves end, others find their home.
void model::place_lines() {
  for (auto each = keys_.begin(); each != keys_.end();) {
    auto& [name, line] = *each;
    while (!line.runs && !line.waiting.empty()) {
      const auto number = line.waiting.front();
      const auto& first = calls_.at(number);
      if (first.deadline <= now_ && replied(first.caller, first.id, status::deadline_exceeded)) {
        end(number, status::deadline_exceeded, "its budget has passed");
      } else if (!awaited(*first.what)) {
        end(number, fate(*first.what), "nobody serves it any more");
      } else {
        if (first.what->paused) line.was_paused = true;
        find_home(line, *first.what, name);
        break;
      }
    }
    each = line.waiting.empty() && !line.runs ? keys_.erase(each) : std::next(each);
  }
}

/// Whether its first call may begin, and whether it must. A line that was paused has its old home, or the one that it would have now.
std::pair<bool, bool> model::runs_now(const key_line& line, std::string_view name) const {
  const auto& what = *calls_.at(line.waiting.front()).what;
  if (what.paused || !line.has_home) return {false, false};
  const bool at_home = has_slot(line.home);
  peer_id best{};
  if (!line.was_paused || !best_home(what, name, best)) return {at_home, at_home};
  return {at_home || has_slot(best), at_home && has_slot(best)};
}

/// At a time a key has one call at a worker, in all commands of its group.
void model::check_exclusion(const call& leased) const {
  if (leased.line.empty()) return;
  const auto key = std::string_view{leased.line}.substr(leased.line.find('\0'));
  for (const auto& [number, other] : calls_) {
    if (&other == &leased || other.line.empty() || (other.state != call::leased && other.state != call::orphaned)) continue;
    if (other.what->group == leased.what->group && other.line.ends_with(key) && other.line.size() - other.line.find('\0') == key.size()) {
      fail("two calls of one key are at workers at the same time");
    }
  }
}

}  // namespace waggle::sim
