#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

#include "gateway/front/application.hpp"

namespace waggle::front::detail {

/// All that goes between a server and its reactor threads. The threads are woken through their own eventfd and then
/// look at `wanted` here.
class control {
 public:
  enum class order { none, start, drain, stop };

  void give(order what, instant patience_until = instant::max());
  [[nodiscard]] std::pair<order, instant> wanted() const;
  void note_started(std::exception_ptr failure);
  void note_ended();
  /// Waits for `threads` of them; throws the first failure to start.
  void wait_started(unsigned threads);
  void wait_ended(unsigned threads);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  order order_ = order::none;
  instant patience_until_ = instant::max();
  unsigned started_ = 0;
  unsigned ended_ = 0;
  std::exception_ptr failure_;
};

}  // namespace waggle::front::detail
