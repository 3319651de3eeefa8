#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include "broker/core/broker_core.hpp"
#include "broker/majordomo/message.hpp"

namespace waggle::broker::majordomo {

/// Everything that bounds or times Majordomo peers. Their number is bounded by the core's `peers_max`, the requests of all by its
/// `calls_max`, a body by `body_frames_max` and `wire::payload_bytes_max`.
struct settings {
  milliseconds budget{60'000};       ///< of a request, since Majordomo's have none; when it has passed the request is dropped
  milliseconds silence_max{10'000};  ///< a worker silent for longer is dead. They send a heartbeat every 2.5 s by default
  std::size_t requests_max = 10'000;               ///< open requests of one client; more are dropped
  std::size_t collected_bytes_max = 8u << 20;      ///< partial replies kept for one request of a 0.1 client, which then is dropped
  std::size_t all_collected_bytes_max = 64u << 20; ///< those of all
};

/// What Majordomo peers are not told, because their protocol has no word for it.
struct counters {
  std::uint64_t dropped_requests = 0;  ///< too large, of no possible name, or one too many
  std::uint64_t failed_requests = 0;   ///< that the core has answered with an error
  std::uint64_t refused_peers = 0;     ///< unexpected or malformed messages; their senders were let go
};

/// Makes Majordomo peers look like peers of WGL/1 to the core, and the core like a Majordomo broker to them (PROTOCOL.md,
/// "Majordomo"). No socket, clock, thread or log.
///
/// What such a peer sends goes through `receive`. What is in the outbox for it is WGL/1, and goes through `translate` as it leaves: once
/// for each message, in their order. All of it takes one frame in a message, so that what leaves is one message or none.
class adapter {
 public:
  /// `pulse` and `silence` are the core's: how often it expects a worker, and after how long it takes one for dead.
  adapter(settings from, milliseconds pulse, milliseconds silence) : settings_{from}, pulse_{pulse}, silence_{silence} {}
  adapter(const adapter&) = delete;
  adapter& operator=(const adapter&) = delete;

  /// Takes one message from a peer whose first was Majordomo (`dialect_of`). Any frames are allowed. `whole` is false if the message
  /// had more frames or bytes than are here.
  void receive(instant now, peer_id from, frames message, bool whole, broker_core& core, outbox& out);

  /// What a bundle from the outbox is to this peer: the parts of one message, or none for nothing to send. They are views into the
  /// bundle and this object, valid until the next call of anything here. Only notes are written to the outbox, which may be
  /// in the middle of being done.
  [[nodiscard]] frames translate(instant now, peer_id to, std::string_view bundle, outbox& out);

  /// Whether translating has shown something that the core must know; `settle` tells it. To be called once the outbox has been done.
  [[nodiscard]] bool unsettled() const { return !unsettled_.empty(); }
  void settle(instant now, broker_core& core, outbox& out);

  /// Speaks for workers that may be silent for longer than the core has patience. To be called before the core's own tick, so that nobody
  /// speaks for a worker that this finds dead.
  void tick(instant now, broker_core& core, outbox& out);
  /// The earliest instant at which `tick` would do something; `instant::max()` if none.
  [[nodiscard]] instant next_deadline() const { return peers_.empty() ? instant::max() : pulse_at_; }

  /// The core has forgotten this peer.
  void forget(peer_id gone);

  [[nodiscard]] const counters& counts() const { return counts_; }
  [[nodiscard]] std::size_t peer_count() const { return peers_.size(); }
  [[nodiscard]] std::size_t collected_bytes() const { return collected_bytes_; }

 private:
  /// What a client waits for.
  struct request {
    std::string service;
    std::vector<std::string> collected;  ///< body frames of partial replies, for a client of 0.1
    std::size_t collected_bytes = 0;
    bool given_up = false;  ///< there was no room for them
  };
  struct peer {
    dialect speaks{};
    // Clients:
    std::uint64_t last_id = 0;
    tsl::robin_map<std::uint64_t, request> requests;
    // Workers:
    std::string service;
    bool ready = false;       ///< READY has come, and nothing since that would end it
    std::uint64_t lease = 0;  ///< the request that it has
    instant heard{};
  };
  /// What the core is to be told: a bundle as if from this peer; or that it is gone, and this bundle has never left for it.
  struct unsettled_bundle {
    peer_id from{};
    std::string bundle;
    bool gone = false;
  };

  void on_client(instant now, peer_id from, peer& who, frames rest, bool whole, broker_core& core, outbox& out);
  void on_worker(instant now, peer_id from, peer& who, const command& in, bool whole, broker_core& core, outbox& out);
  void on_ready(instant now, peer_id from, peer& who, frames rest, broker_core& core, outbox& out);
  void on_result(instant now, peer_id from, peer& who, const command& in, bool whole, broker_core& core, outbox& out);
  void drop_request(instant now, peer_id from, std::string_view why, broker_core& core, outbox& out);
  void refuse(instant now, peer_id from, peer& who, std::string why, broker_core& core, outbox& out);
  void end_all(peer& who);
  void end_request(peer& who, std::uint64_t id);
  void note(instant now, std::string line, outbox& out);

  frames to_worker(instant now, peer_id to, peer& who, const wire::frame& in, std::string_view bundle, outbox& out);
  frames to_client(instant now, peer_id to, peer& who, const wire::frame& in, outbox& out);
  void collect(instant now, peer_id to, request& wanted, std::uint64_t id, outbox& out);
  frames message_of_body();

  settings settings_;
  milliseconds pulse_;
  milliseconds silence_;
  tsl::robin_map<peer_id, peer> peers_;
  instant pulse_at_{};
  instant note_at_{};
  std::size_t collected_bytes_ = 0;
  counters counts_;
  std::vector<unsettled_bundle> unsettled_;
  // What the present message is made of:
  std::string bundle_;
  std::string payload_;
  std::string address_;
  request ended_;
  std::vector<std::string_view> body_;
  std::vector<std::string_view> message_;
};

}  // namespace waggle::broker::majordomo
