#include "broker/events/log_thread.hpp"

#include <chrono>
#include <exception>
#include <iterator>
#include <utility>

namespace waggle::broker {
namespace {

template <class Item>
void move_all(std::vector<Item>& from, std::vector<Item>& to) {
  if (to.empty()) {
    to.swap(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
  from.clear();
}

void move_all(log_answers& from, log_answers& to) {
  move_all(from.writes, to.writes);
  move_all(from.reads, to.reads);
  move_all(from.notes, to.notes);
}

}  // namespace

log_thread::log_thread(std::unique_ptr<event_log> log, log_queue_settings from)
    : log_{std::move(log)}, queue_{*log_, from}, thread_{[this] { work(); }} {}

log_thread::~log_thread() { stop(); }

void log_thread::put(std::vector<event_effects::log_write>& writes, std::vector<event_effects::log_read>& reads) {
  if (writes.empty() && reads.empty()) return;
  {
    const std::lock_guard lock{mutex_};
    if (failed_) return refuse(writes, reads);
    move_all(writes, writes_);
    move_all(reads, reads_);
  }
  put_in_.notify_one();
}

void log_thread::refuse(std::vector<event_effects::log_write>& writes, std::vector<event_effects::log_read>& reads) {
  const error why{status::unavailable, "the event log of this broker has failed; start the broker again"};
  for (const auto& each : writes) {
    if (each.ticket != 0) answers_.writes.push_back({each.ticket, tl::unexpected{why}});
  }
  for (const auto& each : reads) answers_.reads.push_back({each.ticket, tl::unexpected{why}});
  writes.clear();
  reads.clear();
  tell();
}

/// There are answers; with the mutex held. The raise is what wakes the other thread, often in the place of this one: what it then looks at is
/// there before, or it would turn round and round until this one runs again.
void log_thread::tell() {
  has_answers_ = true;
  wake_up_.raise();
}

void log_thread::take(log_answers& out) {
  if (!has_answers_) return;
  const std::lock_guard lock{mutex_};  // after the raise that belongs to what it has seen, so that none is left behind
  has_answers_ = false;
  wake_up_.lower();
  move_all(answers_, out);
}

void log_thread::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  put_in_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void log_thread::work() {
  try {
    work_or_throw();
  } catch (...) {
    // Memory is short, or the log has a fault of its own: nothing is said to be written that may not be.
    const std::lock_guard lock{mutex_};
    failed_ = true;
    try {
      answers_.notes.emplace_back("the thread of the event log has failed; start the broker again");
    } catch (...) {
    }
    tell();
  }
}

void log_thread::work_or_throw() {
  using clock = std::chrono::steady_clock;
  std::vector<event_effects::log_write> writes;
  std::vector<event_effects::log_read> reads;
  log_answers answers;
  for (bool stopping = false;;) {
    {
      std::unique_lock lock{mutex_};
      move_all(answers, answers_);
      const auto is_due = [&] { return stopping_ || !writes_.empty() || !reads_.empty() || queue_.next_run() <= clock::now(); };
      if (!is_due()) {
        // A deadline that far away would overflow inside the condition variable.
        put_in_.wait_until(lock, std::min(queue_.next_run(), clock::now() + std::chrono::hours{1}), is_due);
      }
      writes.swap(writes_);
      reads.swap(reads_);
      stopping = stopping_;
    }
    for (auto& each : writes) queue_.write(each.ticket, std::move(each.what));
    for (auto& each : reads) queue_.read(each.ticket, std::move(each.what));
    writes.clear();
    reads.clear();
    const auto before = queue_.waiting();
    // The last time it does not wait for the retry.
    queue_.run(stopping ? instant::max() - std::chrono::hours{1} : clock::now(), answers);
    const bool is_over = stopping && queue_.next_run() != instant::min() && (queue_.waiting() == 0 || queue_.waiting() >= before);
    if (!answers.empty()) {
      const std::lock_guard lock{mutex_};
      move_all(answers, answers_);
      tell();
    }
    if (is_over) return;
  }
}

}  // namespace waggle::broker
