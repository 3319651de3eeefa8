#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

#include "broker/core/calls.hpp"
#include "broker/core/directory.hpp"
#include "broker/core/keys.hpp"
#include "broker/core/look_ahead.hpp"
#include "broker/core/outbox.hpp"
#include "broker/core/role.hpp"
#include "broker/core/types.hpp"
#include "broker/events/event_core.hpp"

namespace waggle::broker {

/// The broker's routing. No socket, clock, thread or log: equal inputs give equal outputs.
///
/// The shell numbers peers, hands in what they send, and does what is in the outbox. What it could not do comes back through
/// `unreachable`. Calls must come with a `now` that never runs backwards.
class broker_core : private event_members {
 public:
  /// Without more, of a broker without a log, which only broadcasts events.
  explicit broker_core(settings from, event_settings for_events = event_settings::without_log());
  broker_core(const broker_core&) = delete;
  broker_core& operator=(const broker_core&) = delete;

  /// Who this peer is, before anything of it is received, and again when that changes: a worker that may no longer do what it is seated for loses
  /// its seat. A peer of whom this is never said may do everything. It holds until it is said anew, also when the peer is forgotten.
  void identify(instant now, peer_id peer, std::shared_ptr<const identity> who, outbox& out);
  /// Its key is not one of the network any more: everything that concerns it ends, and it is told why.
  void expel(instant now, peer_id peer, outbox& out);
  /// Takes one message from a peer, which may be new. Any bytes are allowed: what does not decode is counted and costs the peer
  /// its seat.
  void receive(instant now, peer_id from, const wire::message_view& message, outbox& out);
  /// A peer sent what is no message, for this reason: it loses its seat.
  void receive_garbage(instant now, peer_id from, std::string why, outbox& out);
  /// Takes one PUB/SUB message: its topic frame and its event frame. Any bytes are allowed. Null: of somebody who may do everything.
  void receive_event(instant now, std::string_view topic, std::string_view event, outbox& out, const identity* from = nullptr);
  /// Whether subscribers are to get this message as it is, which spares its copies: it is a sound event, and of an ephemeral topic. If not, it is
  /// for `receive_event`, which takes these, too.
  [[nodiscard]] bool passes_on(std::string_view topic, std::string_view event, const identity* from = nullptr);
  /// Somebody has newly subscribed to this prefix. A prefix that begins with "waggle.hello." is answered by an event of that
  /// topic: it tells the subscriber that what it subscribed to before is in force.
  void subscribed(instant now, std::string_view prefix, outbox& out);
  /// What the log holds, once, when it has been opened; before anything else, if there is one.
  void open_log(instant now, const log_contents& what, outbox& out);
  /// What came of something that the outbox said the log is to do.
  void wrote(instant now, std::uint64_t ticket, const result<written>& what, outbox& out);
  void looked_up(instant now, std::uint64_t ticket, const read_result& what, outbox& out);
  /// The connection that this peer came by has probably ended. If it is a worker's, the next message to it shows, and there is one at once.
  void connection_ended(instant now, peer_id of, outbox& out);
  /// Messages to this peer could not be sent: it is gone, or has not read for too long. Its calls end, its leases fail or go to
  /// other workers; calls in `unsent`, the messages that did not leave, have certainly not run.
  void unreachable(instant now, peer_id peer, const std::vector<wire::message_view>& unsent, outbox& out);
  void tick(instant now, outbox& out);
  /// The earliest instant at which `tick` would do something; `instant::max()` if none.
  [[nodiscard]] instant next_deadline() const;

  /// Whether a worker that takes calls of this command is seated now.
  [[nodiscard]] bool serves(std::string_view command) const;
  [[nodiscard]] const counters& counts() const { return counts_; }
  [[nodiscard]] const event_counters& event_counts() const { return events_.counts(); }
  /// Events on their way to the log.
  [[nodiscard]] std::size_t appending() const { return events_.appending(); }
  [[nodiscard]] std::size_t open_calls() const { return calls_.size(); }
  [[nodiscard]] std::size_t open_keys() const { return keys_.size(); }
  [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }
  [[nodiscard]] std::size_t worker_count() const { return directory_.worker_count(); }
  [[nodiscard]] std::size_t peer_count() const { return silent_.size() + pulsing_.size() + resting_.size(); }

 private:
  /// What frames from and to a peer need fills one line of memory: with thousands of them it is cold.
  struct alignas(64) peer {
    // The message that is open for it in the outbox:
    std::uint64_t round = 0;
    std::uint32_t message = 0;
    std::uint16_t frames = 0;
    std::uint16_t bundle = 1;       ///< frames it takes in one message
    std::uint32_t attachments = 0;  ///< that it takes in one message
    std::uint32_t worker = none;
    std::shared_ptr<const identity> who;  ///< null: it may do everything
    index_list<&call::by_caller> calls;
    index_list<&call::by_place> leases;

    std::size_t kept_bytes = 0;     ///< of its calls
    std::uint64_t forgotten_in = 0;  ///< the outbox's round that is to forget it
    instant denial_noted{};
    std::string name;               ///< as it said in HELLO, for people
  };
  /// When a peer was heard, by its number as the peers are. Every bundle moves its sender past all others, which touches neighbours in
  /// the list: so they are small and lie apart.
  struct presence {
    instant heard{};
    links by_silence;               ///< among its kind (workers, those that rest, or others), longest silent first
    bool known = false;
    bool rests = false;             ///< a worker, as the directory says
  };

  instant observe(instant now);
  /// The caller of what the broker itself hands to workers: events, and durable commands. No peer has this number.
  static constexpr peer_id self{none};

  peer& at(peer_id id) { return id == self ? self_ : peers_[static_cast<std::uint32_t>(id)]; }
  presence& presence_of(peer_id id) { return presences_[static_cast<std::uint32_t>(id)]; }
  void number(peer_id id);
  [[nodiscard]] bool knows(peer_id id) const { return static_cast<std::size_t>(id) < presences_.size() && presences_[static_cast<std::size_t>(id)].known; }
  bool admit(instant now, peer_id from, outbox& out);
  void heard(instant now, peer_id from);
  void drop(instant now, peer_id gone, std::string_view why, outbox& out);
  void forget(peer_id gone, outbox& out);
  std::string& frame_for(peer_id to, outbox& out);
  wire::payload_field payload_for(peer_id to, const contents& what, outbox& out);
  void refuse(peer_id to, std::uint64_t id, const error& why, outbox& out);
  void welcome(peer_id to, std::uint64_t id, outbox& out);
  [[nodiscard]] const role* role_of(peer_id of) { return at(of).who ? at(of).who->may.get() : nullptr; }
  void deny(instant now, peer_id from, std::uint64_t id, const std::string& what, outbox& out);
  [[nodiscard]] std::optional<std::string> excess_of(std::uint32_t worker_index, const role& may) const;

  void on_broken(instant now, peer_id from, std::string why, outbox& out);
  void on_frame(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_hello(peer_id from, const wire::frame& in, outbox& out);
  void on_call(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_credit(peer_id from, const wire::frame& in, outbox& out);
  void on_cancel(peer_id from, const wire::frame& in, outbox& out);
  void on_part(peer_id from, const wire::frame& in, outbox& out);
  void drain(instant now, std::uint32_t worker_index, outbox& out);
  void on_reply(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_emit(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_join(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_leave(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_pulse(peer_id from, outbox& out);
  [[nodiscard]] bool may_rest(const directory::worker& worker) const;
  void set_rest(instant now, std::uint32_t worker_index, bool rests);
  void send_pulses(instant now, outbox& out);

  // Events, in broker_events.cpp
  [[nodiscard]] std::uint32_t slots_of(std::string_view command) const override;
  [[nodiscard]] bool may_repeat(std::string_view command) const override;
  std::uint64_t open_asked(instant now, peer_id from, const wire::frame& in, bool only_reads);
  void on_later(instant now, peer_id from, const wire::frame& in, outbox& out);
  void on_question(instant now, peer_id from, const wire::frame& in);
  [[nodiscard]] static bool read_published(std::string_view topic, std::string_view event, wire::frame& into);
  void begin_delivery(instant now, const event_effects::delivery& what, outbox& out);
  void settle_events(instant now, outbox& out);

  // Calls, in broker_calls.cpp
  [[nodiscard]] std::optional<error> too_many_calls(peer_id from);
  void run_or_wait(instant now, peer_id from, const wire::frame& in, std::uint32_t command_index, outbox& out);
  std::uint32_t open_call(instant now, peer_id caller, const wire::frame& in, std::uint32_t command_index);
  void lease(instant now, std::uint32_t call_index, std::uint32_t worker_index, std::string_view name, const contents& with, outbox& out);
  [[nodiscard]] std::optional<error> no_room(std::uint32_t command_index, peer_id caller, std::size_t bytes) const;
  void keep(std::uint32_t call_index, const contents& what);
  void let_go(std::uint32_t call_index);
  void enqueue(std::uint32_t call_index);
  [[nodiscard]] bool may_retry(std::uint32_t call_index) const;
  void requeue(std::uint32_t call_index);
  void take_back(peer_id worker, const wire::message_view& unsent);
  void dispatch_returned(instant now, outbox& out);
  void release_held(instant now, outbox& out);
  void end_grace(instant now, outbox& out);
  void end_unserved(outbox& out);
  void dispatch(instant now, std::uint32_t pool_index, std::uint32_t lane, outbox& out);
  bool dispatch_one(instant now, std::uint32_t pool_index, std::uint32_t lane, outbox& out);
  void give_slots(instant now, std::uint32_t worker_index, std::uint32_t lane, outbox& out);
  /// The caller's part of a call ends here: after this nothing more is sent to it for this id.
  void settle_caller(std::uint32_t call_index);
  void close(std::uint32_t call_index);
  void end(std::uint32_t call_index, const error& why, outbox& out);
  void abandon(std::uint32_t call_index, outbox& out);
  void reject(instant now, std::uint32_t call_index, outbox& out);
  void return_slot(instant now, peer_id of, std::uint32_t lane, outbox& out);
  void expire(std::uint32_t call_index, outbox& out);
  void remove_worker(instant now, peer_id of, std::string_view why, outbox& out);
  void finish_drain(instant now, peer_id of, outbox& out);
  [[nodiscard]] error overload(std::string message) const;
  [[nodiscard]] error unserved(std::uint32_t command_index) const;
  [[nodiscard]] error gone(std::uint32_t call_index) const;
  void refuse_call(peer_id from, const wire::frame& in, std::uint32_t command_index, const error& why, outbox& out);
  [[nodiscard]] directory::command* command_of(std::uint32_t call_index);
  void count_end(std::uint32_t call_index, status code);

  // Keys, in broker_keys.cpp
  void on_keyed_call(instant now, peer_id from, const wire::frame& in, std::uint32_t command_index, outbox& out);
  void wait_in_line(std::uint32_t call_index, bool first);
  void leave_line(std::uint32_t call_index);
  void unlist(std::uint32_t line_index);
  void place_later(std::uint32_t line_index);
  void place(instant now, std::uint32_t line_index, outbox& out);
  void release_key(std::uint32_t call_index);
  void unlist_keys_of(std::uint32_t worker_index);
  void unlist_homeless(std::uint32_t command_index);

  // The broker's own commands, in built_in.cpp
  void on_built_in(instant now, peer_id from, const wire::frame& in, outbox& out);
  /// What an operation is asked; views into the CALL's payload, each empty (or 0) if it did not come.
  struct inquiry {
    std::string_view prefix;
    std::string_view command;
    std::string_view worker;
    std::uint64_t limit = 0;
  };
  // In operations.cpp. Each returns the payload of its answer, nothing for what does not exist.
  [[nodiscard]] std::string list_workers(instant now, const inquiry& wanted, outbox& out);
  [[nodiscard]] std::string list_queues(instant now, const inquiry& wanted, outbox& out);
  [[nodiscard]] std::string list_calls(instant now, const inquiry& wanted, outbox& out);
  [[nodiscard]] std::string list_statistics(instant now, const inquiry& wanted, outbox& out);
  [[nodiscard]] std::string drain_workers(instant now, const inquiry& wanted, outbox& out);
  [[nodiscard]] std::string pause(instant now, const inquiry& wanted, outbox& out);
  [[nodiscard]] std::string resume(instant now, const inquiry& wanted, outbox& out);
  bool on_operation(instant now, peer_id from, const wire::frame& in, outbox& out);
  void watch_services(instant now, peer_id from, const wire::frame& in, outbox& out);
  void reply_services(std::uint32_t call_index, outbox& out);
  void network_changed(instant now);
  [[nodiscard]] std::string revision() const;

  settings settings_;
  directory directory_;
  call_table calls_{settings_.hash_seed};
  call_lines lines_{calls_.items()};
  key_table keys_;
  detail::deadline_lanes<&call::deadline, &call::by_deadline, &call::deadline_at> deadlines_;
  kept_payloads kept_;
  std::vector<peer> peers_;
  look_ahead look_ahead_{directory_, calls_, settings_.look_ahead_from};
  std::vector<presence> presences_;
  peer self_;
  index_list<&presence::by_silence> silent_;   ///< peers that are no workers
  index_list<&presence::by_silence> pulsing_;  ///< workers
  index_list<&presence::by_silence> resting_;  ///< those of them that have nothing at hand, and are heard seldom
  index_list<&directory::worker::by_pulse> pulses_;
  index_list<&directory::worker::by_pulse> idle_pulses_;  ///< to those that rest
  index_list<&call::by_place> parked_;
  std::size_t kept_bytes_ = 0;
  instant now_{};
  instant started_{};
  instant verdicts_from_{};  ///< nobody is found dead of silence before this
  std::uint64_t changes_ = 0;
  instant announce_at_ = instant::max();
  instant denied_event_noted_{};
  counters counts_;
  std::vector<std::uint32_t> unserved_;  ///< scratch of `release_held` and `end_grace`
  // Until `dispatch_returned`: once all the dead are known, so that a call does not go from one to the next.
  std::vector<std::uint32_t> returned_;  ///< commands to which calls have gone back
  std::vector<std::uint32_t> unplaced_;  ///< keys whose next call is to find its worker

  event_core events_;
  /// Deliveries of ours that have ended, until `settle_events`.
  struct ended_delivery {
    std::uint64_t ticket = 0;
    status code = status::ok;
    std::string payload;
    bool handed_over = false;
    bool answered = false;
  };
  std::vector<ended_delivery> ended_;
  const event_effects::delivery* delivering_ = nullptr;  ///< what `open_call` opens a record for
  bool members_changed_ = false;  ///< which the events' core does not know yet
};

}  // namespace waggle::broker
