#include "sim/worker.hpp"

#include <algorithm>

namespace waggle::sim {

namespace {

/// So long a worker that leaves waits for what is at hand, as `waggle::service` does. A broker that has taken it for dead never answers its LEAVE, and
/// a handler may wait for credit that cannot come any more.
constexpr milliseconds patience{10'000};

}  // namespace

struct worker::sink {
  worker& to;
  instant now;

  void on_joined(const detail::welcome& by) {
    if (to.around_.log.verbose()) to.around_.log.say(now, "worker " + std::to_string(to.number_) + " has joined " + by.broker);
  }
  void on_call(const detail::lease& under, const wire::frame& in) { to.take(now, under, in); }
  void on_cancel(const detail::lease& under) {
    for (auto& each : to.jobs_) {
      if (each.lease != under) continue;
      if (each.parts_to_come == 0 && to.around_.chance.chance(1, 4)) continue;  // some handlers do not look
      each.next = std::min(each.next, now + milliseconds{to.around_.chance.below(20)});
      each.parts_to_come = 0;
      each.ends_as = status::cancelled;
    }
  }
  void on_credit(const detail::lease& under, std::uint64_t parts) {
    for (auto& each : to.jobs_) {
      if (each.lease == under && each.credit != wire::no_credit_limit) each.credit += parts;
    }
  }
  void on_asked_to_leave() { to.depart(now); }
  void on_lost(const std::string& why) {
    for (auto& each : to.jobs_) each.parts_to_come = 0;
    if (to.around_.log.verbose()) to.around_.log.say(now, "worker " + std::to_string(to.number_) + ": " + why);
  }
  void on_refused(const error& why) { throw violation{"a good manifest is refused: " + why.message}; }
  void on_left() { to.over_ = true; }
  void on_complaint(const error& why) {
    if (to.around_.log.verbose()) to.around_.log.say(now, "worker " + std::to_string(to.number_) + " hears a complaint: " + why.message);
  }
};

void worker::start(instant now) {
  auto& chance = around_.chance;
  kind_ = &chance.pick(around_.in.services);
  slots_ = static_cast<std::uint32_t>(chance.between(1, around_.in.slots_max));
  quick_slots_ = !around_.in.quick || chance.chance(1, 4) ? 0 : static_cast<std::uint32_t>(chance.between(1, around_.in.slots_max));
  const auto bundle = static_cast<std::uint32_t>(chance.chance(1, 3) ? 1 : chance.between(1, 100));
  idles_ = around_.in.idle && !chance.chance(1, 5);
  std::string bytes;
  wire::append_manifest(bytes, manifest{kind_->service, kind_->version, chance.chance(1, 2) ? "worker-" + std::to_string(number_) : "",
                                        slots_, bundle, kind_->commands, kind_->credit, {}, quick_slots_, static_cast<std::uint32_t>(chance.below(4)), idles_});
  core_.emplace(clock(now), detail::worker_core::options{.manifest = bytes, .broker = "sim", .jitter_seed = chance.next(), .attachment_bytes_min = chance.between(1, 60), .idles = idles_});
  socket_.open(now, idles_);
}

void worker::crash(instant now) {
  socket_.cut(now, true);
  core_.reset();
  jobs_.clear();
  message_.clear();
  over_ = false;
  drained_by_ = instant::max();
}

void worker::depart(instant now) {
  if (!core_) return;
  drained_by_ = std::min(drained_by_, now + patience);
  core_->leave(clock(now), sink{*this, now});
}

void worker::take(instant now, const detail::lease& under, const wire::frame& in) {
  auto& chance = around_.chance;
  const auto& climate = around_.in;
  const auto command = std::find_if(kind_->commands.begin(), kind_->commands.end(), [&](const auto& each) { return each.name == in.name; });
  if (command == kind_->commands.end()) throw violation{"a worker gets a call that it does not serve"};
  const bool quick = command->quick && quick_slots_ > 0;
  // Handlers of an earlier seat may still run, for nobody.
  const auto in_class = std::count_if(jobs_.begin(), jobs_.end(), [&](const auto& each) { return each.lease.seat == under.seat && each.quick == quick; });
  if (static_cast<std::size_t>(in_class) >= (quick ? quick_slots_ : slots_)) throw violation{"a worker has more calls of a class than slots"};
  if (number_in(in.payload) == 0) throw violation{"a worker gets a payload that nobody has sent"};
  auto& made = jobs_.emplace_back();
  made.lease = under;
  made.quick = quick;
  made.payload = in.payload;
  if (kind_->credit) made.credit = in.parts;
  const auto longest = static_cast<std::uint64_t>(around_.calm ? 20 : climate.handler_max.count());
  made.next = now + microseconds{chance.below(1000 * longest) + 1};
  if (around_.log.verbose()) around_.log.say(now, "worker " + std::to_string(number_) + " gets call " + std::to_string(number_in(in.payload)) + ", " + std::string{name(command->retry)});
  if (around_.calm) return around_.book.start(number_in(in.payload), command->retry);
  if (chance.chance(climate.rejections, 1000)) {  // it has not begun, and says so
    made.ends_as = status::unavailable;
    made.next = now + microseconds{chance.below(2000)};
    return;
  }
  around_.book.start(number_in(in.payload), command->retry);
  if (chance.chance(climate.parts, 1000)) made.parts_to_come = static_cast<std::uint32_t>(chance.between(1, 6));
  if (chance.chance(climate.stuck, 1000)) made.next = now + milliseconds{chance.between(1, 30'000)};
  if (chance.chance(1, 30)) made.ends_as = status::internal;
}

void worker::work(instant now) {
  for (std::size_t i = 0; i < jobs_.size();) {
    auto& each = jobs_[i];
    if (each.next > now) {
      ++i;
      continue;
    }
    if (each.parts_to_come > 0 && each.credit == 0) {
      ++i;
      continue;
    }
    if (each.parts_to_come > 0) {
      if (each.credit != wire::no_credit_limit) --each.credit;
      core_->part(each.lease, part_of(number_in(each.payload), each.parts));
      ++each.parts;
      --each.parts_to_come;
      if (around_.chance.chance(1, 2)) each.next = now + microseconds{around_.chance.below(5000)};
      continue;
    }
    if (each.ends_as == status::ok) {
      core_->reply(each.lease, status::ok, result_of(each.payload, each.parts));
    } else {
      std::string payload;
      wire::append_error(payload, {each.ends_as, "so the handler says", true});
      core_->reply(each.lease, each.ends_as, payload);
    }
    if (i + 1 < jobs_.size()) each = std::move(jobs_.back());
    jobs_.pop_back();
  }
}

void worker::run(instant now) {
  sink to{*this, now};
  wire::message got;
  while (socket_.receive(now, got)) core_->receive(clock(now), got, to);
  core_->tick(clock(now), to);
  if (core_->next_deadline() < clock(now)) throw violation{"after a tick a worker wants the clock at a time that is past"};
  work(now);
  if (core_->wants_connection()) {
    message_.clear();
    socket_.close();
    socket_.open(now, idles_);
  }
  while (!message_.empty() || core_->take_message(clock(now), message_)) {
    if (!socket_.send(now, message_)) break;
    message_.clear();
  }
  if (!over_ && now < drained_by_) return;
  over_ = false;
  drained_by_ = instant::max();
  socket_.close();
  core_.reset();
  jobs_.clear();
  message_.clear();
  restart_after(now, milliseconds{around_.calm ? 0 : around_.chance.below(3000)});
}

instant worker::next_deed(instant now) const {
  if (over_) return now;
  auto next = true_time(core_->next_deadline());
  for (const auto& each : jobs_) {
    if (each.parts_to_come == 0 || each.credit > 0) next = std::min(next, each.next);
  }
  if (!message_.empty()) next = std::min(next, now + milliseconds{5});
  return std::min(next, drained_by_);
}

}  // namespace waggle::sim
