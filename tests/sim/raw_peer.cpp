#include "sim/raw_peer.hpp"

#include <algorithm>

#include <waggle/wire/frames.hpp>
#include <waggle/wire/headers.hpp>
#include <waggle/wire/manifest.hpp>

namespace waggle::sim {

void raw_peer::start(instant now) {
  up_ = true;
  act_at_ = now;
  socket_.open(now);
}

void raw_peer::crash(instant now) {
  socket_.cut(now, true);
  up_ = false;
  leases_.clear();
}

void raw_peer::read(const wire::message_view& message) {
  wire::bundle_reader frames{message};
  wire::frame in;
  while (frames.next(in) == wire::decoded::frame) {
    if (in.type == wire::frame_type::call) {
      leases_.push_back(in.id);
      seen_.push_back(in.id);
      if (seen_.size() > 20) seen_.erase(seen_.begin());
    } else if (in.type == wire::frame_type::reply && in.status == status::ok && in.payload.starts_with("\x83\xa8revision")) {
      wire::reader list{in.payload};
      std::uint32_t entries = 0;
      std::string_view key, revision;
      if (list.map(entries) && list.string(key) && list.string(revision)) revision_ = revision;
    }
  }
}

std::uint64_t raw_peer::some_id(wire::frame_type of) {
  const auto number = around_.chance.chance(1, 50) ? around_.chance.next() >> 15 : around_.chance.below(40);
  // Where the model has to guess what the broker has forgotten, none comes again.
  const bool is_new = around_.in.limits.commands_max < 100;
  const auto id = 16 * number + static_cast<std::uint64_t>(of);
  if (!is_new && std::find(ids_.begin(), ids_.end(), id) == ids_.end()) return ids_.emplace_back(id);
  return ids_.emplace_back(16 * ++last_id_ + static_cast<std::uint64_t>(of));
}

std::string raw_peer::command() { return "raw." + std::to_string(around_.chance.below(4)); }

void raw_peer::join(wire::message& to) {
  auto& chance = around_.chance;
  manifest what{"raw" + std::to_string(chance.below(2)), "", "", static_cast<std::uint32_t>(chance.between(1, 4)),
                static_cast<std::uint32_t>(chance.between(1, 5)), {}};
  for (auto left = chance.between(1, 3); left > 0; --left) {
    auto& each = what.commands.emplace_back();
    each.name = command();
    // Of one class, should one of them come twice.
    each.retry = static_cast<retry_class>((each.name.back() + what.slots) % 3);
    if (each.name.back() == '2') each.group = what.slots % 4 == 0 ? "raw.group" : "";
    if (each.name.back() == '3') each.group = "raw.2";
  }
  if (chance.chance(1, 30)) what.commands.clear();
  what.credit = chance.chance(1, 2);
  what.attachments = static_cast<std::uint32_t>(chance.below(4));
  what.idles = around_.in.idle && chance.chance(1, 2);
  if (chance.chance(1, 3)) what.instance = "raw-" + std::to_string(number_);
  if (around_.in.quick) {
    what.quick_slots = static_cast<std::uint32_t>(chance.below(4));  // 0: has none, for once
    for (auto& each : what.commands) each.quick = (each.name.back() + what.slots) % 2 == 0;  // of one class, should it come twice
  }
  std::string bytes;
  wire::append_manifest(bytes, what);
  wire::append_join(to.bundle, some_id(wire::frame_type::join), bytes);
}

void raw_peer::answer(wire::message& to) {
  auto& chance = around_.chance;
  auto lease = chance.chance(1, 30) ? chance.next() >> 11 : 0;
  if (chance.chance(1, 20) && !seen_.empty()) lease = chance.pick(seen_);
  if (lease == 0 && !leases_.empty()) {
    const auto which = static_cast<std::ptrdiff_t>(chance.below(leases_.size()));
    lease = leases_[static_cast<std::size_t>(which)];
    if (chance.chance(1, 3)) return wire::append_part(to.bundle, lease, payload(to, chance.chance(1, 4) ? std::string(100, 'p') : "part"));
    if (!chance.chance(1, 20)) leases_.erase(leases_.begin() + which);
  }
  const status codes[] = {status::ok, status::ok, status::internal, status::unavailable, status::not_found};
  wire::append_reply(to.bundle, lease, codes[chance.below(std::size(codes))], payload(to, std::string(chance.below(chance.chance(1, 4) ? 400 : 20), 'r')), {});
}

/// In the frame or beside it, as its sender likes; what was spoken of may be missing.
wire::payload_field raw_peer::payload(wire::message& to, const std::string& bytes) {
  auto& chance = around_.chance;
  kept_.push_back(bytes);
  if (!chance.chance(1, 4)) return kept_.back();
  const auto field = wire::payload_field::attached(to, wire::attachment{bytes});
  if (chance.chance(1, 200)) to.attachments.pop_back();
  return field;
}

std::string raw_peer::headers() {
  auto& chance = around_.chance;
  if (chance.chance(1, 4)) return std::string{"\x81\xa1h\xa1v"};
  if (chance.chance(1, 2)) return {};
  return wire::headers_to_msgpack({{"key", chance.chance(1, 50) ? std::string(600, 'k') : std::string(chance.below(4), 'k')}});
}

/// Commands of its own kind only: what actors serve must go on.
void raw_peer::operation(wire::message& to) {
  auto& chance = around_.chance;
  std::string payload;
  wire::writer out{payload};
  const auto id = some_id(wire::frame_type::call);
  const auto ask = [&](std::string_view name, std::string_view key, std::string_view value) {
    out.map(1);
    out.string(key);
    out.string(value);
    wire::append_call(to.bundle, id, name, payload, 1000, {});
  };
  if (around_.in.limits.commands_max < 100) return ask("waggle.calls", "command", "");
  switch (chance.below(8)) {
    case 0: return ask("waggle.drain", "worker", "raw-" + std::to_string(around_.in.callers + around_.in.workers + chance.below(around_.in.raw_peers)));
    case 1: return ask("waggle.pause", "command", command());
    case 2:
    case 3:
    case 4: return ask("waggle.resume", "command", command());
    case 5: return ask("waggle.workers", "prefix", "raw");
    case 6: return ask("waggle.nothing", "a", "b");
    default: return ask("waggle.calls", "command", "");
  }
}

/// One frame of any kind.
void raw_peer::frame(wire::message& to) {
  auto& chance = around_.chance;
  switch (chance.below(18)) {
    case 0: return join(to);
    case 1: {
      std::string about;
      wire::writer out{about};
      out.map(2);
      out.string("bundle");
      out.unsigned_integer(chance.below(6));
      out.string("attachments");
      out.unsigned_integer(chance.below(4));
      return wire::append_hello(to.bundle, some_id(wire::frame_type::hello), about);
    }
    case 2: return wire::append_cancel(to.bundle, some_id(wire::frame_type::call));
    case 3: return wire::append_emit(to.bundle, some_id(wire::frame_type::emit), chance.chance(1, 10) ? "waggle.own" : "topic", "event", {});
    case 4: return chance.chance(1, 4) ? wire::append_leave(to.bundle, some_id(wire::frame_type::leave)) : wire::append_pulse(to.bundle);
    case 5: {
      if (chance.chance(1, 5)) return wire::append_call(to.bundle, chance.chance(1, 20) ? 0 : some_id(wire::frame_type::call), "waggle.ping", "p", chance.below(3), {});
      std::string asked;
      wire::writer out{asked};
      out.map(2);
      out.string("known");
      out.string(revision_);
      out.string("wait_ms");
      out.unsigned_integer(chance.below(3000));
      return wire::append_call(to.bundle, some_id(wire::frame_type::call), "waggle.services", asked, chance.below(5000), {});
    }
    case 6: return wire::append_event(to.bundle, some_id(wire::frame_type::event), "topic", {}, {});
    case 7: to.bundle += "\x92\x63\x01"; return;  // of a type that is not known
    case 8:
    case 9: return wire::append_pulse(to.bundle);
    case 10:
    case 11:
    case 12: return answer(to);
    case 13: return chance.chance(1, 3) ? operation(to) : wire::append_credit(to.bundle, some_id(wire::frame_type::call), chance.below(5));
    default:
      // Numbers of calls that the ledger does not know: nobody minds how they end.
      return wire::append_call(to.bundle, some_id(wire::frame_type::call), command(),
                               payload(to, call_payload(~std::uint64_t{0} - (chance.next() >> 8), chance.below(200))),
                               chance.below(4000), headers(), chance.chance(1, 3) ? chance.below(4) : wire::no_credit_limit);
  }
}

void raw_peer::spoil(std::string& bytes) {
  auto& chance = around_.chance;
  for (auto left = chance.between(1, 3); left > 0 && !bytes.empty(); --left) bytes[chance.below(bytes.size())] = static_cast<char>(chance.below(256));
  if (chance.chance(1, 3)) bytes.resize(chance.below(bytes.size() + 1));
}

void raw_peer::deed(instant now) {
  auto& chance = around_.chance;
  act_at_ = now + microseconds{chance.between(1, 2 * static_cast<std::uint64_t>(around_.in.raw_every.count()))};
  wire::message made;
  ids_.clear();
  const auto flood = chance.chance(1, 200) ? chance.between(50, 300) : chance.between(1, 4);
  for (auto left = flood; left > 0; --left) frame(made);
  kept_.clear();
  if (chance.chance(1, 60)) spoil(made.bundle);
  socket_.send(now, made, chance.chance(1, 200));
}

void raw_peer::run(instant now) {
  wire::message got;
  while (socket_.receive(now, got)) read(got);
  if (around_.calm || act_at_ > now) return;
  deed(now);
  if (around_.chance.chance(1, 300)) {  // a new program in its place
    socket_.close();
    leases_.clear();
    socket_.open(now);
  }
}

}  // namespace waggle::sim
