#include "sim/events/member.hpp"

#include <algorithm>

#include <waggle/wire/headers.hpp>

#include "sim/events/messages.hpp"

namespace waggle::sim {

void member::start(instant now) {
  up_ = true;
  at_ = stage::outside;
  manifest_ = {};
  before_.clear();
  join_at_ = pulse_at_ = now;
  act_at_ = now + milliseconds{around_.chance.below(1000)};
  silent_until_ = {};
  over_ = rejoin_ = false;
  socket_.open(now);
}

void member::crash(instant now) {
  socket_.cut(now, true);
  up_ = was_connected_ = false;
  jobs_.clear();
  old_leases_.clear();
  bundle_.clear();
}

void member::depart(instant now) {
  if (at_ != stage::joined) return;
  at_ = stage::leaving;
  leave_id_ = ++last_id_;
  wire::append_leave(bundle_, leave_id_);
  if (around_.log.verbose()) around_.log.say(now, "member " + std::to_string(number_) + " leaves");
}

/// The broker does not know it any more. What it still does is for nobody.
void member::lost() {
  ++seat_;
  at_ = stage::outside;
  bundle_.clear();
  manifest_ = {};
  before_.clear();
}

void member::join(instant now) {
  auto& chance = around_.chance;
  const auto& in = around_.events;
  before_.push_back(manifest_);
  if (before_.size() > 8) before_.erase(before_.begin());
  manifest_ = manifest{"service" + std::to_string(number_ % 3), "1", "", static_cast<std::uint32_t>(chance.between(1, in.slots_max)),
                       static_cast<std::uint32_t>(chance.chance(1, 3) ? 1 : chance.between(1, 50)), {}};
  for (const auto& group : in.groups) {
    if (!takes_everything_ && !chance.chance(2, 3)) continue;
    for (const auto& pattern : group.patterns) {
      if (!takes_everything_ && !chance.chance(2, 3)) continue;
      event_manifest each;
      each.topic = pattern;
      each.group = group.group;
      each.from_beginning = group.from_beginning;
      each.attempts = group.attempts;
      each.budget_ms = static_cast<std::uint64_t>(group.budget.count());
      each.backoff_ms = static_cast<std::uint64_t>(group.backoff.count());
      each.backoff_max_ms = static_cast<std::uint64_t>(group.backoff_max.count());
      each.quick = in_quick_class(group.group);
      manifest_.events.push_back(each);
    }
  }
  for (const auto& command : in.commands) {
    if (!takes_everything_ && !chance.chance(1, 2) && !manifest_.events.empty()) continue;
    manifest_.commands.emplace_back().name = command.name;
    manifest_.commands.back().retry = command.retry;
    manifest_.commands.back().quick = in_quick_class(command.name);
  }
  if (in.quick && !chance.chance(1, 4)) manifest_.quick_slots = static_cast<std::uint32_t>(chance.between(1, in.slots_max));
  for (auto& each : jobs_) each.doubtful = true;
  std::string bytes;
  wire::append_manifest(bytes, manifest_);
  join_id_ = ++last_id_;
  wire::append_join(bundle_, join_id_, bytes);
  at_ = stage::joining;
  join_at_ = now + milliseconds{3000};
  if (around_.log.verbose()) around_.log.say(now, "member " + std::to_string(number_) + " joins with " + std::to_string(manifest_.slots) + " slots");
}

member::job& member::begin(instant now, const wire::frame& in, bool quick) {
  auto& chance = around_.chance;
  const auto& like = around_.events;
  // What it has answered the broker may not know yet, so only what it has not is counted.
  const auto has = std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& each) { return each.seat == seat_ && each.quick == quick && !each.doubtful; });
  const auto slots_of = [&](const manifest& from) { return quick && from.quick_slots > 0 ? from.quick_slots : from.slots; };
  auto slots_max = slots_of(manifest_);
  for (const auto& each : before_) slots_max = std::max(slots_max, slots_of(each));
  if (static_cast<std::size_t>(has) >= slots_max) throw violation{"a member has more at hand than slots, member " + std::to_string(number_) + ", " + std::to_string(has) + " of " + std::to_string(slots_max)};
  auto& made = jobs_.emplace_back();
  made.lease = in.id;
  made.seat = seat_;
  made.quick = quick;
  const auto longest = static_cast<std::uint64_t>(around_.calm ? 5 : like.handler_max.count());
  made.ends = now + microseconds{chance.below(1000 * longest) + 1};
  old_leases_.push_back(in.id);
  if (old_leases_.size() > 10) old_leases_.erase(old_leases_.begin());
  return made;
}

void member::take_event(instant now, const wire::frame& in) {
  auto& chance = around_.chance;
  const auto& like = around_.events;
  const told_map about{in.about};
  const auto group = about.text("group");
  const auto takes = [&](const manifest& from) {
    return std::any_of(from.events.begin(), from.events.end(), [&](const auto& each) { return each.group == group && pattern_takes(each.topic, in.name); });
  };
  if (!takes(manifest_) && std::none_of(before_.begin(), before_.end(), takes)) throw violation{"a member gets an event of " + std::string{in.name} + " in " + group + ", which it does not handle"};
  auto& made = begin(now, in, in_quick_class(group));
  if (around_.calm) return;
  const auto budget = milliseconds{about.number("budget_ms")};
  const bool poisoned = in.payload.find("poison") != std::string_view::npos;
  if (poisoned || chance.chance(like.failures, 1000)) {
    constexpr status codes[] = {status::internal, status::unavailable, status::invalid_argument, status::not_found};
    made.as = codes[chance.below(std::size(codes))];
    wire::append_error(made.payload, {made.as, "member " + std::to_string(number_) + " fails under lease " + std::to_string(in.id), true});
  }
  if (chance.chance(like.mute, 1000)) {
    made.answers = 0;
    made.ends = now + budget * 2;
  } else if (chance.chance(like.late, 1000)) {
    made.ends = now + budget + milliseconds{chance.below(2000)};
  } else if (chance.chance(like.twice, 1000)) {
    made.answers = 2;
  }
}

void member::take_command(instant now, const wire::frame& in) {
  auto& chance = around_.chance;
  const auto& like = around_.events;
  const auto headers = wire::headers_from_msgpack(in.headers);
  const auto operation = headers.find("operation");
  const auto serves = [&](const manifest& from) {
    return std::any_of(from.commands.begin(), from.commands.end(), [&](const auto& each) { return each.name == in.name; });
  };
  if (!serves(manifest_) && std::none_of(before_.begin(), before_.end(), serves)) throw violation{"a member gets a call that it does not serve"};
  if (operation == headers.end()) throw violation{"a member gets a call that nobody has made"};
  auto& made = begin(now, in, in_quick_class(in.name));
  made.payload = packed(std::string{in.payload} + " done");
  if (around_.calm) return around_.books.begins(operation->second);
  if (chance.chance(like.rejections, 1000)) {  // it has not begun, and says so
    made.as = status::unavailable;
    made.payload.clear();
    wire::append_error(made.payload, {status::unavailable, "not now", false});
    return;
  }
  around_.books.begins(operation->second);
  if (chance.chance(like.failures, 1000)) {
    constexpr status codes[] = {status::internal, status::aborted, status::invalid_argument, status::not_found};
    made.as = codes[chance.below(std::size(codes))];
    made.payload.clear();
    wire::append_error(made.payload, {made.as, "so the handler says", true});
  }
  if (chance.chance(like.mute, 1000)) {
    made.answers = 0;
    made.ends = now + milliseconds{in.budget_ms * 2};
  }
}

void member::read(instant now, const wire::frame& in) {
  heard_ = now;
  switch (in.type) {
    case wire::frame_type::event: return take_event(now, in);
    case wire::frame_type::call: return take_command(now, in);
    case wire::frame_type::cancel:
      for (auto& each : jobs_) {
        if (each.lease == in.id && each.seat == seat_ && around_.chance.chance(1, 2)) each.ends = std::min(each.ends, now + milliseconds{around_.chance.below(20)});
        // A slot is free again only when what was called back is answered.
        if (each.lease == in.id && each.seat == seat_ && each.answers == 0) each.answers = 1;
      }
      return;
    case wire::frame_type::pulse:
      if (in.seats == 0 && at_ == stage::joined) lost();
      if (in.seats == 0 && at_ == stage::leaving) over_ = true;
      return;
    case wire::frame_type::reply:
      // An answer to a JOIN, also to one that it has given up waiting for: what came before may be of a seat that the broker has taken away.
      if (in.id != 0 && in.id != leave_id_) {
        for (auto& each : jobs_) each.doubtful = true;
      }
      if (in.id == join_id_ && at_ == stage::joining) {
        if (in.status == status::unavailable) return lost();  // a group of it is just being forgotten
        if (in.status != status::ok) throw violation{"a good manifest is refused: " + wire::read_error(in.status, in.payload).message};
        at_ = stage::joined;
      } else if (in.id == leave_id_ && at_ == stage::leaving) {
        over_ = true;
      }
      return;
    default: return;
  }
}

/// Whatever it has under this lease is over for the broker.
void member::answer(std::uint64_t lease, status as, std::string_view payload) {
  wire::append_reply(bundle_, lease, as, payload, {});
  std::erase_if(jobs_, [&](const auto& each) { return each.lease == lease && each.seat == seat_; });
}

void member::work(instant now) {
  auto& chance = around_.chance;
  for (std::size_t i = 0; i < jobs_.size();) {  // answering may take others out, which are then met a little later
    auto& each = jobs_[i];
    if (each.ends > now) {
      ++i;
      continue;
    }
    if (each.doubtful) each.answers = std::max<std::uint32_t>(each.answers, 1);
    if (each.answers == 0 && each.seat == seat_) {  // it never answers, and is at it until it is called back or stops
      each.ends = now + milliseconds{1000};
      ++i;
      continue;
    }
    const auto done = std::move(each);
    if (i + 1 < jobs_.size()) each = std::move(jobs_.back());
    jobs_.pop_back();
    if (done.seat != seat_ && !chance.chance(1, 3)) continue;  // too late, and the broker may have given its lease's number to another
    for (auto left = done.answers; left > 0; --left) answer(done.lease, done.as, done.payload);
  }
}

void member::run(instant now) {
  auto& chance = around_.chance;
  if (was_connected_ && !socket_.connected()) lost();
  wire::message arrived;
  while (socket_.receive(now, arrived)) {
    wire::bundle_reader frames{arrived};
    wire::frame in;
    while (frames.next(in) == wire::decoded::frame) read(now, in);
  }
  if (!was_connected_ && socket_.connected()) heard_ = now;
  was_connected_ = socket_.connected();
  work(now);
  if (was_connected_) {
    if (at_ == stage::outside || (at_ == stage::joining && join_at_ <= now)) join(now);
    if (at_ == stage::joined && rejoin_) {
      rejoin_ = false;
      join(now);
    }
    if (pulse_at_ <= now) {
      pulse_at_ = now + around_.events.net.limits.pulse;
      wire::append_pulse(bundle_);
    }
  }
  if (act_at_ <= now && !around_.calm) {
    act_at_ = now + milliseconds{chance.between(1, 400)};
    if (at_ == stage::joined && chance.chance(around_.events.rejoins, 1000)) join(now);
    // Somebody's lease, long over or another's.
    if (!old_leases_.empty() && chance.chance(around_.events.twice, 1000)) answer(chance.pick(old_leases_), status::ok, {});
  }
  if (!bundle_.empty() && silent_until_ <= now && socket_.send(now, bundle_)) bundle_.clear();
  look_at_ = std::max(bundle_.empty() ? now : silent_until_, now + milliseconds{bundle_.empty() ? was_connected_ ? 500 : 20 : 5});
  if (!over_) return;
  over_ = false;
  socket_.close();
  up_ = was_connected_ = false;
  jobs_.clear();
  bundle_.clear();
  restart_after(now, milliseconds{around_.calm ? 0 : chance.below(3000)});
}

instant member::next_deed(instant now) const {
  if (over_) return now;
  auto next = std::min(pulse_at_, look_at_);
  if (!around_.calm) next = std::min(next, act_at_);
  for (const auto& each : jobs_) next = std::min(next, each.ends);
  if (!was_connected_) next = std::max(next, look_at_);
  return next;
}

}  // namespace waggle::sim
