#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <waggle/detail/caller_core.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

namespace waggle::detail {

/// A call that the broker has handed to this worker. Leases of an earlier seat are void: another broker, or the same one after
/// it took us for dead, may give out the same numbers again.
struct lease {
  std::uint64_t id = 0;
  std::uint64_t seat = 0;  ///< how many times the worker had joined when it got the call

  friend bool operator==(const lease&, const lease&) = default;
};

/// An event that a handler has emitted.
struct emitted {
  std::string topic;
  std::string payload;
  std::string headers;  ///< one msgpack map, or empty
};

/// A worker's side of the protocol: joins, pulses (seldom while it has nothing at hand, if its manifest says so), joins again when the broker is lost
/// or has forgotten it, leaves. No socket, clock, thread or log; the owner gives a sink with
///   on_joined(const welcome&)                       first or again
///   on_call(lease, const wire::frame&)              a CALL, or an EVENT to a member of a group (the frame's type says which): to be
///                                                   answered by exactly one `reply` or `succeed`, whatever happens
///   on_cancel(lease)                                nobody waits for it any more; the `reply` is still due
///   on_credit(lease, std::uint64_t parts)           so many PARTs more may be sent (the CALL said how many at first)
///   on_asked_to_leave()                             an operator wants it gone: it gets no more calls, and should `leave`
///   on_lost(const std::string& why)                 all leases are void
///   on_refused(error)                               the broker will not have this manifest: the end
///   on_left()                                       after `leave`: nothing is at hand any more
///   on_complaint(error)                             what the broker says of our frames
class worker_core {
 public:
  struct options {
    std::string manifest;            ///< msgpack
    std::string broker;              ///< the endpoint, for messages
    std::uint64_t jitter_seed = 1;   ///< differs from worker to worker, so that they do not all join again at once
    std::size_t unsent_bytes_max = 64u << 20;  ///< past it `has_room` is false
    std::size_t attachment_bytes_min = wire::attachment_bytes_min;  ///< payloads from this size on are attached, if the broker takes them so
    bool idles = false;              ///< as the manifest says. Its connections have to begin with a pulse: a broker that has restarted hears of us no sooner
    std::size_t receipts_max = 100'000;        ///< of emitted events that are awaited; past it a success that needs more is a failure
  };

  worker_core(time_point now, options from) : options_{std::move(from)}, heard_{now}, act_at_{now}, random_{options_.jitter_seed | 1} {}

  /// Answers a lease; whether it is still wanted is found out here. A large payload that is given away is not copied.
  template <class Payload = std::string_view>
  void reply(const lease& to, status code, Payload&& payload) {
    if (!holds(to)) return;
    append([&](wire::message& out) { wire::append_reply(out.bundle, to.id, code, field_of(out, std::forward<Payload>(payload)), {}); });
    --at_hand_;
  }
  template <class Payload = std::string_view>
  void part(const lease& of, Payload&& payload) {
    if (holds(of)) append([&](wire::message& out) { wire::append_part(out.bundle, of.id, field_of(out, std::forward<Payload>(payload))); });
  }
  /// Answers a lease with a success, and emits what its handler has emitted. If the broker keeps events on disk, the answer leaves when all
  /// of them are kept; when one cannot be, or nobody says so until `give_up`, the answer is an error instead.
  ///
  /// This is the one place where the events of a handler are handed over: what is to be atomic with something else comes here.
  template <class Payload = std::string_view>
  void succeed(const lease& to, Payload&& payload, const std::vector<emitted>& events, time_point give_up) {
    if (events.empty()) return reply(to, status::ok, std::forward<Payload>(payload));
    if (!holds(to)) return;
    const bool awaited = welcome_.durable;
    if (awaited && receipts_.size() + events.size() > options_.receipts_max) {
      return refuse(to, {status::resource_exhausted, "too many events wait for their receipts (receipts_max)", true});
    }
    const auto first_id = next_emit_id_;
    for (const auto& each : events) {
      const auto id = awaited ? next_emit_id_++ : 0;
      append([&](wire::message& out) { wire::append_emit(out.bundle, id, each.topic, field_of(out, each.payload), each.headers); });
      if (awaited) receipts_.emplace(id, receipt{first_id, each.topic});
    }
    if (!awaited) return reply(to, status::ok, std::forward<Payload>(payload));
    successes_.emplace(first_id, success{to, std::string{std::forward<Payload>(payload)}, events.size(), events.size(), give_up});
    give_ups_.emplace(give_up, first_id);
  }
  /// Whether what waits to be sent is below its limit; owners stop taking PARTs from handlers while it is not.
  [[nodiscard]] bool has_room() const { return unsent_bytes_ < options_.unsent_bytes_max; }

  /// Asks for no more calls; `on_left` follows when the last is answered.
  template <class Sink>
  void leave(time_point now, Sink&& sink) {
    if (at_ == stage::leaving || at_ == stage::left) return;
    if (at_ != stage::joined) {
      at_ = stage::left;
      return sink.on_left();
    }
    at_ = stage::leaving;
    left_by_ = now + leave_patience;
    heard_ = now;  // for as long as nothing was at hand, the broker did not have to say anything
    append([](wire::message& out) { wire::append_leave(out.bundle, leave_id); });
  }

  /// Takes one message from the broker. Any bytes are allowed.
  template <class Sink>
  void receive(time_point now, const wire::message_view& from_broker, Sink&& sink) {
    heard_ = now;
    wire::bundle_reader frames{from_broker};
    wire::frame in;
    for (auto next = frames.next(in); next == wire::decoded::frame || next == wire::decoded::unknown; next = frames.next(in)) {
      if (next == wire::decoded::frame) on_frame(now, in, sink);
    }
  }

  template <class Sink>
  void tick(time_point now, Sink&& sink) {
    if (at_ == stage::left) return;
    if (at_ == stage::leaving && at_hand_ == 0 && left_by_ <= now) {
      at_ = stage::left;
      return sink.on_left();
    }
    while (!give_ups_.empty() && give_ups_.begin()->first <= now) {
      const auto late = give_ups_.begin()->second;
      const error why{status::deadline_exceeded, "the event " + first_awaited(late) + " could not be kept: the broker has not said so in time", true};
      refuse(take_success(late).to, why);
    }
    act_when_due(now);
    const auto silence_ends = heard_ + silence_max();
    if (silence_ends > now) return;
    if (now - silence_ends > welcome_.pulse) {
      // Nobody let us look at the clock for so long: it was us who stood still, and what the broker said may lie unread.
      heard_ = now + welcome_.pulse - silence_max();
      return;
    }
    // A JOIN that nobody has answered yet says no more than that there is no broker: it waits in the socket.
    if (at_ != stage::joining) {
      lose(now, "the broker at " + options_.broker + " has fallen silent", sink);
    } else if (asked_) {
      asked_ = false;
      act_at_ = now;
      wants_connection_ = true;
      unsent_.clear();  // for the connection that is given up
      unsent_bytes_ = 0;
      act_when_due(now);
    }
    heard_ = now;
  }

  /// The next message to send, into `out`, which comes empty; false when there is none.
  bool take_message(time_point now, wire::message& out) {
    act_when_due(now);
    if (unsent_.empty()) return false;
    auto& front = unsent_.front().made;
    unsent_bytes_ -= front.bytes();
    std::swap(out, front);
    spare_ = std::move(front);
    unsent_.pop_front();
    return true;
  }

  /// When time alone gives `tick` something to do; after a `tick` it is not past, even if nothing can be sent.
  [[nodiscard]] time_point next_deadline() const {
    if (at_ == stage::left) return time_point::max();
    auto next = std::min(act_at_, heard_ + silence_max());
    if (!give_ups_.empty()) next = std::min(next, give_ups_.begin()->first);
    return at_ == stage::leaving && at_hand_ == 0 ? std::min(next, left_by_) : next;
  }

  /// Once after the broker was lost: the owner closes the socket, with what is still in it, and opens another.
  [[nodiscard]] bool wants_connection() { return std::exchange(wants_connection_, false); }
  [[nodiscard]] bool joined() const { return at_ == stage::joined; }
  [[nodiscard]] bool left() const { return at_ == stage::left; }
  [[nodiscard]] std::size_t at_hand() const { return at_hand_; }

 private:
  static constexpr std::uint64_t join_id = 1;
  static constexpr std::uint64_t leave_id = 2;
  static constexpr std::uint64_t emit_id_min = 16;
  static constexpr std::uint32_t jitter_max_ms = 250;
  /// So long a LEAVE without calls at hand waits for its answer: a broker that stops at the same time gives none.
  static constexpr milliseconds leave_patience{500};

  enum class stage : std::uint8_t { joining, joined, leaving, left };
  struct open_message {
    wire::message made;
    std::uint32_t frames = 0;
  };

  /// An answer that waits until its handler's events are kept.
  struct success {
    lease to;
    std::string payload;
    std::size_t emits = 0;
    std::size_t awaited = 0;
    time_point give_up{};
  };
  struct receipt {
    std::uint64_t of = 0;  ///< the success that waits for it
    std::string topic;
  };

  void refuse(const lease& to, const error& why) {
    std::string payload;
    wire::append_error(payload, why);
    reply(to, why.code, payload);
  }

  // Successes are named by the id of their first EMIT, for the broker may give out a lease's number twice.

  [[nodiscard]] std::string first_awaited(std::uint64_t of) const {
    for (auto id = of; id < of + successes_.at(of).emits; ++id) {
      if (const auto found = receipts_.find(id); found != receipts_.end()) return found->second.topic;
    }
    return {};
  }
  success take_success(std::uint64_t of) {
    auto out = std::move(successes_.extract(of).mapped());
    give_ups_.erase({out.give_up, of});
    for (auto id = of; id < of + out.emits; ++id) receipts_.erase(id);
    return out;
  }

  void on_receipt(std::uint64_t id, const wire::frame& in) {
    const auto got = std::move(receipts_.extract(id).mapped());
    if (in.status == status::ok) {
      if (--successes_.at(got.of).awaited > 0) return;
      auto done = take_success(got.of);
      return reply(done.to, status::ok, std::move(done.payload));
    }
    auto why = wire::read_error(in.status, in.payload);
    why.message = "the event " + got.topic + " could not be kept: " + why.message;
    why.may_have_run = true;
    refuse(take_success(got.of).to, why);
  }

  [[nodiscard]] bool holds(const lease& what) const {
    return what.seat == seat_ && (at_ == stage::joined || at_ == stage::leaving);
  }

  /// Then nobody waits for anything, and both sides let hear from themselves seldom. Of a connection that ends they learn from the socket.
  [[nodiscard]] bool is_idle() const { return options_.idles && at_ == stage::joined && at_hand_ == 0; }
  [[nodiscard]] milliseconds pulse() const { return is_idle() ? welcome_.idle_pulse : welcome_.pulse; }
  [[nodiscard]] milliseconds silence_max() const { return pulse() * static_cast<std::int64_t>(welcome_.missed_pulses_max); }

  void act_when_due(time_point now) {
    if (act_at_ > now) return;
    act_at_ = now + pulse();
    if (at_ == stage::joining && !asked_) {
      append([&](wire::message& to) { wire::append_join(to.bundle, join_id, options_.manifest); });
      asked_ = true;
      heard_ = now;
    } else if (at_ == stage::joined || at_ == stage::leaving) {
      append([](wire::message& to) { wire::append_pulse(to.bundle); });
    }
  }

  /// Puts one frame into the message that is open, or into a new one when that is full.
  template <class Append>
  void append(Append&& frame) {
    auto* open = unsent_.empty() ? nullptr : &unsent_.back();
    auto before = open == nullptr ? 0 : open->made.bytes();
    if (open == nullptr || open->frames >= wire::bundle_frames_max || before >= wire::bundle_bytes_soft_max) {
      open = &unsent_.emplace_back();
      std::swap(open->made, spare_);
      before = 0;
    }
    frame(open->made);
    ++open->frames;
    unsent_bytes_ += open->made.bytes() - before;
  }

  /// A payload in the message, or beside it.
  template <class Payload>
  [[nodiscard]] wire::payload_field field_of(wire::message& out, Payload&& payload) const {
    const std::string_view bytes{payload};
    if (bytes.size() < options_.attachment_bytes_min || out.attachments.size() >= welcome_.attachments) return bytes;
    return wire::payload_field::attached(out, wire::attachment{std::string{std::forward<Payload>(payload)}});
  }

  template <class Sink>
  void on_frame(time_point now, const wire::frame& in, Sink&& sink) {
    switch (in.type) {
      case wire::frame_type::call:
      case wire::frame_type::event:
        if (at_ != stage::joined && at_ != stage::leaving) return;
        if (at_hand_++ == 0) act_at_ = std::min(act_at_, now + welcome_.pulse);
        return sink.on_call(lease{in.id, seat_}, in);
      case wire::frame_type::cancel: return sink.on_cancel(lease{in.id, seat_});
      case wire::frame_type::credit: return sink.on_credit(lease{in.id, seat_}, in.parts);
      case wire::frame_type::leave: return sink.on_asked_to_leave();
      case wire::frame_type::pulse:
        if (in.seats == 0 && at_ == stage::joined) {
          lose(now, "the broker at " + options_.broker + " has restarted, or had taken this worker for dead", sink);
          wants_connection_ = false;  // the connection is good
        }
        return;
      case wire::frame_type::reply:
        if (in.id == join_id && at_ == stage::joining) return on_join_answered(now, in, sink);
        if (in.id == leave_id && at_ == stage::leaving) {
          at_ = stage::left;
          return sink.on_left();
        }
        if (receipts_.contains(in.id)) return on_receipt(in.id, in);
        if (in.id == 0) {
          if (at_ == stage::joined) act_at_ = std::min(act_at_, now);  // it may have cost the seat, which the answer to a pulse says
          sink.on_complaint(wire::read_error(in.status, in.payload));
        }
        return;
      default: return;
    }
  }

  template <class Sink>
  void on_join_answered(time_point now, const wire::frame& in, Sink&& sink) {
    if (in.status == status::ok) {
      welcome_ = read_welcome(in.payload);
      at_ = stage::joined;
      ++seat_;
      at_hand_ = 0;
      act_at_ = now + welcome_.pulse;
      return sink.on_joined(welcome_);
    }
    auto why = wire::read_error(in.status, in.payload);
    if (!info(why.code).retryable) {
      at_ = stage::left;
      return sink.on_refused(std::move(why));
    }
    asked_ = false;
    act_at_ = now + milliseconds{1000} + jitter();
    sink.on_complaint(std::move(why));
  }

  template <class Sink>
  void lose(time_point now, const std::string& why, Sink&& sink) {
    const bool was_leaving = at_ == stage::leaving;
    at_ = was_leaving ? stage::left : stage::joining;
    asked_ = false;
    act_at_ = now + jitter();
    heard_ = now;
    at_hand_ = 0;
    successes_.clear();
    receipts_.clear();
    give_ups_.clear();
    unsent_.clear();
    unsent_bytes_ = 0;
    wants_connection_ = !was_leaving;
    sink.on_lost(why);
    if (was_leaving) sink.on_left();
  }

  milliseconds jitter() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return milliseconds{random_ % jitter_max_ms};
  }

  options options_;
  stage at_ = stage::joining;
  bool asked_ = false;  ///< JOIN is under way
  std::uint64_t seat_ = 0;
  std::size_t at_hand_ = 0;
  welcome welcome_;
  time_point heard_;
  time_point act_at_;  ///< next JOIN or PULSE
  time_point left_by_ = time_point::max();
  std::uint64_t random_;
  bool wants_connection_ = false;
  std::unordered_map<std::uint64_t, success> successes_;
  std::unordered_map<std::uint64_t, receipt> receipts_;   ///< by the emit's id
  std::set<std::pair<time_point, std::uint64_t>> give_ups_;
  std::uint64_t next_emit_id_ = emit_id_min;
  std::deque<open_message> unsent_;
  std::size_t unsent_bytes_ = 0;
  wire::message spare_;  ///< the buffers of a message that was taken, for the next
};

}  // namespace waggle::detail
