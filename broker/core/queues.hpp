#pragma once

#include <cstdint>

#include <tsl/robin_map.h>

#include "broker/core/calls.hpp"
#include "broker/core/types.hpp"

namespace waggle::broker {

/// The waiting calls of one caller for one command, in their order.
struct call_line {
  peer_id caller{};
  std::uint32_t command = none;
  index_list<&call::by_place> calls;
  links by_turn;  ///< among the lines of the command
};

/// The waiting calls of one command: a line for each caller, served in turn.
struct call_queue {
  index_list<&call_line::by_turn> turns;
  std::uint32_t calls = 0;
  std::size_t bytes = 0;  ///< payloads and headers

  [[nodiscard]] bool empty() const { return calls == 0; }
};

/// Puts calls into the queues of their commands and takes them out. Callers of a command have their turns one after the other, so
/// that one with a hundred thousand waiting calls does not starve one with a single call; each call costs the same however
/// many wait.
class call_lines {
 public:
  explicit call_lines(slab<call>& calls) : calls_{calls} {}

  void push_back(call_queue& queue, std::uint32_t call_index) {
    const auto line_index = line_of(call_index);
    auto& line = lines_[line_index];
    if (line.calls.empty()) queue.turns.push_back(lines_, line_index);
    line.calls.push_back(calls_, call_index);
    count_in(queue, call_index, line_index);
  }

  /// The call is the next to be served: its caller's turn comes first.
  void push_front(call_queue& queue, std::uint32_t call_index) {
    const auto line_index = line_of(call_index);
    auto& line = lines_[line_index];
    if (!line.calls.empty()) queue.turns.erase(lines_, line_index);
    queue.turns.push_front(lines_, line_index);
    line.calls.push_front(calls_, call_index);
    count_in(queue, call_index, line_index);
  }

  /// The next call to be served, of a queue that is not empty.
  [[nodiscard]] std::uint32_t front(const call_queue& queue) const { return lines_[queue.turns.front()].calls.front(); }

  /// Takes the front out to serve it: the next turn is another caller's.
  void serve_front(call_queue& queue) {
    const auto line_index = queue.turns.front();
    const bool more = lines_[line_index].calls.size() > 1;
    erase(queue, lines_[line_index].calls.front());
    if (more) queue.turns.move_to_back(lines_, line_index);
  }

  /// Takes any call out, without a change of turns.
  void erase(call_queue& queue, std::uint32_t call_index) {
    const auto line_index = calls_[call_index].line;
    auto& line = lines_[line_index];
    line.calls.erase(calls_, call_index);
    calls_[call_index].line = none;
    queue.calls--;
    queue.bytes -= calls_[call_index].kept_bytes;
    if (!line.calls.empty()) return;
    queue.turns.erase(lines_, line_index);
    by_caller_.erase(key_of(line.command, line.caller));
    lines_.give_back(line_index);
  }

 private:
  static std::uint64_t key_of(std::uint32_t command, peer_id caller) {
    return (std::uint64_t{command} << 32) | static_cast<std::uint32_t>(caller);
  }
  /// Both halves are small integers; the product spreads them over the buckets.
  struct key_hash {
    std::size_t operator()(std::uint64_t key) const { return (key * 0x9e3779b97f4a7c15u) ^ (key >> 29); }
  };

  /// The line of this caller for this command; a new one is empty and has no turn yet.
  std::uint32_t line_of(std::uint32_t call_index) {
    const auto& wants = calls_[call_index];
    const auto key = key_of(wants.command, wants.caller);
    if (const auto found = by_caller_.find(key); found != by_caller_.end()) return found->second;
    const auto made = lines_.take();
    lines_[made] = call_line{wants.caller, wants.command, {}, {}};
    by_caller_.emplace(key, made);
    return made;
  }

  void count_in(call_queue& queue, std::uint32_t call_index, std::uint32_t line_index) {
    calls_[call_index].line = line_index;
    queue.calls++;
    queue.bytes += calls_[call_index].kept_bytes;
  }

  slab<call>& calls_;
  slab<call_line> lines_;
  tsl::robin_map<std::uint64_t, std::uint32_t, key_hash> by_caller_;
};

}  // namespace waggle::broker
