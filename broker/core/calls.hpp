#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <tsl/robin_map.h>

#include "broker/core/types.hpp"

namespace waggle::broker {

enum class call_state : std::uint8_t {
  free,
  queued,    ///< waits in its command's queue
  leased,    ///< a worker has it
  orphaned,  ///< a worker has it, but the caller has had its reply or has gone: only the slot is still held
  parked,    ///< waggle.services that waits for a change
  asked,     ///< the events' core has it
};

/// What a delivery of an event or of a durable command needs besides; calls of peers are not to be larger for it.
struct own_call {
  milliseconds budget{};  ///< from the lease on
  bool is_event = false;  ///< for a consumer group
  std::string topic{};    ///< of an event
  std::string about{};    ///< of an event
};

struct call {
  std::uint32_t generation = 0;
  call_state state = call_state::free;
  peer_id caller{};
  std::uint64_t caller_id = 0;
  std::uint32_t command = none;
  std::uint64_t command_serial = 0;  ///< of that command: the directory may have forgotten it while a worker had the call
  std::uint32_t worker = none;
  instant opened{};
  instant leased{};  ///< when the present worker, or the last, got it
  instant deadline{};
  std::uint32_t deadline_at = none;  ///< place in the deadline heap
  links by_caller;
  links by_place;  ///< in its caller's line of the command's queue, its key's line, the worker's leases, or the parked
  std::uint32_t line = none;      ///< its caller's, while it waits without a key
  std::uint32_t key_line = none;  ///< its key's, from first to last; `none` without a key
  std::uint64_t parts = 0;        ///< that the caller takes before it gives more credit
  std::unique_ptr<own_call> own;  ///< what the broker itself calls; null for peers' calls
  std::uint32_t attempts = 0;  ///< workers it has been handed to
  bool kept = false;           ///< payload and headers are here: while it waits, and while it may be retried
  bool parted = false;         ///< a PART has reached the caller, so it cannot begin again
  std::string payload;
  std::string headers;

  [[nodiscard]] std::size_t bytes() const { return payload.size() + headers.size(); }
};

/// Every open call, named in two ways: by the caller's own id, and by the lease that a worker gets to see.
class call_table {
 public:
  /// A lease is 24 bits of place and 29 bits of generation: below 2^53, so that workers whose numbers are doubles keep it whole.
  /// Generations begin at 1: no lease is 0, which belongs to no call.
  static constexpr std::size_t size_max = std::size_t{1} << 24;

  slab<call>& items() { return items_; }
  call& operator[](std::uint32_t index) { return items_[index]; }
  const call& operator[](std::uint32_t index) const { return items_[index]; }
  [[nodiscard]] std::size_t size() const { return items_.used(); }

  /// A fresh record that its caller can find by (caller, id).
  std::uint32_t open(peer_id caller, std::uint64_t id) {
    const auto index = items_.take();
    auto& made = items_[index];
    end_lease(index);  // that of the call which had the place before
    made.caller = caller;
    made.caller_id = id;
    made.attempts = 0;
    made.parted = false;
    made.own = nullptr;
    made.key_line = none;
    by_caller_id_.emplace(key{caller, id}, index);
    return index;
  }

  [[nodiscard]] std::uint32_t find(peer_id caller, std::uint64_t id) const {
    const auto found = by_caller_id_.find(key{caller, id});
    return found == by_caller_id_.end() ? none : found->second;
  }

  /// The caller's id means nothing any more; the record may live on for its lease.
  void detach(std::uint32_t index) { by_caller_id_.erase(key{items_[index].caller, items_[index].caller_id}); }

  /// Ends the lease that a worker knows; the call itself goes on.
  void end_lease(std::uint32_t index) {
    auto& generation = items_[index].generation;
    generation = generation == generation_max ? 1 : generation + 1;
  }

  void close(std::uint32_t index) {
    auto& closed = items_[index];
    closed.state = call_state::free;
    closed.command = closed.worker = none;
    items_.give_back(index);
  }

  [[nodiscard]] std::uint64_t lease_of(std::uint32_t index) const {
    return (std::uint64_t{items_[index].generation} << 24) | index;
  }

  /// The call that a worker's lease names, `none` if that lease has ended.
  [[nodiscard]] std::uint32_t of_lease(std::uint64_t lease) const {
    const auto index = static_cast<std::uint32_t>(lease & (size_max - 1));
    if (!items_.has(index) || items_[index].generation != lease >> 24) return none;
    const auto state = items_[index].state;
    return state == call_state::leased || state == call_state::orphaned ? index : none;
  }

  /// The call that the events' core has under this lease, `none` if it has ended.
  [[nodiscard]] std::uint32_t asked_as(std::uint64_t lease) const {
    const auto index = static_cast<std::uint32_t>(lease & (size_max - 1));
    return items_.has(index) && items_[index].generation == lease >> 24 && items_[index].state == call_state::asked ? index : none;
  }

 private:
  static constexpr std::uint32_t generation_max = (1u << 29) - 1;
  struct key {
    peer_id caller;
    std::uint64_t id;
    friend bool operator==(const key&, const key&) = default;
  };
  struct key_hash {
    /// Callers choose ids; mixing keeps a counter, a pattern or malice from piling them up (murmur3's finaliser).
    std::size_t operator()(const key& of) const {
      auto bits = of.id ^ (static_cast<std::uint64_t>(of.caller) * 0x9e3779b97f4a7c15u);
      bits = (bits ^ (bits >> 33)) * 0xff51afd7ed558ccdu;
      bits = (bits ^ (bits >> 33)) * 0xc4ceb9fe1a85ec53u;
      return bits ^ (bits >> 33);
    }
  };

  slab<call> items_;
  tsl::robin_map<key, std::uint32_t, key_hash> by_caller_id_;
};

}  // namespace waggle::broker
