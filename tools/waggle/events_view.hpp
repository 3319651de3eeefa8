#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/event.hpp>
#include <waggle/fields.hpp>

#include "tools/waggle/text.hpp"

/// What the broker's commands about events and durable commands answer (broker/PROTOCOL.md, "The broker's own commands"), and how it is
/// shown to people. Every text ends in a line feed.
namespace waggle::cli {

/// The answer to EMIT. An event that is only passed on has neither stream nor sequence.
struct emit_receipt {
  bool durable = false;
  std::optional<std::string> stream;
  std::optional<std::uint64_t> sequence;
  std::optional<bool> repeated;
};
WAGGLE_FIELDS(emit_receipt, durable, stream, sequence, repeated)

struct stream_row {
  std::string stream;
  std::vector<std::string> topics;  ///< patterns
  std::uint64_t first = 0;
  std::uint64_t head = 0;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> oldest_ms;  ///< how old the first is
};
WAGGLE_FIELDS(stream_row, stream, topics, first, head, events, bytes, oldest_ms)

struct stream_list {
  bool durable = false;
  std::vector<stream_row> streams;
  std::vector<std::string> ephemeral;  ///< patterns of topics that are not kept
};
WAGGLE_FIELDS(stream_list, durable, streams, ephemeral)

struct group_row {
  std::string group;
  std::string stream;
  std::vector<std::string> topics;
  std::uint64_t settled = 0;
  std::uint64_t head = 0;
  std::uint64_t lag = 0;        ///< events of the stream that are not settled
  std::uint64_t in_flight = 0;
  std::uint64_t retrying = 0;
  std::uint64_t waiting = 0;
  std::uint64_t dead = 0;
  std::uint64_t members = 0;    ///< slots of them
  std::optional<std::uint64_t> oldest_ms;
};
WAGGLE_FIELDS(group_row, group, stream, topics, settled, head, lag, in_flight, retrying, waiting, dead, members, oldest_ms)

struct group_list {
  std::uint64_t total = 0;
  std::vector<group_row> groups;
};
WAGGLE_FIELDS(group_list, total, groups)

struct dead_row {
  std::uint64_t id = 0;
  std::string group;
  std::string stream;
  std::uint64_t sequence = 0;
  std::string topic;
  std::uint64_t attempts = 0;
  std::optional<value> error;  ///< the last one: an error object
  std::int64_t dead_ms = 0;    ///< since 1970
  std::optional<std::string> event_id;
  std::uint64_t bytes = 0;
};
WAGGLE_FIELDS(dead_row, id, group, stream, sequence, topic, attempts, error, dead_ms, event_id, bytes)

struct dead_list {
  std::uint64_t total = 0;
  std::vector<dead_row> dead;
};
WAGGLE_FIELDS(dead_list, total, dead)

/// A dead letter with what was in it.
struct dead_letter {
  std::uint64_t id = 0;
  std::string group;
  std::string stream;
  std::uint64_t sequence = 0;
  std::string topic;
  std::uint64_t attempts = 0;
  std::optional<value> error;
  std::int64_t dead_ms = 0;
  std::optional<std::string> event_id;
  std::uint64_t bytes = 0;
  std::optional<value> payload;
  std::optional<value> headers;
  std::optional<std::int64_t> time_ms;  ///< when it was kept, since 1970; absent or 0: the event itself was not there any more
};
WAGGLE_FIELDS(dead_letter, id, group, stream, sequence, topic, attempts, error, dead_ms, event_id, bytes, payload, headers, time_ms)

/// The answer to a durable command.
struct later_receipt {
  std::string operation;
  std::optional<bool> repeated;
  std::string state;  ///< "waiting" or "ended"
};
WAGGLE_FIELDS(later_receipt, operation, repeated, state)

/// How a durable command stands, or has ended.
struct operation_outcome {
  std::string operation;
  std::string command;
  std::string state;
  std::optional<std::uint64_t> attempts;  ///< so far; not said of what has ended
  std::int64_t accepted_ms = 0;           ///< since 1970
  std::optional<std::int64_t> ended_ms;
  std::optional<std::uint64_t> next_attempt_ms;  ///< from now
  std::optional<std::string> status;
  std::optional<value> result;
  std::optional<value> error;
};
WAGGLE_FIELDS(operation_outcome, operation, command, state, attempts, accepted_ms, ended_ms, next_attempt_ms, status, result, error)

/// "kept as events 1042", "kept before, as events 1042", or that it is not on disk.
[[nodiscard]] std::string receipt_text(const emit_receipt& what);

/// Whether events of a topic are only passed on, as far as the broker's list says.
[[nodiscard]] bool is_ephemeral(const stream_list& all, std::string_view topic);

/// Which events a subscriber will not see, in a line without its end.
[[nodiscard]] std::string lost_text(const lost_events& what);

/// A line for each stream, and which topics are not kept.
[[nodiscard]] std::string streams_text(const stream_list& all, const screen& on);
/// A line for each group and stream that it reads. Nothing for an empty list.
[[nodiscard]] std::string groups_text(const group_list& all, const screen& on);

// `now_ms` is the time since 1970, for ages.
[[nodiscard]] std::string dead_text(const dead_list& all, std::int64_t now_ms, const screen& on);
[[nodiscard]] std::string dead_letter_text(const dead_letter& what, std::int64_t now_ms, const screen& on);
[[nodiscard]] std::string outcome_text(const operation_outcome& what, std::int64_t now_ms, const screen& on);

/// What `waggle outcome` ends with: 0, the exit code of the error's status, or `exit_not_ended`.
[[nodiscard]] int exit_code_of(const operation_outcome& what);

/// How long ago, as in "10m" or "7d": like other durations, with days, and up to ten thousand of them.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_age(std::string_view text);
/// For command-line parsers: the reason why a text is none, empty if it is one.
[[nodiscard]] std::string age_problem(const std::string& text);

}  // namespace waggle::cli
