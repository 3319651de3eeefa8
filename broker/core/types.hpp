#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include <waggle/detail/deadlines.hpp>
#include <waggle/detail/slab.hpp>
#include <waggle/wire/limits.hpp>

namespace waggle::broker {

using detail::index_list;
using instant = detail::time_point;
using detail::links;
using detail::none;
using detail::slab;
using std::chrono::milliseconds;

/// A peer, as the shell numbers it: small integers, used again only after the core has said to forget them.
enum class peer_id : std::uint32_t {};

/// Everything that bounds or times the core. The answer when a bound is met stands beside it.
struct settings {
  std::string instance = "broker";  ///< told to peers; changes with every start, so that revisions of two runs differ
  std::string version{};
  std::string events_in{};   ///< where publishers connect, told to peers that say HELLO
  std::string events_out{};  ///< where subscribers connect

  std::uint64_t hash_seed = 0;  ///< at random in a broker that peers can reach, so that they cannot choose ids of calls that collide

  milliseconds pulse{1000};             ///< how often workers and broker let hear from themselves
  milliseconds idle_pulse{600'000};     ///< how often instead, with a worker that heeds it and has nothing at hand; no more than `pulse`: as often
  std::uint32_t missed_pulses_max = 3;  ///< a worker silent for longer than this many is dead: UNAVAILABLE for its calls
  milliseconds idle_max{120'000};       ///< a peer that is no worker and silent for longer is forgotten; it may come back any time
  milliseconds hold{2000};              ///< so long a command that lost its last worker queues calls before it fails them
  milliseconds remember{0};             ///< so long a service whose last worker died is listed after that, without instances
  milliseconds grace{0};                ///< so long after its start calls of unknown commands wait, as their workers may be on their way
  std::uint32_t attempts_max = 3;       ///< workers that one idempotent or safe call is handed to: UNAVAILABLE after the last
  milliseconds emit_budget{30'000};     ///< for an event to get into the log: DEADLINE_EXCEEDED
  milliseconds settle{20};              ///< how long changes of the network are gathered before watchers are told

  std::size_t peers_max = 65'536;             ///< RESOURCE_EXHAUSTED to the newcomer
  std::size_t commands_max = 65'536;          ///< RESOURCE_EXHAUSTED to the JOIN, once none without workers is left to forget
  std::size_t calls_max = 1'000'000;          ///< open calls of all callers: RESOURCE_EXHAUSTED; at most `call_table::size_max`
  std::size_t caller_calls_max = 100'000;     ///< open calls of one caller: RESOURCE_EXHAUSTED
  std::size_t held_pools_max = 1024;          ///< services without workers that are held; past it the oldest is held no longer
  std::size_t queue_calls_max = 10'000;       ///< waiting calls of one command: RESOURCE_EXHAUSTED
  std::size_t queue_bytes_max = 64u << 20;    ///< their payloads and headers: RESOURCE_EXHAUSTED
  std::size_t kept_bytes_max = 512u << 20;    ///< those of all commands, and of calls that may be retried: RESOURCE_EXHAUSTED,
                                              ///< and a call that is handed over is then not kept for a retry
  std::size_t caller_kept_bytes_max = 128u << 20;  ///< those of one caller: likewise
  std::size_t watchers_max = 1024;            ///< calls of waggle.services that wait for a change: RESOURCE_EXHAUSTED
  std::size_t attachment_bytes_min = wire::attachment_bytes_min;  ///< a smaller attachment goes on inside its frame
  std::size_t look_ahead_from = 256;          ///< commands or workers from which on bundles are read ahead of what is handled; 0: always
  milliseconds retry_after{100};              ///< what RESOURCE_EXHAUSTED tells a caller to wait
};

/// What happened that nobody is told of one by one.
struct counters {
  std::uint64_t bundles = 0;
  std::uint64_t frames = 0;
  std::uint64_t attachments = 0;      ///< payloads that came beside their bundle
  std::uint64_t calls = 0;
  std::uint64_t broken_bundles = 0;   ///< bytes that were not frames; the peer lost its seat
  std::uint64_t unknown_frames = 0;   ///< of a newer protocol; stepped over
  std::uint64_t unasked_replies = 0;  ///< late, doubled or foreign REPLYs and PARTs; dropped
  std::uint64_t misplaced_frames = 0; ///< frames that this peer may not send now; answered and dropped
  std::uint64_t events = 0;
  std::uint64_t broken_events = 0;    ///< PUB/SUB messages that were not events; dropped
  std::uint64_t dead_workers = 0;     ///< fell silent or lost their connection
  std::uint64_t overrun_parts = 0;    ///< PARTs beyond their credit, from workers that said they heed it; their calls ended
  std::uint64_t denied = 0;           ///< calls, joins and events that the role of their sender does not allow
  std::uint64_t retries = 0;          ///< calls that went back to their queue when a worker died or rejected them

  friend bool operator==(const counters&, const counters&) = default;
};

}  // namespace waggle::broker
