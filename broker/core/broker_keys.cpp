// Calls with a key: one at a time and in order within their group of commands, at the worker that is the key's home.
#include <utility>

#include "broker/core/broker_core.hpp"

namespace waggle::broker {

void broker_core::on_keyed_call(instant now, peer_id from, const wire::frame& in, std::uint32_t command_index, outbox& out) {
  const auto group = directory_.command_at(command_index).key_group();
  const auto [line_index, is_first] = keys_.find_or_open(group, in.key);
  if (is_first) {
    auto& line = keys_[line_index];
    line.home = directory_.home_of(command_index, line.hash);
    const auto lane = line.home == none ? std::uint8_t{0} : directory_.lane_of(command_index, line.home);
    if (line.home != none && directory_.has_slot(line.home, lane) && !directory_.command_at(command_index).paused) {
      directory_.take_slot_of(line.home, lane);
      const auto call_index = open_call(now, from, in, command_index);
      calls_[call_index].key_line = line_index;
      return lease(now, call_index, line.home, in.name, contents_of(in), out);
    }
  }
  if (const auto why = no_room(command_index, from, contents_of(in).bytes())) {
    if (is_first) keys_.close(line_index);
    return refuse_call(from, in, command_index, *why, out);
  }
  const auto call_index = open_call(now, from, in, command_index);
  calls_[call_index].key_line = line_index;
  calls_[call_index].state = call_state::queued;
  keep(call_index, contents_of(in));
  wait_in_line(call_index, false);
  if (is_first) place_later(line_index);
}

/// Puts a call whose payload is kept into its key's line.
void broker_core::wait_in_line(std::uint32_t call_index, bool first) {
  auto& line = keys_[calls_[call_index].key_line];
  if (first) {
    line.waiting.push_front(calls_.items(), call_index);
  } else {
    line.waiting.push_back(calls_.items(), call_index);
  }
  if (auto* const command = command_of(call_index)) {
    command->keyed_calls++;
    command->keyed_bytes += calls_[call_index].kept_bytes;
  }
}

/// Takes a call out of the line in which it waits; whoever is the first then may want another worker.
void broker_core::leave_line(std::uint32_t call_index) {
  const auto line_index = calls_[call_index].key_line;
  auto& line = keys_[line_index];
  const bool was_first = line.waiting.front() == call_index;
  line.waiting.erase(calls_.items(), call_index);
  if (auto* const command = command_of(call_index)) {
    command->keyed_calls--;
    command->keyed_bytes -= calls_[call_index].kept_bytes;
  }
  if (!was_first || line.where == key_line::listing::nowhere || line.where == key_line::listing::unplaced) return;
  unlist(line_index);
  place_later(line_index);
}

/// Takes a line out of the list in which it waits for a worker.
void broker_core::unlist(std::uint32_t line_index) {
  auto& line = keys_[line_index];
  if (line.where == key_line::listing::home) directory_.worker_at(line.home).lanes[line.lane].keys.erase(keys_.items(), line_index);
  if (line.where == key_line::listing::homeless) directory_.command_at(line.command).homeless.erase(keys_.items(), line_index);
  line.where = key_line::listing::nowhere;
}

void broker_core::place_later(std::uint32_t line_index) {
  auto& line = keys_[line_index];
  line.where = key_line::listing::unplaced;
  if (line.home != none && directory_.worker_at(line.home).draining) line.home = none;  // its number may be another's by then
  unplaced_.push_back(line_index);
}

/// Finds what an unplaced line is to wait for, and runs its first call if that is nothing.
void broker_core::place(instant now, std::uint32_t line_index, outbox& out) {
  auto& line = keys_[line_index];
  while (!line.waiting.empty()) {
    const auto call_index = line.waiting.front();
    if (calls_[call_index].deadline <= now) {  // the tick that ends it has not come yet
      expire(call_index, out);
      continue;
    }
    const auto command_index = calls_[call_index].command;
    auto* const command = command_of(call_index);
    if (command == nullptr || !directory_.is_awaited(command_index)) {
      end(call_index, gone(call_index), out);
      continue;
    }
    if (line.home == none || !directory_.takes(line.home, command_index)) line.home = directory_.home_of(command_index, line.hash);
    if (line.home == none || command->paused) {
      line.home = none;
      line.where = key_line::listing::homeless;
      line.command = command_index;
      command->homeless.push_back(keys_.items(), line_index);
      return;
    }
    line.lane = directory_.lane_of(command_index, line.home);
    if (!directory_.has_slot(line.home, line.lane)) {
      line.where = key_line::listing::home;
      directory_.worker_at(line.home).lanes[line.lane].keys.push_back(keys_.items(), line_index);
      return;
    }
    leave_line(call_index);
    line.where = key_line::listing::nowhere;
    directory_.take_slot_of(line.home, line.lane);
    return lease(now, call_index, line.home, command->name, kept_[calls_[call_index].kept_at].view(), out);
  }
  keys_.close(line_index);
}

/// A call that was at a worker is there no longer, and will not come back: the next of its key has its turn.
void broker_core::release_key(std::uint32_t call_index) {
  const auto line_index = std::exchange(calls_[call_index].key_line, none);
  if (line_index == none) return;
  auto& line = keys_[line_index];
  if (line.waiting.empty()) return keys_.close(line_index);
  place_later(line_index);
}

/// Keys that wait for this worker are placed anew: elsewhere if it gets no calls any more.
void broker_core::unlist_keys_of(std::uint32_t worker_index) {
  for (auto& lane : directory_.worker_at(worker_index).lanes) {
    while (!lane.keys.empty()) {
      const auto line_index = lane.keys.front();
      unlist(line_index);
      place_later(line_index);
    }
  }
}

/// Keys that wait for somebody to serve this command, or for its resumption, are placed anew.
void broker_core::unlist_homeless(std::uint32_t command_index) {
  auto& command = directory_.command_at(command_index);
  while (!command.homeless.empty()) {
    const auto line_index = command.homeless.front();
    unlist(line_index);
    place_later(line_index);
  }
}

}  // namespace waggle::broker
