#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/events/memory_log.hpp"
#include "sim/events/books.hpp"
#include "sim/random.hpp"

namespace waggle::sim {

/// What survives: a log whose commits are whole or not at all, and which fails as disks do. It outlives the brokers that use it.
class disk final : public broker::event_log {
 public:
  disk(const event_climate& in, random& chance, event_books& books, trace& log)
      : in_{in}, chance_{chance}, books_{books}, log_{log}, kept_{{[this] { return wall_ms_; }, [this] { return chance_.next(); }}, true} {}

  /// What it takes for the time.
  void set_clock(instant now);
  /// It fails until then.
  void fail(instant until, status code) {
    failing_until_ = until;
    failing_as_ = code;
  }
  /// An event's record no longer matches its check sum.
  void damage(const std::string& stream, std::uint64_t sequence) { damaged_.emplace(stream, sequence); }
  /// So many commits are done yet; then the power is gone, and `power_gone` is thrown.
  void die_after(std::uint32_t commits) { commits_left_ = static_cast<int>(commits); }
  void live() { commits_left_ = -1; }
  struct power_gone {};

  [[nodiscard]] bool durable() const override { return true; }
  result<broker::log_contents> open() override { return kept_.open(); }
  broker::write_result commit(const std::vector<broker::write_entry>& batch) override;
  broker::read_result look_up(const broker::read_entry& what) override;

 private:
  const event_climate& in_;
  random& chance_;
  event_books& books_;
  trace& log_;
  instant now_{};
  std::int64_t wall_ms_ = 0;
  broker::memory_log kept_;
  std::set<std::pair<std::string, std::uint64_t>> damaged_;
  instant failing_until_{};
  status failing_as_ = status::unavailable;
  int commits_left_ = -1;
};

}  // namespace waggle::sim
