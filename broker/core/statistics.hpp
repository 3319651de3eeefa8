#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

#include <waggle/wire/status.hpp>

namespace waggle::broker {

/// How long things took, in constant memory: eight buckets an octave of microseconds, so that what is read from it is within 7 % of
/// the truth. It forgets by and by: after 65,535 entries all that it knows counts half.
class histogram {
 public:
  using microseconds = std::chrono::microseconds;

  void add(std::chrono::steady_clock::duration took) {
    auto& bucket = buckets_[bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(
        std::chrono::duration_cast<microseconds>(took).count(), 0)))];
    ++bucket;
    if (++total_ == entries_max) halve();
  }

  [[nodiscard]] bool empty() const { return total_ == 0; }

  /// The time that `share` (0 to 1) of the entries did not exceed, as the middle of its bucket; 0 when there are none.
  [[nodiscard]] std::uint64_t microseconds_at(double share) const {
    const auto wanted = std::max(1.0, share * static_cast<double>(total_));
    std::uint32_t seen = 0;
    for (std::uint32_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      seen += buckets_[bucket];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return middle_of(bucket);
    }
    return 0;
  }

 private:
  static constexpr std::uint32_t steps = 8;  ///< an octave
  static constexpr std::uint32_t octaves = 35;  ///< up to 2^37 µs, a day and a half
  static constexpr std::uint32_t entries_max = 65'535;

  static std::uint32_t bucket_of(std::uint64_t value) {
    if (value < steps) return static_cast<std::uint32_t>(value);
    const auto octave = static_cast<std::uint32_t>(std::bit_width(value)) - 4;  // 0 for 8 to 15
    if (octave >= octaves - 1) return steps * octaves - 1;
    return steps * (octave + 1) + static_cast<std::uint32_t>((value >> octave) & (steps - 1));
  }
  static std::uint64_t middle_of(std::uint32_t bucket) {
    if (bucket < steps) return bucket;
    const auto octave = bucket / steps - 1;
    const auto low = (std::uint64_t{steps} + bucket % steps) << octave;
    return low + ((std::uint64_t{1} << octave) >> 1);
  }

  void halve() {
    total_ = 0;
    for (auto& each : buckets_) {
      each = static_cast<std::uint16_t>((each + 1u) / 2);
      total_ += each;
    }
  }

  std::array<std::uint16_t, steps * octaves> buckets_{};
  std::uint32_t total_ = 0;
};

/// What became of the calls of one command.
struct command_statistics {
  std::uint64_t calls = 0;    ///< that have ended
  std::uint64_t retries = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(status::unauthenticated) + 1> by_status{};
  histogram queued;  ///< until a worker got the call
  histogram ran;     ///< until that worker answered
};

}  // namespace waggle::broker
