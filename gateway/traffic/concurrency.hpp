#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace waggle::gateway {

/// How many requests of a route are under way, over all threads.
using concurrency_count = std::atomic<std::uint64_t>;

/// One place among those that a route has, given back at the end of the object.
class concurrency_permit {
 public:
  concurrency_permit() = default;
  /// Nothing if `max` places are taken. The count lives as long as a permit.
  [[nodiscard]] static concurrency_permit take(const std::shared_ptr<concurrency_count>& of, std::uint64_t max) {
    concurrency_permit out;
    for (auto taken = of->load(std::memory_order_relaxed); taken < max;) {
      if (!of->compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) continue;
      out.of_ = of;
      break;
    }
    return out;
  }
  concurrency_permit(concurrency_permit&& from) noexcept : of_{std::move(from.of_)} { from.of_.reset(); }
  concurrency_permit& operator=(concurrency_permit&& from) noexcept {
    std::swap(of_, from.of_);
    return *this;
  }
  ~concurrency_permit() {
    if (of_) of_->fetch_sub(1, std::memory_order_relaxed);
  }
  [[nodiscard]] explicit operator bool() const { return of_ != nullptr; }

 private:
  std::shared_ptr<concurrency_count> of_;
};

}  // namespace waggle::gateway
