#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include <waggle/wire/manifest.hpp>

#include "broker/core/queues.hpp"
#include "broker/core/types.hpp"

namespace waggle::broker {

/// Who serves what, and who has a slot free.
///
/// Workers that say the same of themselves (service, version, commands) form a *pool*: any of them will do for any command
/// of the pool. A command knows its pools, which are few (one; two while a new version is rolled out), and a pool keeps its
/// workers by the number of their free slots. So a call costs the same with one command or ten thousand, one worker or
/// ten thousand.
class directory {
 public:
  /// Workers with more free slots than this count alike and take turns; a list for each number would be memory for nothing.
  static constexpr std::uint32_t free_listed_max = 64;

  struct worker {
    peer_id peer{};
    std::uint32_t pool = none;
    std::string instance;
    std::uint32_t slots = 0;
    std::uint32_t in_flight = 0;
    bool draining = false;
    std::uint64_t leave_id = 0;  ///< of the LEAVE that waits for its answer
    std::uint32_t listed_free = none;  ///< under how many free slots its pool lists it; `none` when it drains
    links by_free;
    links by_pool;
    links by_pulse;              ///< among all workers, by when the broker's next pulse to them is due
    instant pulse_due{};
  };

  struct command {
    std::string name;
    std::uint64_t serial = 0;  ///< no two commands have the same, even if one takes the other's place
    struct membership {
      std::uint32_t pool = none;
      retry_class retry = retry_class::once;
      bool waiting = false;  ///< listed in that pool's `waiting`
    };
    std::vector<membership> pools;
    links by_idleness;  ///< among commands that nobody serves now
    call_queue queue;  ///< filled and emptied by whoever owns the calls
  };

  struct pool {
    std::string identity;  ///< what its workers have in common, as manifest bytes without the instance's own entries
    std::string service;
    std::string version;
    std::vector<std::uint32_t> commands;
    index_list<&worker::by_pool> workers;
    std::size_t active = 0;                             ///< of them, those that do not drain
    bool held = false;                                  ///< lost its last active worker lately: its commands still queue calls
    instant held_until{};
    links by_hold;
    bool died = false;                                  ///< that worker did not say that it leaves
    bool remembered = false;                            ///< it was not replaced in time, and is listed still, until `held_until`
    std::vector<index_list<&worker::by_free>> by_free;  ///< [n]: workers with n free slots (or more, in the last), longest unused first
    std::uint32_t free_max = 0;                         ///< the highest n that has a worker, or 0
    std::deque<std::uint32_t> waiting;                  ///< commands that have queued calls, in turn
  };

  directory(std::size_t commands_max, milliseconds hold, milliseconds remember, std::size_t held_pools_max)
      : commands_max_{commands_max}, hold_{hold}, remember_{remember}, held_pools_max_{held_pools_max} {}

  /// Seats a worker, or seats one anew (`again`) that has changed its mind; calls it has at hand stay counted.
  /// RESOURCE_EXHAUSTED when there are too many commands.
  result<std::uint32_t> join(instant now, peer_id peer, const manifest& from, std::uint32_t again);
  /// No new calls for this worker.
  void drain(instant now, std::uint32_t worker_index);
  /// Takes a worker out for good; its leases are the caller's concern and must have ended.
  void remove(instant now, std::uint32_t worker_index);

  /// A pool that loses its last active worker is held for a while: another may be on its way, as when a service restarts. When that
  /// has passed, commands that nobody serves are appended to `unserved`. A pool whose last worker died goes on to be listed for some
  /// time: what has crashed is not gone. Returns whether anything was let go.
  bool release_held(instant now, std::vector<std::uint32_t>& unserved);
  /// When `release_held` has something to do.
  [[nodiscard]] instant held_until() const;

  /// The command of this name, or `none` if no worker has ever served it (as far as is remembered).
  [[nodiscard]] std::uint32_t find(std::string_view name) const;
  /// Whether a worker that is not draining serves it, or did a moment ago.
  [[nodiscard]] bool is_awaited(std::uint32_t command_index) const;
  /// What the manifest of this worker says of the command.
  [[nodiscard]] retry_class retry_of(std::uint32_t command_index, std::uint32_t worker_index) const;
  /// The worker with the most free slots among all that serve the command (up to `free_listed_max`, and in turn among equals), its slot
  /// taken; `none` if all are busy.
  std::uint32_t take_slot(std::uint32_t command_index);
  /// One in the pool, for a command that waits there.
  std::uint32_t take_slot_in(std::uint32_t pool_index);
  void release_slot(std::uint32_t worker_index);
  /// None of its slots is taken before its next `release_slot`.
  void pass_over(std::uint32_t worker_index);

  /// The command has its first queued call: whichever of its pools has a slot next will come for it.
  void wait(std::uint32_t command_index);
  /// The next command whose queue is not empty, if the pool has a slot; the command goes to the end of the turn.
  std::uint32_t next_waiting(std::uint32_t pool_index);

  /// The number of commands for which the worker is counted on: 0 when it drains.
  [[nodiscard]] std::size_t seats(std::uint32_t worker_index) const;
  /// The worker in a line for people.
  [[nodiscard]] std::string describe(std::uint32_t worker_index) const;
  [[nodiscard]] std::size_t worker_count() const { return workers_.used(); }
  [[nodiscard]] std::size_t command_count() const { return commands_.used(); }

  worker& worker_at(std::uint32_t index) { return workers_[index]; }
  [[nodiscard]] const worker& worker_at(std::uint32_t index) const { return workers_[index]; }
  command& command_at(std::uint32_t index) { return commands_[index]; }
  [[nodiscard]] const command& command_at(std::uint32_t index) const { return commands_[index]; }
  slab<worker>& workers() { return workers_; }

  /// One msgpack array: every service with its commands and instances, ordered by name.
  void append_services(std::string& out) const;

 private:
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using name_index = tsl::robin_map<std::string, std::uint32_t, text_hash, std::equal_to<>>;

  std::uint32_t pool_for(const manifest& from);
  void activate(std::uint32_t worker_index, std::uint32_t pool_index);
  void deactivate(instant now, std::uint32_t worker_index, bool died);
  void leave_pool(std::uint32_t worker_index);
  void unhold(std::uint32_t pool_index);
  void dissolve(std::uint32_t pool_index);
  void relist(std::uint32_t worker_index);
  void list_as(std::uint32_t worker_index, std::uint32_t free);
  bool make_room_for(const manifest& from);

  std::size_t commands_max_;
  milliseconds hold_;
  milliseconds remember_;
  std::size_t held_pools_max_;
  slab<worker> workers_;
  slab<command> commands_;
  slab<pool> pools_;
  name_index by_name_;
  name_index by_identity_;
  index_list<&command::by_idleness> idle_commands_;
  index_list<&pool::by_hold> held_pools_;
  index_list<&pool::by_hold> remembered_pools_;
  std::uint64_t joined_ = 0;  ///< makes up instance names
  std::uint64_t named_ = 0;   ///< makes up serials of commands
};

}  // namespace waggle::broker
