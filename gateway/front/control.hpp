#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "gateway/front/application.hpp"
#include "gateway/front/tls_context.hpp"

namespace waggle::front::detail {

/// All that goes between a server and its reactor threads. The threads are woken through their own eventfd and then
/// look at `wanted` here.
class control {
 public:
  // Each includes the ones before it.
  enum class order { none, start, announce, drain, stop };

  void give(order what, instant patience_until = instant::max());
  [[nodiscard]] std::pair<order, instant> wanted() const;
  void note_started(std::exception_ptr failure);
  void note_ended();
  /// Waits for `threads` of them; throws the first failure to start.
  void wait_started(unsigned threads);
  void wait_ended(unsigned threads);
  /// The same, but not for longer than this.
  void wait_ended_for(unsigned threads, std::chrono::milliseconds longest);

  /// How often `server::notify` was called.
  void count_notification();
  [[nodiscard]] std::uint64_t notifications() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  order order_ = order::none;
  instant patience_until_ = instant::max();
  unsigned started_ = 0;
  unsigned ended_ = 0;
  std::uint64_t notifications_ = 0;
  std::exception_ptr failure_;
};

/// The TLS context that new connections get; any thread may replace it.
class current_tls {
 public:
  void replace(std::shared_ptr<const tls_context> by) {
    const std::lock_guard hold(mutex_);
    now_.swap(by);
  }
  [[nodiscard]] std::shared_ptr<const tls_context> now() const {
    const std::lock_guard hold(mutex_);
    return now_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const tls_context> now_;
};

}  // namespace waggle::front::detail
