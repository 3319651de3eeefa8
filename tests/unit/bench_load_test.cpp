#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "support/catch.hpp"
#include "tools/bench/load.hpp"

using namespace std::chrono_literals;
using waggle::bench::load;
using waggle::bench::load_driver;
using instant = load_driver::instant;
using duration = std::chrono::steady_clock::duration;

namespace {

const instant zero{1h};

/// A system in virtual time that takes `takes(begun)` for what is begun then, and its load.
struct simulation {
  load of;
  std::function<duration(duration)> takes;
  load_driver driver{of, zero};
  std::multimap<instant, instant> under_way{};  ///< by when it ends: from when it counts
  std::size_t most_under_way = 0;

  /// Until all that was begun has ended.
  void run() {
    auto now = zero;
    for (;;) {
      while (!under_way.empty() && under_way.begin()->first <= now) {
        driver.ended(now, under_way.begin()->second, true);
        under_way.erase(under_way.begin());
      }
      while (driver.may_begin(now)) {
        const auto ends = now + takes(now - zero);
        under_way.emplace(ends, driver.begin_one(now));
        most_under_way = std::max(most_under_way, driver.under_way());
      }
      auto next = instant::max();
      if (!under_way.empty()) next = under_way.begin()->first;
      if (now < driver.end() && driver.next_due() > now) next = std::min(next, driver.next_due());
      if (next == instant::max()) return;
      now = next;
    }
  }
};

/// Answers after a millisecond, but for a second in which it stands still.
duration with_a_standstill(duration at) {
  const bool stands = at >= 2s && at < 3s;
  return stands ? 3s - at + 1ms : 1ms;
}

std::chrono::nanoseconds at(const load_driver& of, double percent) { return std::chrono::nanoseconds{of.took().percentile(percent)}; }

}  // namespace

TEST_CASE("load: with a rate, all that were due while the system stood still have waited", "[bench]") {
  simulation open{load{.in_flight = 100'000, .rate = 1000, .warm_up = 1s, .duration = 10s}, with_a_standstill};
  open.run();
  CHECK(open.driver.good() == 10'001);  // the last of the warm-up ends behind it
  CHECK(open.driver.due() == 10'000);
  CHECK(open.driver.not_begun() == 0);
  // A tenth of the time it stood still: the waits of a tenth of all are spread evenly over a second.
  CHECK(at(open.driver, 89) < 2ms);
  CHECK(at(open.driver, 95) > 450ms);
  CHECK(at(open.driver, 95) < 550ms);
  CHECK(at(open.driver, 99) > 850ms);
}

TEST_CASE("load: with a rate, what has to wait for a place in flight is counted from when it was due", "[bench]") {
  simulation bounded{load{.in_flight = 1, .rate = 100, .warm_up = 1s, .duration = 10s}, with_a_standstill};
  bounded.run();
  // One is under way in the standstill and the others could not begin; they are no better off for that.
  CHECK(bounded.most_under_way == 1);
  CHECK(at(bounded.driver, 99) > 850ms);
  CHECK(std::chrono::nanoseconds{bounded.driver.late().percentile(99)} > 850ms);
}

TEST_CASE("load: without a rate, only what was in flight has waited", "[bench]") {
  simulation closed{load{.in_flight = 4, .warm_up = 1s, .duration = 10s}, with_a_standstill};
  closed.run();
  CHECK(closed.most_under_way == 4);
  CHECK(closed.driver.under_way() == 0);
  CHECK(closed.driver.due() == 0);
  CHECK(closed.driver.not_begun() == 0);
  CHECK(closed.driver.late().count() == 0);
  CHECK(at(closed.driver, 99.9) < 2ms);
  CHECK(at(closed.driver, 100) > 900ms);
}

TEST_CASE("load: as many as may be are in flight, and never more", "[bench]") {
  for (const std::size_t in_flight : {1u, 7u, 64u}) {
    for (const double rate : {0.0, 5000.0}) {
      simulation of{load{.in_flight = in_flight, .rate = rate, .warm_up = 0s, .duration = 1s}, [](duration) { return duration{100ms}; }};
      of.run();
      CAPTURE(in_flight, rate);
      CHECK(of.most_under_way == in_flight);
    }
  }
}

TEST_CASE("load: what ends in the warm-up is not measured", "[bench]") {
  load_driver of{load{.in_flight = 2, .warm_up = 1s, .duration = 1s}, zero};
  const auto first = of.begin_one(zero), second = of.begin_one(zero);
  CHECK_FALSE(of.may_begin(zero));
  CHECK_FALSE(of.ended(zero + 1s - 1ns, first, true));
  CHECK(of.good() == 0);
  CHECK(of.took().count() == 0);
  CHECK(of.ended(zero + 1s, second, true));
  CHECK(of.good() == 1);
  CHECK(of.took().max() == 1'000'000'000);
}

TEST_CASE("load: without a rate it is over at the end; with one, what is under way then is waited for", "[bench]") {
  for (const bool open : {false, true}) {
    load_driver of{load{.in_flight = 2, .rate = open ? 10.0 : 0.0, .warm_up = 0s, .duration = 1s}, zero};
    const auto first = of.begin_one(zero + 900ms), second = of.begin_one(zero + 900ms);
    CHECK(of.ended(zero + 950ms, first, true));
    CHECK_FALSE(of.may_begin(zero + 1s));
    CHECK(of.ended(zero + 3s, second, true) == open);
    CHECK(of.good() == (open ? 2 : 1));
    CHECK(of.per_second() == 1);  // what a second carries
  }
}

TEST_CASE("load: failures are counted, and what they took is not", "[bench]") {
  load_driver of{load{.in_flight = 1, .warm_up = 0s, .duration = 1s}, zero};
  CHECK(of.ended(zero + 1ms, of.begin_one(zero), false));
  CHECK(of.failed() == 1);
  CHECK(of.good() == 0);
  CHECK(of.took().count() == 0);
}

TEST_CASE("load: a rate that is not kept up with is told: what was due and could not begin", "[bench]") {
  simulation slow{load{.in_flight = 10, .rate = 1000, .warm_up = 0s, .duration = 1s}, [](duration) { return duration{100ms}; }};
  slow.run();  // takes a hundred in a second
  CHECK(slow.driver.due() == 1000);
  CHECK(slow.driver.good() == 100);
  CHECK(slow.driver.good() + slow.driver.not_begun() == 1000);
  CHECK(at(slow.driver, 100) > 900ms);
}

TEST_CASE("load: what is due is evenly spread, and several that share a rate take turns", "[bench]") {
  load_driver first{load{.rate = 4, .warm_up = 0s, .duration = 1s, .first_due = 0s}, zero};
  load_driver second{load{.rate = 4, .warm_up = 0s, .duration = 1s, .first_due = 125ms}, zero};
  for (const auto due : {0ms, 250ms, 500ms, 750ms}) {
    CHECK_FALSE(first.may_begin(zero + due - 1ns));
    CHECK(first.may_begin(zero + due));
    CHECK(first.begin_one(zero + due + 3ms) == zero + due);
    CHECK_FALSE(second.may_begin(zero + due + 125ms - 1ns));
    CHECK(second.begin_one(zero + due + 125ms) == zero + due + 125ms);
  }
  CHECK_FALSE(first.may_begin(zero + 1s));
  CHECK(first.due() == 4);
  CHECK(second.due() == 4);
}

TEST_CASE("load: one that is over early counts what was until then", "[bench]") {
  load_driver of{load{.in_flight = 10, .rate = 10, .warm_up = 1s, .duration = 10s}, zero};
  for (auto now = zero; now < zero + 3s; now += 100ms) of.ended(now + 1ms, of.begin_one(now), true);
  of.end_at(zero + 3s);
  CHECK_FALSE(of.may_begin(zero + 3s));
  CHECK(of.measured() == std::chrono::duration<double>{2s});
  CHECK(of.due() == 20);
  CHECK(of.not_begun() == 0);
  CHECK(of.per_second() == 10);
  of.end_at(zero + 500ms);  // in the warm-up
  CHECK(of.measured().count() == 0);
  CHECK(of.due() == 0);
  CHECK(of.per_second() == 0);
}
