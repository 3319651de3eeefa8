// The commands that the broker answers itself; their names begin with "waggle.".
#include <algorithm>

#include "broker/core/broker_core.hpp"

namespace waggle::broker {

void broker_core::on_built_in(instant now, peer_id from, const wire::frame& in, outbox& out) {
  if (in.name == "waggle.ping") {
    auto& bundle = frame_for(from, out);
    wire::append_reply(bundle, in.id, status::ok, payload_for(from, contents_of(in), out), {});
  } else if (in.name == "waggle.services") {
    watch_services(now, from, in, out);
  } else if (event_core::answers(in.name)) {
    on_question(now, from, in);
  } else if (!on_operation(now, from, in, out)) {
    refuse(from, in.id,
           {status::unimplemented, "the broker has no command \"" + std::string{in.name} +
                                       "\"; it has waggle.ping, services, workers, queues, calls, stats, drain, pause, resume, streams, events, groups, "
                                       "forget_group, dead, dead_letter, retry_dead, drop_dead and outcome"},
           out);
  }
}

/// waggle.services {known?: str, wait_ms?: uint}: the network as it is, at once; or, to a caller that names the revision it
/// knows, as soon as it is another one, at the latest after `wait_ms`.
void broker_core::watch_services(instant now, peer_id from, const wire::frame& in, outbox& out) {
  std::string_view known;
  std::uint64_t wait_ms = 0;
  wire::reader asked{in.payload};
  if (!in.payload.empty() && asked.peek() == wire::kind::map) {
    wire::read_entries(asked, [&](std::string_view key) {
      if (key == "known" && asked.peek() == wire::kind::string) return asked.string(known);
      if (key == "wait_ms" && asked.peek() == wire::kind::unsigned_integer) return asked.unsigned_integer(wait_ms);
      return asked.skip();
    });
  }
  if (!in.payload.empty() && !asked.ok()) {
    return refuse(from, in.id, {status::invalid_argument, std::string{"waggle.services takes {known?: string, wait_ms?: integer}: "} + asked.why()}, out);
  }
  const bool waits = known == revision() && wait_ms > 0;
  if (waits && parked_.size() >= settings_.watchers_max) {
    return refuse(from, in.id, overload("as many callers as may wait for changes (watchers_max)"), out);
  }
  auto watched = in;
  watched.budget_ms = std::min(wait_ms, in.budget_ms);
  const auto call_index = open_call(now, from, watched, none);
  calls_[call_index].state = call_state::parked;
  parked_.push_back(calls_.items(), call_index);
  if (!waits) reply_services(call_index, out);
}

void broker_core::reply_services(std::uint32_t call_index, outbox& out) {
  std::string payload;
  wire::writer writer{payload};
  writer.map(3);
  writer.string("revision");
  writer.string(revision());
  writer.string("broker");
  writer.map(2);
  writer.string("instance");
  writer.string(settings_.instance);
  writer.string("version");
  writer.string(settings_.version);
  writer.string("services");
  directory_.append_services(payload);
  if (payload.size() > wire::payload_bytes_max) {
    return end(call_index, {status::out_of_range, "the network is too large to be listed in one payload"}, out);
  }
  wire::append_reply(frame_for(calls_[call_index].caller, out), calls_[call_index].caller_id, status::ok, payload, {});
  abandon(call_index, out);
}

/// Watchers are told a little later: ten workers that start together are one change.
void broker_core::network_changed(instant now) {
  members_changed_ = true;
  ++changes_;
  if (!parked_.empty()) announce_at_ = std::min(announce_at_, now + settings_.settle);
}

std::string broker_core::revision() const { return settings_.instance + ":" + std::to_string(changes_); }

}  // namespace waggle::broker
