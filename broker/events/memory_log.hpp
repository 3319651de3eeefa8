#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>

#include "broker/events/event_log.hpp"
#include "broker/events/log_parts.hpp"

namespace waggle::broker {

/// A log that is gone with its process: the broker's with `--data none`, and what any other log is compared with in tests. It is slow
/// and obvious where that costs nothing that matters, and as large as what is not trimmed. A copy is a snapshot: what a simulator
/// goes back to after a power cut.
class memory_log final : public event_log {
 public:
  /// `durable` is what it says of itself; only a simulator says true.
  explicit memory_log(log_sources from, bool durable = false) : sources_{std::move(from)}, durable_{durable} {}

  [[nodiscard]] bool durable() const override { return durable_; }
  result<log_contents> open() override;
  write_result commit(const std::vector<write_entry>& batch) override;
  read_result look_up(const read_entry& what) override;

 private:
  struct stream {
    std::deque<stored_event> events;  ///< without holes
    std::uint64_t head = 0;
    std::uint64_t bytes = 0;
    std::int64_t newest_ms = 0;
    std::map<std::string, std::uint64_t> newest_of_id;  ///< sequences of events that are there, by event id

    [[nodiscard]] std::uint64_t first() const { return events.empty() ? head + 1 : events.front().sequence; }
    [[nodiscard]] const stored_event* at(std::uint64_t sequence) const {
      return sequence < first() || sequence > head ? nullptr : &events[static_cast<std::size_t>(sequence - first())];
    }
  };
  struct operation {
    stored_operation known;
    std::string asked_with;  ///< its payload
    std::string key;         ///< of idempotency
    std::int64_t keep_until_ms = 0;
  };
  struct cursor {
    std::uint64_t settled = 0;
    std::uint64_t reserved = 0;
  };
  struct event_mark {
    write::mark said;
    std::int64_t due_ms = 0;
  };
  using group_stream = std::pair<std::string, std::string>;
  using mark_key = std::pair<group_stream, std::uint64_t>;

  written apply(const write::append& what);
  written apply(const write::accept& what);
  written apply(const write::finish& what);
  written apply(const write::group& what);
  written apply(const write::progress& what);
  written apply(const write::mark& what);
  written apply(const write::bury& what);
  written apply(const write::drop_dead& what);
  written apply(const write::forget_group& what);
  written apply(const write::trim& what);
  written apply(const write::expire_operations& what);

  found look(const read::events& what) const;
  found look(const read::place& what) const;
  found look(const read::dead_letters& what) const;
  found look(const read::operation& what) const;

  written add(stream& to, stored_event event);
  [[nodiscard]] std::int64_t now_in(const stream& in) const { return std::max(now_ms_, in.newest_ms); }
  [[nodiscard]] bool is_settled(const std::string& group, const std::string& of, std::uint64_t sequence) const;

  log_sources sources_;
  bool durable_;
  std::int64_t now_ms_ = 0;  ///< of the batch or the read
  std::map<std::string, stream> streams_;
  std::map<std::string, std::string> groups_;
  std::map<group_stream, cursor> cursors_;
  std::map<mark_key, event_mark> marks_;
  std::map<std::uint64_t, dead_letter> dead_;
  std::uint64_t last_dead_ = 0;
  std::map<std::string, operation> operations_;
};

}  // namespace waggle::broker
