#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/events/event_core.hpp"
#include "broker/events/event_log.hpp"
#include "sim/events/books.hpp"
#include "sim/events/climate.hpp"
#include "sim/random.hpp"

namespace waggle::sim {

/// A log that can be stopped and looked into, as the simulator needs it: what has been committed stays.
class disk {
 public:
  virtual ~disk() = default;
  virtual broker::event_log& log() = 0;
  /// Its record no longer matches its check sum.
  virtual void damage(const std::string& stream, std::uint64_t sequence) = 0;
};

/// `now_ms` is read whenever the log wants to know the time.
[[nodiscard]] std::unique_ptr<disk> make_disk(const std::int64_t& now_ms);

/// The thread that owns the log, and the disk under it: requests are done in their order, each takes its time, and what comes of
/// them is back at the core later still. A crash drops all that is not committed; the commit under way is done whole or not at all.
class log_station {
 public:
  struct answer {
    instant at;
    std::uint64_t ticket = 0;
    std::variant<result<broker::written>, broker::read_result> what;
  };

  log_station(const event_climate& in, random& chance, event_books& books, trace& log)
      : in_{in}, chance_{chance}, books_{books}, log_{log}, disk_{make_disk(wall_ms_)} {}

  broker::log_contents open(instant now);
  void ask(broker::event_effects::log_write what) { waiting_.emplace_back(std::move(what)); }
  void ask(broker::event_effects::log_read what) { waiting_.emplace_back(std::move(what)); }
  void wake(instant now);
  [[nodiscard]] instant next(instant now) const;
  bool receive(instant now, answer& into);
  /// Its process has died; `power`: the machine, too.
  void crash(instant now, bool power);

  void fail(instant until, status code) {
    failing_until_ = until;
    failing_as_ = code;
  }
  void damage(const std::string& stream, std::uint64_t sequence);
  [[nodiscard]] std::size_t waiting() const { return waiting_.size() + working_.size(); }
  [[nodiscard]] std::int64_t wall_ms(instant now) const {
    return 1'700'000'000'000 + std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
  }

 private:
  using request = std::variant<broker::event_effects::log_write, broker::event_effects::log_read>;

  void begin(instant now);
  void commit(instant now, bool to_be_told);
  void look_up(instant now);

  static constexpr std::size_t batch_max = 512;

  const event_climate& in_;
  random& chance_;
  event_books& books_;
  trace& log_;
  std::int64_t wall_ms_ = 0;
  std::unique_ptr<disk> disk_;
  std::deque<request> waiting_;
  std::vector<request> working_;  ///< writes, or one read
  instant done_at_ = instant::max();
  std::deque<answer> answers_;
  instant failing_until_{};
  status failing_as_ = status::unavailable;
};

}  // namespace waggle::sim
