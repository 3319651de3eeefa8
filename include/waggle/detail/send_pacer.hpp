#pragma once

#include <chrono>
#include <cstddef>

#include <waggle/detail/deadlines.hpp>

namespace waggle::detail {

/// When to send what is ready, so that bundles stay large under load. Sent as soon as there is anything, small bundles breed small bundles: each
/// wakes the other side for itself, whose answer is as small. So whoever has just sent waits a moment before it sends again, as network cards do with
/// interrupts, but only while more is on its way that could come along: a call that is alone, and the last of many, leave at once.
class send_pacer {
 public:
  using duration = std::chrono::steady_clock::duration;
  /// The least time between two sends under load. What a message costs both sides, with the threads it wakes, is about that.
  static constexpr std::chrono::microseconds gap_max{30};

  explicit send_pacer(duration gap = gap_max) : gap_{gap} {}

  /// When to send what is `ready`, in frames, with `outstanding` others under way that may make something ready soon: not after `now`, or at most
  /// the gap behind the last time.
  [[nodiscard]] time_point due(time_point now, std::size_t ready, std::size_t outstanding) const {
    return ready >= outstanding || ready == 0 ? now : sent_ + gap_;
  }
  void sent(time_point now) { sent_ = now; }

 private:
  duration gap_;
  time_point sent_{};
};

}  // namespace waggle::detail
