#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/role.hpp"
#include "broker/core/types.hpp"
#include "broker/events/event_log.hpp"
#include "broker/events/topic_settings.hpp"

namespace waggle::broker {

/// Everything that bounds or times the events. The answer when a bound is met stands beside it.
struct event_settings {
  /// Of a broker without a log: every topic is ephemeral.
  [[nodiscard]] static event_settings without_log() {
    event_settings out;
    out.topics = {{}, {"*"}};
    return out;
  }

  topic_settings topics;
  bool durable = false;   ///< whether the log is; without, emits that want a receipt and durable commands are refused: FAILED_PRECONDITION
  bool memory_receipts = false;  ///< they are taken all the same, and the receipts say that they are not durable: for programs under development
  std::uint64_t seed = 1; ///< of the jitter in retries

  milliseconds once_within{600'000};          ///< an event id that comes again within this is the same event
  milliseconds keep_operations{86'400'000};   ///< so long the outcome of a durable command can be fetched
  milliseconds untaken_max{600'000};          ///< so long an event waits for a member of its group that takes its topic: a dead letter after
  milliseconds unserved_max{86'400'000};      ///< the same for a durable command that nobody serves
  milliseconds pulse{1000};                   ///< how often subscribers are told how far the streams are
  std::uint32_t command_attempts = 8;         ///< of a durable command, with the back-off of events
  milliseconds backoff{1000};
  milliseconds backoff_max{300'000};

  std::size_t appending_max = 100'000;        ///< events on their way to the log: RESOURCE_EXHAUSTED
  std::size_t appending_bytes_max = 64u << 20;
  std::size_t window_max = 10'000;            ///< events of a group beyond its oldest unsettled one: the group gets no new ones until that is settled
  std::size_t loaded_bytes_max = 8u << 20;    ///< payloads of a group that are in memory to be delivered: they are read again later
  std::size_t in_flight_max = 1024;           ///< deliveries of a group at a time
  std::size_t groups_max = 1024;              ///< RESOURCE_EXHAUSTED to the JOIN
  std::size_t prefixes_max = 4096;            ///< subscriptions whose gaps can be told exactly; others read more often than they need
  std::size_t reads_max = 1024;               ///< reads of the log by peers under way: RESOURCE_EXHAUSTED
  std::size_t outcome_watchers_max = 4096;    ///< callers of waggle.outcome that wait: RESOURCE_EXHAUSTED
};

/// What happened that nobody is told of one by one.
struct event_counters {
  std::uint64_t appended = 0;
  std::uint64_t repeated = 0;         ///< emits of an event that was kept already
  std::uint64_t ephemeral = 0;        ///< broadcast only
  std::uint64_t dropped = 0;          ///< events without receipt that could not be kept
  std::uint64_t delivered = 0;        ///< deliveries that were begun
  std::uint64_t failed = 0;           ///< deliveries that failed, or whose end is not known
  std::uint64_t dead = 0;             ///< dead letters made
  std::uint64_t damaged = 0;          ///< records that did not match their check sums
  std::uint64_t log_failures = 0;     ///< batches that could not be written
};

/// What `event_core` wants done; whoever drives it does it, in order, and clears it.
struct event_effects {
  /// Ends a call that was handed to it.
  struct answer {
    std::uint64_t lease = 0;
    status code = status::ok;
    std::string payload;  ///< the result, or an error object
  };
  /// Hands an event to a member of a group, or calls a command; ends in one `delivered`.
  struct delivery {
    std::uint64_t ticket = 0;
    std::string command;    ///< who takes it: `event_command(group, pattern)`, or the durable command's own name
    bool is_event = false;  ///< an EVENT frame goes out instead of a CALL
    std::string topic;      ///< of the event
    std::string payload;
    std::string headers;
    std::string about;      ///< of the event
    milliseconds budget{};  ///< from when a worker has it
  };
  struct broadcast {
    std::string topic;
    std::string event;  ///< an EVENT frame
  };
  struct log_write {
    std::uint64_t ticket = 0;  ///< 0: nobody waits for what comes of it
    write_entry what;
  };
  struct log_read {
    std::uint64_t ticket = 0;
    read_entry what;
  };

  std::vector<answer> answers;
  std::vector<delivery> deliveries;
  std::vector<broadcast> broadcasts;
  std::vector<log_write> writes;
  std::vector<log_read> reads;
  std::vector<std::string> notes;

  [[nodiscard]] bool empty() const {
    return answers.empty() && deliveries.empty() && broadcasts.empty() && writes.empty() && reads.empty() && notes.empty();
  }
  void clear() {
    answers.clear();
    deliveries.clear();
    broadcasts.clear();
    writes.clear();
    reads.clear();
    notes.clear();
  }
};

/// The name under which the broker's directory knows who takes events of a pattern for a group. No peer can call it: it has spaces.
[[nodiscard]] inline std::string event_command(std::string_view group, std::string_view pattern) {
  std::string out{"waggle.event "};
  return out.append(group).append(1, ' ').append(pattern);
}

/// Group and pattern of such a name; nothing for the name of a command.
[[nodiscard]] inline std::optional<std::pair<std::string_view, std::string_view>> read_event_command(std::string_view name) {
  constexpr std::string_view begin = "waggle.event ";
  if (!name.starts_with(begin)) return std::nullopt;
  name.remove_prefix(begin.size());
  const auto space = name.find(' ');
  return std::pair{name.substr(0, space), name.substr(space + 1)};
}

/// What `event_core` asks about workers.
class event_members {
 public:
  virtual ~event_members() = default;
  /// Slots, free or not, of the workers that take calls of this command now; 0: nobody does.
  [[nodiscard]] virtual std::uint32_t slots_of(std::string_view command) const = 0;
  /// Whether calls of it may run again when nobody knows whether they have run.
  [[nodiscard]] virtual bool may_repeat(std::string_view command) const = 0;
};

/// How a delivery ended.
struct delivery_outcome {
  status code = status::ok;
  std::string_view payload;  ///< the reply, or the error object
  bool handed_over = false;  ///< a worker may have had it
  bool answered = false;     ///< that worker said so itself
};

/// Events between emitters, the log, consumer groups and subscribers; durable commands, which are events that one built-in group
/// consumes by calling them. No socket, clock, thread or log file: what is to be read and written is an effect, and what came of it
/// is given back in `logged`. Calls must come with a `now` that never runs backwards.
class event_core {
 public:
  event_core(event_settings from, const event_members& members);
  ~event_core();
  event_core(const event_core&) = delete;
  event_core& operator=(const event_core&) = delete;

  /// What the log held when it was opened. Before anything else.
  void open(instant now, const log_contents& what);

  // From peers. A lease names a call that ends by `answer`, now or later; 0 is nobody's.

  /// An event: kept if its topic's stream is, and broadcast; the receipt is the answer.
  void emit(instant now, std::uint64_t lease, std::string_view topic, std::string_view payload, std::string_view headers);
  /// Whether an event of this topic is only broadcast. Whoever does that without `emit` says so.
  [[nodiscard]] bool is_ephemeral(std::string_view topic) const;
  void passed_on();
  /// A durable command: the receipt is the answer. `budget` is for each time it is run.
  void later(instant now, std::uint64_t lease, std::string_view command, std::string_view payload, std::string_view headers, milliseconds budget);
  /// One of the broker's commands about events (`waggle.streams`, …). False if it is none of them. What is told of events is what the role may see;
  /// null: everything.
  bool ask(instant now, std::uint64_t lease, std::string_view command, std::string_view payload, milliseconds budget,
           std::shared_ptr<const role> asked_by = nullptr);
  /// Whether `ask` would take it.
  [[nodiscard]] static bool answers(std::string_view command);
  /// Whether it changes nothing.
  [[nodiscard]] static bool only_reads(std::string_view command);
  /// Nobody waits for the answer any more.
  void abandon(std::uint64_t lease);
  /// Somebody subscribes to this prefix on the events' socket.
  void subscribed(std::string_view prefix);

  // From the network.

  /// Whether a worker of `service` may handle these: RESOURCE_EXHAUSTED when there are too many groups, UNAVAILABLE while one of them is being
  /// forgotten.
  [[nodiscard]] result<void> may_join(const std::vector<event_manifest>& what, std::string_view service) const;
  /// A worker has joined (first or again) that handles these.
  void joined(instant now, const std::vector<event_manifest>& what, std::string_view service);
  /// Workers have come or gone, or have other slots: `event_members` answers differently.
  void members_changed(instant now);
  void delivered(instant now, std::uint64_t ticket, const delivery_outcome& how);

  // From the log.

  void wrote(instant now, std::uint64_t ticket, const result<written>& what);
  void looked_up(instant now, std::uint64_t ticket, const read_result& what);

  void tick(instant now);
  [[nodiscard]] instant next_deadline() const;
  /// Whether events that are kept are on a disk.
  [[nodiscard]] bool is_durable() const;
  /// What is to be done now.
  [[nodiscard]] event_effects& effects();
  [[nodiscard]] const event_counters& counts() const;
  /// Events that are on their way to the log.
  [[nodiscard]] std::size_t appending() const;

 private:
  class parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace waggle::broker
