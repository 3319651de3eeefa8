#pragma once

#include <chrono>
#include <cstddef>

#include <waggle/detail/deadlines.hpp>

namespace waggle::detail {

/// When to send what is ready, so that bundles stay large under load. Sent as soon as there is anything, small bundles breed small bundles: each
/// wakes the other side for itself, whose answer is as small. So whoever has just sent waits a moment before it sends again, as network cards do with
/// interrupts, but only while so much more is on its way that waiting is cheaper than a message: a call that is alone, a few, and the last of many
/// leave at once.
class send_pacer {
 public:
  using duration = std::chrono::steady_clock::duration;
  /// The least time between two sends under load. What a message costs both sides, with the threads it wakes, is about that.
  static constexpr std::chrono::microseconds gap_max{30};
  /// Load begins here. With 16 under way to sleep costs more than it spares, with 64 less (HTTP requests through gateway and broker, in turns).
  static constexpr std::size_t outstanding_min = 32;

  explicit send_pacer(duration gap = gap_max) : gap_{gap} {}

  /// When to send what is `ready`, in frames, with `outstanding` others under way that may make something ready soon: not after `now`, or at most
  /// the gap behind the last time.
  [[nodiscard]] time_point due(time_point now, std::size_t ready, std::size_t outstanding) const {
    const bool waits = ready > 0 && outstanding >= outstanding_min && ready < outstanding / 2;
    return waits ? sent_ + gap_ : now;
  }
  void sent(time_point now) { sent_ = now; }

 private:
  duration gap_;
  time_point sent_{};
};

}  // namespace waggle::detail
