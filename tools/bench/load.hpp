#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
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
  std::chrono::duration<double> first_due{0};  ///< with a rate: behind the beginning, so that several that share one take turns
};

/// When to begin what, and what came of it. No clock and no thread: a program asks whether something may begin, begins it, and reports its end,
/// from one thread.
///
/// With a rate the load is open: each call has an instant at which it was due, whatever the system does, and what it took is counted from there. So
/// a system that stands still for a second is found to have made everybody who came in that second wait ("coordinated omission" is the mistake of
/// counting one of them).
///
/// What is measured is what ends behind the warm-up. Without a rate it is over at the end. With one, what was begun until then is waited for and counts, or
/// what was slowest would be left out.
class load_driver {
 public:
  using instant = std::chrono::steady_clock::time_point;

  load_driver(const load& of, instant begin)
      : of_{of}, begin_{begin}, measured_from_{begin + in_ticks(of.warm_up)}, end_{measured_from_ + in_ticks(of.duration)} {}

  /// Whether another may begin now.
  [[nodiscard]] bool may_begin(instant now) const { return now < end_ && under_way() < of_.in_flight && next_due() <= now; }
  /// When the next is due; the distant past without a rate.
  [[nodiscard]] instant next_due() const {
    if (!is_open()) return instant::min();
    return begin_ + in_ticks(of_.first_due + std::chrono::duration<double>{static_cast<double>(begun_) / of_.rate});
  }
  /// One begins: returns the instant from which it counts, which goes back to `ended`.
  instant begin_one(instant now) {
    const auto from = is_open() ? std::min(next_due(), now) : now;
    ++begun_;
    if (is_open() && now >= measured_from_) late_.record(nanoseconds(now - from));
    return from;
  }
  /// Whether it was measured.
  bool ended(instant now, instant from, bool good) {
    ++ended_;
    const bool in_time = now < end_;
    if (now < measured_from_ || (!in_time && !is_open())) return false;
    ++(good ? good_ : failed_);
    if (in_time) ++(good ? good_in_time_ : failed_in_time_);
    if (good) took_.record(nanoseconds(now - from));
    return true;
  }
  /// It is over earlier than was thought.
  void end_at(instant end) { end_ = std::min(end_, std::max(end, begin_)); }

  [[nodiscard]] std::size_t under_way() const { return static_cast<std::size_t>(begun_ - ended_); }
  [[nodiscard]] instant measured_from() const { return measured_from_; }
  [[nodiscard]] instant end() const { return end_; }
  /// How long it has been measured, at the end.
  [[nodiscard]] std::chrono::duration<double> measured() const { return std::max(end_ - measured_from_, instant::duration{0}); }
  /// Of those that were measured.
  [[nodiscard]] std::uint64_t good() const { return good_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] const histogram& took() const { return took_; }
  /// Of these, those that ended before the end: they are what a second carries.
  [[nodiscard]] std::uint64_t good_in_time() const { return good_in_time_; }
  [[nodiscard]] std::uint64_t failed_in_time() const { return failed_in_time_; }
  [[nodiscard]] double per_second() const { return measured().count() > 0 ? static_cast<double>(good_in_time_) / measured().count() : 0; }
  /// With a rate, how much later than they were due they were begun: what the load itself adds, and what waits for a place in flight.
  [[nodiscard]] const histogram& late() const { return late_; }
  /// Due while it was measured; 0 without a rate.
  [[nodiscard]] std::uint64_t due() const { return due_before(std::max(end_, measured_from_)) - due_before(measured_from_); }
  /// Due while it was measured, but not begun before its end: the system did not keep up with the rate.
  [[nodiscard]] std::uint64_t not_begun() const {
    const auto due = due_before(end_), begun = std::max(begun_, due_before(measured_from_));
    return due > begun ? due - begun : 0;
  }

 private:
  static std::chrono::steady_clock::duration in_ticks(std::chrono::duration<double> of) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(of);
  }

  static std::uint64_t nanoseconds(std::chrono::steady_clock::duration of) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::nanoseconds{of}.count()));
  }
  [[nodiscard]] bool is_open() const { return of_.rate > 0; }
  [[nodiscard]] std::uint64_t due_before(instant at) const {
    if (!is_open()) return 0;
    // A little less, because what is due at that very instant is not.
    const auto many = (std::chrono::duration<double>{at - begin_} - of_.first_due).count() * of_.rate - 1e-6;
    return many > 0 ? static_cast<std::uint64_t>(std::ceil(many)) : 0;
  }

  load of_;
  instant begin_;
  instant measured_from_;
  instant end_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t good_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t good_in_time_ = 0;
  std::uint64_t failed_in_time_ = 0;
  histogram took_;
  histogram late_;
};

}  // namespace waggle::bench
