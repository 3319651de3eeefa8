#include "broker/core/broker_core.hpp"

#include <algorithm>

namespace waggle::broker {

namespace {

error denial(const role& of, const std::string& what) {
  return {status::permission_denied, "the role \"" + of.name + "\" may not " + what + "; the broker's --peers file says what it may"};
}

}  // namespace

broker_core::broker_core(settings from, event_settings for_events)
    : settings_{std::move(from)},
      directory_{settings_.commands_max, settings_.hold, settings_.remember, settings_.held_pools_max},
      events_{std::move(for_events), static_cast<const event_members&>(*this)} {
  self_.name = "waggle";
  settings_.calls_max = std::min(settings_.calls_max, call_table::size_max);
}

/// Time does not run backwards here. And when it has jumped, the broker itself stood still (suspended, starved): what peers
/// sent meanwhile may not have been read yet, so their silence proves nothing until a pulse has had time to be read.
instant broker_core::observe(instant now) {
  if (now <= now_) return now_;
  if (now_ == instant{}) started_ = now;
  if (now_ != instant{} && now - now_ > 2 * settings_.pulse) verdicts_from_ = now + settings_.pulse;
  return now_ = now;
}

void broker_core::receive(instant now, peer_id from, const wire::message_view& message, outbox& out) {
  now = observe(now);
  ++counts_.bundles;
  if (!admit(now, from, out)) return;
  heard(now, from);
  if (message.bundle.empty()) on_pulse(from, out);  // with which sockets say that they have connected
  counts_.attachments += message.attachments.size();
  auto& frames = look_ahead_;
  frames.begin(message);
  wire::frame* in = nullptr;
  for (;;) {
    const auto next = frames.next(in);
    if (next == wire::decoded::frame) {
      ++counts_.frames;
      // To share a small one could keep a large buffer alive that it lies in.
      if (in->attached != nullptr && in->payload.size() < settings_.attachment_bytes_min) in->attached = nullptr;
      on_frame(now, from, *in, out);
    } else if (next == wire::decoded::unknown) {
      ++counts_.unknown_frames;
    } else if (next == wire::decoded::broken) {
      on_broken(now, from, "byte " + std::to_string(frames.offset()) + " of the message: " + frames.why(), out);
      return settle_events(now, out);
    } else {
      dispatch_returned(now, out);
      return settle_events(now, out);
    }
  }
}

void broker_core::receive_garbage(instant now, peer_id from, std::string why, outbox& out) {
  now = observe(now);
  ++counts_.bundles;
  if (admit(now, from, out)) on_broken(now, from, std::move(why), out);
  settle_events(now, out);
}

bool broker_core::serves(std::string_view command) const {
  const auto command_index = directory_.find(command);
  return command_index != none && directory_.active_workers(command_index) > 0;
}

void broker_core::on_broken(instant now, peer_id from, std::string why, outbox& out) {
  ++counts_.broken_bundles;
  why += "; the peer loses its seat and may join again (broker/PROTOCOL.md says what a frame is)";
  refuse(from, 0, {status::invalid_argument, why}, out);
  drop(now, from, why, out);
  dispatch_returned(now, out);
}

/// Makes room for what is known of a peer.
void broker_core::number(peer_id id) {
  const auto index = static_cast<std::size_t>(id);
  if (index < peers_.size()) return;
  peers_.resize(index + 1);
  presences_.resize(index + 1);
}

bool broker_core::admit(instant now, peer_id from, outbox& out) {
  if (knows(from)) return true;
  number(from);
  if (peer_count() >= settings_.peers_max) {
    refuse(from, 0, overload("the broker has as many peers as it may (peers_max)"), out);
    forget(from, out);
    return false;
  }
  if (at(from).forgotten_in == out.round()) out.keep(from);
  presence_of(from).known = true;
  presence_of(from).heard = now;
  silent_.push_back(presences_, static_cast<std::uint32_t>(from));
  return true;
}

void broker_core::heard(instant now, peer_id from) {
  auto& seen = presence_of(from);
  seen.heard = now;
  (seen.rests ? resting_ : at(from).worker == none ? silent_ : pulsing_).move_to_back(presences_, static_cast<std::uint32_t>(from));
}

/// Ends everything that concerns the peer and forgets it. Calls that others may run then wait for `dispatch_returned`.
void broker_core::drop(instant now, peer_id gone, std::string_view why, outbox& out) {
  if (const auto worker_index = at(gone).worker; worker_index != none) {
    const auto at_hand = directory_.worker_at(worker_index).in_flight();
    out.note(directory_.describe(worker_index).append(" is gone: ").append(why).append("; calls at hand: ") + std::to_string(at_hand));
    remove_worker(now, gone, "the worker that had the call is gone", out);
  }
  while (!at(gone).calls.empty()) abandon(at(gone).calls.front(), out);
  silent_.erase(presences_, static_cast<std::uint32_t>(gone));
  forget(gone, out);
}

/// Several messages may be read before an outbox is done, so a peer may be met again after this and before the shell knows.
void broker_core::forget(peer_id gone, outbox& out) {
  if (at(gone).forgotten_in == out.round()) out.keep(gone);
  auto who = std::move(at(gone).who);
  at(gone) = peer{};
  at(gone).who = std::move(who);
  at(gone).forgotten_in = out.round();
  presence_of(gone) = {};
  out.forget(gone);
}

void broker_core::identify(instant now, peer_id named, std::shared_ptr<const identity> who, outbox& out) {
  now = observe(now);
  number(named);
  at(named).who = std::move(who);
  const auto* const may = role_of(named);
  const auto worker_index = at(named).worker;
  if (may == nullptr || worker_index == none) return;
  const auto excess = excess_of(worker_index, *may);
  if (!excess) return;
  refuse(named, 0, denial(*may, *excess + " any more"), out);
  drop(now, named, "its role may not " + *excess + " any more", out);
  dispatch_returned(now, out);
  settle_events(now, out);
}

void broker_core::expel(instant now, peer_id gone, outbox& out) {
  now = observe(now);
  if (!knows(gone)) return;
  constexpr const char* why = "its key is not one of the network any more";
  refuse(gone, 0, {status::permission_denied, why}, out);
  // What it says is heard no more, so it cannot ask whether it has its seat still: one that rests would wait for long.
  if (at(gone).worker != none) wire::append_pulse(frame_for(gone, out), 0);
  drop(now, gone, why, out);
  dispatch_returned(now, out);
  settle_events(now, out);
}

/// The first thing that a seated worker does and that this role does not allow.
std::optional<std::string> broker_core::excess_of(std::uint32_t worker_index, const role& may) const {
  manifest serves;
  for (const auto each : directory_.pool_of(worker_index).commands) {
    const auto& name = directory_.command_at(each).name;
    if (const auto event = read_event_command(name)) {
      auto& made = serves.events.emplace_back();
      made.group = event->first;
      made.topic = event->second;
    } else {
      serves.commands.emplace_back().name = name;
    }
  }
  return may.refusal_of(serves);
}

/// What a peer wanted is none of what its role allows. Peers can have this as often as they like: of each the log has one line in a while.
void broker_core::deny(instant now, peer_id from, std::uint64_t id, const std::string& what, outbox& out) {
  constexpr std::chrono::seconds note_interval{10};
  ++counts_.denied;
  auto& who = at(from);
  const bool noted = who.denial_noted == instant{} || now - who.denial_noted >= note_interval;
  if (noted) {
    who.denial_noted = now;
    out.note(who.who->name + ": the role \"" + who.who->may->name + "\" may not " + what);
  }
  if (id != 0 || noted) refuse(from, id, denial(*who.who->may, what), out);
}

void broker_core::unreachable(instant now, peer_id peer_gone, const std::vector<wire::message_view>& unsent, outbox& out) {
  now = observe(now);
  if (!knows(peer_gone)) return;
  if (at(peer_gone).worker != none) {
    ++counts_.dead_workers;
    for (const auto& each : unsent) take_back(peer_gone, each);
  }
  drop(now, peer_gone, "its connection is lost, or it does not read", out);
  dispatch_returned(now, out);
  settle_events(now, out);
}

/// Where the next frame to this peer goes: into the message that is open for it, while that has room.
std::string& broker_core::frame_for(peer_id to, outbox& out) {
  auto& who = at(to);
  if (who.round == out.round() && who.frames < who.bundle && out.message_at(who.message).bytes() < wire::bundle_bytes_soft_max) {
    ++who.frames;
    return out.message_at(who.message).bundle;
  }
  who.round = out.round();
  who.message = static_cast<std::uint32_t>(out.open(to));
  who.frames = 1;
  return out.message_at(who.message).bundle;
}

/// The payload of the frame that `frame_for` has just made room for: beside the bundle if it came so and the peer takes it so, otherwise in it.
wire::payload_field broker_core::payload_for(peer_id to, const contents& what, outbox& out) {
  if (what.attached == nullptr) return what.payload;
  const auto& who = at(to);
  auto& message = out.message_at(who.message);
  if (message.attachments.size() >= who.attachments) return what.payload;
  return wire::payload_field::attached(message, *what.attached);
}

void broker_core::refuse(peer_id to, std::uint64_t id, const error& why, outbox& out) {
  std::string payload;
  wire::append_error(payload, why);
  if (to == self) {  // what the broker itself says of a call may have run exactly if a worker was given it
    ended_.push_back({id, why.code, std::move(payload), why.may_have_run, false});
    return;
  }
  wire::append_reply(frame_for(to, out), id, why.code, payload, {});
}

error broker_core::overload(std::string message) const {
  return {status::resource_exhausted, std::move(message), false, settings_.retry_after};
}

void broker_core::on_frame(instant now, peer_id from, const wire::frame& in, outbox& out) {
  // Answers to id 0 belong to no call: they tell a peer what it did wrong.
  const auto misplaced = [&](const char* why) {
    ++counts_.misplaced_frames;
    refuse(from, 0, {status::failed_precondition, why}, out);
  };
  switch (in.type) {
    case wire::frame_type::call:
      if (in.id == 0) return misplaced("a CALL needs an id of 1 or more");
      if (calls_.find(from, in.id) != none) return misplaced("a CALL came with the id of one that is still open; it was not run");
      return on_call(now, from, in, out);
    case wire::frame_type::reply: return on_reply(now, from, in, out);
    case wire::frame_type::part: return on_part(from, in, out);
    case wire::frame_type::credit: return on_credit(from, in, out);
    case wire::frame_type::cancel: return on_cancel(from, in, out);
    case wire::frame_type::pulse: return on_pulse(from, out);
    case wire::frame_type::emit:
      if (in.id != 0 && calls_.find(from, in.id) != none) {
        return misplaced("an EMIT came with the id of a call or event that is still open; it was not taken");
      }
      return on_emit(now, from, in, out);
    case wire::frame_type::hello: return on_hello(from, in, out);
    case wire::frame_type::join: return on_join(now, from, in, out);
    case wire::frame_type::leave: return on_leave(now, from, in, out);
    case wire::frame_type::event: return misplaced("only the broker sends EVENT on this socket; use EMIT");
  }
}

void broker_core::on_hello(peer_id from, const wire::frame& in, outbox& out) {
  std::uint64_t bundle = 1, attachments = 0;
  std::string_view name;
  wire::reader about{in.manifest};
  if (!in.manifest.empty()) {
    wire::read_entries(about, [&](std::string_view key) {
      if (key == "bundle" && about.peek() == wire::kind::unsigned_integer) return about.unsigned_integer(bundle);
      if (key == "attachments" && about.peek() == wire::kind::unsigned_integer) return about.unsigned_integer(attachments);
      if (key == "name" && about.peek() == wire::kind::string) return about.string(name);
      return about.skip();
    });
  }
  if (wire::is_name(name)) at(from).name = name;
  at(from).bundle = static_cast<std::uint16_t>(std::clamp<std::uint64_t>(bundle, 1, wire::bundle_frames_max));
  at(from).attachments = static_cast<std::uint32_t>(std::min<std::uint64_t>(attachments, wire::attachments_max));
  welcome(from, in.id, out);
}

/// The answer to HELLO and JOIN: what a peer needs to know of this broker.
void broker_core::welcome(peer_id to, std::uint64_t id, outbox& out) {
  const auto worker_index = at(to).worker;
  std::string payload;
  wire::writer writer{payload};
  const auto number = [&](std::string_view key, std::uint64_t value) {
    writer.string(key);
    writer.unsigned_integer(value);
  };
  const auto text = [&](std::string_view key, std::string_view value) {
    writer.string(key);
    writer.string(value);
  };
  const bool idles = settings_.idle_pulse > settings_.pulse;
  writer.map(idles ? 13 : 12);
  number("protocol", wire::protocol_version);
  text("broker", settings_.instance);
  text("version", settings_.version);
  number("pulse_ms", static_cast<std::uint64_t>(settings_.pulse.count()));
  if (idles) number("idle_pulse_ms", static_cast<std::uint64_t>(settings_.idle_pulse.count()));
  number("missed_pulses_max", settings_.missed_pulses_max);
  number("bundle", wire::bundle_frames_max);
  number("attachments", wire::attachments_max);
  number("message_bytes_max", wire::message_bytes_max);
  text("events_in", settings_.events_in);
  text("events_out", at(to).who ? at(to).who->events_out : settings_.events_out);
  number("seats", worker_index == none ? 0 : directory_.seats(worker_index));
  writer.string("durable");
  writer.boolean(events_.is_durable());
  wire::append_reply(frame_for(to, out), id, status::ok, payload, {});
}

void broker_core::on_join(instant now, peer_id from, const wire::frame& in, outbox& out) {
  const auto wanted = wire::read_manifest(in.manifest);
  if (!wanted) return refuse(from, in.id, wanted.error(), out);
  if (const auto* const may = role_of(from)) {
    if (const auto excess = may->refusal_of(*wanted)) return deny(now, from, in.id, *excess, out);
  }
  const auto again = at(from).worker;
  const bool was_leaving = again != none && directory_.worker_at(again).leaving;
  if (const auto allowed = events_.may_join(wanted->events, wanted->service); !allowed) return refuse(from, in.id, allowed.error(), out);
  const auto joined = directory_.join(now, from, *wanted, again);
  if (!joined) return refuse(from, in.id, joined.error(), out);
  if (was_leaving) {
    refuse(from, directory_.worker_at(again).leave_id, {status::aborted, "the worker joined again before it had left"}, out);
  }
  auto& who = at(from);
  who.bundle = static_cast<std::uint16_t>(wanted->bundle);
  who.attachments = wanted->attachments;
  if (directory_.pool_of(*joined).lane_count == 1) {  // where the directory counts them now
    for (auto i = who.leases.front(); i != none; i = who.leases.after(calls_.items(), i)) calls_[i].lane = 0;
  }
  if (again == none) {
    who.worker = *joined;
    silent_.erase(presences_, static_cast<std::uint32_t>(from));
    pulsing_.push_back(presences_, static_cast<std::uint32_t>(from));
    directory_.worker_at(*joined).pulse_due = now + settings_.pulse;
    pulses_.push_back(directory_.workers(), *joined);
  } else if (directory_.worker_at(again).rests) {
    set_rest(now, again, false);  // it may not do so any more
  }
  events_.joined(now, wanted->events, wanted->service);
  welcome(from, in.id, out);
  out.note(directory_.describe(*joined) + " joined with " + std::to_string(directory_.seats(*joined)) + " command" +
           (directory_.seats(*joined) == 1 ? "" : "s"));
  network_changed(now);
  release_held(now, out);
  unlist_keys_of(*joined);  // it may serve other commands than before
  for (const auto each : directory_.pool_of(*joined).commands) unlist_homeless(each);
  dispatch_returned(now, out);
  for (std::uint32_t lane = 0; lane < directory_.pool_of(*joined).lane_count; ++lane) give_slots(now, *joined, lane, out);
}

void broker_core::on_leave(instant now, peer_id from, const wire::frame& in, outbox& out) {
  const auto worker_index = at(from).worker;
  if (worker_index == none) {  // there is nothing left to finish
    wire::append_reply(frame_for(from, out), in.id, status::ok, {}, {});
    return;
  }
  if (directory_.worker_at(worker_index).leaving) {
    return refuse(from, in.id, {status::failed_precondition, "the worker is leaving already"}, out);
  }
  directory_.worker_at(worker_index).leaving = true;
  directory_.worker_at(worker_index).leave_id = in.id;
  drain(now, worker_index, out);
  if (directory_.worker_at(worker_index).in_flight() == 0) finish_drain(now, from, out);
}

/// No more calls for this worker; the keys that wait for it go elsewhere.
void broker_core::drain(instant now, std::uint32_t worker_index, outbox& out) {
  directory_.drain(now, worker_index);
  unlist_keys_of(worker_index);
  network_changed(now);
  release_held(now, out);
  dispatch_returned(now, out);
}

void broker_core::finish_drain(instant now, peer_id of, outbox& out) {
  const auto leave_id = directory_.worker_at(at(of).worker).leave_id;
  out.note(directory_.describe(at(of).worker) + " left");
  remove_worker(now, of, {}, out);
  wire::append_reply(frame_for(of, out), leave_id, status::ok, {}, {});
}

void broker_core::on_pulse(peer_id from, outbox& out) {
  // A joined worker hears the broker's own pulses. Anybody else learns that it has no seat: a worker that was taken for
  // dead, or whose broker has restarted, then joins again.
  if (at(from).worker == none) wire::append_pulse(frame_for(from, out), 0);
}

/// Whether it was the worker's own, a message to it shows: one that cannot be sent.
void broker_core::connection_ended(instant now, peer_id of, outbox& out) {
  observe(now);
  if (!knows(of) || at(of).worker == none) return;
  wire::append_pulse(frame_for(of, out), directory_.seats(at(of).worker));
}

/// While a worker has nothing at hand nobody waits for it, and it and the broker let hear from themselves seldom. That it has died shows when its
/// connection ends; that it is deaf, as soon as for others once it has a call.
bool broker_core::may_rest(const directory::worker& worker) const {
  return worker.idles && worker.in_flight() == 0 && settings_.idle_pulse > settings_.pulse;
}

/// It begins to rest, or is to be heard as others are from now on.
void broker_core::set_rest(instant now, std::uint32_t worker_index, bool rests) {
  auto& worker = directory_.worker_at(worker_index);
  auto& seen = presence_of(worker.peer);
  const auto place = static_cast<std::uint32_t>(worker.peer);
  (worker.rests ? idle_pulses_ : pulses_).erase(directory_.workers(), worker_index);
  (worker.rests ? resting_ : pulsing_).erase(presences_, place);
  worker.rests = seen.rests = rests;
  (rests ? idle_pulses_ : pulses_).push_back(directory_.workers(), worker_index);
  (rests ? resting_ : pulsing_).push_back(presences_, place);
  worker.pulse_due = now + (rests ? settings_.idle_pulse : settings_.pulse);
  seen.heard = now;  // the lists are in order of that; who begins to rest was heard a moment ago
}

void broker_core::send_pulses(instant now, outbox& out) {
  const auto pulse = [&](std::uint32_t worker_index, milliseconds next) {
    auto& worker = directory_.worker_at(worker_index);
    worker.pulse_due = now + next;
    wire::append_pulse(frame_for(worker.peer, out), directory_.seats(worker_index));
  };
  while (!idle_pulses_.empty() && directory_.worker_at(idle_pulses_.front()).pulse_due <= now) {
    const auto index = idle_pulses_.front();
    idle_pulses_.move_to_back(directory_.workers(), index);
    pulse(index, settings_.idle_pulse);
  }
  while (!pulses_.empty() && directory_.worker_at(pulses_.front()).pulse_due <= now) {
    const auto index = pulses_.front();
    const bool rests = may_rest(directory_.worker_at(index));
    if (rests) {
      set_rest(now, index, true);
    } else {
      pulses_.move_to_back(directory_.workers(), index);
    }
    pulse(index, rests ? settings_.idle_pulse : settings_.pulse);
  }
}

void broker_core::tick(instant now, outbox& out) {
  now = observe(now);
  events_.tick(now);
  settle_events(now, out);
  while (deadlines_.earliest() <= now) expire(deadlines_.front(), out);
  release_held(now, out);
  end_grace(now, out);
  for (const auto& [list, pulse] : {std::pair{&pulsing_, settings_.pulse}, {&resting_, settings_.idle_pulse}}) {
    const auto silence_max = pulse * settings_.missed_pulses_max;
    while (now >= verdicts_from_ && !list->empty() && presences_[list->front()].heard + silence_max <= now) {
      ++counts_.dead_workers;
      drop(now, peer_id{list->front()}, "it has been silent for too long", out);
    }
  }
  dispatch_returned(now, out);
  while (!silent_.empty() && presences_[silent_.front()].heard + settings_.idle_max <= now) {
    const auto index = silent_.front();
    if (peers_[index].calls.empty()) {
      drop(now, peer_id{index}, "idle", out);
    } else {
      heard(now, peer_id{index});  // it waits for an answer; its budgets bound that
    }
  }
  send_pulses(now, out);
  if (announce_at_ <= now) {
    announce_at_ = instant::max();
    while (!parked_.empty()) reply_services(parked_.front(), out);
  }
  settle_events(now, out);
}

instant broker_core::next_deadline() const {
  auto next = std::min({deadlines_.earliest(), announce_at_, directory_.held_until(), events_.next_deadline()});
  if (directory_.expects()) next = std::min(next, started_ + settings_.grace);
  for (const auto& [list, pulse] : {std::pair{&pulsing_, settings_.pulse}, {&resting_, settings_.idle_pulse}}) {
    if (list->empty()) continue;
    const auto verdict = presences_[list->front()].heard + pulse * settings_.missed_pulses_max;
    next = std::min(next, std::max(verdict, verdicts_from_));
  }
  if (!silent_.empty()) next = std::min(next, presences_[silent_.front()].heard + settings_.idle_max);
  for (const auto* const list : {&pulses_, &idle_pulses_}) {
    if (!list->empty()) next = std::min(next, directory_.worker_at(list->front()).pulse_due);
  }
  return next;
}

}  // namespace waggle::broker
