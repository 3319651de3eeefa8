#include "sim/events/disk.hpp"

#include <algorithm>

#include "sim/events/surroundings.hpp"

namespace waggle::sim {

void disk::set_clock(instant now) {
  now_ = now;
  wall_ms_ = event_surroundings::wall_ms(now);
}

broker::write_result disk::commit(const std::vector<broker::write_entry>& batch) {
  if (commits_left_ == 0) throw power_gone{};
  if (commits_left_ > 0) --commits_left_;
  const auto say = [&](const char* what) {
    if (log_.verbose()) log_.say(now_, "disk: " + std::to_string(batch.size()) + " entries " + what);
  };
  if (failing_until_ > now_) {
    say("cannot be written");
    return failure(failing_as_, failing_as_ == status::resource_exhausted ? "the disk is full" : "the disk fails");
  }
  if (chance_.chance(in_.errors, 1000)) {
    say("cannot be written, this time");
    return failure(status::unavailable, "the disk has failed");
  }
  auto how = kept_.commit(batch);
  if (!how) throw violation{"the log cannot be written: " + how.error().message};
  books_.committed(wall_ms_, batch, *how);
  log_.number(how->size());
  say("are written");
  return how;
}

broker::read_result disk::look_up(const broker::read_entry& what) {
  if (commits_left_ >= 0) throw power_gone{};
  if ((failing_until_ > now_ && failing_as_ == status::unavailable) || chance_.chance(in_.errors, 1000)) return failure(status::unavailable, "the disk cannot be read");
  auto out = kept_.look_up(what);
  const auto* const events = std::get_if<broker::read::events>(&what);
  if (events == nullptr || !out) return out;
  std::erase_if(out->events, [&](const auto& each) {
    if (!damaged_.contains({events->stream, each.sequence})) return false;
    out->damaged.push_back(each.sequence);
    return true;
  });
  return out;
}

}  // namespace waggle::sim
