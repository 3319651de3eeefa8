#include "sim/events/station.hpp"

namespace waggle::sim {

broker::log_contents log_station::open(instant now) {
  wall_ms_ = wall_ms(now);
  auto what = disk_->log().open();
  if (!what) throw violation{"the log cannot be opened: " + what.error().message};
  return std::move(*what);
}

void log_station::begin(instant now) {
  const auto is_write = [&](const request& each) { return each.index() == 0; };
  const bool writes = is_write(waiting_.front());
  const auto time_max = writes ? in_.commit_max : in_.read_max;
  do {
    working_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  } while (writes && !waiting_.empty() && is_write(waiting_.front()) && working_.size() < batch_max);
  done_at_ = now + microseconds{chance_.between(1, static_cast<std::uint64_t>(time_max.count()))};
}

void log_station::commit(instant now, bool to_be_told) {
  wall_ms_ = wall_ms(now);
  std::vector<broker::write_entry> batch;
  std::vector<std::uint64_t> tickets;
  for (auto& each : working_) {
    auto& one = std::get<broker::event_effects::log_write>(each);
    batch.push_back(std::move(one.what));
    tickets.push_back(one.ticket);
  }
  working_.clear();
  broker::write_result how = failure(status::unavailable, "the disk has failed");
  if (failing_until_ > now) {
    how = failure(failing_as_, failing_as_ == status::resource_exhausted ? "the disk is full" : "the disk fails");
  } else if (!chance_.chance(in_.errors, 1000)) {
    how = disk_->log().commit(batch);
    if (!how) throw violation{"the log cannot be written: " + how.error().message};
    books_.committed(wall_ms_, batch, *how);
  }
  log_.number(how ? how->size() : 0);
  if (log_.verbose()) log_.say(now, "disk: " + std::to_string(batch.size()) + (how ? " entries are written" : " entries cannot be written"));
  if (!to_be_told) return;
  const auto at = now + microseconds{chance_.between(1, static_cast<std::uint64_t>(in_.answer_max.count()))};
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    if (how) {
      answers_.push_back({at, tickets[i], result<broker::written>{(*how)[i]}});
    } else {
      answers_.push_back({at, tickets[i], result<broker::written>{tl::unexpected{how.error()}}});
    }
  }
}

void log_station::look_up(instant now) {
  wall_ms_ = wall_ms(now);
  const auto asked = std::get<broker::event_effects::log_read>(std::move(working_.front()));
  working_.clear();
  broker::read_result what = failure(status::unavailable, "the disk cannot be read");
  const bool fails = (failing_until_ > now && failing_as_ == status::unavailable) || chance_.chance(in_.errors, 1000);
  if (!fails) what = disk_->log().look_up(asked.what);
  answers_.push_back({now + microseconds{chance_.between(1, static_cast<std::uint64_t>(in_.answer_max.count()))}, asked.ticket, std::move(what)});
}

void log_station::wake(instant now) {
  if (done_at_ <= now && !working_.empty()) {
    done_at_ = instant::max();
    if (working_.front().index() == 0) {
      commit(now, true);
    } else {
      look_up(now);
    }
  }
  if (working_.empty() && !waiting_.empty()) begin(now);
}

instant log_station::next(instant now) const {
  auto out = working_.empty() && !waiting_.empty() ? now : done_at_;
  if (!answers_.empty()) out = std::min(out, answers_.front().at);
  return out;
}

bool log_station::receive(instant now, answer& into) {
  while (!answers_.empty() && answers_.front().at <= now) {
    into = std::move(answers_.front());
    answers_.pop_front();
    if (into.ticket != 0) return true;
  }
  return false;
}

void log_station::crash(instant now, bool power) {
  const bool is_commit = !working_.empty() && working_.front().index() == 0;
  // A process that dies with a commit under way has often handed it to the kernel, which goes on.
  if (is_commit && chance_.chance(1, power ? 4 : 2)) commit(now, false);
  working_.clear();
  waiting_.clear();
  answers_.clear();
  done_at_ = instant::max();
}

void log_station::damage(const std::string& stream, std::uint64_t sequence) {
  disk_->damage(stream, sequence);
  books_.damage(stream, sequence);
}

}  // namespace waggle::sim
