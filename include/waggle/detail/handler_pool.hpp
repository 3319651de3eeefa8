#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <waggle/context.hpp>
#include <waggle/detail/handler.hpp>
#include <waggle/detail/worker_core.hpp>
#include <waggle/net/poll.hpp>
#include <waggle/wire/frames.hpp>

namespace waggle::detail {

class handler_pool;

/// A call or an event between the thread of the connection and the handlers'.
struct job {
  detail::lease lease;
  handler_pool* pool = nullptr;
  const bytes_handler* handler = nullptr;
  std::string name;  ///< command or topic
  std::optional<handled_event> event;
  std::string payload;
  wire::attachment attached;  ///< the payload instead, if it came so
  std::string headers;
  std::chrono::steady_clock::time_point deadline;
  std::uint64_t parts = wire::no_credit_limit;  ///< that the caller still takes; the pool's
  std::stop_source stop;

  [[nodiscard]] std::string_view bytes() const { return attached.empty() ? std::string_view{payload} : attached.bytes(); }
};
using job_ptr = std::shared_ptr<job>;

/// What handlers have for the network.
struct handler_output {
  detail::lease lease;
  bool is_part = false;
  status code = status::ok;
  std::string payload;
  std::vector<emitted> emitted_events;
  std::chrono::steady_clock::time_point deadline{};  ///< for events to be kept
};

/// The threads that run handlers, and the two queues between them and the thread of the connection, which owns this. Calls and answers are
/// handed over as many at a time as there are, and a thread is woken only if it sleeps, one after the other: what a call costs here is being
/// woken, which takes longer than many a handler. So those that are short are all run by the first who comes.
class handler_pool : public std::enable_shared_from_this<handler_pool> {
 public:
  /// Parts that handlers may send ahead of the connection's thread before they wait for it.
  static constexpr std::size_t part_bytes_max = 4u << 20;

  /// `run` runs a handler and never throws.
  explicit handler_pool(std::function<handler_output(job&)> run) : run_{std::move(run)} {}
  handler_pool(const handler_pool&) = delete;
  handler_pool& operator=(const handler_pool&) = delete;

  void start(unsigned threads) {
    // Each keeps the pool: one whose handler does not end may be left behind.
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([self = shared_from_this()] { self->work(); });
  }

  // For the connection's thread.

  /// Empties `jobs`.
  void add(std::vector<job_ptr>& jobs) {
    if (jobs.empty()) return;
    const std::lock_guard lock{mutex_};
    for (auto& each : jobs) jobs_.push_back(std::move(each));
    jobs.clear();
    wake_one();
  }
  /// What handlers have had for the network since; `out` comes empty.
  void take(std::vector<handler_output>& out) {
    const std::lock_guard lock{mutex_};
    awaited_ = false;
    if (std::exchange(raised_, false)) wake_.lower();
    out.swap(outputs_);
    if (std::exchange(part_bytes_, 0) >= part_bytes_max) room_changed_.notify_all();
  }
  /// Before the connection's thread waits: false if there is something to take.
  [[nodiscard]] bool wait_for_output() {
    const std::lock_guard lock{mutex_};
    return awaited_ = outputs_.empty();
  }
  /// To wait with: it can be read when there is an output that is waited for, or after an `interrupt`.
  [[nodiscard]] int descriptor() const { return wake_.descriptor(); }
  /// Ends the wait of the connection's thread, from any thread.
  void interrupt() {
    const std::lock_guard lock{mutex_};
    awaited_ = false;
    raised_ = true;
    wake_.raise();
  }
  /// Whether more parts may be sent by handlers.
  void set_room(bool room) {
    if (room == room_) return;
    room_ = room;
    const std::lock_guard lock{mutex_};
    has_room_ = room;
    room_changed_.notify_all();
  }
  void give_credit(job& to, std::uint64_t parts) {
    const std::lock_guard lock{mutex_};
    if (to.parts == wire::no_credit_limit) return;
    to.parts += std::min(parts, wire::no_credit_limit - 1 - to.parts);
    room_changed_.notify_all();
  }

  /// No handler begins any more; those that run go on.
  void close() {
    {
      const std::lock_guard lock{mutex_};
      closing_ = true;
      jobs_.clear();
    }
    jobs_changed_.notify_all();
    room_changed_.notify_all();
  }
  /// Waits until none runs, and ends the threads; false if some still run at that instant, whose threads are on their own then.
  [[nodiscard]] bool end(std::chrono::steady_clock::time_point by) {
    bool all_ended = false;
    {
      std::unique_lock lock{mutex_};
      all_ended = ran_.wait_until(lock, by, [&] { return running_ == 0; });
    }
    for (auto& each : threads_) all_ended ? each.join() : each.detach();
    threads_.clear();
    return all_ended;
  }

  // For handlers.

  /// Waits while too much waits to be sent, or the caller has not taken what it got; false when nobody wants it any more.
  bool send_part(job& of, std::string payload, const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    const auto room = [&] { return (has_room_ && part_bytes_ < part_bytes_max && of.parts > 0) || closing_; };
    if (!room_changed_.wait_until(lock, stop, of.deadline, room) || closing_) return false;
    if (of.parts != wire::no_credit_limit) --of.parts;
    part_bytes_ += payload.size() + sizeof(handler_output);  // small ones are not free
    put({of.lease, true, status::ok, std::move(payload), {}, {}});
    return true;
  }

 private:
  /// With the mutex held. So is it when the other thread is woken, which has to find what it is woken for.
  void put(handler_output what) {
    outputs_.push_back(std::move(what));
    if (!std::exchange(awaited_, false)) return;
    raised_ = true;
    wake_.raise();
  }

  /// With the mutex held. Whoever comes takes a job, and wakes the next if there are more.
  void wake_one() {
    if (jobs_.empty() || idle_ == 0 || std::exchange(waking_, true)) return;
    jobs_changed_.notify_one();
  }

  void work() {
    std::unique_lock lock{mutex_};
    for (;;) {
      while (jobs_.empty() && !closing_) {
        ++idle_;
        jobs_changed_.wait(lock);
        --idle_;
        waking_ = false;
      }
      if (closing_) return;
      const auto next = std::move(jobs_.front());
      jobs_.pop_front();
      ++running_;
      wake_one();
      lock.unlock();
      auto output = run_(*next);
      lock.lock();
      --running_;
      put(std::move(output));
      if (closing_) ran_.notify_all();
    }
  }

  net::wake_up wake_;
  std::function<handler_output(job&)> run_;
  std::vector<std::thread> threads_;
  bool room_ = true;  ///< as the connection's thread has said it last

  std::mutex mutex_;  ///< of what follows
  std::condition_variable jobs_changed_;
  std::condition_variable ran_;
  std::condition_variable_any room_changed_;
  std::deque<job_ptr> jobs_;
  std::vector<handler_output> outputs_;
  std::size_t part_bytes_ = 0;  ///< in `outputs_`
  std::size_t idle_ = 0;        ///< threads
  std::size_t running_ = 0;     ///< handlers, those of lost seats too
  bool has_room_ = true;        ///< for parts, behind `outputs_`
  bool waking_ = false;         ///< one of them has been woken and has not come yet
  bool awaited_ = false;        ///< the connection's thread waits for an output
  bool raised_ = false;         ///< for it
  bool closing_ = false;
};

}  // namespace waggle::detail
