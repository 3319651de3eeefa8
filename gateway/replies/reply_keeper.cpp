#include "gateway/replies/reply_keeper.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

namespace waggle::gateway {
namespace {

using clock = std::chrono::steady_clock;

/// At once; the rest has its turn after what has come meanwhile.
constexpr std::size_t expired_max = 1000;

std::size_t bytes_of(const store_entry& what) {
  const auto* settled = std::get_if<store::settle>(&what);
  return reserved_bytes + (settled != nullptr ? stored_bytes(settled->answer) : 0);
}

}  // namespace

struct reply_keeper::seat::box {
  net::wake_up wake_up;
  std::mutex mutex;
  std::vector<outcome> outcomes;
  std::atomic<bool> has_some = false;  ///< asked on every turn of the other thread, which is not to cost a lock

  void give(std::uint64_t ticket, result<reserved> what) {
    if (ticket == 0) return;
    const std::lock_guard lock{mutex};
    outcomes.push_back({ticket, std::move(what)});
    has_some = true;
    wake_up.raise();
  }
};

reply_keeper::seat::~seat() = default;
bool reply_keeper::seat::put(std::uint64_t ticket, store_entry what) { return of_.put({mine_, ticket, std::move(what)}); }
int reply_keeper::seat::descriptor() const { return mine_->wake_up.descriptor(); }

void reply_keeper::seat::take(std::vector<outcome>& out) {
  if (!mine_->has_some) return;
  const std::lock_guard lock{mine_->mutex};
  mine_->has_some = false;
  mine_->wake_up.lower();
  std::move(mine_->outcomes.begin(), mine_->outcomes.end(), std::back_inserter(out));
  mine_->outcomes.clear();
}

reply_keeper::reply_keeper(std::unique_ptr<reply_store> store, std::function<void(std::string_view)> note, keeper_settings with)
    : store_{std::move(store)}, note_{std::move(note)}, settings_{with}, durable_{store_->durable()} {}

reply_keeper::~reply_keeper() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  put_in_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::unique_ptr<reply_keeper::seat> reply_keeper::join() { return std::unique_ptr<seat>{new seat{*this, std::make_shared<seat::box>()}}; }

/// What ends a reservation is always taken: there is at most one for each.
bool reply_keeper::put(item what) {
  {
    const std::lock_guard lock{mutex_};
    const bool reserves = std::holds_alternative<store::reserve>(what.what);
    if (failed_ || (reserves && waiting_.size() >= settings_.waiting_max)) return false;
    if (!thread_.joinable()) thread_ = std::thread{[this] { work(); }};
    waiting_.push_back(std::move(what));
  }
  put_in_.notify_one();
  return true;
}

void reply_keeper::work() {
  try {
    work_or_throw();
  } catch (...) {
    // Memory is short: nothing is said to be kept that may not be.
    item_list left;
    {
      const std::lock_guard lock{mutex_};
      failed_ = true;
      left.swap(waiting_);
    }
    try {
      for (auto& each : left) each.from->give(each.ticket, failure(status::unavailable, "the gateway's thread for replies has failed"));
    } catch (...) {
    }
    note("the thread that keeps replies has failed; start the gateway again");
  }
}

void reply_keeper::work_or_throw() {
  for (bool stopping = false; !stopping;) {
    item_list batch;
    {
      std::unique_lock lock{mutex_};
      const auto next = std::min(kept_.empty() ? clock::time_point::max() : again_at_, expire_at_);
      const auto is_due = [&] { return stopping_ || !waiting_.empty() || next <= clock::now(); };
      if (!is_due()) put_in_.wait_until(lock, next, is_due);
      std::size_t bytes = 0;
      while (!waiting_.empty() && batch.size() < settings_.batch_entries_max && (batch.empty() || bytes < settings_.batch_bytes_max)) {
        bytes += bytes_of(waiting_.front().what);
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
      stopping = stopping_ && waiting_.empty();
    }
    if (!kept_.empty() && (stopping || again_at_ <= clock::now())) write_kept();
    if (!batch.empty()) write(std::move(batch));
    if (expire_at_ <= clock::now()) expire();
  }
}

void reply_keeper::write(item_list batch) {
  std::vector<store_entry> entries;
  entries.reserve(batch.size());
  for (auto& each : batch) entries.push_back(std::move(each.what));
  auto done = store_->commit(entries);
  if (done) {
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i].from->give(batch[i].ticket, std::move((*done)[i]));
    if (std::exchange(is_failing_, false)) note("replies can be kept again");
    return;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].what = std::move(entries[i]);
  if (batch.size() == 1) return fail(std::move(batch), done.error());
  // One by one: who only asks for what is there is answered, and who has a fault of his own has it alone.
  for (auto& each : batch) {
    item_list one;
    one.push_back(std::move(each));
    write(std::move(one));
  }
}

void reply_keeper::fail(item_list batch, const error& why) {
  if (!std::exchange(is_failing_, true)) note("replies cannot be kept: " + why.message + "; what is under way is tried again, new keys are refused");
  auto& failed = batch.front();
  if (!std::holds_alternative<store::reserve>(failed.what)) {
    const auto bytes = bytes_of(failed.what);
    if (kept_bytes_ + bytes <= settings_.kept_bytes_max) {
      kept_bytes_ += bytes;
      kept_.push_back(std::move(failed.what));
      if (kept_.size() == 1) again_at_ = clock::now() + settings_.retry;
    } else {
      note("a reply is given up: as many wait to be kept as may");
    }
  }
  failed.from->give(failed.ticket, tl::unexpected{why});
}

void reply_keeper::write_kept() {
  std::size_t bytes = 0;
  std::vector<store_entry> entries;
  while (entries.size() < kept_.size() && entries.size() < settings_.batch_entries_max && (entries.empty() || bytes < settings_.batch_bytes_max)) {
    bytes += bytes_of(kept_[entries.size()]);
    entries.push_back(kept_[entries.size()]);
  }
  if (!store_->commit(entries)) {
    again_at_ = clock::now() + settings_.retry;
    return;
  }
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(entries.size()));
  kept_bytes_ -= bytes;
  again_at_ = clock::now();
  if (std::exchange(is_failing_, false)) note("replies can be kept again");
}

void reply_keeper::expire() {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const auto gone = store_->expire(now.count(), expired_max);
  expire_at_ = clock::now() + (gone && *gone == expired_max ? std::chrono::milliseconds{0} : settings_.retry);
}

void reply_keeper::note(const std::string& line) const {
  if (!note_) return;
  try {
    note_(line);
  } catch (...) {
  }
}

}  // namespace waggle::gateway
