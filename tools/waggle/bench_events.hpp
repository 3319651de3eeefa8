#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include <waggle/events.hpp>

#include "tools/bench/histogram.hpp"
#include "tools/waggle/bench_load.hpp"

/// The subscribers of `waggle bench events`, and how they know its events.
namespace waggle::cli {

/// When a round ends before its time. Any thread.
class bench_stop {
 public:
  using instant = std::chrono::steady_clock::time_point;
  void now() { at_ = instant::clock::now().time_since_epoch().count(); }
  /// The end of all time as long as it goes on.
  [[nodiscard]] instant at() const { return instant{instant::duration{at_.load(std::memory_order_relaxed)}}; }

 private:
  std::atomic<instant::rep> at_{std::numeric_limits<instant::rep>::max()};
};

/// The header that says which round an event is of, and from when it counts.
inline constexpr std::string_view bench_header = "bench";
/// Names a round.
[[nodiscard]] std::string new_mark();
[[nodiscard]] std::string marked(std::string_view mark, bench_stop::instant from);

/// A subscriber with a connection and a thread of its own.
class bench_subscriber {
 public:
  using instant = bench_stop::instant;

  /// Its subscription is in force on return.
  static result<std::unique_ptr<bench_subscriber>> open(const bench_settings& of, const std::string& mark, const bench_stop& stop);
  ~bench_subscriber() { close(); }

  /// Counts from now on. Delays are those of events that come in this time; with a rate, of the late ones, too.
  void begin(instant measured_from, instant end);
  void close();

  /// Any thread.
  [[nodiscard]] std::uint64_t received() const { return received_; }
  /// Once it is closed.
  [[nodiscard]] const bench::histogram& delay() const { return delay_; }
  /// That came while it was measured.
  [[nodiscard]] std::uint64_t in_time() const { return in_time_; }

 private:
  bench_subscriber(subscriber from, bool has_rate, std::string mark, const bench_stop& stop)
      : from_{std::move(from)}, has_rate_{has_rate}, mark_{std::move(mark)}, stop_{stop} {}
  void take(const event& got);

  subscriber from_;
  bool has_rate_;
  std::string mark_;
  const bench_stop& stop_;
  instant measured_from_{};
  instant end_{};
  std::atomic<std::uint64_t> received_{0};
  std::atomic<bool> closing_{false};
  bench::histogram delay_;
  std::uint64_t in_time_ = 0;
  std::thread thread_;
};

}  // namespace waggle::cli
