#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/climate.hpp"
#include "sim/ledger.hpp"
#include "sim/network.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace waggle::sim {

/// What actors share.
struct surroundings {
  climate& in;
  random& chance;
  network& net;
  ledger& book;
  trace& log;
  bool broker_up = false;
  bool calm = false;  ///< nothing fails any more and nobody begins anything
};

/// A DEALER: connects anew by itself when its connection has broken.
class dealer {
 public:
  dealer(surroundings& around, std::uint32_t owner) : around_{around}, owner_{owner} {}

  /// `announces`: each connection begins with an empty message, and is made anew at once when it has broken; others look when they use it.
  void open(instant now, bool announces = false) {
    reconnect_at_ = now;
    announces_ = announces;
  }
  void close() {
    if (connected()) around_.net.close(index_);
    index_ = nobody;
    reconnect_at_ = instant::max();
  }
  /// Its process has died, or a wire was cut. A DEALER that lives on connects anew.
  void cut(instant now, bool for_good) {
    if (connected()) around_.net.cut(now, index_, around_.chance.chance(1, 2));
    index_ = nobody;
    reconnect_at_ = for_good ? instant::max() : now + milliseconds{around_.chance.between(1, 200)};
  }

  [[nodiscard]] bool connected() const {
    return index_ != nobody && around_.net.at(index_).held && around_.net.at(index_).owner == owner_;
  }
  [[nodiscard]] std::uint32_t index() const { return index_; }

  /// False when it cannot be sent now.
  bool send(instant now, const wire::message_view& what, bool garbage = false) {
    connect_when_due(now);
    return connected() && around_.net.to_broker(now, index_, what, garbage) == sent::yes;
  }
  bool receive(instant now, wire::message& into) {
    connect_when_due(now);
    if (!connected() || !around_.net.at(index_).to_peer.arrived(now)) return false;
    auto& under_way = around_.net.at(index_).to_peer.under_way;
    into = std::move(under_way.front().what);
    under_way.pop_front();
    return true;
  }
  /// When there is something to read.
  [[nodiscard]] instant next() const {
    if (!connected()) return !announces_ ? instant::max() : index_ != nobody ? instant{} : reconnect_at_;
    const auto& under_way = around_.net.at(index_).to_peer.under_way;
    return under_way.empty() ? instant::max() : under_way.front().at;
  }

 private:
  void connect_when_due(instant now) {
    if (connected()) return;
    if (index_ != nobody) {  // the broker has gone, or its end
      index_ = nobody;
      reconnect_at_ = now + milliseconds{around_.chance.between(1, 200)};
    }
    if (reconnect_at_ > now) return;
    if (around_.broker_up) {
      index_ = around_.net.connect(owner_);
      if (announces_) around_.net.to_broker(now, index_, {});
    } else if (announces_) {
      reconnect_at_ = now + milliseconds{around_.chance.between(1, 200)};
    }
  }

  surroundings& around_;
  std::uint32_t owner_;
  std::uint32_t index_ = nobody;
  instant reconnect_at_ = instant::max();
  bool announces_ = false;
};

/// A process that talks to the broker.
class actor {
 public:
  actor(surroundings& around, std::uint32_t number) : around_{around}, socket_{around, number}, number_{number} {}
  virtual ~actor() = default;
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;

  /// Reads what has arrived, looks at its clock, does what it is there for, sends.
  virtual void run(instant now) = 0;
  virtual void start(instant now) = 0;
  virtual void crash(instant now) = 0;
  /// It stops in good order, if it is of a kind that does.
  virtual void depart(instant) {}
  [[nodiscard]] virtual bool running() const = 0;

  [[nodiscard]] instant next(instant now) const {
    const auto wanted = running() ? std::min(next_deed(now), socket_.next()) : restart_at_;
    return std::max({wanted, frozen_until_, now});
  }
  void wake(instant now) {
    if (frozen_until_ > now) return;
    if (!running() && restart_at_ <= now) {
      restart_at_ = instant::max();
      start(now);
    }
    if (running()) run(now);
  }

  /// It stands still until then, unless it does so already.
  void freeze(instant now, instant until) {
    if (frozen_until_ <= now) frozen_until_ = until;
  }
  void thaw(instant now) {
    frozen_until_ = std::min(frozen_until_, now);
    restart_at_ = std::min(restart_at_, now);
  }
  void restart_after(instant now, milliseconds time) { restart_at_ = now + time; }
  void step_clock(std::chrono::nanoseconds by) { ahead_ += by; }
  dealer& socket() { return socket_; }
  [[nodiscard]] std::uint32_t number() const { return number_; }

 protected:
  [[nodiscard]] virtual instant next_deed(instant now) const = 0;
  /// What it takes for the time.
  [[nodiscard]] instant clock(instant now) const { return now + ahead_; }
  [[nodiscard]] instant true_time(instant of_clock) const { return of_clock == instant::max() ? of_clock : of_clock - ahead_; }

  surroundings& around_;
  dealer socket_;
  std::uint32_t number_;
  std::chrono::nanoseconds ahead_{};
  instant frozen_until_{};
  instant restart_at_ = instant::max();
};

/// The payload of a call that an actor makes: its number, and anything. That of a result: the number, how many PARTs came before
/// it, and a sum of the call's payload.
[[nodiscard]] inline std::string call_payload(std::uint64_t number, std::size_t more) {
  std::string out{"call"};
  for (int i = 0; i < 8; ++i) out += static_cast<char>(number >> (8 * i));
  return out.append(more, static_cast<char>('a' + number % 26));
}
/// 0 when it is no such payload.
[[nodiscard]] inline std::uint64_t number_in(std::string_view payload) {
  std::uint64_t out = 0;
  if (payload.size() < 12 || !payload.starts_with("call")) return 0;
  for (std::size_t i = 0; i < 8; ++i) out |= std::uint64_t{static_cast<unsigned char>(payload[4 + i])} << (8 * i);
  return out;
}
[[nodiscard]] inline std::string result_of(std::string_view payload, std::uint32_t parts) {
  std::uint64_t sum = payload.size();
  for (const char each : payload) sum = sum * 31 + static_cast<unsigned char>(each);
  return "result " + std::to_string(number_in(payload)) + " " + std::to_string(parts) + " " + std::to_string(sum);
}
[[nodiscard]] inline std::string part_of(std::uint64_t number, std::uint32_t index) {
  return "part " + std::to_string(number) + " " + std::to_string(index);
}

}  // namespace waggle::sim
