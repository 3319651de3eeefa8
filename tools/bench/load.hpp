#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "tools/bench/histogram.hpp"

namespace waggle::bench {

/// What is put on a network.
struct load {
  std::size_t in_flight = 64;      ///< under way at the most; with a rate, the bound past which what is due has to wait
  std::size_t payload_bytes = 64;
  double rate = 0;                 ///< begun in a second, evenly; 0: as fast as answers come
  std::chrono::duration<double> warm_up{1};
  std::chrono::duration<double> duration{5};  ///< that is measured, behind the warm-up
};

/// When to begin what, and what came of it. No clock and no thread: a program asks whether something may begin, begins it, and reports its end,
/// from one thread.
///
/// With a rate the load is open: each call has an instant at which it was due, whatever the system does, and what it took is counted from there. So
/// a system that stands still for a second is found to have made everybody who came in that second wait ("coordinated omission" is the mistake of
/// counting one of them).
class load_driver {
 public:
  using instant = std::chrono::steady_clock::time_point;

  load_driver(const load& of, instant begin)
      : of_{of}, begin_{begin}, measured_from_{begin + in_ticks(of.warm_up)}, end_{measured_from_ + in_ticks(of.duration)} {}

  /// Whether another may begin now.
  [[nodiscard]] bool may_begin(instant now) const { return now < end_ && under_way() < of_.in_flight && next_due() <= now; }
  /// When the next is due; the distant past without a rate.
  [[nodiscard]] instant next_due() const {
    if (of_.rate <= 0) return instant::min();
    return begin_ + in_ticks(std::chrono::duration<double>{static_cast<double>(begun_) / of_.rate});
  }
  /// One begins: returns the instant from which it counts, which goes back to `ended`.
  instant begin_one(instant now) {
    const auto from = of_.rate <= 0 ? now : std::min(next_due(), now);
    ++begun_;
    return from;
  }
  void ended(instant now, instant from, bool good) {
    ++ended_;
    if (now < measured_from_ || now >= end_) return;
    ++(good ? good_ : failed_);
    if (good) took_.record(static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::nanoseconds{now - from}.count())));
  }

  [[nodiscard]] std::size_t under_way() const { return static_cast<std::size_t>(begun_ - ended_); }
  [[nodiscard]] instant measured_from() const { return measured_from_; }
  [[nodiscard]] instant end() const { return end_; }
  /// Of those that ended while it was measured.
  [[nodiscard]] std::uint64_t good() const { return good_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] const histogram& took() const { return took_; }
  [[nodiscard]] double per_second() const { return static_cast<double>(good_) / of_.duration.count(); }
  /// Due while it was measured, but not begun before its end: the system did not keep up with the rate.
  [[nodiscard]] std::uint64_t not_begun() const {
    const auto due = of_.rate <= 0 ? 0 : static_cast<std::uint64_t>(of_.rate * (of_.warm_up + of_.duration).count());
    return due > begun_ ? due - begun_ : 0;
  }

 private:
  static std::chrono::steady_clock::duration in_ticks(std::chrono::duration<double> of) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(of);
  }

  load of_;
  instant begin_;
  instant measured_from_;
  instant end_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t good_ = 0;
  std::uint64_t failed_ = 0;
  histogram took_;
};

}  // namespace waggle::bench
