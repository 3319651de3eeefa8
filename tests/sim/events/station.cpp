#include "sim/events/station.hpp"

#include <algorithm>

namespace waggle::sim {

broker::log_contents log_station::open(instant now) {
  disk_.live();
  disk_.set_clock(now);
  auto what = disk_.open();
  if (!what) throw violation{"the log cannot be opened: " + what.error().message};
  broker::log_queue_settings limits;
  limits.retry = milliseconds{200};
  limits.batch_entries_max = in_.batch_max;
  queue_.emplace(disk_, limits);
  return std::move(*what);
}

void log_station::wake(instant now) {
  if (!queue_) return;
  if (done_at_ <= now) {
    done_at_ = instant::max();
    disk_.set_clock(now);
    broker::log_answers done;
    queue_->run(now, done);
    const auto at = now + microseconds{chance_.between(1, static_cast<std::uint64_t>(in_.answer_max.count()))};
    for (auto& each : done.writes) answers_.push_back({at, std::move(each)});
    for (auto& each : done.reads) answers_.push_back({at, std::move(each)});
    for (const auto& each : done.notes) log_.say(now, "log: " + each);
  }
  if (done_at_ == instant::max() && queue_->next_run() <= now) {
    done_at_ = now + microseconds{chance_.between(1, static_cast<std::uint64_t>(in_.commit_max.count()))};
  }
}

instant log_station::next(instant now) const {
  if (!queue_) return instant::max();
  auto out = done_at_ != instant::max() ? done_at_ : std::max(queue_->next_run(), now);
  if (queue_->next_run() == instant::max() && done_at_ == instant::max()) out = instant::max();
  return answers_.empty() ? out : std::min(out, answers_.front().at);
}

bool log_station::receive(instant now, answer& into) {
  if (answers_.empty() || answers_.front().at > now) return false;
  into = std::move(answers_.front());
  answers_.pop_front();
  return true;
}

void log_station::crash(instant now, bool power) {
  // A process that dies with a commit under way has often handed it to the kernel, which goes on.
  if (done_at_ != instant::max() && chance_.chance(1, power ? 4 : 2)) {
    disk_.set_clock(now);
    disk_.die_after(static_cast<std::uint32_t>(chance_.between(1, 2)));
    broker::log_answers for_nobody;
    try {
      queue_->run(now, for_nobody);
    } catch (const disk::power_gone&) {
    }
  }
  queue_.reset();
  answers_.clear();
  done_at_ = instant::max();
}

}  // namespace waggle::sim
