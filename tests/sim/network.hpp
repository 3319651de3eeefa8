#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <waggle/wire/message.hpp>

#include "sim/climate.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace waggle::sim {

inline constexpr std::uint32_t nobody = 0xffffffffu;

/// One direction of a connection: messages arrive in the order in which they were sent.
struct pipe {
  struct message {
    instant at;
    wire::message what;
    bool garbage = false;  ///< no message of WGL/1
  };
  std::deque<message> under_way;
  instant last{};  ///< nothing arrives before what was sent earlier

  [[nodiscard]] bool arrived(instant now) const { return !under_way.empty() && under_way.front().at <= now; }
};

/// As between a DEALER and the broker's ROUTER. Once it has broken, the DEALER makes another one by itself, which the broker
/// takes for another peer; what had arrived at the broker may still be read.
struct connection {
  std::uint32_t owner = nobody;  ///< the actor at its other end
  bool up = false;               ///< the broker can send to it
  bool held = false;             ///< its actor still has it
  bool numbered = false;         ///< the shell knows it
  broker::peer_id number{};
  pipe to_broker;
  pipe to_peer;
};

enum class sent : std::uint8_t { yes, full, unreachable };

class network {
 public:
  network(const climate& in, random& chance) : climate_{in}, chance_{chance} {}

  std::uint32_t connect(std::uint32_t owner);
  /// Neither end hears of it. `arrived_stays`: what the broker could have read already it still can.
  void cut(instant now, std::uint32_t index, bool arrived_stays);
  /// The actor closes its end; what it has sent still arrives.
  void close(std::uint32_t index);
  /// Nothing arrives before `until`, either way.
  void stall(std::uint32_t index, instant until);
  /// All are cut: the broker has gone.
  void cut_all();

  sent to_broker(instant now, std::uint32_t index, const wire::message_view& what, bool garbage = false);
  sent to_peer(instant now, std::uint32_t index, const wire::message_view& what);

  connection& at(std::uint32_t index) { return connections_[index]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(connections_.size()); }

 private:
  sent push(instant now, pipe& into, const wire::message_view& what, bool garbage);

  const climate& climate_;
  random& chance_;
  std::deque<connection> connections_;
};

}  // namespace waggle::sim
