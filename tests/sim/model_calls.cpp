// What the model says of calls: opened, queued or leased, and ended in one reply.
#include <algorithm>

#include "sim/model.hpp"

namespace waggle::sim {

using wire::frame_type;

std::size_t model::command::keyless() const {
  std::size_t out = 0;
  for (const auto& each : turns) out += each.calls.size();
  return out;
}

void model::refuse(peer_id to, std::uint64_t id, status code, const char* why) {
  ++sums_.refused;
  expect_error(to, id, code, false, why);
}

void model::on_call(peer_id from, const wire::frame& in) {
  if (at(from).calls.size() >= limits_.caller_calls_max) return refuse(from, in.id, status::resource_exhausted, "caller_calls_max");
  if (calls_.size() >= limits_.calls_max) return refuse(from, in.id, status::resource_exhausted, "calls_max");
  if (in.budget_ms == 0) return refuse(from, in.id, status::deadline_exceeded, "no budget");
  if (in.name.starts_with("waggle.")) return on_built_in(from, in);

  auto known = commands_.find(in.name);
  // Which commands without workers it has forgotten, to have room for others, is the core's choice.
  const bool forgets = commands_.size() >= limits_.commands_max;
  const bool young = now_ < started_ + limits_.grace;
  const bool may_be_unknown = known == commands_.end() || (forgets && !awaited(known->second));
  if (young && may_be_unknown && !(forgets && replied(from, in.id, status::unavailable)) &&
      !(forgets && replied(from, in.id, status::unimplemented))) {
    known = commands_.try_emplace(std::string{in.name}).first;
    known->second = command{};
    known->second.name = in.name;
    known->second.group = in.name;
    known->second.expected = true;
    ++sums_.expected;
  }
  if (known == commands_.end()) return refuse(from, in.id, young ? status::unavailable : status::unimplemented, "nobody serves the command");
  auto& what = known->second;
  if (!awaited(what)) {
    for (const auto either : {status::unavailable, status::unimplemented}) {
      if (forgets && replied(from, in.id, either)) return refuse(from, in.id, either, "nobody serves the command now");
    }
    return refuse(from, in.id, fate(what), "nobody serves the command now");
  }
  if (in.key.size() > wire::key_bytes_max) return refuse(from, in.id, status::invalid_argument, "the key is too long");
  if (!in.key.empty()) return on_keyed_call(from, in, what);
  for (const auto& each : pools_) {
    for (const auto& member : each.commands) {
      if (member.what == &what && member.needs_key) return refuse(from, in.id, status::invalid_argument, "it needs a key");
    }
  }
  if (what.turns.empty() && somebody_can_take(what)) {
    open(from, in, now_ + milliseconds{in.budget_ms}, &what);
    return lease(last_call_, true);
  }
  if (!has_room(from, what, in.payload.size() + in.headers.size())) return refuse(from, in.id, status::resource_exhausted, "no room to wait");
  keep(open(from, in, now_ + milliseconds{in.budget_ms}, &what));
  queue_up(last_call_);
}

bool model::has_room(peer_id from, const command& what, std::size_t bytes) const {
  return what.keyless() + what.keyed < limits_.queue_calls_max && what.bytes + bytes <= limits_.queue_bytes_max &&
         kept_bytes_ + bytes <= limits_.kept_bytes_max &&
         peers_[static_cast<std::size_t>(from)].kept_bytes + bytes <= limits_.caller_kept_bytes_max;
}

/// What calls are told that wait for a command, or come for one, that nobody serves.
status model::fate(const command& what) const { return what.served ? status::unavailable : status::unimplemented; }

model::call& model::open(peer_id from, const wire::frame& in, instant deadline, command* what) {
  const auto number = ++last_call_;
  auto& made = calls_[number];
  made.caller = from;
  made.id = in.id;
  made.what = what;
  made.deadline = deadline;
  made.payload = in.payload;
  made.headers = in.headers;
  made.parts = in.parts;
  by_id_[{from, in.id}] = number;
  by_deadline_.emplace(deadline, number);
  at(from).calls.push_back(number);
  ++sums_.accepted;
  return made;
}

void model::keep(call& kept) {
  if (std::exchange(kept.kept, true)) return;
  kept_bytes_ += kept.bytes();
  at(kept.caller).kept_bytes += kept.bytes();
}

void model::let_go(call& kept) {
  if (!std::exchange(kept.kept, false)) return;
  kept_bytes_ -= kept.bytes();
  at(kept.caller).kept_bytes -= kept.bytes();
}

/// At the end of its caller's line, which has its turn when it comes.
void model::queue_up(call_number number) {
  auto& waiting = calls_.at(number);
  auto& turns = waiting.what->turns;
  waiting.state = call::queued;
  waiting.what->bytes += waiting.bytes();
  ++queued_;
  for (auto& each : turns) {
    if (each.caller == waiting.caller) return each.calls.push_back(number);
  }
  turns.push_back({waiting.caller, {number}});
}

/// Before everybody else.
void model::queue_first(call_number number) {
  auto& waiting = calls_.at(number);
  auto& turns = waiting.what->turns;
  waiting.state = call::queued;
  waiting.what->bytes += waiting.bytes();
  ++queued_;
  turn first{waiting.caller, {}};
  for (auto each = turns.begin(); each != turns.end(); ++each) {
    if (each->caller != waiting.caller) continue;
    first = std::move(*each);
    turns.erase(each);
    break;
  }
  first.calls.push_front(number);
  turns.insert(turns.begin(), std::move(first));
}

void model::unqueue(call_number number) {
  const auto& waiting = calls_.at(number);
  auto& turns = waiting.what->turns;
  waiting.what->bytes -= waiting.bytes();
  --queued_;
  for (auto each = turns.begin(); each != turns.end(); ++each) {
    if (each->caller != waiting.caller) continue;
    std::erase(each->calls, number);
    if (each->calls.empty()) turns.erase(each);
    return;
  }
}

/// Nothing more is sent to its caller.
void model::settle(call_number number) {
  auto& settled = calls_.at(number);
  settled.settled = true;
  ++settled_;
  by_deadline_.erase({settled.deadline, number});
  by_id_.erase({settled.caller, settled.id});
  std::erase(at(settled.caller).calls, number);
}

void model::close(call_number number) {
  const auto& closed = calls_.at(number);
  if (closed.state == call::parked) --parked_;
  if (closed.settled) --settled_;
  if (!closed.line.empty() && closed.state != call::queued) release_key(number);
  if (closed.lease != 0) by_lease_.erase(closed.lease);
  calls_.erase(number);
}

/// The broker's own verdict.
void model::end(call_number number, status code, const char* why) {
  const auto& ended = calls_.at(number);
  expect_error(ended.caller, ended.id, code, ended.attempts > 0, why);
  ++sums_.replied;
  abandon(number);
}

/// Nobody waits for it any more. If a worker has it, that is told, and holds its slot until it has answered.
void model::abandon(call_number number) {
  settle(number);
  auto& left = calls_.at(number);
  let_go(left);
  if (left.state == call::leased) {
    left.state = call::orphaned;
    ++sums_.orphaned;
    expect(frame_type::cancel, left.worker, left.lease, "nobody waits for what it does");
    return;
  }
  if (left.state == call::queued) left.line.empty() ? unqueue(number) : leave_line(number);
  close(number);
}

/// The lease ends; the call waits again, before everybody else.
void model::requeue(call_number number) {
  auto& back = calls_.at(number);
  by_lease_.erase(back.lease);
  back.lease = 0;
  ++sums_.requeued;
  if (back.line.empty()) return queue_first(number);
  release_key(number);
  wait_in_line(number, true);
}

bool model::goes_back(const call& leased, std::string_view passed_on) const {
  if (leased.state != call::leased || !leased.kept || leased.parted || !awaited(*leased.what)) return false;
  if (commands_.size() <= limits_.commands_max) return true;
  // A command that was forgotten and came again is another one. Which were is the core's choice.
  return std::none_of(told_.begin(), told_.end(), [&](const auto& each) {
    return !each.expected && each.to == leased.caller && each.in.type == frame_type::reply && each.in.id == leased.id &&
           each.in.status == status::unavailable && (passed_on.empty() || each.in.payload == passed_on);
  });
}

/// Where the core has sent the call in this step, to a worker that may have it now if there is such a one.
model::told* model::lease_of(const call& waiting, bool now) {
  told* otherwise = nullptr;
  for (auto& each : told_) {
    if (each.expected || each.in.type != frame_type::call || each.in.name != waiting.what->name || each.in.payload != waiting.payload ||
        each.in.headers != waiting.headers) {
      continue;
    }
    if (may_have(each.to, waiting)) return &each;
    otherwise = &each;
  }
  return now ? nullptr : otherwise;
}

bool model::may_have(peer_id worker, const call& waiting) const {
  if (!takes(worker, *waiting.what) || !has_slot(worker, *waiting.what)) return false;
  if (waiting.line.empty()) return true;
  const auto found = keys_.find(waiting.line);
  if (found == keys_.end()) return true;
  return is_home(found->second, worker);
}

bool model::somebody_can_take(const command& what) const {
  if (what.paused) return false;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (takes(static_cast<peer_id>(i), what) && has_slot(static_cast<peer_id>(i), what)) return true;
  }
  return false;
}

/// The core has given a call without a key to some worker: one that may have it. `at_once`: to the one with the most free slots.
void model::lease(call_number number, bool at_once) {
  auto& leased = calls_.at(number);
  auto* const found = lease_of(leased);
  if (found == nullptr) fail("a call of " + leased.what->name + " is not given to a worker though one is free");
  if (at_once) ++listings_;
  const auto& worker = at(found->to);
  const bool in_burst = worker.known && worker.seat != nullptr && continues_burst(found->to, *leased.what);
  if (at_once && worker.known && worker.seat != nullptr) {
    const auto free_at = [&](const peer& of) {
      const auto lane = lane_at(of, *leased.what);
      return std::min<std::size_t>(of.slots[lane] - std::min<std::size_t>(of.slots[lane], of.in_flight[lane]), broker::directory::free_listed_max);
    };
    const auto lane = lane_at(worker, *leased.what);
    for (const auto& each : peers_) {
      if (!each.known || each.seat == nullptr || each.draining || !serves(each, *leased.what)) continue;
      if (free_at(each) > free_at(worker)) fail("a call goes to a worker though another has more free slots");
      if (!in_burst && each.seat == worker.seat && free_at(each) == free_at(worker) && each.listed[lane] < worker.listed[lane]) {
        fail("a call goes to a worker though it is another's turn");
      }
    }
  } else if (!at_once) {
    auto& turns = leased.what->turns;
    if (turns.front().calls.front() != number) fail("a call is served before its turn");
    unqueue(number);
    if (!turns.empty() && turns.front().caller == leased.caller) std::rotate(turns.begin(), turns.begin() + 1, turns.end());
  }
  hand_over(number, *found);
}

/// Whether a quick call goes to the worker that got the last one of this round, which it may a few times though it is another's turn; counts it.
bool model::continues_burst(peer_id to, const command& what) {
  auto& seat = *at(to).seat;
  const auto lane = lane_at(at(to), what);
  if (lane == 0 && (seat.has_quick || !seat.all_quick)) return false;
  auto& burst = seat.bursts[lane];
  if (burst.round == round_ && burst.worker == to && burst.calls < broker::directory::burst::calls_max) {
    ++burst.calls;
    return true;
  }
  burst = {round_, to, 1};
  return false;
}

/// What holds whenever a worker gets a call.
void model::hand_over(call_number number, told& given) {
  auto& leased = calls_.at(number);
  const auto& frame = given.in;
  auto& worker = at(given.to);
  given.expected = true;
  if (!worker.known || worker.seat == nullptr) fail("a CALL goes to a peer that is no worker");
  if (worker.draining) fail("a CALL goes to a worker that leaves");
  if (!serves(worker, *leased.what)) fail("a CALL goes to a worker that does not serve it");
  if (leased.what->paused) fail("a call begins though its command is paused");
  const auto lane = lane_at(worker, *leased.what);
  if (worker.in_flight[lane] >= worker.slots[lane]) fail("a worker has more calls of a class than slots");
  if (worker.passed_over[lane]) fail("a call goes back to the worker that has just rejected it, though another is free");
  if (leased.deadline <= now_) fail("a call is handed out though its budget has passed");
  if (leased.attempts >= limits_.attempts_max) fail("a call is handed out too often");
  if (leased.parted) fail("a call of which a PART was passed on begins again");
  const auto left = std::chrono::duration_cast<milliseconds>(leased.deadline - now_).count();
  if (frame.budget_ms != static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1))) fail("a CALL says another budget than what is left");
  if (frame.parts != leased.parts) fail("a CALL says another credit than its caller gave");
  if (frame.id == 0 || frame.id >= (std::uint64_t{1} << 53)) fail("a lease is out of range");
  if (!by_lease_.emplace(frame.id, number).second) fail("a lease is given that is in use");
  leased.state = call::leased;
  leased.worker = given.to;
  leased.lease = frame.id;
  leased.lane = lane;
  check_exclusion(leased);
  ++leased.attempts;
  end_rest(worker);
  ++worker.in_flight[lane];
  worker.listed[lane] = listings_;
  sums_.quick += lane;
  worker.leases.push_back(number);
  ++sums_.leases;
  if (leased.attempts > 1) ++sums_.again;
  if (!leased.line.empty()) ++sums_.keyed;
  if (class_at(worker, *leased.what) == retry_class::once || leased.attempts >= limits_.attempts_max) {
    let_go(leased);
  } else if (kept_bytes_ + leased.bytes() <= limits_.kept_bytes_max &&
             at(leased.caller).kept_bytes + leased.bytes() <= limits_.caller_kept_bytes_max) {
    keep(leased);
  }
}

/// The calls that the core has given out and the model has not, for whoever wants to know why.
std::string model::given_in_words() const {
  std::string out;
  for (const auto& each : told_) {
    if (each.expected || each.in.type != frame_type::call) continue;
    for (const auto& [number, which] : calls_) {
      if (which.payload != each.in.payload) continue;
      out += "; given is id " + std::to_string(which.id) + " of peer " + std::to_string(static_cast<std::uint32_t>(which.caller)) + " to " +
             in_words(each.to);
      if (which.line.empty()) continue;
      const auto& line = keys_.at(which.line);
      out += ", " + which.line.substr(which.line.find('\0') + 1) + (line.where == key_line::runs ? ", which runs" : "") +
             (line.waiting.front() == number ? ", the first" : "") + (line.has_home ? ", home " + in_words(line.home) : "");
    }
  }
  return out;
}

/// Nothing waits for what is free. Which of several commands or keys has its turn is the core's choice: what it has sent first
/// was first.
void model::dispatch() {
  place_lines();
  ++listings_;  // which of the workers that get something now was first is not known
  while (queued_ > 0) {
    const told* earliest = nullptr;
    call_number next = 0, in_vain = 0;
    std::vector<call_number> late;
    bool may_wait = false;  // all that are late
    const auto consider_late = [&](call_number number, bool must) {
      const auto& first = calls_.at(number);
      if (first.deadline > now_ || !replied(first.caller, first.id, status::deadline_exceeded)) return;
      late.push_back(number);
      may_wait |= !must;
    };
    const auto consider = [&](call_number number, bool must) {
      const auto& first = calls_.at(number);
      const auto* const given = lease_of(first, true);
      if (given != nullptr && (earliest == nullptr || given < earliest)) {
        earliest = given;
        next = number;
      }
      if (must) in_vain = number;
    };
    for (const auto& [name, what] : commands_) {
      if (!what.turns.empty() && somebody_can_take(what)) {
        consider_late(what.turns.front().calls.front(), true);
        consider(what.turns.front().calls.front(), true);
      }
    }
    for (const auto& [name, line] : keys_) {
      if (line.where != key_line::at_home || line.waiting.empty()) continue;
      const auto number = line.waiting.front();
      const auto& what = *calls_.at(number).what;
      const bool must = !line.doubtful && has_slot(line.home, what);
      if (must || line.doubtful) consider_late(number, must);  // also of what is paused, which is found out behind it
      if (!what.paused) consider(number, must);
    }
    // Whoever is looked at first may take the slot, and then nobody looks at the others yet.
    const auto chosen = late.empty() ? 0 : choose(late.size() + (next != 0 || may_wait ? 1 : 0));
    if (chosen < late.size()) {
      end(late[chosen], status::deadline_exceeded, "its budget has passed before its turn came");
    } else if (next != 0 && calls_.at(next).line.empty()) {
      lease(next, false);
    } else if (next != 0) {
      auto& given = *lease_of(calls_.at(next));
      auto& line = keys_.at(calls_.at(next).line);
      leave_line(next);
      line.where = key_line::runs;
      line.has_home = true;
      line.doubtful = false;
      line.home = given.to;
      hand_over(next, given);
    } else if (in_vain != 0) {
      const auto& first = calls_.at(in_vain);
      fail("a call of " + first.what->name + " waits though a worker is free, or another is served before its turn: id " +
           std::to_string(first.id) + " of peer " + std::to_string(static_cast<std::uint32_t>(first.caller)) +
           (first.line.empty() ? "" : ", " + first.line.substr(first.line.find('\0') + 1) + " of " + in_words(keys_.at(first.line).home)) + given_in_words());
    } else {
      break;
    }
    place_lines();
  }
  // Where a slot is free everybody who waits there has been looked at: those that are paused wait elsewhere now.
  for (auto& [name, line] : keys_) {
    if (line.where != key_line::at_home) continue;
    const auto& what = *calls_.at(line.waiting.front()).what;
    if (!what.paused) continue;
    if (!has_slot(line.home, what)) {
      line.doubtful = true;
    } else {
      line.where = key_line::unplaced;
      place(line, name);
    }
  }
}

void model::return_slot(peer_id from, std::size_t lane) {
  auto& worker = at(from);
  --worker.in_flight[lane];
  worker.listed[lane] = ++listings_;
  dispatch();
  if (worker.leaving && worker.in_flight[0] + worker.in_flight[1] == 0) finish_drain(from);
}

void model::on_part(peer_id from, const wire::frame& in) {
  const auto found = by_lease_.find(in.id);
  if (found == by_lease_.end() || at(from).seat == nullptr) return;
  auto& leased = calls_.at(found->second);
  if (leased.worker != from || leased.state != call::leased) return;
  if (leased.parts == 0 && at(from).credit) {
    ++sums_.overrun;
    return end(found->second, status::internal, "its worker sends more than it has credit for");
  }
  if (leased.parts != 0 && leased.parts != wire::no_credit_limit) --leased.parts;
  leased.parted = true;
  let_go(leased);
  ++sums_.parts;
  if (expect(frame_type::part, leased.caller, leased.id, "a PART").payload != in.payload) fail("a PART is another than the worker's");
}

void model::on_credit(peer_id from, const wire::frame& in) {
  const auto found = by_id_.find({from, in.id});
  if (found == by_id_.end()) return;
  auto& given = calls_.at(found->second);
  if (given.parts == wire::no_credit_limit) return;
  given.parts += std::min(in.parts, wire::no_credit_limit - 1 - given.parts);
  if (given.state != call::leased || !at(given.worker).credit) return;
  if (expect(frame_type::credit, given.worker, given.lease, "its caller gives credit").parts != in.parts) fail("a CREDIT is not what the caller gave");
}

void model::on_reply(peer_id from, const wire::frame& in) {
  const auto found = by_lease_.find(in.id);
  if (found == by_lease_.end() || at(from).seat == nullptr) return;
  const auto number = found->second;
  auto& leased = calls_.at(number);
  if (leased.worker != from) return;
  const auto lane = leased.lane;
  if (in.status == status::unavailable && goes_back(leased, in.payload)) {
    ++sums_.rejected;
    std::erase(at(from).leases, number);
    requeue(number);
    at(from).passed_over[lane] = true;
    dispatch();
    at(from).passed_over[lane] = false;
    return return_slot(from, lane);
  }
  if (leased.state == call::leased) {
    const auto same = [&](const auto& each) { return each.status == in.status && each.payload == in.payload && each.headers == in.headers; };
    if (!same(expect_reply(leased.caller, leased.id, "its worker has answered", same))) fail("a REPLY is another than the worker's");
    ++sums_.replied;
    let_go(leased);
    settle(number);
  }
  std::erase(at(from).leases, number);
  close(number);
  return_slot(from, lane);
}

void model::on_built_in(peer_id from, const wire::frame& in) {
  if (in.name == "waggle.services") return watch_services(from, in);
  if (in.name != "waggle.ping") return on_operation(from, in);
  const auto same = [&](const auto& each) { return each.status == status::ok && each.payload == in.payload; };
  if (!same(expect_reply(from, in.id, "a ping", same))) fail("waggle.ping is not answered by what it sent");
}

void model::watch_services(peer_id from, const wire::frame& in) {
  std::string_view known;
  std::uint64_t wait_ms = 0;
  wire::reader asked{in.payload};
  if (!in.payload.empty() && asked.peek() == wire::kind::map) {
    wire::read_entries(asked, [&](std::string_view key) {
      if (key == "known" && asked.peek() == wire::kind::string) return asked.string(known);
      if (key == "wait_ms" && asked.peek() == wire::kind::unsigned_integer) return asked.unsigned_integer(wait_ms);
      return asked.skip();
    });
  }
  const auto revision = limits_.instance + ":" + std::to_string(changes_);
  if (!in.payload.empty() && !asked.ok()) return expect_error(from, in.id, status::invalid_argument, false, "what waggle.services is asked");
  if (known == revision && wait_ms > 0) {
    if (parked_ >= limits_.watchers_max) return expect_error(from, in.id, status::resource_exhausted, false, "watchers_max");
    open(from, in, now_ + milliseconds{std::min(wait_ms, in.budget_ms)}, nullptr).state = call::parked;
    ++parked_;
    return;
  }
  const auto& reply = expect_reply(from, in.id, "waggle.services", is_list);
  wire::reader list{reply.payload};
  std::uint32_t entries = 0;
  std::string_view key, said;
  if (reply.status != status::ok || !list.map(entries) || !list.string(key) || !list.string(said)) fail("waggle.services fails");
  if (said != revision) fail("waggle.services names another revision than the network's");
}

void model::tell_watchers() {
  announce_at_ = instant::max();
  for (auto each = calls_.begin(); each != calls_.end();) {
    const auto number = each->first;
    const auto& waiting = (each++)->second;
    if (waiting.state != call::parked) continue;
    ++sums_.announced;
    if (!is_list(expect_reply(waiting.caller, waiting.id, "the network has changed", is_list))) fail("a watcher is told of an error");
    ++sums_.replied;
    settle(number);
    close(number);
  }
}

void model::network_changed() {
  ++changes_;
  if (parked_ > 0) announce_at_ = std::min(announce_at_, now_ + limits_.settle);
}

}  // namespace waggle::sim
