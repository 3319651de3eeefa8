#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include <waggle/wire/manifest.hpp>

#include "broker/core/few.hpp"
#include "broker/core/keys.hpp"
#include "broker/core/queues.hpp"
#include "broker/core/statistics.hpp"
#include "broker/core/types.hpp"

namespace waggle::broker {

/// Who serves what, and who has a slot free.
///
/// Workers that say the same of themselves (service, version, commands) form a *pool*: any of them will do for any command
/// of the pool. A command knows its pools, which are few (one; two while a new version is rolled out), and a pool keeps its
/// workers by the number of their free slots. So a call costs the same with one command or ten thousand, one worker or
/// ten thousand.
///
/// A worker that says so has slots of their own for its quick handlers: a second *lane*, so that neither class of calls waits for the
/// other. Whatever belongs to slots (who has how many, who waits for one) is there once for each lane.
class directory {
 public:
  /// Workers with more free slots than this count alike and take turns; a list for each number would be memory for nothing.
  static constexpr std::uint32_t free_listed_max = 64;
  /// Commands that nobody has served yet and whose calls wait all the same; names that callers make up must not fill the directory.
  static constexpr std::size_t expected_max = 1024;
  /// 0 for all calls, or for those that are not quick if 1 is for these.
  static constexpr std::uint32_t lanes_max = 2;

  struct worker_lane {
    std::uint32_t slots = 0;
    std::uint32_t in_flight = 0;
    std::uint32_t listed_free = none;  ///< under how many free slots its pool lists it; `none` when it drains or is passed over
    std::uint32_t taken = 0;       ///< number of the slot that was taken last of it, among all that ever were; it runs over
    links by_free;
    index_list<&key_line::by_place> keys;  ///< that wait for a slot of this worker; filled and emptied by whoever owns the calls
  };

  /// What every call needs comes first, here and in commands and pools: with thousands of them each line of memory is cold.
  struct alignas(64) worker {
    peer_id peer{};
    std::uint32_t pool = none;
    bool credit = false;         ///< heeds the credit of a call's PARTs
    bool idles = false;          ///< has said that it pulses seldom while it has nothing at hand
    bool rests = false;          ///< so it does now, as far as is known here
    bool draining = false;       ///< gets no new calls
    bool leaving = false;        ///< because it said so; otherwise somebody else did, and it stays until it leaves or joins again
    bool keyless_next[lanes_max] = {};  ///< whose turn it is when both keys and calls without one wait
    worker_lane lanes[lanes_max];
    links by_pulse;              ///< among all workers, by when the broker's next pulse to them is due
    instant pulse_due{};

    links by_pool;
    std::uint32_t slots_counted[lanes_max] = {};  ///< in its pool's
    std::uint32_t home_at = none;  ///< place among its pool's `homes`
    std::uint64_t leave_id = 0;  ///< of the LEAVE that waits for its answer
    std::uint64_t seed = 0;      ///< of its name; decides which keys are its own
    std::string instance;

    [[nodiscard]] std::uint32_t in_flight() const { return lanes[0].in_flight + lanes[1].in_flight; }
    [[nodiscard]] std::size_t keys() const { return lanes[0].keys.size() + lanes[1].keys.size(); }
  };

  struct alignas(64) command {
    struct membership {
      std::uint32_t pool = none;
      retry_class retry = retry_class::once;
      bool needs_key = false;
      bool waiting = false;  ///< listed in that pool's `waiting`
      std::uint8_t lane = 0;
    };

    few<membership> pools;
    std::uint64_t serial = 0;  ///< no two commands have the same, even if one takes the other's place
    bool served = false;       ///< somebody serves it, or has
    bool paused = false;       ///< its calls wait
    bool expected = false;     ///< nobody has served it yet, but the broker is so young that somebody may be about to
    text_here<28> name_here;   ///< a copy of the name: to find a command touches no line besides this one
    // Filled and emptied by whoever owns the calls, and a line of memory with the meter:
    call_queue queue;  ///< of calls without a key
    call_meter meter;

    std::string name;
    index_list<&key_line::by_place> homeless;
    std::size_t keyed_calls = 0;  ///< that wait, wherever
    std::size_t keyed_bytes = 0;
    std::string group;  ///< whose calls of one key exclude each other; empty: only this command's
    links by_idleness;  ///< among commands that nobody serves now, or among those that are expected

    void name_it(std::string_view given) {
      name = given;
      name_here.copy(given);
    }
    [[nodiscard]] bool is_named(std::string_view given) const { return name_here.holds(given.size()) ? name_here == given : name == given; }
    [[nodiscard]] std::size_t waiting_calls() const { return queue.calls + keyed_calls; }
    [[nodiscard]] std::size_t waiting_bytes() const { return queue.bytes + keyed_bytes; }
    [[nodiscard]] std::string_view key_group() const { return group.empty() ? name : group; }
  };

  /// Workers by the number of their free slots, longest unused first; those with the most, of whom a call gets one as a rule, are listed in the
  /// object itself.
  class free_lists {
   public:
    [[nodiscard]] index_list<&worker_lane::by_free>& operator[](std::uint32_t free) {
      if (free == free_listed_max) return most_;
      if (fewer_.size() <= free) fewer_.resize(std::size_t{free} + 1);
      return fewer_[free];
    }
    [[nodiscard]] std::uint32_t first_of_most() const { return most_.front(); }

   private:
    index_list<&worker_lane::by_free> most_;
    std::vector<index_list<&worker_lane::by_free>> fewer_;
  };

  /// Calls of quick commands that come together go to one worker until it has got `calls_max` of them.
  struct burst {
    static constexpr std::uint32_t calls_max = 8;

    std::uint64_t round = 0;  ///< those of one round have come together
    std::uint32_t worker = none;
    std::uint32_t left = 0;   ///< calls that it may still get
  };

  struct pool_lane {
    std::uint32_t free_max = 0;    ///< the highest n that has a worker, or 0
    std::uint32_t slots = 0;       ///< of the active
    free_lists by_free;            ///< [n]: workers with n free slots (or more, in the last)
    turns<std::uint32_t> waiting;  ///< commands that have queued calls, in turn
    bool quick = false;            ///< all that takes its slots is
    struct burst burst;
  };

  struct alignas(64) pool {
    std::uint32_t active = 0;                           ///< of its workers, those that do not drain
    std::uint8_t lane_count = 1;
    bool held = false;                                  ///< lost its last active worker lately: its commands still queue calls
    bool died = false;                                  ///< that worker did not say that it leaves
    bool remembered = false;                            ///< it was not replaced in time, and is listed still, until `held_until`
    pool_lane lanes[lanes_max];

    struct home {
      std::uint64_t seed = 0;
      std::uint32_t worker = none;
    };
    std::vector<home> homes;  ///< of keys: the workers that do not drain
    std::string identity;  ///< what its workers have in common, as manifest bytes without the instance's own entries
    std::string service;
    std::string version;
    std::vector<std::uint32_t> commands;
    index_list<&worker::by_pool> workers;
    instant held_until{};
    links by_hold;
  };

  directory(std::size_t commands_max, milliseconds hold, milliseconds remember, std::size_t held_pools_max)
      : commands_max_{commands_max}, hold_{hold}, remember_{remember}, held_pools_max_{held_pools_max} {}

  /// Seats a worker, which takes the commands and the events of its manifest, or seats one anew (`again`) that has changed its mind; calls it has at hand stay counted,
  /// all in lane 0 if that is the only one now.
  /// RESOURCE_EXHAUSTED when there are too many commands, FAILED_PRECONDITION for a command that is in another group.
  result<std::uint32_t> join(instant now, peer_id peer, const manifest& said, std::uint32_t again);
  /// No new calls for this worker, because it leaves, is asked to leave, or has died.
  void drain(instant now, std::uint32_t worker_index, bool died = false);
  /// Takes a worker out for good, which drains; its leases and keys are the caller's concern and must have ended.
  void remove(std::uint32_t worker_index);

  /// A pool that loses its last active worker is held for a while: another may be on its way, as when a service restarts. When that
  /// has passed, commands that nobody serves are appended to `unserved`. A pool whose last worker died goes on to be listed for some
  /// time: what has crashed is not gone. Returns whether anything was let go.
  bool release_held(instant now, std::vector<std::uint32_t>& unserved);
  /// When `release_held` has something to do.
  [[nodiscard]] instant held_until() const;

  /// A command that nobody has served yet, but whose calls wait until `end_expecting`; `none` when there is no room for it.
  std::uint32_t expect(std::string_view name);
  /// Appends the commands that nobody has come to serve. They are forgotten in time, like others that nobody serves.
  void end_expecting(std::vector<std::uint32_t>& unserved);
  [[nodiscard]] bool expects() const { return !expected_commands_.empty(); }

  /// The command of this name, or `none` if no worker has ever served it (as far as is remembered).
  [[nodiscard]] std::uint32_t find(std::string_view name) const {
    return by_name_.find(hash_of(name), [&](auto index) { return commands_[index].is_named(name); });
  }
  // With thousands of commands and workers, what a call needs of them is in no cache, one piece behind the other. Each of these has the processor
  // fetch a piece, found through the one before, while other calls are handled. They change nothing, and what they find need not be so any more.
  [[nodiscard]] std::uint64_t fetch_entry(std::string_view name) const {
    const auto hash = hash_of(name);
    by_name_.fetch(hash);
    return hash;
  }
  /// The command that probably has the name of this hash, or `none`.
  [[nodiscard]] std::uint32_t fetch_command(std::uint64_t hash) const {
    const auto index = by_name_.likely(hash);
    fetch_command_at(index);
    return index;
  }
  void fetch_command_at(std::uint32_t index) const {
    if (commands_.has(index)) detail::fetch_lines<2>(&commands_[index]);
  }
  void fetch_meter(std::uint32_t command_index) const {
    if (commands_.has(command_index)) commands_[command_index].meter.fetch();
  }
  /// The command's first pool, or `none`.
  [[nodiscard]] std::uint32_t fetch_pool(std::uint32_t command_index) const {
    if (!commands_.has(command_index)) return none;
    const auto index = commands_[command_index].pools.begin()->pool;
    if (pools_.has(index)) detail::fetch_lines<1>(&pools_[index]);
    return index;
  }
  /// The worker whose turn it is in the first lane, if the pool has one with many free slots.
  void fetch_worker(std::uint32_t pool_index) const {
    if (!pools_.has(pool_index)) return;
    if (const auto index = pools_[pool_index].lanes[0].by_free.first_of_most(); index != none) detail::fetch_lines<1>(&workers_[index]);
  }

  /// Whether a worker that is not draining serves it, or did a moment ago.
  [[nodiscard]] bool is_awaited(std::uint32_t command_index) const {
    if (commands_[command_index].expected) return true;
    const auto& pools = commands_[command_index].pools;
    return std::any_of(pools.begin(), pools.end(), [&](const auto& member) { return pools_[member.pool].active > 0 || pools_[member.pool].held; });
  }
  /// What the manifest of this worker says of the command.
  [[nodiscard]] command::membership membership_of(std::uint32_t command_index, std::uint32_t worker_index) const {
    for (const auto& member : commands_[command_index].pools) {
      if (member.pool == workers_[worker_index].pool) return member;
    }
    return {};
  }
  [[nodiscard]] std::uint8_t lane_of(std::uint32_t command_index, std::uint32_t worker_index) const {
    return membership_of(command_index, worker_index).lane;
  }
  /// Whether somebody who serves it says that its calls need a key.
  [[nodiscard]] bool needs_key(std::uint32_t command_index) const {
    const auto& pools = commands_[command_index].pools;
    return std::any_of(pools.begin(), pools.end(), [](const auto& member) { return member.needs_key; });
  }
  /// Whether the worker gets new calls, of this command among others.
  [[nodiscard]] bool takes(std::uint32_t worker_index, std::uint32_t command_index) const;
  /// The worker that a key of this hash belongs to, among those that would take the command: rendezvous hashing over their names, so
  /// that keys spread evenly and few of them move when a worker comes or goes. `none` if there is no worker. Costs a
  /// nanosecond or two for each.
  [[nodiscard]] std::uint32_t home_of(std::uint32_t command_index, std::uint64_t hash) const;
  [[nodiscard]] bool has_slot(std::uint32_t worker_index, std::uint32_t lane) const {
    const auto free = workers_[worker_index].lanes[lane].listed_free;
    return free != none && free != 0;
  }
  /// Of this very worker, which has one.
  void take_slot_of(std::uint32_t worker_index, std::uint32_t lane);
  /// The worker with the most free slots among all that serve the command (up to `free_listed_max`, and in turn among equals), its slot
  /// taken; `none` if all are busy. Of a quick command the turn is a burst's among the calls of one round, which only has to be a number of its
  /// own: a message that carries several calls costs little more than one that carries one.
  std::uint32_t take_slot(std::uint32_t command_index, std::uint64_t round);
  /// One in the pool, for a command that waits there.
  std::uint32_t take_slot_in(std::uint32_t pool_index, std::uint32_t lane, std::uint64_t round);
  void release_slot(std::uint32_t worker_index, std::uint32_t lane);
  /// None of these slots is taken before the next `release_slot`.
  void pass_over(std::uint32_t worker_index, std::uint32_t lane);

  /// The command has its first queued call: whichever of its pools has a slot next will come for it.
  void wait(std::uint32_t command_index);
  /// Whether anybody waits for slots of this lane, which the worker may have.
  [[nodiscard]] bool is_waited_for(std::uint32_t worker_index, std::uint32_t lane) const {
    const auto& asked = workers_[worker_index];
    return !asked.lanes[lane].keys.empty() || !pools_[asked.pool].lanes[lane].waiting.empty();
  }
  /// The next command whose queue is not empty, if the pool has a slot; the command goes to the end of the turn.
  std::uint32_t next_waiting(std::uint32_t pool_index, std::uint32_t lane);

  /// The number of commands for which the worker is counted on: 0 when it drains.
  [[nodiscard]] std::size_t seats(std::uint32_t worker_index) const;
  /// The worker in a line for people.
  [[nodiscard]] std::string describe(std::uint32_t worker_index) const;
  [[nodiscard]] std::size_t worker_count() const { return workers_.used(); }
  [[nodiscard]] std::size_t command_count() const { return commands_.used(); }
  /// All that are seated, in no order.
  [[nodiscard]] std::vector<std::uint32_t> seated() const;
  /// All that are known, in no order.
  [[nodiscard]] std::vector<std::uint32_t> known_commands() const;
  [[nodiscard]] std::size_t active_workers(std::uint32_t command_index) const;
  /// Slots, free or not, of the workers that take it.
  [[nodiscard]] std::uint32_t slots_of(std::uint32_t command_index) const;
  /// Whether all who take it now say that it may run twice.
  [[nodiscard]] bool may_repeat(std::uint32_t command_index) const;
  [[nodiscard]] const pool& pool_of(std::uint32_t worker_index) const { return pools_[workers_[worker_index].pool]; }

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

  /// Eight bytes at a time: every call's command is looked up.
  [[nodiscard]] static std::uint64_t hash_of(std::string_view name) {
    std::uint64_t bits = name.size();
    const auto take = [&](std::size_t at, std::size_t count) {
      std::uint64_t block = 0;
      std::memcpy(&block, name.data() + at, count);
      bits = (bits ^ block) * 0x9e3779b97f4a7c15u;
      bits ^= bits >> 32;
    };
    if (name.size() < 8) {
      if (!name.empty()) take(0, name.size());  // an empty view may point nowhere
    } else {
      for (std::size_t at = 0; at + 8 < name.size(); at += 8) take(at, 8);
      take(name.size() - 8, 8);
    }
    return detail::mixed(bits);
  }

  /// The workers as the lists of one lane see them.
  struct lane_items {
    slab<worker>& workers;
    std::uint32_t lane;

    worker_lane& operator[](std::uint32_t index) const { return workers[index].lanes[lane]; }
  };

  std::uint32_t pool_for(const manifest& from, std::string identity);
  void activate(std::uint32_t worker_index, std::uint32_t pool_index);
  void deactivate(instant now, std::uint32_t worker_index, bool died);
  void settle(std::uint32_t worker_index);
  void unsettle(std::uint32_t worker_index);
  [[nodiscard]] const command* in_other_group(const manifest& from) const;
  void leave_pool(std::uint32_t worker_index);
  void unhold(std::uint32_t pool_index);
  void dissolve(std::uint32_t pool_index);
  void relist(std::uint32_t worker_index);
  void relist(std::uint32_t worker_index, std::uint32_t lane);
  [[nodiscard]] std::uint32_t next_in(pool_lane& in, std::uint32_t lane, std::uint64_t round) const;
  void list_as(pool_lane& in, std::uint32_t worker_index, std::uint32_t lane, std::uint32_t free);
  [[nodiscard]] bool is_before(std::uint32_t pool_index, std::uint32_t lane, std::uint32_t other, std::uint32_t other_lane);
  bool make_room_for(const manifest& from);

  std::size_t commands_max_;
  milliseconds hold_;
  milliseconds remember_;
  std::size_t held_pools_max_;
  slab<worker> workers_;
  slab<command> commands_;
  slab<pool> pools_;
  detail::index_table by_name_;  ///< commands
  name_index by_identity_;
  index_list<&command::by_idleness> idle_commands_;
  index_list<&command::by_idleness> expected_commands_;
  index_list<&pool::by_hold> held_pools_;
  index_list<&pool::by_hold> remembered_pools_;
  std::uint64_t joined_ = 0;  ///< makes up instance names
  std::uint64_t named_ = 0;   ///< makes up serials of commands
  std::uint32_t taken_ = 0;   ///< slots, ever; runs over
};

}  // namespace waggle::broker
