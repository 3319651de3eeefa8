#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace waggle::bench {

/// Counts of durations with a bounded relative error, after Gil Tene's HdrHistogram: of each power of two there are 256 equal steps, so a
/// value is known to 0.4 %. Nanoseconds up to about 73 minutes; what is longer counts as that. 70 KiB, whatever is recorded.
class histogram {
 public:
  void record(std::uint64_t nanoseconds, std::uint64_t times = 1) {
    const auto value = std::min(nanoseconds, value_max);
    counts_[index_of(value)] += times;
    count_ += times;
    sum_ += static_cast<double>(value) * static_cast<double>(times);
    max_ = std::max(max_, value);
    min_ = std::min(min_, value);
  }
  void add(const histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
    min_ = std::min(min_, other.min_);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  /// Nanoseconds that `percent` of all values do not exceed; 0 of none.
  [[nodiscard]] std::uint64_t percentile(double percent) const {
    if (count_ == 0) return 0;
    // A little less, because 99.9 % of a thousand is 999 and not what doubles make of it.
    const auto exact = percent / 100 * static_cast<double>(count_) * (1 - 1e-12);
    const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(exact)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted) return std::min(end_of(i), max_);
    }
    return max_;
  }
  /// Of the values as they are told apart.
  [[nodiscard]] double standard_deviation() const {
    double squares = 0;
    each([&](std::uint64_t value, std::uint64_t times) { squares += static_cast<double>(times) * std::pow(static_cast<double>(value) - mean(), 2); });
    return count_ == 0 ? 0 : std::sqrt(squares / static_cast<double>(count_));
  }
  /// Calls `to(value, times)` for whatever was recorded, the smallest first; of values that are not told apart, the largest they may be.
  template <class To>
  void each(To to) const {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] != 0) to(std::min(end_of(i), max_), counts_[i]);
    }
  }

 private:
  static constexpr unsigned step_bits = 8;
  static constexpr unsigned value_bits = 42;
  static constexpr std::uint64_t value_max = (std::uint64_t{1} << value_bits) - 1;

  /// Below 256 each value has its own place; above, its leading nine bits say which.
  static std::size_t index_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const auto shift = width > step_bits + 1 ? width - step_bits - 1 : 0;
    return (std::size_t{shift} << step_bits) + static_cast<std::size_t>(value >> shift);
  }
  /// The largest value that has this place.
  static std::uint64_t end_of(std::size_t index) {
    const auto shift = index < (std::size_t{2} << step_bits) ? 0 : (index >> step_bits) - 1;
    return ((std::uint64_t{index} - (std::uint64_t{shift} << step_bits) + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>((value_bits - step_bits + 1) << step_bits);
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t min_ = value_max;
};

}  // namespace waggle::bench
