#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "support/catch.hpp"
#include "tools/bench/histogram.hpp"

using waggle::bench::histogram;

namespace {

/// What the histogram approximates.
std::uint64_t percentile_of(const std::vector<std::uint64_t>& sorted, double percent) {
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(sorted.size()) - 1e-9));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

/// Durations of all magnitudes, from nanoseconds to an hour.
std::vector<std::uint64_t> durations(std::size_t many, std::uint32_t seed) {
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> exponent{0, 41.5};
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < many; ++i) out.push_back(static_cast<std::uint64_t>(std::exp2(exponent(random))));
  return out;
}

bool is_near(double value, double wanted, double relative) { return std::abs(value - wanted) <= relative * wanted; }

}  // namespace

TEST_CASE("histogram: a percentile is that of the sorted values, at most 0.4 % above", "[bench]") {
  for (const std::uint32_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    auto values = durations(5000, seed);
    histogram of;
    for (const auto each : values) of.record(each);
    std::sort(values.begin(), values.end());
    for (const double percent : {0.0, 0.02, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
      const auto exact = percentile_of(values, percent), told = of.percentile(percent);
      CAPTURE(percent, exact, told);
      CHECK(told >= exact);
      CHECK(static_cast<double>(told) <= static_cast<double>(exact) * 1.004);
    }
    CHECK(of.count() == values.size());
    CHECK(of.min() == values.front());
    CHECK(of.max() == values.back());
  }
}

TEST_CASE("histogram: values up to 511 ns are exact, and each power of two is told from its neighbours", "[bench]") {
  for (std::uint64_t value = 0; value < 512; ++value) {
    histogram of;
    of.record(value);
    of.record(1'000'000);
    CHECK(of.percentile(50) == value);
  }
  for (unsigned bit = 9; bit < 42; ++bit) {
    histogram of;
    const auto power = std::uint64_t{1} << bit;
    of.record(power - 1);
    of.record(power);
    of.record(power + power / 2);
    CAPTURE(bit);
    CHECK(of.percentile(33) == power - 1);
    CHECK(of.percentile(66) >= power);
    CHECK(of.percentile(66) < power + power / 128);
  }
}

TEST_CASE("histogram: 99.9 % of a thousand are 999 of them", "[bench]") {
  histogram of;
  for (std::uint64_t i = 1; i <= 1000; ++i) of.record(i <= 999 ? 1 : 500);
  CHECK(of.percentile(99.9) == 1);
  CHECK(of.percentile(99.91) == 500);
}

TEST_CASE("histogram: two that are added are as one that has recorded all", "[bench]") {
  histogram left, right, both, empty;
  for (const auto each : durations(1000, 4)) left.record(each), both.record(each);
  for (const auto each : durations(500, 5)) right.record(each, 3), both.record(each, 3);
  left.add(right);
  left.add(empty);
  CHECK(left.count() == both.count());
  CHECK(left.min() == both.min());
  CHECK(left.max() == both.max());
  CHECK(is_near(left.mean(), both.mean(), 1e-9));
  CHECK(is_near(left.standard_deviation(), both.standard_deviation(), 1e-9));
  for (const double percent : {1.0, 25.0, 50.0, 99.0}) CHECK(left.percentile(percent) == both.percentile(percent));
}

TEST_CASE("histogram: what is longer than it can tell counts as the longest, and none at all is 0", "[bench]") {
  histogram of;
  CHECK(of.percentile(99) == 0);
  CHECK(of.mean() == 0);
  CHECK(of.min() == 0);
  CHECK(of.standard_deviation() == 0);
  of.record(~std::uint64_t{0});
  CHECK(of.percentile(50) == of.max());
  CHECK(of.max() == (std::uint64_t{1} << 42) - 1);
}

TEST_CASE("histogram: mean and deviation are those of the values", "[bench]") {
  histogram of;
  for (const std::uint64_t each : {200, 400, 400, 400, 500, 500, 700, 900}) of.record(each);
  CHECK(of.mean() == 500);
  CHECK(is_near(of.standard_deviation(), 200, 0.01));
}
