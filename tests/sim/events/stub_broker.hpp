// stand-in until broker_core has an event_core
#pragma once
#include <deque>
#include <map>
#include <set>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>
#include "broker/core/outbox.hpp"
#include "broker/events/event_core.hpp"

namespace waggle::sim {
using namespace broker;

class stub_broker : public event_members {
 public:
  stub_broker(settings s, event_settings e) : s_{s}, core_{e, *this} {}
  std::uint32_t slots_of(std::string_view c) const override {
    std::uint32_t n = 0;
    for (auto& [id, p] : peers) if (p.joined && !p.leaving && p.commands.contains(std::string{c})) n += p.slots;
    return n;
  }
  bool may_repeat(std::string_view c) const override {
    for (auto& [id, p] : peers) { auto f = p.commands.find(std::string{c}); if (f != p.commands.end()) return f->second != retry_class::once; }
    return false;
  }
  void open(instant now, const log_contents& what, outbox& out) { now_ = now; core_.open(now, what); effects(now, out); }
  void wrote(instant now, std::uint64_t t, const result<written>& w, outbox& out) { now_ = now; core_.wrote(now, t, w); effects(now, out); }
  void looked_up(instant now, std::uint64_t t, const read_result& w, outbox& out) { now_ = now; core_.looked_up(now, t, w); effects(now, out); }
  void subscribed(instant, std::string_view p, outbox&) { core_.subscribed(p); }
  void receive(instant now, peer_id from, std::string_view bytes, outbox& out) {
    now_ = now;
    auto& p = peers[from];
    p.heard = now;
    wire::bundle_reader frames{bytes};
    wire::frame in;
    while (frames.next(in) == wire::decoded::frame) on(now, from, p, in, out);
    dispatch(now, out);
    effects(now, out);
  }
  struct lease_t { std::uint64_t ticket; peer_id to; instant until; bool orphan = false; };
  struct peer_t {
    instant heard{}, pulse{};
    bool joined = false, leaving = false;
    std::uint64_t leave_id = 0;
    std::uint32_t slots = 0;
    std::map<std::string, retry_class> commands;
    std::set<std::uint64_t> leases;
  };
  void on(instant now, peer_id from, peer_t& p, const wire::frame& in, outbox& out) {
    auto& to = out.bytes_at(out.open(from));
    switch (in.type) {
      case wire::frame_type::join: {
        auto m = wire::read_manifest(in.manifest);
        if (!m) throw std::runtime_error("bad manifest " + m.error().message);
        const auto ok = core_.may_join(m->events, m->service);
        if (!ok) throw std::runtime_error(ok.error().message);
        p.joined = true; p.leaving = false; p.slots = m->slots; p.commands.clear();
        for (auto& c : m->commands) p.commands[c.name] = c.retry;
        for (auto& e : m->events) p.commands[event_command(e.group.empty() ? m->service : e.group, e.topic)] = retry_class::idempotent;
        core_.joined(now, m->events, m->service);
        core_.members_changed(now);
        wire::append_reply(to, in.id, status::ok, {}, {});
        return;
      }
      case wire::frame_type::pulse: return wire::append_pulse(to, p.joined ? p.commands.size() : 0);
      case wire::frame_type::emit: {
        std::uint64_t lease = in.id == 0 ? 0 : ++last_;
        if (lease) callers[lease] = {from, in.id};
        core_.emit(now, lease, in.name, in.payload, in.headers);
        return;
      }
      case wire::frame_type::call: {
        const auto lease = ++last_;
        callers[lease] = {from, in.id};
        const auto h = in.headers;
        if (core_.ask(now, lease, in.name, in.payload, milliseconds{in.budget_ms})) return;
        if (in.name == "waggle.ping") { callers.erase(lease); return wire::append_reply(to, in.id, status::ok, in.payload, {}); }
        core_.later(now, lease, in.name, in.payload, h, milliseconds{1000});
        return;
      }
      case wire::frame_type::reply: {
        auto f = leases.find(in.id);
        if (f == leases.end() || f->second.to != from) return;
        const auto l = f->second;
        leases.erase(f);
        p.leases.erase(in.id);
        finish_leave(from, p, out);
        if (!l.orphan) core_.delivered(now, l.ticket, {in.status, in.payload, true, true});
        return;
      }
      case wire::frame_type::leave: p.leaving = true; p.leave_id = in.id; core_.members_changed(now); finish_leave(from, p, out); return;
      default: return;
    }
  }
  void finish_leave(peer_id from, peer_t& p, outbox& out) {
    if (!p.leaving || !p.leases.empty()) return;
    p.joined = p.leaving = false; p.commands.clear();
    wire::append_reply(out.bytes_at(out.open(from)), p.leave_id, status::ok, {}, {});
  }
  void unreachable(instant now, peer_id gone, const std::vector<std::string_view>& unsent, outbox& out) {
    now_ = now;
    auto f = peers.find(gone);
    out.forget(gone);
    if (f == peers.end()) return;
    std::set<std::uint64_t> not_sent;
    for (auto b : unsent) { wire::bundle_reader r{b}; wire::frame in; while (r.next(in) == wire::decoded::frame) if (in.type == wire::frame_type::event || in.type == wire::frame_type::call) not_sent.insert(in.id); }
    drop(now, f, not_sent, out);
    dispatch(now, out);
    effects(now, out);
  }
  void drop(instant now, std::map<peer_id, peer_t>::iterator f, const std::set<std::uint64_t>& not_sent, outbox&) {
    auto ls = f->second.leases;
    std::string why;
    wire::append_error(why, {status::unavailable, "the worker is gone", true});
    const auto id = f->first;
    peers.erase(f);
    std::erase_if(callers, [&](auto& c) { if (c.second.first == id) core_.abandon(c.first); return c.second.first == id; });
    core_.members_changed(now);
    for (auto l : ls) { const auto t = leases[l]; leases.erase(l); if (!t.orphan) core_.delivered(now, t.ticket, {status::unavailable, why, !not_sent.contains(l), false}); }
  }
  void tick(instant now, outbox& out) {
    now_ = now;
    for (auto& [id, l] : leases) if (!l.orphan && l.until <= now) {
      l.orphan = true;
      wire::append_cancel(out.bytes_at(out.open(l.to)), id);
      std::string why; wire::append_error(why, {status::deadline_exceeded, "too late", true});
      core_.delivered(now, l.ticket, {status::deadline_exceeded, why, true, false});
    }
    std::vector<peer_id> dead;
    for (auto& [id, p] : peers) if (p.joined && now - p.heard > s_.pulse * s_.missed_pulses_max) dead.push_back(id);
    for (auto id : dead) { drop(now, peers.find(id), {}, out); out.forget(id); }
    if (core_.next_deadline() <= now) core_.tick(now);
    dispatch(now, out);
    effects(now, out);
  }
  instant next_deadline() const {
    auto n = core_.next_deadline();
    for (auto& [id, l] : leases) if (!l.orphan) n = std::min(n, l.until);
    for (auto& [id, p] : peers) if (p.joined) n = std::min(n, p.heard + s_.pulse * s_.missed_pulses_max + std::chrono::nanoseconds{1});
    return n;
  }
  void dispatch(instant now, outbox& out) {
    for (auto i = queue.begin(); i != queue.end();) {
      bool gone = false;
      for (auto& [id, p] : peers) {
        if (!p.joined || p.leaving || p.leases.size() >= p.slots || !p.commands.contains(i->command)) continue;
        const auto lease = ++last_;
        leases[lease] = {i->ticket, id, now + i->budget};
        p.leases.insert(lease);
        auto& to = out.bytes_at(out.open(id));
        if (i->is_event) wire::append_event(to, lease, i->topic, i->payload, i->headers, i->about);
        else wire::append_call(to, lease, i->command, i->payload, static_cast<std::uint64_t>(i->budget.count()), i->headers);
        gone = true;
        break;
      }
      if (!gone && slots_of(i->command) == 0) {
        const auto t = i->ticket;
        i = queue.erase(i);
        core_.delivered(now, t, {status::unavailable, {}, false, false});
        continue;
      }
      i = gone ? queue.erase(i) : std::next(i);
    }
  }
  void effects(instant now, outbox& out) {
    while (!core_.effects().empty()) {
      auto e = std::move(core_.effects());
      core_.effects().clear();
      for (auto& a : e.answers) {
        auto f = callers.find(a.lease);
        if (f == callers.end()) continue;
        wire::append_reply(out.bytes_at(out.open(f->second.first)), f->second.second, a.code, a.payload, {});
        callers.erase(f);
      }
      for (auto& d : e.deliveries) queue.push_back(d);
      for (auto& b : e.broadcasts) out.publish(b.topic, b.event);
      for (auto& n : e.notes) out.note(n);
      for (auto& w : e.writes) writes.push_back(w);
      for (auto& r : e.reads) reads.push_back(r);
      dispatch(now, out);
    }
  }
  std::deque<event_effects::delivery> queue;
  std::vector<event_effects::log_write> writes;
  std::vector<event_effects::log_read> reads;
  std::map<peer_id, peer_t> peers;
  std::map<std::uint64_t, lease_t> leases;
  std::map<std::uint64_t, std::pair<peer_id, std::uint64_t>> callers;
  std::uint64_t last_ = 100;
  settings s_;
  instant now_{};
  event_core core_;
};
}  // namespace waggle::sim
