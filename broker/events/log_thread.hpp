#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <waggle/net/poll.hpp>

#include "broker/events/event_core.hpp"
#include "broker/events/log_queue.hpp"

namespace waggle::broker {

/// The thread on which a log is written and read, so that the one that routes never waits for a disk. `put` and `take` are called from that
/// other one thread; what they hold the mutex for is a swap.
class log_thread {
 public:
  /// The log is open already, and from now on used here only.
  explicit log_thread(std::unique_ptr<event_log> log, log_queue_settings from = {});
  /// Like `stop`.
  ~log_thread();
  log_thread(const log_thread&) = delete;
  log_thread& operator=(const log_thread&) = delete;

  /// Takes what is to be done out of both, in order. Bounded by whoever puts it in, who knows what is not answered yet.
  void put(std::vector<event_effects::log_write>& writes, std::vector<event_effects::log_read>& reads);
  /// Can be read when there are answers.
  [[nodiscard]] int descriptor() const { return wake_up_.descriptor(); }
  /// Adds what came of it since the last time.
  void take(log_answers& out);
  /// Writes what is there (once: what a failing disk does not take is given up), answers it, and ends the thread. The answers can still be
  /// taken.
  void stop();

 private:
  void work();
  void work_or_throw();
  void tell();
  void refuse(std::vector<event_effects::log_write>& writes, std::vector<event_effects::log_read>& reads);

  std::unique_ptr<event_log> log_;
  log_queue queue_;  // of the thread
  net::wake_up wake_up_;
  std::mutex mutex_;
  std::condition_variable put_in_;
  std::vector<event_effects::log_write> writes_;
  std::vector<event_effects::log_read> reads_;
  log_answers answers_;
  std::atomic<bool> has_answers_ = false;  ///< asked for on every turn of the other thread's loop, which is not to cost a lock
  bool stopping_ = false;
  bool failed_ = false;  ///< the thread has ended by an exception
  std::thread thread_;
};

}  // namespace waggle::broker
