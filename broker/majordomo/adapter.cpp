#include "broker/majordomo/adapter.hpp"

#include <algorithm>
#include <utility>

#include <waggle/wire/utf8.hpp>

namespace waggle::broker::majordomo {

namespace {

// Ids that a worker's own frames have in WGL/1; its answers are told apart by them.
constexpr std::uint64_t join_id = 1;
constexpr std::uint64_t leave_id = 2;

constexpr std::chrono::seconds note_interval{1};

std::string in_quotes(std::string_view name) {
  std::string out{'"'};
  return out.append(name).append(1, '"');
}

}  // namespace

void adapter::receive(instant now, peer_id from, frames message, bool whole, broker_core& core, outbox& out) {
  const auto speaks = dialect_of(message);
  auto known = peers_.find(from);
  if (known == peers_.end()) {
    if (!speaks) return core.receive_garbage(now, from, "its first message was none of Majordomo's", out);  // the caller's to prevent, and no harm
    known = peers_.emplace(from, peer{}).first;
    known.value().speaks = *speaks;
  }
  auto& who = known.value();
  who.heard = now;
  if (speaks != who.speaks) {
    return refuse(now, from, who, "it spoke one dialect of Majordomo first and now another, or none", core, out);
  }
  const auto in = read_command(who.speaks, message);
  if (!in) return refuse(now, from, who, "a Majordomo message without a command", core, out);
  if (is_worker(who.speaks)) return on_worker(now, from, who, *in, whole, core, out);
  if (in->what != verb::request) return refuse(now, from, who, "a Majordomo client sends requests only", core, out);
  on_client(now, from, who, in->rest, whole, core, out);
}

void adapter::on_client(instant now, peer_id from, peer& who, frames rest, bool whole, broker_core& core, outbox& out) {
  if (rest.empty()) return refuse(now, from, who, "a Majordomo request without a service", core, out);
  const auto service = rest[0];
  const auto body = rest.subspan(1);
  if (!wire::is_name(service)) {
    return drop_request(now, from, "its service is no name: 1 to 128 bytes without spaces or control characters", core, out);
  }
  if (who.requests.size() >= settings_.requests_max) {
    return drop_request(now, from, "its client has as many open requests as it may (requests_max)", core, out);
  }
  payload_.clear();
  if (whole && body.size() <= body_frames_max) {
    append_payload(body, payload_);
  } else {
    whole = false;
  }
  if (!whole || payload_.size() > wire::payload_bytes_max) {
    return drop_request(now, from, "its body has more than 1024 frames or 4 MiB", core, out);
  }
  const auto id = ++who.last_id;
  who.requests[id].service = service;
  if (service.starts_with("mmi.")) {
    const std::string_view code = service != "mmi.service" ? "501" : !body.empty() && core.serves(body[0]) ? "200" : "404";
    core.receive(now, from, {}, out);  // it has been heard
    payload_.clear();
    append_payload({&code, 1}, payload_);
    return wire::append_reply(out.message_at(out.open(from)).bundle, id, status::ok, payload_, {});
  }
  bundle_.clear();
  wire::append_call(bundle_, id, service, payload_, static_cast<std::uint64_t>(settings_.budget.count()), {});
  core.receive(now, from, bundle_, out);
}

void adapter::drop_request(instant now, peer_id from, std::string_view why, broker_core& core, outbox& out) {
  ++counts_.dropped_requests;
  note(now, std::string{"a Majordomo request was dropped: "}.append(why), out);
  core.receive(now, from, {}, out);  // it has been heard
}

void adapter::on_worker(instant now, peer_id from, peer& who, const command& in, bool whole, broker_core& core, outbox& out) {
  switch (in.what) {
    case verb::ready: return on_ready(now, from, who, in.rest, core, out);
    case verb::partial:
    case verb::final: return on_result(now, from, who, in, whole, core, out);
    case verb::heartbeat:
      if (!in.rest.empty()) break;
      bundle_.clear();
      wire::append_pulse(bundle_);  // answered by [9, 0], which is a DISCONNECT, if it has no seat
      return core.receive(now, from, bundle_, out);
    case verb::disconnect: {
      if (!in.rest.empty()) break;
      const bool busy = who.lease != 0;
      end_all(who);
      if (busy) return core.unreachable(now, from, {}, out);  // a LEAVE would wait for its answer
      bundle_.clear();
      wire::append_leave(bundle_, leave_id);
      return core.receive(now, from, bundle_, out);
    }
    case verb::request: break;
  }
  refuse(now, from, who, "a command that a Majordomo worker does not send, or with too many frames", core, out);
}

void adapter::on_ready(instant now, peer_id from, peer& who, frames rest, broker_core& core, outbox& out) {
  if (who.ready) return refuse(now, from, who, "a second READY from a Majordomo worker", core, out);
  if (rest.size() != 1) return refuse(now, from, who, "a READY with no service, or with more than that", core, out);
  const auto service = rest[0];
  std::string_view why;
  if (!wire::is_name(service)) {
    why = "a service is a name: 1 to 128 bytes without spaces or control characters";
  } else if (service.starts_with("mmi.") || service.starts_with("waggle.")) {
    why = "services that begin with \"mmi.\" or \"waggle.\" are the broker's own";
  }
  if (!why.empty()) {
    note(now, std::string{"a Majordomo worker is refused: "}.append(why), out);
    return refuse(now, from, who, std::string{why}, core, out);
  }
  who.service = service;
  who.ready = true;
  manifest serves;
  serves.service = service;
  serves.version = "majordomo";
  serves.commands.emplace_back().name = service;
  payload_.clear();
  wire::append_manifest(payload_, serves);
  bundle_.clear();
  wire::append_join(bundle_, join_id, payload_);
  core.receive(now, from, bundle_, out);
}

/// PARTIAL, FINAL and REPLY: an address, an empty frame and a body.
void adapter::on_result(instant now, peer_id from, peer& who, const command& in, bool whole, broker_core& core, outbox& out) {
  if (!who.ready || who.lease == 0) return refuse(now, from, who, "a Majordomo worker replied to no request", core, out);
  if (in.rest.size() < 2 || in.rest[0] != std::to_string(who.lease) || !in.rest[1].empty()) {
    return refuse(now, from, who, "a Majordomo worker replied to another request than it has, or without an address", core, out);
  }
  const auto body = in.rest.subspan(2);
  payload_.clear();
  if (whole && body.size() <= body_frames_max) append_payload(body, payload_);
  const bool fits = whole && body.size() <= body_frames_max && payload_.size() <= wire::payload_bytes_max;
  const auto lease = who.lease;
  bundle_.clear();
  if (in.what == verb::partial && fits) {
    wire::append_part(bundle_, lease, payload_);
    return core.receive(now, from, bundle_, out);
  }
  who.lease = 0;
  if (fits) {
    wire::append_reply(bundle_, lease, status::ok, payload_, {});
    return core.receive(now, from, bundle_, out);
  }
  payload_.clear();
  wire::append_error(payload_, {status::internal, "the Majordomo worker's reply has more than 1024 frames or 4 MiB", true});
  wire::append_reply(bundle_, lease, status::internal, payload_, {});
  core.receive(now, from, bundle_, out);
  if (in.what == verb::partial) refuse(now, from, who, "a Majordomo worker's partial reply is too large", core, out);
}

/// The peer is let go like one of WGL/1 that sends garbage. The error that the core has for it is a DISCONNECT to a worker.
void adapter::refuse(instant now, peer_id from, peer& who, std::string why, broker_core& core, outbox& out) {
  ++counts_.refused_peers;
  end_all(who);
  core.receive_garbage(now, from, std::move(why), out);
}

void adapter::end_all(peer& who) {
  while (!who.requests.empty()) end_request(who, who.requests.begin()->first);
  who.ready = false;
  who.lease = 0;
}

void adapter::end_request(peer& who, std::uint64_t id) {
  const auto found = who.requests.find(id);
  collected_bytes_ -= found->second.collected_bytes;
  who.requests.erase(found);
}

/// Peers can cause these as fast as they like; one in a while tells enough, and `counts` the rest.
void adapter::note(instant now, std::string line, outbox& out) {
  if (now < note_at_) return;
  note_at_ = now + note_interval;
  out.note(std::move(line));
}

frames adapter::translate(instant now, peer_id to, std::string_view bundle, outbox& out) {
  const auto known = peers_.find(to);
  wire::bundle_reader reader{bundle};
  wire::frame in;
  if (known == peers_.end() || reader.next(in) != wire::decoded::frame) return {};
  auto& who = known.value();
  return is_worker(who.speaks) ? to_worker(now, to, who, in, bundle, out) : to_client(now, to, who, in, out);
}

frames adapter::to_worker(instant now, peer_id to, peer& who, const wire::frame& in, std::string_view bundle, outbox& out) {
  const auto disconnect = [&]() -> frames {
    who.ready = false;
    who.lease = 0;
    begin_message(who.speaks, verb::disconnect, message_);
    return message_;
  };
  switch (in.type) {
    case wire::frame_type::call:
      if (!who.ready) {  // it has gone, or was sent away, while this was on its way out
        unsettled_.push_back({to, std::string{bundle}, true});
        return {};
      }
      if (!read_body(in.payload, body_)) {
        payload_.clear();
        wire::append_error(payload_, {status::invalid_argument,
                                      in_quotes(in.name) + " is served by a Majordomo worker: it takes a string, binary, or an array of these"});
        wire::append_reply(unsettled_.emplace_back(unsettled_bundle{to, {}, false}).bundle, in.id, status::invalid_argument, payload_, {});
        return {};
      }
      who.lease = in.id;
      address_ = std::to_string(in.id);
      begin_message(who.speaks, verb::request, message_);
      message_.push_back(address_);
      message_.emplace_back();
      return message_of_body();
    case wire::frame_type::pulse:
      if (in.seats == 0) return disconnect();
      begin_message(who.speaks, verb::heartbeat, message_);
      return message_;
    case wire::frame_type::reply:
      // No answer comes to what succeeds. Without an id: the core has let the peer go.
      if (in.status == status::ok || in.id == leave_id) return {};
      if (in.id == join_id) {
        note(now, "the Majordomo worker of " + in_quotes(who.service) + " is refused: " + wire::read_error(in.status, in.payload).message, out);
      }
      return disconnect();
    default: return {};  // Majordomo cannot cancel, and a worker that an operator drains is simply given nothing more
  }
}

frames adapter::to_client(instant now, peer_id to, peer& who, const wire::frame& in, outbox& out) {
  const auto found = who.requests.find(in.id);
  if (found == who.requests.end()) return {};
  auto& wanted = found.value();
  if (in.type == wire::frame_type::part) {
    read_body(in.payload, body_);
    if (who.speaks == dialect::client_01) {
      collect(now, to, wanted, in.id, out);
      return {};
    }
    begin_message(who.speaks, verb::partial, message_);
    message_.push_back(wanted.service);
    return message_of_body();
  }
  if (in.type != wire::frame_type::reply) return {};
  ended_ = std::move(wanted);  // of which the bytes are a copy
  end_request(who, in.id);
  if (in.status != status::ok) {
    ++counts_.failed_requests;
    if (!ended_.given_up) {
      note(now, "a Majordomo request of " + in_quotes(ended_.service) + " failed, which its client is not told: " +
                    wire::read_error(in.status, in.payload).message, out);
    }
    return {};
  }
  read_body(in.payload, body_);
  begin_message(who.speaks, verb::final, message_);
  message_.push_back(ended_.service);
  message_.insert(message_.end(), ended_.collected.begin(), ended_.collected.end());
  if (!ended_.collected.empty() && body_.empty()) return message_;
  return message_of_body();
}

/// A client of 0.1 takes one reply: what came in parts is kept, to stand before the rest.
void adapter::collect(instant now, peer_id to, request& wanted, std::uint64_t id, outbox& out) {
  if (wanted.given_up) return;
  if (body_.empty()) body_.emplace_back();
  std::size_t bytes = 0;
  for (const auto each : body_) bytes += each.size() + sizeof(std::string);
  if (wanted.collected.size() + body_.size() <= body_frames_max && wanted.collected_bytes + bytes <= settings_.collected_bytes_max &&
      collected_bytes_ + bytes <= settings_.all_collected_bytes_max) {
    wanted.collected.insert(wanted.collected.end(), body_.begin(), body_.end());
    wanted.collected_bytes += bytes;
    collected_bytes_ += bytes;
    return;
  }
  note(now, "a request of " + in_quotes(wanted.service) + " is given up: its partial replies are too large to be kept for a client of Majordomo 0.1",
       out);
  wanted.given_up = true;
  wanted.collected = {};
  collected_bytes_ -= std::exchange(wanted.collected_bytes, 0);
  wire::append_cancel(unsettled_.emplace_back(unsettled_bundle{to, {}, false}).bundle, id);
}

/// The RFCs want at least one frame in a body.
frames adapter::message_of_body() {
  if (body_.empty()) body_.emplace_back();
  message_.insert(message_.end(), body_.begin(), body_.end());
  return message_;
}

void adapter::settle(instant now, broker_core& core, outbox& out) {
  for (const auto& each : std::exchange(unsettled_, {})) {
    if (!peers_.contains(each.from)) continue;
    if (each.gone) {
      core.unreachable(now, each.from, {each.bundle}, out);
    } else {
      core.receive(now, each.from, each.bundle, out);
    }
  }
}

void adapter::tick(instant now, broker_core& core, outbox& out) {
  if (now < pulse_at_) return;
  pulse_at_ = now + pulse_;
  bundle_.clear();
  wire::append_pulse(bundle_);
  for (const auto& [id, who] : peers_) {
    // The last of these is early enough that the core's own patience ends with this one's.
    if (who.ready && now - who.heard + silence_ < settings_.silence_max) core.receive(now, id, bundle_, out);
  }
}

void adapter::forget(peer_id gone) {
  const auto known = peers_.find(gone);
  if (known == peers_.end()) return;
  end_all(known.value());
  peers_.erase(known);
}

}  // namespace waggle::broker::majordomo
