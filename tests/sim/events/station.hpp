#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "broker/events/event_core.hpp"
#include "broker/events/log_queue.hpp"
#include "sim/events/disk.hpp"

namespace waggle::sim {

/// The thread that owns the log, with the disk under it: what broker/events/log_thread does, in virtual time. Requests are done in
/// batches that take their time, and what comes of them is back at the core later still. A crash drops all that is not committed; the
/// commit under way is done whole or not at all.
class log_station {
 public:
  struct answer {
    instant at;
    std::variant<broker::log_answers::wrote, broker::log_answers::looked_up> what;
  };

  log_station(const event_climate& in, random& chance, event_books& books, trace& log)
      : in_{in}, chance_{chance}, log_{log}, disk_{in, chance, books, log} {}

  broker::log_contents open(instant now);
  void write(std::uint64_t ticket, broker::write_entry what) { queue_->write(ticket, std::move(what)); }
  void read(std::uint64_t ticket, broker::read_entry what) { queue_->read(ticket, std::move(what)); }
  void wake(instant now);
  [[nodiscard]] instant next(instant now) const;
  bool receive(instant now, answer& into);
  /// Its process has died; `power`: the machine, too.
  void crash(instant now, bool power);

  [[nodiscard]] disk& under() { return disk_; }
  [[nodiscard]] std::size_t waiting() const { return queue_ ? queue_->waiting() : 0; }

 private:
  const event_climate& in_;
  random& chance_;
  trace& log_;
  disk disk_;
  std::optional<broker::log_queue> queue_;
  instant done_at_ = instant::max();  ///< of what is under way
  std::deque<answer> answers_;
};

}  // namespace waggle::sim
