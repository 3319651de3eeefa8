#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "broker/core/types.hpp"
#include "broker/events/event_log.hpp"

namespace waggle::broker {

struct log_queue_settings {
  std::size_t batch_entries_max = 4096;      ///< written with one commit
  std::size_t batch_bytes_max = 8u << 20;    ///< likewise; one larger entry goes alone
  std::size_t reads_max = 64;                ///< answered before the next batch is written
  std::size_t kept_max = 200'000;            ///< entries kept for a log that cannot be written: RESOURCE_EXHAUSTED for what comes then
  milliseconds retry{1000};                  ///< so long after a failure they are tried again
};

/// What became of what was put into a `log_queue`.
struct log_answers {
  struct wrote {
    std::uint64_t ticket = 0;
    result<written> what;
  };
  struct looked_up {
    std::uint64_t ticket = 0;
    read_result what;
  };
  std::vector<wrote> writes;
  std::vector<looked_up> reads;
  std::vector<std::string> notes;  ///< for the broker's log: that it cannot write, that it can again

  [[nodiscard]] bool empty() const { return writes.empty() && reads.empty() && notes.empty(); }
};

/// Makes batches of what is to be written, so that one sync serves all who wait, and decides what happens when that fails:
///
/// - Events and durable commands are answered with the error. Who sent them decides whether to send them again.
/// - Everything else (how far groups are, dead letters, outcomes, trims) is kept, in order and before what comes later, and tried
///   again, so that a full disk costs no acknowledgement. Trims go before it: they make room. But not before what still needs the events: a dead
///   letter that is to have a copy of one, or a group that is to be forgotten and has not handled them.
/// - A `finish` and the entry behind it are in one batch.
/// - An entry by whose own fault a batch fails (one that touches a damaged part of the log, say) is looked for, and fails alone.
///
/// No thread and no clock: whoever drives it calls `run`, which blocks as long as the log does.
class log_queue {
 public:
  explicit log_queue(event_log& log, log_queue_settings from = {}) : log_{log}, settings_{from} {}

  /// There is no answer for ticket 0.
  void write(std::uint64_t ticket, write_entry what);
  void read(std::uint64_t ticket, read_entry what);

  /// Writes one batch, then answers reads. They see what was written up to now.
  void run(instant now, log_answers& out);
  /// From when on `run` has something to do: `instant::min()` now, `instant::max()` not before something is put in.
  [[nodiscard]] instant next_run() const;
  /// Entries that are neither written nor answered yet.
  [[nodiscard]] std::size_t waiting() const { return kept_.size() + waiting_.size(); }
  /// Whether the log could not be written the last time.
  [[nodiscard]] bool failing() const { return !kept_.empty(); }

 private:
  struct item {
    std::uint64_t ticket;
    write_entry what;
  };
  using item_list = std::deque<item>;

  void retry(instant now, log_answers& out);
  void refuse_waiting(log_answers& out);
  item_list take_batch(item_list& from) const;
  [[nodiscard]] item_list take_what_makes_room();
  bool commit(item_list batch, log_answers& out);
  void keep(item_list what, const error& why, log_answers& out);

  event_log& log_;
  log_queue_settings settings_;
  item_list waiting_;
  item_list kept_;  ///< after a failure: before everything in `waiting_`; without events and durable commands
  struct read_item {
    std::uint64_t ticket;
    read_entry what;
  };
  std::deque<read_item> reads_;
  instant retry_at_ = instant::min();
  error last_failure_;
  bool noted_ = false;
};

}  // namespace waggle::broker
