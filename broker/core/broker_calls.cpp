// How a call goes through the broker: opened, queued or leased, and ended in one reply.
#include <algorithm>

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

}  // namespace

void broker_core::on_call(instant now, peer_id from, const wire::frame& in, outbox& out) {
  ++counts_.calls;
  if (at(from).calls.size() >= settings_.caller_calls_max) {
    return refuse(from, in.id, overload("the caller has as many open calls as it may (caller_calls_max)"), out);
  }
  if (calls_.size() >= settings_.calls_max) {
    return refuse(from, in.id, overload("the broker has as many open calls as it may (calls_max)"), out);
  }
  if (in.budget_ms == 0) return refuse(from, in.id, deadline_exceeded(false, false), out);
  if (in.name.starts_with("waggle.")) return on_built_in(now, from, in, out);

  const auto command_index = directory_.find(in.name);
  if (command_index == none && now < started_ + settings_.grace) {
    return refuse(from, in.id,
                  {status::unavailable, "no worker serves " + in_quotes(in.name) + " yet: the broker has just started", false,
                   settings_.retry_after},
                  out);
  }
  if (command_index == none) {
    return refuse(from, in.id,
                  {status::unimplemented,
                   "no worker has ever served " + in_quotes(in.name) + " here; `waggle ls` shows the commands there are"},
                  out);
  }
  if (!directory_.is_awaited(command_index)) {
    return refuse(from, in.id,
                  {status::unavailable, "no worker serves " + in_quotes(in.name) + " now", false, settings_.retry_after}, out);
  }
  auto& command = directory_.command_at(command_index);
  const auto deadline = now + milliseconds{in.budget_ms};
  if (command.queue.empty()) {
    if (const auto worker_index = directory_.take_slot(command_index); worker_index != none) {
      const auto call_index = open_call(from, in, deadline, command_index);
      return lease(now, call_index, worker_index, in.payload, in.headers, out);
    }
  }
  const auto bytes = in.payload.size() + in.headers.size();
  if (command.queue.calls >= settings_.queue_calls_max || command.queue.bytes + bytes > settings_.queue_bytes_max ||
      kept_bytes_ + bytes > settings_.kept_bytes_max) {
    return refuse(from, in.id, overload("the queue of " + in_quotes(in.name) + " is full; add workers or slots"), out);
  }
  const auto call_index = open_call(from, in, deadline, command_index);
  keep(call_index, in.payload, in.headers);
  enqueue(call_index);
}

std::uint32_t broker_core::open_call(peer_id caller, const wire::frame& in, instant deadline, std::uint32_t command_index) {
  const auto index = calls_.open(caller, in.id);
  auto& opened = calls_[index];
  opened.deadline = deadline;
  opened.worker = none;
  opened.command = command_index;
  opened.command_serial = command_index == none ? 0 : directory_.command_at(command_index).serial;
  deadlines_.insert(calls_.items(), index, deadline);
  at(caller).calls.push_back(calls_.items(), index);
  return index;
}

/// Hands the call to a worker whose slot has been taken for it. Payload and headers may be the record's own.
void broker_core::lease(instant now, std::uint32_t call_index, std::uint32_t worker_index, std::string_view payload,
                        std::string_view headers, outbox& out) {
  auto& leased = calls_[call_index];
  const auto to = directory_.worker_at(worker_index).peer;
  leased.state = call_state::leased;
  leased.worker = worker_index;
  ++leased.attempts;
  at(to).leases.push_back(calls_.items(), call_index);
  wire::append_call(frame_for(to, out), calls_.lease_of(call_index), directory_.command_at(leased.command).name, payload,
                    milliseconds_left(now, leased.deadline), headers);
  const bool repeatable = directory_.retry_of(leased.command, worker_index) != retry_class::once;
  if (!repeatable || leased.attempts >= settings_.attempts_max) {
    let_go(call_index);
  } else if (!leased.kept && kept_bytes_ + payload.size() + headers.size() <= settings_.kept_bytes_max) {
    keep(call_index, payload, headers);
  }
}

/// The call's payload and headers stay with it, to be sent later or again.
void broker_core::keep(std::uint32_t call_index, std::string_view payload, std::string_view headers) {
  auto& kept = calls_[call_index];
  kept.kept = true;
  kept.payload.assign(payload);
  kept.headers.assign(headers);
  kept_bytes_ += kept.bytes();
}

/// They are needed no longer. Small buffers stay with the record, so that the next call in its place allocates nothing.
void broker_core::let_go(std::uint32_t call_index) {
  constexpr std::size_t capacity_max = 512;
  auto& kept = calls_[call_index];
  if (!kept.kept) return;
  kept.kept = false;
  kept_bytes_ -= kept.bytes();
  for (auto* each : {&kept.payload, &kept.headers}) {
    each->clear();
    if (each->capacity() > capacity_max) each->shrink_to_fit();
  }
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
  return leased.state == call_state::leased && leased.kept && !leased.parted &&
         directory_.command_at(leased.command).serial == leased.command_serial && directory_.is_awaited(leased.command);
}

/// Back to the head of its queue, as a lease that nobody holds any more. The queue's limits do not apply: it was let in.
void broker_core::requeue(std::uint32_t call_index) {
  auto& queued = calls_[call_index];
  auto& command = directory_.command_at(queued.command);
  calls_.end_lease(call_index);
  queued.state = call_state::queued;
  queued.worker = none;
  lines_.push_front(command.queue, call_index);
  if (command.queue.calls == 1) directory_.wait(queued.command);
  requeued_.push_back(queued.command);
  ++counts_.retries;
}

/// Calls in a bundle that has not left for this worker: they were not handed over after all, and may go to another whatever
/// their class.
void broker_core::take_back(peer_id worker, std::string_view bundle) {
  wire::bundle_reader frames{bundle};
  wire::frame in;
  while (frames.next(in) == wire::decoded::frame) {
    const auto call_index = in.type == wire::frame_type::call ? calls_.of_lease(in.id) : none;
    if (call_index == none || calls_[call_index].worker != at(worker).worker) continue;
    if (calls_[call_index].state != call_state::leased) continue;  // nobody waits for it any more
    --calls_[call_index].attempts;
    if (!calls_[call_index].kept) keep(call_index, in.payload, in.headers);
  }
}

/// Gives the pool's free slots to the calls that wait for them.
void broker_core::dispatch(instant now, std::uint32_t pool_index, outbox& out) {
  for (;;) {
    const auto command_index = directory_.next_waiting(pool_index);
    if (command_index == none) return;
    auto& queue = directory_.command_at(command_index).queue;
    const auto call_index = lines_.front(queue);
    if (calls_[call_index].deadline <= now) {  // the tick that ends it has not come yet
      expire(call_index, out);
      continue;
    }
    const auto worker_index = directory_.take_slot_in(pool_index);
    lines_.serve_front(queue);
    lease(now, call_index, worker_index, calls_[call_index].payload, calls_[call_index].headers, out);
  }
}

/// Slots may be free at other workers for the calls that have gone back to their queues.
void broker_core::dispatch_requeued(instant now, outbox& out) {
  std::sort(requeued_.begin(), requeued_.end());
  requeued_.erase(std::unique(requeued_.begin(), requeued_.end()), requeued_.end());
  for (const auto command_index : requeued_) {
    for (const auto& each : directory_.command_at(command_index).pools) dispatch(now, each.pool, out);
  }
  requeued_.clear();
}

void broker_core::settle_caller(std::uint32_t call_index) {
  deadlines_.erase(calls_.items(), call_index);
  at(calls_[call_index].caller).calls.erase(calls_.items(), call_index);
  calls_.detach(call_index);
}

/// The one reply of a call that the broker itself ends. A leased call goes on to hold its slot.
void broker_core::end(std::uint32_t call_index, const error& why, outbox& out) {
  refuse(calls_[call_index].caller, calls_[call_index].caller_id, why, out);
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
      lines_.erase(directory_.command_at(left.command).queue, call_index);
      let_go(call_index);
      break;
    case call_state::parked: parked_.erase(calls_.items(), call_index); break;
    case call_state::orphaned:
    case call_state::free: return;
  }
  calls_.close(call_index);
}

void broker_core::expire(std::uint32_t call_index, outbox& out) {
  if (calls_[call_index].state == call_state::parked) return reply_services(call_index, out);
  const auto& expired = calls_[call_index];
  end(call_index, deadline_exceeded(expired.state == call_state::leased, expired.attempts > 0), out);
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
  leased.parted = true;
  let_go(call_index);
  wire::append_part(frame_for(leased.caller, out), leased.caller_id, in.payload);
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
    wire::append_reply(frame_for(leased.caller, out), leased.caller_id, in.status, in.payload, in.headers);
    settle_caller(call_index);
    let_go(call_index);
  }
  at(from).leases.erase(calls_.items(), call_index);
  calls_.close(call_index);
  return_slot(now, from, out);
}

/// A worker that cannot do it now gives the call back, for another; for itself only if no other has a free slot.
void broker_core::reject(instant now, std::uint32_t call_index, outbox& out) {
  const auto from = directory_.worker_at(calls_[call_index].worker).peer;
  at(from).leases.erase(calls_.items(), call_index);
  requeue(call_index);
  directory_.pass_over(at(from).worker);
  dispatch_requeued(now, out);
  return_slot(now, from, out);
}

/// One call less at the worker: its slot is free for the next, or it has left.
void broker_core::return_slot(instant now, peer_id of, outbox& out) {
  const auto worker_index = at(of).worker;
  directory_.release_slot(worker_index);
  const auto& worker = directory_.worker_at(worker_index);
  if (!worker.draining) {
    dispatch(now, worker.pool, out);
  } else if (worker.in_flight == 0) {
    finish_drain(now, of, out);
  }
}

/// Services that were held long enough for another worker: calls that waited for one end.
void broker_core::release_held(instant now, outbox& out) {
  if (directory_.held_until() > now) return;
  unserved_.clear();
  if (directory_.release_held(now, unserved_)) network_changed(now);
  for (const auto command_index : unserved_) {
    auto& queue = directory_.command_at(command_index).queue;
    while (!queue.empty()) {
      const auto call_index = lines_.front(queue);
      end(call_index,
          {status::unavailable, "the last worker that served " + in_quotes(directory_.command_at(command_index).name) + " is gone",
           calls_[call_index].attempts > 0, settings_.retry_after},
          out);
    }
  }
}

/// The peer serves nothing any more. Of the calls that it had, those that may be repeated go back to their queues, in their order;
/// the rest fail, since nobody knows how far it got.
void broker_core::remove_worker(instant now, peer_id of, std::string_view why, outbox& out) {
  auto& who = at(of);
  const auto worker_index = who.worker;
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
      settle_caller(call_index);
      let_go(call_index);
    }
    calls_.close(call_index);
  }
  pulses_.erase(directory_.workers(), worker_index);
  directory_.remove(now, worker_index);
  who.worker = none;
  pulsing_.erase(peers_, static_cast<std::uint32_t>(of));
  silent_.push_back(peers_, static_cast<std::uint32_t>(of));
  who.heard = now;
  network_changed(now);
  release_held(now, out);
}

}  // namespace waggle::broker
