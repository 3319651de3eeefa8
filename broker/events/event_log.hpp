#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/status.hpp>

/// Where events are kept. A backend is as simple as it can be: it writes batches, reads, and decides nothing. What a group is, when
/// an event is tried again and when it is dead is decided by `event_core`; the backend keeps what that says.
///
/// tests/unit/event_log_suite.hpp is what any backend must pass.
namespace waggle::broker {

/// An event as it lies in a stream.
struct stored_event {
  std::uint64_t sequence = 0;  ///< 1 and up, without holes when they are given; trimmed and damaged ones leave holes
  std::int64_t time_ms = 0;    ///< when it was kept, in ms since 1970 by the backend's clock; never less than that of the one before
  std::string topic;           ///< of a durable command: the command
  std::string payload;         ///< one msgpack value, or empty
  std::string headers;         ///< one msgpack map, or empty
  std::string event_id;        ///< as its emitter named it, or empty; of a durable command: the operation

  friend bool operator==(const stored_event&, const stored_event&) = default;
};

/// What is to be written. The entries of a batch take effect in their order, and all together or not at all.
namespace write {

/// Adds an event to the end of a stream, which comes into being with its first. If an event of this stream with the same (not empty)
/// `event_id` was kept less than `once_within_ms` ago, nothing is added and that one's sequence is the result.
struct append {
  std::string stream;
  std::string topic;
  std::string payload;
  std::string headers;
  std::string event_id;
  std::int64_t once_within_ms = 0;
};

/// Adds a durable command to `stream` as an event whose `event_id` is a new operation's id (32 hexadecimal digits that cannot be guessed),
/// and opens the operation. With an `idempotency_key` that an operation of the same command has had (and is still known): nothing
/// is added, and the result is that operation.
struct accept {
  std::string stream;
  std::string command;
  std::string payload;
  std::string headers;
  std::string idempotency_key;
};

/// Writes down how an operation has ended; anew when its dead letter was tried again. `keep_ms` later it may be forgotten. Unknown operations are
/// stepped over, and so are those that have succeeded: somebody may have been told so.
struct finish {
  std::string operation;
  status code = status::ok;
  std::string payload;  ///< the reply, or the error object
  std::int64_t keep_ms = 0;
};

/// What a group is: made anew, or said anew. `about` is the core's own, one msgpack map.
struct group {
  std::string group;
  std::string about;
};

/// How far a group is in a stream. Marks of events up to `settled` are forgotten. Makes the group's cursor on its first time.
struct progress {
  std::string group;
  std::string stream;
  std::uint64_t settled = 0;   ///< every event up to this needs no delivery (any more)
  std::uint64_t reserved = 0;  ///< no event beyond this has been delivered for the first time
};

/// How far one event is in a group, beyond `settled`. A mark with fewer attempts than the one that is there is stale, and stepped over.
struct mark {
  std::string group;
  std::string stream;
  std::uint64_t sequence = 0;
  std::uint32_t attempts = 0;   ///< deliveries that have been begun
  bool begun = false;           ///< the last of them may still be under way
  bool settled = false;         ///< it needs no more delivery
  std::int64_t retry_in_ms = 0; ///< when the next delivery is due, from now on
  std::string why;              ///< the last error object, as msgpack; or empty
};

/// Sets an event aside for a group, with a copy of everything: a dead letter. It also marks it as settled. An event that is not there any more
/// (damaged, trimmed) is set aside without payload. Of one that is a dead letter of this group already, the attempts and the error
/// are said anew.
struct bury {
  std::string group;
  std::string stream;
  std::uint64_t sequence = 0;
  std::uint32_t attempts = 0;
  std::string why;  ///< the last error object, as msgpack
};

/// Forgets a dead letter: it was handled after all, or is not wanted. Unknown ones are stepped over.
struct drop_dead {
  std::uint64_t id = 0;
};

/// Forgets a group: its cursors, marks and dead letters.
struct forget_group {
  std::string group;
};

/// Forgets the oldest events of a stream, at most `count_max`, while they are older than `age_max_ms` or the stream is larger than `bytes_max`; never beyond
/// `sequence_max`. Dead letters keep their copies.
struct trim {
  std::string stream;
  std::int64_t age_max_ms = 0;
  std::uint64_t bytes_max = 0;
  std::uint64_t sequence_max = 0;
  std::uint32_t count_max = 0;
};

/// Forgets operations that have ended and whose time to be kept has passed, at most `count_max`.
struct expire_operations {
  std::uint32_t count_max = 0;
};

}  // namespace write

using write_entry = std::variant<write::append, write::accept, write::finish, write::group, write::progress, write::mark, write::bury,
                                 write::drop_dead, write::forget_group, write::trim, write::expire_operations>;

/// What became of an entry; which members mean something depends on the entry.
struct written {
  std::uint64_t sequence = 0;   ///< append, accept: of the event, or of the one that was there before
  std::int64_t time_ms = 0;     ///< append, accept: its time
  bool repeated = false;        ///< append, accept: it was there before
  bool conflict = false;        ///< accept: the idempotency key was used with another payload
  bool ended = false;           ///< accept, when repeated: the operation has ended
  std::string operation;        ///< accept
  std::uint64_t id = 0;         ///< bury: the dead letter's
  std::uint64_t count = 0;      ///< drop_dead, forget_group, trim, expire_operations: what was forgotten (letters, groups, events, operations)
  std::uint64_t first = 0;      ///< trim: the oldest sequence that is still there; head + 1 if none is
  std::uint64_t bytes = 0;      ///< append, accept, trim: of the stream's events now (topics, payloads, headers, ids)
};

/// A batch ends as a whole: everything in it is durable (whatever durable means here), or nothing of it has happened. RESOURCE_EXHAUSTED: the
/// disk is full; UNAVAILABLE: it could not be written otherwise; DATA_LOSS: what is there is damaged.
using write_result = result<std::vector<written>>;

/// What is to be read.
namespace read {

/// Events of a stream from a sequence on (or the next that is there), in order.
struct events {
  std::string stream;
  std::uint64_t from = 1;
  std::vector<std::string> prefixes;      ///< of topics; empty: all
  std::uint32_t count_max = 1;            ///< events in the answer
  std::uint64_t bytes_max = 1u << 20;     ///< of them; one larger event comes alone
  std::uint32_t scanned_max = 10'000;     ///< events looked at
};

/// Events that are looked at, from the newest back, to find the last ones that match.
inline constexpr std::uint32_t place_scanned_max = 100'000;

/// Where to begin: with the oldest event that is not older than `age_max_ms`, or so that `last` events that match are behind it (fewer, if
/// not so many are among the last `place_scanned_max`). One of both.
struct place {
  std::string stream;
  std::vector<std::string> prefixes;
  std::int64_t age_max_ms = -1;
  std::uint64_t last = 0;
};

/// Dead letters in the order of their ids, from `from` on.
struct dead_letters {
  std::string group;  ///< empty: of all groups
  std::uint64_t from = 0;
  std::uint32_t count_max = 100;
  bool with_payload = false;
  std::uint64_t bytes_max = 1u << 20;  ///< of payloads and headers; one larger comes alone
};

struct operation {
  std::string operation;
};

}  // namespace read

using read_entry = std::variant<read::events, read::place, read::dead_letters, read::operation>;

struct dead_letter {
  std::uint64_t id = 0;
  std::string group;
  std::string stream;
  stored_event event;      ///< without payload and headers if they were not asked for; `time_ms` 0 if it was not there any more
  std::uint64_t bytes = 0; ///< of payload and headers
  std::uint32_t attempts = 0;
  std::string why;         ///< error object as msgpack
  std::int64_t dead_ms = 0;
};

/// What an operation is, as far as the log knows.
struct stored_operation {
  std::string operation;
  std::string command;
  std::uint64_t sequence = 0;  ///< in the stream of durable commands
  std::int64_t accepted_ms = 0;
  std::optional<std::int64_t> ended_ms;
  status code = status::ok;
  std::string payload;
};

/// The answer to a `read_entry`.
struct found {
  std::vector<stored_event> events;
  std::uint64_t next = 0;              ///< events: everything that matches below this is in `events` or `damaged`. place: where to begin
  std::vector<std::uint64_t> damaged;  ///< sequences (dead_letters: ids) whose record does not match its check sum; not in `events` or `dead`
  std::vector<dead_letter> dead;
  std::uint64_t total = 0;             ///< dead_letters: all of the group
  std::optional<stored_operation> operation;
};

using read_result = result<found>;

/// What a log holds when it is opened.
struct log_contents {
  struct stream {
    std::string stream;
    std::uint64_t first = 1;  ///< the oldest event that is there; head + 1 if none is
    std::uint64_t head = 0;   ///< the newest ever
    std::uint64_t bytes = 0;
    std::int64_t oldest_age_ms = 0;
  };
  struct cursor {
    std::string group;
    std::string stream;
    std::uint64_t settled = 0;
    std::uint64_t reserved = 0;
  };
  std::vector<stream> streams;
  std::vector<write::group> groups;
  std::vector<cursor> cursors;
  std::vector<write::mark> marks;  ///< `retry_in_ms` is what is left of it; negative when it is over
  struct dead_count {
    std::string group;
    std::uint64_t count = 0;
  };
  std::vector<dead_count> dead;
};

/// One log. Not thread-safe; whoever owns it decides on which thread it is used, and it may block.
class event_log {
 public:
  virtual ~event_log() = default;
  /// Whether what was written survives the process, and the machine.
  [[nodiscard]] virtual bool durable() const = 0;
  /// Everything that is there. Once, before anything else.
  virtual result<log_contents> open() = 0;
  virtual write_result commit(const std::vector<write_entry>& batch) = 0;
  virtual read_result look_up(const read_entry& what) = 0;
};

}  // namespace waggle::broker
