#include "gateway/front/control.hpp"

#include <algorithm>

namespace waggle::front::detail {

void control::give(order what, instant patience_until) {
  const std::lock_guard hold(mutex_);
  order_ = std::max(order_, what);
  patience_until_ = std::min(patience_until_, patience_until);
}

std::pair<control::order, instant> control::wanted() const {
  const std::lock_guard hold(mutex_);
  return {order_, patience_until_};
}

void control::note_started(std::exception_ptr failure) {
  const std::lock_guard hold(mutex_);
  ++started_;
  if (!failure_) failure_ = std::move(failure);
  changed_.notify_all();
}

void control::note_ended() {
  const std::lock_guard hold(mutex_);
  ++ended_;
  changed_.notify_all();
}

void control::wait_started(unsigned threads) {
  std::unique_lock hold(mutex_);
  changed_.wait(hold, [&] { return started_ >= threads; });
  if (failure_) std::rethrow_exception(failure_);
}

void control::wait_ended(unsigned threads) {
  std::unique_lock hold(mutex_);
  changed_.wait(hold, [&] { return ended_ >= threads; });
}

void control::wait_ended_for(unsigned threads, std::chrono::milliseconds longest) {
  std::unique_lock hold(mutex_);
  changed_.wait_for(hold, longest, [&] { return ended_ >= threads; });
}

void control::count_notification() {
  const std::lock_guard hold(mutex_);
  ++notifications_;
}

std::uint64_t control::notifications() const {
  const std::lock_guard hold(mutex_);
  return notifications_;
}

}  // namespace waggle::front::detail
