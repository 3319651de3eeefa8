#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>
#include <waggle/wire/manifest.hpp>

#include "broker/core/broker_core.hpp"
#include "broker/majordomo/adapter.hpp"
#include "support/catch.hpp"

namespace waggle::broker {

using message = std::vector<std::string>;

/// A broker's core with the adapter, in virtual time, and peers that have names. Those that send `message`s are Majordomo's, those that
/// send bundles are of WGL/1. It does with outbox and adapter what the shell does.
class majordomo_fixture {
 public:
  explicit majordomo_fixture(majordomo::settings with = {}, settings from = {})
      : pulse_{from.pulse}, core_{from}, adapter_{with, from.pulse, from.pulse * from.missed_pulses_max} {}

  broker_core& core() { return core_; }
  majordomo::adapter& adapter() { return adapter_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

  // Majordomo's peers.
  void send(const std::string& peer, const message& parts, bool whole = true) {
    const std::vector<std::string_view> views{parts.begin(), parts.end()};
    const auto id = number_of(peer);
    speaks_majordomo_.insert(peer);
    adapter_.receive(now_, id, views, whole, core_, out_);
    if (!holding_) perform();
  }
  const std::vector<message>& inbox(const std::string& peer) { return inboxes_[peer]; }
  /// What has come since the last time.
  std::vector<message> take(const std::string& peer) { return std::exchange(inboxes_[peer], {}); }

  /// Who the peer is, as the shell says it of a peer with a key.
  void identify(const std::string& peer, role may) {
    core_.identify(now_, number_of(peer), std::make_shared<const identity>(identity{peer, std::make_shared<const role>(std::move(may))}), out_);
    perform();
  }

  // Peers of WGL/1: bundles of one frame.
  void send_bundle(const std::string& peer, std::string_view bundle) {
    core_.receive(now_, number_of(peer), bundle, out_);
    if (!holding_) perform();
  }
  void join(const std::string& peer, const std::string& command_name) {
    manifest serves;
    serves.service = "test";
    serves.slots = 8;
    serves.commands.emplace_back().name = command_name;
    std::string bytes, bundle;
    wire::append_manifest(bytes, serves);
    wire::append_join(bundle, 1, bytes);
    send_bundle(peer, bundle);
    pulsing_.insert(peer);
  }
  void call(const std::string& peer, std::uint64_t id, std::string_view command_name, std::string_view payload,
            milliseconds budget = std::chrono::minutes{1}) {
    std::string bundle;
    wire::append_call(bundle, id, command_name, payload, static_cast<std::uint64_t>(budget.count()), {});
    send_bundle(peer, bundle);
  }
  void reply(const std::string& peer, std::uint64_t lease, std::string_view payload, status code = status::ok) {
    std::string bundle;
    wire::append_reply(bundle, lease, code, payload, {});
    send_bundle(peer, bundle);
  }
  void part(const std::string& peer, std::uint64_t lease, std::string_view payload) {
    std::string bundle;
    wire::append_part(bundle, lease, payload);
    send_bundle(peer, bundle);
  }
  struct frame {
    wire::frame_type type{};
    std::uint64_t id = 0;
    std::string name;
    std::string payload;
    std::uint64_t budget_ms = 0;
    status code{};
  };
  /// The frames of this type that a peer of WGL/1 has got.
  std::vector<frame> got(const std::string& peer, wire::frame_type type) {
    std::vector<frame> out;
    for (const auto& each : inboxes_[peer]) {
      wire::bundle_reader reader{each.at(0)};
      wire::frame in;
      while (reader.next(in) == wire::decoded::frame) {
        if (in.type == type) out.push_back({in.type, in.id, std::string{in.name}, std::string{in.payload}, in.budget_ms, in.status});
      }
    }
    return out;
  }
  std::vector<frame> calls_at(const std::string& peer) { return got(peer, wire::frame_type::call); }
  /// The one reply to this call.
  frame reply_to(const std::string& peer, std::uint64_t id) {
    std::vector<frame> found;
    for (const auto& each : got(peer, wire::frame_type::reply)) {
      if (each.id == id) found.push_back(each);
    }
    REQUIRE(found.size() == 1);
    return found[0];
  }

  /// What is sent until `release` is gathered in one outbox.
  void hold() { holding_ = true; }
  void release() {
    holding_ = false;
    perform();
  }
  void advance(instant::duration by) {
    const auto until = now_ + by;
    for (;;) {
      const auto next = std::min({core_.next_deadline(), adapter_.next_deadline(), next_pulse_});
      if (next > until) break;
      now_ = std::max(now_, next);
      if (next_pulse_ <= now_) {
        next_pulse_ = now_ + pulse_;
        std::string bundle;
        wire::append_pulse(bundle);
        for (const auto& each : pulsing_) core_.receive(now_, number_of(each), bundle, out_);
      }
      adapter_.tick(now_, core_, out_);
      core_.tick(now_, out_);
      perform();
    }
    now_ = until;
  }
  bool is_forgotten(const std::string& peer) { return !numbers_.contains(peer); }
  bool has_note(std::string_view part) {
    for (const auto& each : notes_) {
      if (each.find(part) != std::string::npos) return true;
    }
    return false;
  }

 private:
  peer_id number_of(const std::string& peer) {
    if (const auto known = numbers_.find(peer); known != numbers_.end()) return known->second;
    std::uint32_t number = 0;
    while (names_.contains(peer_id{number})) ++number;
    names_[peer_id{number}] = peer;
    return numbers_[peer] = peer_id{number};
  }

  void perform() {
    while (!out_.empty() || adapter_.unsettled()) {
      for (std::size_t i = 0; i < out_.messages(); ++i) {
        const auto& each = out_.message_at(i);
        const auto to = names_.find(each.to);
        if (to == names_.end()) {
          FAIL_CHECK("a message to a peer that is forgotten");
        } else if (speaks_majordomo_.contains(to->second)) {
          const auto parts = adapter_.translate(now_, each.to, each.bundle, out_);
          if (!parts.empty()) inboxes_[to->second].emplace_back(parts.begin(), parts.end());
        } else {
          inboxes_[to->second].push_back({each.bundle});
        }
      }
      notes_.insert(notes_.end(), out_.notes().begin(), out_.notes().end());
      for (const auto each : out_.forgotten()) {
        adapter_.forget(each);
        numbers_.erase(names_.at(each));
        names_.erase(each);
      }
      out_.clear();
      adapter_.settle(now_, core_, out_);
    }
  }

  milliseconds pulse_;
  broker_core core_;
  majordomo::adapter adapter_;
  outbox out_;
  bool holding_ = false;
  instant now_ = instant{} + std::chrono::hours{1};
  instant next_pulse_ = now_ + pulse_;
  std::map<std::string, peer_id> numbers_;
  std::map<peer_id, std::string> names_;
  std::set<std::string> speaks_majordomo_;
  std::set<std::string> pulsing_;
  std::map<std::string, std::vector<message>> inboxes_;
  std::vector<std::string> notes_;
};

}  // namespace waggle::broker
