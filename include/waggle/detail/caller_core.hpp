#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <waggle/detail/deadlines.hpp>
#include <waggle/detail/slab.hpp>
#include <waggle/wire/error.hpp>
#include <waggle/wire/frames.hpp>

namespace waggle::detail {

using std::chrono::milliseconds;

/// What a broker says of itself (PROTOCOL.md, "Welcome").
struct welcome {
  std::string broker;
  std::string version;
  std::string events_in;
  std::string events_out;
  milliseconds pulse{1000};
  milliseconds idle_pulse{1000};  ///< of workers that have nothing at hand, if they say that they heed it; not less than `pulse`
  std::uint64_t missed_pulses_max = 3;
  std::uint64_t seats = 0;
  bool durable = false;  ///< it keeps events on disk
  std::uint64_t attachments = 0;  ///< that it takes in one message, at most `wire::attachments_max`

  [[nodiscard]] milliseconds silence_max() const { return pulse * static_cast<std::int64_t>(missed_pulses_max); }
};

[[nodiscard]] inline welcome read_welcome(std::string_view payload) {
  welcome out;
  std::uint64_t pulse_ms = 1000, idle_pulse_ms = 0;
  wire::reader in{payload};
  const auto text = [&](std::string& to) {
    std::string_view view;
    if (in.peek() != wire::kind::string) return in.skip();
    if (!in.string(view)) return false;
    to = view;
    return true;
  };
  const auto number = [&](std::uint64_t& to) {
    return in.peek() == wire::kind::unsigned_integer ? in.unsigned_integer(to) : in.skip();
  };
  wire::read_entries(in, [&](std::string_view key) {
    if (key == "broker") return text(out.broker);
    if (key == "version") return text(out.version);
    if (key == "events_in") return text(out.events_in);
    if (key == "events_out") return text(out.events_out);
    if (key == "pulse_ms") return number(pulse_ms);
    if (key == "idle_pulse_ms") return number(idle_pulse_ms);
    if (key == "missed_pulses_max") return number(out.missed_pulses_max);
    if (key == "seats") return number(out.seats);
    if (key == "attachments") return number(out.attachments);
    if (key == "durable" && in.peek() == wire::kind::boolean) return in.boolean(out.durable);
    return in.skip();
  });
  out.attachments = std::min<std::uint64_t>(out.attachments, wire::attachments_max);
  out.pulse = milliseconds{std::clamp<std::uint64_t>(pulse_ms, 10, 3'600'000)};
  out.idle_pulse = std::max(out.pulse, milliseconds{std::min<std::uint64_t>(idle_pulse_ms, 3'600'000)});
  out.missed_pulses_max = std::clamp<std::uint64_t>(out.missed_pulses_max, 1, 1000);
  return out;
}

/// A caller's side of the protocol: which calls are open, what is to be sent, whether the broker still lives. No socket, clock,
/// thread or log. Each call carries a `Tag` of its owner's, which comes back with its end.
///
/// A call leaves only once the broker has said who it is, so that a call which ends before that can say truly that it has not
/// run. The owner moves messages to the socket and everything it receives to `receive`, and gives a sink with
///   on_part(Tag&, std::string_view payload),
///   on_result(Tag, std::string_view payload, std::string_view headers),
///   on_error(Tag, error),
///   on_complaint(error)   what the broker says of our frames: a bug of ours.
/// A sink may open calls, but not from `on_part`.
template <class Tag>
class caller_core {
 public:
  struct options {
    std::string name;                           ///< who we are, for people who look at the broker
    std::string broker;                         ///< the endpoint, for messages
    std::size_t calls_max = 100'000;            ///< open calls; past it `call` refuses
    std::size_t unsent_bytes_max = 64u << 20;   ///< payloads that wait to be sent, or may have to be sent again; past it `call` refuses
    std::size_t attachment_bytes_min = wire::attachment_bytes_min;  ///< payloads from this size on are attached, if the broker takes them so
  };

  caller_core(time_point now, options from) : options_{std::move(from)}, hello_at_{now} {}

  struct call_terms {
    bool idempotent = false;  ///< it may run twice: it is sent again when the broker is lost
    std::uint64_t parts = wire::no_credit_limit;  ///< PARTs that may come before `give_credit`
  };

  /// Opens a call. Returns its id, or 0 when a limit is met (and tag and payload are left alone). A large payload that is given away is not copied.
  template <class Payload = std::string_view>
  std::uint64_t call(time_point now, Tag& tag, std::string_view command, Payload&& payload, milliseconds budget,
                     std::string_view headers, const call_terms& terms = {}) {
    return open(now, tag, wire::frame_type::call, command, std::forward<Payload>(payload), budget, headers, terms);
  }

  /// The same for an event with a receipt. One that its emitter has named (the header `event_id`) may be sent twice.
  template <class Payload = std::string_view>
  std::uint64_t emit(time_point now, Tag& tag, std::string_view topic, Payload&& payload, milliseconds budget,
                     std::string_view headers, const call_terms& terms = {}) {
    return open(now, tag, wire::frame_type::emit, topic, std::forward<Payload>(payload), budget, headers, terms);
  }

  /// So many PARTs more of this call may come; of one that has ended is no harm.
  void give_credit(std::uint64_t id, std::uint64_t parts) {
    const auto index = find(id);
    if (index == none || calls_[index].parts == wire::no_credit_limit) return;
    auto& call = calls_[index];
    call.parts += std::min(parts, wire::no_credit_limit - 1 - call.parts);  // a call that is sent again takes it along
    if (call.at == stage::sent) credits_.emplace_back(id, parts);
  }

  /// Gives a call up (the id of one that has ended is no harm): it ends as CANCELLED, at once if it has not been sent, otherwise when the broker says so.
  template <class Sink>
  void cancel(std::uint64_t id, Sink&& sink) {
    const auto index = find(id);
    if (index == none) return;
    if (calls_[index].at == stage::unsent) return end(index, cancelled(calls_[index].sent_before), sink);
    calls_[index].cancelled = true;
    cancels_.push_back(id);
  }

  /// Takes one message from the broker. Any bytes are allowed.
  template <class Sink>
  void receive(time_point now, const wire::message_view& message, Sink&& sink) {
    wire::bundle_reader frames{message};
    wire::frame in;
    for (auto next = frames.next(in); next == wire::decoded::frame || next == wire::decoded::unknown; next = frames.next(in)) {
      if (next == wire::decoded::unknown) continue;
      if (in.type == wire::frame_type::reply && in.id == hello_id) {
        on_welcome(now, in, sink);
      } else if (in.type == wire::frame_type::reply && in.id == 0) {
        sink.on_complaint(wire::read_error(in.status, in.payload));
      } else if (in.type == wire::frame_type::pulse) {
        on_new_connection(now, sink);
      } else if (const auto index = find(in.id); index != none && calls_[index].at == stage::sent) {
        if (in.type == wire::frame_type::part) {
          calls_[index].parted = true;
          sink.on_part(calls_[index].tag, in.payload);
        } else if (in.type == wire::frame_type::reply && in.status == status::ok) {
          auto tag = close(index);
          sink.on_result(std::move(tag), in.payload, in.headers);
        } else if (in.type == wire::frame_type::reply) {
          auto why = wire::read_error(in.status, in.payload);
          why.may_have_run |= calls_[index].sent_before;  // this broker knows nothing of what the one before it did
          end(index, std::move(why), sink);
        }
      }
    }
  }

  /// Ends what is over: calls past their budget, and everything under way when the broker has fallen silent.
  template <class Sink>
  void tick(time_point now, Sink&& sink) {
    while (deadlines_.earliest() <= now) expire(now, deadlines_.front(), sink);
    ask_when_due(now);
    if (hello_unanswered_since_ == time_point::max() || !ready_) return;
    const auto silence_ends = hello_unanswered_since_ + welcome_.silence_max();
    if (silence_ends > now) return;
    if (now - silence_ends > welcome_.pulse) {
      // Nobody let us look at the clock for so long: it was us who stood still, and the answer may lie unread. One pulse more.
      hello_unanswered_since_ = now + welcome_.pulse - welcome_.silence_max();
      return;
    }
    lose(now, "the broker at " + options_.broker + " has fallen silent", sink);
    wants_connection_ = true;
  }

  /// The next message to send, into `out`, which comes empty; false when there is none. What is in it counts as sent.
  bool take_message(time_point now, wire::message& out) {
    std::uint32_t frames = 0;
    ask_when_due(now);
    if (std::exchange(hello_due_, false)) {
      say_hello(out.bundle);
      ++frames;
    }
    const auto has_room = [&] { return out.bytes() < wire::bundle_bytes_soft_max && frames < wire::bundle_frames_max; };
    for (; !cancels_.empty() && has_room(); cancels_.pop_front(), ++frames) wire::append_cancel(out.bundle, cancels_.front());
    for (; !credits_.empty() && has_room(); credits_.pop_front(), ++frames) {
      wire::append_credit(out.bundle, credits_.front().first, credits_.front().second);
    }
    while (ready_ && !unsent_.empty() && has_room()) {
      const auto index = find(unsent_.front());
      unsent_.pop_front();
      if (index == none) continue;
      send(now, index, out);
      ++frames;
    }
    return !out.empty();
  }

  /// When time alone gives `tick` something to do; after a `tick` it is not past, even if nothing can be sent.
  [[nodiscard]] time_point next_deadline() const {
    auto next = std::min(deadlines_.earliest(), hello_at_);
    if (ready_ && hello_unanswered_since_ != time_point::max()) {
      next = std::min(next, hello_unanswered_since_ + welcome_.silence_max());
    }
    return next;
  }

  /// Once after the broker was lost: the owner closes the socket, with what is still in it, and opens another.
  [[nodiscard]] bool wants_connection() { return std::exchange(wants_connection_, false); }

  /// Whether the broker has answered and has not been lost since.
  [[nodiscard]] bool ready() const { return ready_; }
  /// What it said; meaningful when `ready`.
  [[nodiscard]] const welcome& broker() const { return welcome_; }
  [[nodiscard]] std::size_t open_calls() const { return calls_.used(); }
  /// Ids that wait to be sent, those of calls that have ended meanwhile too; for tests.
  [[nodiscard]] std::size_t waiting_ids() const { return unsent_.size(); }

  /// Ends every call, because the owner closes.
  template <class Sink>
  void close_all(Sink&& sink) {
    while (calls_.used() > 0) {
      const auto index = deadlines_.front();
      auto why = cancelled(calls_[index].at == stage::sent || calls_[index].sent_before);
      why.message = "the client is closing";
      end(index, std::move(why), sink);
    }
  }

 private:
  static constexpr std::uint64_t hello_id = 1;  // calls' ids begin at 2^24
  static constexpr std::size_t size_max = std::size_t{1} << 24;
  static constexpr std::uint32_t generation_max = (1u << 29) - 1;
  /// So seldom does an idle caller ask; well within the broker's `idle_max`.
  static constexpr milliseconds idle_hello{30'000};
  /// The broker's own verdict on a passed budget says more than ours; so long it has to arrive.
  static constexpr milliseconds grace{100};
  /// Of a payload that stands in a record's own buffer, which stays with the record.
  static constexpr std::size_t small_payload_max = 512;
  /// What a record keeps of its buffer of headers for the next call.
  static constexpr std::size_t kept_capacity_max = 512;

  enum class stage : std::uint8_t { free, unsent, sent };
  struct open_call {
    std::uint32_t generation = 0;
    stage at = stage::free;
    wire::frame_type type = wire::frame_type::call;
    Tag tag{};
    time_point deadline{};
    time_point due{};  ///< when it ends if nothing comes: the deadline, or a little later
    links by_due;
    std::uint32_t due_at = none;
    std::uint64_t order = 0;   ///< in which calls were opened
    std::uint64_t parts = wire::no_credit_limit;
    bool idempotent = false;
    bool sent_before = false;  ///< to a broker that was lost
    bool parted = false;       ///< a PART has come, so it cannot begin again
    bool cancelled = false;    ///< nobody wants it: it is not sent again
    std::size_t bytes = 0;      ///< of name, payload and headers
    std::string contents;       ///< name and payload, as they stand in the frame (`append_contents`); of a large one the name alone
    wire::attachment large;     ///< payload
    std::string headers;
  };

  static error cancelled(bool may_have_run) { return {status::cancelled, "the caller gave up", may_have_run}; }

  template <class Payload>
  std::uint64_t open(time_point now, Tag& tag, wire::frame_type type, std::string_view name, Payload&& payload,
                     milliseconds budget, std::string_view headers, const call_terms& terms) {
    const auto bytes = std::string_view{payload}.size() + headers.size() + name.size();
    if (calls_.used() >= std::min(options_.calls_max, size_max) || unsent_bytes_ + bytes > options_.unsent_bytes_max) return 0;
    if (calls_.used() == 0) hello_at_ = std::min(hello_at_, now + welcome_.pulse);
    const auto index = calls_.take();
    auto& made = calls_[index];
    made.generation = made.generation == generation_max ? 1 : made.generation + 1;
    made.at = stage::unsent;
    made.type = type;
    made.tag = std::move(tag);
    made.deadline = now + budget;
    made.order = ++opened_;
    made.parts = terms.parts;
    made.idempotent = terms.idempotent;
    made.sent_before = made.parted = made.cancelled = false;
    made.bytes = bytes;
    if (!headers.empty()) made.headers.append(headers);
    if (std::string_view{payload}.size() > small_payload_max || is_attached(payload)) {
      made.contents.append(name);
      made.large = wire::attachment{std::string{std::forward<Payload>(payload)}};
    } else {
      wire::append_contents(made.contents, name, std::string_view{payload});
    }
    unsent_bytes_ += bytes;
    forget_ended_unsent();
    insert_due(index, made.deadline);
    unsent_.push_back(id_of(index));
    return unsent_.back();
  }

  void insert_due(std::uint32_t index, time_point due) {
    calls_[index].due = due;
    deadlines_.insert(calls_, index);
  }

  /// Whether a payload is to travel beside its frame.
  [[nodiscard]] bool is_attached(std::string_view payload) const { return payload.size() >= options_.attachment_bytes_min; }

  [[nodiscard]] std::uint64_t id_of(std::uint32_t index) const {
    return (std::uint64_t{calls_[index].generation} << 24) | index;
  }
  [[nodiscard]] std::uint32_t find(std::uint64_t id) const {
    const auto index = static_cast<std::uint32_t>(id & (size_max - 1));
    return calls_.has(index) && calls_[index].at != stage::free && id_of(index) == id ? index : none;
  }

  /// Without a broker nothing takes ids out of `unsent_`, and calls come and end all the same.
  void forget_ended_unsent() {
    if (unsent_.size() <= 2 * calls_.used() + 64) return;
    std::erase_if(unsent_, [this](std::uint64_t id) { return find(id) == none; });
  }

  /// A HELLO that is due counts as asked even while the owner cannot send it: a way that is blocked is silence, too.
  void ask_when_due(time_point now) {
    if (hello_at_ > now) return;
    hello_due_ = true;
    if (hello_unanswered_since_ == time_point::max()) hello_unanswered_since_ = now;
    hello_at_ = now + (ready_ && calls_.used() == 0 ? idle_hello : welcome_.pulse);
  }

  void send(time_point now, std::uint32_t index, wire::message& out) {
    auto& call = calls_[index];
    const auto left = static_cast<std::uint64_t>(std::max<std::int64_t>(std::chrono::duration_cast<milliseconds>(call.deadline - now).count(), 1));
    const bool is_call = call.type == wire::frame_type::call;
    if (call.large.empty()) {
      is_call ? wire::append_call_of(out.bundle, id_of(index), call.contents, left, call.headers, call.parts)
              : wire::append_emit_of(out.bundle, id_of(index), call.contents, call.headers);
    } else {
      wire::payload_field payload{call.large.bytes()};
      if (is_attached(payload.bytes()) && out.attachments.size() < welcome_.attachments) payload = wire::payload_field::attached(out, call.large);
      is_call ? wire::append_call(out.bundle, id_of(index), call.contents, payload, left, call.headers, call.parts)
              : wire::append_emit(out.bundle, id_of(index), call.contents, payload, call.headers);
    }
    if (!call.idempotent) release_bytes(call);
    call.at = stage::sent;
  }

  /// Small buffers stay with the record, so that the next call in its place allocates nothing.
  void release_bytes(open_call& call) {
    unsent_bytes_ -= call.bytes;
    call.contents.clear();
    if (!call.large.empty()) call.large = {};
    if (call.headers.empty()) return;
    call.headers.clear();
    if (call.headers.capacity() > kept_capacity_max) call.headers.shrink_to_fit();
  }

  Tag close(std::uint32_t index) {
    auto& closed = calls_[index];
    deadlines_.erase(calls_, index);
    if (closed.at == stage::unsent || closed.idempotent) release_bytes(closed);
    closed.at = stage::free;
    auto tag = std::move(closed.tag);
    closed.tag = Tag{};
    calls_.give_back(index);
    return tag;
  }

  template <class Sink>
  void end(std::uint32_t index, error why, Sink&& sink) {
    auto tag = close(index);
    sink.on_error(std::move(tag), std::move(why));
  }

  template <class Sink>
  void expire(time_point now, std::uint32_t index, Sink&& sink) {
    if (calls_[index].at == stage::sent) {
      // Nearly all are answered before: the grace is given when it is needed, and not to each.
      if (const auto last = calls_[index].deadline + grace; now < last) {
        deadlines_.erase(calls_, index);
        return insert_due(index, last);
      }
      cancels_.push_back(id_of(index));
      return end(index, {status::deadline_exceeded, "no answer came within the budget", true}, sink);
    }
    const bool may_have_run = calls_[index].sent_before;
    if (!ready_) return end(index, {status::unavailable, "no broker answers at " + options_.broker, may_have_run}, sink);
    end(index, {status::deadline_exceeded, "the budget passed before the call could be sent", may_have_run}, sink);
  }

  template <class Sink>
  void on_welcome(time_point now, const wire::frame& in, Sink&& sink) {
    if (in.status != status::ok) return sink.on_complaint(wire::read_error(in.status, in.payload));
    auto said = read_welcome(in.payload);
    // Another instance at the same endpoint knows nothing of what the old one had.
    if (ready_ && said.broker != welcome_.broker) lose(now, "the broker at " + options_.broker + " has restarted", sink);
    welcome_ = std::move(said);
    ready_ = true;
    hello_due_ = false;
    hello_unanswered_since_ = time_point::max();
    hello_at_ = now + (calls_.used() == 0 ? idle_hello : welcome_.pulse);
  }

  /// The broker's answer to what the socket says when it is connected (`net::dealer::greeting`). If that is not for the first time, the broker, be it
  /// the same, answers nothing any more that was asked before.
  template <class Sink>
  void on_new_connection(time_point now, Sink&& sink) {
    if (ready_) lose(now, "the connection to the broker at " + options_.broker + " was lost", sink);
  }

  /// What was sent may or may not have run: what may run twice is sent again, the rest ends. What was not sent waits for the next
  /// broker.
  template <class Sink>
  void lose(time_point now, const std::string& why, Sink&& sink) {
    ready_ = false;
    hello_at_ = now;
    hello_unanswered_since_ = time_point::max();
    cancels_.clear();
    credits_.clear();
    std::vector<std::uint32_t> again;
    for (std::uint32_t index = 0; calls_.has(index); ++index) {
      if (calls_[index].at != stage::sent) continue;
      if (calls_[index].cancelled) {
        end(index, cancelled(true), sink);
      } else if (calls_[index].idempotent && !calls_[index].parted && calls_[index].deadline > now) {
        again.push_back(index);
      } else {
        end(index, {status::unavailable, why, true}, sink);
      }
    }
    // As they were opened, and before those that were not sent yet.
    std::sort(again.begin(), again.end(), [this](auto a, auto b) { return calls_[a].order > calls_[b].order; });
    for (const auto index : again) {
      auto& call = calls_[index];
      if (call.cancelled) {  // by a sink, meanwhile
        end(index, cancelled(true), sink);
        continue;
      }
      call.at = stage::unsent;
      call.sent_before = true;
      deadlines_.erase(calls_, index);
      insert_due(index, call.deadline);
      unsent_.push_front(id_of(index));
    }
  }

  void say_hello(std::string& out) {
    std::string about;
    wire::writer writer{about};
    writer.map(3);
    writer.string("name");
    writer.string(options_.name);
    writer.string("bundle");
    writer.unsigned_integer(wire::bundle_frames_max);
    writer.string("attachments");
    writer.unsigned_integer(wire::attachments_max);
    wire::append_hello(out, hello_id, about);
  }

  options options_;
  slab<open_call> calls_;
  deadline_lanes<&open_call::due, &open_call::by_due, &open_call::due_at> deadlines_;
  std::deque<std::uint64_t> unsent_;
  std::size_t unsent_bytes_ = 0;
  std::deque<std::uint64_t> cancels_;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> credits_;  ///< call and parts
  std::uint64_t opened_ = 0;
  welcome welcome_;
  bool ready_ = false;
  bool wants_connection_ = false;
  bool hello_due_ = false;
  time_point hello_at_;
  time_point hello_unanswered_since_ = time_point::max();
};

}  // namespace waggle::detail
