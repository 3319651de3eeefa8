#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <waggle/wire/manifest.hpp>

#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace waggle::sim {

/// A version of a service: its workers say the same of themselves.
struct service_kind {
  std::string service;
  std::string version;
  std::vector<command_manifest> commands;
  bool credit = false;
};

/// What a run is like. Each seed has its own: a broker with tiny limits, a network that breaks all the time, or one that does
/// not break at all.
struct climate {
  broker::settings limits;

  std::uint32_t callers = 0;
  std::uint32_t workers = 0;
  std::uint32_t raw_peers = 0;

  std::vector<std::string> commands;  ///< that workers may serve; what actors call
  std::vector<service_kind> services;
  bool idle = false;                  ///< some workers are quiet while they have nothing at hand
  bool quick = false;                 ///< some workers have slots of their own for some of their commands

  // The network
  microseconds delay_max{};            ///< of one message
  std::uint32_t spikes = 0;            ///< of a thousand messages, those that take up to a hundred times as long
  std::size_t pipe_messages_max = 0;   ///< then a send finds it full
  std::size_t backlog_bytes_max = 0;   ///< what the shell keeps for a peer whose pipe is full
  milliseconds backlog_time_max{};
  microseconds broker_turn_max{};      ///< until the broker looks at what has arrived

  // Load
  microseconds call_every{};           ///< of one caller, on average
  std::uint32_t burst_max = 1;         ///< calls at once
  milliseconds budget_max{};
  milliseconds handler_max{};
  std::uint32_t payload_max = 0;
  std::uint32_t slots_max = 1;
  std::uint32_t stuck = 0;             ///< of a thousand handlers, those that take up to half a minute
  std::uint32_t rejections = 0;        ///< of a thousand calls, those that a worker will not take now
  std::uint32_t parts = 0;             ///< of a thousand, those that are answered in parts
  std::uint32_t cancels = 0;           ///< of a thousand, those that are given up
  std::uint32_t keyed = 0;             ///< of a thousand, those that have a key
  std::uint32_t keys = 1;              ///< how many keys there are
  std::uint32_t limited = 0;           ///< of a thousand calls, those with credit
  std::uint32_t idempotent = 0;        ///< of a thousand calls, those that are sent again when the broker is lost
  std::uint32_t operations = 0;        ///< of a thousand deeds of callers, those that look into the broker or steer it

  // Faults: one every so often, of kinds that have these weights.
  microseconds fault_every{};
  std::uint32_t disconnects = 0, stalls = 0, freezes = 0, crashes = 0, departures = 0, broker_freezes = 0, broker_crashes = 0,
                clock_steps = 0, garbage = 0;
  microseconds raw_every{};            ///< deeds of one raw peer

  [[nodiscard]] bool all_heed_credit() const {
    return std::all_of(services.begin(), services.end(), [](const auto& each) { return each.credit; });
  }
  [[nodiscard]] bool needs_key(const std::string& command) const {
    for (const auto& kind : services) {
      for (const auto& each : kind.commands) {
        if (each.name == command && each.needs_key) return true;
      }
    }
    return false;
  }
  [[nodiscard]] std::string in_words() const;
};

[[nodiscard]] climate climate_of(std::uint64_t seed);

}  // namespace waggle::sim
