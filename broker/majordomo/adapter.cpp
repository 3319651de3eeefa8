#include "broker/majordomo/adapter.hpp"

#include <algorithm>
#include <array>

namespace waggle::broker::majordomo {

namespace {

constexpr std::string_view client_01 = "MDPC01", worker_01 = "MDPW01", client_02 = "MDPC02", worker_02 = "MDPW02";

// RFC 18's worker commands; 0.1 has no PARTIAL, so that its numbers behind REQUEST are one lower.
constexpr char ready = 1, request_to_worker = 2, partial = 3, final_reply = 4, heartbeat = 5, disconnect = 6;
// RFC 18's client commands.
constexpr char client_request = 1, client_partial = 2, client_final = 3;

/// Worker commands of 0.1 by the numbers of 0.2; 0 for what is none.
char in_02(char command) {
  constexpr std::array<char, 6> table{0, ready, request_to_worker, final_reply, heartbeat, disconnect};
  return command >= 0 && static_cast<std::size_t>(command) < table.size() ? table[static_cast<std::size_t>(command)] : '\0';
}

/// What a worker sees as its client's address: the lease.
std::string address_of(std::uint64_t lease) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(lease >> shift));
  return out;
}

std::optional<std::uint64_t> lease_of(std::string_view address) {
  if (address.size() != 8) return std::nullopt;
  std::uint64_t out = 0;
  for (const char each : address) out = out << 8 | static_cast<std::uint8_t>(each);
  return out;
}

bool fits(const frames& message) {
  std::size_t bytes = 16;
  for (const auto each : message) bytes += each.size() + 5;
  return bytes <= wire::payload_bytes_max;
}

}  // namespace

std::string payload_of(const frames& message, std::size_t from) {
  std::string out;
  wire::writer writer{out};
  const auto count = message.size() - std::min(from, message.size());
  if (count == 0) {
    writer.nil();
    return out;
  }
  if (count > 1) writer.array(count);
  for (auto i = from; i < message.size(); ++i) writer.binary(message[i]);
  return out;
}

std::optional<owned_frames> body_of(std::string_view payload) {
  owned_frames out;
  wire::reader in{payload};
  const auto one = [&] {
    std::string_view bytes;
    const auto kind = in.peek();
    if (kind != wire::kind::string && kind != wire::kind::binary) return false;
    if (!(kind == wire::kind::string ? in.string(bytes) : in.binary(bytes))) return false;
    out.emplace_back(bytes);
    return true;
  };
  std::uint32_t count = 0;
  if (payload.empty() || in.peek() == wire::kind::nil) return owned_frames{""};
  if (in.peek() != wire::kind::array) return one() ? std::optional{std::move(out)} : std::nullopt;
  if (!in.array(count) || count == 0) return std::nullopt;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!one()) return std::nullopt;
  }
  return out;
}

bool adapter::recognises(const frames& message) {
  if (message.size() < 2) return false;
  if (!message[0].empty()) return message[0] == client_02 || message[0] == worker_02;
  return message[1] == client_01 || message[1] == worker_01;
}

void adapter::receive(instant now, peer_id from, const frames& message, broker_core& core, outbox& out) {
  const bool is_ours = recognises(message);
  const bool is_old = is_ours && message[0].empty();
  const auto header = is_ours ? message[is_old ? 1 : 0] : std::string_view{};
  const bool is_worker = header == worker_01 || header == worker_02;
  const auto speaks = is_old ? version::v01 : version::v02;
  const auto known = peers_.find(from);
  // Somebody who speaks both protocols, or is client and worker at once, or whom the core knows otherwise.
  if (!is_ours || (known == peers_.end() ? core.knows(from) : known->second.is_worker != is_worker || known->second.speaks != speaks)) {
    return refuse(from, now, core, out);
  }
  auto& who = known == peers_.end() ? peers_[from] : known->second;
  if (known == peers_.end()) {
    who.is_worker = is_worker;
    who.speaks = speaks;
    workers_ += is_worker ? 1 : 0;
    core.receive(now, from, {}, out);  // which may have no room for it
  }
  const std::size_t behind_header = is_old ? 2 : 1;
  if (is_worker) {
    from_worker(from, who, message, behind_header, now, core, out);
  } else {
    from_client(from, who, message, behind_header, now, core, out);
  }
}

void adapter::from_client(peer_id from, peer& who, const frames& message, std::size_t at, instant now, broker_core& core, outbox& out) {
  ++counts_.requests;
  if (who.speaks == version::v02) {
    if (message.size() <= at || message[at] != std::string_view{&client_request, 1}) return refuse(from, now, core, out);
    ++at;
  }
  if (message.size() <= at || !wire::is_name(message[at]) || !fits(message)) return refuse(from, now, core, out);
  const auto service = message[at++];
  if (service == "mmi.service") {
    return answer(from, who.speaks, service, message.size() > at && core.serves(message[at]) ? "200" : "404");
  }
  if (service.starts_with("mmi.")) return answer(from, who.speaks, service, "501");
  if (who.open.size() >= settings_.requests_max) {
    ++counts_.unanswered;
    return;
  }
  const auto id = who.next_id++;
  who.open[id].service = service;
  std::string bundle;
  wire::append_call(bundle, id, service, payload_of(message, at), static_cast<std::uint64_t>(settings_.budget.count()), {});
  core.receive(now, from, bundle, out);
}

void adapter::from_worker(peer_id from, peer& who, const frames& message, std::size_t at, instant now, broker_core& core, outbox& out) {
  if (message.size() <= at || message[at].size() != 1) return refuse(from, now, core, out);
  const char command = who.speaks == version::v01 ? in_02(message[at][0]) : message[at][0];
  who.heard = now;
  if (command == disconnect) return let_go(from, now, core, out);
  if (command == ready && !who.joined) {
    const auto service = message.size() > at + 1 ? message[at + 1] : std::string_view{};
    if (!wire::is_name(service) || service.starts_with("mmi.") || service.starts_with("waggle.")) {
      out.note("a Majordomo worker offers a service whose name begins with \"mmi.\" or \"waggle.\", or is no name of 1 to 128 bytes");
      return refuse(from, now, core, out);
    }
    manifest joins{std::string{service}, "majordomo", {}, 1, 1, {}};
    joins.commands.emplace_back().name = service;
    std::string bytes, bundle;
    wire::append_manifest(bytes, joins);
    wire::append_join(bundle, 1, bytes);
    who.joined = true;
    return core.receive(now, from, bundle, out);
  }
  if (command == heartbeat && who.joined) return core.receive(now, from, "\x91\x09", out);
  if ((command == final_reply || (command == partial && who.speaks == version::v02)) && who.joined) {
    const auto lease = message.size() > at + 2 && message[at + 2].empty() ? lease_of(message[at + 1]) : std::nullopt;
    if (!lease || !fits(message)) return refuse(from, now, core, out);
    const auto payload = payload_of(message, at + 3);
    std::string bundle;
    if (command == partial) {
      wire::append_part(bundle, *lease, payload);
    } else {
      wire::append_reply(bundle, *lease, status::ok, payload, {});
    }
    return core.receive(now, from, bundle, out);
  }
  refuse(from, now, core, out);
}

/// What means nothing: a worker is told to begin anew; a client hears nothing, and its connection is as good as new.
void adapter::refuse(peer_id from, instant now, broker_core& core, outbox& out) {
  ++counts_.refused;
  if (const auto found = peers_.find(from); found == peers_.end()) {
    core.receive_parts(now, from, out);
  } else {
    if (found->second.is_worker) replies_.push_back({from, command_to(found->second.speaks, disconnect)});
    let_go(from, now, core, out);
  }
}

/// Its calls and leases end as if its connection were lost. The core then forgets it, and so do we, once what is under way to it has
/// been translated; unless it is heard again before that, as somebody new.
void adapter::let_go(peer_id from, instant now, broker_core& core, outbox& out) {
  core.unreachable(now, from, {}, out);
  auto& who = peers_[from];
  who.joined = false;
  who.open.clear();
}

void adapter::answer(peer_id to, version speaks, std::string_view service, std::string_view body) {
  if (speaks == version::v01) {
    replies_.push_back({to, {"", std::string{client_01}, std::string{service}, std::string{body}}});
  } else {
    replies_.push_back({to, {std::string{client_02}, std::string(1, client_final), std::string{service}, std::string{body}}});
  }
}

owned_frames adapter::command_to(version worker, char what) {
  if (worker == version::v02) return {std::string{worker_02}, std::string(1, what)};
  return {"", std::string{worker_01}, std::string(1, static_cast<char>(what == request_to_worker ? what : what - 1))};
}

adapter::translation adapter::translate(peer_id to, std::string_view bundle) const {
  translation out;
  const auto found = peers_.find(to);
  wire::bundle_reader reader{bundle};
  wire::frame in;
  if (found == peers_.end() || reader.next(in) != wire::decoded::frame) return out;
  const auto& who = found->second;
  const auto add = [&](owned_frames body) {
    for (auto& each : body) out.message.push_back(std::move(each));
  };
  if (who.is_worker) {
    if (in.type == wire::frame_type::pulse) {
      out.message = command_to(who.speaks, in.seats > 0 ? heartbeat : disconnect);
    } else if (in.type == wire::frame_type::reply && in.status != status::ok) {  // the core does not have it
      out.message = command_to(who.speaks, disconnect);
    } else if (in.type == wire::frame_type::call) {
      auto body = body_of(in.payload);
      if (!body) {
        std::string why;
        wire::append_error(why, {status::invalid_argument,
                                 "\"" + std::string{in.name} + "\" is a Majordomo service: it takes a string, a binary, or an array of these"});
        wire::append_reply(out.answer, in.id, status::invalid_argument, why, {});
        return out;
      }
      out.message = command_to(who.speaks, request_to_worker);
      out.message.push_back(address_of(in.id));
      out.message.emplace_back();
      add(std::move(*body));
    }
    return out;
  }
  const auto asked = who.open.find(in.id);
  if (asked == who.open.end()) return out;
  const bool is_reply = in.type == wire::frame_type::reply && in.status == status::ok && !asked->second.overfull;
  const bool is_part = in.type == wire::frame_type::part && who.speaks == version::v02;
  if (!is_reply && !is_part) return out;
  if (who.speaks == version::v01) {
    out.message = {"", std::string{client_01}, asked->second.service};
    wire::reader parts{asked->second.parts};
    for (std::uint32_t i = 0; i < asked->second.part_count; ++i) {
      std::string_view part;
      parts.binary(part);
      out.message.emplace_back(part);
    }
  } else {
    out.message = {std::string{client_02}, std::string(1, is_part ? client_partial : client_final), asked->second.service};
  }
  // What is no string or binary is handed over as the msgpack that it is.
  add(body_of(in.payload).value_or(owned_frames{std::string{in.payload}}));
  return out;
}

void adapter::sent(peer_id to, std::string_view bundle) {
  const auto found = peers_.find(to);
  wire::bundle_reader reader{bundle};
  wire::frame in;
  if (found == peers_.end() || found->second.is_worker || reader.next(in) != wire::decoded::frame) return;
  auto& who = found->second;
  const auto asked = who.open.find(in.id);
  if (asked == who.open.end()) return;
  if (in.type == wire::frame_type::reply) {
    if (in.status != status::ok || asked->second.overfull) ++counts_.unanswered;
    who.open.erase(asked);
  } else if (in.type == wire::frame_type::part && who.speaks == version::v01) {
    auto& into = asked->second;
    const auto body = body_of(in.payload).value_or(owned_frames{std::string{in.payload}});
    wire::writer writer{into.parts};
    for (const auto& each : body) {
      if (into.parts.size() + each.size() > settings_.parts_bytes_max) into.overfull = true;
      if (into.overfull) break;
      writer.binary(each);
      ++into.part_count;
    }
    if (into.overfull) into.parts = {}, into.part_count = 0;
  }
}

void adapter::tick(instant now, broker_core& core, outbox& out) {
  if (next_deadline() > now) return;
  pulse_at_ = now + pulse_;
  workers_ = 0;
  for (const auto& [number, who] : peers_) {
    if (!who.is_worker) continue;
    ++workers_;
    if (who.joined && who.heard + settings_.silence_max > now) core.receive(now, number, "\x91\x09", out);
  }
}

}  // namespace waggle::broker::majordomo
