#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/fields.hpp>

#include "tools/waggle/text.hpp"

/// What the broker's commands for operators answer (broker/PROTOCOL.md, "The broker's own commands"), and how it is shown to
/// people. Every text ends in a line feed.
namespace waggle::cli {

struct worker_row {
  std::string instance;
  std::string service;
  std::string version;
  std::uint64_t slots = 0;
  std::uint64_t in_flight = 0;
  bool draining = false;
  std::uint64_t keys = 0;      ///< that wait for it
  std::uint64_t heard_ms = 0;  ///< since it was last heard
  std::optional<std::uint64_t> quick_slots{};  ///< if it has slots of their own for quick handlers
  std::optional<std::uint64_t> quick_in_flight{};
};
WAGGLE_FIELDS(worker_row, instance, service, version, slots, in_flight, draining, keys, heard_ms, quick_slots, quick_in_flight)

struct worker_list {
  std::uint64_t total = 0;
  std::vector<worker_row> workers;
};
WAGGLE_FIELDS(worker_list, total, workers)

struct queue_row {
  std::string command;
  std::string group;
  std::uint64_t queued = 0;
  std::uint64_t keyed = 0;  ///< of them, those with a key
  std::uint64_t bytes = 0;
  std::uint64_t oldest_ms = 0;
  std::uint64_t running = 0;
  std::uint64_t workers = 0;
  bool paused = false;
};
WAGGLE_FIELDS(queue_row, command, group, queued, keyed, bytes, oldest_ms, running, workers, paused)

struct queue_list {
  std::uint64_t total = 0;
  std::vector<queue_row> queues;
};
WAGGLE_FIELDS(queue_list, total, queues)

struct call_row {
  std::string command;
  std::string caller;
  std::string state;
  std::uint64_t age_ms = 0;
  std::uint64_t budget_left_ms = 0;
  std::uint64_t attempts = 0;
  std::uint64_t bytes = 0;
  std::optional<std::string> worker;
  std::optional<std::string> key;
};
WAGGLE_FIELDS(call_row, command, caller, state, age_ms, budget_left_ms, attempts, bytes, worker, key)

struct call_list {
  std::uint64_t total = 0;
  std::vector<call_row> calls;
};
WAGGLE_FIELDS(call_list, total, calls)

struct times_us {
  std::uint64_t p50 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t p999 = 0;
};
WAGGLE_FIELDS(times_us, p50, p99, p999)

struct command_statistics {
  std::string command;
  std::uint64_t calls = 0;
  std::map<std::string, std::uint64_t> errors;  ///< by status
  std::uint64_t retries = 0;
  times_us queue_us;
  times_us run_us;
};
WAGGLE_FIELDS(command_statistics, command, calls, errors, retries, queue_us, run_us)

struct broker_statistics {
  std::uint64_t uptime_ms = 0;
  std::map<std::string, std::uint64_t> counters;
  std::uint64_t total = 0;
  std::vector<command_statistics> commands;
};
WAGGLE_FIELDS(broker_statistics, uptime_ms, counters, total, commands)

/// As people say it, in two units at most: 340 µs, 1.2 s, 35 s, 4 min 5 s, 2 h.
[[nodiscard]] std::string duration_text(std::uint64_t microseconds);

/// The same of milliseconds.
[[nodiscard]] std::string milliseconds_text(std::uint64_t milliseconds);

/// What is not worth a look stays empty, and so does its column if that is so in every line.
[[nodiscard]] std::string unless_zero(std::uint64_t count);

/// 812 B, 1.2 KiB, 34 MiB.
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

/// Slots that are taken, of how many: 2/16, or 2/16 + 5/1024 quick.
[[nodiscard]] std::string busy_text(std::uint64_t in_flight, std::uint64_t slots, std::optional<std::uint64_t> quick_in_flight,
                                    std::optional<std::uint64_t> quick_slots);

/// One thing or several: 1 call, 2 calls.
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view noun);

// One line for each worker, command or call. Nothing for an empty list.
[[nodiscard]] std::string workers_text(const worker_list& all, const screen& on);
[[nodiscard]] std::string queues_text(const queue_list& all, const screen& on);
[[nodiscard]] std::string calls_text(const call_list& all, const screen& on);
/// The broker's uptime and counters, and a line for each command that has been called.
[[nodiscard]] std::string statistics_text(const broker_statistics& all, const screen& on);

/// How far the workers of this instance name are with their calls. Who has joined anew under it meanwhile does not count.
struct drain_progress {
  std::uint64_t draining = 0;  ///< workers that are still there
  std::uint64_t in_flight = 0;
};
[[nodiscard]] drain_progress progress_of(const worker_list& all, std::string_view instance);

}  // namespace waggle::cli
