#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>

#include <waggle/wire/status.hpp>

namespace waggle::broker {

/// How long things took, in constant memory: eight buckets an octave of microseconds, so that what is read from it is within 7 % of
/// the truth. It forgets by and by: after 65,535 entries all that it knows counts half.
class histogram {
 public:
  using microseconds = std::chrono::microseconds;

  void add(std::chrono::steady_clock::duration took) { add(bucket_of(took)); }
  /// One entry in a bucket that `bucket_of` has found.
  void add(std::uint32_t bucket) {
    ++buckets_[bucket];
    if (++total_ == entries_max) halve();
  }

  [[nodiscard]] static std::uint32_t bucket_of(std::chrono::steady_clock::duration took) {
    return bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(std::chrono::duration_cast<microseconds>(took).count(), 0)));
  }

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

  std::uint32_t total_ = 0;  // beside the first buckets, which quick commands use: one line of cache
  std::array<std::uint16_t, steps * octaves> buckets_{};
};

/// What became of the calls of one command.
struct command_statistics {
  std::array<std::uint64_t, static_cast<std::size_t>(status_last) + 1> by_status{};  ///< how they ended
  histogram queued;  ///< until a worker got the call
  histogram ran;     ///< until that worker answered
  std::uint64_t retries = 0;

  [[nodiscard]] std::uint64_t calls() const { return std::accumulate(by_status.begin(), by_status.end(), std::uint64_t{0}); }
};

/// Takes the measurements of one command. Histograms are large and, with ten thousand commands, cold: so what is measured is
/// gathered here, beside what a call needs of its command anyway, and carried over by the dozen.
class call_meter {
 public:
  void queued(std::chrono::steady_clock::duration took) { gather(static_cast<std::uint16_t>(histogram::bucket_of(took))); }
  void ran(std::chrono::steady_clock::duration took) {
    gather(static_cast<std::uint16_t>(histogram::bucket_of(took) | is_run));
  }
  void ended(status code) {
    if (code == status::ok) {
      ++ok_;
    } else {
      ++all().by_status[std::min<std::size_t>(static_cast<std::size_t>(code), status_last)];
    }
  }
  void retried() { ++all().retries; }

  /// Has the processor fetch what the next measurements will be carried over to, if it will come to that.
  void fetch() const {
    if (gathered_ + 2 < gathered_max || !all_) return;
    __builtin_prefetch(&all_->by_status);
    __builtin_prefetch(&all_->queued);
    __builtin_prefetch(&all_->ran);
  }

  /// All that was measured; null if nothing was.
  [[nodiscard]] const command_statistics* read() {
    if (gathered_ == 0 && ok_ == 0 && !all_) return nullptr;
    carry_over();
    return all_.get();
  }

 private:
  static constexpr std::size_t gathered_max = 12;
  static constexpr std::uint16_t is_run = 0x8000;

  void gather(std::uint16_t sample) {
    samples_[gathered_] = sample;
    if (++gathered_ == gathered_max) carry_over();
  }
  void carry_over() {
    auto& to = all();
    for (std::size_t i = 0; i < gathered_; ++i) {
      const auto sample = samples_[i];
      ((sample & is_run) != 0 ? to.ran : to.queued).add(sample & static_cast<std::uint16_t>(~is_run));
    }
    gathered_ = 0;
    to.by_status[0] += std::exchange(ok_, 0);
  }
  command_statistics& all() {
    if (!all_) all_ = std::make_unique<command_statistics>();
    return *all_;
  }

  std::array<std::uint16_t, gathered_max> samples_{};
  std::uint32_t gathered_ = 0;
  std::uint32_t ok_ = 0;  ///< carried over long before it is full
  std::unique_ptr<command_statistics> all_;
};

}  // namespace waggle::broker
