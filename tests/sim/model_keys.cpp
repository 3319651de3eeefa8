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
    const auto is_this = [&](const told& each) {
      return !each.expected && each.in.type == wire::frame_type::call && each.in.name == in.name && each.in.payload == in.payload && each.in.headers == in.headers;
    };
    const auto given = std::find_if(told_.begin(), told_.end(), is_this);
    const bool must = line.has_home && !line.doubtful && has_slot(line.home, what) && !what.paused;
    if (given == told_.end() && must) fail("a call with a key does not begin though its home is free: " + in_words(line.home));
    if (must || (line.doubtful && !what.paused && given != told_.end() && takes(given->to, what) && has_slot(given->to, what))) {
      if (!is_home(line, given->to)) fail("a call with a key goes to a worker that is not its home");
      open(from, in, now_ + milliseconds{in.budget_ms}, &what).line = name;
      line.where = key_line::runs;
      line.home = given->to;
      line.doubtful = false;
      keys_[name] = line;
      ++listings_;
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
  auto& line = keys_.at(waiting.line);
  if (line.waiting.front() == number && line.where != key_line::runs) line.where = key_line::unplaced;
  std::erase(line.waiting, number);
  waiting.what->bytes -= waiting.bytes();
  --waiting.what->keyed;
  --queued_;
}

/// The call that a worker had is there no longer: the next has its turn. A home that gets no calls any more is none.
void model::release_key(call_number number) {
  const auto found = keys_.find(calls_.at(number).line);
  auto& line = found->second;
  line.where = key_line::unplaced;
  if (line.has_home && (at(line.home).seat == nullptr || at(line.home).draining)) line.has_home = false;
  if (line.waiting.empty() && calls_.at(number).lease != 0) keys_.erase(found);
}

/// What waits for this worker is placed anew: elsewhere if it gets no calls any more.
void model::leave_home(peer_id worker) {
  for (auto& each : keys_) {
    auto& line = each.second;
    if (line.where != key_line::at_home || line.home != worker) continue;
    line.where = key_line::unplaced;
    if (at(worker).draining) line.has_home = false;
  }
}

/// What waits for somebody to serve it, or for its resumption, is placed anew.
void model::seek_homes(const command& what) {
  for (auto& each : keys_) {
    if (each.second.where == key_line::homeless && each.second.wants == &what) each.second.where = key_line::unplaced;
  }
}

bool model::takes(peer_id worker, const command& what) const {
  const auto& who = peers_[static_cast<std::size_t>(worker)];
  return who.known && who.seat != nullptr && !who.draining && serves(who, what);
}

/// Whose slots a call of this command takes at this worker.
std::size_t model::lane_at(const peer& worker, const command& what) const {
  if (worker.seat == nullptr || !worker.seat->has_quick) return 0;
  for (const auto& member : worker.seat->commands) {
    if (member.what == &what) return member.quick ? 1 : 0;
  }
  return 0;
}

bool model::has_slot(peer_id worker, const command& what) const {
  const auto& who = peers_[static_cast<std::size_t>(worker)];
  const auto lane = lane_at(who, what);
  return who.in_flight[lane] < who.slots[lane] && !who.passed_over[lane];
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
  // Of workers with one name in several services either may be the home; when one of them goes, the line may have been the other's, and stay there.
  const bool was_doubtful = line.doubtful;
  line.has_home = best_home(what, name, line.home);
  const auto seed = peers_[static_cast<std::size_t>(line.home)].seed;
  std::size_t equal = 0;
  for (std::size_t i = 0; i < peers_.size(); ++i) equal += takes(static_cast<peer_id>(i), what) && peers_[i].seed == seed ? 1 : 0;
  line.doubtful = line.has_home && (equal > 1 || was_doubtful);
}

bool model::is_home(const key_line& line, peer_id worker) const { return line.doubtful || (line.has_home && line.home == worker); }

void model::place(key_line& line, std::string_view name) {
  auto& what = *calls_.at(line.waiting.front()).what;
  find_home(line, what, name);
  line.where = line.has_home && !what.paused ? key_line::at_home : key_line::homeless;
  if (line.where == key_line::at_home) return;
  line.has_home = line.doubtful = false;
  line.wants = &what;
}

/// Whether the core says of a call that it does not know its command any more, which it says without a name.
bool model::is_forgotten(const call& which) const {
  return std::any_of(told_.begin(), told_.end(), [&](const told& each) {
    return !each.expected && each.to == which.caller && each.in.type == wire::frame_type::reply && each.in.id == which.id && each.in.status == status::unavailable &&
           wire::read_error(each.in.status, each.in.payload).message == "the last worker that served the command is gone";
  });
}

/// Lines that are to find their place: those of commands that nobody serves end.
void model::place_lines() {
  for (auto each = keys_.begin(); each != keys_.end();) {
    auto& [name, line] = *each;
    while (line.where == key_line::unplaced && !line.waiting.empty()) {
      const auto number = line.waiting.front();
      const auto& first = calls_.at(number);
      if (first.deadline <= now_) {
        end(number, status::deadline_exceeded, "its budget has passed");
      } else if (!awaited(*first.what)) {
        end(number, fate(*first.what), "nobody serves it any more");
      } else if (commands_.size() >= limits_.commands_max && is_forgotten(first)) {
        // While its key had another call at a worker, its command was without workers and had to make room; that it is back is of no use to it.
        end(number, status::unavailable, "its command has been forgotten");
      } else {
        place(line, name);
      }
    }
    each = line.where == key_line::unplaced ? keys_.erase(each) : std::next(each);
  }
}

namespace {

bool in_group(std::string_view line, std::string_view group) { return line.substr(0, line.find('\0')) == group; }

}  // namespace

/// At a time a key has one call at a worker, in all commands of its group.
void model::check_exclusion(const call& leased) const {
  if (leased.line.empty()) return;
  const auto key = std::string_view{leased.line}.substr(leased.line.find('\0'));
  for (const auto& [number, other] : calls_) {
    if (&other == &leased || other.line.empty() || (other.state != call::leased && other.state != call::orphaned)) continue;
    // A command can change its group once nobody who serves it says otherwise, while calls that came before still run.
    if (leased.line != other.line && (!in_group(leased.line, leased.what->group) || !in_group(other.line, other.what->group))) continue;
    if (other.what->group == leased.what->group && other.line.ends_with(key) && other.line.size() - other.line.find('\0') == key.size()) {
      fail("two calls of one key are at workers at the same time");
    }
  }
}

}  // namespace waggle::sim
