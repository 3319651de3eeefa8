// How a call goes through the broker: opened, queued or leased, and ended in one reply.
#include <algorithm>

#include "broker/core/broker_core.hpp"

namespace waggle::broker {

namespace {

std::uint64_t milliseconds_left(instant now, instant deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - now).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1));
}

error deadline_exceeded(bool may_have_run) {
  return {status::deadline_exceeded,
          may_have_run ? "the budget passed before the worker answered" : "the budget passed before a worker was free",
          may_have_run};
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
  if (in.budget_ms == 0) return refuse(from, in.id, deadline_exceeded(false), out);
  if (in.name.starts_with("waggle.")) return on_built_in(now, from, in, out);

  const auto command_index = directory_.find(in.name);
  if (command_index == none) {
    return refuse(from, in.id,
                  {status::unimplemented,
                   "no worker has ever served " + in_quotes(in.name) + " here; `waggle ls` shows the commands there are"},
                  out);
  }
  if (!directory_.is_served(command_index)) {
    return refuse(from, in.id,
                  {status::unavailable, "no worker serves " + in_quotes(in.name) + " now", false, settings_.retry_after}, out);
  }
  auto& command = directory_.command_at(command_index);
  const auto deadline = now + milliseconds{in.budget_ms};
  if (command.queue.empty()) {
    if (const auto worker_index = directory_.take_slot(command_index); worker_index != none) {
      const auto call_index = open_call(from, in, deadline);
      calls_[call_index].command = command_index;
      return lease(now, call_index, worker_index, in.payload, in.headers, out);
    }
  }
  const auto bytes = in.payload.size() + in.headers.size();
  if (command.queue.size() >= settings_.queue_calls_max || command.queue_bytes + bytes > settings_.queue_bytes_max ||
      queued_bytes_ + bytes > settings_.queues_bytes_max) {
    return refuse(from, in.id, overload("the queue of " + in_quotes(in.name) + " is full; add workers or slots"), out);
  }
  const auto call_index = open_call(from, in, deadline);
  calls_[call_index].command = command_index;
  enqueue(call_index, in);
}

std::uint32_t broker_core::open_call(peer_id caller, const wire::frame& in, instant deadline) {
  const auto index = calls_.open(caller, in.id);
  auto& opened = calls_[index];
  opened.deadline = deadline;
  opened.worker = none;
  opened.command = none;
  deadlines_.insert(calls_.items(), index, deadline);
  at(caller).calls.push_back(calls_.items(), index);
  return index;
}

void broker_core::lease(instant now, std::uint32_t call_index, std::uint32_t worker_index, std::string_view payload,
                        std::string_view headers, outbox& out) {
  auto& leased = calls_[call_index];
  const auto to = directory_.worker_at(worker_index).peer;
  leased.state = call_state::leased;
  leased.worker = worker_index;
  at(to).leases.push_back(calls_.items(), call_index);
  wire::append_call(frame_for(to, out), calls_.lease_of(call_index), directory_.command_at(leased.command).name, payload,
                    milliseconds_left(now, leased.deadline), headers);
}

void broker_core::enqueue(std::uint32_t call_index, const wire::frame& in) {
  auto& queued = calls_[call_index];
  auto& command = directory_.command_at(queued.command);
  queued.state = call_state::queued;
  queued.payload.assign(in.payload);
  queued.headers.assign(in.headers);
  command.queue_bytes += in.payload.size() + in.headers.size();
  queued_bytes_ += in.payload.size() + in.headers.size();
  command.queue.push_back(calls_.items(), call_index);
  if (command.queue.size() == 1) directory_.wait(queued.command);
}

/// Takes a call out of its queue; what it carries stays until the record is used again.
void broker_core::unqueue(std::uint32_t call_index) {
  auto& queued = calls_[call_index];
  auto& command = directory_.command_at(queued.command);
  command.queue.erase(calls_.items(), call_index);
  command.queue_bytes -= queued.payload.size() + queued.headers.size();
  queued_bytes_ -= queued.payload.size() + queued.headers.size();
}

/// Gives the pool's free slots to the calls that wait for them.
void broker_core::dispatch(instant now, std::uint32_t pool_index, outbox& out) {
  for (;;) {
    const auto command_index = directory_.next_waiting(pool_index);
    if (command_index == none) return;
    const auto call_index = directory_.command_at(command_index).queue.front();
    if (calls_[call_index].deadline <= now) {  // the tick that ends it has not come yet
      expire(call_index, out);
      continue;
    }
    const auto worker_index = directory_.take_slot_in(pool_index);
    unqueue(call_index);
    // Moved out: the record's own strings would not survive if the table grew, and kept capacity would not be counted.
    const auto payload = std::exchange(calls_[call_index].payload, {});
    const auto headers = std::exchange(calls_[call_index].headers, {});
    lease(now, call_index, worker_index, payload, headers, out);
  }
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
      wire::append_cancel(frame_for(directory_.worker_at(left.worker).peer, out), calls_.lease_of(call_index));
      return;
    case call_state::queued:
      unqueue(call_index);
      left.payload = {};
      left.headers = {};
      break;
    case call_state::parked: parked_.erase(calls_.items(), call_index); break;
    case call_state::orphaned:
    case call_state::free: return;
  }
  calls_.close(call_index);
}

void broker_core::expire(std::uint32_t call_index, outbox& out) {
  if (calls_[call_index].state == call_state::parked) return reply_services(call_index, out);
  end(call_index, deadline_exceeded(calls_[call_index].state == call_state::leased), out);
}

void broker_core::on_cancel(peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.find(from, in.id);
  if (call_index == none) return;  // its reply is on the way
  const bool may_have_run = calls_[call_index].state == call_state::leased;
  end(call_index, {status::cancelled, "the caller gave up", may_have_run}, out);
}

void broker_core::on_part(peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.of_lease(in.id);
  if (call_index == none || at(from).worker == none || calls_[call_index].worker != at(from).worker) {
    ++counts_.unasked_replies;
    return;
  }
  const auto& leased = calls_[call_index];
  if (leased.state == call_state::orphaned) return;  // the CANCEL is on the way to it
  wire::append_part(frame_for(leased.caller, out), leased.caller_id, in.payload);
}

void broker_core::on_reply(instant now, peer_id from, const wire::frame& in, outbox& out) {
  const auto call_index = calls_.of_lease(in.id);
  if (call_index == none || at(from).worker == none || calls_[call_index].worker != at(from).worker) {
    ++counts_.unasked_replies;
    return;
  }
  if (calls_[call_index].state == call_state::leased) {
    const auto& leased = calls_[call_index];
    wire::append_reply(frame_for(leased.caller, out), leased.caller_id, in.status, in.payload, in.headers);
    settle_caller(call_index);
  }
  return_slot(now, call_index, out);
}

/// The worker has answered: its slot is free for the next call, or it has left.
void broker_core::return_slot(instant now, std::uint32_t call_index, outbox& out) {
  const auto worker_index = calls_[call_index].worker;
  const auto of = directory_.worker_at(worker_index).peer;
  at(of).leases.erase(calls_.items(), call_index);
  calls_.close(call_index);
  directory_.release_slot(worker_index);
  const auto& worker = directory_.worker_at(worker_index);
  if (!worker.draining) {
    dispatch(now, worker.pool, out);
  } else if (worker.in_flight == 0) {
    finish_drain(now, of, out);
  }
}

void broker_core::fail_queues(const std::vector<std::uint32_t>& command_indexes, outbox& out) {
  for (const auto command_index : command_indexes) {
    auto& queue = directory_.command_at(command_index).queue;
    while (!queue.empty()) {
      end(queue.front(),
          {status::unavailable, "the last worker that served " + in_quotes(directory_.command_at(command_index).name) + " is gone",
           false, settings_.retry_after},
          out);
    }
  }
}

/// The peer serves nothing any more; calls that it had fail, since nobody knows how far it got.
void broker_core::remove_worker(instant now, peer_id of, std::string_view why, outbox& out) {
  auto& who = at(of);
  const auto worker_index = who.worker;
  while (!who.leases.empty()) {
    const auto call_index = who.leases.front();
    if (calls_[call_index].state == call_state::leased) {
      refuse(calls_[call_index].caller, calls_[call_index].caller_id,
             {status::unavailable, std::string{why}, true, settings_.retry_after}, out);
      settle_caller(call_index);
    }
    who.leases.erase(calls_.items(), call_index);
    calls_.close(call_index);
  }
  unserved_.clear();
  pulses_.erase(directory_.workers(), worker_index);
  directory_.remove(worker_index, unserved_);
  who.worker = none;
  pulsing_.erase(peers_, static_cast<std::uint32_t>(of));
  silent_.push_back(peers_, static_cast<std::uint32_t>(of));
  who.heard = now;
  network_changed(now);
  fail_queues(unserved_, out);
}

}  // namespace waggle::broker
