#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <waggle/wire/frames.hpp>

#include "broker/core/broker_core.hpp"
#include "sim/trace.hpp"

namespace waggle::sim {

using broker::peer_id;

/// What the broker owes, said slowly and plainly: lists that are searched from end to end, no pools of memory, no lists of who
/// has how many free slots. It is told what the core was told, after the core has done it, and says what must have come out:
/// each frame that the core sent has to be one that is owed, and nothing that is owed may be missing. Where the core may
/// choose (which of the workers that are equally free, which of several commands that wait) the model looks at what it has
/// chosen, says whether it was allowed to, and follows.
class model {
 public:
  /// What the books say that has happened so far, so that a run can tell whether it got where it hurts.
  struct sums {
    std::uint64_t accepted = 0;   ///< calls that were opened
    std::uint64_t replied = 0;    ///< of them, those that got their REPLY
    std::uint64_t abandoned = 0;  ///< of them, those whose caller was gone first
    std::uint64_t refused = 0;    ///< calls that were not opened
    std::uint64_t leases = 0, again = 0, requeued = 0, taken_back = 0, rejected = 0, orphaned = 0, parts = 0, dead = 0, broken = 0,
                  drained = 0, held = 0, announced = 0, keyed = 0, overrun = 0, asked_to_leave = 0, expected = 0, quick = 0, rested = 0, woken = 0, died_resting = 0;
  };

  model(const broker::settings& limits, const broker::broker_core& core, const broker::outbox& out, const trace& log)
      : limits_{limits}, core_{core}, out_{out}, log_{log} {}
  model(const model&) = delete;
  model& operator=(const model&) = delete;

  void received(instant now, peer_id from, const wire::message_view& message);
  void received_garbage(instant now, peer_id from);
  void unreachable(instant now, peer_id gone, const std::vector<wire::message_view>& unsent);
  void connection_ended(instant now, peer_id of);
  void ticked(instant now);
  /// The shell has done what was in the outbox.
  void cleared();

  [[nodiscard]] const sums& totals() const { return sums_; }
  [[nodiscard]] std::size_t open_calls() const { return calls_.size(); }
  /// Workers that may be given calls.
  [[nodiscard]] std::size_t active_workers() const;

 private:
  /// A frame that the core has sent in this step.
  struct told {
    peer_id to{};
    wire::frame in;
    bool expected = false;
  };

  struct command;
  struct call {
    enum { queued, leased, orphaned, parked } state = queued;
    peer_id caller{};
    std::uint64_t id = 0;
    command* what = nullptr;
    instant deadline{};
    std::uint32_t attempts = 0;
    bool kept = false;    ///< its payload counts: it waits, or may be sent again
    bool parted = false;  ///< a PART has reached the caller
    bool settled = false; ///< the caller has had its reply, or is gone
    std::string payload;
    std::string headers;
    peer_id worker{};
    std::uint64_t lease = 0;
    std::size_t lane = 0;     ///< whose slot it takes at its worker
    std::string line;         ///< of its key: group and key; empty without one
    std::uint64_t parts = 0;  ///< that its caller still takes

    [[nodiscard]] std::size_t bytes() const { return payload.size() + headers.size(); }
  };
  /// Calls have numbers, which are never used again; 0 is none.
  using call_number = std::uint64_t;

  struct turn {
    peer_id caller{};
    std::deque<call_number> calls;
  };
  struct command {
    std::string name;
    std::vector<turn> turns;  ///< callers whose calls without a key wait, the next to be served first
    std::size_t keyed = 0;    ///< calls with a key that wait
    std::size_t bytes = 0;    ///< of all that wait
    std::string group;        ///< as those say that serve it
    bool served = false;      ///< somebody serves it, or has
    bool expected = false;    ///< nobody has yet, but the broker is young
    bool paused = false;

    [[nodiscard]] std::size_t keyless() const;
  };
  /// The calls of one key: one at a worker, the others in their order.
  struct key_line {
    std::deque<call_number> waiting;
    enum { unplaced, runs, at_home, homeless } where = unplaced;
    bool has_home = false;
    peer_id home{};
    command* wants = nullptr;  ///< while homeless: somebody to serve it, or its resumption
    bool doubtful = false;     ///< paused while it waited at its home, which may since be another
  };

  struct membership {
    command* what = nullptr;
    retry_class retry = retry_class::once;
    bool needs_key = false;
    std::string group;
    bool quick = false;
  };
  struct pool {
    std::string identity;
    bool has_quick = false;  ///< its workers have slots of their own for what is quick
    bool all_quick = false;
    struct {
      std::uint64_t round = 0;
      peer_id worker{};
      std::uint32_t calls = 0;
    } bursts[2];             ///< of calls to one worker, in each lane
    std::vector<membership> commands;
    std::size_t workers = 0, active = 0;
    bool held = false, died = false, remembered = false;
    instant until{};
  };

  struct peer {
    bool known = false;
    instant heard{};
    std::uint64_t heard_as = 0;  ///< the how manieth thing that happened
    std::uint32_t bundle = 1;
    std::uint32_t bundle_in_round = 1;  ///< the most it took since the outbox was empty
    std::uint32_t attachments = 0;
    std::uint32_t attachments_in_round = 0;  ///< likewise
    std::vector<call_number> calls;  ///< its own that are open
    std::size_t kept_bytes = 0;      ///< of these

    pool* seat = nullptr;
    // Of calls in general, and of quick ones where those have slots of their own:
    std::uint32_t slots[2] = {};
    std::size_t in_flight[2] = {};
    bool passed_over[2] = {};
    std::uint64_t listed[2] = {};  ///< when its free slots changed last
    bool draining = false;  ///< gets no calls
    bool leaving = false;   ///< because it said so
    bool credit = false;    ///< heeds it
    bool idles = false;     ///< has said that it is quiet while it has nothing at hand
    bool rests = false;     ///< and is held to that
    std::string instance;
    std::uint64_t seed = 0;  ///< decides which keys are its own
    std::uint64_t leave_id = 0;
    instant pulse_due{};
    std::vector<call_number> leases;  ///< in the order in which it got them
  };

  // Steps and what came out of them, in model.cpp
  void begin(instant now);
  [[nodiscard]] std::string in_words(peer_id worker) const;
  [[nodiscard]] std::string given_in_words() const;
  void say(const char* how, peer_id peer, const wire::frame& in) const;
  void finish();
  void read(peer_id from, const wire::message_view& message);
  void lose(peer_id gone, const std::vector<wire::message_view>& unsent);
  bool admit(peer_id from);
  void on_frame(peer_id from, const wire::frame& in);
  void broke(peer_id from);
  void check_books();
  [[nodiscard]] milliseconds pulse_of(const peer& worker) const { return worker.rests ? limits_.idle_pulse : limits_.pulse; }
  [[nodiscard]] bool may_rest(const peer& worker) const;
  void end_rest(peer& worker);
  [[nodiscard]] instant next_deadline() const;
  [[noreturn]] void fail(const std::string& what) const;
  /// Whether the core has sent such a REPLY.
  bool replied(peer_id to, std::uint64_t id, status code) const;
  const wire::frame& expect(wire::frame_type type, peer_id to, std::uint64_t id, const char* why);
  /// Peers may use one id for several things: of several REPLYs the one that was `meant` is taken.
  template <class Meant>
  const wire::frame& expect_reply(peer_id to, std::uint64_t id, const char* why, Meant&& meant) {
    for (auto& each : told_) {
      if (each.expected || each.to != to || each.in.id != id) continue;
      if (each.in.type == wire::frame_type::part) break;
      if (each.in.type == wire::frame_type::reply && meant(each.in)) return each.expected = true, each.in;
    }
    return expect(wire::frame_type::reply, to, id, why);
  }
  void expect_error(peer_id to, std::uint64_t id, status code, bool may_have_run, const char* why);
  static bool is_welcome(const wire::frame& in);
  static bool is_list(const wire::frame& in) { return in.status == status::ok && in.payload.starts_with("\x83\xa8revision"); }
  void misplaced(peer_id to);

  // What is not to be seen and has to be tried, in model_choices.cpp
  void explain(const std::function<void()>& step);
  [[nodiscard]] bool is_ambiguous() const;
  std::size_t choose(std::size_t options);
  [[nodiscard]] auto state();
  void relink(const std::map<const command*, std::string>& commands, const std::map<const pool*, std::size_t>& pools);

  // Calls, in model_calls.cpp
  void on_call(peer_id from, const wire::frame& in);
  void on_built_in(peer_id from, const wire::frame& in);
  void watch_services(peer_id from, const wire::frame& in);
  void on_reply(peer_id from, const wire::frame& in);
  void on_part(peer_id from, const wire::frame& in);
  void on_credit(peer_id from, const wire::frame& in);
  void on_operation(peer_id from, const wire::frame& in);
  void drain_named(std::string_view instance);
  bool has_room(peer_id from, const command& what, std::size_t bytes) const;
  call& open(peer_id from, const wire::frame& in, instant deadline, command* what);
  void refuse(peer_id to, std::uint64_t id, status code, const char* why);
  void keep(call& kept);
  void let_go(call& kept);
  void queue_up(call_number number);
  void queue_first(call_number number);
  void unqueue(call_number number);
  void settle(call_number number);
  void close(call_number number);
  void end(call_number number, status code, const char* why);
  void abandon(call_number number);
  void requeue(call_number number);
  status fate(const command& what) const;

  // Keys, in model_keys.cpp
  void on_keyed_call(peer_id from, const wire::frame& in, command& what);
  void wait_in_line(call_number number, bool first);
  void leave_line(call_number number);
  void release_key(call_number number);
  void leave_home(peer_id worker);
  void seek_homes(const command& what);
  void place_lines();
  [[nodiscard]] bool is_forgotten(const call& which) const;
  void place(key_line& line, std::string_view name);
  void find_home(key_line& line, const command& what, std::string_view name);
  [[nodiscard]] bool is_home(const key_line& line, peer_id worker) const;
  bool best_home(const command& what, std::string_view name, peer_id& best) const;
  bool takes(peer_id worker, const command& what) const;
  [[nodiscard]] std::size_t lane_at(const peer& worker, const command& what) const;
  bool has_slot(peer_id worker, const command& what) const;
  void check_exclusion(const call& leased) const;
  bool goes_back(const call& leased, std::string_view passed_on) const;
  told* lease_of(const call& waiting, bool now = false);
  [[nodiscard]] bool may_have(peer_id worker, const call& waiting) const;
  bool somebody_can_take(const command& what) const;
  bool continues_burst(peer_id to, const command& what);
  void lease(call_number number, bool at_once);
  void hand_over(call_number number, told& frame);
  void dispatch();
  void return_slot(peer_id from, std::size_t lane);
  void tell_watchers();

  // Services, in model_services.cpp
  void on_join(peer_id from, const wire::frame& in);
  void on_leave(peer_id from, const wire::frame& in);
  pool& pool_of(const manifest& from);
  command& command_of(std::string_view name);
  void deactivate(peer& idle, bool died);
  void drain(peer_id worker);
  void settle_as(peer& worker, const manifest& from);
  void leave_pool(peer& leaving);
  void unhold(pool& which);
  void dissolve_if_empty(pool& which);
  void release_held();
  void end_grace();
  void end_waiting(command& what);
  void remove_worker(peer_id from);
  void finish_drain(peer_id from);
  void drop(peer_id gone);
  void forget(peer_id gone);
  void network_changed();
  [[nodiscard]] bool awaited(const command& what) const;
  [[nodiscard]] bool serves(const peer& worker, const command& what) const;
  [[nodiscard]] retry_class class_at(const peer& worker, const command& what) const;
  [[nodiscard]] std::size_t seats(const peer& of) const { return of.seat == nullptr || of.leaving ? 0 : of.seat->commands.size(); }
  [[nodiscard]] std::size_t commands_in_use(const std::set<std::string_view>& and_these) const;

  peer& at(peer_id id) { return peers_[static_cast<std::size_t>(id)]; }
  template <class Each>
  void for_peers(Each&& each) {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (peers_[i].known) each(static_cast<peer_id>(i), peers_[i]);
    }
  }

  const broker::settings& limits_;
  const broker::broker_core& core_;
  const broker::outbox& out_;
  const trace& log_;

  instant now_{}, started_{}, verdicts_from_{}, announce_at_ = instant::max();
  std::deque<peer> peers_;
  std::map<call_number, call> calls_;
  call_number last_call_ = 0;
  std::map<std::pair<peer_id, std::uint64_t>, call_number> by_id_;
  std::map<std::uint64_t, call_number> by_lease_;
  std::set<std::pair<instant, call_number>> by_deadline_;
  std::map<std::string, key_line> keys_;
  std::map<std::string, command, std::less<>> commands_;  ///< all that were ever served
  std::list<pool> pools_;
  std::vector<pool*> held_, remembered_;  ///< longest first
  std::size_t queued_ = 0, parked_ = 0, settled_ = 0, kept_bytes_ = 0;
  std::uint64_t listings_ = 0;
  std::uint64_t step_ = 0;  ///< one of these, for all whose rest begins or ends in this step
  std::uint64_t round_ = 1;  ///< one more each time the outbox is empty
  std::uint64_t joined_ = 0;  ///< makes up instance names
  std::uint64_t changes_ = 0;  ///< of the network: its revision
  sums sums_;

  std::vector<told> told_;
  /// What has been read of a message in the outbox.
  struct seen {
    std::size_t bytes = 0;  ///< of its bundle
    std::uint32_t frames = 0;
    std::uint32_t attachments = 0;
    std::size_t attached_bytes = 0;
  };
  std::vector<seen> read_;  ///< of each message there
  std::size_t broadcasts_ = 0;
  std::vector<peer_id> forgotten_;

  struct choice {
    std::size_t taken = 0, options = 0;
  };
  std::vector<choice> choices_;  ///< of this step
  std::size_t chosen_ = 0;       ///< so many of them in this try
};

}  // namespace waggle::sim
