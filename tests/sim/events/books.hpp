#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/frames.hpp>

#include "broker/events/event_log.hpp"
#include "sim/events/climate.hpp"
#include "sim/trace.hpp"

namespace waggle::sim {

/// What has really become of each event and each durable command, seen from above. It is told what emitters send and are told,
/// what the disk has written, and every frame between the broker and members of groups, in the order in which the broker sends
/// and reads them; nothing here is the product's code. Throws `violation` when something is not as broker/GUARANTEES.md says.
class event_books {
 public:
  /// What an emitter once sent. Each sending has a number of its own, which goes with it as the header `n`.
  struct sending {
    std::string topic, key, event_id, payload;
    bool receipt = false;    ///< it has an id
    bool refused = false;    ///< its emitter was told that it is not kept
    std::uint64_t kept_as = 0;
  };
  struct kept_event {
    std::uint64_t n = 0;
    std::int64_t time_ms = 0;
    std::string topic, key, event_id, payload, headers;
    bool trimmed = false, damaged = false;
    instant damaged_at{};       ///< what was read before that was sound
    std::uint64_t crashes = 0;  ///< of brokers before it was kept
  };
  struct kept_stream {
    std::map<std::uint64_t, kept_event> events;
    std::uint64_t head = 0, first = 1, bytes = 0;
    std::uint64_t broadcast = 0;  ///< the last that was told to subscribers
  };
  struct letter {
    std::string group, stream;
    std::uint64_t sequence = 0;
    std::uint32_t attempts = 0;
    std::string why;
    bool may_revive = false;  ///< somebody has asked for its group
    bool may_drop = false;
  };
  struct sums {
    std::uint64_t emitted = 0, receipts = 0, repeated = 0, refused = 0, kept = 0, handed = 0, again = 0, acked = 0, late = 0, failed = 0, dead = 0,
                  revived = 0, trimmed = 0, damaged = 0, commands = 0, begun = 0, ended = 0, broadcasts = 0, delivered = 0, lost = 0, forgotten = 0,
                  crashes = 0, asks = 0;
  };
  /// Whose frame: the shell's number for a peer, which is another's after it was forgotten.
  using peer = std::uint32_t;

  event_books(const event_climate& in, trace& log) : in_{in}, log_{log} {}
  event_books(const event_books&) = delete;
  event_books& operator=(const event_books&) = delete;

  // Emitters, in books_emit.cpp
  std::uint64_t send(sending what);
  void receipt(std::uint64_t n, const std::string& stream, std::uint64_t sequence, bool repeated);
  void ephemeral_receipt(std::uint64_t n);
  void refused(std::uint64_t n, const error& why);
  [[nodiscard]] const sending& sending_of(std::uint64_t n) const { return sendings_.at(n); }

  // The disk, in books_log.cpp. `wall_ms` is what its clock says.
  void committed(std::int64_t wall_ms, const std::vector<broker::write_entry>& batch, const std::vector<broker::written>& how);
  void damage(instant now, const std::string& stream, std::uint64_t sequence);

  // The broker, in books_groups.cpp. `clock` is what it takes for the time.
  void broker_gone();
  /// The core has this frame ready for a peer. It may stand in a full pipe, and never leave.
  void offers(const wire::frame& frame);
  /// `late`: the broker had it ready earlier, but the pipe was full.
  void sends(instant clock, peer to, const wire::frame& frame, bool late);
  void reads(instant clock, peer from, const wire::frame& frame);
  void peer_gone(peer which);
  void broadcast(std::string_view topic, std::string_view frame);
  /// A member begins to run a command.
  void begins(const std::string& operation);

  // Durable commands, in books_later.cpp
  std::uint64_t call_later(std::string command, std::string payload, std::string key, std::string idempotency_key);
  void accepted(std::uint64_t n, const std::string& operation, bool repeated);
  void not_accepted(std::uint64_t n, const error& why);
  [[nodiscard]] bool has_ended(const std::string& operation) const;
  /// `had_ended`: when it was asked.
  void outcome(const std::string& operation, std::string_view state, std::string_view status_name, std::string_view result, bool had_ended);
  void outcome_unknown(std::int64_t wall_ms, const std::string& operation);

  // Operators
  void may_retry(const std::string& group, std::uint64_t id, int more);
  void may_drop(const std::string& group, std::uint64_t id, int more);

  /// After the calm: whatever has to be over is.
  void all_is_over() const;
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] std::size_t dead_of(const std::string& group) const;
  [[nodiscard]] const std::map<std::string, kept_stream>& streams() const { return streams_; }
  [[nodiscard]] const std::map<std::uint64_t, letter>& letters() const { return letters_; }
  [[nodiscard]] std::vector<std::string> groups() const;
  [[nodiscard]] bool has_group(const std::string& group) const { return groups_.contains(group); }
  [[nodiscard]] sums& totals() { return sums_; }
  [[nodiscard]] const sums& totals() const { return sums_; }
  [[nodiscard]] std::vector<std::string> patterns_of(const std::string& group) const;

 private:
  using place = std::pair<std::string, std::uint64_t>;  ///< stream and sequence
  using line = std::pair<std::string, std::string>;     ///< stream and key

  /// Whether the broker has to believe what a member says, or may have given it up before.
  enum class answer : std::uint8_t { none, doubtful, certain };
  /// One event in one group.
  struct handling {
    bool due = false;         ///< the group has to have it
    answer acked = answer::none;  ///< a member has said that it is done
    bool settled = false;     ///< and so the disk says, or that it is dead
    bool dead = false;
    bool revived = false;     ///< handed over though it is dead, because somebody asked for it
    std::uint32_t handed = 0; ///< times, since it was last dead
    std::uint32_t offered = 0;  ///< the same, with those that have not left
    std::uint32_t attempt = 0;
    std::uint32_t attempts_max = 0;
    std::optional<error> said;  ///< what its last member said that went wrong
    std::uint64_t letter = 0;
    std::uint64_t lease = 0;  ///< under which it is at a member now, as far as is known here
  };
  struct group_books {
    bool exists = false;      ///< on disk
    std::vector<std::string> patterns;
    std::map<std::string, std::uint64_t> settled;  ///< by stream: nothing up to this needs delivery, says the disk
    std::map<place, handling> events;
    std::map<line, std::set<std::uint64_t>> open;  ///< of a key: what is due and not over
    std::map<line, std::set<std::uint64_t>> busy;  ///< of a key: leases
    std::set<place> unsure;                        ///< acknowledged, but the disk does not say so yet
    int may_retry = 0, may_drop = 0;
  };
  struct lease_books {
    peer to = 0;
    std::string group;      ///< empty: of a durable command
    std::string stream;
    std::uint64_t sequence = 0;
    std::string key;
    std::string operation;
    instant at{};
    milliseconds budget{};
    bool lost = false;      ///< may be: its member may be taken for dead, or it has been called back
    bool over = false;      ///< certainly: whatever comes now is too late
  };
  struct peer_books {
    instant heard{};
    std::set<std::uint64_t> leases;
  };
  struct asked_command {
    std::string command, payload, key, idempotency_key;
    bool refused = false;
    std::string operation;
  };
  struct operation_books {
    std::uint64_t n = 0;
    std::string command, payload, idempotency_key;
    std::uint32_t begun = 0, handed = 0;
    bool ended = false;
    bool tried_again = false;
    bool late = false;  ///< its dead letter came to something when its outcome may have been forgotten
    std::int64_t ended_ms = 0, keep_ms = 0;
    std::uint64_t sequence = 0;
    status code = status::ok;
    std::string result;
    std::vector<std::pair<status, std::string>> said;  ///< by those that ran it
  };

  [[noreturn]] void fail(const std::string& what) const { throw violation{what}; }
  static std::string words(const std::string& group, const std::string& stream, std::uint64_t sequence) {
    return "event " + std::to_string(sequence) + " of " + stream + " in " + group;
  }
  const kept_event* find(const std::string& stream, std::uint64_t sequence) const;
  kept_event& event_at(const std::string& stream, std::uint64_t sequence);

  void on(std::int64_t wall_ms, const broker::write::append& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::accept& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::finish& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::group& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::progress& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::mark& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::bury& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::drop_dead& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::forget_group& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::trim& what, const broker::written& how);
  void on(std::int64_t wall_ms, const broker::write::expire_operations& what, const broker::written& how);
  void settle(group_books& in, const std::string& group, const std::string& stream, std::uint64_t sequence);
  void over(group_books& in, const std::string& stream, std::uint64_t sequence);

  void hands_over(instant clock, peer to, const wire::frame& frame, bool late);
  void hands_command_over(instant clock, peer to, const wire::frame& frame, bool late);
  void answered(const lease_books& under, bool certain, const wire::frame& frame);
  [[nodiscard]] bool may_be_lost(const lease_books& which, instant clock) const;
  void end_lease(std::uint64_t lease);
  const event_climate& in_;
  trace& log_;
  std::map<std::uint64_t, sending> sendings_;
  std::uint64_t sent_ = 0;
  std::map<std::string, kept_stream> streams_;
  std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, std::int64_t>> by_id_;  ///< stream and event id: newest sequence, time
  std::map<std::string, group_books> groups_;
  std::map<std::uint64_t, letter> letters_;
  std::map<std::uint64_t, lease_books> leases_;  ///< of the broker that runs now
  std::map<peer, peer_books> peers_;
  std::map<std::uint64_t, asked_command> asked_;
  std::map<std::string, operation_books> operations_;
  std::map<std::pair<std::string, std::string>, std::string> by_idempotency_key_;  ///< command and key: operation
  std::set<std::uint64_t> asked_to_retry_, asked_to_drop_;  ///< dead letters
  sums sums_;
};

/// Headers as the books give them to sendings, and read them back.
[[nodiscard]] std::string headers_of(std::uint64_t n, const event_books::sending& what);
[[nodiscard]] std::uint64_t number_in_headers(std::string_view headers);

}  // namespace waggle::sim
