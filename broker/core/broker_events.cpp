// Between the broker core and its events' core: calls that the events' core answers, and what it wants of workers, peers and the log.
#include <utility>

#include "broker/core/broker_core.hpp"
#include "broker/events/headers.hpp"

namespace waggle::broker {

namespace {

constexpr milliseconds later_budget{60'000};

}  // namespace

std::uint32_t broker_core::slots_of(std::string_view command) const {
  const auto command_index = directory_.find(command);
  return command_index == none ? 0 : directory_.slots_of(command_index);
}

bool broker_core::may_repeat(std::string_view command) const {
  const auto command_index = directory_.find(command);
  return command_index != none && directory_.may_repeat(command_index);
}

void broker_core::open_log(instant now, const log_contents& what, outbox& out) {
  now = observe(now);
  events_.open(now, what);
  settle_events(now, out);
}

void broker_core::wrote(instant now, std::uint64_t ticket, const result<written>& what, outbox& out) {
  now = observe(now);
  events_.wrote(now, ticket, what);
  settle_events(now, out);
}

void broker_core::looked_up(instant now, std::uint64_t ticket, const read_result& what, outbox& out) {
  now = observe(now);
  events_.looked_up(now, ticket, what);
  settle_events(now, out);
}

/// Opens the record of a call that the events' core answers; returns its lease.
std::uint64_t broker_core::open_asked(instant now, peer_id from, const wire::frame& in, bool only_reads) {
  const auto call_index = open_call(now, from, in, none);
  calls_[call_index].state = call_state::asked;
  calls_[call_index].attempts = only_reads ? 0 : 1;  // when it ends before it is answered, it may be done all the same
  return calls_.lease_of(call_index);
}

void broker_core::on_emit(instant now, peer_id from, const wire::frame& in, outbox& out) {
  ++counts_.events;
  if (const auto* const may = role_of(from)) {
    if (!may->may_publish(in.name)) return deny(now, from, in.id, "publish \"" + std::string{in.name} + '"', out);
    if (in.claims && !may->claims) return deny(now, from, in.id, "emit for others (the header `claims`)", out);
  }
  if (in.id == 0) return events_.emit(now, 0, in.name, in.payload, in.headers);
  if (const auto why = too_many_calls(from)) return refuse(from, in.id, *why, out);
  auto emitted = in;
  emitted.budget_ms = static_cast<std::uint64_t>(settings_.emit_budget.count());
  events_.emit(now, open_asked(now, from, emitted, false), in.name, in.payload, in.headers);
  settle_events(now, out);  // a receipt that needs no log is given at once: the id is free for the next frame of the bundle
}

/// A CALL with the header `later`: accepted once it is in the log, whoever serves it then.
void broker_core::on_later(instant now, peer_id from, const wire::frame& in, outbox& out) {
  if (in.name.starts_with("waggle.")) {
    return refuse(from, in.id, {status::invalid_argument, "the broker's own commands run at once, not later"}, out);
  }
  if (in.key.size() > wire::key_bytes_max) return refuse(from, in.id, {status::invalid_argument, "a key has at most 512 bytes"}, out);
  const auto command_index = directory_.find(in.name);
  if (command_index != none && in.key.empty() && directory_.needs_key(command_index)) {
    return refuse(from, in.id, {status::invalid_argument, "\"" + std::string{in.name} + "\" needs a key: send it as the header `key`"}, out);
  }
  const auto lease = open_asked(now, from, in, false);
  events_.later(now, lease, in.name, in.payload, in.headers, in.later_ms == 0 ? later_budget : milliseconds{in.later_ms});
}

void broker_core::on_question(instant now, peer_id from, const wire::frame& in) {
  events_.ask(now, open_asked(now, from, in, event_core::only_reads(in.name)), in.name, in.payload, milliseconds{in.budget_ms},
              at(from).who ? at(from).who->may : nullptr);
}

/// False: it is broken.
bool broker_core::read_published(std::string_view topic, std::string_view event, wire::frame& into) {
  wire::bundle_reader frames{event};
  wire::frame more;
  return frames.next(into) == wire::decoded::frame && into.type == wire::frame_type::event && into.name == topic && into.id == 0 &&
         wire::is_topic(topic) && frames.next(more) == wire::decoded::end;
}

void broker_core::receive_event(instant now, std::string_view topic, std::string_view event, outbox& out, const identity* from) {
  constexpr std::chrono::seconds note_interval{1};
  now = observe(now);
  wire::frame in;
  if (!read_published(topic, event, in)) {
    ++counts_.broken_events;
    return;
  }
  if (from != nullptr && (!from->may->may_publish(topic) || (in.claims && !from->may->claims))) {
    ++counts_.denied;
    if (denied_event_noted_ != instant{} && now - denied_event_noted_ < note_interval) return;
    denied_event_noted_ = now;
    return out.note(from->name + ": the role \"" + from->may->name + "\" may not publish \"" + std::string{topic} + '"' +
                    (from->may->may_publish(topic) ? " for others (the header `claims`)" : ""));
  }
  ++counts_.events;
  events_.emit(now, 0, topic, in.payload, in.headers);
  settle_events(now, out);
}

bool broker_core::passes_on(std::string_view topic, std::string_view event, const identity* from) {
  wire::frame in;
  if (from != nullptr && !from->may->may_publish(topic)) return false;
  if (!events_.is_ephemeral(topic) || !read_published(topic, event, in) || !in.about.empty()) return false;
  if (from != nullptr && in.claims && !from->may->claims) return false;
  ++counts_.events;
  events_.passed_on();
  return true;
}

void broker_core::subscribed(instant now, std::string_view prefix, outbox& out) {
  now = observe(now);
  if (prefix.starts_with("waggle.hello.") && wire::is_name(prefix)) {
    std::string event;
    wire::append_event(event, 0, prefix, {}, {});
    out.publish(std::string{prefix}, std::move(event));
    return;
  }
  events_.subscribed(prefix);
  settle_events(now, out);
}

/// Hands an event or a durable command to whoever takes it, or lets it wait for them like any other call.
void broker_core::begin_delivery(instant now, const event_effects::delivery& what, outbox& out) {
  wire::frame in;
  in.id = what.ticket;
  in.name = what.command;
  in.payload = what.payload;
  in.headers = what.headers;
  in.budget_ms = static_cast<std::uint64_t>(what.budget.count());
  if (!what.is_event) in.key = header_of(what.headers, "key");
  const auto command_index = directory_.find(what.command);
  if (command_index == none || !directory_.is_awaited(command_index)) {
    return refuse(self, in.id, {status::unavailable, "nobody takes it now"}, out);
  }
  delivering_ = &what;
  if (!in.key.empty()) {
    on_keyed_call(now, self, in, command_index, out);
  } else if (!what.is_event && directory_.needs_key(command_index)) {
    refuse(self, in.id, {status::invalid_argument, "the command needs a key: send it as the header `key`"}, out);
  } else {
    run_or_wait(now, self, in, command_index, out);
  }
  delivering_ = nullptr;
}

/// Does what the events' core wants done, and tells it what became of that, until there is nothing more.
void broker_core::settle_events(instant now, outbox& out) {
  if (std::exchange(members_changed_, false)) events_.members_changed(now);
  for (;;) {
    for (const auto& each : std::exchange(ended_, {})) {
      events_.delivered(now, each.ticket, {each.code, each.payload, each.handed_over, each.answered});
    }
    auto& effects = events_.effects();
    if (effects.empty() && ended_.empty()) return;
    for (auto& each : effects.answers) {
      const auto call_index = calls_.asked_as(each.lease);
      if (call_index == none) continue;  // nobody waits for it any more
      const auto& asked = calls_[call_index];
      if (each.payload.size() > wire::payload_bytes_max) {
        end(call_index, {status::out_of_range, "the answer is too large for one payload; ask with a smaller limit or a prefix"}, out);
        continue;
      }
      wire::append_reply(frame_for(asked.caller, out), asked.caller_id, each.code, each.payload, {});
      abandon(call_index, out);
    }
    for (auto& each : effects.broadcasts) out.publish(std::move(each.topic), std::move(each.event));
    for (auto& each : effects.notes) out.note(std::move(each));
    for (auto& each : effects.writes) out.log_writes.push_back(std::move(each));
    for (auto& each : effects.reads) out.log_reads.push_back(std::move(each));
    const auto deliveries = std::move(effects.deliveries);
    effects.clear();
    for (const auto& each : deliveries) begin_delivery(now, each, out);
    if (!deliveries.empty()) dispatch_returned(now, out);
    if (std::exchange(members_changed_, false)) events_.members_changed(now);
  }
}

}  // namespace waggle::broker
