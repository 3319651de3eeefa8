// How a call goes through the broker: opened, queued or leased, and ended in one reply.
#include <algorithm>
#include <cstring>
#include <utility>

#include "broker/core/broker_core.hpp"

namespace waggle::broker {

namespace {

std::uint64_t milliseconds_left(instant now, instant deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - now).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1));
}

error deadline_exceeded(bool at_a_worker, bool may_have_run) {
  return {status::deadline_exceeded,
          at_a_worker ? "the budget passed before the worker answered" : "the budget passed before a worker was free", may_have_run};
}

std::string in_quotes(std::string_view name) {
  std::string out{'"'};
  return out.append(name).append(1, '"');
}

/// Of a fixed size, it is two comparisons of words instead of a call for every call.
bool is_built_in(std::string_view name) { return name.size() >= 7 && std::memcmp(name.data(), "waggle.", 7) == 0; }

error never_served(std::string_view name) {
  return {status::unimplemented, "no worker has ever served " + in_quotes(name) + " here; `waggle ls` shows the commands there are"};
}

}  // namespace

void broker_core::on_call(instant now, peer_id from, const wire::frame& in, outbox& out) {
  ++counts_.calls;
  if (const auto why = too_many_calls(from)) return refuse(from, in.id, *why, out);
  if (const auto* const may = role_of(from)) {
    if (!may->may_call(in.name)) return deny(now, from, in.id, "call " + in_quotes(in.name), out);
    if (in.claims && !may->claims) return deny(now, from, in.id, "call for others (the header `claims`)", out);
    if (in.operation) return deny(now, from, in.id, "send the header `operation`: it is the broker's", out);
  }
  if (in.budget_ms == 0) return refuse(from, in.id, deadline_exceeded(false, false), out);
  if (in.later) return on_later(now, from, in, out);
  if (is_built_in(in.name)) return on_built_in(now, from, in, out);

  auto command_index = directory_.find(in.name);
  if (command_index == none && now < started_ + settings_.grace) command_index = directory_.expect(in.name);
  if (command_index == none) {
    return refuse(from, in.id,
                  now < started_ + settings_.grace
                      ? error{status::unavailable, "no worker serves " + in_quotes(in.name) + " yet: the broker has just started", false,
                              settings_.retry_after}
                      : never_served(in.name),
                  out);
  }
  if (!directory_.is_awaited(command_index)) return refuse_call(from, in, command_index, unserved(command_index), out);
  if (in.key.size() > wire::key_bytes_max) {
    return refuse_call(from, in, command_index, {status::invalid_argument, "a key has at most 512 bytes"}, out);
  }
  if (!in.key.empty()) return on_keyed_call(now, from, in, command_index, out);
  if (directory_.needs_key(command_index)) {
    return refuse_call(from, in, command_index,
                       {status::invalid_argument, in_quotes(in.name) + " needs a key: send it as the header `key`"}, out);
  }
  run_or_wait(now, from, in, command_index, out);
}

/// Why this caller may not open another call; nothing if it may.
std::optional<error> broker_core::too_many_calls(peer_id from) {
  if (at(from).calls.size() >= settings_.caller_calls_max) return overload("the caller has as many open calls as it may (caller_calls_max)");
  if (calls_.size() >= settings_.calls_max) return overload("the broker has as many open calls as it may (calls_max)");
  return std::nullopt;
}

/// A call without a key, of a command that somebody serves: at once if a slot is free.
void broker_core::run_or_wait(instant now, peer_id from, const wire::frame& in, std::uint32_t command_index, outbox& out) {
  const auto& command = directory_.command_at(command_index);
  if (command.queue.empty() && !command.paused) {
    if (const auto worker_index = directory_.take_slot(command_index, out.round()); worker_index != none) {
      const auto call_index = open_call(now, from, in, command_index);
      return lease(now, call_index, worker_index, in.name, contents_of(in), out);
    }
  }
  if (const auto why = no_room(command_index, from, contents_of(in).bytes())) {
    return refuse_call(from, in, command_index, *why, out);
  }
  const auto call_index = open_call(now, from, in, command_index);
  keep(call_index, contents_of(in));
  enqueue(call_index);
}

/// A call of a command that is known ends before it has begun.
void broker_core::refuse_call(peer_id from, const wire::frame& in, std::uint32_t command_index, const error& why, outbox& out) {
  directory_.command_at(command_index).meter.ended(why.code);
  refuse(from, in.id, why, out);
}

/// Why a call that must wait may not; nothing if it may.
std::optional<error> broker_core::no_room(std::uint32_t command_index, peer_id caller, std::size_t bytes) const {
  const auto& command = directory_.command_at(command_index);
  if (command.waiting_calls() >= settings_.queue_calls_max || command.waiting_bytes() + bytes > settings_.queue_bytes_max ||
      kept_bytes_ + bytes > settings_.kept_bytes_max) {
    return overload("the queue of " + in_quotes(command.name) + " is full; " +
                    (command.paused ? "it is paused (`waggle resume`)" : "add workers or slots"));
  }
  if (caller != self && peers_[static_cast<std::uint32_t>(caller)].kept_bytes + bytes > settings_.caller_kept_bytes_max) {
    return overload("the caller has as many bytes waiting as it may (caller_kept_bytes_max)");
  }
  return std::nullopt;
}

std::uint32_t broker_core::open_call(instant now, peer_id caller, const wire::frame& in, std::uint32_t command_index) {
  const auto index = calls_.open(caller, in.id);
  auto& opened = calls_[index];
  opened.opened = now;
  opened.deadline = now + milliseconds{in.budget_ms};
  if (caller == self) {
    opened.own = std::make_unique<own_call>(own_call{milliseconds{in.budget_ms}, delivering_->is_event, delivering_->topic, delivering_->about});
    opened.deadline = instant::max();
  }
  opened.parts = in.parts;
  opened.worker = none;
  opened.command = command_index;
  opened.command_serial = command_index == none ? 0 : directory_.command_at(command_index).serial;
  deadlines_.insert(calls_.items(), index);
  at(caller).calls.push_back(calls_.items(), index);
  return index;
}

/// Hands the call to a worker whose slot has been taken for it. Payload and headers may be the record's own; the command's name is
/// given, because the caller's frame is at hand and the directory's memory is cold.
void broker_core::lease(instant now, std::uint32_t call_index, std::uint32_t worker_index, std::string_view name, const contents& with,
                        outbox& out) {
  auto& leased = calls_[call_index];
  const auto to = directory_.worker_at(worker_index).peer;
  if (directory_.worker_at(worker_index).rests) set_rest(now, worker_index, false);
  auto& command = directory_.command_at(leased.command);
  const auto membership = directory_.membership_of(leased.command, worker_index);
  leased.state = call_state::leased;
  leased.worker = worker_index;
  leased.lane = membership.lane;
  leased.leased = now;
  if (++leased.attempts == 1) command.meter.queued(now - leased.opened);
  at(to).leases.push_back(calls_.items(), call_index);
  if (leased.own != nullptr) {
    deadlines_.erase(calls_.items(), call_index);
    leased.deadline = now + leased.own->budget;
    deadlines_.insert(calls_.items(), call_index);
  }
  auto& bundle = frame_for(to, out);
  const auto payload = payload_for(to, with, out);
  if (leased.own != nullptr && leased.own->is_event) {
    wire::append_event(bundle, calls_.lease_of(call_index), leased.own->topic, payload, with.headers, leased.own->about);
  } else {
    wire::append_call(bundle, calls_.lease_of(call_index), name, payload, milliseconds_left(now, leased.deadline), with.headers, leased.parts);
  }
  const bool repeatable = membership.retry != retry_class::once;
  const auto bytes = with.bytes();
  if (!repeatable || leased.attempts >= settings_.attempts_max) {
    let_go(call_index);
  } else if (!leased.kept() && kept_bytes_ + bytes <= settings_.kept_bytes_max &&
             at(leased.caller).kept_bytes + bytes <= settings_.caller_kept_bytes_max) {
    keep(call_index, with);
  }
}

/// The call's payload and headers stay with it, to be sent later or again.
void broker_core::keep(std::uint32_t call_index, const contents& what) {
  auto& kept = calls_[call_index];
  kept.kept_at = kept_.keep(what);
  kept.kept_bytes = static_cast<std::uint32_t>(what.bytes());
  kept_bytes_ += kept.kept_bytes;
  at(kept.caller).kept_bytes += kept.kept_bytes;
}

/// They are needed no longer.
void broker_core::let_go(std::uint32_t call_index) {
  auto& kept = calls_[call_index];
  if (!kept.kept()) return;
  kept_.let_go(std::exchange(kept.kept_at, none));
  kept_bytes_ -= kept.kept_bytes;
  at(kept.caller).kept_bytes -= kept.kept_bytes;
  kept.kept_bytes = 0;
}

/// A call whose payload is kept goes to the end of its caller's line in the command's queue.
void broker_core::enqueue(std::uint32_t call_index) {
  auto& queued = calls_[call_index];
  auto& command = directory_.command_at(queued.command);
  queued.state = call_state::queued;
  lines_.push_back(command.queue, call_index);
  if (command.queue.calls == 1) directory_.wait(queued.command);
}

/// Whether a leased call may begin again at another worker. (Its payload is kept only if its command may be repeated.)
bool broker_core::may_retry(std::uint32_t call_index) const {
  const auto& leased = calls_[call_index];
  return leased.state == call_state::leased && leased.kept() && !leased.parted &&
         directory_.command_at(leased.command).serial == leased.command_serial && directory_.is_awaited(leased.command);
}

/// Back to the head of its queue, as a lease that nobody holds any more. The queue's limits do not apply: it was let in.
void broker_core::requeue(std::uint32_t call_index) {
  auto& queued = calls_[call_index];
  auto& command = directory_.command_at(queued.command);
  calls_.end_lease(call_index);
  queued.state = call_state::queued;
  queued.worker = none;
  if (queued.own != nullptr) {  // its budget is the next worker's, from the beginning
    deadlines_.erase(calls_.items(), call_index);
    queued.deadline = instant::max();
    deadlines_.insert(calls_.items(), call_index);
  }
  ++counts_.retries;
  command.meter.retried();
  if (queued.key_line != none) {
    const auto line_index = queued.key_line;
    wait_in_line(call_index, true);
    return place_later(line_index);
  }
  lines_.push_front(command.queue, call_index);
  if (command.queue.calls == 1) directory_.wait(queued.command);
  returned_.push_back(queued.command);
}

/// Calls in a message that has not left for this worker: they were not handed over after all, and may go to another whatever
/// their class.
void broker_core::take_back(peer_id worker, const wire::message_view& unsent) {
  wire::bundle_reader frames{unsent};
  wire::frame in;
  while (frames.next(in) == wire::decoded::frame) {
    const bool is_lease = in.type == wire::frame_type::call || in.type == wire::frame_type::event;
    const auto call_index = is_lease ? calls_.of_lease(in.id) : none;
    if (call_index == none || calls_[call_index].worker != at(worker).worker) continue;
    if (calls_[call_index].state != call_state::leased) continue;  // nobody waits for it any more
    --calls_[call_index].attempts;
    if (!calls_[call_index].kept()) keep(call_index, contents_of(in));
  }
}

/// Gives the pool's free slots of a lane to the calls without a key that wait for them.
void broker_core::dispatch(instant now, std::uint32_t pool_index, std::uint32_t lane, outbox& out) {
  while (dispatch_one(now, pool_index, lane, out)) {
  }
}

bool broker_core::dispatch_one(instant now, std::uint32_t pool_index, std::uint32_t lane, outbox& out) {
  for (;;) {
    const auto command_index = directory_.next_waiting(pool_index, lane);
    if (command_index == none) return false;
    auto& command = directory_.command_at(command_index);
    const auto call_index = lines_.front(command.queue);
    if (calls_[call_index].deadline <= now) {  // the tick that ends it has not come yet
      expire(call_index, out);
      continue;
    }
    const auto worker_index = directory_.take_slot_in(pool_index, lane, out.round());
    lines_.serve_front(command.queue);
    lease(now, call_index, worker_index, command.name, kept_[calls_[call_index].kept_at].view(), out);
    return true;
  }
}

/// The worker may have free slots in a lane: keys that wait for it and calls without a key get them in turn.
void broker_core::give_slots(instant now, std::uint32_t worker_index, std::uint32_t lane, outbox& out) {
  while (directory_.has_slot(worker_index, lane)) {
    auto& worker = directory_.worker_at(worker_index);
    const auto line_index = worker.lanes[lane].keys.front();
    if (line_index == none) return dispatch(now, worker.pool, lane, out);
    if (std::exchange(worker.keyless_next[lane], false) && dispatch_one(now, worker.pool, lane, out)) continue;
    worker.keyless_next[lane] = true;
    unlist(line_index);
    keys_[line_index].where = key_line::listing::unplaced;
    place(now, line_index, out);
  }
}

/// Slots may be free at other workers for the calls that have gone back to their queues, and for the next calls of keys.
void broker_core::dispatch_returned(instant now, outbox& out) {
  while (!returned_.empty() || !unplaced_.empty()) {
    std::sort(returned_.begin(), returned_.end());
    returned_.erase(std::unique(returned_.begin(), returned_.end()), returned_.end());
    for (std::size_t i = 0; i < returned_.size(); ++i) {
      for (const auto& each : directory_.command_at(returned_[i]).pools) dispatch(now, each.pool, each.lane, out);
    }
    returned_.clear();
    for (std::size_t i = 0; i < unplaced_.size(); ++i) place(now, unplaced_[i], out);
    unplaced_.clear();
  }
}

void broker_core::settle_caller(std::uint32_t call_index) {
  deadlines_.erase(calls_.items(), call_index);
  at(calls_[call_index].caller).calls.erase(calls_.items(), call_index);
  calls_.detach(call_index);
}

/// The record of a call that nobody has any more.
void broker_core::close(std::uint32_t call_index) {
  release_key(call_index);
  calls_.close(call_index);
}

/// The command of this call, unless the directory has forgotten it meanwhile.
directory::command* broker_core::command_of(std::uint32_t call_index) {
  const auto& of = calls_[call_index];
  if (of.command == none) return nullptr;
  auto& command = directory_.command_at(of.command);
  return command.serial == of.command_serial ? &command : nullptr;
}

void broker_core::count_end(std::uint32_t call_index, status code) {
  if (auto* const command = command_of(call_index)) command->meter.ended(code);
}

/// The one reply of a call that the broker itself ends. A leased call goes on to hold its slot.
void broker_core::end(std::uint32_t call_index, const error& why, outbox& out) {
  refuse(calls_[call_index].caller, calls_[call_index].caller_id, why, out);
  count_end(call_index, why.code);
  abandon(call_index, out);
}

/// Ends a call without a word to its caller.
void broker_core::abandon(std::uint32_t call_index, outbox& out) {
  settle_caller(call_index);
  auto& left = calls_[call_index];
  switch (left.state) {
    case call_state::leased:
      left.state = call_state::orphaned;
      let_go(call_index);
      wire::append_cancel(frame_for(directory_.worker_at(left.worker).peer, out), calls_.lease_of(call_index));
      return;
    case call_state::queued:
      if (left.key_line == none) {
        lines_.erase(directory_.command_at(left.command).queue, call_index);
      } else {
        leave_line(call_index);
      }
      let_go(call_index);
      break;
    case call_state::parked: parked_.erase(calls_.items(), call_index); break;
    case call_state::asked: events_.abandon(calls_.lease_of(call_index)); break;
    case call_state::orphaned:
    case call_state::free: return;
  }
  calls_.close(call_index);
}

void broker_core::expire(std::uint32_t call_index, outbox& out) {
  if (calls_[call_index].state == call_state::parked) return reply_services(call_index, out);
  const auto& expired = calls_[call_index];
  if (expired.state == call_state::asked) {
    const bool may_be_done = expired.attempts > 0;
    return end(call_index, {status::deadline_exceeded, std::string{"the budget passed before the log "} +
                            (may_be_done ? "had done it; it may still be done" : "had answered"), may_be_done}, out);
  }
  end(call_index, deadline_exceeded(expired.state == call_state::leased, expired.attempts > 0), out);
}

void broker_core::on_credit(peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.find(from, in.id);
  if (call_index == none) return;  // its reply is on the way
  auto& given = calls_[call_index];
  if (given.parts == wire::no_credit_limit) return;
  given.parts += std::min(in.parts, wire::no_credit_limit - 1 - given.parts);
  if (given.state != call_state::leased) return;
  const auto& worker = directory_.worker_at(given.worker);
  if (worker.credit) wire::append_credit(frame_for(worker.peer, out), calls_.lease_of(call_index), in.parts);
}

void broker_core::on_cancel(peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.find(from, in.id);
  if (call_index == none) return;  // its reply is on the way
  end(call_index, {status::cancelled, "the caller gave up", calls_[call_index].attempts > 0}, out);
}

void broker_core::on_part(peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.of_lease(in.id);
  if (call_index == none || at(from).worker == none || calls_[call_index].worker != at(from).worker) {
    ++counts_.unasked_replies;
    return;
  }
  auto& leased = calls_[call_index];
  if (leased.state == call_state::orphaned) return;  // the CANCEL is on the way to it
  if (leased.parts == 0 && directory_.worker_at(leased.worker).credit) {
    ++counts_.overrun_parts;
    return end(call_index, {status::internal, "the worker sent more parts than it had credit for", true}, out);
  }
  if (leased.parts != 0 && leased.parts != wire::no_credit_limit) --leased.parts;
  leased.parted = true;
  let_go(call_index);
  if (leased.caller == self) return;  // nobody keeps the parts of a durable command
  auto& bundle = frame_for(leased.caller, out);
  wire::append_part(bundle, leased.caller_id, payload_for(leased.caller, contents_of(in), out));
}

void broker_core::on_reply(instant now, peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.of_lease(in.id);
  if (call_index == none || at(from).worker == none || calls_[call_index].worker != at(from).worker) {
    ++counts_.unasked_replies;
    return;
  }
  if (in.status == status::unavailable && may_retry(call_index)) return reject(now, call_index, out);
  if (calls_[call_index].state == call_state::leased) {
    const auto& leased = calls_[call_index];
    if (auto* const command = command_of(call_index)) command->meter.ran(now - leased.leased);
    count_end(call_index, in.status);
    if (leased.caller == self) {
      ended_.push_back({leased.caller_id, in.status, std::string{in.payload}, true, true});
    } else {
      auto& bundle = frame_for(leased.caller, out);
      wire::append_reply(bundle, leased.caller_id, in.status, payload_for(leased.caller, contents_of(in), out), in.headers);
    }
    settle_caller(call_index);
    let_go(call_index);
  }
  const auto lane = calls_[call_index].lane;
  at(from).leases.erase(calls_.items(), call_index);
  close(call_index);
  return_slot(now, from, lane, out);
}

/// A worker that cannot do it now gives the call back, for another; for itself only if no other has a free slot.
void broker_core::reject(instant now, std::uint32_t call_index, outbox& out) {
  const auto from = directory_.worker_at(calls_[call_index].worker).peer;
  const auto lane = calls_[call_index].lane;
  at(from).leases.erase(calls_.items(), call_index);
  requeue(call_index);
  directory_.pass_over(at(from).worker, lane);
  dispatch_returned(now, out);
  return_slot(now, from, lane, out);
}

/// One call less at the worker: its slot is free for the next, or it has left.
void broker_core::return_slot(instant now, peer_id of, std::uint32_t lane, outbox& out) {
  dispatch_returned(now, out);  // the key of that call waits behind others that want the slot
  const auto worker_index = at(of).worker;
  directory_.release_slot(worker_index, lane);
  const auto& worker = directory_.worker_at(worker_index);
  if (worker.leaving && worker.in_flight() == 0) {
    finish_drain(now, of, out);
  } else if (directory_.is_waited_for(worker_index, lane)) {
    give_slots(now, worker_index, lane, out);
  }
}

/// What a call of a command that nobody serves is told.
error broker_core::unserved(std::uint32_t command_index) const {
  const auto& command = directory_.command_at(command_index);
  if (!command.served) return never_served(command.name);
  return {status::unavailable, "no worker serves " + in_quotes(command.name) + " now", false, settings_.retry_after};
}

/// The same for one that has waited.
error broker_core::gone(std::uint32_t call_index) const {
  const auto& waited = calls_[call_index];
  const auto& command = directory_.command_at(waited.command);
  const bool known = command.serial == waited.command_serial;
  if (known && !command.served) return never_served(command.name);
  return {status::unavailable, "the last worker that served " + (known ? in_quotes(command.name) : "the command") + " is gone",
          waited.attempts > 0, settings_.retry_after};
}

/// Services that were held long enough for another worker: calls that waited for one end.
void broker_core::release_held(instant now, outbox& out) {
  if (directory_.held_until() > now) return;
  unserved_.clear();
  if (directory_.release_held(now, unserved_)) network_changed(now);
  end_unserved(out);
}

/// The broker is old enough to know its workers.
void broker_core::end_grace(instant now, outbox& out) {
  if (!directory_.expects() || now < started_ + settings_.grace) return;
  unserved_.clear();
  directory_.end_expecting(unserved_);
  end_unserved(out);
}

void broker_core::end_unserved(outbox& out) {
  for (const auto command_index : unserved_) {
    auto& queue = directory_.command_at(command_index).queue;
    while (!queue.empty()) end(lines_.front(queue), gone(lines_.front(queue)), out);
    unlist_homeless(command_index);
  }
}

/// The peer serves nothing any more. Of the calls that it had, those that may be repeated go back to their queues, in their order;
/// the rest fail, since nobody knows how far it got.
void broker_core::remove_worker(instant now, peer_id of, std::string_view why, outbox& out) {
  auto& who = at(of);
  const auto worker_index = who.worker;
  directory_.drain(now, worker_index, true);
  while (!who.leases.empty()) {
    const auto call_index = who.leases.back();
    who.leases.erase(calls_.items(), call_index);
    if (may_retry(call_index)) {
      requeue(call_index);
      continue;
    }
    const auto& lost = calls_[call_index];
    if (lost.state == call_state::leased) {
      refuse(lost.caller, lost.caller_id, {status::unavailable, std::string{why}, lost.attempts > 0, settings_.retry_after}, out);
      count_end(call_index, status::unavailable);
      settle_caller(call_index);
      let_go(call_index);
    }
    close(call_index);
  }
  unlist_keys_of(worker_index);
  if (directory_.worker_at(worker_index).rests) set_rest(now, worker_index, false);
  pulses_.erase(directory_.workers(), worker_index);
  directory_.remove(worker_index);
  who.worker = none;
  pulsing_.erase(presences_, static_cast<std::uint32_t>(of));
  silent_.push_back(presences_, static_cast<std::uint32_t>(of));
  presence_of(of).heard = now;
  network_changed(now);
  release_held(now, out);
}

}  // namespace waggle::broker
