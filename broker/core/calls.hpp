#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <waggle/detail/index_table.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/message.hpp>

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

/// Two lines of memory, as with ten thousand open calls each is cold; what few calls need is elsewhere.
struct alignas(64) call {
  std::uint32_t generation = 0;
  call_state state = call_state::free;
  bool parted = false;         ///< a PART has reached the caller, so it cannot begin again
  std::uint8_t lane = 0;       ///< in which it takes a slot of its worker
  std::uint32_t attempts = 0;  ///< workers it has been handed to
  std::uint32_t worker = none;
  peer_id caller{};
  std::uint32_t command = none;
  std::uint64_t caller_id = 0;
  std::uint64_t command_serial = 0;  ///< of that command: the directory may have forgotten it while a worker had the call
  links by_place;  ///< in its caller's line of the command's queue, its key's line, the worker's leases, or the parked
  instant opened{};
  instant leased{};  ///< when the present worker, or the last, got it

  instant deadline{};
  links by_deadline;
  links by_caller;
  std::uint32_t deadline_at = none;  ///< place among the deadlines
  std::uint32_t line = none;      ///< its caller's, while it waits without a key
  std::uint32_t key_line = none;  ///< its key's, from first to last; `none` without a key
  std::uint32_t kept_at = none;   ///< where payload and headers are: while it waits, and while it may be retried
  std::uint32_t kept_bytes = 0;   ///< their size
  std::uint64_t parts = 0;        ///< that the caller takes before it gives more credit
  std::unique_ptr<own_call> own;  ///< what the broker itself calls; null for peers' calls

  [[nodiscard]] bool kept() const { return kept_at != none; }
};
static_assert(sizeof(call) == 128);

/// What a call carries.
struct contents {
  std::string_view payload;
  std::string_view headers;
  const wire::attachment* attached = nullptr;  ///< what keeps the payload, if it can be shared instead of copied

  [[nodiscard]] std::size_t bytes() const { return payload.size() + headers.size(); }
};
[[nodiscard]] inline contents contents_of(const wire::frame& in) { return {in.payload, in.headers, in.attached}; }

/// Payloads and headers of calls that wait or may be repeated. Buffers are used again, the last first, so that a steady state allocates
/// nothing; of those that are not in use no more is kept than `spare_bytes_max`.
class kept_payloads {
 public:
  struct entry {
    std::string payload;
    wire::attachment attached;  ///< the payload instead, if it was one
    std::string headers;

    [[nodiscard]] contents view() const {
      if (attached.empty()) return {payload, headers};
      return {attached.bytes(), headers, &attached};
    }
    [[nodiscard]] std::size_t capacity() const { return payload.capacity() + headers.capacity(); }
  };

  const entry& operator[](std::uint32_t index) const { return items_[index]; }

  std::uint32_t keep(const contents& what) {
    const auto index = items_.take();
    auto& made = items_[index];
    spare_bytes_ -= std::min(made.capacity(), spare_bytes_);
    if (what.attached != nullptr) {
      made.attached = *what.attached;
      made.payload.clear();
    } else {
      made.payload.assign(what.payload);
    }
    made.headers.assign(what.headers);
    return index;
  }

  void let_go(std::uint32_t index) {
    auto& spare = items_[index];
    if (!spare.attached.empty()) spare.attached = {};
    if (spare_bytes_ + spare.capacity() > spare_bytes_max) const entry freed = std::move(spare);  // assignment would keep the memory
    spare_bytes_ += spare.capacity();
    items_.give_back(index);
  }

 private:
  static constexpr std::size_t spare_bytes_max = 16u << 20;

  slab<entry> items_;
  std::size_t spare_bytes_ = 0;
};

/// Every open call, named in two ways: by the caller's own id, and by the lease that a worker gets to see.
class call_table {
 public:
  /// A lease is 24 bits of place and 29 bits of generation: below 2^53, so that workers whose numbers are doubles keep it whole.
  /// Generations begin at 1: no lease is 0, which belongs to no call.
  static constexpr std::size_t size_max = std::size_t{1} << 24;

  /// The seed, which callers do not know, keeps them from choosing ids that pile up.
  explicit call_table(std::uint64_t seed = 0) : seed_{seed} {}

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
    by_caller_id_.insert(hash_of(caller, id), index);
    return index;
  }

  [[nodiscard]] std::uint32_t find(peer_id caller, std::uint64_t id) const {
    return by_caller_id_.find(hash_of(caller, id),
                              [&](std::uint32_t index) { return items_[index].caller_id == id && items_[index].caller == caller; });
  }

  /// The caller's id means nothing any more; the record may live on for its lease.
  void detach(std::uint32_t index) { by_caller_id_.erase(hash_of(items_[index].caller, items_[index].caller_id), index); }

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

  /// Has the processor fetch the record that this lease names, if it is one.
  void fetch(std::uint64_t lease) const {
    const auto index = static_cast<std::uint32_t>(lease & (size_max - 1));
    if (items_.has(index)) detail::fetch_lines<2>(&items_[index]);
  }
  /// The command of the call in that record, whatever its lease; `none` without a record or a command.
  [[nodiscard]] std::uint32_t command_of(std::uint64_t lease) const {
    const auto index = static_cast<std::uint32_t>(lease & (size_max - 1));
    return items_.has(index) ? items_[index].command : none;
  }

  /// The call that the events' core has under this lease, `none` if it has ended.
  [[nodiscard]] std::uint32_t asked_as(std::uint64_t lease) const {
    const auto index = static_cast<std::uint32_t>(lease & (size_max - 1));
    return items_.has(index) && items_[index].generation == lease >> 24 && items_[index].state == call_state::asked ? index : none;
  }

 private:
  static constexpr std::uint32_t generation_max = (1u << 29) - 1;

  /// Callers choose ids; mixing keeps a pattern from piling them up. Eight ids in a row, as counters give them, stay beside each other.
  [[nodiscard]] std::uint64_t hash_of(peer_id caller, std::uint64_t id) const {
    return (detail::mixed((id >> 3) ^ seed_ ^ (static_cast<std::uint64_t>(caller) * 0x9e3779b97f4a7c15u)) & ~std::uint64_t{7}) | (id & 7);
  }

  std::uint64_t seed_;
  slab<call> items_;
  detail::index_table by_caller_id_;
};

}  // namespace waggle::broker
