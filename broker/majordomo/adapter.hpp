#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/broker_core.hpp"

namespace waggle::broker::majordomo {

/// The frames of one Majordomo message, without the routing id.
using frames = std::vector<std::string_view>;
using owned_frames = std::vector<std::string>;

struct settings {
  milliseconds budget{60'000};          ///< of a client's request, which names none
  milliseconds silence_max{10'000};     ///< a worker that was not heard for longer is dead; its heartbeats come every 2.5 s
  std::size_t requests_max = 1000;      ///< open, of one client; more are dropped, as if lost on the way
  std::size_t parts_bytes_max = 4u << 20;  ///< that are gathered for one reply to a client of 0.1; more end it without one
};

struct counters {
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;    ///< messages that mean nothing here and now: workers got DISCONNECT, clients nothing
  std::uint64_t unanswered = 0; ///< requests that ended as an error, for which Majordomo has no words
};

/// Majordomo 0.1 and 0.2 (ZeroMQ RFC 7, 18, and 8 for `mmi.service`) spoken to peers, WGL/1 to the core: a service is the command of its
/// name, a body of frames a payload. No socket, clock, thread or log. See PROTOCOL.md, "Majordomo".
class adapter {
 public:
  explicit adapter(const settings& from = {}, milliseconds pulse = milliseconds{1000}) : settings_{from}, pulse_{pulse} {}

  /// Whether a message of several frames is Majordomo's; a bundle of WGL/1 never is.
  [[nodiscard]] static bool recognises(const frames& message);

  [[nodiscard]] bool has(peer_id who) const { return !peers_.empty() && peers_.contains(who); }
  [[nodiscard]] std::size_t size() const { return peers_.size(); }

  /// What a peer has sent becomes what the core takes; whatever the bytes are. A peer that `has` is false of becomes one of ours.
  void receive(instant now, peer_id from, const frames& message, broker_core& core, outbox& out);

  /// A message of the core to one of our peers, in Majordomo's words. No frames: there is nothing to send.
  struct translation {
    owned_frames message;
    std::string answer;  ///< a bundle that the core is to take from this peer instead, once the outbox is done
  };
  [[nodiscard]] translation translate(peer_id to, std::string_view bundle) const;
  /// That message has left, or was nothing to send.
  void sent(peer_id to, std::string_view bundle);
  /// Answers of our own, to be sent after each `receive`.
  struct reply {
    peer_id to;
    owned_frames message;
  };
  [[nodiscard]] std::vector<reply> take_replies() { return std::exchange(replies_, {}); }

  /// The core, or the shell, has forgotten the peer.
  void forget(peer_id who) { peers_.erase(who); }

  /// Workers whose own heartbeats are slower than the core's pulses are kept alive.
  void tick(instant now, broker_core& core, outbox& out);
  [[nodiscard]] instant next_deadline() const { return workers_ == 0 ? instant::max() : pulse_at_; }

  [[nodiscard]] const counters& counts() const { return counts_; }

 private:
  enum class version : std::uint8_t { v01, v02 };
  struct request {
    std::string service;
    std::string parts;  ///< for 0.1: what came before the reply, as msgpack binaries back to back
    std::uint32_t part_count = 0;
    bool overfull = false;
  };
  struct peer {
    bool is_worker = false;
    version speaks = version::v02;
    std::uint64_t next_id = 1;
    std::map<std::uint64_t, request> open;  ///< a client's
    bool joined = false;                    ///< a worker's, as are:
    instant heard{};
  };

  void from_client(peer_id from, peer& who, const frames& message, std::size_t at, instant now, broker_core& core, outbox& out);
  void from_worker(peer_id from, peer& who, const frames& message, std::size_t at, instant now, broker_core& core, outbox& out);
  void refuse(peer_id from, instant now, broker_core& core, outbox& out);
  void let_go(peer_id from, instant now, broker_core& core, outbox& out);
  void answer(peer_id to, version speaks, std::string_view service, std::string_view body);
  [[nodiscard]] static owned_frames command_to(version worker, char what);

  settings settings_;
  milliseconds pulse_;
  std::map<peer_id, peer> peers_;
  std::size_t workers_ = 0;
  instant pulse_at_{};
  std::vector<reply> replies_;
  counters counts_;
};

/// Body frames as one msgpack value: one frame is a binary, several are an array of binaries, none is nil.
[[nodiscard]] std::string payload_of(const frames& message, std::size_t from);
/// The other way: a string or binary is one frame, an array of them as many, nil is an empty one. Nothing for any other value.
[[nodiscard]] std::optional<owned_frames> body_of(std::string_view payload);

}  // namespace waggle::broker::majordomo
